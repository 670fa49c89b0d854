//! Strangers who make themselves subscribers, where an admin allows it; they are signed in at once.

use askama::Template;
use axum::extract::State;
use http::StatusCode;
use tidegate_kit::secret::Secret;

use crate::{
    portal::{Answer, Form, Frame, Notice, Portal, PostedByAnyone, See, Visitor, entrance},
    service::error::{ServiceError, reason},
};

#[derive(Template)]
#[template(path = "devportal/sign_up.html")]
struct SignUp {
    frame: Frame,
    form: Form,
}

#[derive(Template)]
#[template(path = "devportal/no_sign_up.html")]
struct NoSignUp {
    frame: Frame,
}

/// Where one signs up.
pub(in crate::portal) const PATH: &str = "/devportal/sign-up";
/// The admin API's name of the input `password`: inputs have no message before them.
const NAMES: [(&str, &str); 2] = [("username", "username"), ("password", "password")];

pub(super) async fn ask(State(portal): State<Portal>, visitor: Visitor) -> Answer {
    if visitor.actor().is_some() {
        return See::page("/devportal").answer();
    }
    if !portal.service.is_sign_up_allowed() {
        return closed(visitor.frame("Nobody can sign up here"));
    }
    show(visitor.frame("Sign up"), Form::new())
}

pub(super) async fn sign_up(State(portal): State<Portal>, posted: PostedByAnyone) -> Answer {
    let name = posted.fields.text("username").trim();
    let password = posted.fields.text("password");
    if password != posted.fields.text("password_again") {
        let mut form = posted.form();
        form.fault("password_again", "must be the same as above");
        return show(posted.frame("Sign up"), form);
    }
    let password = Secret::new(password.to_owned());
    let peer = posted.visitor.peer();
    match portal.service.sign_up(name, &password, peer).await {
        Ok(_) => {}
        Err(ServiceError::FailedPrecondition { reason, .. })
            if reason == reason::SIGN_UP_NOT_ALLOWED =>
        {
            return closed(posted.frame("Nobody can sign up here"));
        }
        Err(ServiceError::AlreadyExists { .. }) => {
            let mut form = posted.form();
            form.fault("username", "is taken; choose another one");
            return show(posted.frame("Sign up"), form);
        }
        Err(ServiceError::ResourceExhausted { retry_after }) => {
            let seconds = retry_after.as_secs().max(1);
            let mut form = posted.form();
            form.complain(format!("Too many attempts. Try again in {seconds} s."));
            return show(posted.frame("Sign up"), form);
        }
        Err(error) => {
            let mut form = posted.form();
            form.refuse(error, &NAMES)?;
            return show(posted.frame("Sign up"), form);
        }
    }
    let notice = Notice::done(format!(
        "Welcome, {name}. Find an API, and subscribe to it."
    ));
    match portal.service.sign_in(name, &password, peer).await {
        Ok(signed_in) => {
            let mut response = See::page("/devportal/apis").saying(notice).response();
            let token = &signed_in.token;
            entrance::enter(&portal, &posted.visitor, token, &mut response).await?;
            Ok(response)
        }
        // The account is there all the same.
        Err(_) => See::page("/sign-in").saying(notice).answer(),
    }
}

fn show(frame: Frame, form: Form) -> Answer {
    let page = SignUp { frame, form };
    page.frame.show_with(page.form.status(), &page)
}

fn closed(frame: Frame) -> Answer {
    let page = NoSignUp { frame };
    page.frame.show_with(StatusCode::FORBIDDEN, &page)
}
