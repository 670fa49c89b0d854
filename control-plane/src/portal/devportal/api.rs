//! The overview of an API: what it is for, where it is, its topics and its plans; and its picture.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::IntoResponse as _,
};
use http::header;

use super::{id, limits};
use crate::{
    domain::user::Permission,
    portal::{Answer, Frame, Portal, Visitor, fields::Fields, html::Html, markdown},
    service::catalog::{GatewayUrls, Listing},
};

#[derive(Template)]
#[template(path = "devportal/overview.html")]
struct Overview {
    frame: Frame,
    tab: &'static str,
    api: Listing,
}

pub(super) async fn overview(
    State(portal): State<Portal>,
    visitor: Visitor,
    Path(api): Path<String>,
) -> Answer {
    let api = portal
        .service
        .get_from_catalog(&visitor.reader(), id(&api)?)?;
    let page = Overview {
        frame: visitor.frame(&api.display_name),
        tab: "overview",
        api,
    };
    page.frame.show(&page)
}

pub(super) async fn thumbnail(
    State(portal): State<Portal>,
    visitor: Visitor,
    Path(api): Path<String>,
) -> Answer {
    let picture = portal.service.get_thumbnail(&visitor.reader(), id(&api)?)?;
    let headers = [
        (header::CONTENT_TYPE, picture.format.content_type()),
        // Its address changes with it; who may see the API may change, so no cache between shares it.
        (header::CACHE_CONTROL, "private, max-age=86400"),
    ];
    Ok((headers, picture.image.clone()).into_response())
}

// === impl Overview ===

impl Overview {
    fn description(&self) -> Html {
        markdown::html(&self.api.description)
    }

    fn limits(&self, of: &tidegate_proto::quota::Limits) -> Vec<String> {
        limits::words(of)
    }

    fn urls(&self, of: &GatewayUrls) -> Vec<String> {
        [&of.wss, &of.ws].into_iter().flatten().cloned().collect()
    }

    fn default_urls(&self, of: &GatewayUrls) -> Vec<String> {
        let all = [&of.default_wss, &of.default_ws];
        all.into_iter().flatten().cloned().collect()
    }

    /// Where the catalogue shows what has a tag.
    fn tagged(&self, tag: &str) -> String {
        let query = Fields::new().with("tag", tag).encode();
        format!("/devportal/apis?{query}")
    }

    fn may_subscribe(&self) -> bool {
        self.api.state.takes_subscriptions()
            && (self.frame.actor().is_none() || self.frame.may(Permission::Subscribe))
    }
}
