//! What stands around every page: title, portals, side navigation, who is signed in, notices; and the policy that a page
//! is shown under. Templates extend `frame.html` and read it as `frame`.

use std::sync::atomic::{AtomicBool, Ordering};

use askama::Template;
use axum::response::{Html as HtmlBody, IntoResponse as _};
use http::{HeaderValue, StatusCode, header};

use super::{
    assets,
    context::RequestContext,
    cookie, csrf, format,
    html::{Html, escape, random},
    navigation::{NavItem, Navigation, PortalKind, is_at_or_below},
    notice::Notice,
    problem::Answer,
};
use crate::domain::{actor::Actor, time::Timestamp, user::Permission};

/// The frame of one page.
#[derive(Debug)]
pub struct Frame {
    /// The page's title.
    pub title: String,
    /// What scripts of this page carry.
    pub nonce: String,
    context: RequestContext,
    connect: Vec<String>,
    /// Whether a form was written whose token is bound to a cookie of an anonymous user that must be set.
    needs_cookie: AtomicBool,
}

/// How long an anonymous user may look at a form before submitting it.
const ANONYMOUS_SECONDS: u32 = 4 * 3600;

// === impl Frame ===

impl Frame {
    /// The frame of a page with this title.
    #[must_use]
    pub fn new(context: &RequestContext, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            nonce: random(),
            context: context.clone(),
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
        let mut response = (status, HtmlBody(page.render()?)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy());
        if self.context.notice().is_some() {
            cookie::clear(headers, cookie::NOTICE);
        }
        if self.needs_cookie.load(Ordering::Relaxed) {
            let fresh = self.context.new_anonymous().expose();
            cookie::write(headers, cookie::ANONYMOUS, fresh, Some(ANONYMOUS_SECONDS));
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
    pub fn csrf(&self, path: impl AsRef<str>) -> Html {
        let path = path.as_ref().split('?').next().unwrap_or_default();
        let (token, needs_cookie) = self.context.csrf(path);
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

    /// A time: how long ago, with the exact time in a tooltip.
    #[must_use]
    pub fn when(&self, at: &Timestamp) -> Html {
        format::time_element(*at, self.now())
    }

    /// When the page was requested.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.context.now()
    }

    /// Who is signed in.
    #[must_use]
    pub fn actor(&self) -> Option<&Actor> {
        self.context.actor()
    }

    /// Whether a user is signed in who has a permission. The use case decides; this says whether to offer it.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.context.may(permission)
    }

    /// The portal that the page is in.
    #[must_use]
    pub fn kind(&self) -> Option<PortalKind> {
        self.context.kind()
    }

    /// The pages that every page links to.
    #[must_use]
    pub fn links(&self) -> &'static Navigation {
        self.context.navigation()
    }

    /// The portals that the viewer may enter.
    #[must_use]
    pub fn portals(&self) -> Vec<PortalKind> {
        let open = |kind: &PortalKind| self.links().is_open(*kind, self.actor());
        PortalKind::ALL.into_iter().filter(open).collect()
    }

    /// The entries of the side navigation that the viewer may open.
    #[must_use]
    pub fn nav_items(&self) -> Vec<&'static NavItem> {
        let items = |kind| self.links().items_for(kind, self.actor()).collect();
        self.kind().map_or_else(Vec::new, items)
    }

    /// Whether the page is at a path or below it.
    #[must_use]
    pub fn is_at(&self, path: &str) -> bool {
        is_at_or_below(self.context.path(), path)
    }

    /// The portal to go back to, if the viewer may enter it.
    #[must_use]
    pub fn way_back(&self) -> Option<PortalKind> {
        let open = |kind: &PortalKind| self.links().is_open(*kind, self.actor());
        self.kind().filter(open)
    }

    /// The page to sign in, which comes back to this one.
    #[must_use]
    pub fn sign_in_path(&self) -> String {
        self.context.sign_in_path()
    }

    /// What the page says first.
    #[must_use]
    pub fn notice(&self) -> Option<&Notice> {
        self.context.notice()
    }

    /// The roles of the user who is signed in, separated by commas.
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
