//! Deleting an API: what goes with it, and its name typed once more.

use askama::Template;
use axum::extract::{Path, State};
use tidegate_proto::ids::ApiId;

use super::{
    around::{Around, title},
    edit::DESIGN,
};
use crate::{
    domain::actor::Actor,
    portal::{Answer, Form, Frame, Notice, Portal, Posted, See, SignedIn, fields::Fields},
};

#[derive(Template)]
#[template(path = "publisher/delete.html")]
struct Delete {
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
    let api = portal.service.get_api(&signed_in.actor, id)?;
    let form = Form::edits(Fields::new(), api.etag);
    let frame = signed_in.frame("Delete the API");
    show(&portal, &signed_in.actor, frame, id, form)
}

pub(super) async fn take(
    State(portal): State<Portal>,
    Path(id): Path<ApiId>,
    posted: Posted,
) -> Answer {
    posted.signed_in().demands(DESIGN)?;
    let mut form = posted.form();
    if !posted.is_resumed() {
        let api = portal.service.get_api(&posted.actor, id)?;
        let etag = form.etag().to_owned();
        if posted.fields.text("confirm").trim() == api.name.as_str() {
            match portal.service.delete_api(&posted.actor, id, &etag).await {
                Ok(()) => {
                    let text = format!("{} {} is deleted.", title(&api), api.version);
                    return See::page("/publisher/apis")
                        .saying(Notice::done(text))
                        .answer();
                }
                Err(error) => {
                    let now = portal.service.get_api(&posted.actor, id)?;
                    form = Form::edits(posted.fields.clone(), now.etag);
                    form.refuse_deletion(error)?;
                }
            }
        } else {
            form.fault("confirm", format!("must be exactly `{}`", api.name));
        }
    }
    show(
        &portal,
        &posted.actor,
        posted.frame("Delete the API"),
        id,
        form,
    )
}

fn show(portal: &Portal, actor: &Actor, frame: Frame, id: ApiId, form: Form) -> Answer {
    let api = portal.service.get_api(actor, id)?;
    let page = Delete {
        frame,
        form,
        around: Around::new(portal, actor, api, "delete"),
    };
    page.frame.show_with(page.form.status(), &page)
}

// === impl Delete ===

impl Delete {
    /// The head of the page, with the version that goes; others stay.
    fn what(&self) -> String {
        format!("{} {}", self.around.title(), self.around.api.version)
    }
}
