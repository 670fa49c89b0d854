//! The people's door: which path goes where, what is nowhere, and how long a request may take. The parts bring their own
//! routes; `app` puts them together here.

use std::time::Duration;

use axum::{Router, middleware, response::IntoResponse as _, routing::get};
use http::{HeaderMap, StatusCode};
use tonic::Status;

use super::deadline;

/// The routes of the door, from those of the admin API and of the key manager.
pub fn routes(parts: Router, limit: Duration) -> Router {
    parts
        .route("/healthz", get(async || "ok\n"))
        .fallback(async |headers: HeaderMap| {
            if deadline::is_grpc(&headers) {
                Status::unimplemented("there is no such service").into_http()
            } else {
                (StatusCode::NOT_FOUND, "there is nothing here\n").into_response()
            }
        })
        .layer(middleware::from_fn(move |request, next| {
            deadline::deadline(limit, request, next)
        }))
}
