//! The documents of an API: which there are, and what one says.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};

use super::id;
use crate::{
    domain::document::{Document, DocumentContent},
    portal::{Answer, Frame, Portal, Visitor, html::Html, markdown, words::document_kind},
    service::{catalog::Listing, listing::ListQuery},
};

#[derive(Template)]
#[template(path = "devportal/documents.html")]
struct Documents {
    frame: Frame,
    tab: &'static str,
    api: Listing,
    documents: Vec<Arc<Document>>,
}

#[derive(Template)]
#[template(path = "devportal/document.html")]
struct Read {
    frame: Frame,
    tab: &'static str,
    api: Listing,
    document: Arc<Document>,
    text: Html,
}

/// As many as an API may have.
const ALL: i32 = 500;

pub(super) async fn list(
    State(portal): State<Portal>,
    visitor: Visitor,
    Path(api): Path<String>,
) -> Answer {
    let reader = visitor.reader();
    let api = portal.service.get_from_catalog(&reader, id(&api)?)?;
    let all = ListQuery {
        page_size: ALL,
        ..ListQuery::default()
    };
    let documents = portal.service.list_documents(&reader, api.id, &all)?;
    let page = Documents {
        frame: visitor.frame(format!("Documents of {}", api.display_name)),
        tab: "documents",
        documents: documents.items,
        api,
    };
    page.frame.show(&page)
}

pub(super) async fn read(
    State(portal): State<Portal>,
    visitor: Visitor,
    Path((api, document)): Path<(String, String)>,
) -> Answer {
    let reader = visitor.reader();
    let api = portal.service.get_from_catalog(&reader, id(&api)?)?;
    let document = portal
        .service
        .get_document(&reader, api.id, id(&document)?)?;
    let text = match &document.content {
        DocumentContent::Markdown(text) => markdown::html(text),
        DocumentContent::Link(_) => Html::default(),
    };
    let page = Read {
        frame: visitor.frame(document.name.to_string()),
        tab: "documents",
        api,
        document,
        text,
    };
    page.frame.show(&page)
}

/// Where a document that is a link leads.
fn link(document: &Document) -> Option<&str> {
    match &document.content {
        DocumentContent::Link(url) => Some(url),
        DocumentContent::Markdown(_) => None,
    }
}

// === impl Documents ===

impl Documents {
    fn kind(&self, of: &Document) -> &'static str {
        document_kind(of.kind)
    }

    fn link<'a>(&self, document: &'a Document) -> Option<&'a str> {
        link(document)
    }
}

// === impl Read ===

impl Read {
    fn kind(&self) -> &'static str {
        document_kind(self.document.kind)
    }

    fn link(&self) -> Option<&str> {
        link(&self.document)
    }
}
