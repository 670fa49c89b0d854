//! How deltas make snapshots: never differently than a fresh start would, and never at the cost of the whole.

use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use tidegate_proto::{
    discovery::v1::{self, condition::Subject, deny_policy::Target, resource::Body},
    revision::RevisionNumber,
};

use super::{
    Snapshot, Snapshots,
    decode::decode,
    fixture::{
        Signer, api, api_policy, application, application_key, application_policy, deny_policy, id,
        key_manager, limits, plan, reservation, snapshot, subscription, wire,
    },
    model::{Resource, ResourceName},
};

fn resource(body: Body) -> Resource {
    decode(wire(body)).unwrap()
}

fn default_api(n: u32, context: &str, version: &str) -> Body {
    Body::Api(v1::Api {
        default_version: true,
        ..api(n, context, version, &[])
    })
}

/// One step of a configuration's life. No two resources of any kind claim the same thing, as the control plane sees to.
#[derive(Clone, Debug)]
enum Step {
    Upsert(Body),
    Remove(Body),
}

/// API policies whose conditions look at the same few headers and parameters.
fn policies() -> impl Strategy<Value = v1::ApiPolicy> {
    prop::collection::vec((1..3_u32, prop::bool::ANY), 0..4).prop_map(|sought| {
        let conditions = sought.into_iter().map(|(n, header)| {
            let sought = v1::Match {
                name: format!("name-{n}"),
                value: String::new(),
            };
            v1::Condition {
                subject: Some(if header {
                    Subject::Header(sought)
                } else {
                    Subject::Query(sought)
                }),
                invert: false,
            }
        });
        let groups = conditions.map(|condition| v1::Group {
            conditions: vec![condition],
            limits: Some(limits(1)),
        });
        v1::ApiPolicy {
            groups: groups.collect(),
            ..api_policy("p", v1::Per::User, limits(2))
        }
    })
}

/// Few enough for several policies to be about the same.
fn targets() -> impl Strategy<Value = Target> {
    prop_oneof![
        (1..3_u32).prop_map(|n| Target::Api(id(n))),
        (1..3_u32).prop_map(|n| Target::User(format!("user {n}"))),
        (8..10_u32).prop_map(|length| Target::Address(format!("10.0.0.0/{length}"))),
    ]
}

fn bodies() -> impl Strategy<Value = Body> {
    prop_oneof![
        (1..5_u32, 0..3_u32, prop::bool::ANY).prop_map(|(n, version, default_version)| {
            Body::Api(v1::Api {
                default_version,
                ..api(n, &format!("/a{n}"), &format!("{version}"), &[])
            })
        }),
        (1..4_u32, 0..3_u64).prop_map(|(n, limit)| Body::Plan(plan(&format!("p{n}"), limit))),
        (1..4_u32).prop_map(|n| Body::Application(application(n))),
        (1..4_u32, 1..4_u32).prop_map(|(n, owner)| {
            Body::ApplicationKey(application_key(&format!("c{n}"), owner))
        }),
        (1..20_u32, 1..4_u32).prop_map(|(n, p)| Body::Subscription(subscription(
            n,
            n,
            n,
            &format!("p{p}")
        ))),
        (1..4_u32, 1..4_u64).prop_map(|(n, limit)| {
            Body::ApplicationPolicy(application_policy(&format!("p{n}"), limits(limit)))
        }),
        (1..4_u32, policies()).prop_map(|(n, policy)| Body::ApiPolicy(v1::ApiPolicy {
            name: format!("p{n}"),
            ..policy
        })),
        (1..5_u32, 0..3_u32, prop::bool::ANY).prop_map(|(n, version, blocked)| {
            Body::Reservation(v1::Reservation {
                blocked,
                default_version: blocked,
                ..reservation(n, &format!("/a{}", n % 2), &format!("{version}"))
            })
        }),
        (1..5_u32, targets()).prop_map(|(n, target)| Body::DenyPolicy(v1::DenyPolicy {
            invert: n == 4 && matches!(target, Target::Address(_)),
            ..deny_policy(n, target)
        })),
        (1..3_u32, 1..3_u32).prop_map(|(n, i)| {
            Body::KeyManager(key_manager(
                &format!("m{n}"),
                &format!("https://{n}/{i}"),
                &[],
            ))
        }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let step = prop_oneof![
        3 => bodies().prop_map(Step::Upsert),
        1 => bodies().prop_map(Step::Remove),
    ];
    prop::collection::vec(prop::collection::vec(step, 0..8), 0..12)
}

proptest! {
    #[test]
    fn any_sequence_of_deltas_gives_what_a_fresh_start_gives(batches in steps()) {
        let mut running = Snapshot::default();
        let mut held: std::collections::BTreeMap<ResourceName, Resource> = Default::default();
        let mut number = RevisionNumber::ZERO;
        for batch in batches {
            number = number.next();
            // Within one batch a name is either changed or removed, and once: as the control plane diffs.
            let mut changes = std::collections::BTreeMap::new();
            for step in batch {
                let (resource, kept) = match step {
                    Step::Upsert(body) => (resource(body), true),
                    Step::Remove(body) => (resource(body), false),
                };
                changes.insert(resource.name.clone(), kept.then_some(resource));
            }
            let mut removals = Vec::new();
            let mut upserts = Vec::new();
            for (name, change) in changes {
                match change {
                    Some(resource) => {
                        held.insert(name, resource.clone());
                        upserts.push(resource);
                    }
                    None => {
                        held.remove(&name);
                        removals.push(name);
                    }
                }
            }
            let (next, conflicted) = running.apply(number, &removals, upserts);
            prop_assert_eq!(conflicted, vec![]);
            running = next;
        }
        let (fresh, _) = Snapshot::default().apply(number, &[], held.into_values().collect());
        prop_assert_eq!(running, fresh);
    }

    #[test]
    fn whatever_conflicts_what_is_held_is_what_a_fresh_start_would_hold(
        batches in prop::collection::vec(prop::collection::vec(rivals(), 0..8), 0..12),
    ) {
        let mut running = Snapshot::default();
        let mut offered: std::collections::BTreeMap<_, Resource> = Default::default();
        for batch in batches {
            let mut removals = Vec::new();
            let mut upserts = Vec::new();
            for step in batch {
                match step {
                    Step::Upsert(body) => upserts.push(resource(body)),
                    Step::Remove(body) => removals.push(resource(body).name),
                }
            }
            offered.extend(upserts.iter().map(|new| ((new.name.clone(), new.version.get()), new.clone())));
            let last: std::collections::BTreeMap<_, _> =
                upserts.iter().map(|new| (new.name.clone(), new.version)).collect();
            let (next, conflicted) = running.apply(RevisionNumber::new(1), &removals, upserts);
            running = next;
            let held: std::collections::BTreeMap<_, _> =
                running.held().map(|(name, version)| (name.clone(), version)).collect();
            for (name, version) in last {
                let refused = conflicted.iter().any(|one| one.name == name);
                prop_assert!(refused || held.get(&name) == Some(&version), "{name} is not what came last");
            }
        }
        let held = running.held().map(|(name, version)| offered[&(name.clone(), version.get())].clone());
        let (fresh, conflicted) = Snapshot::default().apply(RevisionNumber::new(1), &[], held.collect());
        prop_assert_eq!(conflicted, vec![]);
        prop_assert_eq!(running.index, fresh.index);
    }
}

/// Steps with resources that claim each other's places.
fn rivals() -> impl Strategy<Value = Step> {
    let body = || {
        prop_oneof![
            (1..4_u32, 1..3_u32, 0..2_u32, prop::bool::ANY).prop_map(
                |(n, context, version, default_version)| {
                    Body::Api(v1::Api {
                        default_version,
                        ..api(n, &format!("/a{context}"), &format!("{version}"), &[])
                    })
                }
            ),
            (1..4_u32, 1..3_u32, 1..3_u32)
                .prop_map(|(n, owner, to)| Body::Subscription(subscription(n, owner, to, "Gold"))),
            (1..4_u32, 1..3_u32).prop_map(|(n, i)| {
                Body::KeyManager(key_manager(&format!("m{n}"), &format!("https://{i}"), &[]))
            }),
        ]
    };
    prop_oneof![
        3 => body().prop_map(Step::Upsert),
        1 => body().prop_map(Step::Remove),
    ]
}

#[test]
fn a_path_may_move_from_one_api_to_another_within_a_change() {
    let (first, second) = (
        Body::Api(api(1, "/a", "1", &[])),
        Body::Api(api(2, "/b", "1", &[])),
    );
    let before = snapshot(vec![first, second]);
    let swapped = vec![
        resource(Body::Api(api(1, "/b", "1", &[]))),
        resource(Body::Api(api(2, "/a", "1", &[]))),
    ];
    let (after, conflicted) = before.apply(RevisionNumber::new(2), &[], swapped);
    assert_eq!(conflicted, []);
    assert_eq!(after.api_at("/a/1").unwrap().name.as_ref(), "api-2");
    assert_eq!(after.api_at("/b/1").unwrap().name.as_ref(), "api-1");
}

#[test]
fn what_claims_anothers_place_is_rejected_and_its_last_good_version_stays() {
    let signer = Signer::new("k");
    let before = snapshot(vec![
        Body::Api(api(1, "/a", "1", &[])),
        Body::Api(api(2, "/b", "1", &[])),
        default_api(3, "/c", "1"),
        Body::Subscription(subscription(1, 1, 1, "Gold")),
        Body::KeyManager(key_manager("one", "https://i", &[&signer])),
    ]);
    let claims = vec![
        resource(Body::Api(api(2, "/a", "1", &[]))),
        resource(default_api(4, "/c", "2")),
        resource(Body::Subscription(subscription(2, 1, 1, "Gold"))),
        resource(Body::KeyManager(key_manager("two", "https://i", &[]))),
    ];
    let (after, conflicted) = before.apply(RevisionNumber::new(2), &[], claims);
    let told: Vec<_> = conflicted
        .iter()
        .map(|c| format!("{}: {}", c.name, c.conflict))
        .collect();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(
        told[0].contains("`https://i` belongs to `keyManagers/one`"),
        "{told:?}"
    );
    assert!(told[1].contains("its path `/a/1` belongs to"), "{told:?}");
    assert!(told[2].contains("default version at `/c`"), "{told:?}");
    assert!(told[3].contains("already joined"), "{told:?}");
    assert_eq!(after.index, before.index);
}

#[test]
fn the_default_version_answers_without_a_version_and_an_exact_path_goes_first() {
    let snapshot = snapshot(vec![
        default_api(1, "/a", "1"),
        Body::Api(api(2, "/{version}/b", "a", &[])),
        default_api(3, "/a/b", "9"),
    ]);
    let name = |path| snapshot.api_at(path).map(|api| api.name.to_string());
    assert_eq!(name("/a").as_deref(), Some("api-1"));
    assert_eq!(name("/a/b").as_deref(), Some("api-2"));
    assert_eq!(name("/a/b/9").as_deref(), Some("api-3"));
    assert_eq!(name("/b"), None);
}

#[test]
fn a_swap_is_seen_by_those_who_load_and_those_who_watch() {
    let snapshots = Snapshots::default();
    let mut watch = snapshots.watch();
    assert!(!snapshots.is_held());
    assert_eq!(*watch.borrow_and_update(), None);
    snapshots.swap(snapshot(vec![Body::Plan(plan("Gold", 1))]));
    assert!(watch.has_changed().unwrap());
    assert_eq!(*watch.borrow_and_update(), Some(RevisionNumber::new(1)));
    assert!(snapshots.is_held());
    assert!(snapshots.load().plan("Gold").is_some());
}
