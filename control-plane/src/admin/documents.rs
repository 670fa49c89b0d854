//! `DocumentService`: what developers read about APIs.

use tidegate_proto::{
    admin::v1::{
        self, CreateDocumentRequest, DeleteDocumentRequest, Document as Message,
        GetDocumentRequest, ListDocumentsRequest, ListDocumentsResponse, UpdateDocumentRequest,
        document::Content, document_service_server::DocumentService,
    },
    ids::{ApiId, DocumentId},
};
use tonic::{Request, Response, Status, async_trait};

use super::{Admin, Reply, convert, names, paging, status};
use crate::{
    domain::{
        actor::Viewer,
        document::{Document, DocumentContent, DocumentKind},
        invalid::{Faults, Rule, reason},
        resource::Resource as _,
        user::User,
    },
    service::documents::{DocumentInput, DocumentUpdate},
};

#[async_trait]
impl DocumentService for Admin {
    async fn create_document(&self, request: Request<CreateDocumentRequest>) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let mut faults = Faults::new();
        let api = faults.take("parent", names::api(&req.parent));
        let input = read_input(req.document.unwrap_or_default(), &mut faults);
        status::check(faults)?;
        let api = api.expect("what is not taken is a fault");
        let document = self.service.create_document(&actor, api, input).await?;
        Ok(Response::new(message(&document, &Viewer::SignedIn(actor))))
    }

    async fn get_document(&self, request: Request<GetDocumentRequest>) -> Reply<Message> {
        let viewer = self.viewer(&request)?;
        let (api, id) = read("name", &request.into_inner().name)?;
        let document = self.service.get_document(&viewer, api, id)?;
        Ok(Response::new(message(&document, &viewer)))
    }

    async fn list_documents(
        &self,
        request: Request<ListDocumentsRequest>,
    ) -> Reply<ListDocumentsResponse> {
        let viewer = self.viewer(&request)?;
        let request = request.into_inner();
        let api = convert::one("parent", names::api(&request.parent))?;
        let query = paging::query(
            request.page_size,
            request.page_token,
            request.filter,
            request.order_by,
        );
        let page = self.service.list_documents(&viewer, api, &query)?;
        let short = |document: &Document| Message {
            content: match &document.content {
                DocumentContent::Markdown(_) => None,
                DocumentContent::Link(url) => Some(Content::Url(url.clone())),
            },
            ..message(document, &viewer)
        };
        let page = paging::answer(page, |it| short(it));
        Ok(Response::new(ListDocumentsResponse {
            documents: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }

    async fn update_document(&self, request: Request<UpdateDocumentRequest>) -> Reply<Message> {
        let (actor, req) = self.caller(request)?;
        let document = req.document.unwrap_or_default();
        let etag = document.etag.clone();
        let mut faults = Faults::new();
        let id = faults.take("document.name", names::document(&document.name));
        let input = read_input(document, &mut faults);
        status::check(faults)?;
        let update = DocumentUpdate {
            key: id.expect("what is not taken is a fault"),
            input,
            mask: convert::mask(req.update_mask),
            etag,
        };
        let document = self.service.update_document(&actor, update).await?;
        Ok(Response::new(message(&document, &Viewer::SignedIn(actor))))
    }

    async fn delete_document(&self, request: Request<DeleteDocumentRequest>) -> Reply<()> {
        let (actor, req) = self.caller(request)?;
        let (api, id) = read("name", &req.name)?;
        self.service
            .delete_document(&actor, api, id, &req.etag)
            .await?;
        Ok(Response::new(()))
    }
}

fn message(document: &Document, viewer: &Viewer) -> Message {
    Message {
        name: document.resource(),
        display_name: document.name.to_string(),
        summary: document.summary.clone(),
        r#type: match document.kind {
            DocumentKind::HowTo => v1::DocumentType::HowTo,
            DocumentKind::Samples => v1::DocumentType::Samples,
            DocumentKind::PublicForum => v1::DocumentType::PublicForum,
            DocumentKind::SupportForum => v1::DocumentType::SupportForum,
            DocumentKind::Other => v1::DocumentType::Other,
        }
        .into(),
        content: Some(match &document.content {
            DocumentContent::Markdown(text) => Content::Markdown(text.clone()),
            DocumentContent::Link(url) => Content::Url(url.clone()),
        }),
        creator: match viewer {
            Viewer::Anonymous => String::new(),
            Viewer::SignedIn(_) => User::name_of(&document.created_by),
        },
        etag: document.meta.etag.to_string(),
        create_time: convert::time(document.meta.created_at),
        update_time: convert::time(document.meta.updated_at),
    }
}

fn read_input(document: Message, faults: &mut Faults) -> DocumentInput {
    let kind = faults.take("document.type", read_kind(document.r#type));
    let (markdown, url) = match document.content {
        Some(Content::Markdown(text)) => (text, String::new()),
        Some(Content::Url(url)) => (String::new(), url),
        None => Default::default(),
    };
    DocumentInput {
        name: document.display_name,
        summary: document.summary,
        kind: kind.flatten(),
        markdown,
        url,
    }
}

fn read_kind(number: i32) -> Result<Option<DocumentKind>, Rule> {
    match v1::DocumentType::try_from(number) {
        Ok(v1::DocumentType::Unspecified) => Ok(None),
        Ok(v1::DocumentType::HowTo) => Ok(Some(DocumentKind::HowTo)),
        Ok(v1::DocumentType::Samples) => Ok(Some(DocumentKind::Samples)),
        Ok(v1::DocumentType::PublicForum) => Ok(Some(DocumentKind::PublicForum)),
        Ok(v1::DocumentType::SupportForum) => Ok(Some(DocumentKind::SupportForum)),
        Ok(v1::DocumentType::Other) => Ok(Some(DocumentKind::Other)),
        Err(_) => Err(Rule::new(reason::MALFORMED, "is no known type")),
    }
}

fn read(field: &str, name: &str) -> Result<(ApiId, DocumentId), Status> {
    convert::one(field, names::document(name))
}
