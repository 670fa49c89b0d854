//! Around every page: who looks is found out once, what went wrong becomes a page, and headers say what browsers may do.
//! A layer of the portals' routes.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::{Portal, Problem, Visitor};

/// What every answer says. The policy is that of answers that are no pages; pages bring their own.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// Runs the rest of the path for a visitor.
pub(super) async fn dress(State(portal): State<Portal>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let visitor = Visitor::of(&portal, &parts);
    let method = parts.method.clone();
    parts.extensions.insert(visitor.clone());
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let problem = response.extensions_mut().remove::<Arc<Problem>>();
    let problem = problem.or_else(|| bare(&response).map(Arc::new));
    if let Some(problem) = problem {
        let allow = response.headers_mut().remove(header::ALLOW);
        response = problem.show(&visitor, &method);
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    for (name, value) in HEADERS {
        let headers = response.headers_mut();
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

/// What the router and its extractors refuse by themselves: a method, or a path whose parts do not read.
fn bare(response: &Response) -> Option<Problem> {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    match response.status() {
        _ if is_page => None,
        StatusCode::METHOD_NOT_ALLOWED => Some(Problem::Method),
        StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => Some(Problem::NotFound),
        _ => None,
    }
}
