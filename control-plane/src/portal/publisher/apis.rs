//! The list of APIs: as cards or as a table, searched, filtered by state and tag, in pages.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use askama::Template;
use axum::{Router, extract::State, routing::get};
use tidegate_proto::ids::ApiId;

use super::header::{OVERVIEW, thumbnail};
use crate::{
    domain::{api::Api, lifecycle::Lifecycle, user::Permission},
    portal::{
        Answer, Frame, NavItem, Portal, SignedIn,
        list::{Filter, ListView, SEARCH},
    },
    service::listing::ListQuery,
};

#[derive(Template)]
#[template(path = "publisher/apis.html")]
struct ApiList {
    frame: Frame,
    list: ListView<Arc<Api>>,
    tags: BTreeSet<String>,
    /// Where the thumbnails of those are that have one.
    thumbnails: BTreeMap<ApiId, String>,
}

/// The entry of the side navigation.
pub(super) const NAV: NavItem = NavItem::new("APIs", "/publisher/apis", Permission::ViewApis);
/// The page that designs a new one.
pub(super) const CREATE: &str = "/publisher/apis/create";
/// How many stand on a page: whole rows of two or three cards.
const PAGE_SIZE: i32 = 24;

pub(super) fn routes() -> Router<Portal> {
    Router::new().route(NAV.path, get(list))
}

async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let query = signed_in.query();
    let filter = Filter::new()
        .contains("text", query.text(SEARCH))
        .is("state", query.text("state"))
        .is("tags", query.text("tag"));
    let listed = ListQuery {
        order_by: "update_time desc".to_owned(),
        ..filter.page(&query, PAGE_SIZE)
    };
    let viewer = signed_in.viewer();
    let page = portal.service.list_apis(viewer, &listed)?;
    let chosen = Some(query.text("tag")).filter(|tag| !tag.is_empty());
    let tags = page.items.iter().flat_map(|api| &api.design.tags);
    let thumbnails = page.items.iter().filter_map(|api| {
        let path = thumbnail(&portal, viewer, api.id)?;
        Some((api.id, path))
    });
    let page = ApiList {
        thumbnails: thumbnails.collect(),
        frame: Frame::new(&signed_in, NAV.name),
        tags: tags.cloned().chain(chosen.map(str::to_owned)).collect(),
        list: ListView::new(NAV.path, query, page),
    };
    page.frame.show(&page)
}

// === impl ApiList ===

impl ApiList {
    fn is_table(&self) -> bool {
        self.list.query.text("view") == "table"
    }

    /// The same list in the other view.
    fn view(&self, view: &str) -> String {
        let rest = self.list.query.only(|name| name != "view");
        format!("{}?{}", NAV.path, rest.with("view", view).encode())
    }
}
