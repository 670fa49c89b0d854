//! What lists of APIs may be asked for.

use crate::{
    domain::{api::Api, lifecycle::Lifecycle},
    service::listing::{Kind, Schema, Value, kind},
};

pub(in crate::service) const SCHEMA: Schema<Api> = Schema {
    filter: &[
        ("text", Kind::Text),
        ("api_name", Kind::Text),
        ("name", kind::API_OR_NAME),
        ("context", Kind::Text),
        ("version", Kind::Text),
        ("display_name", Kind::Text),
        ("description", Kind::Text),
        ("tags", Kind::Text),
        (
            "state",
            Kind::Word(|| Lifecycle::ALL.map(Lifecycle::as_str).to_vec()),
        ),
        ("plans", kind::PLAN),
        ("policy", kind::API_POLICY),
        ("creator", kind::USER),
        ("default_version", Kind::Bool),
        ("create_time", Kind::Time),
        ("update_time", Kind::Time),
    ],
    order: &[
        "api_name",
        "name",
        "context",
        "version",
        "state",
        "create_time",
        "update_time",
    ],
    default_order: "create_time",
    get: |api, field| match field {
        "text" => searched(api),
        "api_name" => Value::text(&api.name),
        "name" => Value::Texts(vec![api.name.to_string(), api.id.to_string()]),
        "context" => Value::text(&api.context),
        "version" => Value::text(&api.version),
        "display_name" => Value::text(&api.design.display_name),
        "description" => Value::text(&api.design.description),
        "tags" => Value::Texts(api.design.tags.iter().cloned().collect()),
        "state" => Value::text(api.state),
        "plans" => Value::Texts(api.plans.iter().map(ToString::to_string).collect()),
        "policy" => Value::optional(api.policy.as_ref()),
        "creator" => Value::text(&api.provider),
        "default_version" => Value::Bool(api.default_version),
        _ => Value::of_meta(&api.meta, field),
    },
    id: |api| api.id.to_string(),
};

/// What a search for a word looks through.
pub(in crate::service) fn searched(api: &Api) -> Value {
    let design = &api.design;
    let tags = design.tags.iter().map(String::as_str);
    let texts = [
        api.name.as_str(),
        &design.display_name,
        api.context.as_str(),
        &design.description,
    ];
    Value::Text(texts.into_iter().chain(tags).collect::<Vec<_>>().join("\n"))
}
