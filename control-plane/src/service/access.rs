//! Who may see what: the one place where a use case looks up an API, an application or a subscription for an actor. What
//! an actor may not see does not exist for them.

use std::{collections::HashSet, sync::Arc};

use tidegate_proto::ids::{ApiId, ApplicationId, SubscriptionId};

use super::{error::ServiceError, guard::demand};
use crate::domain::{
    actor::{Actor, Viewer},
    api::{Api, Visibility},
    application::Application,
    lifecycle::Lifecycle,
    resource::Resource as _,
    state::State,
    subscription::Subscription,
    user::Permission,
};

/// Whether an actor may see an API: designers all; others what the catalogue shows them.
pub(super) fn may_see(state: &State, actor: &Actor, api: &Api) -> bool {
    actor.may(Permission::ViewApis) || is_offered(state, Some(actor), api)
}

/// Whether the catalogue shows an API to an actor, or to anonymous viewers: what is listed for the actor's roles (to
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

/// The API of an id, when the actor may see it.
pub(super) fn api<'a>(
    state: &'a State,
    actor: &Actor,
    id: ApiId,
) -> Result<&'a Arc<Api>, ServiceError> {
    state
        .apis()
        .get(&id)
        .filter(|api| may_see(state, actor, api))
        .ok_or_else(|| ServiceError::NotFound(Api::name_of(id)))
}

/// The API of an id, when a viewer may see it.
pub(super) fn viewed_api<'a>(
    state: &'a State,
    viewer: &Viewer,
    id: ApiId,
) -> Result<&'a Arc<Api>, ServiceError> {
    match viewer {
        Viewer::SignedIn(actor) => api(state, actor, id),
        Viewer::Anonymous => state
            .apis()
            .get(&id)
            .filter(|api| is_offered(state, None, api))
            .ok_or_else(|| ServiceError::NotFound(Api::name_of(id))),
    }
}

/// The application of an id, when it is the actor's own or the actor may manage everything.
pub(super) fn application<'a>(
    state: &'a State,
    actor: &Actor,
    id: ApplicationId,
) -> Result<&'a Arc<Application>, ServiceError> {
    state
        .applications()
        .get(&id)
        .filter(|it| actor.is(it.owner) || actor.may(Permission::ManageEverything))
        .ok_or_else(|| ServiceError::NotFound(Application::name_of(id)))
}

/// Subscribers handle their own subscriptions, publishers see all.
pub(super) fn demand_subscriptions(actor: &Actor) -> Result<(), ServiceError> {
    if actor.may(Permission::ManageSubscriptions) {
        return Ok(());
    }
    demand(actor, Permission::Subscribe)
}

/// A subscription, if the actor may see it.
pub(super) fn subscription<'a>(
    state: &'a State,
    actor: &Actor,
    id: SubscriptionId,
) -> Result<&'a Arc<Subscription>, ServiceError> {
    state
        .subscriptions()
        .get(&id)
        .filter(|it| {
            actor.may(Permission::ManageSubscriptions)
                || application(state, actor, it.application).is_ok()
        })
        .ok_or_else(|| ServiceError::NotFound(Subscription::name_of(id)))
}
