//! Use cases of gateway environments.

use std::sync::Arc;

use super::{
    Service,
    error::{ServiceError, reason},
    guard::{check_etag, demand},
    listing::{self, Field, Kind, ListQuery, Page, Schema, kind},
    mask,
};
use crate::domain::{
    actor::Actor,
    endpoint::EndpointUrl,
    environment::Environment,
    invalid::Faults,
    name::{EnvironmentName, fold, free_text},
    object::{Etag, ObjectKey},
    state::State,
    user::Permission,
};

/// An environment as somebody typed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentInput {
    /// The name, without `environments/`.
    pub name: String,
    /// `display_name`; the name when empty.
    pub display_name: String,
    /// `description`.
    pub description: String,
    /// `ws_url`; empty for none.
    pub ws_url: String,
    /// `wss_url`; empty for none.
    pub wss_url: String,
}

impl Service {
    /// Creates an environment.
    ///
    /// # Errors
    /// `PermissionDenied`, `Invalid`, `AlreadyExists`, `Storage`, `Unavailable`.
    pub async fn create_environment(
        &self,
        actor: &Actor,
        input: EnvironmentInput,
    ) -> Result<Arc<Environment>, ServiceError> {
        demand(actor, Permission::ManageEnvironments)?;
        self.commit(actor, "CreateEnvironment", move |draft| {
            let mut faults = Faults::new();
            let name = faults.take("environment_id", EnvironmentName::parse(&input.name));
            let display_name = text(&mut faults, "display_name", &input.display_name, 100);
            let description = text(&mut faults, "description", &input.description, 512);
            let ws_url = url(&mut faults, "ws_url", &input.ws_url);
            let wss_url = url(&mut faults, "wss_url", &input.wss_url);
            faults.finish()?;
            let Some(name) = name else {
                unreachable!("a value that is missing has left a fault");
            };
            let same = |other: &&Arc<Environment>| fold(other.name.as_str()) == fold(name.as_str());
            if let Some(other) = draft.state().environments().values().find(same) {
                return Err(ServiceError::AlreadyExists {
                    resource: format!("environments/{}", other.name),
                    description: "letter case does not tell names apart".to_owned(),
                });
            }
            Ok(draft.put(Environment {
                name,
                display_name,
                description,
                ws_url,
                wss_url,
                created_at: draft.now,
                updated_at: draft.now,
                etag: Etag::FIRST,
            }))
        })
        .await
    }

    /// Gets an environment by name.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get_environment(
        &self,
        actor: &Actor,
        name: &str,
    ) -> Result<Arc<Environment>, ServiceError> {
        let _ = actor;
        find(&self.state(), name)
    }

    /// Lists environments. Filter fields: `name`, `display_name`, `description`. Order fields: `name`, `create_time`,
    /// `update_time`.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn list_environments(
        &self,
        actor: &Actor,
        query: &ListQuery,
    ) -> Result<Page<Arc<Environment>>, ServiceError> {
        let _ = actor;
        listing::page(self.state().environments().values(), query, &SCHEMA)
    }

    /// Changes an environment; mask and etag as in [`super::apis::ApiUpdate`].
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid`, `Aborted`, `Storage`, `Unavailable`.
    pub async fn update_environment(
        &self,
        actor: &Actor,
        input: EnvironmentInput,
        mask: Vec<String>,
        etag: &str,
    ) -> Result<Arc<Environment>, ServiceError> {
        demand(actor, Permission::ManageEnvironments)?;
        let etag = etag.to_owned();
        self.commit(actor, "UpdateEnvironment", move |draft| {
            let environment = find(draft.state(), &input.name)?;
            let resource = || format!("environments/{}", environment.name);
            check_etag(&etag, environment.etag, resource)?;
            let mut faults = Faults::new();
            let populated = |field: &str| match field {
                "display_name" => !input.display_name.is_empty(),
                "description" => !input.description.is_empty(),
                "ws_url" => !input.ws_url.is_empty(),
                _ => !input.wss_url.is_empty(),
            };
            let known = ["display_name", "description", "ws_url", "wss_url"];
            let fields = mask::resolve(&mask, &known, &["name"], populated, &mut faults);
            let mut next = Environment::clone(&environment);
            for field in fields {
                match field {
                    "display_name" => {
                        next.display_name = text(&mut faults, field, &input.display_name, 100);
                    }
                    "description" => {
                        next.description = text(&mut faults, field, &input.description, 512);
                    }
                    "ws_url" => next.ws_url = url(&mut faults, field, &input.ws_url),
                    _ => next.wss_url = url(&mut faults, field, &input.wss_url),
                }
            }
            faults.finish()?;
            if next == *environment {
                return Ok(environment);
            }
            next.updated_at = draft.now;
            next.etag = environment.etag.next();
            Ok(draft.put(next))
        })
        .await
    }

    /// Deletes an environment.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Aborted`, `FailedPrecondition` (`DEFAULT_ENVIRONMENT`, `ENVIRONMENT_IN_USE`),
    /// `Storage`, `Unavailable`.
    pub async fn delete_environment(
        &self,
        actor: &Actor,
        name: &str,
        etag: &str,
    ) -> Result<(), ServiceError> {
        demand(actor, Permission::ManageEnvironments)?;
        let (name, etag) = (name.to_owned(), etag.to_owned());
        self.commit(actor, "DeleteEnvironment", move |draft| {
            let environment = find(draft.state(), &name)?;
            let resource = format!("environments/{}", environment.name);
            check_etag(&etag, environment.etag, || resource.clone())?;
            if environment.is_default() {
                return Err(ServiceError::FailedPrecondition {
                    reason: reason::DEFAULT_ENVIRONMENT,
                    resource,
                    description: "the environment that ships cannot be deleted".to_owned(),
                });
            }
            let n_deployments = draft.state().deployments_on(&environment.name).count();
            if n_deployments > 0 {
                return Err(ServiceError::FailedPrecondition {
                    reason: reason::ENVIRONMENT_IN_USE,
                    resource,
                    description: format!(
                        "{n_deployments} APIs are deployed on the environment; undeploy them first"
                    ),
                });
            }
            draft.remove(ObjectKey::Environment(environment.name.clone()));
            Ok(())
        })
        .await
    }
}

const SCHEMA: Schema<Environment> = Schema {
    filter: &[
        ("name", kind::ENVIRONMENT),
        ("display_name", Kind::Text),
        ("description", Kind::Text),
    ],
    order: &["name", "create_time", "update_time"],
    default_order: "name",
    get: |environment, field| match field {
        "name" => Field::text(&environment.name),
        "display_name" => Field::text(&environment.display_name),
        "description" => Field::text(&environment.description),
        "create_time" => Field::time(environment.created_at),
        _ => Field::time(environment.updated_at),
    },
    id: |environment| environment.name.to_string(),
};

fn find(state: &State, name: &str) -> Result<Arc<Environment>, ServiceError> {
    let environment = EnvironmentName::parse(name)
        .ok()
        .and_then(|name| state.environments().get(&name));
    environment
        .cloned()
        .ok_or_else(|| ServiceError::NotFound(format!("environments/{name}")))
}

fn text(faults: &mut Faults, field: &str, text: &str, max: usize) -> String {
    let field = format!("environment.{field}");
    faults
        .take(&field, free_text(text, max))
        .unwrap_or_default()
}

fn url(faults: &mut Faults, field: &str, text: &str) -> Option<EndpointUrl> {
    if text.is_empty() {
        return None;
    }
    faults.take(&format!("environment.{field}"), EndpointUrl::parse(text))
}
