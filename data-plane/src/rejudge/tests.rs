//! When sessions are looked at again, and which.

use std::{collections::HashSet, time::Duration};

use proptest::{
    prelude::{any, prop, prop_assert_eq, proptest},
    test_runner::{Config, RngSeed},
};
use tidegate_kit::{clock::Clock, tasks::Tasks};
use tidegate_proto::{
    discovery::v1::{self, deny_policy::Target, resource::Body},
    reason::Reason,
    revision::RevisionNumber,
};

use super::{expire, touched};
use crate::{
    admit::{judge::judge, permit::Permit},
    auth::{Principal, Token, reauthorize},
    quota::{limiter::Limiter, meter::Limited},
    session::{
        PendingSession, Session,
        registry::{
            Registry,
            tests::{pending, session, world},
        },
    },
    snapshot::{
        Edition, Snapshot,
        changes::Changes,
        decode::decode,
        fixture::{
            Signer, api, api_policy, application, application_key, application_policy, deny_policy,
            id, key_manager, limits, plan, subscription, wire,
        },
    },
};

#[tokio::test(start_paused = true)]
async fn a_session_is_ended_in_the_second_in_which_its_credential_expires() {
    let (clock, registry, tasks) = (Clock::manual(100), Registry::default(), Tasks::current());
    let permit = Permit::enter(&registry, session(102));
    tasks.spawn(
        "expire",
        expire(clock.clone(), registry.clone(), tasks.stopping()),
    );
    for stands in [Ok(()), Err(Reason::CredentialExpired)] {
        clock.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(permit.check(), stands);
    }
    assert_eq!(tasks.shut_down(Duration::from_secs(1)).await, 0);
}

/// Second at which everything is judged; some deny policies end before it.
const NOW: u64 = 100;

/// How many places for resources there are.
const SLOTS: usize = 17;

/// What stands in one place for a resource: one of a few variants, or nothing.
fn variant(slot: usize, variant: u32) -> Option<Body> {
    let n = variant % 4;
    let named = |name: &str| {
        if n == 1 {
            String::new()
        } else {
            name.to_owned()
        }
    };
    let body = match slot {
        0 | 1 => {
            let number = slot as u32 + 1;
            let mut api = api(number, &format!("/api-{number}"), "1.0", &[("/*", "")]);
            api.policy = named("per-api");
            api.topics[0].policy = if n == 3 { "per-topic" } else { "" }.to_owned();
            if (variant / 4).is_multiple_of(3) {
                api.state = v1::ApiState::Blocked.into();
            }
            Body::Api(api)
        }
        2 => Body::Plan(plan("Gold", n.into())),
        3 => Body::Plan(plan("Silver", n.into())),
        4 | 5 => {
            let mut application = application(slot as u32 - 3);
            application.policy = named("per-application");
            application.owner = if n == 3 { "else" } else { "somebody" }.to_owned();
            Body::Application(application)
        }
        6 | 7 => {
            let client_id = ["one", "two"][slot - 6];
            Body::ApplicationKey(application_key(client_id, n.min(2)))
        }
        // Two of them are between the same two, so that one may stand in the way of the other.
        8..=11 => {
            let (application, api) = [(1, 1), (1, 2), (2, 1), (1, 1)][slot - 8];
            let plan = if n == 2 { "Silver" } else { "Gold" };
            let mut subscription = subscription(slot as u32, application, api, plan);
            if n == 3 {
                subscription.state = v1::SubscriptionState::Blocked.into();
            }
            Body::Subscription(subscription)
        }
        12 => Body::ApiPolicy(api_policy("per-api", v1::Per::Api, limits(n.into()))),
        13 => Body::ApiPolicy(api_policy(
            "per-topic",
            v1::Per::Application,
            limits(n.into()),
        )),
        14 => Body::ApplicationPolicy(application_policy("per-application", limits(n.into()))),
        15 => {
            let targets = [
                Target::Api(id(1)),
                Target::Application(id(1)),
                Target::User("somebody".to_owned()),
                Target::Address("192.0.2.0/24".to_owned()),
            ];
            let target = targets[variant as usize / 4 % 4].clone();
            let invert = n == 3 && matches!(target, Target::Address(_));
            let expires_at = if n == 1 { NOW } else { 0 };
            Body::DenyPolicy(v1::DenyPolicy {
                invert,
                expires_at,
                ..deny_policy(1, target)
            })
        }
        _ => {
            let issuer = if n == 3 {
                "https://other"
            } else {
                "https://issuer"
            };
            Body::KeyManager(key_manager("resident", issuer, &[]))
        }
    };
    (n > 0).then_some(body)
}

/// The next snapshot, with other resources in some places.
fn change(before: &Snapshot, changes: &[(usize, u32)]) -> Snapshot {
    let (mut gone, mut there) = (Vec::new(), Vec::new());
    for &(slot, n) in changes {
        match variant(slot, n) {
            Some(body) => there.push(decode(wire(body)).unwrap()),
            None => {
                let any = (1..4).find_map(|n| variant(slot, n)).unwrap();
                gone.push(decode(wire(any)).unwrap().name);
            }
        }
    }
    before.apply(before.number().next(), &gone, there).0
}

/// Everybody who may be in a session under a snapshot: every client at every API.
fn clients(snapshot: &Snapshot, template: &Principal) -> Vec<PendingSession> {
    let mut clients = Vec::new();
    for (client_id, api) in [("one", 1), ("one", 2), ("two", 1), ("two", 2)] {
        let known = Principal {
            token: Token {
                client_id: client_id.into(),
                ..Token::clone(&template.token)
            }
            .into(),
            ..template.clone()
        };
        let api = id(api).parse().unwrap();
        if let Ok((api, principal)) = reauthorize(snapshot, api, &known) {
            clients.push(pending(api.clone(), principal));
        }
    }
    clients
}

fn entered(registry: &Registry, client: PendingSession) -> Permit {
    let limited = Limited::new(Edition::new(1), Limiter::default(), Vec::new());
    let session = Session::new(client, limited, u64::MAX);
    Permit::enter(registry, session.into())
}

proptest! {
    #![proptest_config(Config {
        cases: 2000,
        rng_seed: RngSeed::Fixed(1),
        ..Config::default()
    })]

    /// Sessions are let in by any snapshot on the way, all of whose later changes are gathered before anybody is judged
    /// again: whoever is not touched by them is judged in the end as in the beginning.
    #[test]
    fn who_is_not_touched_by_changes_is_judged_as_before(
        first in prop::collection::vec(1..12_u32, SLOTS),
        steps in prop::collection::vec(prop::collection::vec((0..SLOTS, 0..16_u32), 1..4), 1..5),
        let_in_at in any::<prop::sample::Index>(),
    ) {
        let (_, template, _) = world(u64::MAX);
        let first: Vec<_> = first.into_iter().enumerate().collect();
        let mut snapshots = vec![change(&Snapshot::default(), &first)];
        for step in &steps {
            snapshots.push(change(snapshots.last().unwrap(), step));
        }
        let let_in_at = let_in_at.index(snapshots.len());
        let (let_in_by, last) = (&snapshots[let_in_at], snapshots.last().unwrap());
        let mut changes = Changes::default();
        for pair in snapshots[let_in_at..].windows(2) {
            changes.add(Changes::between(&pair[0], &pair[1]));
        }
        let registry = Registry::default();
        let clients = clients(let_in_by, &template).into_iter();
        let permits: Vec<_> = clients
            .filter(|client| judge(let_in_by, client, NOW).is_ok())
            .map(|client| entered(&registry, client))
            .collect();
        let touched: HashSet<_> = touched(&registry, last, &changes)
            .flatten()
            .map(|session| session.id())
            .collect();
        for permit in &permits {
            let session = permit.session();
            if !touched.contains(&session.id()) {
                let before = judge(let_in_by, session.request(), NOW);
                prop_assert_eq!(judge(last, session.request(), NOW), before);
            }
        }
    }
}

/// One step from a snapshot, with the sessions that it touches of these.
fn touches(before: &Snapshot, step: &[(usize, u32)], registry: &Registry) -> usize {
    let after = change(before, step);
    let changes = Changes::between(before, &after);
    touched(registry, &after, &changes).flatten().count()
}

#[test]
fn a_change_touches_the_sessions_that_use_what_has_changed_and_no_others() {
    let (_, template, _) = world(u64::MAX);
    let everything: Vec<_> = (0..SLOTS - 2).map(|slot| (slot, 5)).collect();
    let mut all = everything.clone();
    all.push((16, 1));
    let before = change(&Snapshot::default(), &all);
    let mut clients = clients(&before, &template);
    clients.retain(|client| judge(&before, client, NOW).is_ok());
    let registry = Registry::default();
    let permits = clients.into_iter().map(|client| entered(&registry, client));
    let permits: Vec<_> = permits.collect();
    // Both keys lead to one application, which is subscribed to both APIs.
    assert_eq!(permits.len(), 4);
    for (what, step, expected) in [
        ("nothing", vec![], 0),
        ("the same again", all.clone(), 0),
        ("an API", vec![(0, 6)], 2),
        ("the plan of all", vec![(2, 2)], 4),
        ("a plan of nobody", vec![(3, 2)], 0),
        ("the application", vec![(4, 6)], 4),
        ("another application", vec![(5, 6)], 0),
        ("a key", vec![(6, 0)], 4),
        ("a subscription", vec![(9, 3)], 2),
        ("a subscription of nobody", vec![(10, 3)], 0),
        ("a policy that no API names", vec![(12, 2)], 0),
        ("a denied API", vec![(15, 2)], 2),
        ("a denied application", vec![(15, 6)], 4),
        ("a denied user", vec![(15, 10)], 4),
        ("denied addresses", vec![(15, 14)], 4),
        ("denied addresses elsewhere", vec![(15, 15)], 0),
        ("the issuer", vec![(16, 3)], 4),
    ] {
        assert_eq!(touches(&before, &step, &registry), expected, "{what}");
    }
}

#[test]
fn other_keys_of_a_key_manager_touch_nobody() {
    let resident = |kid| {
        let manager = key_manager("resident", "https://issuer", &[&Signer::new(kid)]);
        decode(wire(Body::KeyManager(manager))).unwrap()
    };
    let number = RevisionNumber::new(1);
    let (before, _) = Snapshot::default().apply(number, &[], vec![resident("a")]);
    let (after, _) = before.apply(number.next(), &[], vec![resident("b")]);
    assert_eq!(Changes::between(&before, &after), Changes::default());
}
