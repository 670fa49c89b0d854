//! The user's own account: the password, and the end of all sessions at once.

use askama::Template;
use axum::{
    Router,
    extract::State,
    routing::{get, post},
};
use tidegate_kit::secret::Secret;

use super::{
    context::SignedIn, form::Form, frame::Frame, problem::Answer, redirect::Redirect, sign_in,
    state::Portal, submitted::AuthenticatedForm,
};
use crate::service::users::PasswordChange;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    form: Form,
}

/// The page.
pub(super) const PATH: &str = "/account";
/// Where its forms are sent.
const PASSWORD: &str = "/account/password";
const SIGN_OUT: &str = "/account/sign-out-everywhere";

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(PATH, get(show))
        .route(PASSWORD, post(change_password))
        .route(SIGN_OUT, post(sign_out_everywhere))
}

async fn show(signed_in: SignedIn) -> Answer {
    page(&signed_in, Form::new())
}

async fn change_password(State(portal): State<Portal>, submitted: AuthenticatedForm) -> Answer {
    let mut form = submitted.form();
    if let Some(actor) = submitted.confirmed() {
        let text = |name| submitted.fields.text(name).to_owned();
        // The repetition protects against a slip of the keyboard.
        if text("new_password") != text("repeated_password") {
            form.fault("repeated_password", "must match the new password");
            return page(submitted.signed_in(), form);
        }
        let change = PasswordChange {
            name: actor.name.clone(),
            old: Some(Secret::new(text("old_password"))),
            new: Secret::new(text("new_password")),
            keep: submitted.signed_in().session().cloned(),
        };
        match portal.service.change_password(actor, change).await {
            Ok(()) => {
                let text = "Password changed. You're signed out everywhere else.";
                return Redirect::to(PATH).success(text).answer();
            }
            Err(error) => form.refuse(error, &[])?,
        }
    }
    page(submitted.signed_in(), form)
}

async fn sign_out_everywhere(State(portal): State<Portal>, submitted: AuthenticatedForm) -> Answer {
    let Some(actor) = submitted.confirmed() else {
        return Redirect::press_again(PATH).answer();
    };
    let service = &portal.service;
    service.sign_out_everywhere(actor, &actor.name).await?;
    Ok(sign_in::signed_out("You're signed out everywhere."))
}

fn page(signed_in: &SignedIn, form: Form) -> Answer {
    let page = AccountPage {
        frame: Frame::new(signed_in, "Your account"),
        form,
    };
    page.frame.show_with(page.form.status(), &page)
}
