//! What is known of a request before its handler runs: who sent it, and from where. Read once for each request by
//! `layout`; handlers get it as [`RequestContext`] or [`SignedIn`].

use std::{net::IpAddr, ops::Deref, sync::Arc};

use axum::extract::FromRequestParts;
use http::{HeaderMap, request::Parts};
use tidegate_kit::secret::Secret;

use super::{
    cookie, csrf,
    fields::Fields,
    html::random,
    navigation::{Navigation, PortalKind},
    notice::Notice,
    problem::Problem,
    rejection::Rejection,
    state::Portal,
};
use crate::{
    domain::{
        actor::{Actor, Viewer},
        time::Timestamp,
        user::{Permission, Roles},
    },
    http::Peer,
    service::error::ServiceError,
};

/// A request of anybody, signed in or not. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub struct RequestContext(Arc<Details>);

#[derive(Debug)]
struct Details {
    actor: Option<Actor>,
    /// The session cookie; the session may have ended.
    session: Option<Secret>,
    /// The cookie of an anonymous user.
    anonymous: Option<Secret>,
    /// The cookie that an anonymous user without one gets when a form needs it.
    new_anonymous: Secret,
    notice: Option<Notice>,
    path: String,
    query: Option<String>,
    same_origin: bool,
    peer: Option<IpAddr>,
    now: Timestamp,
    navigation: &'static Navigation,
}

/// A request of a user who is signed in and may enter the portal. Others don't reach a handler that takes it: they are
/// sent to sign in, or told what they lack.
#[derive(Clone, Debug)]
pub struct SignedIn {
    viewer: Actor,
    context: RequestContext,
}

/// The parameter of the sign-in page that says where to go after signing in.
pub const NEXT: &str = "next";
/// Our tokens are much shorter.
const TOKEN_MAX: usize = 512;

// === impl RequestContext ===

impl RequestContext {
    /// Reads the cookies of a request and looks up its session.
    pub(super) fn of(portal: &Portal, parts: &Parts) -> Self {
        let headers = &parts.headers;
        let session = secret(headers, cookie::SESSION);
        let actor = session
            .as_ref()
            .and_then(|token| portal.service.authenticate(token).ok());
        Self(Arc::new(Details {
            actor,
            session,
            anonymous: secret(headers, cookie::ANONYMOUS),
            new_anonymous: Secret::new(random()),
            notice: Notice::read(headers),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            same_origin: headers
                .get("sec-fetch-site")
                .is_some_and(|site| site == "same-origin"),
            peer: parts.extensions.get::<Peer>().map(|peer| peer.0),
            now: portal.service.now(),
            navigation: portal.navigation,
        }))
    }

    /// The same request after its user has signed in.
    pub(super) fn signed_in(&self, actor: Actor, token: Secret) -> Self {
        let details = &self.0;
        Self(Arc::new(Details {
            actor: Some(actor),
            session: Some(token),
            anonymous: details.anonymous.clone(),
            new_anonymous: details.new_anonymous.clone(),
            notice: None,
            path: details.path.clone(),
            query: details.query.clone(),
            ..**details
        }))
    }

    /// Who is signed in, if anybody is.
    #[must_use]
    pub fn actor(&self) -> Option<&Actor> {
        self.0.actor.as_ref()
    }

    /// Who reads what is public, as use cases take it.
    #[must_use]
    pub fn visitor(&self) -> Viewer {
        let actor = self.0.actor.clone();
        actor.map_or(Viewer::Anonymous, Viewer::SignedIn)
    }

    /// Whether a user is signed in who has a permission.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.actor().is_some_and(|actor| actor.may(permission))
    }

    /// The token of the session, which may have ended.
    #[must_use]
    pub fn session(&self) -> Option<&Secret> {
        self.0.session.as_ref()
    }

    /// The client's address.
    #[must_use]
    pub fn peer(&self) -> Option<IpAddr> {
        self.0.peer
    }

    /// When the request came.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.now
    }

    /// The requested path, without its query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The requested path, with its query.
    #[must_use]
    pub fn target(&self) -> String {
        match &self.0.query {
            Some(query) => format!("{}?{query}", self.0.path),
            None => self.0.path.clone(),
        }
    }

    /// The parameters of the query.
    #[must_use]
    pub fn query(&self) -> Fields {
        Fields::decode(self.0.query.as_deref().unwrap_or_default().as_bytes())
    }

    /// The portal that the path is in.
    #[must_use]
    pub fn kind(&self) -> Option<PortalKind> {
        PortalKind::of(&self.0.path)
    }

    /// The pages that every page links to.
    #[must_use]
    pub fn navigation(&self) -> &'static Navigation {
        self.0.navigation
    }

    /// The page to sign in, which comes back to what was requested.
    #[must_use]
    pub fn sign_in_path(&self) -> String {
        let Navigation {
            sign_in, account, ..
        } = self.0.navigation;
        if self.kind().is_none() && self.path() != *account {
            return (*sign_in).to_owned();
        }
        let query = Fields::new().with(NEXT, self.target()).encode();
        format!("{sign_in}?{query}")
    }

    /// What the page says first.
    pub(super) fn notice(&self) -> Option<&Notice> {
        self.0.notice.as_ref()
    }

    /// Whether the browser says that a page of ours sent the request. No other page can make it say so.
    pub(super) fn is_same_origin(&self) -> bool {
        self.0.same_origin
    }

    /// The token for a form, and whether the cookie of an anonymous user must be set for it.
    pub(super) fn csrf(&self, path: &str) -> (String, bool) {
        let details = &self.0;
        match (&details.actor, &details.session, &details.anonymous) {
            (Some(_), Some(session), _) => (csrf::token(session.expose(), path), false),
            (_, _, Some(anonymous)) => (csrf::token(anonymous.expose(), path), false),
            _ => (csrf::token(details.new_anonymous.expose(), path), true),
        }
    }

    /// The cookie that [`Self::csrf`] asks to be set.
    pub(super) fn new_anonymous(&self) -> &Secret {
        &self.0.new_anonymous
    }

    /// Whether a form to this path was given to whoever holds the session cookie, even if the session has ended.
    pub(super) fn owns_as_user(&self, token: &str) -> bool {
        let session = self.0.session.as_ref();
        session.is_some_and(|session| csrf::verify(session.expose(), &self.0.path, token))
    }

    /// Whether a form to this path was given to this anonymous user.
    pub(super) fn owns_as_anonymous(&self, token: &str) -> bool {
        let anonymous = self.0.anonymous.as_ref();
        anonymous.is_some_and(|anonymous| csrf::verify(anonymous.expose(), &self.0.path, token))
    }

    /// The request as one of a user who is signed in and may be here.
    ///
    /// # Errors
    /// `SignInRequired`, or the roles that the page needs.
    pub(super) fn into_signed_in(self) -> Result<SignedIn, Rejection> {
        let Some(viewer) = self.actor().cloned() else {
            return Err(Rejection::SignInRequired);
        };
        if let Some(kind) = self.kind() {
            let navigation = self.0.navigation;
            if !navigation.is_open(kind, Some(&viewer)) {
                let needs = navigation.items(kind).iter().filter_map(|item| item.needs);
                return Err(lacks(needs).into());
            }
            // A page that the side navigation doesn't offer can't be opened by its address either.
            let item = navigation.item_at(kind, self.path());
            if let Some(needs) = item.and_then(|item| item.needs) {
                require(&viewer, &[needs])?;
            }
        }
        Ok(SignedIn {
            viewer,
            context: self,
        })
    }
}

/// Refuses an actor who has none of these permissions, if there are any.
fn require(actor: &Actor, one_of: &[Permission]) -> Result<(), Problem> {
    if one_of.is_empty() || one_of.iter().any(|&permission| actor.may(permission)) {
        Ok(())
    } else {
        Err(lacks(one_of.iter().copied()))
    }
}

/// For somebody who lacks all of these: names the roles that have one of them.
fn lacks(permissions: impl Iterator<Item = Permission>) -> Problem {
    let roles: Roles = permissions
        .flat_map(|permission| permission.roles().iter().copied())
        .collect();
    let roles: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
    let needs = format!("the role {}", roles.join(" or "));
    Problem::Service(ServiceError::PermissionDenied(needs))
}

fn secret(headers: &HeaderMap, name: &str) -> Option<Secret> {
    cookie::read(headers, name)
        .filter(|value| value.len() <= TOKEN_MAX)
        .map(|value| Secret::new(value.to_owned()))
}

impl FromRequestParts<Portal> for RequestContext {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        portal: &Portal,
    ) -> Result<Self, Self::Rejection> {
        let known = parts.extensions.get::<Self>().cloned();
        Ok(known.unwrap_or_else(|| Self::of(portal, parts)))
    }
}

// === impl SignedIn ===

impl SignedIn {
    /// Who looks. Use cases that read take it; those that change something take the actor of a form that is confirmed.
    #[must_use]
    pub const fn viewer(&self) -> &Actor {
        &self.viewer
    }

    /// Refuses a user whom the use case behind a form would refuse, on the page that only shows the form.
    ///
    /// # Errors
    /// Names the roles that may.
    pub fn require(&self, one_of: &[Permission]) -> Result<(), Problem> {
        require(&self.viewer, one_of)
    }
}

impl Deref for SignedIn {
    type Target = RequestContext;

    fn deref(&self) -> &RequestContext {
        &self.context
    }
}

impl FromRequestParts<Portal> for SignedIn {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Rejection> {
        let Ok(context) = RequestContext::from_request_parts(parts, portal).await;
        context.into_signed_in()
    }
}
