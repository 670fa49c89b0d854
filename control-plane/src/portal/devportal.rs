//! The developer portal: APIs from being found to being talked to. One file below this for each group of pages.

mod catalogue;
mod api;
mod documents;
mod own;
pub(super) mod limits;
mod address;
mod snippets;
mod tokens;
mod code;
mod console;
mod applications;
mod keys;
mod subscribe;
mod subscription;
mod sign_up;

use axum::{Router, routing::get};

use super::{Portal, Problem, See, SignedIn, room::Place};
use crate::domain::user::Permission;

pub(super) use sign_up::PATH as SIGN_UP;

/// The side navigation.
pub(super) const PLACES: &[Place] = &[
    Place {
        name: "APIs",
        path: "/devportal/apis",
        needs: None,
    },
    Place {
        name: "Applications",
        path: "/devportal/applications",
        needs: Some(Permission::Subscribe),
    },
];

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(
            "/devportal",
            get(async || See::page("/devportal/apis").answer()),
        )
        .route("/devportal/apis", get(catalogue::list))
        .route("/devportal/apis/{api}", get(api::overview))
        .route("/devportal/apis/{api}/thumbnail", get(api::thumbnail))
        .route("/devportal/apis/{api}/documents", get(documents::list))
        .route(
            "/devportal/apis/{api}/documents/{document}",
            get(documents::read),
        )
        .route(
            "/devportal/apis/{api}/subscriptions",
            get(subscribe::ask).post(subscribe::subscribe),
        )
        .route(
            "/devportal/apis/{api}/code",
            get(code::show).post(code::issue),
        )
        .route(
            "/devportal/apis/{api}/console",
            get(console::show).post(console::issue),
        )
        .route("/devportal/applications", get(applications::list))
        .route(
            "/devportal/applications/new",
            get(applications::ask).post(applications::create),
        )
        .route(
            "/devportal/applications/{application}",
            get(applications::show),
        )
        .route(
            "/devportal/applications/{application}/edit",
            get(applications::edit).post(applications::save),
        )
        .route(
            "/devportal/applications/{application}/delete",
            get(applications::ask_to_delete).post(applications::delete),
        )
        .route(
            "/devportal/applications/{application}/keys",
            get(keys::list).post(keys::create),
        )
        .route(
            "/devportal/applications/{application}/keys/{key}/secret",
            get(keys::ask_for_secret).post(keys::renew_secret),
        )
        .route(
            "/devportal/applications/{application}/keys/{key}/delete",
            get(keys::ask_to_delete).post(keys::delete),
        )
        .route(
            "/devportal/applications/{application}/keys/{key}/token",
            get(keys::ask_for_token).post(keys::issue),
        )
        .route(
            "/devportal/subscriptions/{subscription}",
            get(subscription::show).post(subscription::change),
        )
        .route(
            "/devportal/subscriptions/{subscription}/leave",
            get(subscription::ask_to_leave).post(subscription::leave),
        )
        .route(SIGN_UP, get(sign_up::ask).post(sign_up::sign_up))
        .route(
            "/devportal/",
            get(async || See::page("/devportal").answer()),
        )
        .route("/devportal/{*rest}", get(async || Problem::NotFound))
}

/// Reads the id in a path.
fn id<T: std::str::FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::NotFound)
}

/// A filter for what belongs to whoever is signed in.
fn owner(signed_in: &SignedIn) -> String {
    format!("users/{}", signed_in.actor.name)
}
