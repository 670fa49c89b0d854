//! What decoding accepts and rejects, kind by kind.

use tidegate_proto::discovery::v1::{
    self, Resource, condition::Subject, deny_policy::Target, resource::Body,
};

use super::{decode, decode_name};
use crate::snapshot::fixture::{
    Signer, api, api_policy, application, application_key, application_policy, deny_policy, id,
    key_manager, limits, plan, subscription, wire,
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
    let unmanaged = v1::ApplicationKey {
        key_manager: String::new(),
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
        (Body::ApplicationKey(unmanaged), "`key_manager` is empty"),
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
fn a_bad_policy_is_rejected_with_what_is_wrong_and_where() {
    let group = |subject| v1::Group {
        conditions: vec![v1::Condition {
            subject,
            invert: false,
        }],
        limits: Some(limits(1)),
    };
    let with = |group: v1::Group| v1::ApiPolicy {
        groups: vec![group],
        ..api_policy("p", v1::Per::Api, limits(1))
    };
    let sought = |name: &str, value: &str| v1::Match {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let condition = |subject| Body::ApiPolicy(with(group(Some(subject))));
    let address = |text: &str| Subject::Address(text.to_owned());
    let unlimited = v1::Group {
        limits: None,
        ..group(Some(address("::1")))
    };
    let endless = v1::Group {
        limits: Some(v1::Limits {
            messages_window_seconds: 99_999_999,
            ..limits(1)
        }),
        ..group(Some(address("::1")))
    };
    let bare = v1::Group {
        conditions: Vec::new(),
        ..group(None)
    };
    let per = v1::ApiPolicy {
        per: 9,
        ..api_policy("p", v1::Per::Api, limits(1))
    };
    let limitless = v1::ApplicationPolicy {
        limits: None,
        ..application_policy("p", limits(1))
    };
    for (body, expected) in [
        (Body::ApplicationPolicy(limitless), "`limits` is empty"),
        (Body::ApiPolicy(per), "`per` is 9"),
        (Body::ApiPolicy(with(bare)), "group 0 has no conditions"),
        (Body::ApiPolicy(with(unlimited)), "group 0 has no limits"),
        (Body::ApiPolicy(with(endless)), "group 0: limits:"),
        (
            Body::ApiPolicy(with(group(None))),
            "group 0, condition 0: looks at nothing",
        ),
        (condition(address("192.0.2.0/33")), "`192.0.2.0/33`"),
        (condition(address("localhost")), "neither an IP address"),
        (
            condition(Subject::Header(sought("a b", ""))),
            "no name of a header",
        ),
        (
            condition(Subject::Query(sought("", ""))),
            "between 1 and 256",
        ),
        (
            condition(Subject::Claim(sought("c", &"x".repeat(257)))),
            "at most 256",
        ),
    ] {
        let message = rejection(body);
        assert!(
            message.contains(expected),
            "{message} should say {expected}"
        );
    }
}

#[test]
fn a_deny_policy_about_nobody_is_rejected() {
    let nobody = v1::DenyPolicy {
        target: None,
        ..deny_policy(1, Target::Api(id(1)))
    };
    let inverted = v1::DenyPolicy {
        invert: true,
        ..deny_policy(1, Target::Api(id(1)))
    };
    let deny = |target| Body::DenyPolicy(deny_policy(1, target));
    for (body, expected) in [
        (Body::DenyPolicy(nobody), "names nobody"),
        (Body::DenyPolicy(inverted), "only addresses"),
        (deny(Target::User(String::new())), "`user` is empty"),
        (deny(Target::Application("x".to_owned())), "must be a UUID"),
        (deny(Target::Address("10.0.0".to_owned())), "`10.0.0`"),
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
        Body::ApplicationPolicy(application_policy("10/min", limits(10))),
        Body::ApiPolicy(api_policy("10/min", v1::Per::User, limits(10))),
        Body::DenyPolicy(deny_policy(4, Target::Address("::1".to_owned()))),
    ] {
        let resource = decode(wire(body)).unwrap();
        assert_eq!(decode_name(&resource.name.to_string()), Some(resource.name));
    }
    for unknown in ["", "plans", "apis/x", "routes/1"] {
        assert_eq!(decode_name(unknown), None, "{unknown}");
    }
}
