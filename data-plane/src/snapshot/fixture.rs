//! Resources for tests, as they come over the wire. Tests of the stages that read a snapshot build it out of these.

use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use rsa::pkcs8::EncodePrivateKey as _;
use serde::Serialize;
use tidegate_proto::{
    discovery::v1::{self, Resource as Wire, resource::Body},
    quota::Limits,
    revision::RevisionNumber,
};

use super::{Snapshot, decode};

/// An id from a small number.
pub(crate) fn id(n: u32) -> String {
    format!("00000000-0000-7000-8000-{n:012x}")
}

/// An open API with both endpoints.
pub(crate) fn api(n: u32, context: &str, version: &str, topics: &[(&str, &str)]) -> v1::Api {
    v1::Api {
        id: id(n),
        name: format!("api-{n}"),
        context: context.to_owned(),
        version: version.to_owned(),
        default_version: false,
        revision: id(n),
        state: v1::ApiState::Open.into(),
        production_endpoint: "ws://backend:8080".to_owned(),
        sandbox_endpoint: "ws://sandbox:8080".to_owned(),
        topics: topics
            .iter()
            .map(|(template, mapping)| v1::Topic {
                template: (*template).to_owned(),
                mapping: (*mapping).to_owned(),
                ..v1::Topic::default()
            })
            .collect(),
        ..v1::Api::default()
    }
}

/// The paths of an API that exists.
pub(crate) fn reservation(n: u32, context: &str, version: &str) -> v1::Reservation {
    v1::Reservation {
        api: id(n),
        context: context.to_owned(),
        version: version.to_owned(),
        ..v1::Reservation::default()
    }
}

pub(crate) fn subscription(n: u32, application: u32, api: u32, plan: &str) -> v1::Subscription {
    v1::Subscription {
        id: id(n),
        application: id(application),
        api: id(api),
        plan: plan.to_owned(),
        state: v1::SubscriptionState::Active.into(),
        ..v1::Subscription::default()
    }
}

pub(crate) fn application(n: u32) -> v1::Application {
    v1::Application {
        id: id(n),
        name: format!("application-{n}"),
        owner: "somebody".to_owned(),
        ..v1::Application::default()
    }
}

pub(crate) fn application_key(client_id: &str, application: u32) -> v1::ApplicationKey {
    v1::ApplicationKey {
        client_id: client_id.to_owned(),
        application: id(application),
        key_type: v1::KeyType::Production.into(),
        key_manager: "resident".to_owned(),
    }
}

pub(crate) fn plan(name: &str, messages: u64) -> v1::Plan {
    v1::Plan {
        name: name.to_owned(),
        limits: Some(limits(messages)),
    }
}

/// A policy without groups.
pub(crate) fn api_policy(name: &str, per: v1::Per, limits: v1::Limits) -> v1::ApiPolicy {
    v1::ApiPolicy {
        name: name.to_owned(),
        per: per.into(),
        limits: Some(limits),
        groups: Vec::new(),
    }
}

pub(crate) fn application_policy(name: &str, limits: v1::Limits) -> v1::ApplicationPolicy {
    v1::ApplicationPolicy {
        name: name.to_owned(),
        per_token: false,
        limits: Some(limits),
    }
}

/// A policy that never ends.
pub(crate) fn deny_policy(n: u32, target: v1::deny_policy::Target) -> v1::DenyPolicy {
    v1::DenyPolicy {
        id: id(n),
        target: Some(target),
        ..v1::DenyPolicy::default()
    }
}

/// So many messages a minute; 0 for no limit.
pub(crate) fn limits(messages: u64) -> v1::Limits {
    v1::Limits {
        messages,
        messages_window_seconds: if messages == 0 { 0 } else { 60 },
        ..v1::Limits::from(&Limits::default())
    }
}

pub(crate) fn key_manager(name: &str, issuer: &str, keys: &[&Signer]) -> v1::KeyManager {
    v1::KeyManager {
        name: name.to_owned(),
        issuer: issuer.to_owned(),
        audiences: vec!["tidegate".to_owned()],
        jwks: keys.iter().map(|key| key.jwk.clone()).collect(),
    }
}

/// Wraps a body under its right name and version.
pub(crate) fn wire(body: Body) -> Wire {
    let name = match &body {
        Body::Api(api) => format!("apis/{}", api.id),
        Body::Plan(plan) => format!("plans/{}", plan.name),
        Body::Application(application) => format!("applications/{}", application.id),
        Body::ApplicationKey(key) => format!("applicationKeys/{}", key.client_id),
        Body::Subscription(subscription) => format!("subscriptions/{}", subscription.id),
        Body::KeyManager(manager) => format!("keyManagers/{}", manager.name),
        Body::ApplicationPolicy(policy) => format!("applicationPolicies/{}", policy.name),
        Body::ApiPolicy(policy) => format!("apiPolicies/{}", policy.name),
        Body::DenyPolicy(policy) => format!("denyPolicies/{}", policy.id),
        Body::Reservation(reservation) => format!("reservations/{}", reservation.api),
    };
    Wire::new(name, body)
}

/// A snapshot at number 1 that holds these.
pub(crate) fn snapshot(bodies: Vec<Body>) -> Snapshot {
    let resources = bodies
        .into_iter()
        .map(|body| decode::decode(wire(body)).expect("a fixture decodes"))
        .collect();
    let (snapshot, conflicted) = Snapshot::default().apply(RevisionNumber::new(1), &[], resources);
    assert_eq!(conflicted, []);
    snapshot
}

/// A key that signs tokens, with the public half that verifies them.
pub(crate) struct Signer {
    pub(crate) kid: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: EncodingKey,
    pub(crate) jwk: String,
}

impl Signer {
    /// A new P-256 key.
    pub(crate) fn new(kid: &str) -> Self {
        let pair = rcgen::KeyPair::generate().expect("a key pair is made");
        let key = EncodingKey::from_ec_der(pair.serialized_der());
        Self::with(kid, Algorithm::ES256, key)
    }

    /// A new RSA key.
    pub(crate) fn rsa(kid: &str) -> Self {
        let key = rsa::PrivateKey::new(&mut rand::rng(), 2048).expect("a key is made");
        let der = key.to_pkcs8_der().expect("a key has a DER form");
        Self::with(
            kid,
            Algorithm::RS256,
            EncodingKey::from_rsa_der(der.as_bytes()),
        )
    }

    fn with(kid: &str, algorithm: Algorithm, key: EncodingKey) -> Self {
        tidegate_kit::jwt::install();
        let mut jwk = Jwk::from_encoding_key(&key, algorithm).expect("the key has a JWK");
        jwk.common.key_id = Some(kid.to_owned());
        Self {
            kid: kid.to_owned(),
            algorithm,
            key,
            jwk: serde_json::to_string(&jwk).expect("a JWK is JSON"),
        }
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> String {
        let mut header = Header::new(self.algorithm);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.key).expect("a token is signed")
    }
}
