//! The catalogue: the APIs that the viewer may see, signed in or not.

use std::collections::BTreeSet;

use askama::Template;
use axum::{Router, extract::State, routing::get};

use super::header::OVERVIEW;

use crate::{
    domain::lifecycle::Lifecycle,
    portal::{
        Answer, Frame, NavItem, Portal, RequestContext,
        list::{Filter, ListView, SEARCH},
        markdown,
    },
    service::{catalog::Listing, listing::ListQuery},
};

#[derive(Template)]
#[template(path = "devportal/catalogue.html")]
struct Catalogue {
    frame: Frame,
    list: ListView<Listing>,
    tags: BTreeSet<String>,
    may_sign_up: bool,
}

/// The entry of the side navigation.
pub(super) const NAV: NavItem = NavItem::public("APIs", "/devportal/apis");
/// How many stand on a page: whole rows of two or three cards.
const PAGE_SIZE: i32 = 24;

pub(super) fn routes() -> Router<Portal> {
    Router::new().route(NAV.path, get(list))
}

async fn list(State(portal): State<Portal>, context: RequestContext) -> Answer {
    let query = context.query();
    let filter = Filter::new()
        .contains("text", query.text(SEARCH))
        .is("tags", query.text("tag"));
    let listed = ListQuery {
        order_by: "display_name, version".to_owned(),
        ..filter.page(&query, PAGE_SIZE)
    };
    let page = portal.service.list_catalog(&context.visitor(), &listed)?;
    let chosen = Some(query.text("tag")).filter(|tag| !tag.is_empty());
    let tags = page.items.iter().flat_map(|api| &api.tags);
    let page = Catalogue {
        frame: Frame::new(&context, NAV.name),
        tags: tags.cloned().chain(chosen.map(str::to_owned)).collect(),
        list: ListView::new(NAV.path, query, page),
        may_sign_up: portal.service.is_sign_up_allowed(),
    };
    page.frame.show(&page)
}

// === impl Catalogue ===

impl Catalogue {
    /// The beginning of a description, without its Markdown.
    fn teaser(&self, api: &Listing) -> String {
        markdown::plain(&api.description, 240)
    }
}
