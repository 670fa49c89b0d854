//! Who counts under what, and together with whom.

use std::sync::Arc;

use http::HeaderMap;
use tidegate_proto::{
    claims::KeyType,
    discovery::v1::{self, condition::Subject, resource::Body},
};

use super::{Level, MissingPolicy, Rule, resolve};
use crate::{
    auth::attributes::Attributes,
    auth::{Principal, Token},
    session::registry::tests::world,
    snapshot::fixture::{api_policy, application_policy, id, limits, snapshot},
};

/// What a handshake brings.
#[derive(Clone)]
struct Caller {
    address: &'static str,
    tier: &'static str,
    fingerprint: u128,
    user: &'static str,
}

const CALLER: Caller = Caller {
    address: "192.0.2.7",
    tier: "gold",
    fingerprint: 7,
    user: "alice",
};

fn rules(change: impl FnMut(&mut Body), caller: &Caller) -> Result<Vec<Rule>, MissingPolicy> {
    let (mut bodies, principal, _) = world(1000);
    bodies.iter_mut().for_each(change);
    bodies.push(Body::ApiPolicy(per_user()));
    bodies.push(Body::ApiPolicy(api_policy(
        "everybody",
        v1::Per::Api,
        limits(5),
    )));
    bodies.push(Body::ApiPolicy(api_policy(
        "address",
        v1::Per::Address,
        limits(6),
    )));
    bodies.push(Body::ApplicationPolicy(application_policy(
        "together",
        limits(7),
    )));
    bodies.push(Body::ApplicationPolicy(v1::ApplicationPolicy {
        per_token: true,
        ..application_policy("each", limits(8))
    }));
    let snapshot = snapshot(bodies);
    let (api, application) = (id(1).parse().unwrap(), id(1).parse().unwrap());
    let principal = Principal {
        application: snapshot.application(application).unwrap().clone(),
        subscription: snapshot.subscription(application, api).unwrap().clone(),
        plan: snapshot.plan("Gold").unwrap().clone(),
        key_type: KeyType::Production,
        endpoint: principal.endpoint,
        token: Arc::new(Token {
            fingerprint: caller.fingerprint,
            subject: Some(caller.user.into()),
            ..Token::clone(&principal.token)
        }),
    };
    let mut headers = HeaderMap::new();
    headers.insert("x-tier", caller.tier.parse().unwrap());
    let attributes = Attributes::take(&snapshot, caller.address.parse().unwrap(), &headers, None);
    let api = snapshot.api(api).unwrap();
    resolve(
        &snapshot,
        (api, api.topics.first()),
        &principal,
        &attributes,
    )
}

/// Two messages for gold callers, three for callers from a range, four for everybody else.
fn per_user() -> v1::ApiPolicy {
    let group = |subject, messages| v1::Group {
        conditions: vec![v1::Condition {
            subject: Some(subject),
            invert: false,
        }],
        limits: Some(limits(messages)),
    };
    let gold = v1::Match {
        name: "X-Tier".to_owned(),
        value: "gold".to_owned(),
    };
    v1::ApiPolicy {
        groups: vec![
            group(Subject::Header(gold), 2),
            group(Subject::Address("192.0.2.0/24".to_owned()), 3),
        ],
        ..api_policy("user", v1::Per::User, limits(4))
    }
}

/// Everything is limited: the API per user, the topic for everybody, the plan, and the application per token.
fn everything(body: &mut Body) {
    match body {
        Body::Api(api) => {
            api.policy = "user".to_owned();
            api.topics[0].policy = "everybody".to_owned();
        }
        Body::Plan(plan) => plan.limits = Some(limits(1)),
        Body::Application(application) => application.policy = "each".to_owned(),
        _ => {}
    }
}

fn messages(rule: &Rule) -> u64 {
    rule.limits.messages.unwrap().amount.get()
}

#[test]
fn levels_come_in_their_order_and_those_without_a_limit_not_at_all() {
    let all = rules(everything, &CALLER).unwrap();
    let seen: Vec<_> = all
        .iter()
        .map(|rule| (rule.level, messages(rule)))
        .collect();
    assert_eq!(
        seen,
        [
            (Level::Api, 2),
            (Level::Topic, 5),
            (Level::Subscription, 1),
            (Level::Application, 8)
        ]
    );
    assert_eq!(rules(|_| {}, &CALLER), Ok(Vec::new()));
}

#[test]
fn the_first_group_whose_conditions_hold_is_the_one() {
    let of = |tier, address| {
        let caller = Caller {
            tier,
            address,
            ..CALLER
        };
        messages(&rules(everything, &caller).unwrap()[0])
    };
    assert_eq!(of("gold", "192.0.2.7"), 2);
    assert_eq!(of("gold", "198.51.100.1"), 2);
    assert_eq!(of("none", "192.0.2.7"), 3);
    assert_eq!(of("none", "198.51.100.1"), 4);
}

#[test]
fn who_counts_together_is_what_the_policy_says() {
    let subjects = |change: fn(&mut Body), caller: Caller| -> Vec<_> {
        let rules = rules(change, &caller).unwrap();
        rules.into_iter().map(|rule| rule.subject).collect()
    };
    let one = subjects(everything, CALLER);
    let bob = subjects(
        everything,
        Caller {
            user: "bob",
            ..CALLER
        },
    );
    let renewed = subjects(
        everything,
        Caller {
            fingerprint: 8,
            ..CALLER
        },
    );
    let differ =
        |other: &[Arc<str>]| -> Vec<_> { one.iter().zip(other).map(|(a, b)| a != b).collect() };
    assert_eq!(differ(&bob), [true, false, false, false]);
    assert_eq!(differ(&renewed), [false, false, false, true]);

    let by_address = |body: &mut Body| {
        if let Body::Api(api) = body {
            api.policy = "address".to_owned();
        }
    };
    let at = |address| subjects(by_address, Caller { address, ..CALLER });
    assert_ne!(at("192.0.2.7"), at("192.0.2.8"));
    assert_eq!(at("2001:db8::1"), at("2001:db8::2"));
    assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
}

#[test]
fn a_reset_begins_a_new_count_and_a_new_limit_does_not() {
    let subjects = |change: &dyn Fn(&mut Body)| -> Vec<_> {
        let rules = rules(
            |body| {
                everything(body);
                change(body);
            },
            &CALLER,
        );
        rules
            .unwrap()
            .into_iter()
            .map(|rule| rule.subject)
            .collect()
    };
    let before = subjects(&|_| {});
    let reset = subjects(&|body| match body {
        Body::Api(api) => api.quota_generation = 1,
        Body::Application(application) => application.quota_generation = 1,
        Body::Subscription(subscription) => subscription.quota_generation = 1,
        _ => {}
    });
    assert!(before.iter().zip(&reset).all(|(a, b)| a != b));
    let raised = subjects(&|body| {
        if let Body::Plan(plan) = body {
            plan.limits = Some(limits(100));
        }
    });
    assert_eq!(before, raised);
}

#[test]
fn a_subscription_that_is_made_anew_under_whichever_plan_counts_on_where_the_last_one_was() {
    let plan = |of: fn(&mut v1::Subscription)| -> Arc<str> {
        let rules = rules(
            |body| {
                everything(body);
                if let Body::Subscription(subscription) = body {
                    of(subscription);
                }
            },
            &CALLER,
        );
        let rules = rules.unwrap().into_iter();
        let mut plans = rules.filter(|rule| rule.level == Level::Subscription);
        plans.next().unwrap().subject
    };
    let before = plan(|_| {});
    assert_eq!(plan(|subscription| subscription.id = id(77)), before);
    let (key, generation) = super::read_subscription(&before).unwrap();
    assert_eq!((key.application.to_string(), generation), (id(1), 0));
    assert_eq!(key.api.to_string(), id(1));
    assert_eq!(super::write_subscription(key, 0), before);
}

#[test]
fn subjects_are_short_and_plain_whatever_strangers_are_called() {
    let caller = Caller {
        user: "a {very} strange:name\r\n with everything, and long, and long, and long, and long, and long",
        ..CALLER
    };
    for rule in rules(everything, &caller).unwrap() {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        assert!(rule.subject.chars().all(plain), "{}", rule.subject);
        assert!(rule.subject.len() <= 160, "{}", rule.subject);
    }
}

#[test]
fn a_policy_that_is_not_held_is_not_taken_for_no_limit() {
    let named = |change: fn(&mut Body)| rules(change, &CALLER).unwrap_err().to_string();
    let api = named(|body| {
        if let Body::Api(api) = body {
            api.policy = "gone".to_owned();
        }
    });
    assert_eq!(
        api,
        format!("the API policy `gone` of `apis/{}` is not held", id(1))
    );
    let topic = named(|body| {
        if let Body::Api(api) = body {
            api.topics[0].policy = "gone".to_owned();
        }
    });
    assert!(topic.contains("the topic `/*`"), "{topic}");
    let application = named(|body| {
        if let Body::Application(application) = body {
            application.policy = "user".to_owned();
        }
    });
    assert!(
        application.contains("the application policy `user`"),
        "{application}"
    );
}
