//! Use cases of APIs: create, read, change, delete. New versions, lifecycle and revisions have files of their own.

use std::{collections::HashSet, sync::Arc};

use tidegate_proto::ids::ApiId;

mod conflict;
mod topics;
mod validate;
mod versions;

use super::{
    Service, deny_policies, documents,
    error::{ServiceError, reason},
    guard::{check_etag, demand},
    lifecycle,
    listing::{self, Field, Kind, ListQuery, Page, Schema, kind},
    revisions,
};
use crate::domain::{
    actor::{Actor, Visitor},
    api::{Api, Visibility},
    lifecycle::{Action, Lifecycle, LifecycleEvent},
    name::{DEFAULT_ENVIRONMENT, EnvironmentName, UserName},
    object::{Etag, ObjectKey},
    policy::DenyTarget,
    state::State,
    topic::Verbs,
    user::Permission,
};

/// An API as somebody typed it. Fields of the admin API's message, not validated yet.
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

/// A topic as somebody typed it.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiUpdate {
    /// Which API.
    pub id: ApiId,
    /// The new values.
    pub input: ApiInput,
    /// The fields to change, as in the admin API's message; empty for those that are not empty in `input`; `*` for all.
    pub mask: Vec<String>,
    /// When not empty, it must be the current one.
    pub etag: String,
}

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
            let valid = validate::new(&input, draft.state())?;
            conflict::check(draft.state(), &valid.name, &valid.context, &valid.version)?;
            let by = draft.actor.name.to_string();
            let api = Api {
                id: ApiId::generate(),
                name: valid.name,
                context: valid.context,
                version: valid.version,
                owner: draft.actor.user,
                provider: UserName::parse(&by).expect("actors have valid names"),
                design: valid.design,
                plans: valid.plans,
                policy: valid.policy,
                visibility: input.visibility,
                default_version: input.default_version,
                default_until: None,
                state: Lifecycle::Created,
                history: vec![created(draft.now, by)],
                quota_generation: 0,
                last_revision: 0,
                created_at: draft.now,
                updated_at: draft.now,
                etag: Etag::FIRST,
            };
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
        visible(&state, actor, id).cloned()
    }

    /// Lists the APIs that the actor may see. Filter fields: `text` (all texts and tags), `name` (or `api_name`), `context`, `version`, `state`,
    /// `tag`, `provider`, `display_name`, `description`, `default_version`, `plan`. Order fields: `name`, `context`,
    /// `version`, `state`, `create_time`, `update_time`.
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
            offered(&state, Some(actor)),
        );
        let seen = state.apis().values().filter(|api| all || offered(api));
        listing::page(seen, query, &SCHEMA)
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
            let api = visible(draft.state(), &draft.actor, update.id)?.clone();
            check_etag(&update.etag, api.etag, || api.resource())?;
            let change = validate::change(&update, &api, draft.state())?;
            if !change.only_plans() {
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
            let mut next = Api::clone(&api);
            change.apply(&mut next);
            keep_plans_in_use(draft.state(), &api, &next)?;
            keep_a_plan(&next)?;
            if next == *api {
                return Ok(api);
            }
            next.updated_at = draft.now;
            next.etag = api.etag.next();
            let is_default = next.default_version;
            if is_default != api.default_version {
                next.default_until = None;
            }
            let next = draft.put(next);
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
            let api = visible(draft.state(), &draft.actor, id)?.clone();
            check_etag(&etag, api.etag, || api.resource())?;
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
            draft.remove(ObjectKey::Api(id));
            if api.default_version {
                versions::give_default_back(draft, &api);
            }
            deny_policies::remove_with(draft, &DenyTarget::Api(id));
            lifecycle::undeploy_everywhere(draft, id);
            let revisions: Vec<_> = draft.state().revisions_of(id).map(|r| r.id).collect();
            for revision in revisions {
                draft.remove(ObjectKey::Revision(revision));
            }
            documents::remove_all(draft, id);
            draft.remove(ObjectKey::Thumbnail(id));
            Ok(())
        })
        .await
    }
}

const SCHEMA: Schema<Api> = Schema {
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
        "api_name" => Field::text(&api.name),
        "name" => Field::Texts(vec![api.name.to_string(), api.id.to_string()]),
        "context" => Field::text(&api.context),
        "version" => Field::text(&api.version),
        "display_name" => Field::text(&api.design.display_name),
        "description" => Field::text(&api.design.description),
        "tags" => Field::Texts(api.design.tags.iter().cloned().collect()),
        "state" => Field::text(api.state),
        "plans" => Field::Texts(api.plans.iter().map(ToString::to_string).collect()),
        "policy" => Field::optional(api.policy.as_ref()),
        "creator" => Field::text(&api.provider),
        "default_version" => Field::Bool(api.default_version),
        "create_time" => Field::time(api.created_at),
        _ => Field::time(api.updated_at),
    },
    id: |api| api.id.to_string(),
};

/// Whether an actor may see an API: designers all; others what the catalogue shows them.
pub(super) fn may_see(state: &State, actor: &Actor, api: &Api) -> bool {
    actor.may(Permission::ViewApis) || is_offered(state, Some(actor), api)
}

/// Whether the catalogue shows an API to an actor, or to whoever comes: what is listed for the actor's roles (to
/// designers whatever is listed), and what the actor's own applications are subscribed to, unless it is retired.
pub(super) fn is_offered(state: &State, actor: Option<&Actor>, api: &Api) -> bool {
    is_listed_for(actor, api)
        || is_kept(api)
            && actor.and_then(|actor| actor.user).is_some_and(|user| {
                state
                    .applications_of(user)
                    .any(|application| state.subscription_between(application.id, api.id).is_some())
            })
}

/// Whether [`is_offered`], to be asked of many APIs: what the actor is subscribed to is looked up once.
pub(super) fn offered<'a>(
    state: &'a State,
    actor: Option<&'a Actor>,
) -> impl Fn(&Api) -> bool + use<'a> {
    let user = actor.and_then(|actor| actor.user).into_iter();
    let own: HashSet<ApiId> = user
        .flat_map(|user| state.applications_of(user))
        .flat_map(|application| state.subscriptions_of(application.id))
        .map(|subscription| subscription.api)
        .collect();
    move |api| is_listed_for(actor, api) || is_kept(api) && own.contains(&api.id)
}

fn is_listed_for(actor: Option<&Actor>, api: &Api) -> bool {
    let for_roles = match api.visibility {
        Visibility::Public => true,
        Visibility::Restricted(roles) => actor
            .is_some_and(|actor| roles.intersects(actor.roles) || actor.may(Permission::ViewApis)),
    };
    api.state.is_listed() && for_roles
}

/// Whether those who are subscribed find it, whatever their roles.
fn is_kept(api: &Api) -> bool {
    matches!(api.state, Lifecycle::Deprecated) || api.state.is_listed()
}

/// What a search for a word looks through.
pub(super) fn searched(api: &Api) -> Field {
    let design = &api.design;
    let tags = design.tags.iter().map(String::as_str);
    let texts = [
        api.name.as_str(),
        &design.display_name,
        api.context.as_str(),
        &design.description,
    ];
    Field::Text(texts.into_iter().chain(tags).collect::<Vec<_>>().join("\n"))
}

/// The API of an id, when the actor may see it.
pub(super) fn visible<'a>(
    state: &'a State,
    actor: &Actor,
    id: ApiId,
) -> Result<&'a Arc<Api>, ServiceError> {
    state
        .apis()
        .get(&id)
        .filter(|api| may_see(state, actor, api))
        .ok_or_else(|| ServiceError::NotFound(format!("apis/{id}")))
}

/// The API of an id, when a visitor may see it.
pub(super) fn seen<'a>(
    state: &'a State,
    visitor: &Visitor,
    id: ApiId,
) -> Result<&'a Arc<Api>, ServiceError> {
    match visitor {
        Visitor::SignedIn(actor) => visible(state, actor, id),
        Visitor::Anonymous => state
            .apis()
            .get(&id)
            .filter(|api| is_offered(state, None, api))
            .ok_or_else(|| ServiceError::NotFound(format!("apis/{id}"))),
    }
}

fn created(at: crate::domain::time::Timestamp, by: String) -> LifecycleEvent {
    LifecycleEvent {
        at,
        by,
        action: None,
        from: None,
        to: Lifecycle::Created,
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
            resource: format!("plans/{plan}"),
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
