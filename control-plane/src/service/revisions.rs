//! Use cases of revisions and their deployments.

use std::sync::Arc;

use tidegate_proto::ids::{ApiId, RevisionId};

use super::{
    Service, access,
    draft::Draft,
    error::{ServiceError, reason},
    guard::{check_etag, demand, existing, find_in},
    listing::{self, Kind, ListQuery, Page, Schema, Value, kind},
};
use crate::domain::{
    actor::Actor,
    api::Api,
    environment::Environment,
    invalid::{self, Faults, Invalid},
    lifecycle::Lifecycle,
    name::{EnvironmentName, free_text},
    object::ObjectKey,
    resource::Resource as _,
    revision::{Deployment, REVISIONS_MAX, Revision},
    state::State,
    user::Permission,
};

impl Service {
    /// Copies an API's design into a new revision.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid`, `FailedPrecondition` (`REVISION_LIMIT`), `Storage`, `Unavailable`.
    pub async fn create_revision(
        &self,
        actor: &Actor,
        api: ApiId,
        description: &str,
    ) -> Result<Arc<Revision>, ServiceError> {
        demand(actor, Permission::DesignApis)?;
        let mut faults = Faults::new();
        faults.take("revision.description", free_text(description, 255));
        faults.finish()?;
        let description = description.to_owned();
        self.commit(actor, "CreateRevision", move |draft| {
            let api = access::api(draft.state(), &draft.actor, api)?.clone();
            copy(draft, &api, description)
        })
        .await
    }

    /// Gets a revision of an API that the actor may design, publish or deploy.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`.
    pub fn get_revision(
        &self,
        actor: &Actor,
        api: ApiId,
        id: RevisionId,
    ) -> Result<Arc<Revision>, ServiceError> {
        demand(actor, Permission::ViewApis)?;
        let state = self.state();
        access::api(&state, actor, api)?;
        find_in::<Revision>(&state, &api, &id).cloned()
    }

    /// Lists the revisions of an API, by default the oldest first.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid`.
    pub fn list_revisions(
        &self,
        actor: &Actor,
        api: ApiId,
        query: &ListQuery,
    ) -> Result<Page<Arc<Revision>>, ServiceError> {
        demand(actor, Permission::ViewApis)?;
        let state = self.state();
        access::api(&state, actor, api)?;
        listing::page(state.revisions_of(api), query, &SCHEMA)
    }

    /// Deletes a revision.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `FailedPrecondition` (`REVISION_DEPLOYED`), `Storage`, `Unavailable`.
    pub async fn delete_revision(
        &self,
        actor: &Actor,
        api: ApiId,
        id: RevisionId,
    ) -> Result<(), ServiceError> {
        demand(actor, Permission::DesignApis)?;
        self.commit(actor, "DeleteRevision", move |draft| {
            let revision = find_in::<Revision>(draft.state(), &api, &id)?.clone();
            if let Some(deployment) = draft.state().deployments_of(api).find(|d| d.revision == id) {
                return Err(ServiceError::FailedPrecondition {
                    reason: reason::REVISION_DEPLOYED,
                    resource: revision.resource(),
                    description: format!(
                        "the revision runs on `{}`; undeploy it first",
                        deployment.environment
                    ),
                });
            }
            draft.remove(&revision);
            Ok(())
        })
        .await
    }

    /// Copies a revision back into the working copy. `etag` is the API's.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Aborted`, `FailedPrecondition` (`API_RETIRED`), `Storage`, `Unavailable`.
    pub async fn restore_revision(
        &self,
        actor: &Actor,
        api: ApiId,
        id: RevisionId,
        etag: &str,
    ) -> Result<Arc<Api>, ServiceError> {
        demand(actor, Permission::DesignApis)?;
        let etag = etag.to_owned();
        self.commit(actor, "RestoreRevision", move |draft| {
            let revision = find_in::<Revision>(draft.state(), &api, &id)?.clone();
            let api = access::api(draft.state(), &draft.actor, api)?.clone();
            check_etag(&etag, &*api)?;
            refuse_retired(&api)?;
            let mut next = Api::clone(&api);
            next.design = revision.design.clone();
            Ok(draft.replace(&api, next))
        })
        .await
    }

    /// What is deployed of an API where, by environment, for those who may see nodes. How far each node is with it, the
    /// fleet view tells (`discovery`).
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`.
    pub fn list_deployments(
        &self,
        actor: &Actor,
        api: ApiId,
    ) -> Result<Vec<Arc<Deployment>>, ServiceError> {
        self.may_view_nodes(actor, None)?;
        let state = self.state();
        access::api(&state, actor, api)?;
        Ok(state.deployments_of(api).cloned().collect())
    }

    /// Puts a revision on environments, in the place of what runs there of the API.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid` for an unknown environment or none, `FailedPrecondition`
    /// (`NO_ENDPOINT`, `API_RETIRED`), `Storage`, `Unavailable`.
    pub async fn deploy_revision(
        &self,
        actor: &Actor,
        api: ApiId,
        id: RevisionId,
        environments: &[String],
    ) -> Result<Arc<Revision>, ServiceError> {
        demand(actor, Permission::DeployApis)?;
        let environments = environments.to_vec();
        self.commit(actor, "DeployRevision", move |draft| {
            let revision = find_in::<Revision>(draft.state(), &api, &id)?.clone();
            let api = access::api(draft.state(), &draft.actor, api)?.clone();
            refuse_retired(&api)?;
            let environments = known_environments(draft.state(), &environments)?;
            if revision.design.endpoints.is_empty() {
                return Err(ServiceError::FailedPrecondition {
                    reason: reason::NO_ENDPOINT,
                    resource: revision.resource(),
                    description: "a revision without an endpoint cannot be deployed; give the API one and make a new revision".to_owned(),
                });
            }
            for environment in environments {
                put_deployment(draft, &revision, environment);
            }
            Ok(revision)
        })
        .await
    }

    /// Takes a revision off environments.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid` for an unknown environment or none, `FailedPrecondition`
    /// (`NOT_DEPLOYED`), `Storage`, `Unavailable`.
    pub async fn undeploy_revision(
        &self,
        actor: &Actor,
        api: ApiId,
        id: RevisionId,
        environments: &[String],
    ) -> Result<Arc<Revision>, ServiceError> {
        demand(actor, Permission::DeployApis)?;
        let environments = environments.to_vec();
        self.commit(actor, "UndeployRevision", move |draft| {
            let revision = find_in::<Revision>(draft.state(), &api, &id)?.clone();
            let running: Vec<_> = draft
                .state()
                .deployments_of(api)
                .filter(|deployment| deployment.revision == id)
                .map(|deployment| deployment.environment.clone())
                .collect();
            let wanted = known_environments(draft.state(), &environments)?;
            if let Some(missing) = wanted.iter().find(|name| !running.contains(name)) {
                return Err(ServiceError::FailedPrecondition {
                    reason: reason::NOT_DEPLOYED,
                    resource: revision.resource(),
                    description: format!("the revision does not run on `{missing}`"),
                });
            }
            for environment in wanted {
                draft.remove_key(ObjectKey::Deployment(api, environment));
            }
            Ok(revision)
        })
        .await
    }
}

const SCHEMA: Schema<Revision> = Schema {
    filter: &[
        ("number", Kind::Number),
        ("description", Kind::Text),
        ("creator", kind::USER),
    ],
    order: &["number", "create_time"],
    default_order: "number",
    get: |revision, field| match field {
        "number" => Value::Number(u64::from(revision.number)),
        "description" => Value::text(&revision.description),
        "creator" => Value::text(&revision.created_by),
        _ => Value::time(revision.created_at),
    },
    id: |revision| revision.id.to_string(),
};

/// Copies an API's design into its next revision.
pub(super) fn copy(
    draft: &mut Draft,
    api: &Api,
    description: String,
) -> Result<Arc<Revision>, ServiceError> {
    if draft.state().revisions_of(api.id).count() >= REVISIONS_MAX {
        return Err(ServiceError::FailedPrecondition {
            reason: reason::REVISION_LIMIT,
            resource: api.resource(),
            description: format!(
                "the API has {REVISIONS_MAX} revisions, as many as it may; delete one first"
            ),
        });
    }
    let number = api.last_revision + 1;
    let revision = draft.put(Revision {
        id: RevisionId::generate(),
        api: api.id,
        number,
        description,
        design: api.design.clone(),
        created_by: draft.actor.name.to_string(),
        created_at: draft.now,
    });
    // The working copy is as it was, so its etag and time stay.
    let mut next = Api::clone(api);
    next.last_revision = number;
    draft.put(next);
    Ok(revision)
}

/// Puts a revision on an environment, in the place of what runs there of the API.
pub(super) fn put_deployment(draft: &mut Draft, revision: &Revision, environment: EnvironmentName) {
    draft.put(Deployment {
        api: revision.api,
        environment,
        revision: revision.id,
        deployed_by: draft.actor.name.to_string(),
        deployed_at: draft.now,
        number: draft.number(),
    });
}

fn refuse_retired(api: &Api) -> Result<(), ServiceError> {
    if api.state == Lifecycle::Retired {
        return Err(ServiceError::FailedPrecondition {
            reason: reason::API_RETIRED,
            resource: api.resource(),
            description: "the API is retired; make a new version".to_owned(),
        });
    }
    Ok(())
}

fn known_environments(state: &State, names: &[String]) -> Result<Vec<EnvironmentName>, Invalid> {
    let mut faults = Faults::new();
    if names.is_empty() {
        let required = invalid::reason::REQUIRED;
        faults.add("environments", required, "must name at least one");
    }
    let names = names.iter().enumerate();
    let known = names.filter_map(|(index, name)| {
        let field = format!("environments[{index}]");
        existing::<Environment>(&field, ("environment", name), state, &mut faults)
    });
    let known = known.collect();
    faults.finish()?;
    Ok(known)
}
