//! The key manager as its clients meet it: over the people's door, with a store in memory.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use axum::{Extension, Router, body::Body};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, Request, StatusCode, header, request::Builder};
use http_body_util::BodyExt as _;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::Value;
use tidegate_kit::{clock::Clock, secret::Secret};
use tidegate_proto::claims::{AccessClaims, KeyType};
use tower::ServiceExt as _;

use super::{KeyManager, OauthConfigError, rotation::Rotation};
use crate::{
    config::{OauthConfig, SigningAlgorithm},
    domain::actor::Actor,
    http::Peer,
    service::{Service, applications::ApplicationInput},
    store::memory::MemoryStore,
};

const START: u64 = 1_800_000_000;

/// The use cases over a store in memory, with what ships.
async fn in_memory(clock: Clock) -> Service {
    let store = Arc::new(MemoryStore::default());
    Service::open(store, clock).await.unwrap()
}

struct Stage {
    service: Service,
    clock: Clock,
    rotation: Rotation,
    door: Router,
    client_id: String,
    secret: Secret,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Stage {
    async fn new(config: &OauthConfig) -> Self {
        let clock = Clock::manual(START);
        let service = in_memory(clock.clone()).await;
        let rotation = Rotation::new(service.clone(), config);
        rotation.look().await.unwrap();
        let password = Secret::new("the admin's password".to_owned());
        service
            .ensure_admin("admin", Some(password.clone()))
            .await
            .unwrap();
        let signed_in = service.sign_in("admin", &password, None).await.unwrap();
        let actor = Actor::of(&signed_in.user);
        let application = service
            .create_application(&actor, ApplicationInput::new("Mine", ""))
            .await
            .unwrap();
        let scopes = ["a", "b"].map(str::to_owned);
        let key = service
            .create_key(&actor, application.id, KeyType::Sandbox, &scopes)
            .await
            .unwrap();
        let manager = KeyManager::new(service.clone(), config).unwrap();
        let peer = Peer(IpAddr::from([192, 0, 2, 7]));
        Self {
            service,
            clock,
            rotation,
            door: manager.routes().layer(Extension(peer)),
            client_id: key.key.client_id.to_string(),
            secret: key.secret,
        }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.door.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    async fn ask(&self, secret: &str, form: &str) -> Answer {
        let basic = STANDARD.encode(format!("{}:{secret}", self.client_id));
        let request = form_request().header(header::AUTHORIZATION, format!("Basic {basic}"));
        self.send(request.body(Body::from(form.to_owned())).unwrap())
            .await
    }

    async fn token(&self) -> String {
        let answer = self
            .ask(self.secret.expose(), "grant_type=client_credentials")
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body["access_token"].as_str().unwrap().to_owned()
    }

    async fn jwks(&self) -> JwkSet {
        let request = Request::get("/oauth2/jwks").body(Body::empty()).unwrap();
        serde_json::from_value(self.send(request).await.body).unwrap()
    }

    /// Verifies a token as a gateway does: with the published key of its `kid`.
    async fn verify(&self, token: &str, algorithm: Algorithm) -> Option<AccessClaims> {
        let kid = decode_header(token).unwrap().kid.unwrap();
        let keys = self.jwks().await;
        let key = DecodingKey::from_jwk(keys.find(&kid)?).unwrap();
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&["tidegate"]);
        validation.set_issuer(&["https://localhost:9443"]);
        validation.validate_exp = false;
        Some(
            decode::<AccessClaims>(token, &key, &validation)
                .unwrap()
                .claims,
        )
    }
}

fn form_request() -> Builder {
    Request::post("/oauth2/token").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
}

#[tokio::test]
async fn a_client_gets_a_token_that_says_who_it_is() {
    for (configured, algorithm) in [
        (SigningAlgorithm::Es256, Algorithm::ES256),
        (SigningAlgorithm::Rs256, Algorithm::RS256),
    ] {
        let stage = Stage::new(&OauthConfig {
            algorithm: configured,
            ..OauthConfig::default()
        })
        .await;
        let form = "grant_type=client_credentials&scope=a%20b";
        let answer = stage.ask(stage.secret.expose(), form).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
        assert_eq!(answer.body["token_type"], "Bearer");
        assert_eq!(answer.body["expires_in"], 3600);
        assert_eq!(answer.body["scope"], "a b");
        let token = answer.body["access_token"].as_str().unwrap();
        let head = decode_header(token).unwrap();
        assert_eq!((head.alg, head.typ.as_deref()), (algorithm, Some("at+jwt")));
        let claims = stage.verify(token, algorithm).await.unwrap();
        assert_eq!((claims.iat, claims.exp), (Some(START), START + 3600));
        assert_eq!(
            (claims.client_id.as_str(), claims.sub.as_str()),
            (&*stage.client_id, &*stage.client_id)
        );
        assert_eq!(
            (claims.key_type, claims.scope.as_str()),
            (KeyType::Sandbox, "a b")
        );
        assert!(claims.jti.is_some() && claims.application.is_some());
    }
}

#[tokio::test]
async fn a_scope_that_the_key_is_not_allowed_is_not_granted() {
    let stage = Stage::new(&OauthConfig::default()).await;
    for scope in ["metered", "metered%20A", "ab"] {
        let form = format!("grant_type=client_credentials&scope={scope}");
        let answer = stage.ask(stage.secret.expose(), &form).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
        assert_eq!(answer.body["error"], "invalid_scope");
        let answer = stage.ask("wrong", &form).await;
        assert_eq!(answer.body["error"], "invalid_client", "{}", answer.body);
    }
}

#[tokio::test]
async fn of_the_scopes_that_are_requested_those_are_granted_that_the_key_is_allowed() {
    let stage = Stage::new(&OauthConfig::default()).await;
    for (requested, granted) in [("metered+b+c", "b"), ("b+a", "b a"), ("a+a", "a"), ("", "")] {
        let form = format!("grant_type=client_credentials&scope={requested}");
        let answer = stage.ask(stage.secret.expose(), &form).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        // RFC 6749, 5.1: what differs from the request must be told.
        let told = answer.body.get("scope").and_then(Value::as_str);
        assert_eq!(told.unwrap_or_default(), granted, "{requested}");
        let token = answer.body["access_token"].as_str().unwrap();
        let claims = stage.verify(token, Algorithm::ES256).await.unwrap();
        assert_eq!(claims.scope, granted, "{requested}");
    }
}

#[tokio::test]
async fn a_token_is_for_who_asks_and_for_the_audience_of_the_installation_alone() {
    let stage = Stage::new(&OauthConfig::default()).await;
    let form = "grant_type=client_credentials&audience=others&resource=https%3A%2F%2Fothers.example\
                &sub=ann&subject=ann&key_type=PRODUCTION&lifetime_seconds=999999&expires_in=999999";
    let answer = stage.ask(stage.secret.expose(), form).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let token = answer.body["access_token"].as_str().unwrap();
    let claims = stage.verify(token, Algorithm::ES256).await.unwrap();
    assert_eq!(claims.aud, ["tidegate"]);
    assert_eq!(
        (claims.sub, claims.client_id),
        (stage.client_id.clone(), stage.client_id)
    );
    assert_eq!(
        (claims.key_type, claims.exp),
        (KeyType::Sandbox, START + 3600)
    );
}

#[tokio::test]
async fn a_client_may_authenticate_in_the_form() {
    let stage = Stage::new(&OauthConfig::default()).await;
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        stage.client_id,
        stage.secret.expose()
    );
    let answer = stage
        .send(form_request().body(Body::from(form)).unwrap())
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(answer.body.get("scope").is_none());
}

#[tokio::test]
async fn tokens_have_ids_of_their_own() {
    let stage = Stage::new(&OauthConfig::default()).await;
    let mut ids = BTreeSet::new();
    for _ in 0..10 {
        let claims = stage
            .verify(&stage.token().await, Algorithm::ES256)
            .await
            .unwrap();
        assert!(ids.insert(claims.jti));
    }
}

#[tokio::test]
async fn refusals_follow_the_rfc() {
    let stage = Stage::new(&OauthConfig::default()).await;
    let secret = stage.secret.expose().to_owned();
    for (secret, form, status, error) in [
        (
            "wrong",
            "grant_type=client_credentials",
            401,
            "invalid_client",
        ),
        (
            &*secret,
            "grant_type=password",
            400,
            "unsupported_grant_type",
        ),
        (&*secret, "scope=a", 400, "invalid_request"),
        (
            &*secret,
            "grant_type=client_credentials&grant_type=client_credentials",
            400,
            "invalid_request",
        ),
        (
            &*secret,
            "grant_type=client_credentials&scope=%22",
            400,
            "invalid_scope",
        ),
        (
            &*secret,
            "grant_type=client_credentials&client_secret=x",
            400,
            "invalid_request",
        ),
        (&*secret, "%ff=%fe", 400, "invalid_request"),
    ] {
        let answer = stage.ask(secret, form).await;
        assert_eq!(answer.status.as_u16(), status, "{form}");
        assert_eq!(answer.body["error"], error, "{form}");
        assert!(answer.body["error_description"].is_string(), "{form}");
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store", "{form}");
        assert_eq!(
            answer.headers.contains_key(header::WWW_AUTHENTICATE),
            status == 401,
            "{form}"
        );
        assert!(
            !answer.body.to_string().contains(stage.secret.expose()),
            "{form}"
        );
    }
    let json = Request::post("/oauth2/token")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from("{}"))
        .unwrap();
    assert_eq!(stage.send(json).await.body["error"], "invalid_request");
    let long = "x".repeat(100_000);
    let answer = stage.ask(&secret, &long).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let get = Request::get("/oauth2/token").body(Body::empty()).unwrap();
    assert_eq!(stage.send(get).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn who_guesses_a_secret_is_slowed_down_and_who_knows_it_is_not() {
    let stage = Stage::new(&OauthConfig::default()).await;
    let form = "grant_type=client_credentials";
    let mut last = stage.ask("wrong", form).await;
    for _ in 0..50 {
        last = stage.ask("wrong", form).await;
    }
    assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(last.headers.contains_key(header::RETRY_AFTER));
    stage.token().await;
    stage.clock.advance(Duration::from_secs(120));
    assert_eq!(
        stage.ask("wrong", form).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_new_key_is_published_before_it_signs_and_the_old_one_until_its_tokens_are_gone() {
    let stage = Stage::new(&OauthConfig::default()).await;
    let kid = |token: &str| decode_header(token).unwrap().kid.unwrap();
    let old_token = stage.token().await;
    let old = kid(&old_token);

    let next = stage.rotation.rotate(&Actor::system()).await.unwrap();
    assert_eq!(stage.jwks().await.keys.len(), 2);
    stage.rotation.look().await.unwrap();
    assert_eq!(
        kid(&stage.token().await),
        old,
        "it signs before everybody can know it"
    );

    stage.clock.advance(Duration::from_secs(300));
    stage.rotation.look().await.unwrap();
    let new_token = stage.token().await;
    assert_eq!(kid(&new_token), next.id.as_str());
    for token in [&old_token, &new_token] {
        assert!(stage.verify(token, Algorithm::ES256).await.is_some());
    }

    stage.clock.advance(Duration::from_secs(3599));
    stage.rotation.look().await.unwrap();
    assert!(stage.verify(&old_token, Algorithm::ES256).await.is_some());
    stage.clock.advance(Duration::from_secs(2));
    stage.rotation.look().await.unwrap();
    assert!(stage.verify(&old_token, Algorithm::ES256).await.is_none());
    assert!(stage.verify(&new_token, Algorithm::ES256).await.is_some());
}

#[tokio::test]
async fn a_key_is_published_for_the_longest_lifetime_that_it_signed_with() {
    let long = |seconds| OauthConfig {
        token_lifetime_seconds: seconds,
        ..OauthConfig::default()
    };
    let stage = Stage::new(&long(86_400)).await;
    let token = stage.token().await;
    let shorter = Rotation::new(stage.service.clone(), &long(60));
    shorter.look().await.unwrap();
    shorter.rotate(&Actor::system()).await.unwrap();
    stage.clock.advance(Duration::from_secs(300));
    shorter.look().await.unwrap();
    stage.clock.advance(Duration::from_secs(86_000));
    shorter.look().await.unwrap();
    assert!(stage.verify(&token, Algorithm::ES256).await.is_some());
    stage.clock.advance(Duration::from_secs(400));
    shorter.look().await.unwrap();
    assert!(stage.verify(&token, Algorithm::ES256).await.is_none());
    // A key that signs already may get to sign tokens that live longer.
    let longer = Rotation::new(stage.service.clone(), &long(7200));
    longer.look().await.unwrap();
    let key = stage.service.state().active_signing_key().unwrap().clone();
    assert_eq!(key.longest_lifetime, Duration::from_secs(7200));
}

#[tokio::test]
async fn a_key_that_came_due_while_the_process_was_down_is_published_before_it_signs() {
    let stage = Stage::new(&OauthConfig::default()).await;
    let kid = |token: &str| decode_header(token).unwrap().kid.unwrap();
    let old = kid(&stage.token().await);
    stage.rotation.rotate(&Actor::system()).await.unwrap();
    stage.clock.advance(Duration::from_secs(86_400));
    let restarted = Rotation::new(stage.service.clone(), &OauthConfig::default());
    restarted.look().await.unwrap();
    assert_eq!(kid(&stage.token().await), old, "no node can know the next");
    stage.clock.advance(Duration::from_secs(300));
    restarted.look().await.unwrap();
    assert_ne!(kid(&stage.token().await), old);
}

#[tokio::test]
async fn keys_are_rotated_by_age_and_when_the_algorithm_changes() {
    let stage = Stage::new(&OauthConfig::default()).await;
    stage.clock.advance(Duration::from_secs(90 * 86_400));
    stage.rotation.look().await.unwrap();
    assert_eq!(stage.jwks().await.keys.len(), 2);
    stage.rotation.look().await.unwrap();
    assert_eq!(
        stage.jwks().await.keys.len(),
        2,
        "a key that waits is enough"
    );

    stage.clock.advance(Duration::from_secs(300));
    stage.rotation.look().await.unwrap();
    let config = OauthConfig {
        algorithm: SigningAlgorithm::Rs256,
        ..OauthConfig::default()
    };
    let other = Rotation::new(stage.service.clone(), &config);
    other.look().await.unwrap();
    stage.clock.advance(Duration::from_secs(300));
    other.look().await.unwrap();
    let token = stage.token().await;
    assert_eq!(decode_header(&token).unwrap().alg, Algorithm::RS256);
}

#[tokio::test]
async fn the_server_tells_where_everything_is() {
    let stage = Stage::new(&OauthConfig::default()).await;
    let path = "/.well-known/oauth-authorization-server";
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = stage.send(request).await;
    assert_eq!(answer.body["issuer"], "https://localhost:9443");
    assert_eq!(
        answer.body["token_endpoint"],
        "https://localhost:9443/oauth2/token"
    );
    assert_eq!(
        answer.body["jwks_uri"],
        "https://localhost:9443/oauth2/jwks"
    );
    assert_eq!(
        answer.body["grant_types_supported"][0],
        "client_credentials"
    );
    // There are no scopes that every client could have.
    assert!(answer.body.get("scopes_supported").is_none());
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_refused_by_key() {
    let service = in_memory(Clock::manual(START)).await;
    let refused = |config: OauthConfig| KeyManager::new(service.clone(), &config).err().unwrap();
    for issuer in [
        "http://plain.example",
        "https://a.example/?q",
        "https://a.example/#f",
        "",
        "a b",
    ] {
        let config = OauthConfig {
            issuer: issuer.to_owned(),
            ..OauthConfig::default()
        };
        assert!(
            matches!(refused(config), OauthConfigError::Issuer(_)),
            "{issuer}"
        );
    }
    let config = OauthConfig {
        token_lifetime_seconds: 0,
        ..OauthConfig::default()
    };
    assert_eq!(refused(config), OauthConfigError::Lifetime(0));
    let config = OauthConfig {
        audience: String::new(),
        ..OauthConfig::default()
    };
    assert_eq!(refused(config), OauthConfigError::Audience);
}
