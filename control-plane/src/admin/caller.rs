//! Who calls: the bearer token in the metadata, and the address at the other end. Used by every service, and in front of
//! all of them.

use std::net::IpAddr;

use axum::{extract::State, middleware::Next, response::Response};
use tidegate_kit::secret::Secret;
use tidegate_proto::admin::v1::{
    api_service_server::SERVICE_NAME as APIS, catalog_service_server::SERVICE_NAME as CATALOG,
    document_service_server::SERVICE_NAME as DOCUMENTS,
    session_service_server::SERVICE_NAME as SESSIONS,
};
use tonic::{Request, Status, metadata::MetadataMap};

use super::{Admin, MESSAGE_BYTES, status};
use crate::{
    domain::actor::{Actor, Visitor},
    http::{Peer, metered::BodyLimit},
    service::{Service, error::ServiceError},
};

/// What surrounds a message: its head, and what follows it in the last frame.
const ENVELOPE_BYTES: usize = 1024;
/// Tokens of ours are much shorter; longer ones are not looked up.
const TOKEN_MAX: usize = 512;

impl Admin {
    /// Who calls, by the bearer token.
    ///
    /// # Errors
    /// UNAUTHENTICATED when there is no token or it is not good.
    pub(super) fn actor<T>(&self, request: &Request<T>) -> Result<Actor, Status> {
        let token = token(request.metadata())?;
        self.service.authenticate(&token).map_err(status::of)
    }

    /// Who looks, where a call needs no token. A token that is there must be good all the same.
    ///
    /// # Errors
    /// UNAUTHENTICATED when there is a token and it is not good.
    pub(super) fn visitor<T>(&self, request: &Request<T>) -> Result<Visitor, Status> {
        if request.metadata().contains_key("authorization") {
            return self.actor(request).map(Visitor::SignedIn);
        }
        Ok(Visitor::Anonymous)
    }
}

/// Refuses a call without a good token before anything of its body is read: a stranger shall not have memory for what
/// nobody will look at. Signing in, reflection and health are open to strangers.
///
/// The services ask again: by the time when the body is there, the token may be good no more.
pub(super) async fn demand_token(
    State(service): State<Service>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    if !is_open(request.uri().path()) {
        let metadata = MetadataMap::from_headers(request.headers().clone());
        let known =
            token(&metadata).and_then(|token| service.authenticate(&token).map_err(status::of));
        if let Err(refused) = known {
            return refused.into_http();
        }
        BodyLimit::raise(request.extensions(), MESSAGE_BYTES + ENVELOPE_BYTES);
    }
    next.run(request).await
}

/// Whether strangers may call what is under a path; a token that comes along is judged by the call itself.
fn is_open(path: &str) -> bool {
    let Some((service, call)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return false;
    };
    match service {
        SESSIONS => matches!(call, "SignIn" | "SignUp" | "GetSignInOptions"),
        CATALOG => true,
        DOCUMENTS => matches!(call, "GetDocument" | "ListDocuments"),
        APIS => call == "GetThumbnail",
        _ => service.starts_with("grpc."),
    }
}

/// The bearer token of a call.
///
/// # Errors
/// UNAUTHENTICATED when there is none, or more than one.
pub(super) fn token(metadata: &MetadataMap) -> Result<Secret, Status> {
    let mut values = metadata.get_all("authorization").iter();
    let refused = |why| status::of(ServiceError::Unauthenticated(why));
    let Some(value) = values.next() else {
        return Err(refused(
            "the call has no `authorization: Bearer <token>` metadata; SignIn gives a token",
        ));
    };
    if values.next().is_some() {
        return Err(refused("the call has two `authorization` metadata"));
    }
    let token = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| !token.is_empty() && token.len() <= TOKEN_MAX);
    match token {
        Some(token) => Ok(Secret::new(token.to_owned())),
        None => Err(refused(
            "the `authorization` metadata is not `Bearer <token>`",
        )),
    }
}

/// The address at the other end, where there is one.
pub(super) fn peer<T>(request: &Request<T>) -> Option<IpAddr> {
    request.extensions().get::<Peer>().map(|peer| peer.0)
}
