//! What an API may look like: reads what somebody typed, and names every fault at once by the field of the admin API's
//! message.

use std::collections::BTreeSet;

use tidegate_proto::path::{Context, InvalidPath, Version};

use super::{ApiInput, ApiUpdate, topics};
use crate::{
    domain::{
        api::{Api, Design, Visibility},
        endpoint::{EndpointUrl, Endpoints},
        invalid::{Faults, Invalid, Rule, reason},
        name::{ApiName, PlanName, PolicyName, forbidden, free_text, subprotocol, tag},
        state::State,
        topic::Topic,
    },
    service::{api_policies, guard::fixed, mask},
};

/// A valid new API.
pub(super) struct Valid {
    pub(super) name: ApiName,
    pub(super) context: Context,
    pub(super) version: Version,
    pub(super) design: Design,
    pub(super) plans: BTreeSet<PlanName>,
    pub(super) policy: Option<PolicyName>,
}

/// A valid change: the new value of each field that changes.
#[derive(Default)]
pub(super) struct Change {
    display_name: Option<String>,
    description: Option<String>,
    tags: Option<BTreeSet<String>>,
    production: Option<Option<EndpointUrl>>,
    sandbox: Option<Option<EndpointUrl>>,
    sandbox_keys_on_production: Option<bool>,
    topics: Option<Vec<Topic>>,
    plans: Option<BTreeSet<PlanName>>,
    policy: Option<Option<PolicyName>>,
    notice_subprotocols: Option<Vec<String>>,
    default_version: Option<bool>,
    visibility: Option<Visibility>,
}

const SANDBOX: &str = "api.sandbox_endpoint";
const DISPLAY_NAME_MAX: usize = 100;
const DESCRIPTION_MAX: usize = 32_766;
const TAGS_MAX: usize = 50;
const SUBPROTOCOLS_MAX: usize = 20;

const CHANGEABLE: [&str; 12] = [
    "display_name",
    "description",
    "tags",
    "production_endpoint",
    "sandbox_endpoint",
    "sandbox_keys_on_production_endpoint",
    "topics",
    "plans",
    "policy",
    "notice_subprotocols",
    "default_version",
    "visible_roles",
];
const FIXED: [&str; 4] = ["api_name", "context", "version", "creator"];

/// Reads a new API.
pub(super) fn new(input: &ApiInput, state: &State) -> Result<Valid, Invalid> {
    let mut faults = Faults::new();
    let name = faults.take("api.api_name", ApiName::parse(&input.name));
    let context = faults.take("api.context", Context::parse(&input.context).map_err(path));
    let version = faults.take("api.version", Version::parse(&input.version).map_err(path));
    let display_name = faults.take(
        "api.display_name",
        free_text(&input.display_name, DISPLAY_NAME_MAX),
    );
    let description = faults.take(
        "api.description",
        free_text(&input.description, DESCRIPTION_MAX),
    );
    let tags = tags(&input.tags, &mut faults);
    let production = endpoint(
        "api.production_endpoint",
        &input.production_endpoint,
        &mut faults,
    );
    let sandbox = endpoint(SANDBOX, &input.sandbox_endpoint, &mut faults);
    distinct(production.as_ref(), sandbox.as_ref(), &mut faults);
    let topics = topics::read(&input.topics, state, &mut faults);
    let plans = plans(&input.plans, state, &mut faults);
    let policy = api_policies::named("api.policy", &input.policy, state, &mut faults);
    let notice_subprotocols = subprotocols(&input.notice_subprotocols, &mut faults);
    faults.finish()?;
    let (Some(name), Some(context), Some(version), Some(display_name), Some(description)) =
        (name, context, version, display_name, description)
    else {
        unreachable!("a value that is missing has left a fault");
    };
    Ok(Valid {
        name,
        context,
        version,
        design: Design {
            display_name,
            description,
            tags,
            endpoints: Endpoints {
                production,
                sandbox,
                sandbox_keys_on_production: input.sandbox_keys_on_production_endpoint,
            },
            topics,
            notice_subprotocols,
        },
        plans,
        policy,
    })
}

/// Reads a change of an API.
pub(super) fn change(update: &ApiUpdate, api: &Api, state: &State) -> Result<Change, Invalid> {
    let input = &update.input;
    let mut faults = Faults::new();
    fixed(&mut faults, "api.api_name", &input.name, api.name.as_str());
    // A context may be typed without its leading slash.
    let context = match Context::parse(&input.context) {
        Ok(context) => context.to_string(),
        Err(_) => input.context.clone(),
    };
    fixed(&mut faults, "api.context", &context, api.context.as_str());
    fixed(
        &mut faults,
        "api.version",
        &input.version,
        api.version.as_str(),
    );
    fixed(
        &mut faults,
        "api.creator",
        &input.provider,
        api.provider.as_str(),
    );
    let populated = |field: &str| match field {
        "display_name" => !input.display_name.is_empty(),
        "description" => !input.description.is_empty(),
        "tags" => !input.tags.is_empty(),
        "production_endpoint" => !input.production_endpoint.is_empty(),
        "sandbox_endpoint" => !input.sandbox_endpoint.is_empty(),
        "sandbox_keys_on_production_endpoint" => input.sandbox_keys_on_production_endpoint,
        "topics" => !input.topics.is_empty(),
        "plans" => !input.plans.is_empty(),
        "policy" => !input.policy.is_empty(),
        "notice_subprotocols" => !input.notice_subprotocols.is_empty(),
        "default_version" => input.default_version,
        _ => input.visibility != Visibility::Public,
    };
    let fields = mask::resolve(&update.mask, &CHANGEABLE, &FIXED, populated, &mut faults);
    let mut change = Change::default();
    for field in fields {
        change.read(field, input, state, &mut faults);
    }
    if change.production.is_some() || change.sandbox.is_some() {
        let endpoints = &api.design.endpoints;
        let production = change.production.as_ref().unwrap_or(&endpoints.production);
        let sandbox = change.sandbox.as_ref().unwrap_or(&endpoints.sandbox);
        distinct(production.as_ref(), sandbox.as_ref(), &mut faults);
    }
    faults.finish()?;
    Ok(change)
}

/// Reads a version under a field.
pub(super) fn version(field: &str, text: &str) -> Result<Version, Invalid> {
    Version::parse(text).map_err(|rule| {
        let rule = path(rule);
        Invalid::one(field, rule.reason, rule.description)
    })
}

// === impl Change ===

impl Change {
    fn read(&mut self, field: &str, input: &ApiInput, state: &State, faults: &mut Faults) {
        match field {
            "display_name" => {
                self.display_name = faults.take(
                    "api.display_name",
                    free_text(&input.display_name, DISPLAY_NAME_MAX),
                );
            }
            "description" => {
                self.description = faults.take(
                    "api.description",
                    free_text(&input.description, DESCRIPTION_MAX),
                );
            }
            "tags" => self.tags = Some(tags(&input.tags, faults)),
            "production_endpoint" => {
                self.production = Some(endpoint(
                    "api.production_endpoint",
                    &input.production_endpoint,
                    faults,
                ));
            }
            "sandbox_endpoint" => {
                self.sandbox = Some(endpoint(SANDBOX, &input.sandbox_endpoint, faults));
            }
            "sandbox_keys_on_production_endpoint" => {
                self.sandbox_keys_on_production = Some(input.sandbox_keys_on_production_endpoint);
            }
            "topics" => self.topics = Some(topics::read(&input.topics, state, faults)),
            "plans" => self.plans = Some(plans(&input.plans, state, faults)),
            "policy" => {
                let policy = api_policies::named("api.policy", &input.policy, state, faults);
                self.policy = Some(policy);
            }
            "notice_subprotocols" => {
                self.notice_subprotocols = Some(subprotocols(&input.notice_subprotocols, faults));
            }
            "default_version" => self.default_version = Some(input.default_version),
            _ => self.visibility = Some(input.visibility),
        }
    }

    /// Whether nothing but the plans would change.
    pub(super) const fn only_plans(&self) -> bool {
        self.display_name.is_none()
            && self.description.is_none()
            && self.tags.is_none()
            && self.production.is_none()
            && self.sandbox.is_none()
            && self.sandbox_keys_on_production.is_none()
            && self.topics.is_none()
            && self.policy.is_none()
            && self.notice_subprotocols.is_none()
            && self.default_version.is_none()
            && self.visibility.is_none()
    }

    pub(super) fn apply(self, api: &mut Api) {
        fn set<T>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        set(&mut api.design.display_name, self.display_name);
        set(&mut api.design.description, self.description);
        set(&mut api.design.tags, self.tags);
        set(&mut api.design.endpoints.production, self.production);
        let endpoints = &mut api.design.endpoints;
        set(&mut endpoints.sandbox, self.sandbox);
        set(
            &mut endpoints.sandbox_keys_on_production,
            self.sandbox_keys_on_production,
        );
        set(&mut api.design.topics, self.topics);
        set(
            &mut api.design.notice_subprotocols,
            self.notice_subprotocols,
        );
        set(&mut api.plans, self.plans);
        set(&mut api.policy, self.policy);
        set(&mut api.default_version, self.default_version);
        set(&mut api.visibility, self.visibility);
    }
}

/// A rule of the path grammar as a rule of a field.
pub(super) fn path(broken: InvalidPath) -> Rule {
    let reason = match broken {
        InvalidPath::Empty => reason::REQUIRED,
        InvalidPath::TooLong(_) => reason::TOO_LONG,
        InvalidPath::Forbidden(c) => return forbidden(c),
        _ => reason::MALFORMED,
    };
    Rule::new(reason, broken.to_string())
}

fn endpoint(field: &str, text: &str, faults: &mut Faults) -> Option<EndpointUrl> {
    if text.is_empty() {
        return None;
    }
    faults.take(field, EndpointUrl::parse(text))
}

/// Whoever types the production endpoint in for sandbox keys as well has a setting for that, which says so.
fn distinct(production: Option<&EndpointUrl>, sandbox: Option<&EndpointUrl>, faults: &mut Faults) {
    if sandbox.is_some() && sandbox == production {
        faults.add(
            SANDBOX,
            reason::CONTRADICTION,
            "is the production endpoint; leave it empty and set `sandbox_keys_on_production_endpoint` for sandbox keys to use that one",
        );
    }
}

pub(super) fn at_most<T>(field: &str, items: &[T], max: usize, faults: &mut Faults) {
    if items.len() > max {
        faults.add(
            field,
            reason::TOO_LONG,
            format!("must have at most {max} items"),
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

fn plans(names: &[String], state: &State, faults: &mut Faults) -> BTreeSet<PlanName> {
    let mut plans = BTreeSet::new();
    at_most("api.plans", names, state.plans().len(), faults);
    for (index, name) in names.iter().take(state.plans().len()).enumerate() {
        let field = format!("api.plans[{index}]");
        let known = PlanName::parse(name)
            .ok()
            .filter(|name| state.plans().contains_key(name));
        match known {
            Some(plan) => {
                if !plans.insert(plan) {
                    faults.add(field, reason::DUPLICATE, "stands in the list twice");
                }
            }
            None => faults.add(
                field,
                reason::NOT_FOUND,
                format!("names the plan `{name}`, which does not exist"),
            ),
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
