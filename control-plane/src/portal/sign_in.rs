//! Signing in, signing in again with what was typed kept, and signing out.

use askama::Template;
use axum::{
    Router,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use http::StatusCode;
use tidegate_kit::secret::Secret;

use super::{
    context::{NEXT, RequestContext},
    cookie,
    fields::{Fields, MOST},
    form::Form,
    frame::Frame,
    landing,
    navigation::Navigation,
    problem::{Answer, Problem},
    redirect::{Redirect, is_local},
    rejection::Rejection,
    state::Portal,
    submitted::{ANONYMOUS_BYTES, AnonymousForm, AuthenticatedForm, RESUMED, is_secret},
};
use crate::{domain::actor::Actor, service::error::ServiceError};

/// The page to sign in.
pub(super) const PATH: &str = "/sign-in";
/// Where the form that signs out is sent.
pub(super) const SIGN_OUT: &str = "/sign-out";
/// The field with what was typed in a form whose session had ended, encoded.
const KEPT: &str = "kept";
/// What the form to sign in has besides: name, password and token, encoded.
const CREDENTIALS_BYTES: usize = 2 * 1024;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    form: Form,
    /// The page to sign up, if anybody may.
    sign_up: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "resume.html")]
struct ResumePage {
    frame: Frame,
    path: String,
    typed: Fields,
}

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(PATH, get(show).post(submit))
        .route(SIGN_OUT, post(sign_out))
}

async fn show(State(portal): State<Portal>, context: RequestContext) -> Answer {
    let next = context.query().text(NEXT).to_owned();
    if let Some(actor) = context.actor() {
        return Redirect::to(destination(&next, actor, context.navigation())).answer();
    }
    let form = Form::of(Fields::new().with(NEXT, next));
    page(&context, form, sign_up(&portal), StatusCode::OK)
}

async fn submit(State(portal): State<Portal>, submitted: AnonymousForm) -> Answer {
    let AnonymousForm { context, fields } = &submitted;
    let kept = fields.all(KEPT).next();
    if kept.is_some_and(|kept| !Fields::fits(kept.as_bytes(), MOST)) {
        return Err(Problem::TooLarge);
    }
    let name = fields.text("username").trim();
    let password = Secret::new(fields.text("password").to_owned());
    let peer = context.peer();
    let signed_in = match portal.service.sign_in(name, &password, peer).await {
        Ok(signed_in) => signed_in,
        Err(error) => return refuse(&portal, &submitted, error),
    };
    let token = signed_in.token;
    let actor = Actor::of(&signed_in.user);
    let next = destination(fields.text(NEXT), &actor, context.navigation());
    // It is long when it is decoded, and an attempt may wait long for its turn.
    let mut response = if let Some(typed) = kept.map(|kept| Fields::decode(kept.as_bytes())) {
        resume(&context.signed_in(actor, token.clone()), &next, &typed)?
    } else {
        Redirect::to(next).into_response()
    };
    start_session(&portal, context, &token, &mut response).await?;
    Ok(response)
}

/// Gives a browser its session, in place of the one that it had: left behind, that would go on for hours.
pub(super) async fn start_session(
    portal: &Portal,
    context: &RequestContext,
    token: &Secret,
    response: &mut Response,
) -> Result<(), Problem> {
    if let Some(before) = context.session() {
        portal.service.sign_out(before).await?;
    }
    let headers = response.headers_mut();
    cookie::write(headers, cookie::SESSION, token.expose(), None);
    Ok(())
}

/// What a form says after too many attempts.
pub(super) fn too_many_attempts(retry_after: std::time::Duration) -> String {
    let seconds = retry_after.as_secs().max(1);
    format!("Too many attempts. Try again in {seconds} s.")
}

fn refuse(portal: &Portal, submitted: &AnonymousForm, error: ServiceError) -> Answer {
    let mut form = submitted.form();
    let status = match error {
        ServiceError::Unauthenticated(_) => {
            form.complain("The user name or password is incorrect.");
            StatusCode::UNAUTHORIZED
        }
        ServiceError::ResourceExhausted { retry_after } => {
            form.complain(too_many_attempts(retry_after));
            StatusCode::TOO_MANY_REQUESTS
        }
        error => return Err(error.into()),
    };
    page(&submitted.context, form, sign_up(portal), status)
}

async fn sign_out(
    State(portal): State<Portal>,
    context: RequestContext,
    submitted: Result<AuthenticatedForm, Rejection>,
) -> Result<Response, Rejection> {
    match submitted {
        // A form of ours from an earlier session means the present one as well, if there is one.
        Ok(_) | Err(Rejection::SessionEnded(_)) => {}
        Err(rejection) => return Err(rejection),
    }
    if let Some(token) = context.session() {
        let ended = portal.service.sign_out(token).await;
        ended.map_err(Problem::from)?;
    }
    Ok(signed_out("You're signed out."))
}

/// The way out: to the start page, without a session.
pub(super) fn signed_out(notice: &str) -> Response {
    let mut response = Redirect::to(landing::PATH).success(notice).into_response();
    cookie::clear(response.headers_mut(), cookie::SESSION);
    response
}

/// What a request gets that is rejected because nobody is signed in, or somebody else: the page to sign in, and what was
/// typed kept.
pub(super) fn reject(rejection: &Rejection, context: &RequestContext) -> Answer {
    let typed = match rejection {
        Rejection::SessionEnded(typed) => typed,
        _ => return Redirect::to(context.sign_in_path()).answer(),
    };
    if context.actor().is_some() {
        return resume(context, context.path(), typed);
    }
    let kept = typed.only(|name| !is_secret(name)).encode();
    let fields = Fields::new().with(NEXT, context.target()).with(KEPT, kept);
    if fields.encode().len() + CREDENTIALS_BYTES > ANONYMOUS_BYTES {
        return Err(Problem::TooLarge);
    }
    page(context, Form::of(fields), None, StatusCode::UNAUTHORIZED)
}

/// After signing in again: a form with all that was typed, which goes on to where it was sent.
fn resume(context: &RequestContext, path: &str, typed: &Fields) -> Answer {
    let page = ResumePage {
        frame: Frame::new(context, "Continue where you left off"),
        path: path.to_owned(),
        typed: typed.only(|name| !is_secret(name)).with(RESUMED, "1"),
    };
    page.frame.show(&page)
}

/// The page to sign up, if anybody may.
fn sign_up(portal: &Portal) -> Option<&'static str> {
    let allowed = portal.service.is_sign_up_allowed();
    allowed.then_some(portal.navigation.sign_up)
}

fn page(
    context: &RequestContext,
    form: Form,
    sign_up: Option<&'static str>,
    status: StatusCode,
) -> Answer {
    let title = if form.fields().has(KEPT) {
        "Sign in again"
    } else {
        "Sign in"
    };
    let page = SignInPage {
        frame: Frame::new(context, title),
        form,
        sign_up,
    };
    page.frame.show_with(status, &page)
}

/// Where to go after signing in: to where the user was going, if that is a page of ours.
fn destination(next: &str, actor: &Actor, navigation: &Navigation) -> String {
    if is_local(next) {
        next.to_owned()
    } else {
        navigation.home(actor).path().to_owned()
    }
}
