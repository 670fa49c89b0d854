//! The documents of an API: the list, and one of them.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use tidegate_proto::ids::{ApiId, DocumentId};

use super::header::{DOCUMENTS, OVERVIEW};
use crate::{
    domain::document::{Document, DocumentContent},
    portal::{
        Answer, Frame, Portal, RequestContext, format, html::Html, list::Filter, markdown,
        route::link, tab::Tab,
    },
    service::catalog::Listing,
};

#[derive(Template)]
#[template(path = "devportal/documents.html")]
struct CatalogueDocuments {
    frame: Frame,
    tab: &'static Tab,
    api: Listing,
    documents: Vec<Arc<Document>>,
}

#[derive(Template)]
#[template(path = "devportal/document.html")]
struct CatalogueDocument {
    frame: Frame,
    tab: &'static Tab,
    api: Listing,
    document: Arc<Document>,
    text: Html,
}

const DOCUMENT: &str = "/devportal/apis/{api}/documents/{document}";
/// As many as an API may have.
const ALL: i32 = 500;

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(DOCUMENTS.route, get(list))
        .route(DOCUMENT, get(show))
}

async fn list(
    State(portal): State<Portal>,
    context: RequestContext,
    Path(id): Path<ApiId>,
) -> Answer {
    let visitor = context.visitor();
    let api = portal.service.get_from_catalog(&visitor, id)?;
    let all = Filter::new().first(ALL);
    let documents = portal.service.list_documents(&visitor, id, &all)?;
    let page = CatalogueDocuments {
        frame: Frame::new(&context, format!("Documents of {}", api.display_name)),
        tab: &DOCUMENTS,
        documents: documents.items,
        api,
    };
    page.frame.show(&page)
}

async fn show(
    State(portal): State<Portal>,
    context: RequestContext,
    Path((id, document)): Path<(ApiId, DocumentId)>,
) -> Answer {
    let visitor = context.visitor();
    let api = portal.service.get_from_catalog(&visitor, id)?;
    let document = portal.service.get_document(&visitor, id, document)?;
    let text = match &document.content {
        DocumentContent::Markdown(text) => markdown::html(text),
        DocumentContent::Link(_) => Html::default(),
    };
    let page = CatalogueDocument {
        frame: Frame::new(&context, document.name.to_string()),
        tab: &DOCUMENTS,
        api,
        document,
        text,
    };
    page.frame.show(&page)
}

// === impl CatalogueDocuments ===

impl CatalogueDocuments {
    fn path(&self, document: &Document) -> String {
        link(DOCUMENT, &[&self.api.id, &document.id])
    }
}
