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

use super::{Admin, MESSAGE_BYTES};
use crate::{
    domain::actor::{Actor, Viewer},
    http::{Peer, metered::BodyLimit},
    service::{Service, error::ServiceError},
};

/// What surrounds a message: its head, and what follows it in the last frame.
const ENVELOPE_BYTES: usize = 1024;
/// Tokens of ours are much shorter; longer ones are not looked up.
const TOKEN_MAX: usize = 512;

impl Admin {
    /// Who calls, by the bearer token.
    pub(super) fn actor<T>(&self, request: &Request<T>) -> Result<Actor, Status> {
        let token = token(request.metadata())?;
        Ok(self.service.authenticate(&token)?)
    }

    /// Who calls, and the message.
    pub(super) fn caller<T>(&self, request: Request<T>) -> Result<(Actor, T), Status> {
        let actor = self.actor(&request)?;
        Ok((actor, request.into_inner()))
    }

    /// Who looks, where a call needs no token. A token that is there must be good all the same.
    pub(super) fn viewer<T>(&self, request: &Request<T>) -> Result<Viewer, Status> {
        if request.metadata().contains_key("authorization") {
            return self.actor(request).map(Viewer::SignedIn);
        }
        Ok(Viewer::Anonymous)
    }
}

/// Refuses a call without a valid token before its body is read, so that anonymous callers cannot make the process buffer
/// anything. Signing in, reflection and health need no token.
///
/// The services check again: by the time the body has arrived, the token may have expired.
pub(super) async fn demand_token(
    State(service): State<Service>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    if !is_open(request.uri().path()) {
        let metadata = MetadataMap::from_headers(request.headers().clone());
        let known = token(&metadata).and_then(|token| Ok(service.authenticate(&token)?));
        if let Err(refused) = known {
            return refused.into_http();
        }
        BodyLimit::raise(request.extensions(), MESSAGE_BYTES + ENVELOPE_BYTES);
    }
    next.run(request).await
}

/// Whether a path needs no token; a token that is sent all the same is checked by the call itself.
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
pub(super) fn token(metadata: &MetadataMap) -> Result<Secret, Status> {
    let mut values = metadata.get_all("authorization").iter();
    let refused = |why| Status::from(ServiceError::Unauthenticated(why));
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
