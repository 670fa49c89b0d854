//! The publisher portal: APIs from their design to their retirement. One file below this for each page; `header` is what
//! stands above all pages of one API, `api_form` what their forms share.

mod header;
mod api_form;
mod apis;
mod create;
mod overview;
mod lifecycle;
mod info;
mod thumbnail;
mod topics;
mod endpoints;
mod plans;
mod deployments;
mod subscribers;
mod documents;
mod version;
mod delete;

use axum::{Router, routing::get};

use super::{
    context::SignedIn,
    navigation::{NavItem, PortalKind},
    problem::Problem,
    redirect::Redirect,
    state::Portal,
};

/// The side navigation.
pub(super) const NAV: &[NavItem] = &[apis::NAV];

const PATH: &str = PortalKind::Publisher.path();

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(PATH, get(async |_: SignedIn| Redirect::to(apis::NAV.path)))
        .merge(apis::routes())
        .merge(create::routes())
        .merge(overview::routes())
        .merge(info::routes())
        .merge(thumbnail::routes())
        .merge(topics::routes())
        .merge(endpoints::routes())
        .merge(plans::routes())
        .merge(deployments::routes())
        .merge(subscribers::routes())
        .merge(documents::routes())
        .merge(version::routes())
        .merge(delete::routes())
        .route(&format!("{PATH}/"), get(async || Redirect::to(PATH)))
        .route(
            &format!("{PATH}/{{*rest}}"),
            get(async || Problem::NotFound),
        )
}
