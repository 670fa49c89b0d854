//! Validates the conditional groups of an API policy: all faults at once, each under the path of its field.

use super::{ConditionInput, GroupInput, NameValueInput, SubjectInput};
use crate::{
    domain::{
        address::AddressRange,
        invalid::{Faults, Rule, reason},
        name::free_text,
        policy::{
            Condition, Group, NameValueMatch, Subject, claim_name, header_name, match_value,
            parameter_name,
        },
    },
    service::{guard::at_most, limits},
};

/// Groups and conditions are tried one after another at each handshake, and all of a policy must fit into a call.
const GROUPS_MAX: usize = 50;
const CONDITIONS_MAX: usize = 20;

/// Reads the groups that stand in `field`. What it gives is of use only when nothing was noted.
pub(super) fn read(inputs: &[GroupInput], field: &str, faults: &mut Faults) -> Vec<Group> {
    at_most(field, inputs, GROUPS_MAX, faults);
    let inputs = inputs.iter().take(GROUPS_MAX).enumerate();
    inputs
        .filter_map(|(index, input)| group(input, &format!("{field}[{index}]"), faults))
        .collect()
}

fn group(input: &GroupInput, field: &str, faults: &mut Faults) -> Option<Group> {
    let text = free_text(&input.description, 512);
    let description = faults.take(&format!("{field}.description"), text);
    let list = format!("{field}.conditions");
    if input.conditions.is_empty() {
        let rule = "must not be empty; to limit everybody else, set the policy's own limits";
        faults.add(list.as_str(), reason::REQUIRED, rule);
    }
    at_most(&list, &input.conditions, CONDITIONS_MAX, faults);
    let mut conditions = Vec::new();
    for (index, input) in input.conditions.iter().take(CONDITIONS_MAX).enumerate() {
        let field = format!("{list}[{index}]");
        let Some(condition) = condition(input, &field, faults) else {
            continue;
        };
        if conditions.contains(&condition) {
            faults.add(field, reason::DUPLICATE, "stands in the list twice");
        } else {
            conditions.push(condition);
        }
    }
    let limits = limits::take(input.limits.as_ref(), &format!("{field}.limits"), faults);
    Some(Group {
        description: description?,
        conditions,
        limits: limits?,
    })
}

fn condition(input: &ConditionInput, field: &str, faults: &mut Faults) -> Option<Condition> {
    let subject = match &input.subject {
        Some(SubjectInput::Address(text)) => {
            let range = AddressRange::parse(text);
            Subject::Address(faults.take(&format!("{field}.address"), range)?)
        }
        Some(SubjectInput::Header(input)) => Subject::Header(name_value(
            input,
            header_name,
            &format!("{field}.header"),
            faults,
        )?),
        Some(SubjectInput::Query(input)) => Subject::Query(name_value(
            input,
            parameter_name,
            &format!("{field}.query"),
            faults,
        )?),
        Some(SubjectInput::Claim(input)) => Subject::Claim(name_value(
            input,
            claim_name,
            &format!("{field}.claim"),
            faults,
        )?),
        None => {
            let rule = "must look at one of address, header, query and claim";
            faults.add(field, reason::REQUIRED, rule);
            return None;
        }
    };
    Some(Condition {
        subject,
        invert: input.invert,
    })
}

fn name_value(
    input: &NameValueInput,
    read_name: fn(&str) -> Result<String, Rule>,
    field: &str,
    faults: &mut Faults,
) -> Option<NameValueMatch> {
    let name = faults.take(&format!("{field}.name"), read_name(&input.name));
    let value = faults.take(&format!("{field}.value"), match_value(&input.value));
    Some(NameValueMatch {
        name: name?,
        value: value?,
    })
}
