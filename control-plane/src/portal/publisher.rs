//! The publisher portal: APIs from their design to their end. One file below this for each group of pages.

mod apis;

use axum::{Router, routing::get};

use super::{Portal, Problem, See, SignedIn, room::Place};
use crate::domain::user::Permission;

/// The side navigation.
pub(super) const PLACES: &[Place] = &[Place {
    name: "APIs",
    path: "/publisher/apis",
    needs: Some(Permission::ViewApis),
}];

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(
            "/publisher",
            get(async |_: SignedIn| See::page("/publisher/apis").answer()),
        )
        .route("/publisher/apis", get(apis::list))
        .route("/publisher/", get(async || Problem::NotFound))
        .route("/publisher/{*rest}", get(async || Problem::NotFound))
}
