//! What decoding accepts and rejects, kind by kind.

use tidegate_proto::discovery::v1::{self, Resource, resource::Body};

use super::{decode, decode_name};
use crate::snapshot::fixture::{
    Signer, api, application, application_key, key_manager, limits, plan, subscription, wire,
};

fn rejection(body: Body) -> String {
    decode(wire(body)).expect_err("it is rejected").to_string()
}

fn rejected_api(change: impl FnOnce(&mut v1::Api)) -> String {
    let mut api = api(1, "/echo", "1.0", &[("/rooms/{room}", "")]);
    change(&mut api);
    rejection(Body::Api(api))
}

#[test]
fn a_bad_api_is_rejected_with_what_is_wrong_with_it() {
    type Change = fn(&mut v1::Api);
    let cases: &[(Change, &str)] = &[
        (|a| a.name.clear(), "`name` is empty"),
        (|a| a.state = 0, "`state` is 0"),
        (|a| a.state = 77, "`state` is 77"),
        (|a| a.revision = "r".to_owned(), "not a valid revision id"),
        (
            |a| a.context = "/a b".to_owned(),
            "`context` must not contain",
        ),
        (|a| a.version.clear(), "`version` must not be empty"),
        (
            |a| a.production_endpoint = "http://h".to_owned(),
            "ws:// or wss://",
        ),
        (|a| a.production_endpoint = "ws://".to_owned(), "is no URL"),
        (|a| a.production_endpoint = "h:80".to_owned(), "is no URL"),
        (
            |a| a.sandbox_endpoint = "ws://u:p@h".to_owned(),
            "user name",
        ),
        (|a| a.sandbox_endpoint = "ws://h/#f".to_owned(), "fragment"),
        (|a| a.sandbox_endpoint = "ws://h:0/".to_owned(), "port"),
        (|a| a.sandbox_endpoint = "ws://h:99999/".to_owned(), "port"),
        (
            |a| a.topics[0].template = "x".to_owned(),
            "must begin with `/`",
        ),
        (|a| a.topics.push(a.topics[0].clone()), "twice"),
        (
            |a| a.topics[0].mapping = "/{uri.var.nobody}".to_owned(),
            "no parameter",
        ),
        (
            |a| a.topics[0].mapping = "/{room}".to_owned(),
            "only `{uri.var.",
        ),
        (
            |a| a.topics[0].mapping = "/{uri.var.room".to_owned(),
            "nothing closes",
        ),
        (
            |a| a.topics[0].mapping = "/a b".to_owned(),
            "percent-encoded",
        ),
    ];
    for (change, expected) in cases {
        let message = rejected_api(change);
        assert!(
            message.contains(expected),
            "{message} should say {expected}"
        );
    }
}

#[test]
fn the_other_kinds_are_rejected_with_what_is_wrong_with_them() {
    let limited = |messages, messages_window_seconds| v1::Plan {
        limits: Some(v1::Limits {
            messages_window_seconds,
            ..limits(messages)
        }),
        ..plan("Gold", 0)
    };
    let (windowed, endless) = (limited(0, 5), limited(1, 99_999_999));
    let limitless = v1::Plan {
        limits: None,
        ..plan("Gold", 0)
    };
    let unstated = v1::Subscription {
        state: 9,
        ..subscription(1, 2, 3, "Gold")
    };
    let planless = subscription(1, 2, 3, "");
    let untyped = v1::ApplicationKey {
        key_type: 0,
        ..application_key("c", 1)
    };
    let unnamed = v1::Application {
        name: "x".repeat(300),
        ..application(1)
    };
    for (body, expected) in [
        (Body::Plan(limitless), "`limits` is empty"),
        (Body::Plan(windowed), "no limit that it belongs to"),
        (Body::Plan(endless), "out of range"),
        (Body::Subscription(unstated), "`state` is 9"),
        (Body::Subscription(planless), "`plan` is empty"),
        (Body::ApplicationKey(untyped), "`key_type` is 0"),
        (Body::Application(unnamed), "the most is 256"),
    ] {
        let message = rejection(body);
        assert!(
            message.contains(expected),
            "{message} should say {expected}"
        );
    }
}

#[test]
fn a_key_that_could_sign_or_cannot_verify_is_rejected() {
    let signer = Signer::new("k");
    let good: serde_json::Value = serde_json::from_str(&signer.jwk).unwrap();
    let with = |key: &str, value: serde_json::Value| {
        let mut jwk = good.clone();
        jwk[key] = value;
        jwk.to_string()
    };
    for (jwk, expected) in [
        ("{".to_owned(), "no JWK"),
        (with("kid", "".into()), "no `kid`"),
        (with("d", "AAAA".into()), "private"),
        (with("use", "enc".into()), "not for signatures"),
        (with("alg", "ES384".into()), "neither P-256"),
        (with("crv", "P-384".into()), "neither P-256"),
        (with("x", "AAAA".into()), "wrong length"),
        (
            r#"{"kty":"oct","kid":"k","k":"c2VjcmV0"}"#.to_owned(),
            "private",
        ),
        (
            r#"{"kty":"RSA","kid":"k","n":"AQAB","e":"AQAB"}"#.to_owned(),
            "wrong length",
        ),
    ] {
        let mut manager = key_manager("resident", "https://i", &[]);
        manager.jwks.push(jwk);
        let message = rejection(Body::KeyManager(manager));
        assert!(
            message.contains(expected),
            "{message} should say {expected}"
        );
    }
    let twice = key_manager("resident", "https://i", &[&signer, &signer]);
    assert!(rejection(Body::KeyManager(twice)).contains("of another key"));
}

#[test]
fn a_name_that_is_not_its_bodys_and_a_wrong_hash_are_rejected() {
    let body = || Body::Plan(plan("Gold", 1));
    let misnamed = Resource::new("plans/Silver".to_owned(), body());
    assert!(
        decode(misnamed)
            .unwrap_err()
            .to_string()
            .contains("plans/Gold")
    );
    let mut altered = wire(body());
    altered.version ^= 1;
    assert!(
        decode(altered)
            .unwrap_err()
            .to_string()
            .contains("hashes to")
    );
    let empty = Resource {
        body: None,
        ..wire(body())
    };
    let empty = Resource {
        version: empty.content_version().get(),
        ..empty
    };
    assert!(decode(empty).unwrap_err().to_string().contains("older"));
}

#[test]
fn every_kind_of_name_reads_back() {
    let signer = Signer::new("k");
    for body in [
        Body::Api(api(1, "/echo", "1.0", &[])),
        Body::Plan(plan("Go/ld", 1)),
        Body::Application(application(2)),
        Body::ApplicationKey(application_key("client", 2)),
        Body::Subscription(subscription(3, 2, 1, "Gold")),
        Body::KeyManager(key_manager("resident", "https://i", &[&signer])),
    ] {
        let resource = decode(wire(body)).unwrap();
        assert_eq!(decode_name(&resource.name.to_string()), Some(resource.name));
    }
    for unknown in ["", "plans", "apis/x", "routes/1"] {
        assert_eq!(decode_name(unknown), None, "{unknown}");
    }
}
