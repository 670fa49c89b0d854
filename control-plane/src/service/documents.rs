//! Use cases of the documents of APIs: creators and publishers write them; whoever sees the API reads them.

use std::sync::Arc;

use tidegate_proto::ids::{ApiId, DocumentId};

use super::{
    Service,
    apis::{seen, visible},
    draft::Draft,
    error::{ServiceError, reason},
    guard::{check_etag, demand},
    listing::{self, Field, Kind, ListQuery, Page, Schema},
    mask,
};
use crate::domain::{
    actor::{Actor, Visitor},
    document::{DOCUMENTS_MAX, Document, DocumentContent, DocumentKind},
    invalid::{self, Faults, Rule},
    name::{DocumentName, UserName, fold, free_text},
    object::{Etag, ObjectKey},
    state::State,
    user::Permission,
};

/// A document as somebody typed it.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentUpdate {
    /// Of which API.
    pub api: ApiId,
    /// Which document.
    pub id: DocumentId,
    /// The new values.
    pub input: DocumentInput,
    /// The fields to change.
    pub mask: Vec<String>,
    /// When not empty, it must be the current one.
    pub etag: String,
}

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
            let owner = visible(draft.state(), &draft.actor, api)?.clone();
            let mut faults = Faults::new();
            let name = faults.take(NAME, DocumentName::parse(&input.name));
            let summary = faults.take(SUMMARY, free_text(&input.summary, SUMMARY_MAX));
            let kind = faults.take(KIND, kind(input.kind));
            let content = content(&input, &mut faults);
            faults.finish()?;
            let (Some(name), Some(summary), Some(kind), Some(content)) =
                (name, summary, kind, content)
            else {
                unreachable!("a value that is missing has left a fault");
            };
            refuse_duplicate(draft.state(), api, &name, None)?;
            if draft.state().documents_of(api).count() >= DOCUMENTS_MAX {
                return Err(ServiceError::FailedPrecondition {
                    reason: reason::DOCUMENT_LIMIT,
                    resource: owner.resource(),
                    description: format!(
                        "the API has {DOCUMENTS_MAX} documents, as many as it may; delete one first"
                    ),
                });
            }
            Ok(draft.put(Document {
                id: DocumentId::generate(),
                api,
                name,
                summary,
                kind,
                content,
                created_by: UserName::parse(&draft.actor.name).expect("actors have valid names"),
                created_at: draft.now,
                updated_at: draft.now,
                etag: Etag::FIRST,
            }))
        })
        .await
    }

    /// Gets a document of an API that the visitor may see.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get_document(
        &self,
        visitor: &Visitor,
        api: ApiId,
        id: DocumentId,
    ) -> Result<Arc<Document>, ServiceError> {
        let state = self.state();
        seen(&state, visitor, api)?;
        find(&state, api, id).cloned()
    }

    /// Lists the documents of an API that the visitor may see. Filter fields: `display_name`, `summary`, `type`. Order
    /// fields: `display_name`, `type`, `create_time`, `update_time`.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`.
    pub fn list_documents(
        &self,
        visitor: &Visitor,
        api: ApiId,
        query: &ListQuery,
    ) -> Result<Page<Arc<Document>>, ServiceError> {
        let state = self.state();
        seen(&state, visitor, api)?;
        listing::page(state.documents_of(api), query, &SCHEMA)
    }

    /// Changes a document; mask (`display_name`, `summary`, `type`, `markdown`, `url`) and etag as in
    /// [`super::apis::ApiUpdate`].
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
            visible(draft.state(), &draft.actor, update.api)?;
            let document = find(draft.state(), update.api, update.id)?.clone();
            check_etag(&update.etag, document.etag, || document.resource())?;
            let input = &update.input;
            let mut faults = Faults::new();
            let populated = |field: &str| match field {
                "display_name" => !input.name.is_empty(),
                "summary" => !input.summary.is_empty(),
                "type" => input.kind.is_some(),
                "markdown" => !input.markdown.is_empty(),
                _ => !input.url.is_empty(),
            };
            let known = ["display_name", "summary", "type", "markdown", "url"];
            let fields = mask::resolve(&update.mask, &known, &["creator"], populated, &mut faults);
            let mut next = Document::clone(&document);
            if fields.contains("display_name")
                && let Some(name) = faults.take(NAME, DocumentName::parse(&input.name))
            {
                next.name = name;
            }
            if fields.contains("summary") {
                let summary = faults.take(SUMMARY, free_text(&input.summary, SUMMARY_MAX));
                next.summary = summary.unwrap_or_default();
            }
            if fields.contains("type")
                && let Some(kind) = faults.take(KIND, kind(input.kind))
            {
                next.kind = kind;
            }
            if (fields.contains("markdown") || fields.contains("url"))
                && let Some(content) = content(input, &mut faults)
            {
                next.content = content;
            }
            faults.finish()?;
            if next == *document {
                return Ok(document);
            }
            refuse_duplicate(draft.state(), next.api, &next.name, Some(next.id))?;
            next.updated_at = draft.now;
            next.etag = document.etag.next();
            Ok(draft.put(next))
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
            visible(draft.state(), &draft.actor, api)?;
            let document = find(draft.state(), api, id)?.clone();
            check_etag(&etag, document.etag, || document.resource())?;
            draft.remove(ObjectKey::Document(id));
            Ok(())
        })
        .await
    }
}

const NAME: &str = "document.display_name";
const SUMMARY: &str = "document.summary";
const KIND: &str = "document.type";
const SUMMARY_MAX: usize = 2000;

const SCHEMA: Schema<Document> = Schema {
    filter: &[
        ("display_name", Kind::Text),
        ("summary", Kind::Text),
        ("type", Kind::Text),
    ],
    order: &["display_name", "type", "create_time", "update_time"],
    default_order: "display_name",
    get: |document, field| match field {
        "display_name" => Field::text(&document.name),
        "summary" => Field::text(&document.summary),
        "type" => Field::text(document.kind.as_str()),
        "create_time" => Field::time(document.created_at),
        _ => Field::time(document.updated_at),
    },
    id: |document| document.id.to_string(),
};

/// Removes the documents of an API that goes.
pub(super) fn remove_all(draft: &mut Draft, api: ApiId) {
    let documents: Vec<_> = draft.state().documents_of(api).map(|it| it.id).collect();
    for id in documents {
        draft.remove(ObjectKey::Document(id));
    }
}

/// Gives a new version of an API the documents of another one.
pub(super) fn copy_all(draft: &mut Draft, from: ApiId, to: ApiId) {
    let documents: Vec<_> = draft.state().documents_of(from).cloned().collect();
    for document in documents {
        draft.put(Document {
            id: DocumentId::generate(),
            api: to,
            created_at: draft.now,
            updated_at: draft.now,
            etag: Etag::FIRST,
            ..Document::clone(&document)
        });
    }
}

fn kind(given: Option<DocumentKind>) -> Result<DocumentKind, Rule> {
    given.ok_or_else(|| Rule::new(invalid::reason::REQUIRED, "must name a type"))
}

fn content(input: &DocumentInput, faults: &mut Faults) -> Option<DocumentContent> {
    match (input.markdown.as_str(), input.url.as_str()) {
        (markdown, "") => faults.take("document.markdown", DocumentContent::markdown(markdown)),
        ("", url) => faults.take("document.url", DocumentContent::link(url)),
        _ => {
            let rule = "contradicts `document.markdown`; a document is a text or a link";
            faults.add("document.url", invalid::reason::CONTRADICTION, rule);
            None
        }
    }
}

fn find(state: &State, api: ApiId, id: DocumentId) -> Result<&Arc<Document>, ServiceError> {
    state
        .documents()
        .get(&id)
        .filter(|document| document.api == api)
        .ok_or_else(|| ServiceError::NotFound(format!("apis/{api}/documents/{id}")))
}

fn refuse_duplicate(
    state: &State,
    api: ApiId,
    name: &DocumentName,
    except: Option<DocumentId>,
) -> Result<(), ServiceError> {
    let folded = fold(name.as_str());
    let other = state
        .documents_of(api)
        .find(|it| fold(it.name.as_str()) == folded && Some(it.id) != except);
    match other {
        None => Ok(()),
        Some(other) => Err(ServiceError::AlreadyExists {
            resource: other.resource(),
            description: format!("the API has it under the name `{}`", other.name),
        }),
    }
}
