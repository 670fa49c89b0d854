//! The form by which people create an account with the role subscriber, where an admin allows it; they are signed in at
//! once.

use askama::Template;
use axum::{Router, extract::State, response::IntoResponse as _, routing::get};
use http::StatusCode;
use tidegate_kit::secret::Secret;

use super::catalogue;
use crate::{
    portal::{
        AnonymousForm, Answer, Form, Frame, Notice, Portal, Redirect, RequestContext,
        navigation::PortalKind,
        sign_in::{start_session, too_many_attempts},
    },
    service::error::{ServiceError, reason},
};

#[derive(Template)]
#[template(path = "devportal/sign_up.html")]
struct SignUpPage {
    frame: Frame,
    form: Form,
}

#[derive(Template)]
#[template(path = "devportal/no_sign_up.html")]
struct SignUpClosedPage {
    frame: Frame,
}

/// The page.
pub(super) const PATH: &str = "/devportal/sign-up";

pub(super) fn routes() -> Router<Portal> {
    Router::new().route(PATH, get(show).post(submit))
}

async fn show(State(portal): State<Portal>, context: RequestContext) -> Answer {
    if context.actor().is_some() {
        return Redirect::to(PortalKind::Devportal.path()).answer();
    }
    if !portal.service.is_sign_up_allowed() {
        return closed(&context);
    }
    page(&context, Form::new())
}

async fn submit(State(portal): State<Portal>, submitted: AnonymousForm) -> Answer {
    let AnonymousForm { context, fields } = &submitted;
    let name = fields.text("username").trim();
    let password = fields.text("password");
    let mut form = submitted.form();
    if password != fields.text("password_again") {
        form.fault("password_again", "must match the password");
        return page(context, form);
    }
    let password = Secret::new(password.to_owned());
    let peer = context.peer();
    if let Err(error) = portal.service.sign_up(name, &password, peer).await {
        match error {
            ServiceError::FailedPrecondition {
                reason: reason::SIGN_UP_NOT_ALLOWED,
                ..
            } => return closed(context),
            ServiceError::AlreadyExists { .. } => {
                form.fault("username", "is already in use; choose another one");
            }
            ServiceError::ResourceExhausted { retry_after } => {
                form.complain(too_many_attempts(retry_after));
            }
            error => form.refuse(error, &[])?,
        }
        return page(context, form);
    }
    let text = format!("Welcome, {name}. Find an API and subscribe to it.");
    let notice = Notice::success(text);
    match portal.service.sign_in(name, &password, peer).await {
        Ok(signed_in) => {
            let next = Redirect::to(catalogue::NAV.path).with(notice);
            let mut response = next.into_response();
            start_session(&portal, context, &signed_in.token, &mut response).await?;
            Ok(response)
        }
        // The account exists all the same.
        Err(_) => Redirect::to(portal.navigation.sign_in)
            .with(notice)
            .answer(),
    }
}

fn page(context: &RequestContext, form: Form) -> Answer {
    let frame = Frame::new(context, "Sign up");
    let page = SignUpPage { frame, form };
    page.frame.show_with(page.form.status(), &page)
}

fn closed(context: &RequestContext) -> Answer {
    let frame = Frame::new(context, "Sign-up is disabled");
    let page = SignUpClosedPage { frame };
    page.frame.show_with(StatusCode::FORBIDDEN, &page)
}
