//! What is the visitor's own about an API: applications, their subscriptions to it, and their keys.

use std::sync::Arc;

use tidegate_proto::{claims::KeyType, ids::ApiId};

use super::owner;
use crate::{
    domain::{
        application::{Application, ApplicationKey},
        subscription::{Subscription, SubscriptionState},
        user::Permission,
    },
    portal::{Portal, SignedIn, list::Filter},
    service::{error::ServiceError, listing::ListQuery},
};

/// One application, seen from an API.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) application: Arc<Application>,
    pub(super) subscription: Option<Arc<Subscription>>,
    pub(super) keys: Vec<Arc<ApplicationKey>>,
}

/// More are chosen from nowhere.
const MOST: i32 = 500;

/// The visitor's applications; none for those who cannot have any.
pub(super) fn applications(
    portal: &Portal,
    signed_in: &SignedIn,
) -> Result<Vec<Arc<Application>>, ServiceError> {
    if !signed_in.may(Permission::Subscribe) {
        return Ok(Vec::new());
    }
    let query = ListQuery {
        page_size: MOST,
        filter: Filter::new().is("owner", &owner(signed_in)).text(),
        order_by: "display_name".to_owned(),
        ..ListQuery::default()
    };
    let page = portal.service.list_applications(&signed_in.actor, &query)?;
    Ok(page.items)
}

/// The visitor's applications with what they have to do with an API.
pub(super) fn about(
    portal: &Portal,
    signed_in: &SignedIn,
    api: ApiId,
) -> Result<Vec<Own>, ServiceError> {
    let actor = &signed_in.actor;
    let all = ListQuery {
        page_size: MOST,
        ..ListQuery::default()
    };
    let applications = applications(portal, signed_in)?.into_iter();
    let own = applications.map(|application| {
        let filter = Filter::new()
            .is("application", &application.resource())
            .is("api", &format!("apis/{api}"));
        let query = ListQuery {
            filter: filter.text(),
            ..ListQuery::default()
        };
        let subscription = portal.service.list_subscriptions(actor, &query)?;
        Ok(Own {
            subscription: subscription.items.into_iter().next(),
            keys: portal.service.list_keys(actor, application.id, &all)?.items,
            application,
        })
    });
    own.collect()
}

/// What a key's tokens reach, for people.
pub(super) const fn key_type(of: KeyType) -> &'static str {
    match of {
        KeyType::Production => "Production",
        KeyType::Sandbox => "Sandbox",
    }
}

/// A subscription's state, for people, with the class of its badge.
pub(super) const fn state(of: SubscriptionState) -> (&'static str, &'static str) {
    match of {
        SubscriptionState::Active => ("Active", "good"),
        SubscriptionState::Blocked => ("Blocked", "bad"),
        SubscriptionState::ProductionBlocked => ("Blocked for production", "warn"),
    }
}
