//! The ways in and out: the landing page with its three doors, signing in, signing in again with what was typed kept, and
//! signing out.

use askama::Template;
use axum::{
    Router,
    extract::State,
    response::Response,
    routing::{get, post},
};
use http::StatusCode;
use tidegate_kit::secret::Secret;

use super::{
    Answer, Form, Frame, Notice, Portal, Posted, PostedByAnyone, Problem, Room, See, Visitor,
    account, cookie,
    devportal::SIGN_UP,
    fields::{Fields, MOST},
    notice::is_local,
    posted::{RESUMED, STRANGERS_BYTES, is_secret},
};
use crate::{domain::actor::Actor, service::error::ServiceError};

/// Where one signs in.
const SIGN_IN: &str = "/sign-in";
/// Where to go after it.
const NEXT: &str = "next";
/// What was typed in a form whose session was over, encoded.
const KEPT: &str = "kept";
/// What the form to sign in has besides: name, password and token, encoded.
const CREDENTIALS_BYTES: usize = 2 * 1024;

#[derive(Template)]
#[template(path = "landing.html")]
struct Landing {
    frame: Frame,
    rooms: Vec<Room>,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    frame: Frame,
    form: Form,
    /// Where strangers sign up, if they may.
    sign_up: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "resume.html")]
struct Resume {
    frame: Frame,
    path: String,
    typed: Fields,
}

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route("/", get(landing))
        .route(SIGN_IN, get(ask).post(sign_in))
        .route("/sign-out", post(sign_out))
}

/// Where a visitor signs in to come back to what was asked for.
pub(super) fn sign_in_path(visitor: &Visitor) -> String {
    let target = visitor.target();
    let here = visitor.path() == SIGN_IN || visitor.path() == "/sign-out";
    let comes_back = visitor.room().is_some() || visitor.path() == account::PATH;
    if here || !comes_back {
        return SIGN_IN.to_owned();
    }
    let query = Fields::new().with(NEXT, target).encode();
    format!("{SIGN_IN}?{query}")
}

async fn landing(visitor: Visitor) -> Answer {
    let frame = visitor.frame("Tidegate");
    let rooms = match visitor.actor() {
        Some(_) => frame.rooms(),
        // Whoever is not signed in yet may be somebody who may enter.
        None => Room::ALL.to_vec(),
    };
    let page = Landing { frame, rooms };
    page.frame.show(&page)
}

async fn ask(State(portal): State<Portal>, visitor: Visitor) -> Answer {
    let next = visitor.query().text(NEXT).to_owned();
    if let Some(actor) = visitor.actor() {
        return See::page(destination(&next, actor)).answer();
    }
    let form = Form::of(Fields::new().with(NEXT, next));
    show(
        visitor.frame("Sign in"),
        form,
        sign_up(&portal),
        StatusCode::OK,
    )
}

async fn sign_in(State(portal): State<Portal>, posted: PostedByAnyone) -> Answer {
    let kept = posted.fields.all(KEPT).next();
    if kept.is_some_and(|kept| !Fields::fits(kept.as_bytes(), MOST)) {
        return Err(Problem::TooLarge);
    }
    let name = posted.fields.text("username").trim();
    let password = Secret::new(posted.fields.text("password").to_owned());
    let peer = posted.visitor.peer();
    let signed_in = match portal.service.sign_in(name, &password, peer).await {
        Ok(signed_in) => signed_in,
        Err(error) => return refused(&portal, &posted, error),
    };
    let token = signed_in.token;
    let actor = Actor::of(&signed_in.user);
    let next = posted.fields.text(NEXT);
    // It is long when it is decoded, and an attempt may wait long for its turn.
    let mut response = if let Some(typed) = kept.map(|kept| Fields::decode(kept.as_bytes())) {
        let visitor = posted.visitor.signed_in(actor.clone(), token.clone());
        resume(&visitor, &destination(next, &actor), &typed)?
    } else {
        See::page(destination(next, &actor)).response()
    };
    enter(&portal, &posted.visitor, &token, &mut response).await?;
    Ok(response)
}

/// Gives a browser its session, in the place of the one that it had: left behind, that would go on for hours.
pub(super) async fn enter(
    portal: &Portal,
    visitor: &Visitor,
    token: &Secret,
    response: &mut Response,
) -> Result<(), Problem> {
    if let Some(before) = visitor.session() {
        portal.service.sign_out(before).await?;
    }
    let headers = response.headers_mut();
    cookie::write(headers, cookie::SESSION, token.expose(), None);
    Ok(())
}

fn refused(portal: &Portal, posted: &PostedByAnyone, error: ServiceError) -> Answer {
    let mut form = posted.form();
    let status = match &error {
        ServiceError::Unauthenticated(_) => {
            form.complain("The user name or the password is wrong.");
            StatusCode::UNAUTHORIZED
        }
        ServiceError::ResourceExhausted { retry_after } => {
            let seconds = retry_after.as_secs().max(1);
            form.complain(format!("Too many attempts. Try again in {seconds} s."));
            StatusCode::TOO_MANY_REQUESTS
        }
        _ => return Err(error.into()),
    };
    show(posted.frame("Sign in"), form, sign_up(portal), status)
}

async fn sign_out(
    State(portal): State<Portal>,
    visitor: Visitor,
    posted: Result<Posted, Problem>,
) -> Answer {
    match posted {
        // A form of ours from an earlier session means the one that there is now as well, if there is one.
        Ok(_) | Err(Problem::Resume(_)) => {}
        Err(problem) => return Err(problem),
    }
    if let Some(token) = visitor.session() {
        portal.service.sign_out(token).await?;
    }
    let done = Notice::done("You are signed out.");
    let mut response = See::page("/").saying(done).response();
    cookie::clear(response.headers_mut(), cookie::SESSION);
    Ok(response)
}

/// Whether what was typed in a form that came too late is short enough to come back with the sign-in page's form.
pub(super) fn can_keep(visitor: &Visitor, typed: &Fields) -> bool {
    kept(visitor, typed).encode().len() + CREDENTIALS_BYTES <= STRANGERS_BYTES
}

/// The sign-in page for a form that came too late, with what was typed in it.
pub(super) fn sign_in_again(visitor: &Visitor, typed: &Fields) -> Answer {
    let fields = kept(visitor, typed);
    let frame = visitor.frame("Sign in again");
    show(frame, Form::of(fields), None, StatusCode::UNAUTHORIZED)
}

/// The fields of a sign-in that goes on with a form.
fn kept(visitor: &Visitor, typed: &Fields) -> Fields {
    let typed = typed.only(|name| !is_secret(name)).encode();
    Fields::new().with(NEXT, visitor.target()).with(KEPT, typed)
}

/// After signing in again: a form with all that was typed, which goes on to where it was sent.
pub(super) fn resume(visitor: &Visitor, path: &str, typed: &Fields) -> Answer {
    let page = Resume {
        frame: visitor.frame("Go on where you were"),
        path: path.to_owned(),
        typed: typed.only(|name| !is_secret(name)).with(RESUMED, "1"),
    };
    page.frame.show(&page)
}

/// Where strangers sign up, if they may.
fn sign_up(portal: &Portal) -> Option<&'static str> {
    portal.service.is_sign_up_allowed().then_some(SIGN_UP)
}

fn show(frame: Frame, form: Form, sign_up: Option<&'static str>, status: StatusCode) -> Answer {
    let page = SignIn {
        frame,
        form,
        sign_up,
    };
    page.frame.show_with(status, &page)
}

/// Where to go after signing in: to where one was going, if that is a page of ours.
fn destination(next: &str, actor: &Actor) -> String {
    if is_local(next) {
        next.to_owned()
    } else {
        Room::home_of(actor).path().to_owned()
    }
}
