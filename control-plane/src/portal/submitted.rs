//! Submitted forms: read within their limits, their session and their token checked before a handler sees them. What was
//! typed in a session that has ended is kept until its user has signed in again, and confirmed then.

use axum::{
    body::Bytes,
    extract::{FromRequest, Multipart, Request},
};
use http::header;

use super::{
    context::{RequestContext, SignedIn},
    csrf,
    fields::{Fields, MOST},
    form::Form,
    problem::Problem,
    rejection::Rejection,
    state::Portal,
};
use crate::{domain::actor::Actor, http::metered::BodyLimit};

/// A form that a user who is signed in has submitted. It gives up its actor only when it is [confirmed], so that nothing
/// is changed by a form whose user had to sign in again on the way and hasn't looked at it since.
///
/// [confirmed]: AuthenticatedForm::confirmed
#[derive(Debug)]
pub struct AuthenticatedForm {
    /// What was typed.
    pub fields: Fields,
    /// The files that came with it (`enctype="multipart/form-data"`).
    pub files: Vec<Upload>,
    signed_in: SignedIn,
    is_confirmed: bool,
}

/// A form that anybody may submit: to sign in, to sign up.
#[derive(Debug)]
pub struct AnonymousForm {
    /// The request.
    pub context: RequestContext,
    /// What was typed.
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

/// The field that says that the form was sent again after signing in.
pub const RESUMED: &str = "_resumed";

/// The fields that no page's form has.
const OURS: [&str; 2] = [csrf::FIELD, RESUMED];
/// The bytes of a form: the longest valid one, an API with every field at its limit, has less.
pub const FORM_BYTES: usize = 1024 * 1024;
/// The bytes of a form of an anonymous user. The one to sign in again may carry another form within this.
pub const ANONYMOUS_BYTES: usize = 16 * 1024;
/// The fields of a form that anybody may submit: the largest has five. What is typed is held while an attempt to sign in
/// or up waits for its turn, and a field of one byte holds fifty times as much.
pub const ANONYMOUS_FIELDS: usize = 32;
/// The bytes of a form with files. Use cases have limits of their own, below this.
pub const UPLOAD_BYTES: usize = 12 * 1024 * 1024;
/// The parts of a form with files.
const PARTS_MAX: usize = 1000;

/// How much of a form is read.
#[derive(Clone, Copy, Debug)]
struct SizeLimits {
    /// The bytes of one without files.
    plain: usize,
    /// The bytes of one with files.
    upload: usize,
    fields: usize,
}

struct FormBody {
    fields: Fields,
    files: Vec<Upload>,
}

// === impl SizeLimits ===

impl SizeLimits {
    /// Of a form that anybody may submit. Where it waits, all of it is held.
    const ANYONE: Self = Self {
        fields: ANONYMOUS_FIELDS,
        ..Self::SIGNED_OUT
    };
    /// Of a form of a user who is signed in.
    const SIGNED_IN: Self = Self {
        plain: FORM_BYTES,
        upload: UPLOAD_BYTES,
        fields: MOST,
    };
    /// Of such a form when its session has ended. It is answered at once with what was typed.
    const SIGNED_OUT: Self = Self {
        plain: ANONYMOUS_BYTES,
        upload: ANONYMOUS_BYTES,
        fields: MOST,
    };
}

// === impl AuthenticatedForm ===

impl AuthenticatedForm {
    /// Who makes the change that the form asks for; `None` when its user had to sign in again on the way, and should look
    /// at the form once more before anything is done.
    #[must_use]
    pub fn confirmed(&self) -> Option<&Actor> {
        self.is_confirmed.then(|| self.signed_in.viewer())
    }

    /// The form, to be shown again with its faults.
    #[must_use]
    pub fn form(&self) -> Form {
        Form::of(self.fields.clone())
    }

    /// The request, to show a page with.
    #[must_use]
    pub const fn signed_in(&self) -> &SignedIn {
        &self.signed_in
    }

    /// The first file of an input.
    #[must_use]
    pub fn file(&self, field: &str) -> Option<&Upload> {
        self.files.iter().find(|file| file.field == field)
    }
}

impl FromRequest<Portal> for AuthenticatedForm {
    type Rejection = Rejection;

    async fn from_request(request: Request, portal: &Portal) -> Result<Self, Rejection> {
        let context = context(&request, portal);
        let limits = match context.actor() {
            Some(_) => SizeLimits::SIGNED_IN,
            None => SizeLimits::SIGNED_OUT,
        };
        if context.actor().is_some() {
            BodyLimit::raise(request.extensions(), UPLOAD_BYTES);
        }
        let body = FormBody::read(request, portal, limits).await?;
        let token = body.fields.text(csrf::FIELD);
        let is_confirmed = !body.fields.has(RESUMED);
        let fields = body.fields.only(|name| !OURS.contains(&name));
        let owned = context.owns_as_user(token);
        if !owned && !context.is_same_origin() {
            return Err(Problem::Forged.into());
        }
        // It is of a page of ours. Without a session, or with a newer one, nothing is done before its user confirms it.
        if context.actor().is_none() || !owned {
            return Err(Rejection::SessionEnded(fields));
        }
        Ok(Self {
            fields,
            files: body.files,
            signed_in: context.into_signed_in()?,
            is_confirmed,
        })
    }
}

// === impl AnonymousForm ===

impl AnonymousForm {
    /// The form, to be shown again with its faults.
    #[must_use]
    pub fn form(&self) -> Form {
        // A password is typed again; it is in no page.
        Form::of(self.fields.only(|name| !is_secret(name)))
    }
}

impl FromRequest<Portal> for AnonymousForm {
    type Rejection = Problem;

    async fn from_request(request: Request, portal: &Portal) -> Result<Self, Problem> {
        let context = context(&request, portal);
        let body = FormBody::read(request, portal, SizeLimits::ANYONE).await?;
        let token = body.fields.text(csrf::FIELD);
        let owned = context.owns_as_anonymous(token)
            || (context.actor().is_some() && context.owns_as_user(token));
        if !owned {
            return Err(Problem::Forged);
        }
        Ok(Self {
            context,
            fields: body.fields.only(|name| !OURS.contains(&name)),
        })
    }
}

/// Whether a field must not come back in a page.
pub(super) fn is_secret(name: &str) -> bool {
    name.contains("password") || name.contains("secret")
}

fn context(request: &Request, portal: &Portal) -> RequestContext {
    match request.extensions().get::<RequestContext>() {
        Some(context) => context.clone(),
        None => {
            let mut parts = Request::new(()).into_parts().0;
            parts.headers = request.headers().clone();
            parts.uri = request.uri().clone();
            RequestContext::of(portal, &parts)
        }
    }
}

// === impl FormBody ===

impl FormBody {
    /// Reads a form within its limits.
    async fn read<S: Send + Sync>(
        request: Request,
        state: &S,
        limits: SizeLimits,
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

    use super::{ANONYMOUS_FIELDS, FormBody, Problem, SizeLimits};

    const FORM: &str = "application/x-www-form-urlencoded";
    const PARTS: &str = "multipart/form-data; boundary=x";

    fn form(n_fields: usize) -> String {
        vec!["a"; n_fields].join("&")
    }

    fn parts(n_fields: usize) -> String {
        let part = "--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n\r\n";
        format!("{}--x--\r\n", part.repeat(n_fields))
    }

    async fn read(kind: &str, body: String, limits: SizeLimits) -> Result<usize, Problem> {
        let request = Request::post("/sign-in").header(header::CONTENT_TYPE, kind);
        let request = request.body(Body::from(body)).unwrap();
        let read = FormBody::read(request, &(), limits).await?;
        Ok(read.fields.iter().count())
    }

    #[tokio::test]
    async fn a_form_that_anybody_may_post_has_few_fields_with_files_and_without() {
        let many = ANONYMOUS_FIELDS + 1;
        for (kind, body) in [(FORM, form(many)), (PARTS, parts(many))] {
            let refused = read(kind, body.clone(), SizeLimits::ANYONE).await;
            assert!(matches!(refused, Err(Problem::TooLarge)), "{kind}");
            for limits in [SizeLimits::SIGNED_OUT, SizeLimits::SIGNED_IN] {
                let taken = read(kind, body.clone(), limits).await;
                assert_eq!(taken.unwrap(), many, "{kind}");
            }
        }
        for (kind, body) in [(FORM, form(8)), (PARTS, parts(8))] {
            let taken = read(kind, body, SizeLimits::ANYONE).await;
            assert_eq!(taken.unwrap(), 8, "{kind}");
        }
    }
}
