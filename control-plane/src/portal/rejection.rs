//! Why a request doesn't reach its handler. `layout` turns a rejection into a page or a redirect.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::{fields::Fields, problem::Problem};

/// Why an extractor stops a request.
#[derive(Debug)]
pub enum Rejection {
    /// The page is for users who are signed in.
    SignInRequired,
    /// The form is one of ours, but its session has ended or was replaced. Carries what was typed.
    SessionEnded(Fields),
    /// The request can't be served.
    Problem(Problem),
}

impl From<Problem> for Rejection {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl IntoResponse for Rejection {
    /// A bare response that `layout` replaces.
    fn into_response(self) -> Response {
        if let Self::Problem(problem) = self {
            return problem.into_response();
        }
        let mut response = StatusCode::UNAUTHORIZED.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}
