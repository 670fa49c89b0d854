//! One's own account, for everybody who is signed in: the password, and the way out of all sessions at once.

use askama::Template;
use axum::{
    Router,
    extract::State,
    routing::{get, post},
};
use tidegate_kit::secret::Secret;

use super::{Answer, Form, Frame, Notice, Portal, Posted, See, SignedIn, cookie};
use crate::service::users::PasswordChange;

#[derive(Template)]
#[template(path = "account.html")]
struct Account {
    frame: Frame,
    form: Form,
}

/// Where it is.
pub(super) const PATH: &str = "/account";

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(PATH, get(open))
        .route("/account/password", post(change_password))
        .route("/account/sign-out-everywhere", post(sign_out_everywhere))
}

async fn open(signed_in: SignedIn) -> Answer {
    show(signed_in.frame("Your account"), Form::new())
}

async fn change_password(State(portal): State<Portal>, posted: Posted) -> Answer {
    let mut form = posted.form();
    let text = |name| posted.fields.text(name).to_owned();
    // What is typed twice so that no slip of the keyboard locks anybody out.
    if !posted.is_resumed() && text("new_password") != text("repeated_password") {
        form.fault("repeated_password", "differs from the new password");
    } else if !posted.is_resumed() {
        let change = PasswordChange {
            name: posted.actor.name.to_string(),
            old: Some(Secret::new(text("old_password"))),
            new: Secret::new(text("new_password")),
            keep: posted.session().cloned(),
        };
        match portal.service.change_password(&posted.actor, change).await {
            Ok(()) => {
                let text = "Your password is changed. You are signed out everywhere but here.";
                return See::page(PATH).saying(Notice::done(text)).answer();
            }
            Err(error) => form.refuse(error, &[])?,
        }
    }
    show(posted.frame("Your account"), form)
}

async fn sign_out_everywhere(State(portal): State<Portal>, posted: Posted) -> Answer {
    if posted.is_resumed() {
        return See::press_again(PATH).answer();
    }
    let name = posted.actor.name.to_string();
    portal
        .service
        .sign_out_everywhere(&posted.actor, &name)
        .await?;
    let done = Notice::done("You are signed out everywhere.");
    let mut response = See::page("/").saying(done).response();
    cookie::clear(response.headers_mut(), cookie::SESSION);
    Ok(response)
}

fn show(frame: Frame, form: Form) -> Answer {
    let page = Account { frame, form };
    page.frame.show_with(page.form.status(), &page)
}
