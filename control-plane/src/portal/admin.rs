//! The admin portal: the installation, looked after. One file below this for each group of pages.

mod gateways;

use axum::{Router, routing::get};

use super::{Portal, Problem, See, SignedIn, room::Place};
use crate::domain::user::Permission;

/// The side navigation.
pub(super) const PLACES: &[Place] = &[Place {
    name: "Gateways",
    path: "/admin/gateways",
    needs: Some(Permission::ViewGateways),
}];

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(
            "/admin",
            get(async |_: SignedIn| See::page("/admin/gateways").answer()),
        )
        .route("/admin/gateways", get(gateways::list))
        .route("/admin/", get(async || Problem::NotFound))
        .route("/admin/{*rest}", get(async || Problem::NotFound))
}
