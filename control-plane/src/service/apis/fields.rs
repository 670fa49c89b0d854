//! The fields of an API: reads what is sent, and names every fault at once by the field of the admin API's message.

use std::collections::BTreeSet;

use tidegate_proto::{
    ids::ApiId,
    path::{Context, Version},
};

use super::{ApiInput, ApiUpdate, topics};
use crate::{
    domain::{
        api::{Api, Design, Visibility},
        endpoint::{EndpointUrl, Endpoints},
        invalid::{Faults, Invalid, Rule, reason},
        lifecycle::{Lifecycle, LifecycleEvent},
        name::{ApiName, PlanName, subprotocol, tag},
        plan::Plan,
        policy::ApiPolicy,
    },
    service::{
        draft::Draft,
        edit::{EditableField, EditableFields, FieldContext, placeholder},
        guard::{at_most, existing, fixed},
    },
};

const TAGS_MAX: usize = 50;
const SUBPROTOCOLS_MAX: usize = 20;

pub(super) const FIELDS: EditableFields<Api, ApiInput> = EditableFields {
    root: "api",
    all: &[
        EditableField {
            name: "display_name",
            is_given: |input| !input.display_name.is_empty(),
            set: |api, input, at| at.text(&mut api.design.display_name, &input.display_name, 100),
        },
        EditableField {
            name: "description",
            is_given: |input| !input.description.is_empty(),
            set: |api, input, at| at.text(&mut api.design.description, &input.description, 32_766),
        },
        EditableField {
            name: "tags",
            is_given: |input| !input.tags.is_empty(),
            set: |api, input, at| api.design.tags = tags(&input.tags, at.faults),
        },
        EditableField {
            name: "production_endpoint",
            is_given: |input| !input.production_endpoint.is_empty(),
            set: |api, input, at| {
                api.design.endpoints.production = endpoint(&input.production_endpoint, at);
            },
        },
        EditableField {
            name: "sandbox_endpoint",
            is_given: |input| !input.sandbox_endpoint.is_empty(),
            set: |api, input, at| {
                api.design.endpoints.sandbox = endpoint(&input.sandbox_endpoint, at);
            },
        },
        EditableField {
            name: "sandbox_keys_on_production_endpoint",
            is_given: |input| input.sandbox_keys_on_production_endpoint,
            set: |api, input, _| {
                let is_set = input.sandbox_keys_on_production_endpoint;
                api.design.endpoints.sandbox_keys_on_production = is_set;
            },
        },
        EditableField {
            name: "topics",
            is_given: |input| !input.topics.is_empty(),
            set: |api, input, at| {
                api.design.topics = topics::read(&input.topics, at.state, at.faults);
            },
        },
        EditableField {
            name: "plans",
            is_given: |input| !input.plans.is_empty(),
            set: |api, input, at| api.plans = plans(&input.plans, at),
        },
        EditableField {
            name: "policy",
            is_given: |input| !input.policy.is_empty(),
            set: |api, input, at| {
                api.policy = at.named::<ApiPolicy>("API policy", &input.policy);
            },
        },
        EditableField {
            name: "notice_subprotocols",
            is_given: |input| !input.notice_subprotocols.is_empty(),
            set: |api, input, at| {
                let names = subprotocols(&input.notice_subprotocols, at.faults);
                api.design.notice_subprotocols = names;
            },
        },
        EditableField {
            name: "default_version",
            is_given: |input| input.default_version,
            set: |api, input, _| api.default_version = input.default_version,
        },
        EditableField {
            name: "visible_roles",
            is_given: |input| input.visibility != Visibility::Public,
            set: |api, input, _| api.visibility = input.visibility,
        },
    ],
    fixed: &["api_name", "context", "version", "creator"],
};

/// Reads a new API.
pub(super) fn new(input: &ApiInput, draft: &Draft) -> Result<Api, Invalid> {
    let mut faults = Faults::new();
    let name = faults.take("api.api_name", ApiName::parse(&input.name));
    let context = Context::parse(&input.context).map_err(Rule::from);
    let context = faults.take("api.context", context);
    let version = Version::parse(&input.version).map_err(Rule::from);
    let version = faults.take("api.version", version);
    let new = Api {
        id: ApiId::generate(),
        name: name.unwrap_or_else(placeholder),
        context: context.unwrap_or_else(|| Context::parse("/-").expect("`/-` is a context")),
        version: version.unwrap_or_else(|| Version::parse("-").expect("`-` is a version")),
        owner: draft.actor.user,
        provider: draft.actor.name.clone(),
        design: Design::default(),
        plans: BTreeSet::new(),
        policy: None,
        visibility: Visibility::Public,
        default_version: false,
        default_until: None,
        state: Lifecycle::Created,
        history: vec![LifecycleEvent::created(
            draft.now,
            draft.actor.name.to_string(),
        )],
        quota_generation: 0,
        last_revision: 0,
        meta: draft.meta(),
    };
    let new = FIELDS.create(new, input, draft, &mut faults);
    check_distinct(&new.design.endpoints, &mut faults);
    faults.finish()?;
    Ok(new)
}

/// Reads a change of an API.
pub(super) fn change(update: &ApiUpdate, api: &Api, draft: &Draft) -> Result<Api, Invalid> {
    let input = &update.input;
    let mut faults = Faults::new();
    fixed(&mut faults, "api.api_name", &input.name, api.name.as_str());
    // A context may be sent without its leading slash.
    let context = match Context::parse(&input.context) {
        Ok(context) => context.to_string(),
        Err(_) => input.context.clone(),
    };
    fixed(&mut faults, "api.context", &context, api.context.as_str());
    let version = api.version.as_str();
    fixed(&mut faults, "api.version", &input.version, version);
    let creator = api.provider.as_str();
    fixed(&mut faults, "api.creator", &input.provider, creator);
    let next = FIELDS.update(api, update, draft, &mut faults);
    if next.design.endpoints != api.design.endpoints {
        check_distinct(&next.design.endpoints, &mut faults);
    }
    faults.finish()?;
    Ok(next)
}

/// An address; empty for none.
fn endpoint(text: &str, at: &mut FieldContext<'_>) -> Option<EndpointUrl> {
    if text.is_empty() {
        return None;
    }
    at.take(EndpointUrl::parse(text))
}

/// There is a setting for sandbox keys that use the production endpoint.
fn check_distinct(endpoints: &Endpoints, faults: &mut Faults) {
    if endpoints.sandbox.is_some() && endpoints.sandbox == endpoints.production {
        faults.add(
            "api.sandbox_endpoint",
            reason::CONTRADICTION,
            "is the production endpoint; leave it empty and set `sandbox_keys_on_production_endpoint` for sandbox keys \
             to use that one",
        );
    }
}

fn tags(texts: &[String], faults: &mut Faults) -> BTreeSet<String> {
    at_most("api.tags", texts, TAGS_MAX, faults);
    let mut tags = BTreeSet::new();
    for (index, text) in texts.iter().take(TAGS_MAX).enumerate() {
        let field = format!("api.tags[{index}]");
        if let Some(tag) = faults.take(&field, tag(text))
            && !tags.insert(tag)
        {
            faults.add(field, reason::DUPLICATE, "stands in the list twice");
        }
    }
    tags
}

fn plans(names: &[String], at: &mut FieldContext<'_>) -> BTreeSet<PlanName> {
    let n_plans = at.state.plans().len();
    at_most(&at.path, names, n_plans, at.faults);
    let mut plans = BTreeSet::new();
    for (index, name) in names.iter().take(n_plans).enumerate() {
        let field = format!("{}[{index}]", at.path);
        if let Some(plan) = existing::<Plan>(&field, ("plan", name), at.state, at.faults)
            && !plans.insert(plan)
        {
            at.faults
                .add(field, reason::DUPLICATE, "stands in the list twice");
        }
    }
    plans
}

fn subprotocols(names: &[String], faults: &mut Faults) -> Vec<String> {
    const FIELD: &str = "api.notice_subprotocols";
    at_most(FIELD, names, SUBPROTOCOLS_MAX, faults);
    let mut subprotocols = Vec::new();
    for (index, name) in names.iter().take(SUBPROTOCOLS_MAX).enumerate() {
        let field = format!("{FIELD}[{index}]");
        let Some(name) = faults.take(&field, subprotocol(name)) else {
            continue;
        };
        if subprotocols.contains(&name) {
            faults.add(field, reason::DUPLICATE, "stands in the list twice");
        } else {
            subprotocols.push(name);
        }
    }
    subprotocols
}
