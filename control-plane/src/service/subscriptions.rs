//! Use cases of subscriptions. Subscribers handle those of their own applications; publishers block and unblock any and
//! change its plan; admins do all.

use std::sync::Arc;

use tidegate_proto::ids::{ApiId, ApplicationId, SubscriptionId};

use super::{
    Service, access,
    draft::Draft,
    edit::{EditableField, EditableFields, Update, placeholder},
    error::{ServiceError, reason},
    guard::{check_etag, demand, existing, fixed},
    listing::{self, Kind, ListQuery, Page, Schema, Value, kind},
    quotas::keep_generation,
};
use crate::domain::{
    actor::Actor,
    api::Api,
    application::Application,
    invalid::Faults,
    lifecycle::Lifecycle,
    name::PlanName,
    plan::Plan,
    resource::Resource as _,
    state::State,
    subscription::{Subscription, SubscriptionState},
    user::Permission,
};

/// The fields of a subscription, as they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionInput {
    /// `plan`, without `plans/`.
    pub plan: String,
    /// `application`; only to find out attempts to change it.
    pub application: Option<ApplicationId>,
    /// `api`; only to find out attempts to change it.
    pub api: Option<ApiId>,
}

/// A change of a subscription.
pub type SubscriptionUpdate = Update<SubscriptionId, SubscriptionInput>;

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

    /// Subscribes an application to an API under a plan.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid` for an unknown plan, `AlreadyExists`, `FailedPrecondition`
    /// (`API_NOT_PUBLISHED`, `PLAN_NOT_OFFERED`), `Storage`, `Unavailable`.
    pub async fn create_subscription(
        &self,
        actor: &Actor,
        application: ApplicationId,
        api: ApiId,
        plan: PlanName,
    ) -> Result<Arc<Subscription>, ServiceError> {
        demand(actor, Permission::Subscribe)?;
        self.commit(actor, "CreateSubscription", move |draft| {
            let state = draft.state();
            let subscriber = access::application(state, &draft.actor, application)?.clone();
            let api = access::api(state, &draft.actor, api)?.clone();
            let mut faults = Faults::new();
            existing::<Plan>(
                "subscription.plan",
                ("plan", plan.as_str()),
                state,
                &mut faults,
            );
            faults.finish()?;
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
                meta: draft.meta(),
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
        access::demand_subscriptions(actor)?;
        access::subscription(&self.state(), actor, id).cloned()
    }

    /// Lists the subscriptions that the actor may see.
    ///
    /// # Errors
    /// `PermissionDenied`, `Invalid`.
    pub fn list_subscriptions(
        &self,
        actor: &Actor,
        query: &ListQuery,
    ) -> Result<Page<Arc<Subscription>>, ServiceError> {
        access::demand_subscriptions(actor)?;
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
        access::demand_subscriptions(actor)?;
        self.commit(actor, "UpdateSubscription", move |draft| {
            let before = access::subscription(draft.state(), &draft.actor, update.key)?.clone();
            check_etag(&update.etag, &*before)?;
            let mut faults = Faults::new();
            let Subscription {
                application, api, ..
            } = *before;
            let given = update.input.application.unwrap_or(application);
            let (given, current) = (
                Application::name_of(given),
                Application::name_of(application),
            );
            fixed(&mut faults, "subscription.application", &given, &current);
            let given = update.input.api.unwrap_or(api);
            let (given, current) = (Api::name_of(given), Api::name_of(api));
            fixed(&mut faults, "subscription.api", &given, &current);
            let next = FIELDS.update(&before, &update, draft, &mut faults);
            faults.finish()?;
            if next.plan != before.plan
                && let Some(api) = draft.state().apis().get(&api)
            {
                refuse_not_offered(api, &next.plan)?;
            }
            Ok(draft.replace(&before, next))
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
            let subscription = access::subscription(draft.state(), &draft.actor, id)?.clone();
            // A publisher sees the subscriptions of others, but only their owners end them.
            access::application(draft.state(), &draft.actor, subscription.application)?;
            check_etag(&etag, &*subscription)?;
            refuse_shedding(draft, &subscription)?;
            draft.remove(&subscription);
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
            let before = access::subscription(draft.state(), &draft.actor, id)?.clone();
            check_etag(&etag, &*before)?;
            let mut next = Subscription::clone(&before);
            next.state = state;
            Ok(draft.replace(&before, next))
        })
        .await
    }
}

const FIELDS: EditableFields<Subscription, SubscriptionInput> = EditableFields {
    root: "subscription",
    all: &[EditableField {
        name: "plan",
        is_given: |input| !input.plan.is_empty(),
        set: |it, input, at| {
            let name = at.take(PlanName::parse(&input.plan));
            let plan = name.and_then(|name| at.existing::<Plan>("plan", name.as_str()));
            it.plan = plan.unwrap_or_else(placeholder);
        },
    }],
    fixed: &["application", "api"],
};

pub(super) const SCHEMA: Schema<Subscription> = Schema {
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
        "application" => Value::text(subscription.application),
        "api" => Value::text(subscription.api),
        "plan" => Value::text(&subscription.plan),
        "state" => Value::text(subscription.state),
        _ => Value::of_meta(&subscription.meta, field),
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
        let is_seen = all || access::application(state, actor, application).is_ok();
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

/// Refuses to end a blocked subscription: a blocked subscriber could subscribe again and get in. Those who may unblock it
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
