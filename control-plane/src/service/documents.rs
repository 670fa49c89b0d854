//! Use cases of the documents of APIs: creators and publishers write them; all who see the API may read them.

use std::sync::Arc;

use tidegate_proto::ids::{ApiId, DocumentId};

use super::{
    Service, access,
    draft::Draft,
    edit::{EditableField, EditableFields, Update, placeholder},
    error::{ServiceError, reason},
    guard::{check_etag, demand, find_in},
    listing::{self, Kind, ListQuery, Page, Schema, Value},
};
use crate::domain::{
    actor::{Actor, Viewer},
    document::{DOCUMENTS_MAX, Document, DocumentContent, DocumentKind},
    invalid::{self, Faults, Rule},
    name::{DocumentName, fold},
    resource::Resource as _,
    state::State,
    user::Permission,
};

/// The fields of a document, as they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocumentInput {
    /// `display_name`.
    pub name: String,
    /// `summary`.
    pub summary: String,
    /// `type`; `None` when none is given.
    pub kind: Option<DocumentKind>,
    /// `markdown`; empty where there is a link.
    pub markdown: String,
    /// `url`; empty where there is Markdown.
    pub url: String,
}

/// A change of a document.
pub type DocumentUpdate = Update<(ApiId, DocumentId), DocumentInput>;

impl Service {
    /// Adds a document to an API.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid`, `AlreadyExists`, `FailedPrecondition` (`DOCUMENT_LIMIT`), `Storage`,
    /// `Unavailable`.
    pub async fn create_document(
        &self,
        actor: &Actor,
        api: ApiId,
        input: DocumentInput,
    ) -> Result<Arc<Document>, ServiceError> {
        demand(actor, Permission::WriteDocuments)?;
        self.commit(actor, "CreateDocument", move |draft| {
            let owner = access::api(draft.state(), &draft.actor, api)?.clone();
            let mut faults = Faults::new();
            let new = Document {
                id: DocumentId::generate(),
                api,
                name: placeholder(),
                summary: String::new(),
                kind: DocumentKind::Other,
                content: DocumentContent::Markdown(String::new()),
                created_by: draft.actor.name.clone(),
                meta: draft.meta(),
            };
            let new = FIELDS.create(new, &input, draft, &mut faults);
            faults.finish()?;
            refuse_duplicate(draft.state(), &new)?;
            if draft.state().documents_of(api).count() >= DOCUMENTS_MAX {
                return Err(ServiceError::FailedPrecondition {
                    reason: reason::DOCUMENT_LIMIT,
                    resource: owner.resource(),
                    description: format!(
                        "the API has {DOCUMENTS_MAX} documents, as many as it may; delete one first"
                    ),
                });
            }
            Ok(draft.put(new))
        })
        .await
    }

    /// Gets a document of an API that the viewer may see.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get_document(
        &self,
        viewer: &Viewer,
        api: ApiId,
        id: DocumentId,
    ) -> Result<Arc<Document>, ServiceError> {
        let state = self.state();
        access::viewed_api(&state, viewer, api)?;
        find_in::<Document>(&state, &api, &id).cloned()
    }

    /// Lists the documents of an API that the viewer may see.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`.
    pub fn list_documents(
        &self,
        viewer: &Viewer,
        api: ApiId,
        query: &ListQuery,
    ) -> Result<Page<Arc<Document>>, ServiceError> {
        let state = self.state();
        access::viewed_api(&state, viewer, api)?;
        listing::page(state.documents_of(api), query, &SCHEMA)
    }

    /// Changes a document.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid`, `AlreadyExists`, `Aborted`, `Storage`, `Unavailable`.
    pub async fn update_document(
        &self,
        actor: &Actor,
        update: DocumentUpdate,
    ) -> Result<Arc<Document>, ServiceError> {
        demand(actor, Permission::WriteDocuments)?;
        self.commit(actor, "UpdateDocument", move |draft| {
            let (api, id) = update.key;
            access::api(draft.state(), &draft.actor, api)?;
            let before = find_in::<Document>(draft.state(), &api, &id)?.clone();
            check_etag(&update.etag, &*before)?;
            let mut faults = Faults::new();
            let next = FIELDS.update(&before, &update, draft, &mut faults);
            faults.finish()?;
            refuse_duplicate(draft.state(), &next)?;
            Ok(draft.replace(&before, next))
        })
        .await
    }

    /// Deletes a document.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Aborted`, `Storage`, `Unavailable`.
    pub async fn delete_document(
        &self,
        actor: &Actor,
        api: ApiId,
        id: DocumentId,
        etag: &str,
    ) -> Result<(), ServiceError> {
        demand(actor, Permission::WriteDocuments)?;
        let etag = etag.to_owned();
        self.commit(actor, "DeleteDocument", move |draft| {
            access::api(draft.state(), &draft.actor, api)?;
            let document = find_in::<Document>(draft.state(), &api, &id)?.clone();
            check_etag(&etag, &*document)?;
            draft.remove(&document);
            Ok(())
        })
        .await
    }
}

const FIELDS: EditableFields<Document, DocumentInput> = EditableFields {
    root: "document",
    all: &[
        EditableField {
            name: "display_name",
            is_given: |input| !input.name.is_empty(),
            set: |it, input, at| at.set(&mut it.name, DocumentName::parse(&input.name)),
        },
        EditableField {
            name: "summary",
            is_given: |input| !input.summary.is_empty(),
            set: |it, input, at| at.text(&mut it.summary, &input.summary, 2000),
        },
        EditableField {
            name: "type",
            is_given: |input| input.kind.is_some(),
            set: |it, input, at| at.set(&mut it.kind, kind(input.kind)),
        },
        EditableField {
            name: "markdown",
            is_given: |input| !input.markdown.is_empty(),
            set: |it, input, at| set_content(it, input, at.faults),
        },
        EditableField {
            name: "url",
            is_given: |input| !input.url.is_empty(),
            set: |it, input, at| set_content(it, input, at.faults),
        },
    ],
    fixed: &["creator"],
};

pub(super) const SCHEMA: Schema<Document> = Schema {
    filter: &[
        ("display_name", Kind::Text),
        ("summary", Kind::Text),
        ("type", Kind::Text),
    ],
    order: &["display_name", "type", "create_time", "update_time"],
    default_order: "display_name",
    get: |document, field| match field {
        "display_name" => Value::text(&document.name),
        "summary" => Value::text(&document.summary),
        "type" => Value::text(document.kind.as_str()),
        _ => Value::of_meta(&document.meta, field),
    },
    id: |document| document.id.to_string(),
};

/// Removes the documents of an API that is deleted.
pub(super) fn remove_all(draft: &mut Draft, api: ApiId) {
    draft.remove_all(|state| state.documents_of(api).cloned().collect());
}

/// Gives a new version of an API the documents of another one.
pub(super) fn copy_all(draft: &mut Draft, from: ApiId, to: ApiId) {
    let documents: Vec<_> = draft.state().documents_of(from).cloned().collect();
    for document in documents {
        draft.put(Document {
            id: DocumentId::generate(),
            api: to,
            meta: draft.meta(),
            ..Document::clone(&document)
        });
    }
}

fn kind(given: Option<DocumentKind>) -> Result<DocumentKind, Rule> {
    given.ok_or_else(|| Rule::new(invalid::reason::REQUIRED, "must name a type"))
}

/// The text or the link, whichever is given.
fn set_content(it: &mut Document, input: &DocumentInput, faults: &mut Faults) {
    let content = match (input.markdown.as_str(), input.url.as_str()) {
        (markdown, "") => faults.take("document.markdown", DocumentContent::markdown(markdown)),
        ("", url) => faults.take("document.url", DocumentContent::link(url)),
        _ => {
            let rule = "contradicts `document.markdown`; a document is a text or a link";
            faults.add("document.url", invalid::reason::CONTRADICTION, rule);
            None
        }
    };
    if let Some(content) = content {
        it.content = content;
    }
}

/// Letter case does not tell the documents of an API apart.
fn refuse_duplicate(state: &State, new: &Document) -> Result<(), ServiceError> {
    let name = fold(new.name.as_str());
    let mut others = state.documents_of(new.api).filter(|it| it.id != new.id);
    match others.find(|it| fold(it.name.as_str()) == name) {
        None => Ok(()),
        Some(other) => Err(ServiceError::AlreadyExists {
            resource: other.resource(),
            description: format!("the API has it under the name `{}`", other.name),
        }),
    }
}
