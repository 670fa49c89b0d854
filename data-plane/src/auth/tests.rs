//! Who is let in, and why each of the others is not.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, header::AUTHORIZATION};
use serde_json::{Value, json};
use tidegate_proto::{
    claims::KeyType,
    discovery::v1::{self, resource::Body},
    reason::Reason,
};

use super::{Authenticator, Principal, credential::Places, reauthorize};
use crate::{
    route::route,
    snapshot::{
        Snapshot,
        fixture::{
            Signer, api, application, application_key, key_manager, plan, snapshot, subscription,
        },
        model::EndpointKind,
    },
};

const NOW: u64 = 1_000_000;
const ISSUER: &str = "https://issuer";

/// One API, one application with a production key, a Gold subscription, one issuer; a test changes what it is about.
struct World {
    signer: Signer,
    bodies: Vec<Body>,
    authenticator: Authenticator,
}

impl World {
    fn new() -> Self {
        let signer = Signer::new("k1");
        Self {
            bodies: vec![
                Body::Api(api(1, "/echo", "1.0", &[("/*", "")])),
                Body::Api(api(2, "/other", "1.0", &[("/*", "")])),
                Body::Application(application(1)),
                Body::ApplicationKey(application_key("client", 1)),
                Body::Subscription(subscription(1, 1, 1, "Gold")),
                Body::Plan(plan("Gold", 50_000)),
                Body::KeyManager(key_manager("resident", ISSUER, &[&signer])),
            ],
            signer,
            authenticator: Authenticator::new(64, Duration::ZERO),
        }
    }

    fn change(&mut self, change: impl FnMut(&mut Body)) {
        self.bodies.iter_mut().for_each(change);
    }

    fn remove(&mut self, kind: fn(&Body) -> bool) {
        self.bodies.retain(|body| !kind(body));
    }

    /// Makes the application's key one for sandbox endpoints.
    fn sandbox_key(&mut self) {
        self.change(|body| {
            if let Body::ApplicationKey(key) = body {
                key.key_type = v1::KeyType::Sandbox.into();
            }
        });
    }

    /// Changes the APIs.
    fn api(&mut self, change: impl Fn(&mut v1::Api)) {
        self.change(|body| {
            if let Body::Api(api) = body {
                change(api);
            }
        });
    }

    fn subscription(&mut self, state: v1::SubscriptionState) {
        self.change(|body| {
            if let Body::Subscription(subscription) = body {
                subscription.state = state.into();
            }
        });
    }

    fn snapshot(&self) -> Snapshot {
        snapshot(self.bodies.clone())
    }

    fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = claims();
        change(&mut claims);
        self.signer.sign(&claims)
    }

    fn ask(&self, path: &str, token: &str) -> Result<Principal, Reason> {
        self.ask_at(NOW, path, token)
    }

    fn ask_at(&self, now: u64, path: &str, token: &str) -> Result<Principal, Reason> {
        let snapshot = self.snapshot();
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        let matched = route(&snapshot, path).expect("the path leads to an API");
        let places = Places {
            headers: &headers,
            carried: None,
            query: None,
        };
        self.authenticator
            .authenticate(&snapshot, &matched, places, now)
    }
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "client", "aud": ["tidegate"], "exp": NOW + 60, "iat": NOW,
        "jti": "id-1", "client_id": "client", "scope": "read write",
    })
}

#[test]
fn a_subscribed_application_is_let_in_under_its_plan() {
    let world = World::new();
    let token = world.token(|_| {});
    for _ in 0..2 {
        let principal = world.ask("/echo/1.0", &token).unwrap();
        assert_eq!(principal.application.name.as_ref(), "application-1");
        assert_eq!(principal.plan.name.as_ref(), "Gold");
        assert_eq!(principal.key_type, KeyType::Production);
        assert_eq!(principal.token.id.as_deref(), Some("id-1"));
        assert_eq!(
            principal.token.scopes,
            ["read", "write"].map(Box::<str>::from)
        );
        assert_eq!(principal.token.expires_at, NOW + 60);
    }
    assert_eq!(world.authenticator.remembered(), 1);
}

#[test]
fn the_user_is_the_tokens_subject_or_else_the_applications_owner() {
    let world = World::new();
    for (sub, user) in [
        (Some("alice"), "alice"),
        (Some("client"), "somebody"),
        (Some(""), "somebody"),
        (None, "somebody"),
    ] {
        let token = world.token(|claims| match sub {
            Some(sub) => claims["sub"] = sub.into(),
            None => drop(claims.as_object_mut().unwrap().remove("sub")),
        });
        let principal = world.ask("/echo/1.0", &token).unwrap();
        assert_eq!(&**principal.user(), user, "{sub:?}");
    }
}

#[test]
fn a_token_is_counted_by_its_id_and_without_one_by_itself() {
    let world = World::new();
    let counted_by = |change: fn(&mut Value)| {
        let principal = world.ask("/echo/1.0", &world.token(change)).unwrap();
        principal.token.fingerprint
    };
    let renewed: fn(&mut Value) = |claims| claims["exp"] = (NOW + 90).into();
    let nameless: fn(&mut Value) = |claims| drop(claims.as_object_mut().unwrap().remove("jti"));
    let one = counted_by(|_| {});
    assert_eq!(counted_by(renewed), one);
    assert_ne!(counted_by(|claims| claims["jti"] = "id-2".into()), one);
    assert_ne!(counted_by(nameless), one);
}

#[test]
fn an_open_session_keeps_its_plan_where_the_new_one_is_not_held() {
    let mut world = World::new();
    let token = world.token(|_| {});
    let principal = world.ask("/echo/1.0", &token).unwrap();
    world.remove(|body| matches!(body, Body::Plan(_)));
    let api = principal.subscription.api;
    let snapshot = world.snapshot();
    let (_, judged) = reauthorize(&snapshot, api, &principal).unwrap();
    assert_eq!(judged.plan, principal.plan);
    assert_eq!(world.ask("/echo/1.0", &token), Err(Reason::GatewayFault));
}

#[test]
fn claims_that_do_not_hold_are_refused_each_for_its_own_reason() {
    type Change = fn(&mut Value);
    let cases: &[(Change, Reason)] = &[
        (|c| c["exp"] = (NOW - 1).into(), Reason::CredentialExpired),
        (|c| c["exp"] = NOW.into(), Reason::CredentialExpired),
        (
            |c| c["nbf"] = (NOW + 1).into(),
            Reason::CredentialNotYetValid,
        ),
        (|c| c["iss"] = "https://other".into(), Reason::IssuerUnknown),
        (|c| c["aud"] = "other".into(), Reason::AudienceMismatch),
        (
            |c| c["client_id"] = "who".into(),
            Reason::ApplicationUnknown,
        ),
        (|c| c["exp"] = "soon".into(), Reason::CredentialInvalid),
        (
            |c| drop(c.as_object_mut().unwrap().remove("exp")),
            Reason::CredentialInvalid,
        ),
        (
            |c| drop(c.as_object_mut().unwrap().remove("iss")),
            Reason::CredentialInvalid,
        ),
        (
            |c| drop(c.as_object_mut().unwrap().remove("client_id")),
            Reason::CredentialInvalid,
        ),
    ];
    let world = World::new();
    for (change, reason) in cases {
        let token = world.token(change);
        assert_eq!(world.ask("/echo/1.0", &token).err(), Some(*reason));
        assert_eq!(world.ask("/echo/1.0", &token).err(), Some(*reason), "again");
    }
}

#[test]
fn a_remembered_token_expires_and_clocks_may_be_a_little_apart() {
    let mut world = World::new();
    let token = world.token(|c| c["nbf"] = NOW.into());
    assert!(world.ask_at(NOW + 59, "/echo/1.0", &token).is_ok());
    assert_eq!(
        world.ask_at(NOW + 60, "/echo/1.0", &token),
        Err(Reason::CredentialExpired)
    );
    world.authenticator = Authenticator::new(64, Duration::from_secs(5));
    assert!(world.ask_at(NOW - 5, "/echo/1.0", &token).is_ok());
    assert!(world.ask_at(NOW + 64, "/echo/1.0", &token).is_ok());
    assert_eq!(
        world.ask_at(NOW - 6, "/echo/1.0", &token),
        Err(Reason::CredentialNotYetValid)
    );
}

#[test]
fn a_token_for_another_api_is_refused() {
    let world = World::new();
    let token = world.token(|_| {});
    assert!(world.ask("/echo/1.0", &token).is_ok());
    assert_eq!(
        world.ask("/other/1.0", &token),
        Err(Reason::SubscriptionMissing)
    );
}

#[test]
fn entitlement_is_judged_anew_for_a_remembered_token() {
    let mut world = World::new();
    let token = world.token(|_| {});
    assert!(world.ask("/echo/1.0", &token).is_ok());
    let block = |world: &mut World, state: v1::SubscriptionState| {
        world.change(|body| {
            if let Body::Subscription(subscription) = body {
                subscription.state = state.into();
            }
        });
    };
    block(&mut world, v1::SubscriptionState::Blocked);
    assert_eq!(
        world.ask("/echo/1.0", &token),
        Err(Reason::SubscriptionBlocked)
    );
    block(&mut world, v1::SubscriptionState::ProductionBlocked);
    assert_eq!(
        world.ask("/echo/1.0", &token),
        Err(Reason::SubscriptionBlocked)
    );
    world.change(|body| {
        if let Body::ApplicationKey(key) = body {
            key.key_type = v1::KeyType::Sandbox.into();
        }
    });
    assert!(world.ask("/echo/1.0", &token).is_ok());
    world.change(|body| {
        if let Body::Api(api) = body {
            api.sandbox_endpoint.clear();
        }
    });
    assert_eq!(world.ask("/echo/1.0", &token), Err(Reason::EndpointMissing));
    world.remove(|body| matches!(body, Body::Plan(_)));
    assert_eq!(world.ask("/echo/1.0", &token), Err(Reason::GatewayFault));
    world.remove(|body| matches!(body, Body::Application(_)));
    assert_eq!(
        world.ask("/echo/1.0", &token),
        Err(Reason::ApplicationUnknown)
    );
}

#[test]
fn a_key_is_refused_where_the_api_has_no_endpoint_of_its_type() {
    let mut world = World::new();
    let token = world.token(|_| {});
    world.api(|api| api.production_endpoint.clear());
    assert_eq!(world.ask("/echo/1.0", &token), Err(Reason::EndpointMissing));
    world.sandbox_key();
    world.api(|api| {
        // As control planes before this setting said it, and caches that hold what they said.
        api.production_endpoint = "ws://backend:8080".to_owned();
        api.sandbox_endpoint = "ws://backend:8080".to_owned();
    });
    assert_eq!(world.ask("/echo/1.0", &token), Err(Reason::EndpointMissing));
}

#[test]
fn a_sandbox_key_uses_the_production_endpoint_where_the_api_says_so_and_has_no_other() {
    let mut world = World::new();
    let token = world.token(|_| {});
    world.sandbox_key();
    let endpoint = |world: &World| world.ask("/echo/1.0", &token).map(|it| it.endpoint);
    assert_eq!(endpoint(&world), Ok(EndpointKind::Sandbox));
    world.api(|api| api.sandbox_keys_on_production_endpoint = true);
    assert_eq!(endpoint(&world), Ok(EndpointKind::Sandbox));
    world.api(|api| api.sandbox_endpoint.clear());
    assert_eq!(endpoint(&world), Ok(EndpointKind::Production));
    world.api(|api| api.sandbox_endpoint.clone_from(&api.production_endpoint));
    assert_eq!(endpoint(&world), Ok(EndpointKind::Production));
    world.subscription(v1::SubscriptionState::ProductionBlocked);
    assert_eq!(endpoint(&world), Err(Reason::SubscriptionBlocked));
    world.subscription(v1::SubscriptionState::Active);
    world.api(|api| api.production_endpoint.clear());
    world.api(|api| api.sandbox_endpoint.clear());
    assert_eq!(endpoint(&world), Err(Reason::EndpointMissing));
}

#[test]
fn an_open_session_ends_when_its_key_may_no_longer_use_the_endpoint_that_it_is_connected_to() {
    let mut world = World::new();
    let token = world.token(|_| {});
    world.sandbox_key();
    world.api(|api| {
        api.sandbox_keys_on_production_endpoint = true;
        api.sandbox_endpoint.clear();
    });
    let on_production = world.ask("/echo/1.0", &token).unwrap();
    let again = |world: &World, principal: &Principal| {
        reauthorize(&world.snapshot(), principal.subscription.api, principal)
            .map(|(_, it)| it.endpoint)
    };
    assert_eq!(again(&world, &on_production), Ok(EndpointKind::Production));
    // A sandbox endpoint that is added is for new sessions; this one stays while the API allows it.
    world.api(|api| api.sandbox_endpoint = "ws://sandbox:8080".to_owned());
    assert_eq!(again(&world, &on_production), Ok(EndpointKind::Production));
    world.subscription(v1::SubscriptionState::ProductionBlocked);
    assert_eq!(
        again(&world, &on_production),
        Err(Reason::SubscriptionBlocked)
    );
    let on_sandbox = world.ask("/echo/1.0", &token).unwrap();
    assert_eq!(again(&world, &on_sandbox), Ok(EndpointKind::Sandbox));
    world.subscription(v1::SubscriptionState::Active);
    world.api(|api| api.sandbox_keys_on_production_endpoint = false);
    assert_eq!(again(&world, &on_production), Err(Reason::EndpointMissing));
    assert_eq!(again(&world, &on_sandbox), Ok(EndpointKind::Sandbox));
    world.api(|api| api.sandbox_endpoint.clear());
    assert_eq!(again(&world, &on_sandbox), Err(Reason::EndpointMissing));
}

#[test]
fn a_client_id_leads_to_an_application_only_for_tokens_of_the_key_manager_that_gave_it() {
    let mut world = World::new();
    let foreign = Signer::new("k1");
    let manager = key_manager("foreign", "https://foreign", &[&foreign]);
    world.bodies.push(Body::KeyManager(manager));
    let mut claims = claims();
    claims["iss"] = "https://foreign".into();
    let token = foreign.sign(&claims);
    assert_eq!(
        world.ask("/echo/1.0", &token),
        Err(Reason::ApplicationUnknown)
    );
    let own = world.token(|_| {});
    let principal = world.ask("/echo/1.0", &own).unwrap();
    world.change(|body| {
        if let Body::ApplicationKey(key) = body {
            key.key_manager = "foreign".to_owned();
        }
    });
    assert!(world.ask("/echo/1.0", &token).is_ok());
    // An open session whose key is another key manager's now, as unlikely as that is, has nobody behind it.
    let snapshot = world.snapshot();
    let api = principal.subscription.api;
    assert_eq!(
        reauthorize(&snapshot, api, &principal),
        Err(Reason::ApplicationUnknown)
    );
}

#[test]
fn a_token_whose_key_was_taken_away_does_not_pass_from_memory() {
    let mut world = World::new();
    let token = world.token(|_| {});
    assert!(world.ask("/echo/1.0", &token).is_ok());
    let (next, impostor) = (Signer::new("k2"), Signer::new("k1"));
    for keys in [&[&next][..], &[&impostor, &next], &[]] {
        world.change(|body| {
            if let Body::KeyManager(manager) = body {
                *manager = key_manager("resident", ISSUER, keys);
            }
        });
        assert_eq!(
            world.ask("/echo/1.0", &token),
            Err(Reason::CredentialInvalid)
        );
    }
    world.remove(|body| matches!(body, Body::KeyManager(_)));
    assert_eq!(world.ask("/echo/1.0", &token), Err(Reason::IssuerUnknown));
    assert_eq!(world.authenticator.remembered(), 0);
}

#[test]
fn forged_tokens_are_refused() {
    let world = World::new();
    let good = world.token(|_| {});
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let other_claims = encode(&{
        let mut claims = claims();
        claims["exp"] = (NOW + 9999).into();
        claims
    });
    let with_header = |value: Value| format!("{}.{payload}.{signature}", encode(&value));
    let hmac = {
        // The public key as an HMAC secret, with a kid that leads to it.
        use sha2::{Digest as _, Sha256};
        let head = encode(&json!({"alg": "HS256", "typ": "JWT", "kid": "k1"}));
        let mac = Sha256::digest(format!("{}{head}.{payload}", world.signer.jwk));
        format!("{head}.{payload}.{}", URL_SAFE_NO_PAD.encode(mac))
    };
    for forged in [
        format!("{header}.{other_claims}.{signature}"),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        format!("{good}.x"),
        "x".to_owned(),
        "..".to_owned(),
        "x".repeat(20_000),
        with_header(json!({"alg": "none", "typ": "JWT", "kid": "k1"})),
        with_header(json!({"alg": "none", "typ": "JWT"})),
        with_header(json!({"alg": "RS256", "typ": "JWT", "kid": "k1"})),
        with_header(json!({"alg": "ES256", "typ": "JWT"})),
        with_header(json!({"alg": "ES256", "typ": "JWT", "kid": "k9"})),
        format!(
            "{}.{payload}.",
            encode(&json!({"alg": "none", "typ": "JWT", "kid": "k1"}))
        ),
        hmac,
        Signer::new("k1").sign(&claims()),
    ] {
        assert_eq!(
            world.ask("/echo/1.0", &forged),
            Err(Reason::CredentialInvalid),
            "{forged}"
        );
    }
    assert_eq!(world.authenticator.remembered(), 0);
}

#[test]
fn a_key_verifies_with_its_own_algorithm_only() {
    let mut world = World::new();
    let (p256, rsa) = (Signer::new("ec"), Signer::rsa("rsa"));
    world.change(|body| {
        if let Body::KeyManager(manager) = body {
            *manager = key_manager("resident", ISSUER, &[&p256, &rsa]);
        }
    });
    for signer in [&p256, &rsa] {
        assert!(world.ask("/echo/1.0", &signer.sign(&claims())).is_ok());
    }
    // Each signs under the other's name.
    for (signer, kid) in [(&p256, "rsa"), (&rsa, "ec")] {
        let mut header = jsonwebtoken::Header::new(signer.algorithm);
        header.kid = Some(kid.to_owned());
        let token = jsonwebtoken::encode(&header, &claims(), &signer.key).unwrap();
        assert_eq!(
            world.ask("/echo/1.0", &token),
            Err(Reason::CredentialInvalid)
        );
    }
}

#[test]
fn headers_that_mean_another_kind_of_token_are_refused() {
    let world = World::new();
    let sign = |typ: Option<&str>, crit: Option<Vec<String>>| {
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
        header.kid = Some("k1".to_owned());
        header.typ = typ.map(str::to_owned);
        header.crit = crit;
        jsonwebtoken::encode(&header, &claims(), &world.signer.key).unwrap()
    };
    for typ in [
        None,
        Some("JWT"),
        Some("at+jwt"),
        Some("application/at+JWT"),
    ] {
        assert!(world.ask("/echo/1.0", &sign(typ, None)).is_ok(), "{typ:?}");
    }
    for token in [
        sign(Some("logout+jwt"), None),
        sign(Some("JWT"), Some(vec!["exp".to_owned()])),
    ] {
        assert_eq!(
            world.ask("/echo/1.0", &token),
            Err(Reason::CredentialInvalid)
        );
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut world = World::new();
    world.authenticator = Authenticator::new(128, Duration::ZERO);
    for n in 0..300 {
        let token = world.token(|c| c["jti"] = n.into());
        // A number is no token id: the text must be.
        assert_eq!(
            world.ask("/echo/1.0", &token).err(),
            Some(Reason::CredentialInvalid)
        );
        let token = world.token(|c| c["jti"] = format!("{n}").into());
        assert!(world.ask("/echo/1.0", &token).is_ok());
    }
    let remembered = world.authenticator.remembered();
    assert!((1..=128).contains(&remembered), "{remembered}");
}

#[test]
fn an_open_session_whose_key_went_to_another_application_ends() {
    let mut world = World::new();
    let principal = world.ask("/echo/1.0", &world.token(|_| {})).unwrap();
    let api = principal.subscription.api;
    world.bodies.extend([
        Body::Application(application(2)),
        Body::Subscription(subscription(2, 2, 1, "Gold")),
    ]);
    world.change(|body| {
        if let Body::ApplicationKey(key) = body {
            key.application = application(2).id;
        }
    });
    let of_now = world.ask("/echo/1.0", &world.token(|_| {})).unwrap();
    assert_ne!(of_now.application.id, principal.application.id);
    // Its place in the registry is by the application that it was admitted with.
    assert_eq!(
        reauthorize(&world.snapshot(), api, &principal),
        Err(Reason::ApplicationUnknown)
    );
}

#[test]
fn an_open_session_is_judged_again_by_what_became_of_its_rights() {
    let mut world = World::new();
    let principal = world.ask("/echo/1.0", &world.token(|_| {})).unwrap();
    let api = principal.subscription.api;
    let again = |world: &World| reauthorize(&world.snapshot(), api, &principal).map(|_| ());
    assert_eq!(again(&world), Ok(()));
    world.change(|body| {
        if let Body::Api(api) = body {
            api.state = v1::ApiState::Blocked.into();
        }
    });
    assert_eq!(again(&world), Err(Reason::ApiBlocked));
    world.remove(|body| matches!(body, Body::Api(_)));
    assert_eq!(again(&world), Err(Reason::ApiWithdrawn));
}
