//! The documents of an API: Markdown or links, written by creators and publishers.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use tidegate_proto::ids::{ApiId, DocumentId};

use super::around::{Around, back, path, plain};
use crate::{
    domain::{
        actor::{Actor, Visitor},
        document::{Document, DocumentContent, DocumentKind},
        user::Permission,
    },
    portal::{
        Answer, Form, Frame, Notice, Portal, Posted, Problem, See, SignedIn,
        fields::Fields,
        html::Html,
        list::{PAGE, Pager},
        markdown,
        words::document_kind,
    },
    service::{
        documents::{DocumentInput, DocumentUpdate},
        listing::ListQuery,
    },
};

#[derive(Template)]
#[template(path = "publisher/documents.html")]
struct Documents {
    frame: Frame,
    around: Around,
    documents: Vec<Arc<Document>>,
    pager: Pager,
}

#[derive(Template)]
#[template(path = "publisher/document.html")]
struct Page {
    frame: Frame,
    around: Around,
    form: Form,
    /// Where the form goes.
    path: String,
    /// Whether it is there already.
    is_kept: bool,
    /// The text as developers see it, where there is one.
    shown: Html,
}

/// What the use case calls the fields, and what the inputs are called.
const NAMES: [(&str, &str); 3] = [
    ("document.display_name", "name"),
    ("document.type", "kind"),
    ("document.url", "url"),
];

pub(super) async fn list(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(id): Path<ApiId>,
) -> Answer {
    signed_in.demands(Permission::WriteDocuments)?;
    let api = portal.service.get_api(&signed_in.actor, id)?;
    let query = signed_in.query();
    let listed = ListQuery {
        page_token: query.text(PAGE).to_owned(),
        ..ListQuery::default()
    };
    let visitor = Visitor::SignedIn(signed_in.actor.clone());
    let page = portal.service.list_documents(&visitor, id, &listed)?;
    let page = Documents {
        frame: signed_in.frame("Documents"),
        pager: Pager::new(&path(id, "documents"), &query, &page),
        documents: page.items,
        around: Around::new(&portal, &signed_in.actor, api, "documents"),
    };
    page.frame.show(&page)
}

pub(super) async fn ask_new(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(id): Path<ApiId>,
) -> Answer {
    signed_in.demands(Permission::WriteDocuments)?;
    let frame = signed_in.frame("New document");
    let form = Form::of(Fields::new().with("kind", DocumentKind::HowTo.as_str()));
    show(&portal, &signed_in.actor, frame, id, None, form)
}

pub(super) async fn take_new(
    State(portal): State<Portal>,
    Path(id): Path<ApiId>,
    posted: Posted,
) -> Answer {
    let mut form = posted.form();
    if !posted.is_resumed() && !posted.fields.has("preview") {
        let input = input(&posted.fields);
        match portal
            .service
            .create_document(&posted.actor, id, input)
            .await
        {
            Ok(document) => return saved(id, &format!("{} is added.", document.name)),
            Err(error) => form.refuse(plain(error), &NAMES)?,
        }
    }
    let frame = posted.frame("New document");
    show(&portal, &posted.actor, frame, id, None, form)
}

pub(super) async fn ask(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path((id, document)): Path<(ApiId, DocumentId)>,
) -> Answer {
    signed_in.demands(Permission::WriteDocuments)?;
    let visitor = Visitor::SignedIn(signed_in.actor.clone());
    let document = portal.service.get_document(&visitor, id, document)?;
    let form = Form::edits(of(&document), document.etag);
    let frame = signed_in.frame(document.name.to_string());
    show(
        &portal,
        &signed_in.actor,
        frame,
        id,
        Some(document.id),
        form,
    )
}

pub(super) async fn take(
    State(portal): State<Portal>,
    Path((id, document)): Path<(ApiId, DocumentId)>,
    posted: Posted,
) -> Answer {
    let mut form = posted.form();
    if !posted.is_resumed() && !posted.fields.has("preview") {
        let update = DocumentUpdate {
            api: id,
            id: document,
            input: input(&posted.fields),
            mask: vec!["*".to_owned()],
            etag: form.etag().to_owned(),
        };
        match portal.service.update_document(&posted.actor, update).await {
            Ok(document) => return saved(id, &format!("{} is saved.", document.name)),
            Err(error) => form.refuse(plain(error), &NAMES)?,
        }
        if form.conflict {
            let visitor = Visitor::SignedIn(posted.actor.clone());
            let now = portal.service.get_document(&visitor, id, document)?;
            form.meanwhile(of(&now), now.etag);
        }
    }
    let frame = posted.frame("Document");
    show(&portal, &posted.actor, frame, id, Some(document), form)
}

pub(super) async fn delete(
    State(portal): State<Portal>,
    Path((id, document)): Path<(ApiId, DocumentId)>,
    posted: Posted,
) -> Answer {
    let here = path(id, "documents");
    if posted.is_resumed() {
        return See::press_again(here).answer();
    }
    let etag = posted.form().etag().to_owned();
    let did = portal
        .service
        .delete_document(&posted.actor, id, document, &etag);
    back(here, did.await, |()| "The document is deleted.".to_owned())
}

fn saved(id: ApiId, text: &str) -> Answer {
    See::page(path(id, "documents"))
        .saying(Notice::done(text))
        .answer()
}

fn show(
    portal: &Portal,
    actor: &Actor,
    frame: Frame,
    id: ApiId,
    document: Option<DocumentId>,
    form: Form,
) -> Result<axum::response::Response, Problem> {
    let api = portal.service.get_api(actor, id)?;
    let part = match document {
        Some(document) => format!("documents/{document}"),
        None => "documents/create".to_owned(),
    };
    let page = Page {
        frame,
        path: path(id, &part),
        is_kept: document.is_some(),
        shown: markdown::html(form.value("markdown")),
        form,
        around: Around::new(portal, actor, api, "documents"),
    };
    page.frame.show_with(page.form.status(), &page)
}

fn of(document: &Document) -> Fields {
    let (markdown, url) = match &document.content {
        DocumentContent::Markdown(text) => (text.as_str(), ""),
        DocumentContent::Link(url) => ("", url.as_str()),
    };
    Fields::new()
        .with("name", document.name.as_str())
        .with("summary", &document.summary)
        .with("kind", document.kind.as_str())
        .with("markdown", markdown)
        .with("url", url)
}

fn input(fields: &Fields) -> DocumentInput {
    let markdown = fields.text("markdown");
    DocumentInput {
        name: fields.text("name").trim().to_owned(),
        summary: fields.text("summary").trim().to_owned(),
        kind: DocumentKind::parse(fields.text("kind")),
        markdown: markdown.to_owned(),
        url: fields.text("url").trim().to_owned(),
    }
}

// === impl Documents ===

impl Documents {
    fn kind(&self, document: &Document) -> &'static str {
        document_kind(document.kind)
    }

    /// Where a link leads; `None` for a text.
    fn link<'a>(&self, document: &'a Document) -> Option<&'a str> {
        match &document.content {
            DocumentContent::Link(url) => Some(url),
            DocumentContent::Markdown(_) => None,
        }
    }

    fn place(&self, document: &Document) -> String {
        self.around.path(&format!("documents/{}", document.id))
    }
}

// === impl Page ===

impl Page {
    fn kinds(&self) -> Vec<(&'static str, &'static str)> {
        let kinds = DocumentKind::ALL.into_iter();
        kinds
            .map(|kind| (kind.as_str(), document_kind(kind)))
            .collect()
    }

    fn has_text(&self) -> bool {
        !self.form.value("markdown").trim().is_empty()
    }
}
