//! The page of a problem.

use askama::Template;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use tidegate_kit::fault_log::FaultLog;

use super::{
    context::RequestContext,
    frame::Frame,
    problem::{Answer, Explanation, Problem},
};
use crate::service::error::ServiceError;

/// Pages that failed through no fault of their users.
static FAILED: FaultLog = FaultLog::new(30);

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Frame,
    explanation: Explanation,
    offers_sign_in: bool,
}

/// Shows a problem, or, where even that fails, a line of text.
pub(super) fn show(problem: &Problem, context: &RequestContext) -> Response {
    page(problem, context).unwrap_or_else(|error| {
        if let Some(line) = FAILED.fault(&error.to_string()) {
            let suppressed = line.suppressed;
            tracing::error!(%error, suppressed, "page failed");
        }
        (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n").into_response()
    })
}

fn page(problem: &Problem, context: &RequestContext) -> Answer {
    let mut explanation = problem.explain();
    if matches!(problem, Problem::TooLarge) && context.actor().is_none() {
        // A long form is read of nobody who isn't signed in. It is still in the browser.
        explanation = Explanation {
            title: "Sign in first",
            what: "The form exceeds the maximum size for users who aren't signed in.".to_owned(),
            advice: "Sign in in another tab, then go back and submit the form again. Nothing has changed.",
            ..explanation
        };
    }
    let page = ProblemPage {
        frame: Frame::new(context, explanation.title),
        explanation,
        offers_sign_in: context.actor().is_none(),
    };
    let mut response = page.frame.show_with(page.explanation.status, &page)?;
    if let Problem::Service(ServiceError::ResourceExhausted { retry_after }) = problem {
        let seconds = HeaderValue::from(retry_after.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    Ok(response)
}
