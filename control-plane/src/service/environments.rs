//! Gateway environments: what is their own in the standard methods.

use super::{
    edit::{EditableField, EditableFields, FieldContext},
    error::{ServiceError, reason},
    listing::{Kind, Schema, Value, kind},
    standard::Standard,
};
use crate::domain::{
    endpoint::EndpointUrl, environment::Environment, meta::ResourceMeta, name::EnvironmentName,
    resource::Resource as _, state::State, user::Permission,
};

/// The fields of an environment, as they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentInput {
    /// `display_name`; the name when empty.
    pub display_name: String,
    /// `description`.
    pub description: String,
    /// `ws_url`; empty for none.
    pub ws_url: String,
    /// `wss_url`; empty for none.
    pub wss_url: String,
}

impl Standard for Environment {
    type Input = EnvironmentInput;

    const KIND: &'static str = "Environment";
    const MANAGE: Permission = Permission::ManageEnvironments;
    const FIELDS: EditableFields<Self, EnvironmentInput> = EditableFields {
        root: "environment",
        all: &[
            EditableField {
                name: "display_name",
                is_given: |input| !input.display_name.is_empty(),
                set: |it, input, at| at.text(&mut it.display_name, &input.display_name, 100),
            },
            EditableField {
                name: "description",
                is_given: |input| !input.description.is_empty(),
                set: |it, input, at| at.text(&mut it.description, &input.description, 512),
            },
            EditableField {
                name: "ws_url",
                is_given: |input| !input.ws_url.is_empty(),
                set: |it, input, at| it.ws_url = url(&input.ws_url, at),
            },
            EditableField {
                name: "wss_url",
                is_given: |input| !input.wss_url.is_empty(),
                set: |it, input, at| it.wss_url = url(&input.wss_url, at),
            },
        ],
        fixed: &["name"],
    };
    const SCHEMA: Schema<Self> = Schema {
        filter: &[
            ("name", kind::ENVIRONMENT),
            ("display_name", Kind::Text),
            ("description", Kind::Text),
        ],
        order: &["name", "create_time", "update_time"],
        default_order: "name",
        get: |environment, field| match field {
            "name" => Value::text(&environment.name),
            "display_name" => Value::text(&environment.display_name),
            "description" => Value::text(&environment.description),
            _ => Value::of_meta(&environment.meta, field),
        },
        id: |environment| environment.name.to_string(),
    };

    fn new(name: EnvironmentName, meta: ResourceMeta) -> Self {
        Self {
            name,
            display_name: String::new(),
            description: String::new(),
            ws_url: None,
            wss_url: None,
            meta,
        }
    }

    fn check_unused(&self, state: &State) -> Result<(), ServiceError> {
        let n_deployments = state.deployments_on(&self.name).count();
        let (reason, description) = if self.is_default() {
            let why = "the environment that ships cannot be deleted";
            (reason::DEFAULT_ENVIRONMENT, why.to_owned())
        } else if n_deployments > 0 {
            let why = format!(
                "{n_deployments} APIs are deployed on the environment; undeploy them first"
            );
            (reason::ENVIRONMENT_IN_USE, why)
        } else {
            return Ok(());
        };
        Err(ServiceError::FailedPrecondition {
            reason,
            resource: self.resource(),
            description,
        })
    }
}

/// An address; empty for none.
fn url(text: &str, at: &mut FieldContext<'_>) -> Option<EndpointUrl> {
    if text.is_empty() {
        return None;
    }
    at.take(EndpointUrl::parse(text))
}
