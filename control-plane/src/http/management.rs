//! The routes of the management listener: those of its parts, the response for unknown paths, and a deadline. Called by
//! `app`.

use std::time::Duration;

use axum::{Router, extract::Request, middleware, response::IntoResponse as _, routing::get};
use http::{HeaderMap, StatusCode, header};
use tonic::Status;
use tower::ServiceExt as _;

use super::deadline;

/// The routes of the listener: those of its parts, and `not_found` for browsers on unknown paths.
pub fn routes(parts: Router, not_found: Router, limit: Duration) -> Router {
    parts
        .route("/healthz", get(async || "ok\n"))
        .fallback(move |request: Request| async move {
            if deadline::is_grpc(request.headers()) {
                Status::unimplemented("there is no such service").into_http()
            } else if wants_a_page(request.headers()) {
                not_found.oneshot(request).await.into_response()
            } else {
                (StatusCode::NOT_FOUND, "there is nothing here\n").into_response()
            }
        })
        .layer(middleware::from_fn(move |request, next| {
            deadline::deadline(limit, request, next)
        }))
}

/// Whether the client is a browser: other programs accept other types, or don't say.
fn wants_a_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).map(|value| value.as_bytes());
    accept.is_some_and(|accept| accept.windows(9).any(|part| part == b"text/html"))
}
