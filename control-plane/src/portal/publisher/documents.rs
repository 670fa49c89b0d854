//! The documents of an API: Markdown or links, written by creators and publishers.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    routing::{get, post},
};
use tidegate_proto::ids::{ApiId, DocumentId};

use super::{
    api_form,
    header::{ApiHeader, DOCUMENTS, back, plain},
};
use crate::{
    domain::{
        actor::Actor,
        api::Api,
        document::{Document, DocumentContent, DocumentKind},
        user::Permission,
    },
    portal::{
        Answer, AuthenticatedForm, Editor, Fields, Form, Frame, Portal, Problem, Redirect,
        SignedIn,
        editor::{self, Saved, Typed},
        format,
        html::Html,
        list::{Filter, Pager},
        markdown,
        route::link,
    },
    service::documents::{DocumentInput, DocumentUpdate},
};

#[derive(Template)]
#[template(path = "publisher/documents.html")]
struct DocumentsPage {
    frame: Frame,
    header: ApiHeader,
    documents: Vec<Arc<Document>>,
    pager: Pager,
}

#[derive(Template)]
#[template(path = "publisher/document.html")]
struct DocumentEditorPage {
    frame: Frame,
    header: ApiHeader,
    form: Form,
    /// Where the form is sent.
    action: String,
    /// The text as developers see it, if there is one.
    preview: Html,
}

/// The form of a new document.
struct NewDocument;
/// The form of an existing document.
struct DocumentEditor;

const CREATE: &str = "/publisher/apis/{api}/documents/create";
const EDIT: &str = "/publisher/apis/{api}/documents/{document}";
const DELETE: &str = "/publisher/apis/{api}/documents/{document}/delete";
const PAGE_SIZE: i32 = 50;
/// What the use case calls the fields, and what the inputs are called.
const INPUTS: &[(&str, &str)] = &[
    ("document.display_name", "name"),
    ("document.type", "kind"),
    ("document.url", "url"),
];

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(DOCUMENTS.route, get(list))
        .route(CREATE, editor::page::<NewDocument>())
        .route(EDIT, editor::page::<DocumentEditor>())
        .route(DELETE, post(delete))
}

async fn list(State(portal): State<Portal>, signed_in: SignedIn, Path(id): Path<ApiId>) -> Answer {
    signed_in.require(DOCUMENTS.needs)?;
    let api = api_form::load(&portal, &signed_in, id)?;
    let query = signed_in.query();
    let listed = Filter::new().page(&query, PAGE_SIZE);
    let page = portal
        .service
        .list_documents(&signed_in.visitor(), id, &listed)?;
    let page = DocumentsPage {
        frame: Frame::new(&signed_in, DOCUMENTS.name),
        pager: Pager::new(&DOCUMENTS.path(id), &query, &page),
        documents: page.items,
        header: ApiHeader::new(&portal, signed_in.viewer(), api, DOCUMENTS.route),
    };
    page.frame.show(&page)
}

async fn delete(
    State(portal): State<Portal>,
    Path((id, document)): Path<(ApiId, DocumentId)>,
    submitted: AuthenticatedForm,
) -> Answer {
    let here = DOCUMENTS.path(id);
    let Some(actor) = submitted.confirmed() else {
        return Redirect::press_again(here).answer();
    };
    let etag = submitted.form().etag().to_owned();
    let service = &portal.service;
    let deleted = service.delete_document(actor, id, document, &etag).await;
    back(here, deleted, |()| "Document deleted".to_owned())
}

fn page(
    portal: &Portal,
    signed_in: &SignedIn,
    api: Arc<Api>,
    document: Option<&Document>,
    form: Form,
) -> Answer {
    let (title, action) = match document {
        Some(document) => (
            document.name.to_string(),
            link(EDIT, &[&api.id, &document.id]),
        ),
        None => ("New document".to_owned(), link(CREATE, &[&api.id])),
    };
    let page = DocumentEditorPage {
        frame: Frame::new(signed_in, title),
        action,
        preview: markdown::html(form.value("markdown")),
        form,
        header: ApiHeader::new(portal, signed_in.viewer(), api, DOCUMENTS.route),
    };
    page.frame.show_with(page.form.status(), &page)
}

fn input(fields: &Fields) -> DocumentInput {
    DocumentInput {
        name: fields.text("name").trim().to_owned(),
        summary: fields.text("summary").trim().to_owned(),
        kind: DocumentKind::parse(fields.text("kind")),
        markdown: fields.text("markdown").to_owned(),
        url: fields.text("url").trim().to_owned(),
    }
}

// === impl NewDocument ===

impl Editor for NewDocument {
    type Key = ApiId;
    type Subject = Arc<Api>;

    const NEEDS: &'static [Permission] = DOCUMENTS.needs;
    const INPUTS: &'static [(&'static str, &'static str)] = INPUTS;

    fn load(portal: &Portal, signed_in: &SignedIn, id: &ApiId) -> Result<Arc<Api>, Problem> {
        api_form::load(portal, signed_in, *id)
    }

    fn form(_: &Arc<Api>) -> Form {
        Form::of(Fields::new().with("kind", DocumentKind::HowTo.as_str()))
    }

    fn typed(fields: &Fields) -> Typed {
        Typed::unless_previewed(fields)
    }

    async fn save(portal: &Portal, actor: &Actor, id: &ApiId, form: &Form) -> Saved {
        let input = input(form.fields());
        let created = portal.service.create_document(actor, *id, input).await;
        let text = format!("Document {} created", created.map_err(plain)?.name);
        Ok(Redirect::to(DOCUMENTS.path(*id)).success(text))
    }

    fn page(portal: &Portal, signed_in: &SignedIn, api: Arc<Api>, form: Form) -> Answer {
        page(portal, signed_in, api, None, form)
    }
}

// === impl DocumentEditor ===

impl Editor for DocumentEditor {
    type Key = (ApiId, DocumentId);
    type Subject = (Arc<Api>, Arc<Document>);

    const NEEDS: &'static [Permission] = DOCUMENTS.needs;
    const INPUTS: &'static [(&'static str, &'static str)] = INPUTS;

    fn load(
        portal: &Portal,
        signed_in: &SignedIn,
        &(id, document): &Self::Key,
    ) -> Result<Self::Subject, Problem> {
        let visitor = signed_in.visitor();
        let document = portal.service.get_document(&visitor, id, document)?;
        Ok((api_form::load(portal, signed_in, id)?, document))
    }

    fn form((_, document): &Self::Subject) -> Form {
        let (markdown, url) = match &document.content {
            DocumentContent::Markdown(text) => (text.as_str(), ""),
            DocumentContent::Link(url) => ("", url.as_str()),
        };
        let fields = Fields::new()
            .with("name", document.name.as_str())
            .with("summary", &document.summary)
            .with("kind", document.kind.as_str())
            .with("markdown", markdown)
            .with("url", url);
        Form::edits(fields, document.meta.etag)
    }

    fn typed(fields: &Fields) -> Typed {
        Typed::unless_previewed(fields)
    }

    async fn save(portal: &Portal, actor: &Actor, &(api, id): &Self::Key, form: &Form) -> Saved {
        let update = DocumentUpdate {
            key: (api, id),
            input: input(form.fields()),
            mask: vec!["*".to_owned()],
            etag: form.etag().to_owned(),
        };
        let updated = portal.service.update_document(actor, update).await;
        let text = format!("Document {} updated", updated.map_err(plain)?.name);
        Ok(Redirect::to(DOCUMENTS.path(api)).success(text))
    }

    fn page(
        portal: &Portal,
        signed_in: &SignedIn,
        (api, document): Self::Subject,
        form: Form,
    ) -> Answer {
        page(portal, signed_in, api, Some(&document), form)
    }
}

// === impl DocumentsPage ===

impl DocumentsPage {
    fn create_path(&self) -> String {
        self.header.path(CREATE)
    }

    fn edit_path(&self, document: &Document) -> String {
        link(EDIT, &[&self.header.api.id, &document.id])
    }

    fn delete_path(&self, document: &Document) -> String {
        link(DELETE, &[&self.header.api.id, &document.id])
    }
}

// === impl DocumentEditorPage ===

impl DocumentEditorPage {
    fn kinds(&self) -> Vec<(&'static str, &'static str)> {
        let kinds = DocumentKind::ALL.into_iter();
        kinds
            .map(|kind| (kind.as_str(), format::document_kind(kind)))
            .collect()
    }
}
