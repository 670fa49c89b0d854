//! The catalogue: what is offered to whoever looks, signed in or not.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::State;

use crate::{
    domain::lifecycle::Lifecycle,
    portal::{
        Answer, Frame, Portal, Visitor,
        fields::Fields,
        list::{Filter, PAGE, Pager},
        markdown,
    },
    service::{catalog::Listing, listing::ListQuery},
};

#[derive(Template)]
#[template(path = "devportal/catalogue.html")]
struct Catalogue {
    frame: Frame,
    query: Fields,
    apis: Vec<Listing>,
    tags: BTreeSet<String>,
    pager: Pager,
    may_sign_up: bool,
}

/// How many stand on a page: whole rows of two or three cards.
const PAGE_SIZE: i32 = 24;

pub(super) async fn list(State(portal): State<Portal>, visitor: Visitor) -> Answer {
    let query = visitor.query();
    let filter = Filter::new()
        .contains("text", query.text("q"))
        .is("tags", query.text("tag"));
    let listed = ListQuery {
        page_size: PAGE_SIZE,
        page_token: query.text(PAGE).to_owned(),
        filter: filter.text(),
        order_by: "display_name, version".to_owned(),
    };
    let page = portal.service.list_catalog(&visitor.reader(), &listed)?;
    let chosen = Some(query.text("tag")).filter(|tag| !tag.is_empty());
    let tags = page.items.iter().flat_map(|api| &api.tags);
    let page = Catalogue {
        frame: visitor.frame("APIs"),
        tags: tags.cloned().chain(chosen.map(str::to_owned)).collect(),
        pager: Pager::new("/devportal/apis", &query, &page),
        apis: page.items,
        query,
        may_sign_up: portal.service.is_sign_up_allowed(),
    };
    page.frame.show(&page)
}

// === impl Catalogue ===

impl Catalogue {
    fn is_filtered(&self) -> bool {
        ["q", "tag"]
            .into_iter()
            .any(|name| !self.query.text(name).is_empty())
    }

    /// The beginning of a description, without what is Markdown in it.
    fn teaser(&self, api: &Listing) -> String {
        markdown::plain(&api.description, 240)
    }
}
