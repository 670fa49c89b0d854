//! The thumbnail of an API: shown, uploaded, deleted. Its form is on the page of basic info.

use axum::{
    Router,
    extract::{Path, State},
    response::IntoResponse as _,
    routing::{get, post},
};
use http::header;
use tidegate_proto::ids::ApiId;

use super::{
    header::{INFO, THUMBNAIL, back},
    info::{self, DELETE_THUMBNAIL},
};
use crate::portal::{Answer, AuthenticatedForm, Form, Portal, Redirect, SignedIn};

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(THUMBNAIL, get(show).post(upload))
        .route(DELETE_THUMBNAIL, post(delete))
}

/// The picture itself. Its address changes with it, so the browser of a user who may see it keeps it.
async fn show(State(portal): State<Portal>, signed_in: SignedIn, Path(id): Path<ApiId>) -> Answer {
    let thumbnail = portal.service.get_thumbnail(&signed_in.visitor(), id)?;
    let headers = [
        (header::CONTENT_TYPE, thumbnail.format.content_type()),
        (header::CACHE_CONTROL, "private, max-age=86400"),
    ];
    Ok((headers, thumbnail.image.clone()).into_response())
}

async fn upload(
    State(portal): State<Portal>,
    Path(id): Path<ApiId>,
    submitted: AuthenticatedForm,
) -> Answer {
    let mut form = Form::new();
    match (submitted.file("image"), submitted.confirmed()) {
        (Some(file), Some(actor)) => {
            let image = file.content.to_vec();
            match portal.service.set_thumbnail(actor, id, image).await {
                Ok(_) => {
                    let next = Redirect::to(INFO.path(id));
                    return next.success("Thumbnail updated").answer();
                }
                Err(error) => form.refuse(error, &[])?,
            }
        }
        _ => form.fault("image", "must be chosen"),
    }
    let signed_in = submitted.signed_in();
    let api = portal.service.get_api(signed_in.viewer(), id)?;
    let saved = info::form(&api);
    info::show(&portal, signed_in, api, saved, form)
}

async fn delete(
    State(portal): State<Portal>,
    Path(id): Path<ApiId>,
    submitted: AuthenticatedForm,
) -> Answer {
    let here = INFO.path(id);
    let Some(actor) = submitted.confirmed() else {
        return Redirect::press_again(here).answer();
    };
    let deleted = portal.service.delete_thumbnail(actor, id).await;
    back(here, deleted, |()| "Thumbnail deleted".to_owned())
}
