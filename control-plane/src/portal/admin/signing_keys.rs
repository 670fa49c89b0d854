//! The signing keys of the key manager: those that are published, and a new one when an admin asks.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;

use crate::{
    domain::{
        actor::Actor,
        signing::{SigningKey, SigningKeyState},
    },
    oauth::rotation::RotationError,
    portal::{Answer, Form, Frame, Notice, Portal, Posted, See, SignedIn},
    service::error::ServiceError,
};

#[derive(Template)]
#[template(path = "admin/signing_keys.html")]
struct Keys {
    frame: Frame,
    form: Form,
    keys: Vec<Arc<SigningKey>>,
}

const LIST: &str = "/admin/signing-keys";
const TITLE: &str = "Signing keys";

pub(super) async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    show(
        &portal,
        &signed_in.actor,
        signed_in.frame(TITLE),
        Form::new(),
    )
}

pub(super) async fn rotate(State(portal): State<Portal>, posted: Posted) -> Answer {
    if posted.is_resumed() {
        return See::press_again(LIST).answer();
    }
    let mut form = Form::new();
    match portal.rotation.rotate(&posted.actor).await {
        Ok(key) => {
            let text = format!(
                "The key {} is published, and signs once everybody knows it.",
                key.id
            );
            return See::page(LIST).saying(Notice::done(text)).answer();
        }
        Err(RotationError::Service(error)) => form.refuse(error, &[])?,
        Err(error) => {
            tracing::error!(%error, "a signing key could not be made");
            return Err(ServiceError::Unavailable("the key could not be made").into());
        }
    }
    show(&portal, &posted.actor, posted.frame(TITLE), form)
}

fn show(portal: &Portal, actor: &Actor, frame: Frame, form: Form) -> Answer {
    let page = Keys {
        frame,
        form,
        keys: portal.service.list_signing_keys(actor)?,
    };
    page.frame.show_with(page.form.status(), &page)
}
