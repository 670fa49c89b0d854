//! Use cases of APIs: create, read, change, delete. New versions, lifecycle and revisions have files of their own.

use std::sync::Arc;

use tidegate_proto::ids::ApiId;

mod conflict;
mod fields;
pub(super) mod schema;
mod topics;
mod versions;

use super::{
    Service, access, deny_policies, documents,
    edit::Update,
    error::{ServiceError, reason},
    guard::{check_etag, demand},
    lifecycle,
    listing::{self, ListQuery, Page},
    revisions,
};
use crate::domain::{
    actor::Actor,
    api::{Api, Visibility},
    lifecycle::{Action, Lifecycle},
    name::{DEFAULT_ENVIRONMENT, EnvironmentName},
    object::ObjectKey,
    plan::Plan,
    policy::DenyTarget,
    resource::Resource as _,
    state::State,
    topic::Verbs,
    user::Permission,
};
use fields::FIELDS;

/// The fields of an API, as they are sent: not validated yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiInput {
    /// `api_name`.
    pub name: String,
    /// `context`.
    pub context: String,
    /// `version`.
    pub version: String,
    /// `display_name`.
    pub display_name: String,
    /// `description`.
    pub description: String,
    /// `tags`.
    pub tags: Vec<String>,
    /// `production_endpoint`; empty for none.
    pub production_endpoint: String,
    /// `sandbox_endpoint`; empty for none.
    pub sandbox_endpoint: String,
    /// `sandbox_keys_on_production_endpoint`.
    pub sandbox_keys_on_production_endpoint: bool,
    /// `topics`; `/*` when empty.
    pub topics: Vec<TopicInput>,
    /// `plans`, by name without `plans/`.
    pub plans: Vec<String>,
    /// `policy`, without `apiPolicies/`; empty for none.
    pub policy: String,
    /// `notice_subprotocols`.
    pub notice_subprotocols: Vec<String>,
    /// `default_version`.
    pub default_version: bool,
    /// `visible_roles`: everybody when it is `Public`.
    pub visibility: Visibility,
    /// `creator`: the user's name without `users/`; only to find out attempts to change it. Empty when not given.
    pub provider: String,
}

/// A topic, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInput {
    /// `template`.
    pub template: String,
    /// `mapping`; empty for none.
    pub mapping: String,
    /// `verbs`; both when neither is set.
    pub verbs: Verbs,
    /// `policy`, without `apiPolicies/`; empty for none.
    pub policy: String,
    /// `description`.
    pub description: String,
}

/// A change of an API.
pub type ApiUpdate = Update<ApiId, ApiInput>;

impl Service {
    /// Creates an API in the state Created. With `publish` it is also made a first revision of, deployed to the default
    /// environment and published, all in one commit; that needs a publisher, an endpoint and a plan.
    ///
    /// # Errors
    /// `PermissionDenied`, `Invalid`, `AlreadyExists` for a name, context or path that is taken, `FailedPrecondition`
    /// (`NO_ENDPOINT`, `NO_PLAN`), `Storage`, `Unavailable`.
    pub async fn create_api(
        &self,
        actor: &Actor,
        input: ApiInput,
        publish: bool,
    ) -> Result<Arc<Api>, ServiceError> {
        demand(actor, Permission::DesignApis)?;
        if publish {
            demand(actor, Permission::PublishApis)?;
            demand(actor, Permission::DeployApis)?;
        }
        self.commit(actor, "CreateApi", move |draft| {
            let api = fields::new(&input, draft)?;
            conflict::check(draft.state(), &api.name, &api.context, &api.version)?;
            let api = draft.put(api);
            if !publish {
                return Ok(api);
            }
            lifecycle::publishable(&api)?;
            let revision = revisions::copy(draft, &api, "Initial Revision".to_owned())?;
            let environment =
                EnvironmentName::parse(DEFAULT_ENVIRONMENT).expect("shipped names are valid");
            revisions::put_deployment(draft, &revision, environment);
            lifecycle::step(draft, api.id, Action::Publish)
        })
        .await
    }

    /// Gets an API that the actor may see.
    ///
    /// # Errors
    /// `NotFound`, also when the actor may not see it.
    pub fn get_api(&self, actor: &Actor, id: ApiId) -> Result<Arc<Api>, ServiceError> {
        let state = self.state();
        access::api(&state, actor, id).cloned()
    }

    /// Lists the APIs that the actor may see.
    ///
    /// # Errors
    /// `Invalid` for a filter, order, page size or page token that does not read.
    pub fn list_apis(
        &self,
        actor: &Actor,
        query: &ListQuery,
    ) -> Result<Page<Arc<Api>>, ServiceError> {
        let state = self.state();
        let (all, offered) = (
            actor.may(Permission::ViewApis),
            access::offered(&state, Some(actor)),
        );
        let seen = state.apis().values().filter(|api| all || offered(api));
        listing::page(seen, query, &schema::SCHEMA)
    }

    /// Changes an API's working copy. Plans alone need only a publisher.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid` (with `IMMUTABLE` for name, context, version and provider), `Aborted`,
    /// `FailedPrecondition` (`PLAN_IN_USE` for a plan that subscriptions to it use, `NO_PLAN` for the last one of a
    /// published API, `API_RETIRED`), `Storage`, `Unavailable`.
    pub async fn update_api(
        &self,
        actor: &Actor,
        update: ApiUpdate,
    ) -> Result<Arc<Api>, ServiceError> {
        if !actor.may(Permission::DesignApis) {
            demand(actor, Permission::AssignPlans)?;
        }
        self.commit(actor, "UpdateApi", move |draft| {
            let api = access::api(draft.state(), &draft.actor, update.key)?.clone();
            check_etag(&update.etag, &*api)?;
            let mut next = fields::change(&update, &api, draft)?;
            if FIELDS.named(&update).any(|field| field != "plans") {
                demand(&draft.actor, Permission::DesignApis)?;
            }
            if api.state == Lifecycle::Retired {
                return Err(ServiceError::FailedPrecondition {
                    reason: reason::API_RETIRED,
                    resource: api.resource(),
                    description: "the API is retired and cannot be changed; make a new version"
                        .to_owned(),
                });
            }
            keep_plans_in_use(draft.state(), &api, &next)?;
            keep_a_plan(&next)?;
            let is_default = next.default_version;
            if is_default != api.default_version {
                next.default_until = None;
            }
            let next = draft.replace(&api, next);
            match (api.default_version, is_default) {
                (false, true) => versions::take_default_from_others(draft, &next),
                (true, false) => versions::leave_without_default(draft, &next),
                _ => {}
            }
            Ok(next)
        })
        .await
    }

    /// Deletes an API with its revisions, its deployments, its documents, its picture and the deny policy about it. When it
    /// was the default version, the one that was it before is it again.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Aborted`, `FailedPrecondition` (`API_HAS_SUBSCRIPTIONS`), `Storage`, `Unavailable`.
    pub async fn delete_api(
        &self,
        actor: &Actor,
        id: ApiId,
        etag: &str,
    ) -> Result<(), ServiceError> {
        demand(actor, Permission::DesignApis)?;
        let etag = etag.to_owned();
        self.commit(actor, "DeleteApi", move |draft| {
            let api = access::api(draft.state(), &draft.actor, id)?.clone();
            check_etag(&etag, &*api)?;
            let n_subscriptions = draft.state().subscribers_of(id).count();
            if n_subscriptions > 0 {
                return Err(ServiceError::FailedPrecondition {
                    reason: reason::API_HAS_SUBSCRIPTIONS,
                    resource: api.resource(),
                    description: format!(
                        "the API has {n_subscriptions} subscriptions; end them, or retire the API instead"
                    ),
                });
            }
            draft.remove(&api);
            if api.default_version {
                versions::give_default_back(draft, &api);
            }
            deny_policies::remove_with(draft, &DenyTarget::Api(id));
            lifecycle::undeploy_everywhere(draft, id);
            draft.remove_all(|state| state.revisions_of(id).cloned().collect());
            documents::remove_all(draft, id);
            draft.remove_key(ObjectKey::Thumbnail(id));
            Ok(())
        })
        .await
    }
}

/// A plan that subscriptions of the API are under cannot be taken away from it.
fn keep_plans_in_use(state: &State, before: &Api, after: &Api) -> Result<(), ServiceError> {
    let used = before.plans.difference(&after.plans).find(|plan| {
        state
            .subscribers_of(before.id)
            .any(|subscription| subscription.plan == **plan)
    });
    match used {
        None => Ok(()),
        Some(plan) => Err(ServiceError::FailedPrecondition {
            reason: reason::PLAN_IN_USE,
            resource: Plan::name_of(plan),
            description: format!(
                "subscriptions to the API are under the plan `{plan}`; move them to another one first"
            ),
        }),
    }
}

/// What is published is offered under a plan, as when it was published: nobody could subscribe otherwise.
fn keep_a_plan(api: &Api) -> Result<(), ServiceError> {
    if api.state != Lifecycle::Published || !api.plans.is_empty() {
        return Ok(());
    }
    Err(ServiceError::FailedPrecondition {
        reason: reason::NO_PLAN,
        resource: api.resource(),
        description: "a published API is offered under at least one plan; offer another one in the place of the last, \
                      or block or deprecate the API to keep new subscribers away"
            .to_owned(),
    })
}
