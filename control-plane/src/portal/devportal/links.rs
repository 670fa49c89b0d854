//! The routes of the pages about applications, keys and subscriptions, which link to one another.

use std::{borrow::Borrow, fmt::Display};

use tidegate_proto::ids::{ApplicationId, SubscriptionId};

use crate::portal::route::link;

/// The viewer's applications.
pub(super) const APPLICATIONS: &str = "/devportal/applications";
/// The form of a new application.
pub(super) const NEW_APPLICATION: &str = "/devportal/applications/new";
/// One application.
pub(super) const APPLICATION: &str = "/devportal/applications/{application}";
/// Its keys.
pub(super) const KEYS: &str = "/devportal/applications/{application}/keys";
/// The pages of a key: a new secret, its deletion, an access token.
pub(super) const SECRET: &str = "/devportal/applications/{application}/keys/{key}/secret";
pub(super) const DELETE_KEY: &str = "/devportal/applications/{application}/keys/{key}/delete";
pub(super) const TOKEN: &str = "/devportal/applications/{application}/keys/{key}/token";
/// One subscription.
pub(super) const SUBSCRIPTION: &str = "/devportal/subscriptions/{subscription}";

/// The page of an application.
pub(super) fn application(id: impl Borrow<ApplicationId>) -> String {
    link(APPLICATION, &[id.borrow()])
}

/// A page of a key.
pub(super) fn of_key(route: &str, application: ApplicationId, key: &dyn Display) -> String {
    link(route, &[&application, key])
}

/// The page of a subscription.
pub(super) fn subscription(id: impl Borrow<SubscriptionId>) -> String {
    link(SUBSCRIPTION, &[id.borrow()])
}
