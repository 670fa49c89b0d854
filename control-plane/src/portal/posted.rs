//! Forms that were posted: read within their limits, their session and their token checked before a handler sees them.
//! What was typed in a session that is over is kept for when its user has signed in again.

use std::ops::Deref;

use axum::{
    body::Bytes,
    extract::{FromRequest, Multipart, Request},
};
use http::header;

use super::{
    Form, Frame, Portal, Problem, SignedIn, Visitor, csrf,
    fields::{Fields, MOST},
};
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
/// The fields of a form that anybody may post: the largest has five. What is typed is held while an attempt to sign in
/// or up waits for its turn, and a field of one byte holds fifty times as much.
pub const STRANGERS_FIELDS: usize = 32;
/// The bytes of a form with files. Use cases have limits of their own, below this.
pub const UPLOAD_BYTES: usize = 12 * 1024 * 1024;
/// The parts of a form with files.
const PARTS_MAX: usize = 1000;

/// How much of a form is read.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// The bytes of one without files.
    plain: usize,
    /// The bytes of one with files.
    upload: usize,
    fields: usize,
}

struct Read {
    fields: Fields,
    files: Vec<Upload>,
}

// === impl Limits ===

impl Limits {
    /// Of a form that anybody may post. Where it waits, all of it is held.
    const ANYONE: Self = Self {
        fields: STRANGERS_FIELDS,
        ..Self::SIGNED_OUT
    };
    /// Of a form of whoever is signed in.
    const SIGNED_IN: Self = Self {
        plain: FORM_BYTES,
        upload: UPLOAD_BYTES,
        fields: MOST,
    };
    /// Of such a form when its session is over. It is answered at once with what was typed.
    const SIGNED_OUT: Self = Self {
        plain: STRANGERS_BYTES,
        upload: STRANGERS_BYTES,
        fields: MOST,
    };
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
            Some(_) => Limits::SIGNED_IN,
            None => Limits::SIGNED_OUT,
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
        let read = Read::of(request, portal, Limits::ANYONE).await?;
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
    /// Reads a form within its limits.
    async fn of<S: Send + Sync>(
        request: Request,
        state: &S,
        limits: Limits,
    ) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.map(http::HeaderValue::as_bytes).unwrap_or_default();
        if kind.starts_with(b"multipart/form-data") {
            let request = request.map(|body| {
                axum::body::Body::new(http_body_util::Limited::new(body, limits.upload))
            });
            let parts = Multipart::from_request(request, state).await;
            let parts = parts.map_err(|_| Problem::Unreadable)?;
            return Self::parts(parts, limits.fields.min(PARTS_MAX)).await;
        }
        if !kind.is_empty() && !kind.starts_with(b"application/x-www-form-urlencoded") {
            return Err(Problem::Unreadable);
        }
        let body = axum::body::to_bytes(request.into_body(), limits.plain).await;
        let body = body.map_err(|_| Problem::TooLarge)?;
        Ok(Self {
            fields: Fields::of_form(&body, limits.fields).ok_or(Problem::TooLarge)?,
            files: Vec::new(),
        })
    }

    async fn parts(mut parts: Multipart, most: usize) -> Result<Self, Problem> {
        let mut read = Self {
            fields: Fields::new(),
            files: Vec::new(),
        };
        for _ in 0..most {
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

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{Request, header};

    use super::{Limits, Problem, Read, STRANGERS_FIELDS};

    const FORM: &str = "application/x-www-form-urlencoded";
    const PARTS: &str = "multipart/form-data; boundary=x";

    fn form(n_fields: usize) -> String {
        vec!["a"; n_fields].join("&")
    }

    fn parts(n_fields: usize) -> String {
        let part = "--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n\r\n";
        format!("{}--x--\r\n", part.repeat(n_fields))
    }

    async fn read(kind: &str, body: String, limits: Limits) -> Result<usize, Problem> {
        let request = Request::post("/sign-in").header(header::CONTENT_TYPE, kind);
        let request = request.body(Body::from(body)).unwrap();
        let read = Read::of(request, &(), limits).await?;
        Ok(read.fields.iter().count())
    }

    #[tokio::test]
    async fn a_form_that_anybody_may_post_has_few_fields_with_files_and_without() {
        let many = STRANGERS_FIELDS + 1;
        for (kind, body) in [(FORM, form(many)), (PARTS, parts(many))] {
            let refused = read(kind, body.clone(), Limits::ANYONE).await;
            assert!(matches!(refused, Err(Problem::TooLarge)), "{kind}");
            for limits in [Limits::SIGNED_OUT, Limits::SIGNED_IN] {
                let taken = read(kind, body.clone(), limits).await;
                assert_eq!(taken.unwrap(), many, "{kind}");
            }
        }
        for (kind, body) in [(FORM, form(8)), (PARTS, parts(8))] {
            let taken = read(kind, body, Limits::ANYONE).await;
            assert_eq!(taken.unwrap(), 8, "{kind}");
        }
    }
}
