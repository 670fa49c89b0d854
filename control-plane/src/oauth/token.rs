//! `POST /oauth2/token`: client credentials for an access token (RFC 6749, 4.4).
//!
//! A token gets the scopes that are both requested and allowed on the key, and the answer says which. A request none of
//! whose scopes is allowed is refused; a request without scopes gets a token without scopes (RFC 6749, 3.3).

use std::{net::IpAddr, sync::Arc};

use arc_swap::ArcSwapOption;
use axum::{
    Extension, Form, Json,
    extract::{State, rejection::FormRejection},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use tidegate_kit::{fault_log::FaultLog, secret::Secret};

use super::{
    KeyManager,
    claims::{Terms, claims},
    error::TokenError,
    request::TokenRequest,
    signer::Signer,
};
use crate::{
    domain::{name::KeyId, scope},
    http::{Peer, metered::is_too_long},
};

/// The key that signs, opened: opening one costs more than signing with it.
#[derive(Default)]
pub(super) struct Signing(ArcSwapOption<(KeyId, Signer)>);

/// What a client gets (RFC 6749, 5.1).
#[derive(Serialize)]
struct Granted<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
}

/// RFC 6749, 5.1: answers must not be kept, good or bad.
/// About clients that nobody knows.
static UNKNOWN_CLIENTS: FaultLog = FaultLog::new(60);

/// About tokens that cannot be signed.
static UNSIGNED: FaultLog = FaultLog::new(6);

const NO_STORE: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::PRAGMA, HeaderValue::from_static("no-cache")),
];

pub(super) async fn endpoint(
    State(manager): State<KeyManager>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response {
    let answer = match form {
        Ok(Form(form)) => manager.grant(peer, &headers, form),
        Err(rejection)
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE || is_too_long(&rejection) =>
        {
            Err(TokenError::TooLong)
        }
        Err(_) => Err(TokenError::InvalidRequest(
            "the body must be `application/x-www-form-urlencoded`",
        )),
    };
    let answer = answer.unwrap_or_else(TokenError::into_response);
    (NO_STORE, answer).into_response()
}

impl KeyManager {
    fn grant(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
        form: Vec<(String, String)>,
    ) -> Result<Response, TokenError> {
        let it = &*self.shared;
        let request = TokenRequest::read(headers, form)?;
        let now = it.service.now();
        let Some((key, application)) = it
            .service
            .authenticate_client(&request.client_id, &request.client_secret)
        else {
            // Only those who are wrong wait: a client id is no secret, and must not be enough to lock its owner out.
            if let Some(after) = it.throttle.wait(&request.client_id, peer, now) {
                return Err(TokenError::SlowDown { after });
            }
            it.throttle.failed(&request.client_id, peer, now);
            // Unknown clients may come from many addresses.
            if let Some(line) = UNKNOWN_CLIENTS.fault(&peer.to_string()) {
                let suppressed = line.suppressed;
                tracing::info!(%peer, suppressed, "a client failed to authenticate at the token endpoint");
            }
            return Err(TokenError::InvalidClient);
        };
        let granted = key.scopes.grant(&request.scopes);
        let scope = scope::joined(&granted.ok_or(TokenError::ScopeNotAllowed)?);
        let terms = Terms {
            issuer: &it.issuer,
            audience: &it.audience,
            lifetime: it.lifetime,
            scope: &scope,
        };
        let token = self.sign(&claims(&key, &application, terms, now))?;
        let granted = Granted {
            access_token: token.expose(),
            token_type: "Bearer",
            expires_in: it.lifetime.as_secs(),
            scope: &scope,
        };
        Ok(Json(granted).into_response())
    }

    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<Secret, TokenError> {
        let state = self.shared.service.state();
        let Some(key) = state.active_signing_key() else {
            if let Some(line) = UNSIGNED.fault("no key") {
                let suppressed = line.suppressed;
                tracing::error!(
                    suppressed,
                    "there is no signing key; no tokens can be issued"
                );
            }
            return Err(TokenError::Unavailable);
        };
        let opened = match self.shared.signing.0.load_full() {
            Some(opened) if opened.0 == key.id => Ok(opened),
            _ => Signer::open(key).map(|signer| {
                let opened = Arc::new((key.id.clone(), signer));
                self.shared.signing.0.store(Some(opened.clone()));
                opened
            }),
        };
        opened
            .and_then(|opened| opened.1.sign(claims))
            .map_err(|cause| {
                if let Some(line) = UNSIGNED.fault(&cause.to_string()) {
                    let suppressed = line.suppressed;
                    tracing::error!(%cause, suppressed, "a token could not be signed");
                }
                TokenError::Unavailable
            })
    }
}
