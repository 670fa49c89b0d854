//! The overview of an API: its description, addresses, topics and plans; and its thumbnail.

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::IntoResponse as _,
    routing::get,
};
use http::header;
use tidegate_proto::ids::ApiId;

use super::{
    catalogue,
    header::{CONSOLE, OVERVIEW, SUBSCRIPTIONS, THUMBNAIL},
};
use crate::{
    domain::user::Permission,
    portal::{
        Answer, Fields, Frame, Portal, RequestContext, html::Html, limits, markdown, tab::Tab,
    },
    service::catalog::{GatewayUrls, Listing},
};

#[derive(Template)]
#[template(path = "devportal/overview.html")]
struct CatalogueApi {
    frame: Frame,
    tab: &'static Tab,
    api: Listing,
}

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(OVERVIEW.route, get(overview))
        .route(THUMBNAIL, get(thumbnail))
}

async fn overview(
    State(portal): State<Portal>,
    context: RequestContext,
    Path(id): Path<ApiId>,
) -> Answer {
    let api = portal.service.get_from_catalog(&context.visitor(), id)?;
    let page = CatalogueApi {
        frame: Frame::new(&context, &api.display_name),
        tab: &OVERVIEW,
        api,
    };
    page.frame.show(&page)
}

async fn thumbnail(
    State(portal): State<Portal>,
    context: RequestContext,
    Path(id): Path<ApiId>,
) -> Answer {
    let picture = portal.service.get_thumbnail(&context.visitor(), id)?;
    let headers = [
        (header::CONTENT_TYPE, picture.format.content_type()),
        // Its address changes with it; who may see the API may change, so no cache between shares it.
        (header::CACHE_CONTROL, "private, max-age=86400"),
    ];
    Ok((headers, picture.image.clone()).into_response())
}

// === impl CatalogueApi ===

impl CatalogueApi {
    fn description(&self) -> Html {
        markdown::html(&self.api.description)
    }

    fn limits(&self, of: &tidegate_proto::quota::Limits) -> Vec<String> {
        limits::terms(of)
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
        format!("{}?{query}", catalogue::NAV.path)
    }

    fn may_subscribe(&self) -> bool {
        self.api.state.takes_subscriptions()
            && (self.frame.actor().is_none() || self.frame.may(Permission::Subscribe))
    }
}
