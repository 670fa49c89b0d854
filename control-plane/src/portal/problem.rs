//! What went wrong, as a page: what happened, and what to do. Handlers give one by `?`; `dress` shows it in the frame of
//! whoever asked.

use std::sync::Arc;

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use tidegate_kit::fault_log::FaultLog;

use super::{Answer, Frame, See, Visitor, entrance, fields::Fields, form::sentence};
use crate::service::error::ServiceError;

/// Pages that failed through no fault of the visitor's.
static FAILED: FaultLog = FaultLog::new(30);

/// Why there is no such page.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// Nobody is signed in.
    #[error("nobody is signed in")]
    SignIn,
    /// A form of ours was posted, but its session is over, or another one. This is what was typed.
    #[error("the session of the form is over")]
    Resume(Fields),
    /// A form was posted that is not one of ours.
    #[error("the form is not one that was given to this browser")]
    Forged,
    /// A form is larger than it may be.
    #[error("the form is too large")]
    TooLarge,
    /// A form cannot be read.
    #[error("the form cannot be read")]
    Unreadable,
    /// There is no such page.
    #[error("there is no such page")]
    NotFound,
    /// The page cannot be asked for in this way.
    #[error("the page does not know the method")]
    Method,
    /// A use case was refused or failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A template cannot be rendered.
    #[error("a page cannot be rendered: {0}")]
    Render(#[from] askama::Error),
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Page {
    frame: Frame,
    status: u16,
    what: String,
    then: &'static str,
    offers_sign_in: bool,
}

/// A problem as it is told.
struct Told {
    status: StatusCode,
    title: &'static str,
    what: String,
    then: &'static str,
}

// === impl Problem ===

impl Problem {
    /// Shows it to whoever asked.
    pub(super) fn show(&self, visitor: &Visitor, method: &Method) -> Response {
        let shown = match self {
            Self::SignIn if method == Method::GET || method == Method::HEAD => {
                See::page(entrance::sign_in_path(visitor)).answer()
            }
            Self::Resume(typed) if visitor.actor().is_some() => {
                entrance::resume(visitor, visitor.path(), typed)
            }
            Self::Resume(typed) if entrance::can_keep(visitor, typed) => {
                entrance::sign_in_again(visitor, typed)
            }
            Self::Resume(_) => Self::TooLarge.page(visitor),
            _ => self.page(visitor),
        };
        shown.unwrap_or_else(|error| {
            if let Some(line) = FAILED.fault(&error.to_string()) {
                let suppressed = line.suppressed;
                tracing::error!(%error, suppressed, "a page failed");
            }
            (StatusCode::INTERNAL_SERVER_ERROR, "the page failed\n").into_response()
        })
    }

    fn page(&self, visitor: &Visitor) -> Answer {
        let told = match self {
            Self::TooLarge if visitor.actor().is_none() => too_large_for_a_stranger(),
            _ => self.told(),
        };
        let page = Page {
            frame: visitor.frame(told.title),
            status: told.status.as_u16(),
            what: told.what,
            then: told.then,
            offers_sign_in: visitor.actor().is_none(),
        };
        let mut response = page.frame.show_with(told.status, &page)?;
        if let Self::Service(ServiceError::ResourceExhausted { retry_after }) = self {
            let seconds = HeaderValue::from(retry_after.as_secs().max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        Ok(response)
    }

    fn told(&self) -> Told {
        let told = |status, title, what: String, then| Told {
            status,
            title,
            what: sentence(&what),
            then,
        };
        match self {
            Self::NotFound => told(
                StatusCode::NOT_FOUND,
                "There is nothing here",
                "No page has this address".to_owned(),
                "It may have been deleted, or the address has a mistake.",
            ),
            Self::SignIn | Self::Resume(_) => told(
                StatusCode::UNAUTHORIZED,
                "Sign in first",
                "This is for people who are signed in".to_owned(),
                "",
            ),
            Self::Forged => told(
                StatusCode::FORBIDDEN,
                "This form cannot be taken",
                "It was not given to this browser, or it is too old".to_owned(),
                "Go back, load the page again, and send the form once more. Nothing was changed.",
            ),
            Self::TooLarge => told(
                StatusCode::PAYLOAD_TOO_LARGE,
                "That is too much",
                "The form has more in it than may be sent at once".to_owned(),
                "Go back and send less. Nothing was changed.",
            ),
            Self::Unreadable => told(
                StatusCode::BAD_REQUEST,
                "The form could not be read",
                "It is not in the format that browsers send".to_owned(),
                "Nothing was changed.",
            ),
            Self::Method => told(
                StatusCode::METHOD_NOT_ALLOWED,
                "That does not work here",
                "This address takes another kind of request".to_owned(),
                "",
            ),
            Self::Service(error) => of_service(error),
            Self::Render(_) => told(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The page failed",
                "The fault is ours, and it is in the control plane's log".to_owned(),
                "",
            ),
        }
    }
}

/// What is long is read of nobody who is not signed in. The form is still in the browser.
fn too_large_for_a_stranger() -> Told {
    Told {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        title: "Sign in first",
        what: "The form has more in it than may be sent without being signed in.".to_owned(),
        then: "Sign in in another tab, then go back and send the form again. Nothing was changed.",
    }
}

fn of_service(error: &ServiceError) -> Told {
    let (status, title, then) = match error {
        ServiceError::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, "Sign in again", ""),
        ServiceError::PermissionDenied(_) => (
            StatusCode::FORBIDDEN,
            "This is not for you",
            "An admin can give you the role.",
        ),
        ServiceError::NotFound(_) => (
            StatusCode::NOT_FOUND,
            "There is nothing here",
            "It may have been deleted, or you may not see it.",
        ),
        ServiceError::Invalid(_) => (
            StatusCode::BAD_REQUEST,
            "The request is not valid",
            "Nothing was changed.",
        ),
        ServiceError::AlreadyExists { .. } | ServiceError::FailedPrecondition { .. } => (
            StatusCode::CONFLICT,
            "That cannot be done now",
            "Nothing was changed.",
        ),
        ServiceError::Aborted(_) => (
            StatusCode::CONFLICT,
            "Somebody else changed this",
            "Nothing of yours was saved. Go back, load the page again, and repeat the change.",
        ),
        ServiceError::ResourceExhausted { .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            "Too many attempts",
            "Nothing was changed.",
        ),
        ServiceError::Unavailable(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Not now",
            "Try again in a moment.",
        ),
        ServiceError::Storage(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "The change could not be stored",
            "The control plane's log says why.",
        ),
    };
    // What the store says of itself stays in the log.
    let what = match error {
        ServiceError::Storage(_) => "The fault is ours".to_owned(),
        ServiceError::PermissionDenied(needs) => format!("It needs {needs}"),
        other => other.to_string(),
    };
    Told {
        status,
        title,
        what: sentence(&what),
        then,
    }
}

impl IntoResponse for Problem {
    /// A bare response that `dress` shows in its frame.
    fn into_response(self) -> Response {
        let mut response = self.told().status.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}
