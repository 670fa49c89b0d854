//! What stands around every page: title, doors, places, who is signed in, notices; and the policy that a page is shown
//! under. Templates extend `frame.html` and read it as `frame`.

use std::sync::atomic::{AtomicBool, Ordering};

use askama::Template;
use axum::response::{Html as Page, IntoResponse as _};
use http::{HeaderValue, StatusCode, header};

use super::{
    Answer, Notice, Room, Visitor, assets, cookie, csrf,
    html::{Html, escape, random},
    moment,
    room::Place,
};
use crate::domain::{actor::Actor, time::Timestamp, user::Permission};

/// The frame of one page.
#[derive(Debug)]
pub struct Frame {
    /// What the page is called.
    pub title: String,
    /// What scripts of this page carry.
    pub nonce: String,
    visitor: Visitor,
    connect: Vec<String>,
    /// Whether a form was written whose token is bound to a stranger's cookie that must be set.
    needs_cookie: AtomicBool,
}

/// How long a stranger may look at a form before posting it.
const STRANGER_SECONDS: u32 = 4 * 3600;

// === impl Frame ===

impl Frame {
    pub(super) fn new(visitor: Visitor, title: String) -> Self {
        Self {
            title,
            nonce: random(),
            visitor,
            connect: Vec::new(),
            needs_cookie: AtomicBool::new(false),
        }
    }

    /// Lets the page's scripts open connections there: scheme, host and port, for example `ws://localhost:9099`.
    #[must_use]
    pub fn connecting_to(mut self, origins: impl IntoIterator<Item = String>) -> Self {
        let plain = |origin: &String| {
            origin
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b":/.-[]_".contains(&b))
        };
        self.connect.extend(origins.into_iter().filter(plain));
        self
    }

    /// Shows a page.
    ///
    /// # Errors
    /// When the template cannot be rendered.
    pub fn show(&self, page: &impl Template) -> Answer {
        self.show_with(StatusCode::OK, page)
    }

    /// Shows a page with a status, as [`super::Form::status`] gives it.
    ///
    /// # Errors
    /// When the template cannot be rendered.
    pub fn show_with(&self, status: StatusCode, page: &impl Template) -> Answer {
        let mut response = (status, Page(page.render()?)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy());
        if self.visitor.notice().is_some() {
            cookie::clear(headers, cookie::NOTICE);
        }
        if self.needs_cookie.load(Ordering::Relaxed) {
            let fresh = self.visitor.fresh().expose();
            cookie::write(headers, cookie::STRANGER, fresh, Some(STRANGER_SECONDS));
        }
        Ok(response)
    }

    /// What the page may load and do: its own stylesheet and pictures, scripts with its nonce, connections to here and to
    /// where it asked for; nothing else, and nobody may frame it.
    fn policy(&self) -> HeaderValue {
        let Self { nonce, connect, .. } = self;
        let connect: String = connect.iter().map(|origin| format!(" {origin}")).collect();
        let policy = format!(
            "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self'; \
             connect-src 'self'{connect}; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        );
        HeaderValue::try_from(policy).expect("nonces and origins are visible ASCII")
    }

    /// The hidden field that proves that a form to this path is ours.
    #[must_use]
    pub fn csrf(&self, path: &str) -> Html {
        let path = path.split('?').next().unwrap_or_default();
        let (token, needs_cookie) = self.visitor.csrf(path);
        if needs_cookie {
            self.needs_cookie.store(true, Ordering::Relaxed);
        }
        let name = csrf::FIELD;
        Html(format!(
            r#"<input type="hidden" name="{name}" value="{token}">"#
        ))
    }

    /// The address of a file of `static/`.
    #[must_use]
    pub fn asset(&self, name: &str) -> String {
        assets::url(name)
    }

    /// A time: how long ago, with the exact time on hover.
    #[must_use]
    pub fn when(&self, at: &Timestamp) -> Html {
        moment::element(*at, self.visitor.now())
    }

    /// When the page was asked for.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.visitor.now()
    }

    /// Who is signed in.
    #[must_use]
    pub fn actor(&self) -> Option<&Actor> {
        self.visitor.actor()
    }

    /// Whether somebody is signed in who may do that. The use case decides; this says whether to offer it.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.visitor.may(permission)
    }

    /// The room that the page is in.
    #[must_use]
    pub fn room(&self) -> Option<Room> {
        self.visitor.room()
    }

    /// Whether the page is in this room.
    #[must_use]
    pub fn is_in(&self, room: &Room) -> bool {
        self.room() == Some(*room)
    }

    /// The rooms that are open to whoever looks.
    #[must_use]
    pub fn rooms(&self) -> Vec<Room> {
        let actor = self.actor();
        let open = Room::ALL.into_iter().filter(|room| room.is_open_to(actor));
        open.collect()
    }

    /// The places of this room that are of use to whoever looks.
    #[must_use]
    pub fn places(&self) -> Vec<&'static Place> {
        let room = self.room();
        room.map_or_else(Vec::new, |room| room.places_of(self.actor()).collect())
    }

    /// Whether the page is at this place or below it.
    #[must_use]
    pub fn is_at(&self, path: &str) -> bool {
        let at = self.visitor.path().strip_prefix(path);
        at.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The room to go back to, if whoever looks may be in it.
    #[must_use]
    pub fn way_back(&self) -> Option<Room> {
        self.room().filter(|room| room.is_open_to(self.actor()))
    }

    /// Where to come back to after signing in.
    #[must_use]
    pub fn sign_in_path(&self) -> String {
        super::entrance::sign_in_path(&self.visitor)
    }

    /// What the page says first.
    #[must_use]
    pub fn notice(&self) -> Option<&Notice> {
        self.visitor.notice()
    }

    /// The roles of whoever is signed in, in words.
    #[must_use]
    pub fn roles(&self) -> String {
        let roles = self.actor().map(|actor| actor.roles).unwrap_or_default();
        let roles: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        roles.join(", ")
    }

    /// The first letter of a name, for its tile.
    #[must_use]
    pub fn initial(&self, name: impl ToString) -> String {
        name.to_string().chars().take(1).collect()
    }

    /// A text with its line ends kept, escaped.
    #[must_use]
    pub fn lines(&self, text: &str) -> Html {
        Html(escape(text).replace('\n', "<br>"))
    }
}
