//! Forms that were posted: read within their limits, their session and their token checked before a handler sees them.
//! What was typed in a session that is over is kept for when its user has signed in again.

use std::ops::Deref;

use axum::{
    body::Bytes,
    extract::{FromRequest, Multipart, Request},
};
use http::header;

use super::{Form, Frame, Portal, Problem, SignedIn, Visitor, csrf, fields::Fields};
use crate::{domain::actor::Actor, http::metered::Allowance};

/// A form that somebody who is signed in has posted.
#[derive(Debug)]
pub struct Posted {
    /// Who posted it.
    pub actor: Actor,
    /// What was typed, without what is the frame's.
    pub fields: Fields,
    /// The files that came with it (`enctype="multipart/form-data"`).
    pub files: Vec<Upload>,
    by: SignedIn,
    resumed: bool,
}

/// A form that anybody may post: to sign in, to sign up.
#[derive(Debug)]
pub struct PostedByAnyone {
    /// Who posted it.
    pub visitor: Visitor,
    /// What was typed, without what is the frame's.
    pub fields: Fields,
}

/// A file of a form. Nothing about it is checked; what it is called and said to be is not believed, nor kept.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The input's name.
    pub field: String,
    /// What is in it; never empty.
    pub content: Bytes,
}

/// A field that says that the form was sent again after signing in.
pub const RESUMED: &str = "_resumed";

/// The fields that are the frame's.
const OURS: [&str; 2] = [csrf::FIELD, RESUMED];
/// The bytes of a form: the longest valid one, an API with every field at its limit, has less.
pub const FORM_BYTES: usize = 1024 * 1024;
/// The bytes of a form of whoever is not signed in. The one to sign in again may carry another form within this.
pub const STRANGERS_BYTES: usize = 16 * 1024;
/// The bytes of a form with files. Use cases have limits of their own, below this.
pub const UPLOAD_BYTES: usize = 12 * 1024 * 1024;
/// The parts of a form with files.
const PARTS_MAX: usize = 1000;

struct Read {
    fields: Fields,
    files: Vec<Upload>,
}

// === impl Posted ===

impl Posted {
    /// The form, to be shown again with its faults.
    #[must_use]
    pub fn form(&self) -> Form {
        Form::of(self.fields.clone())
    }

    /// Whether its user had to sign in on the way, and should look at it again before anything is done.
    #[must_use]
    pub const fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Who posted it, as handlers that only look have it.
    #[must_use]
    pub const fn signed_in(&self) -> &SignedIn {
        &self.by
    }

    /// The first file of an input.
    #[must_use]
    pub fn file(&self, field: &str) -> Option<&Upload> {
        self.files.iter().find(|file| file.field == field)
    }

    /// The frame of a page that shows it again.
    #[must_use]
    pub fn frame(&self, title: impl Into<String>) -> Frame {
        self.by.frame(title)
    }
}

impl Deref for Posted {
    type Target = Visitor;

    fn deref(&self) -> &Visitor {
        &self.by
    }
}

impl FromRequest<Portal> for Posted {
    type Rejection = Problem;

    async fn from_request(request: Request, portal: &Portal) -> Result<Self, Problem> {
        let visitor = visitor(&request, portal);
        let limits = match visitor.actor() {
            Some(_) => (FORM_BYTES, UPLOAD_BYTES),
            None => (STRANGERS_BYTES, STRANGERS_BYTES),
        };
        if visitor.actor().is_some() {
            Allowance::raise(request.extensions(), UPLOAD_BYTES);
        }
        let read = Read::of(request, portal, limits).await?;
        let token = read.fields.text(csrf::FIELD);
        let resumed = read.fields.has(RESUMED);
        let typed = read.fields.only(|name| !OURS.contains(&name));
        let owned = visitor.owns_as_user(token);
        if !owned && !visitor.is_same_origin() {
            return Err(Problem::Forged);
        }
        // It is of a page of ours. Without a session, or with a newer one, nothing is done before its user says so again.
        if visitor.actor().is_none() || !owned {
            return Err(Problem::Resume(typed));
        }
        let by = visitor.demand()?;
        Ok(Self {
            actor: by.actor.clone(),
            fields: typed,
            files: read.files,
            by,
            resumed,
        })
    }
}

// === impl PostedByAnyone ===

impl PostedByAnyone {
    /// The form, to be shown again with its faults.
    #[must_use]
    pub fn form(&self) -> Form {
        // A password is typed again; it is in no page.
        Form::of(self.fields.only(|name| !is_secret(name)))
    }

    /// The frame of a page that shows it again.
    #[must_use]
    pub fn frame(&self, title: impl Into<String>) -> Frame {
        self.visitor.frame(title)
    }
}

impl FromRequest<Portal> for PostedByAnyone {
    type Rejection = Problem;

    async fn from_request(request: Request, portal: &Portal) -> Result<Self, Problem> {
        let visitor = visitor(&request, portal);
        let read = Read::of(request, portal, (STRANGERS_BYTES, STRANGERS_BYTES)).await?;
        let token = read.fields.text(csrf::FIELD);
        let owned = visitor.owns_as_stranger(token)
            || (visitor.actor().is_some() && visitor.owns_as_user(token));
        if !owned {
            return Err(Problem::Forged);
        }
        Ok(Self {
            visitor,
            fields: read.fields.only(|name| !OURS.contains(&name)),
        })
    }
}

/// Whether a field must not come back in a page.
pub(super) fn is_secret(name: &str) -> bool {
    name.contains("password") || name.contains("secret")
}

fn visitor(request: &Request, portal: &Portal) -> Visitor {
    match request.extensions().get::<Visitor>() {
        Some(visitor) => visitor.clone(),
        None => {
            let mut parts = Request::new(()).into_parts().0;
            parts.headers = request.headers().clone();
            parts.uri = request.uri().clone();
            Visitor::of(portal, &parts)
        }
    }
}

// === impl Read ===

impl Read {
    /// Reads a form within its limits: without files, with files.
    async fn of(
        request: Request,
        portal: &Portal,
        (plain, upload): (usize, usize),
    ) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.map(http::HeaderValue::as_bytes).unwrap_or_default();
        if kind.starts_with(b"multipart/form-data") {
            let request = request
                .map(|body| axum::body::Body::new(http_body_util::Limited::new(body, upload)));
            let parts = Multipart::from_request(request, portal).await;
            return Self::parts(parts.map_err(|_| Problem::Unreadable)?).await;
        }
        if !kind.is_empty() && !kind.starts_with(b"application/x-www-form-urlencoded") {
            return Err(Problem::Unreadable);
        }
        let body = axum::body::to_bytes(request.into_body(), plain).await;
        let body = body.map_err(|_| Problem::TooLarge)?;
        Ok(Self {
            fields: Fields::of_form(&body).ok_or(Problem::TooLarge)?,
            files: Vec::new(),
        })
    }

    async fn parts(mut parts: Multipart) -> Result<Self, Problem> {
        let mut read = Self {
            fields: Fields::new(),
            files: Vec::new(),
        };
        for _ in 0..PARTS_MAX {
            let part = parts.next_field().await.map_err(|_| Problem::TooLarge)?;
            let Some(part) = part else {
                return Ok(read);
            };
            let field = part.name().unwrap_or_default().to_owned();
            let is_file = part.file_name().is_some();
            let content = part.bytes().await.map_err(|_| Problem::TooLarge)?;
            match is_file {
                false => {
                    let value = String::from_utf8_lossy(&content).into_owned();
                    read.fields = read.fields.with(field, value);
                }
                // A browser sends an empty file where none was chosen.
                true if content.is_empty() => {}
                true => read.files.push(Upload { field, content }),
            }
        }
        Err(Problem::TooLarge)
    }
}
