//! Use cases of subscriptions. Subscribers handle those of their own applications; publishers block and unblock any and
//! change its plan; admins do all.

use std::sync::Arc;

use tidegate_proto::ids::{ApiId, ApplicationId, SubscriptionId};

use super::{
    Service,
    apis::may_see,
    applications::owned,
    draft::Draft,
    error::{ServiceError, reason},
    guard::{check_etag, demand, fixed},
    listing::{self, Field, Kind, ListQuery, Page, Schema, kind},
    mask,
    quotas::keep_generation,
};
use crate::domain::{
    actor::Actor,
    api::Api,
    application::Application,
    invalid::{self, Faults},
    lifecycle::Lifecycle,
    name::PlanName,
    object::{Etag, ObjectKey},
    state::State,
    subscription::{Subscription, SubscriptionState},
    user::Permission,
};

/// A change of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionUpdate {
    /// Which subscription.
    pub id: SubscriptionId,
    /// `plan`, without `plans/`.
    pub plan: String,
    /// `application`; only to find out attempts to change it.
    pub application: Option<ApplicationId>,
    /// `api`; only to find out attempts to change it.
    pub api: Option<ApiId>,
    /// The fields to change.
    pub mask: Vec<String>,
    /// When not empty, it must be the current one.
    pub etag: String,
}

/// Whose a subscription is and to what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parties {
    /// The application that subscribed.
    pub application: Arc<Application>,
    /// The API.
    pub api: Arc<Api>,
}

impl Service {
    /// Whose a subscription is and to what it is. Whoever was given the subscription may know their names, although he
    /// may not see either. `None` when it is gone meanwhile.
    #[must_use]
    pub fn parties(&self, subscription: &Subscription) -> Option<Parties> {
        let state = self.state();
        Some(Parties {
            application: state.applications().get(&subscription.application)?.clone(),
            api: state.apis().get(&subscription.api)?.clone(),
        })
    }

    /// Subscribes an application to an API under a plan (by name, without `plans/`).
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid` for an unknown plan, `AlreadyExists`, `FailedPrecondition`
    /// (`API_NOT_PUBLISHED`, `PLAN_NOT_OFFERED`), `Storage`, `Unavailable`.
    pub async fn create_subscription(
        &self,
        actor: &Actor,
        application: ApplicationId,
        api: ApiId,
        plan: &str,
    ) -> Result<Arc<Subscription>, ServiceError> {
        demand(actor, Permission::Subscribe)?;
        let plan = plan.to_owned();
        self.commit(actor, "CreateSubscription", move |draft| {
            let state = draft.state();
            let subscriber = owned(state, &draft.actor, application)?.clone();
            let Some(api) = state
                .apis()
                .get(&api)
                .filter(|it| may_see(state, &draft.actor, it))
            else {
                return Err(ServiceError::NotFound(format!("apis/{api}")));
            };
            let api = api.clone();
            let plan = known_plan(state, &plan)?;
            if let Some(other) = state.subscription_between(application, api.id) {
                return Err(ServiceError::AlreadyExists {
                    resource: other.resource(),
                    description: "the application is subscribed to the API".to_owned(),
                });
            }
            if !api.state.takes_subscriptions() {
                return Err(ServiceError::FailedPrecondition {
                    reason: reason::API_NOT_PUBLISHED,
                    resource: api.resource(),
                    description: format!("the API is {} and takes no subscriptions", api.state),
                });
            }
            refuse_not_offered(&api, &plan)?;
            Ok(draft.put(Subscription {
                id: SubscriptionId::generate(),
                application,
                api: api.id,
                plan,
                state: SubscriptionState::Active,
                quota_generation: subscriber.ended_generation(api.id),
                created_at: draft.now,
                updated_at: draft.now,
                etag: Etag::FIRST,
            }))
        })
        .await
    }

    /// Gets a subscription that the actor may see.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`.
    pub fn get_subscription(
        &self,
        actor: &Actor,
        id: SubscriptionId,
    ) -> Result<Arc<Subscription>, ServiceError> {
        demand_any(actor)?;
        visible(&self.state(), actor, id).cloned()
    }

    /// Lists the subscriptions that the actor may see. Filter fields: `application` (`applications/{id}`), `api`
    /// (`apis/{id}`), `plan` (`plans/{name}`), `state`. Order fields: `plan`, `state`, `create_time`, `update_time`.
    ///
    /// # Errors
    /// `PermissionDenied`, `Invalid`.
    pub fn list_subscriptions(
        &self,
        actor: &Actor,
        query: &ListQuery,
    ) -> Result<Page<Arc<Subscription>>, ServiceError> {
        demand_any(actor)?;
        let state = self.state();
        listing::page(candidates(&state, actor, query), query, &SCHEMA)
    }

    /// Changes the plan of a subscription.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid`, `Aborted`, `FailedPrecondition` (`PLAN_NOT_OFFERED`), `Storage`,
    /// `Unavailable`.
    pub async fn update_subscription(
        &self,
        actor: &Actor,
        update: SubscriptionUpdate,
    ) -> Result<Arc<Subscription>, ServiceError> {
        demand_any(actor)?;
        self.commit(actor, "UpdateSubscription", move |draft| {
            let subscription = visible(draft.state(), &draft.actor, update.id)?.clone();
            check_etag(&update.etag, subscription.etag, || subscription.resource())?;
            let mut faults = Faults::new();
            let application = update.application.map(|id| format!("applications/{id}"));
            fixed(
                &mut faults,
                "subscription.application",
                &application.unwrap_or_default(),
                &format!("applications/{}", subscription.application),
            );
            let api = update.api.map(|id| format!("apis/{id}"));
            fixed(
                &mut faults,
                "subscription.api",
                &api.unwrap_or_default(),
                &format!("apis/{}", subscription.api),
            );
            let populated = |_: &str| !update.plan.is_empty();
            let never = ["application", "api"];
            let fields = mask::resolve(&update.mask, &["plan"], &never, populated, &mut faults);
            faults.finish()?;
            if fields.is_empty() {
                return Ok(subscription);
            }
            let plan = known_plan(draft.state(), &update.plan)?;
            if plan == subscription.plan {
                return Ok(subscription);
            }
            if let Some(api) = draft.state().apis().get(&subscription.api) {
                refuse_not_offered(api, &plan)?;
            }
            let mut next = Subscription::clone(&subscription);
            next.plan = plan;
            next.updated_at = draft.now;
            next.etag = subscription.etag.next();
            Ok(draft.put(next))
        })
        .await
    }

    /// Ends a subscription. One that is blocked stays, unless the actor could unblock it (see [`refuse_shedding`]).
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Aborted`, `FailedPrecondition` (`SUBSCRIPTION_BLOCKED`), `Storage`,
    /// `Unavailable`.
    pub async fn delete_subscription(
        &self,
        actor: &Actor,
        id: SubscriptionId,
        etag: &str,
    ) -> Result<(), ServiceError> {
        demand(actor, Permission::Subscribe)?;
        let etag = etag.to_owned();
        self.commit(actor, "DeleteSubscription", move |draft| {
            let subscription = visible(draft.state(), &draft.actor, id)?.clone();
            // A publisher sees the subscriptions of others, but only their owners end them.
            owned(draft.state(), &draft.actor, subscription.application)?;
            check_etag(&etag, subscription.etag, || subscription.resource())?;
            refuse_shedding(draft, &subscription)?;
            draft.remove(ObjectKey::Subscription(id));
            keep_generation(draft, &subscription);
            Ok(())
        })
        .await
    }

    /// Blocks or unblocks a subscription. Role: publisher.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Aborted`, `Storage`, `Unavailable`.
    pub async fn set_subscription_state(
        &self,
        actor: &Actor,
        id: SubscriptionId,
        state: SubscriptionState,
        etag: &str,
    ) -> Result<Arc<Subscription>, ServiceError> {
        demand(actor, Permission::ManageSubscriptions)?;
        let etag = etag.to_owned();
        let action = match state {
            SubscriptionState::Active => "UnblockSubscription",
            SubscriptionState::Blocked | SubscriptionState::ProductionBlocked => {
                "BlockSubscription"
            }
        };
        self.commit(actor, action, move |draft| {
            let subscription = visible(draft.state(), &draft.actor, id)?.clone();
            check_etag(&etag, subscription.etag, || subscription.resource())?;
            if subscription.state == state {
                return Ok(subscription);
            }
            let mut next = Subscription::clone(&subscription);
            next.state = state;
            next.updated_at = draft.now;
            next.etag = subscription.etag.next();
            Ok(draft.put(next))
        })
        .await
    }
}

const SCHEMA: Schema<Subscription> = Schema {
    filter: &[
        ("application", kind::APPLICATION),
        ("api", kind::API),
        ("plan", kind::PLAN),
        (
            "state",
            Kind::Word(|| {
                SubscriptionState::ALL
                    .map(SubscriptionState::as_str)
                    .to_vec()
            }),
        ),
    ],
    order: &["plan", "state", "create_time", "update_time"],
    default_order: "create_time",
    get: |subscription, field| match field {
        "application" => Field::text(subscription.application),
        "api" => Field::text(subscription.api),
        "plan" => Field::text(&subscription.plan),
        "state" => Field::text(subscription.state),
        "create_time" => Field::time(subscription.created_at),
        _ => Field::time(subscription.updated_at),
    },
    id: |subscription| subscription.id.to_string(),
};

/// The subscriptions that the actor may see, of those that a query can find: by an index where there is one, since there may
/// be a hundred thousand, and pages ask for those of one application or API.
pub(super) fn candidates<'a>(
    state: &'a State,
    actor: &'a Actor,
    query: &ListQuery,
) -> Box<dyn Iterator<Item = &'a Arc<Subscription>> + 'a> {
    let all = actor.may(Permission::ManageSubscriptions);
    let application = listing::wanted(query, &SCHEMA, "application");
    if let Some(application) = application.and_then(|id| id.parse().ok()) {
        let is_seen = all || owned(state, actor, application).is_ok();
        let found = is_seen.then(|| state.subscriptions_of(application));
        return Box::new(found.into_iter().flatten());
    }
    if !all {
        let own = actor.user.into_iter();
        let own = own.flat_map(|user| state.applications_of(user));
        return Box::new(own.flat_map(|application| state.subscriptions_of(application.id)));
    }
    let api = listing::wanted(query, &SCHEMA, "api");
    match api.and_then(|id| id.parse().ok()) {
        Some(api) => Box::new(state.subscribers_of(api)),
        None => Box::new(state.subscriptions().values()),
    }
}

/// Subscribers handle their own subscriptions, publishers see all.
pub(super) fn demand_any(actor: &Actor) -> Result<(), ServiceError> {
    if actor.may(Permission::ManageSubscriptions) {
        return Ok(());
    }
    demand(actor, Permission::Subscribe)
}

/// A subscription, if the actor may see it.
pub(super) fn visible<'a>(
    state: &'a State,
    actor: &Actor,
    id: SubscriptionId,
) -> Result<&'a Arc<Subscription>, ServiceError> {
    state
        .subscriptions()
        .get(&id)
        .filter(|it| {
            actor.may(Permission::ManageSubscriptions)
                || owned(state, actor, it.application).is_ok()
        })
        .ok_or_else(|| ServiceError::NotFound(format!("subscriptions/{id}")))
}

/// Refuses to end a blocked subscription: whoever is blocked would subscribe anew and be let in. Those who may unblock it
/// may end it, and to a retired API nobody subscribes any more.
pub(super) fn refuse_shedding(
    draft: &Draft,
    subscription: &Subscription,
) -> Result<(), ServiceError> {
    let api = draft.state().apis().get(&subscription.api);
    let leads_nowhere = api.is_none_or(|api| api.state == Lifecycle::Retired);
    if subscription.state == SubscriptionState::Active
        || draft.actor.may(Permission::ManageSubscriptions)
        || leads_nowhere
    {
        return Ok(());
    }
    Err(ServiceError::FailedPrecondition {
        reason: reason::SUBSCRIPTION_BLOCKED,
        resource: subscription.resource(),
        description:
            "the subscription is blocked; a publisher must unblock it before it can be ended"
                .to_owned(),
    })
}

fn known_plan(state: &State, name: &str) -> Result<PlanName, ServiceError> {
    let mut faults = Faults::new();
    let plan = faults.take("subscription.plan", PlanName::parse(name));
    if let Some(plan) = &plan
        && !state.plans().contains_key(plan)
    {
        faults.add(
            "subscription.plan",
            invalid::reason::NOT_FOUND,
            format!("names the plan `{plan}`, which does not exist"),
        );
    }
    faults.finish()?;
    plan.ok_or_else(|| unreachable!("a value that is missing has left a fault"))
}

fn refuse_not_offered(api: &Api, plan: &PlanName) -> Result<(), ServiceError> {
    if api.plans.contains(plan) {
        return Ok(());
    }
    let offered: Vec<_> = api.plans.iter().map(PlanName::as_str).collect();
    Err(ServiceError::FailedPrecondition {
        reason: reason::PLAN_NOT_OFFERED,
        resource: api.resource(),
        description: format!(
            "the API does not offer the plan `{plan}`; it offers {}",
            offered.join(", ")
        ),
    })
}
