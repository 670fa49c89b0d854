//! Use cases of an API's lifecycle.

use std::sync::Arc;

use tidegate_proto::ids::ApiId;

use super::{
    Service, access,
    draft::Draft,
    error::{ServiceError, reason},
    guard::{check_etag, demand},
};
use crate::domain::{
    actor::Actor,
    api::Api,
    lifecycle::{Action, HISTORY_MAX, Lifecycle, LifecycleEvent},
    resource::Resource as _,
    user::Permission,
};

impl Service {
    /// Takes a step in an API's lifecycle. Publishing needs an endpoint and a plan; retiring also undeploys. The history
    /// is in the API itself.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Aborted`, `FailedPrecondition` (`LIFECYCLE_MOVE_NOT_ALLOWED`, `NO_ENDPOINT`,
    /// `NO_PLAN`), `Storage`, `Unavailable`.
    pub async fn change_lifecycle(
        &self,
        actor: &Actor,
        id: ApiId,
        action: Action,
        etag: &str,
    ) -> Result<Arc<Api>, ServiceError> {
        demand(actor, Permission::PublishApis)?;
        let etag = etag.to_owned();
        self.commit(actor, "ChangeLifecycle", move |draft| {
            let api = access::api(draft.state(), &draft.actor, id)?.clone();
            check_etag(&etag, &*api)?;
            step(draft, id, action)
        })
        .await
    }
}

/// Takes a step in the lifecycle of an API.
pub(super) fn step(draft: &mut Draft, id: ApiId, action: Action) -> Result<Arc<Api>, ServiceError> {
    let api = access::api(draft.state(), &draft.actor, id)?.clone();
    let Some(to) = api.state.after(action) else {
        let allowed: Vec<_> = api.state.actions().map(Action::as_str).collect();
        let allowed = if allowed.is_empty() {
            "nothing".to_owned()
        } else {
            allowed.join(", ")
        };
        return Err(ServiceError::FailedPrecondition {
            reason: reason::LIFECYCLE_MOVE_NOT_ALLOWED,
            resource: api.resource(),
            description: format!(
                "{action} is not allowed in {}; allowed is {allowed}",
                api.state
            ),
        });
    };
    if to == Lifecycle::Published {
        publishable(&api)?;
    }
    let mut next = Api::clone(&api);
    next.state = to;
    next.history.push(LifecycleEvent {
        at: draft.now,
        by: draft.actor.name.to_string(),
        action: Some(action),
        from: Some(api.state),
        to,
    });
    let surplus = next.history.len().saturating_sub(HISTORY_MAX);
    next.history.drain(..surplus);
    let next = draft.replace(&api, next);
    if to == Lifecycle::Retired {
        undeploy_everywhere(draft, id);
    }
    Ok(next)
}

/// Refuses to publish what leads nowhere or is offered under no plan.
pub(super) fn publishable(api: &Api) -> Result<(), ServiceError> {
    let missing = |reason, description: &str| ServiceError::FailedPrecondition {
        reason,
        resource: api.resource(),
        description: description.to_owned(),
    };
    if api.design.endpoints.is_empty() {
        return Err(missing(
            reason::NO_ENDPOINT,
            "an API without an endpoint cannot be published; give it one",
        ));
    }
    if api.plans.is_empty() {
        return Err(missing(
            reason::NO_PLAN,
            "an API without a plan cannot be published; offer at least one",
        ));
    }
    Ok(())
}

/// Takes an API off every environment.
pub(super) fn undeploy_everywhere(draft: &mut Draft, id: ApiId) {
    draft.remove_all(|state| state.deployments_of(id).cloned().collect());
}
