//! What can go wrong with a page: what happened, and what to do. Handlers return a problem by `?`; `layout` shows it as a
//! page.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::format::sentence;
use crate::service::error::ServiceError;

/// What the handler of a page returns.
pub type Answer = Result<Response, Problem>;

/// Why a page can't be shown.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A submitted form isn't one of ours.
    #[error("the form was not issued to this browser")]
    Forged,
    /// A form is larger than it may be.
    #[error("the form is too large")]
    TooLarge,
    /// A form can't be read.
    #[error("the form cannot be read")]
    Unreadable,
    /// There is no such page.
    #[error("there is no such page")]
    NotFound,
    /// The page doesn't support the method.
    #[error("the page does not support the method")]
    Method,
    /// A use case refused the request or failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A template can't be rendered.
    #[error("a page cannot be rendered: {0}")]
    Render(#[from] askama::Error),
}

/// What a page says about a problem.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The status of the page.
    pub status: StatusCode,
    /// The heading.
    pub title: &'static str,
    /// What happened: a sentence.
    pub what: String,
    /// What to do; may be empty.
    pub advice: &'static str,
}

const UNCHANGED: &str = "Nothing has changed.";

// === impl Problem ===

impl Problem {
    /// What a page says about it.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        let explanation = |status, title, what: &str, advice| Explanation {
            status,
            title,
            what: what.to_owned(),
            advice,
        };
        match self {
            Self::NotFound => explanation(
                StatusCode::NOT_FOUND,
                "Page not found",
                "There's no page at this address.",
                "It may have been deleted, or the address may be mistyped.",
            ),
            Self::Forged => explanation(
                StatusCode::FORBIDDEN,
                "Form rejected",
                "The form was not issued to this browser, or it has expired.",
                "Go back, reload the page and submit the form again. Nothing has changed.",
            ),
            Self::TooLarge => explanation(
                StatusCode::PAYLOAD_TOO_LARGE,
                "Form too large",
                "The form exceeds the maximum size.",
                "Go back and shorten it. Nothing has changed.",
            ),
            Self::Unreadable => explanation(
                StatusCode::BAD_REQUEST,
                "Invalid form",
                "The request is not a valid form submission.",
                UNCHANGED,
            ),
            Self::Method => explanation(
                StatusCode::METHOD_NOT_ALLOWED,
                "Method not allowed",
                "This address doesn't support the request method.",
                "",
            ),
            Self::Service(error) => explain_service(error),
            Self::Render(_) => explanation(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Internal error",
                "The page couldn't be rendered.",
                "The control plane's log has the details.",
            ),
        }
    }
}

fn explain_service(error: &ServiceError) -> Explanation {
    let (status, title, advice) = match error {
        ServiceError::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, "Sign in again", ""),
        ServiceError::PermissionDenied(_) => (
            StatusCode::FORBIDDEN,
            "Access denied",
            "Ask an admin for the role.",
        ),
        ServiceError::NotFound(_) => (
            StatusCode::NOT_FOUND,
            "Not found",
            "It may have been deleted, or you may not have access to it.",
        ),
        ServiceError::Invalid(_) => (StatusCode::BAD_REQUEST, "Invalid request", UNCHANGED),
        ServiceError::AlreadyExists { .. } | ServiceError::FailedPrecondition { .. } => {
            (StatusCode::CONFLICT, "Not possible now", UNCHANGED)
        }
        ServiceError::Aborted(_) => (
            StatusCode::CONFLICT,
            "Changed by somebody else",
            "Your change was not saved. Go back, reload the page and try again.",
        ),
        ServiceError::ResourceExhausted { .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            "Too many attempts",
            UNCHANGED,
        ),
        ServiceError::Unavailable(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Temporarily unavailable",
            "Try again in a moment.",
        ),
        ServiceError::Storage(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "Storage error",
            "The control plane's log has the details.",
        ),
    };
    let what = match error {
        // What the store says stays in the log.
        ServiceError::Storage(_) => "The change couldn't be stored".to_owned(),
        ServiceError::PermissionDenied(needs) => format!("This page needs {needs}"),
        other => other.to_string(),
    };
    Explanation {
        status,
        title,
        what: sentence(&what),
        advice,
    }
}

impl IntoResponse for Problem {
    /// A bare response that `layout` replaces by a page.
    fn into_response(self) -> Response {
        let mut response = self.explain().status.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}
