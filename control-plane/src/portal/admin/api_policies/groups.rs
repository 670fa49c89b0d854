//! The conditional groups of an API policy in its form: fields named `groups[0].conditions[1].value`, a marker for each
//! group and condition so that one without a value counts too, and the buttons that add, move and remove them.

use std::collections::BTreeMap;

use super::super::limit_fields;
use crate::{
    domain::policy::{Condition, Group, NameValueMatch, Subject},
    portal::fields::Fields,
    service::{
        api_policies::{ConditionInput, GroupInput, NameValueInput, SubjectInput},
        error::ServiceError,
    },
};

/// The groups of a form.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups(Vec<TypedGroup>);

/// One group as typed; names without its own.
#[derive(Clone, Debug, Default)]
struct TypedGroup {
    fields: Fields,
    conditions: Vec<Fields>,
}

/// The names of a group's inputs.
#[derive(Clone, Debug)]
pub(super) struct GroupInputs {
    /// Its name: `groups[0]`.
    pub(super) name: String,
    /// The names of its conditions: `groups[0].conditions[1]`.
    pub(super) conditions: Vec<String>,
}

/// The name of the buttons.
pub(super) const CHANGE: &str = "change";
/// What a condition looks at: what the form sends, and what people read.
pub(super) const CONDITIONS: [(&str, &str); 4] = [
    ("address", "Client address"),
    ("header", "Header"),
    ("query", "Query parameter"),
    ("claim", "Token claim"),
];

/// Whether a field is of a group.
pub(super) fn is_of_one(name: &str) -> bool {
    name.starts_with("groups[")
}

/// The faults of an error under the names that the form's inputs have.
pub(super) fn at_inputs(error: ServiceError) -> ServiceError {
    let ServiceError::Invalid(mut invalid) = error else {
        return error;
    };
    for violation in &mut invalid.violations {
        if !violation.field.contains(".conditions[") {
            continue;
        }
        let mut field = violation.field.replace("].address", "].value");
        for kind in ["].header.", "].query.", "].claim."] {
            field = field.replace(kind, "].");
        }
        if field.ends_with(']') {
            field.push_str(".kind");
        }
        violation.field = field;
    }
    invalid.into()
}

// === impl Groups ===

impl Groups {
    /// The groups of a policy.
    pub(super) fn of(groups: &[Group]) -> Self {
        let typed = |group: &Group| TypedGroup {
            fields: limit_fields::write(
                Fields::new().with("description", group.description.as_str()),
                "limits",
                &group.limits,
            ),
            conditions: group.conditions.iter().map(condition_fields).collect(),
        };
        Self(groups.iter().map(typed).collect())
    }

    /// Reads the groups of a form, in the order of their numbers.
    pub(super) fn read(fields: &Fields) -> Self {
        let mut groups: BTreeMap<usize, (Fields, BTreeMap<usize, Fields>)> = BTreeMap::new();
        for (name, value) in fields.iter() {
            let Some((index, rest)) = numbered(name, "groups[") else {
                continue;
            };
            let (own, conditions) = groups.entry(index).or_default();
            if let Some((index, rest)) = numbered(rest, ".conditions[") {
                let condition = conditions.entry(index).or_default();
                put(condition, rest, value);
            } else {
                put(own, rest, value);
            }
        }
        let typed = |(fields, conditions): (Fields, BTreeMap<usize, Fields>)| TypedGroup {
            fields,
            conditions: conditions.into_values().collect(),
        };
        Self(groups.into_values().map(typed).collect())
    }

    /// Writes them behind other fields, numbered from 0.
    pub(super) fn write(&self, mut fields: Fields) -> Fields {
        for (inputs, group) in self.inputs().iter().zip(&self.0) {
            fields = fields.with(inputs.name.as_str(), "1");
            fields = below(fields, &inputs.name, &group.fields);
            for (name, condition) in inputs.conditions.iter().zip(&group.conditions) {
                fields = fields.with(name.as_str(), "1");
                fields = below(fields, name, condition);
            }
        }
        fields
    }

    /// The names of their inputs.
    pub(super) fn inputs(&self) -> Vec<GroupInputs> {
        let inputs = self.0.iter().enumerate().map(|(index, group)| {
            let name = format!("groups[{index}]");
            let conditions = 0..group.conditions.len();
            GroupInputs {
                conditions: conditions
                    .map(|index| format!("{name}.conditions[{index}]"))
                    .collect(),
                name,
            }
        });
        inputs.collect()
    }

    /// What a use case takes.
    pub(super) fn input(&self) -> Vec<GroupInput> {
        let input = |group: &TypedGroup| GroupInput {
            description: group.fields.text("description").to_owned(),
            conditions: group.conditions.iter().map(condition_input).collect(),
            limits: Some(limit_fields::read(&group.fields, "limits")),
        };
        self.0.iter().map(input).collect()
    }

    /// Does what a button says, and whether there was one.
    pub(super) fn change(&mut self, button: &str) -> bool {
        let mut parts = button.split('.');
        let what = parts.next().unwrap_or_default();
        let mut number = || parts.next().and_then(|part| part.parse::<usize>().ok());
        let (group, condition) = (number(), number());
        match (what, group.filter(|&index| index < self.0.len())) {
            ("", _) => return false,
            ("add-group", _) => self.0.push(TypedGroup {
                fields: limit_fields::blank(Fields::new(), "limits"),
                conditions: vec![Fields::new().with("kind", "address")],
            }),
            ("remove-group", Some(index)) => {
                self.0.remove(index);
            }
            ("raise-group", Some(index)) => self.0.swap(index, index.saturating_sub(1)),
            ("add-condition", Some(index)) => {
                let fresh = Fields::new().with("kind", "address");
                self.0[index].conditions.push(fresh);
            }
            ("remove-condition", Some(index)) => {
                let conditions = &mut self.0[index].conditions;
                if let Some(condition) = condition.filter(|&it| it < conditions.len()) {
                    conditions.remove(condition);
                }
            }
            // Pressed twice, or on a page that is older than the form.
            _ => {}
        }
        true
    }
}

/// The number in brackets behind a beginning, and what follows it.
fn numbered<'a>(name: &'a str, begin: &str) -> Option<(usize, &'a str)> {
    let (number, rest) = name.strip_prefix(begin)?.split_once(']')?;
    Some((number.parse().ok()?, rest))
}

/// Adds a field to those of a group; its marker has no name of its own.
fn put(fields: &mut Fields, rest: &str, value: &str) {
    if let Some(name) = rest.strip_prefix('.') {
        *fields = std::mem::take(fields).with(name, value);
    }
}

fn below(fields: Fields, place: &str, own: &Fields) -> Fields {
    own.iter().fold(fields, |fields, (name, value)| {
        fields.with(format!("{place}.{name}"), value)
    })
}

fn condition_fields(condition: &Condition) -> Fields {
    let matched = |kind: &str, condition_on: &NameValueMatch| {
        Fields::new()
            .with("kind", kind)
            .with("name", condition_on.name.as_str())
            .with("value", condition_on.value.clone().unwrap_or_default())
    };
    let fields = match &condition.subject {
        Subject::Address(range) => Fields::new()
            .with("kind", "address")
            .with("value", range.to_string()),
        Subject::Header(it) => matched("header", it),
        Subject::Query(it) => matched("query", it),
        Subject::Claim(it) => matched("claim", it),
    };
    fields.with_all("invert", condition.invert.then_some("1"))
}

fn condition_input(fields: &Fields) -> ConditionInput {
    let matched = || NameValueInput {
        name: fields.text("name").trim().to_owned(),
        value: fields.text("value").to_owned(),
    };
    ConditionInput {
        subject: match fields.text("kind") {
            "address" => Some(SubjectInput::Address(
                fields.text("value").trim().to_owned(),
            )),
            "header" => Some(SubjectInput::Header(matched())),
            "query" => Some(SubjectInput::Query(matched())),
            "claim" => Some(SubjectInput::Claim(matched())),
            _ => None,
        },
        invert: fields.has("invert"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, Groups};

    fn two() -> Fields {
        Fields::new()
            .with("groups[4]", "1")
            .with("groups[4].description", "b")
            .with("groups[2]", "1")
            .with("groups[2].description", "a")
            .with("groups[2].conditions[7]", "1")
            .with("groups[2].conditions[7].kind", "header")
            .with("groups[2].conditions[7].name", "x-tier")
            .with("groups[x].description", "nothing")
    }

    #[test]
    fn groups_are_read_in_their_order_and_numbered_without_gaps() {
        let fields = Groups::read(&two()).write(Fields::new());
        assert_eq!(fields.text("groups[0].description"), "a");
        assert_eq!(fields.text("groups[0].conditions[0].name"), "x-tier");
        assert_eq!(fields.text("groups[1].description"), "b");
        assert_eq!(Groups::read(&fields).inputs().len(), 2);
    }

    #[test]
    fn buttons_add_move_and_take_away_and_do_nothing_to_what_is_gone() {
        let mut groups = Groups::read(&two());
        assert!(!groups.change(""));
        for button in ["remove-group.9", "raise-group", "remove-condition.0.5", "?"] {
            assert!(groups.change(button));
            assert_eq!(groups.inputs().len(), 2, "{button}");
        }
        groups.change("add-condition.1");
        groups.change("raise-group.1");
        let fields = groups.write(Fields::new());
        assert_eq!(fields.text("groups[0].description"), "b");
        assert_eq!(fields.text("groups[0].conditions[0].kind"), "address");
        groups.change("remove-condition.1.0");
        groups.change("remove-group.0");
        groups.change("add-group");
        let input = groups.input();
        assert_eq!(input[0].description, "a");
        assert!(input[0].conditions.is_empty());
        assert_eq!(input[1].conditions.len(), 1);
    }
}
