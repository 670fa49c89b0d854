//! The developer portal: APIs from being found to being used. One file below this for each group of pages.

pub(super) mod header;
mod links;
mod my_applications;
mod addresses;
mod snippets;
mod tokens;
mod confirm;
mod catalogue;
mod api;
mod documents;
mod code;
mod console;
mod applications;
mod keys;
mod subscription;
mod subscribe;
mod sign_up;

use axum::{Router, routing::get};

use super::{
    navigation::{NavItem, PortalKind},
    problem::Problem,
    redirect::Redirect,
    state::Portal,
};

/// The side navigation.
pub(super) const NAV: &[NavItem] = &[catalogue::NAV, applications::NAV];
/// The page to sign up.
pub(super) const SIGN_UP: &str = sign_up::PATH;

const PATH: &str = PortalKind::Devportal.path();

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(PATH, get(async || Redirect::to(catalogue::NAV.path)))
        .merge(catalogue::routes())
        .merge(api::routes())
        .merge(documents::routes())
        .merge(subscribe::routes())
        .merge(code::routes())
        .merge(console::routes())
        .merge(applications::routes())
        .merge(keys::routes())
        .merge(subscription::routes())
        .merge(sign_up::routes())
        .route(&format!("{PATH}/"), get(async || Redirect::to(PATH)))
        .route(
            &format!("{PATH}/{{*rest}}"),
            get(async || Problem::NotFound),
        )
}
