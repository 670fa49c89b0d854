//! `GET /.well-known/oauth-authorization-server`: where what is, for clients that are told only the issuer (RFC 8414).

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::KeyManager;

pub(super) async fn endpoint(State(manager): State<KeyManager>) -> Json<Value> {
    let issuer = &manager.shared.issuer;
    let base = issuer.trim_end_matches('/');
    Json(json!({
        "issuer": issuer,
        "token_endpoint": manager.token_endpoint(),
        "jwks_uri": format!("{base}/oauth2/jwks"),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        // `scopes_supported` is left out, as section 2 allows: which scopes there are is said key by key.
        // Required by section 2; there is no authorization endpoint to answer anything.
        "response_types_supported": [],
    }))
}
