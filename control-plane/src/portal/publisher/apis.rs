//! The list of APIs: as cards or as a table, searched, filtered by state and tag, in pages.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use askama::Template;
use axum::extract::State;
use tidegate_proto::ids::ApiId;

use super::around::picture;

use crate::{
    domain::{api::Api, lifecycle::Lifecycle, user::Permission},
    portal::{
        Answer, Frame, Portal, SignedIn,
        fields::Fields,
        list::{Filter, PAGE, Pager},
    },
    service::listing::ListQuery,
};

#[derive(Template)]
#[template(path = "publisher/apis.html")]
struct Apis {
    frame: Frame,
    query: Fields,
    apis: Vec<Arc<Api>>,
    tags: BTreeSet<String>,
    pager: Pager,
    /// Where the pictures of those are that have one.
    pictures: BTreeMap<ApiId, String>,
}

/// How many stand on a page: whole rows of two or three cards.
const PAGE_SIZE: i32 = 24;

pub(super) async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let query = signed_in.query();
    let filter = Filter::new()
        .contains("text", query.text("q"))
        .is("state", query.text("state"))
        .is("tags", query.text("tag"));
    let listed = ListQuery {
        page_size: PAGE_SIZE,
        page_token: query.text(PAGE).to_owned(),
        filter: filter.text(),
        order_by: "update_time desc".to_owned(),
    };
    let page = portal.service.list_apis(&signed_in.actor, &listed)?;
    let chosen = Some(query.text("tag")).filter(|tag| !tag.is_empty());
    let tags = page.items.iter().flat_map(|api| &api.design.tags);
    let pictures = page.items.iter().filter_map(|api| {
        let address = picture(&portal, &signed_in.actor, api.id)?;
        Some((api.id, address))
    });
    let page = Apis {
        pictures: pictures.collect(),
        frame: signed_in.frame("APIs"),
        tags: tags.cloned().chain(chosen.map(str::to_owned)).collect(),
        pager: Pager::new("/publisher/apis", &query, &page),
        apis: page.items,
        query,
    };
    page.frame.show(&page)
}

// === impl Apis ===

impl Apis {
    fn is_filtered(&self) -> bool {
        ["q", "state", "tag"]
            .into_iter()
            .any(|name| !self.query.text(name).is_empty())
    }

    fn is_table(&self) -> bool {
        self.query.text("view") == "table"
    }

    /// The same list in the other view.
    fn view(&self, view: &str) -> String {
        let rest = self.query.only(|name| name != "view");
        format!("/publisher/apis?{}", rest.with("view", view).encode())
    }
}
