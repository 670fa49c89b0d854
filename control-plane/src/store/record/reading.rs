//! The records of what developers read and see of an API: documents and pictures.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use tidegate_proto::ids::{ApiId, DocumentId};

use super::{Unreadable, meta, part};
use crate::domain::{
    document::{Document, DocumentContent, DocumentKind},
    name::{DocumentName, UserName},
    thumbnail::{ImageFormat, Thumbnail},
    time::Timestamp,
};

#[derive(Serialize, Deserialize)]
pub(super) enum DocumentRecord {
    V1(DocumentV1),
}

#[derive(Serialize, Deserialize)]
pub(super) enum ThumbnailRecord {
    V1(ThumbnailV1),
}

#[derive(Serialize, Deserialize)]
pub(super) struct DocumentV1 {
    id: DocumentId,
    api: ApiId,
    name: String,
    summary: String,
    kind: String,
    /// Either this or the link.
    markdown: Option<String>,
    link: Option<String>,
    created_by: String,
    created_at: u64,
    updated_at: u64,
    etag: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ThumbnailV1 {
    api: ApiId,
    content_type: String,
    /// In standard Base64.
    image: String,
    etag: String,
    set_at: u64,
}

// === impl DocumentRecord ===

impl From<&Document> for DocumentRecord {
    fn from(it: &Document) -> Self {
        let (markdown, link) = match &it.content {
            DocumentContent::Markdown(text) => (Some(text.clone()), None),
            DocumentContent::Link(url) => (None, Some(url.clone())),
        };
        Self::V1(DocumentV1 {
            id: it.id,
            api: it.api,
            name: it.name.to_string(),
            summary: it.summary.clone(),
            kind: it.kind.as_str().to_owned(),
            markdown,
            link,
            created_by: it.created_by.to_string(),
            created_at: it.meta.created_at.millis(),
            updated_at: it.meta.updated_at.millis(),
            etag: it.meta.etag.get(),
        })
    }
}

impl DocumentRecord {
    pub(super) fn object(self) -> Result<Document, Unreadable> {
        let Self::V1(it) = self;
        Ok(Document {
            id: it.id,
            api: it.api,
            name: part("name", DocumentName::parse(&it.name))?,
            summary: it.summary,
            kind: DocumentKind::parse(&it.kind)
                .ok_or_else(|| format!("its `kind` does not read: `{}`", it.kind))?,
            content: match (it.markdown, it.link) {
                (Some(text), None) => DocumentContent::Markdown(text),
                (None, Some(url)) => DocumentContent::Link(url),
                _ => return Err("it has not one content".to_owned()),
            },
            created_by: part("created_by", UserName::parse(&it.created_by))?,
            meta: meta(it.created_at, it.updated_at, it.etag),
        })
    }
}

// === impl ThumbnailRecord ===

impl From<&Thumbnail> for ThumbnailRecord {
    fn from(it: &Thumbnail) -> Self {
        Self::V1(ThumbnailV1 {
            api: it.api,
            content_type: it.format.content_type().to_owned(),
            image: STANDARD.encode(&it.image),
            etag: it.etag.clone(),
            set_at: it.set_at.millis(),
        })
    }
}

impl ThumbnailRecord {
    pub(super) fn object(self) -> Result<Thumbnail, Unreadable> {
        let Self::V1(it) = self;
        Ok(Thumbnail {
            api: it.api,
            format: ImageFormat::ALL
                .into_iter()
                .find(|format| format.content_type() == it.content_type)
                .ok_or_else(|| {
                    format!("its `content_type` does not read: `{}`", it.content_type)
                })?,
            image: part("image", STANDARD.decode(&it.image))?.into(),
            etag: it.etag,
            set_at: Timestamp::from_millis(it.set_at),
        })
    }
}
