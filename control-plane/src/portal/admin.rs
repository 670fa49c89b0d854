//! The admin portal: the administration of the installation. One file below this for each group of pages.

mod local_time;
mod limit_fields;
mod resource;
mod limited;
mod gateways;
mod environments;
mod plans;
mod application_policies;
mod api_policies;
mod deny_policies;
mod application_keys;
mod counters;
mod users;
mod signing_keys;
mod audit;
mod settings;

use axum::{Router, routing::get};

use self::{application_policies::ApplicationPolicies, limited::Limited as _, plans::Plans};
use super::{
    context::SignedIn,
    navigation::{NavItem, PortalKind},
    problem::Problem,
    redirect::Redirect,
    state::Portal,
};

/// The side navigation.
pub(super) const NAV: &[NavItem] = &[
    environments::NAV,
    Plans::NAV,
    ApplicationPolicies::NAV,
    api_policies::NAV,
    deny_policies::NAV,
    application_keys::NAV,
    counters::NAV,
    users::NAV,
    signing_keys::NAV,
    audit::NAV,
    settings::NAV,
];

const PATH: &str = PortalKind::Admin.path();

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(
            PATH,
            get(async |_: SignedIn| Redirect::to(environments::NAV.path)),
        )
        .merge(gateways::routes())
        .merge(resource::routes::<environments::Environments>())
        .merge(limited::routes::<Plans>())
        .merge(limited::routes::<ApplicationPolicies>())
        .merge(api_policies::routes())
        .merge(deny_policies::routes())
        .merge(application_keys::routes())
        .merge(counters::routes())
        .merge(users::routes())
        .merge(signing_keys::routes())
        .merge(audit::routes())
        .merge(settings::routes())
        .route(&format!("{PATH}/"), get(async || Redirect::to(PATH)))
        .route(
            &format!("{PATH}/{{*rest}}"),
            get(async || Problem::NotFound),
        )
}
