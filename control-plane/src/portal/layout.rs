//! The layer around every page: it reads the request's context once, turns problems and rejections into pages, and sets
//! the headers that say what browsers may do.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::{
    context::RequestContext, problem::Problem, problem_page, rejection::Rejection, sign_in,
    state::Portal,
};

/// The headers of every response. The policy is that of responses that are no pages; pages bring their own.
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

/// Runs the handler of a page.
pub(super) async fn layout(State(portal): State<Portal>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let context = RequestContext::of(&portal, &parts);
    parts.extensions.insert(context.clone());
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let extensions = response.extensions_mut();
    let problem = extensions.remove::<Arc<Problem>>();
    if let Some(rejection) = extensions.remove::<Arc<Rejection>>() {
        let answer = sign_in::reject(&rejection, &context);
        response = answer.unwrap_or_else(|problem| problem_page::show(&problem, &context));
    } else if let Some(problem) = problem.or_else(|| of_router(&response).map(Arc::new)) {
        let allow = response.headers_mut().remove(header::ALLOW);
        response = problem_page::show(&problem, &context);
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

/// What the router and its extractors refuse by themselves: a method, or a path whose parts can't be read.
fn of_router(response: &Response) -> Option<Problem> {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    match response.status() {
        _ if is_page => None,
        StatusCode::METHOD_NOT_ALLOWED => Some(Problem::Method),
        StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => Some(Problem::NotFound),
        _ => None,
    }
}
