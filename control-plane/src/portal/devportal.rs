//! The developer portal: APIs from being found to being talked to. One file below this for each group of pages.

mod catalogue;

use axum::{Router, routing::get};

use super::{Portal, Problem, See, room::Place};

/// The side navigation.
pub(super) const PLACES: &[Place] = &[Place {
    name: "APIs",
    path: "/devportal/apis",
    needs: None,
}];

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(
            "/devportal",
            get(async || See::page("/devportal/apis").answer()),
        )
        .route("/devportal/apis", get(catalogue::list))
        .route("/devportal/", get(async || Problem::NotFound))
        .route("/devportal/{*rest}", get(async || Problem::NotFound))
}
