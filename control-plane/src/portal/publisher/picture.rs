//! The picture of an API: shown, set, taken away. Its form stands on the page of basic info.

use axum::{
    extract::{Path, State},
    response::IntoResponse as _,
};
use http::header;
use tidegate_proto::ids::ApiId;

use super::{
    around::{back, path},
    info,
};
use crate::{
    domain::actor::Visitor,
    portal::{Answer, Form, Notice, Portal, Posted, See, SignedIn},
};

/// The picture itself. Its address changes with it, so it is kept by the browser of whoever may see it.
pub(super) async fn show(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(id): Path<ApiId>,
) -> Answer {
    let visitor = Visitor::SignedIn(signed_in.actor.clone());
    let picture = portal.service.get_thumbnail(&visitor, id)?;
    let headers = [
        (header::CONTENT_TYPE, picture.format.content_type()),
        (header::CACHE_CONTROL, "private, max-age=86400"),
    ];
    Ok((headers, picture.image.clone()).into_response())
}

pub(super) async fn set(
    State(portal): State<Portal>,
    Path(id): Path<ApiId>,
    posted: Posted,
) -> Answer {
    let mut form = Form::new();
    match posted.file("image") {
        None => form.fault("image", "must be chosen"),
        Some(file) => {
            let image = file.content.to_vec();
            match portal.service.set_thumbnail(&posted.actor, id, image).await {
                Ok(_) => {
                    let notice = Notice::done("The picture is set.");
                    return See::page(path(id, "info")).saying(notice).answer();
                }
                Err(error) => form.refuse(error, &[])?,
            }
        }
    }
    let api = portal.service.get_api(&posted.actor, id)?;
    let frame = posted.frame("Basic info");
    info::show(&portal, &posted.actor, frame, api, form)
}

pub(super) async fn delete(
    State(portal): State<Portal>,
    Path(id): Path<ApiId>,
    posted: Posted,
) -> Answer {
    let here = path(id, "info");
    if posted.is_resumed() {
        return See::press_again(here).answer();
    }
    let did = portal.service.delete_thumbnail(&posted.actor, id).await;
    back(here, did, |()| "The picture is taken away.".to_owned())
}
