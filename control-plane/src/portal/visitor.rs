//! Who looks at a page: read once for each request, handed to the handlers as [`Visitor`] or [`SignedIn`].

use std::{net::IpAddr, ops::Deref, sync::Arc};

use axum::extract::FromRequestParts;
use http::{HeaderMap, request::Parts};
use tidegate_kit::secret::Secret;

use super::{Frame, Notice, Portal, Problem, Room, cookie, csrf, fields::Fields};
use crate::{
    domain::{
        actor::{Actor, Visitor as Reader},
        time::Timestamp,
        user::{Permission, Roles},
    },
    http::Peer,
    service::error::ServiceError,
};

/// Anybody, signed in or not. A clone is another handle on the same.
#[derive(Clone, Debug)]
pub struct Visitor(Arc<Looked>);

#[derive(Debug)]
struct Looked {
    actor: Option<Actor>,
    /// The cookie of a session, which may be over.
    session: Option<Secret>,
    /// The cookie of a stranger.
    stranger: Option<Secret>,
    /// What a stranger without a cookie gets when a form needs one.
    fresh: Secret,
    notice: Option<Notice>,
    path: String,
    query: Option<String>,
    same_origin: bool,
    peer: Option<IpAddr>,
    now: Timestamp,
}

/// Somebody who is signed in and may enter the room. Handlers that ask for one are not reached by others, who are sent to
/// sign in, or told what they lack.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who calls the use cases.
    pub actor: Actor,
    visitor: Visitor,
}

/// Tokens of ours are much shorter.
const TOKEN_MAX: usize = 512;

// === impl Visitor ===

impl Visitor {
    /// Reads the cookies of a request and asks who its session is of.
    pub(super) fn of(portal: &Portal, parts: &Parts) -> Self {
        let headers = &parts.headers;
        let session = secret(headers, cookie::SESSION);
        let actor = session
            .as_ref()
            .and_then(|token| portal.service.authenticate(token).ok());
        Self(Arc::new(Looked {
            actor,
            session,
            stranger: secret(headers, cookie::STRANGER),
            fresh: Secret::new(super::html::random()),
            notice: Notice::read(headers),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            same_origin: headers
                .get("sec-fetch-site")
                .is_some_and(|site| site == "same-origin"),
            peer: parts.extensions.get::<Peer>().map(|peer| peer.0),
            now: portal.service.now(),
        }))
    }

    /// The same visitor after signing in.
    pub(super) fn signed_in(&self, actor: Actor, token: Secret) -> Self {
        let looked = &self.0;
        Self(Arc::new(Looked {
            actor: Some(actor),
            session: Some(token),
            stranger: looked.stranger.clone(),
            fresh: looked.fresh.clone(),
            notice: None,
            path: looked.path.clone(),
            query: looked.query.clone(),
            same_origin: looked.same_origin,
            peer: looked.peer,
            now: looked.now,
        }))
    }

    /// Who is signed in, if anybody is.
    #[must_use]
    pub fn actor(&self) -> Option<&Actor> {
        self.0.actor.as_ref()
    }

    /// Who reads what there is for everybody, as use cases take it.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.0
            .actor
            .clone()
            .map_or(Reader::Anonymous, Reader::SignedIn)
    }

    /// Whether somebody is signed in who may do that.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.actor().is_some_and(|actor| actor.may(permission))
    }

    /// The token of the session, live or not.
    #[must_use]
    pub fn session(&self) -> Option<&Secret> {
        self.0.session.as_ref()
    }

    /// The address at the other end.
    #[must_use]
    pub fn peer(&self) -> Option<IpAddr> {
        self.0.peer
    }

    /// When the request came.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.now
    }

    /// The path that was asked for, without its query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The path that was asked for, with its query.
    #[must_use]
    pub fn target(&self) -> String {
        match &self.0.query {
            Some(query) => format!("{}?{query}", self.0.path),
            None => self.0.path.clone(),
        }
    }

    /// What was asked for behind the path.
    #[must_use]
    pub fn query(&self) -> Fields {
        Fields::decode(self.0.query.as_deref().unwrap_or_default().as_bytes())
    }

    /// The room that was asked for.
    #[must_use]
    pub fn room(&self) -> Option<Room> {
        Room::of(&self.0.path)
    }

    /// The frame of a page with this title.
    #[must_use]
    pub fn frame(&self, title: impl Into<String>) -> Frame {
        Frame::new(self.clone(), title.into())
    }

    /// What the page says first.
    pub(super) fn notice(&self) -> Option<&Notice> {
        self.0.notice.as_ref()
    }

    /// Whether the browser says that a page of ours sent the request. No other page can make it say so.
    pub(super) fn is_same_origin(&self) -> bool {
        self.0.same_origin
    }

    /// The token for a form, and whether the stranger's cookie must be set for it.
    pub(super) fn csrf(&self, path: &str) -> (String, bool) {
        let looked = &self.0;
        match (&looked.actor, &looked.session, &looked.stranger) {
            (Some(_), Some(session), _) => (csrf::token(session.expose(), path), false),
            (_, _, Some(stranger)) => (csrf::token(stranger.expose(), path), false),
            _ => (csrf::token(looked.fresh.expose(), path), true),
        }
    }

    /// What [`Self::csrf`] asks to be set.
    pub(super) fn fresh(&self) -> &Secret {
        &self.0.fresh
    }

    /// Whether a form to this path was given to whoever holds the session's cookie, even if the session is over.
    pub(super) fn owns_as_user(&self, token: &str) -> bool {
        let session = self.0.session.as_ref();
        session.is_some_and(|session| csrf::verify(session.expose(), &self.0.path, token))
    }

    /// Whether a form to this path was given to this stranger.
    pub(super) fn owns_as_stranger(&self, token: &str) -> bool {
        let stranger = self.0.stranger.as_ref();
        stranger.is_some_and(|stranger| csrf::verify(stranger.expose(), &self.0.path, token))
    }

    /// The visitor as somebody who is signed in and may be here.
    ///
    /// # Errors
    /// `Problem::SignIn`, or what the room needs.
    pub(super) fn demand(self) -> Result<SignedIn, Problem> {
        let Some(actor) = self.actor().cloned() else {
            return Err(Problem::SignIn);
        };
        if let Some(room) = self.room().filter(|room| !room.is_open_to(Some(&actor))) {
            let needs = room.places().iter().filter_map(|place| place.needs);
            return Err(lacks(needs));
        }
        // What is not offered in the side navigation is not there by its address either.
        let place = self.room().and_then(|room| room.place_at(self.path()));
        if let Some(needs) = place.and_then(|place| place.needs) {
            demand(&actor, needs)?;
        }
        Ok(SignedIn {
            actor,
            visitor: self,
        })
    }
}

/// Refuses an actor who may not do that.
fn demand(actor: &Actor, permission: Permission) -> Result<(), Problem> {
    if actor.may(permission) {
        Ok(())
    } else {
        Err(lacks(std::iter::once(permission)))
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

impl FromRequestParts<Portal> for Visitor {
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
    /// For a page that only shows a form: refuses whom the use case behind the form would refuse.
    ///
    /// # Errors
    /// Names the roles that may.
    pub fn demands(&self, permission: Permission) -> Result<(), Problem> {
        demand(&self.actor, permission)
    }
}

impl Deref for SignedIn {
    type Target = Visitor;

    fn deref(&self) -> &Visitor {
        &self.visitor
    }
}

impl FromRequestParts<Portal> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Problem> {
        let Ok(visitor) = Visitor::from_request_parts(parts, portal).await;
        visitor.demand()
    }
}
