//! The publisher portal: APIs from their design to their end. One file below this for each page; `around` is what stands
//! around all pages of one API, `edit` what their forms share.

mod apis;
mod around;
mod create;
mod delete;
mod deployments;
mod documents;
mod edit;
mod endpoints;
mod info;
mod lifecycle;
mod overview;
mod picture;
mod plans;
mod subscribers;
mod topics;
mod version;

use axum::{
    Router,
    routing::{get, post},
};

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
        .route(
            "/publisher/apis/create",
            get(create::ask).post(create::take),
        )
        .nest("/publisher/apis/{api}", of_one())
        .route(
            "/publisher/",
            get(async || See::page("/publisher").answer()),
        )
        .route("/publisher/{*rest}", get(async || Problem::NotFound))
}

/// The pages of one API.
fn of_one() -> Router<Portal> {
    Router::new()
        .route("/", get(overview::show))
        .route("/lifecycle", post(overview::step))
        .route("/info", get(info::ask).post(info::take))
        .route("/thumbnail", get(picture::show).post(picture::set))
        .route("/thumbnail/delete", post(picture::delete))
        .route("/topics", get(topics::ask).post(topics::take))
        .route("/endpoints", get(endpoints::ask).post(endpoints::take))
        .route("/plans", get(plans::ask).post(plans::take))
        .route("/deployments", get(deployments::show))
        .route("/revisions", post(deployments::create))
        .route("/revisions/{revision}/deploy", post(deployments::deploy))
        .route(
            "/revisions/{revision}/undeploy",
            post(deployments::undeploy),
        )
        .route("/revisions/{revision}/restore", post(deployments::restore))
        .route("/revisions/{revision}/delete", post(deployments::delete))
        .route("/subscribers", get(subscribers::list))
        .route("/subscribers/{subscription}", post(subscribers::set))
        .route("/documents", get(documents::list))
        .route(
            "/documents/create",
            get(documents::ask_new).post(documents::take_new),
        )
        .route(
            "/documents/{document}",
            get(documents::ask).post(documents::take),
        )
        .route("/documents/{document}/delete", post(documents::delete))
        .route("/version", get(version::ask).post(version::take))
        .route("/delete", get(delete::ask).post(delete::take))
}
