//! Deleting an API: what is deleted with it, and its name typed once more.

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use tidegate_proto::ids::ApiId;

use super::{
    apis,
    header::{ApiHeader, DELETE, title},
};
use crate::{
    domain::user::Permission,
    portal::{Answer, AuthenticatedForm, Fields, Form, Frame, Portal, Redirect, SignedIn},
};

#[derive(Template)]
#[template(path = "publisher/delete.html")]
struct DeleteApiPage {
    frame: Frame,
    header: ApiHeader,
    form: Form,
}

const NEEDS: &[Permission] = &[Permission::DesignApis];

pub(super) fn routes() -> Router<Portal> {
    Router::new().route(DELETE, get(show).post(submit))
}

async fn show(State(portal): State<Portal>, signed_in: SignedIn, Path(id): Path<ApiId>) -> Answer {
    signed_in.require(NEEDS)?;
    let api = portal.service.get_api(signed_in.viewer(), id)?;
    page(
        &portal,
        &signed_in,
        id,
        Form::edits(Fields::new(), api.meta.etag),
    )
}

async fn submit(
    State(portal): State<Portal>,
    Path(id): Path<ApiId>,
    submitted: AuthenticatedForm,
) -> Answer {
    let signed_in = submitted.signed_in();
    signed_in.require(NEEDS)?;
    let mut form = submitted.form();
    if let Some(actor) = submitted.confirmed() {
        let api = portal.service.get_api(actor, id)?;
        if form.value("confirm").trim() == api.name.as_str() {
            match portal.service.delete_api(actor, id, form.etag()).await {
                Ok(()) => {
                    let text = format!("API {} {} deleted", title(&api), api.version);
                    return Redirect::to(apis::NAV.path).success(text).answer();
                }
                Err(error) => {
                    let latest = portal.service.get_api(actor, id)?;
                    form = Form::edits(submitted.fields.clone(), latest.meta.etag);
                    form.refuse_deletion(error)?;
                }
            }
        } else {
            form.fault("confirm", format!("must be exactly `{}`", api.name));
        }
    }
    page(&portal, signed_in, id, form)
}

fn page(portal: &Portal, signed_in: &SignedIn, id: ApiId, form: Form) -> Answer {
    let api = portal.service.get_api(signed_in.viewer(), id)?;
    let page = DeleteApiPage {
        frame: Frame::new(signed_in, "Delete the API"),
        form,
        header: ApiHeader::new(portal, signed_in.viewer(), api, DELETE),
    };
    page.frame.show_with(page.form.status(), &page)
}
