//! The people's door: which path goes where, what is nowhere, and how long a request may take. The parts bring their own
//! routes; `app` puts them together here.

use std::time::Duration;

use axum::{Router, extract::Request, middleware, response::IntoResponse as _, routing::get};
use http::{HeaderMap, StatusCode, header};
use tonic::Status;
use tower::ServiceExt as _;

use super::deadline;

/// The routes of the door, from those of its parts and the page that browsers get where there is nothing.
pub fn routes(parts: Router, nowhere: Router, limit: Duration) -> Router {
    parts
        .route("/healthz", get(async || "ok\n"))
        .fallback(move |request: Request| async move {
            if deadline::is_grpc(request.headers()) {
                Status::unimplemented("there is no such service").into_http()
            } else if wants_a_page(request.headers()) {
                nowhere.oneshot(request).await.into_response()
            } else {
                (StatusCode::NOT_FOUND, "there is nothing here\n").into_response()
            }
        })
        .layer(middleware::from_fn(move |request, next| {
            deadline::deadline(limit, request, next)
        }))
}

/// Whether a browser shows the answer to somebody: programs name other types, or none.
fn wants_a_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).map(|value| value.as_bytes());
    accept.is_some_and(|accept| accept.windows(9).any(|part| part == b"text/html"))
}
