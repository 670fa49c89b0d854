//! The catalogue: what is offered to whoever looks, signed in or not.

use std::{collections::BTreeSet, sync::Arc};

use askama::Template;
use axum::extract::State;

use crate::{
    domain::{api::Api, lifecycle::Lifecycle},
    portal::{
        Answer, Frame, Portal, Visitor,
        fields::Fields,
        list::{Filter, PAGE, Pager},
    },
    service::listing::ListQuery,
};

#[derive(Template)]
#[template(path = "devportal/catalogue.html")]
struct Catalogue {
    frame: Frame,
    query: Fields,
    apis: Vec<Arc<Api>>,
    tags: BTreeSet<String>,
    pager: Pager,
}

/// How many stand on a page: whole rows of two or three cards.
const PAGE_SIZE: i32 = 24;

pub(super) async fn list(State(portal): State<Portal>, visitor: Visitor) -> Answer {
    let query = visitor.query();
    let offered = Lifecycle::ALL
        .into_iter()
        .filter(|state| !state.is_listed());
    let filter = offered
        .fold(Filter::new(), |filter, state| {
            filter.is_not("state", state.as_str())
        })
        .contains("api_name", query.text("q"))
        .is("tags", query.text("tag"));
    let listed = ListQuery {
        page_size: PAGE_SIZE,
        page_token: query.text(PAGE).to_owned(),
        filter: filter.text(),
        order_by: "api_name, version".to_owned(),
    };
    let page = portal.service.list_apis(&visitor.reader(), &listed)?;
    let chosen = Some(query.text("tag")).filter(|tag| !tag.is_empty());
    let tags = page.items.iter().flat_map(|api| &api.design.tags);
    let page = Catalogue {
        frame: visitor.frame("APIs"),
        tags: tags.cloned().chain(chosen.map(str::to_owned)).collect(),
        pager: Pager::new("/devportal/apis", &query, &page),
        apis: page.items,
        query,
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
}
