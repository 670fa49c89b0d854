//! The form that makes a new version of an API.

use askama::Template;
use axum::extract::{Path, State};
use tidegate_proto::ids::ApiId;

use super::{
    around::{Around, path},
    edit::DESIGN,
};
use crate::{
    domain::actor::Actor,
    portal::{Answer, Form, Frame, Notice, Portal, Posted, See, SignedIn},
    service::error::ServiceError,
};

#[derive(Template)]
#[template(path = "publisher/version.html")]
struct Version {
    frame: Frame,
    around: Around,
    form: Form,
}

pub(super) async fn ask(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(id): Path<ApiId>,
) -> Answer {
    signed_in.demands(DESIGN)?;
    let frame = signed_in.frame("New version");
    show(&portal, &signed_in.actor, frame, id, Form::new())
}

pub(super) async fn take(
    State(portal): State<Portal>,
    Path(id): Path<ApiId>,
    posted: Posted,
) -> Answer {
    let mut form = posted.form();
    if !posted.is_resumed() {
        let version = posted.fields.text("version").trim();
        let is_default = posted.fields.has("default_version");
        let made = portal
            .service
            .create_api_version(&posted.actor, id, version, is_default);
        match made.await {
            Ok(api) => {
                let text = format!("Version {} is created. It is yours to change.", api.version);
                return See::page(path(api.id, ""))
                    .saying(Notice::done(text))
                    .answer();
            }
            Err(ServiceError::AlreadyExists { description, .. }) => {
                form.fault("version", format!("is taken: {description}"));
            }
            Err(error) => form.refuse(error, &[])?,
        }
    }
    show(
        &portal,
        &posted.actor,
        posted.frame("New version"),
        id,
        form,
    )
}

fn show(portal: &Portal, actor: &Actor, frame: Frame, id: ApiId, form: Form) -> Answer {
    let api = portal.service.get_api(actor, id)?;
    let page = Version {
        frame,
        form,
        around: Around::new(portal, actor, api, "version"),
    };
    page.frame.show_with(page.form.status(), &page)
}
