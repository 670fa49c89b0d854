//! The signing keys of the key manager: those that are published, and their rotation.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::State,
    routing::{get, post},
};

use crate::{
    domain::{
        signing::{SigningKey, SigningKeyState},
        user::Permission,
    },
    oauth::rotation::RotationError,
    portal::{Answer, AuthenticatedForm, Form, Frame, NavItem, Portal, Redirect, SignedIn},
    service::error::ServiceError,
};

#[derive(Template)]
#[template(path = "admin/signing_keys.html")]
struct SigningKeyList {
    frame: Frame,
    form: Form,
    keys: Vec<Arc<SigningKey>>,
}

/// The entry of the side navigation.
pub(super) const NAV: NavItem = NavItem::new(
    "Signing keys",
    "/admin/signing-keys",
    Permission::ManageKeyManager,
);
/// Where the button is sent that rotates the keys.
const ROTATE: &str = "/admin/signing-keys/rotate";

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(NAV.path, get(list))
        .route(ROTATE, post(rotate))
}

async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    show(&portal, &signed_in, Form::new())
}

async fn rotate(State(portal): State<Portal>, submitted: AuthenticatedForm) -> Answer {
    let Some(actor) = submitted.confirmed() else {
        return Redirect::press_again(NAV.path).answer();
    };
    let mut form = Form::new();
    match portal.rotation.rotate(actor).await {
        Ok(key) => {
            let text = format!(
                "Signing key {} published. It becomes active once all gateways have it.",
                key.id
            );
            return Redirect::to(NAV.path).success(text).answer();
        }
        Err(RotationError::Service(error)) => form.refuse(error, &[])?,
        Err(error) => {
            tracing::error!(%error, "failed to create a signing key");
            return Err(ServiceError::Unavailable("the key could not be created").into());
        }
    }
    show(&portal, submitted.signed_in(), form)
}

fn show(portal: &Portal, signed_in: &SignedIn, form: Form) -> Answer {
    let page = SigningKeyList {
        frame: Frame::new(signed_in, NAV.name),
        form,
        keys: portal.service.list_signing_keys(signed_in.viewer())?,
    };
    page.frame.show_with(page.form.status(), &page)
}
