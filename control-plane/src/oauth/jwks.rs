//! `GET /oauth2/jwks`: the public keys that verify tokens, those that do not sign yet or no more included (RFC 7517, 5).

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, header};
use serde_json::{Value, json};

use super::KeyManager;

/// Shorter than the time for which a key is published before it signs (`rotation`), so that no cache misses a key.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=60");

pub(super) async fn endpoint(State(manager): State<KeyManager>) -> Response {
    let state = manager.shared.service.state();
    let keys: Vec<Value> = state
        .signing_keys()
        .values()
        .filter_map(|key| serde_json::from_str(&key.public_jwk).ok())
        .collect();
    (
        [(header::CACHE_CONTROL, CACHED)],
        Json(json!({ "keys": keys })),
    )
        .into_response()
}
