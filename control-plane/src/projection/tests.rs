//! What reaches the nodes of an environment, and what a commit changes of it.

use std::collections::BTreeSet;

use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use tidegate_proto::discovery::v1::{
    self, condition::Subject, deny_policy::Target, resource::Body,
};

use super::{
    Projection, ResourceKey, Versions,
    fixture::{
        World, api_id, application_id, deny_policy_id, environment, plan_name, policy_name,
        revision_id, subscription_id,
    },
};
use crate::domain::{
    address::AddressRange,
    endpoint::{EndpointUrl, Endpoints},
    lifecycle::Lifecycle,
    name::UserName,
    object::ObjectKey,
    policy::DenyTarget,
    revision::Revision,
    signing::SigningKeyState,
    subscription::SubscriptionState,
    time::Timestamp,
};

fn project(world: &World, on: &str) -> Projection {
    Projection::new(world.state(), environment(on))
}

fn names(projection: &Projection) -> BTreeSet<String> {
    projection
        .versions()
        .keys()
        .map(ToString::to_string)
        .collect()
}

fn rendered(projection: &Projection, key: &ResourceKey) -> Option<Body> {
    let resource = projection.resource(key)?;
    assert_eq!(resource.name, key.to_string());
    resource.body
}

fn api(world: &World) -> Option<v1::Api> {
    match rendered(&project(world, "default"), &ResourceKey::Api(api_id(1)))? {
        Body::Api(api) => Some(api),
        other => panic!("not an API: {other:?}"),
    }
}

/// What is different between two projections, one the later of the other.
fn difference(before: &Versions, after: &Versions) -> usize {
    before.diff(after).count()
}

#[test]
fn an_environment_gets_what_is_deployed_there_and_what_belongs_to_it() {
    let world = World::with_one_api();
    let everywhere = [
        "keyManagers/resident".to_owned(),
        "plans/Bronze".to_owned(),
        "plans/Gold".to_owned(),
        "plans/Silver".to_owned(),
        "plans/Unlimited".to_owned(),
        format!("applications/{}", application_id(1)),
        "applicationKeys/client-1".to_owned(),
        format!("reservations/{}", api_id(1)),
    ];
    let there = [
        format!("apis/{}", api_id(1)),
        format!("subscriptions/{}", subscription_id(1)),
    ];
    let others: BTreeSet<_> = everywhere.into_iter().collect();
    assert_eq!(names(&project(&world, "other")), others);
    let default = others.into_iter().chain(there).collect();
    assert_eq!(names(&project(&world, "default")), default);
}

#[test]
fn the_lifecycle_decides_whether_nodes_know_an_api_and_whether_it_is_open() {
    let mut world = World::with_one_api();
    for (state, expected) in [
        (Lifecycle::Created, None),
        (Lifecycle::Prototyped, Some(v1::ApiState::Open)),
        (Lifecycle::Published, Some(v1::ApiState::Open)),
        (Lifecycle::Blocked, Some(v1::ApiState::Blocked)),
        (Lifecycle::Deprecated, Some(v1::ApiState::Open)),
        (Lifecycle::Retired, None),
    ] {
        world.change_api(1, |api| api.state = state);
        let sent = api(&world).map(|api| api.state());
        assert_eq!(sent, expected, "{state}");
        let subscription = ResourceKey::Subscription(subscription_id(1));
        let projection = project(&world, "default");
        assert_eq!(
            projection.resource(&subscription).is_some(),
            expected.is_some()
        );
    }
}

#[test]
fn the_deployed_revision_is_sent_and_not_the_working_copy() {
    let mut world = World::with_one_api();
    world.change_api(1, |api| api.design.endpoints.production = None);
    assert_eq!(
        api(&world).unwrap().production_endpoint,
        "ws://backend-1:8080"
    );
    world.deploy(1, 2, "default");
    let sent = api(&world).unwrap();
    assert_eq!(sent.revision, revision_id(2).to_string());
    assert_eq!(sent.production_endpoint, "ws://backend-2:8080");
    assert_eq!(sent.sandbox_endpoint, "");
}

#[test]
fn a_sandbox_endpoint_and_the_setting_for_sandbox_keys_are_sent_as_the_revision_has_them() {
    let mut world = World::with_one_api();
    let mut sent = |change: fn(&mut Endpoints)| {
        let mut revision = Revision::clone(&world.0.revisions()[&revision_id(1)]);
        change(&mut revision.design.endpoints);
        world.put(revision);
        let sent = api(&world).unwrap();
        (
            sent.sandbox_endpoint,
            sent.sandbox_keys_on_production_endpoint,
        )
    };
    assert_eq!(sent(|_| {}), (String::new(), false));
    let allowed = sent(|it| it.sandbox_keys_on_production = true);
    assert_eq!(allowed, (String::new(), true));
    // A node that does not know the setting must not take one address under both names for a sandbox endpoint.
    let same = sent(|it| {
        it.sandbox.clone_from(&it.production);
        it.sandbox_keys_on_production = false;
    });
    assert_eq!(same, (String::new(), false));
    let own = sent(|it| it.sandbox = EndpointUrl::parse("ws://sandbox").ok());
    assert_eq!(own, ("ws://sandbox".to_owned(), false));
}

#[test]
fn where_the_default_version_does_not_run_the_one_before_it_stands_in() {
    let mut world = World::new();
    for n in 1..=3 {
        world.publish_version(n);
    }
    world.deploy(1, 11, "default");
    world.deploy(2, 21, "default");
    world.deploy(1, 11, "other");
    let mut projections = [project(&world, "default"), project(&world, "other")];
    // The versions that paths without a version lead to, on each environment.
    let mut defaults = |world: &World| {
        projections.clone_from(&projections.each_ref().map(|it| it.advance(world.state())));
        projections.each_ref().map(|projection| {
            let apis = (1..=3).filter(|&n| {
                let api = rendered(projection, &ResourceKey::Api(api_id(n)));
                matches!(api, Some(Body::Api(api)) if api.default_version)
            });
            apis.collect::<Vec<u32>>()
        })
    };
    assert_eq!(defaults(&world), [[0_u32; 0]; 2]);
    world.make_default(1);
    assert_eq!(defaults(&world), [[1], [1]]);
    world.make_default(3);
    assert_eq!(defaults(&world), [[1], [1]], "a draft takes nothing over");
    world.make_default(2);
    assert_eq!(defaults(&world), [[2], [1]], "it runs on one of them");
    world.make_default(3);
    assert_eq!(defaults(&world), [[2], [1]], "the last one stands in");
    world.deploy(3, 31, "other");
    assert_eq!(defaults(&world), [[2], [3]]);
    world.undeploy(3, "other");
    world.change_api(2, |api| api.state = Lifecycle::Retired);
    assert_eq!(defaults(&world), [[1], [1]]);
    world.take(&ObjectKey::Api(api_id(3)));
    assert_eq!(defaults(&world), [[1], [1]]);
}

#[test]
fn the_paths_of_every_version_that_exists_are_reserved_in_every_environment() {
    let mut world = World::new();
    for n in 1..=2 {
        world.publish_version(n);
    }
    world.make_default(1);
    world.deploy(1, 11, "default");
    world.deploy(2, 21, "default");
    let mut projection = project(&world, "other");
    let key = ResourceKey::Reservation(api_id(2));
    let mut reserved = |world: &World| {
        projection = projection.advance(world.state());
        match rendered(&projection, &key) {
            Some(Body::Reservation(it)) => Some((it.default_version, it.blocked))
                .filter(|_| projection.versions().contains_key(&key)),
            _ => None,
        }
    };
    for state in Lifecycle::ALL {
        world.change_api(2, |api| api.state = state);
        let blocked = state == Lifecycle::Blocked;
        assert_eq!(reserved(&world), Some((false, blocked)), "{state}");
    }
    world.undeploy(2, "default");
    world.make_default(2);
    assert_eq!(reserved(&world), Some((true, false)));
    world.take(&ObjectKey::Api(api_id(2)));
    assert_eq!(reserved(&world), None, "the path is free again");
}

#[test]
fn an_application_is_sent_with_its_owner() {
    let sent = rendered(
        &project(&World::with_one_api(), "default"),
        &ResourceKey::Application(application_id(1)),
    );
    let Some(Body::Application(sent)) = sent else {
        panic!("not an application: {sent:?}");
    };
    assert_eq!(sent.owner, "somebody");
}

#[test]
fn every_public_key_is_sent_and_nothing_private() {
    let mut world = World::with_one_api();
    let until = Timestamp::from_millis(9);
    world.sign_with("k0", SigningKeyState::Retiring { until });
    world.sign_with("k2", SigningKeyState::Next { signs_from: until });
    let projection = project(&world, "default");
    let Some(Body::KeyManager(manager)) = rendered(&projection, &ResourceKey::KeyManager) else {
        panic!("no key manager");
    };
    let kids = ["k0", "k1", "k2"].map(|kid| format!(r#"{{"kid":"{kid}"}}"#));
    assert_eq!(manager.jwks, kids);
    let everything: Vec<_> = projection
        .versions()
        .keys()
        .map(|key| projection.resource(key))
        .collect();
    let text = format!("{everything:?}");
    for secret in ["private-part", "a description", "secret"] {
        assert!(!text.contains(secret), "{secret} goes to nodes");
    }
}

#[test]
fn a_change_of_one_object_changes_one_resource() {
    let mut world = World::with_one_api();
    let mut projection = project(&world, "default");
    let mut changes = |world: &World| {
        let next = projection.advance(world.state());
        let changed = difference(projection.versions(), next.versions());
        projection = next;
        changed
    };
    world.change_subscription(1, |it| it.state = SubscriptionState::Blocked);
    assert_eq!(changes(&world), 1);
    world.change_subscription(1, |it| it.plan = plan_name("Silver"));
    assert_eq!(changes(&world), 1);
    world.change_api(1, |api| api.default_version = true);
    assert_eq!(changes(&world), 2, "the API and its reservation");
    world.change_api(1, |api| api.design.description = "other".to_owned());
    assert_eq!(changes(&world), 0, "what nodes do not see moves nothing");
    world.deploy(1, 2, "other");
    assert_eq!(changes(&world), 0, "another environment's deployment");
    world.register(2);
    assert_eq!(changes(&world), 2, "an application and its key");
    world.limit_apis(1, 1);
    assert_eq!(changes(&world), 1);
    world.limit_apis(1, 2);
    assert_eq!(changes(&world), 1, "what names the policy stays as it is");
    world.deny(1, DenyTarget::Api(api_id(1)));
    assert_eq!(changes(&world), 1);
    world.change_denial(1, |policy| policy.description = "other".to_owned());
    assert_eq!(changes(&world), 0, "what nodes do not see moves nothing");
    world.undeploy(1, "default");
    assert_eq!(changes(&world), 2, "the API and its subscription");
    assert_eq!(changes(&world), 0);
}

#[test]
fn policies_reach_every_environment_with_what_nodes_judge_by_and_no_more() {
    let mut world = World::with_one_api();
    world.limit_applications(1, 5);
    world.limit_apis(1, 7);
    world.deny(1, DenyTarget::Application(application_id(1)));
    let projection = project(&world, "other");
    let policy = rendered(&projection, &ResourceKey::ApplicationPolicy(policy_name(1)));
    let Some(Body::ApplicationPolicy(policy)) = policy else {
        panic!("no application policy: {policy:?}");
    };
    assert!(policy.per_token);
    assert_eq!(policy.limits.unwrap().sessions, 5);
    let policy = rendered(&projection, &ResourceKey::ApiPolicy(policy_name(1)));
    let Some(Body::ApiPolicy(policy)) = policy else {
        panic!("no API policy: {policy:?}");
    };
    assert_eq!(policy.per(), v1::Per::Address);
    assert_eq!(policy.limits.unwrap().sessions, 7);
    let expected = v1::Condition {
        subject: Some(Subject::Address("192.0.2.0/24".to_owned())),
        invert: true,
    };
    assert_eq!(policy.groups[0].conditions, [expected]);
    assert_eq!(policy.groups[0].limits.unwrap().sessions, 8);
    let everything: Vec<_> = projection.versions().keys().collect();
    let everything: Vec<_> = everything
        .iter()
        .map(|key| projection.resource(key))
        .collect();
    assert!(!format!("{everything:?}").contains("a description"));
}

#[test]
fn a_deny_policy_is_sent_unless_it_is_disabled_and_ends_not_too_early() {
    let mut world = World::with_one_api();
    let user = UserName::parse("somebody").unwrap();
    let range = AddressRange::parse("192.0.2.0/24").unwrap();
    let address = || Target::Address("192.0.2.0/24".to_owned());
    let (api, application) = (api_id(1), application_id(1));
    for (n, (target, expected, invert)) in [
        (DenyTarget::Api(api), Target::Api(api.to_string()), false),
        (
            DenyTarget::Application(application),
            Target::Application(application.to_string()),
            false,
        ),
        (
            DenyTarget::User(user),
            Target::User("somebody".to_owned()),
            false,
        ),
        (DenyTarget::Address(range), address(), false),
        (DenyTarget::AddressesBut(range), address(), true),
    ]
    .into_iter()
    .enumerate()
    {
        let n = u32::try_from(n).unwrap();
        world.deny(n, target);
        let sent = denial(&world, n).unwrap();
        assert_eq!((sent.target, sent.invert), (Some(expected), invert));
        assert_eq!(sent.expires_at, 0, "it never ends");
    }
    for (millis, seconds) in [(9_000, 9), (9_001, 10), (9_999, 10)] {
        let end = Timestamp::from_millis(millis);
        world.change_denial(1, |policy| policy.expires_at = Some(end));
        assert_eq!(denial(&world, 1).unwrap().expires_at, seconds);
    }
    world.change_denial(1, |policy| policy.disabled = true);
    assert_eq!(denial(&world, 1), None);
}

fn denial(world: &World, n: u32) -> Option<v1::DenyPolicy> {
    let key = ResourceKey::DenyPolicy(deny_policy_id(n));
    match rendered(&project(world, "default"), &key)? {
        Body::DenyPolicy(policy) => Some(policy),
        other => panic!("not a deny policy: {other:?}"),
    }
}

#[test]
fn the_policies_of_topics_are_those_of_the_revision_and_that_of_the_api_rules_at_once() {
    let mut world = World::with_one_api();
    let named = || Some(policy_name(1));
    world.change_api(1, |api| {
        api.policy = named();
        api.design.topics[0].policy = named();
        api.design.notice_subprotocols = vec!["chat".to_owned()];
    });
    let sent = api(&world).unwrap();
    assert_eq!(
        (sent.policy.as_str(), sent.topics[0].policy.as_str()),
        ("policy-1", "")
    );
    assert!(sent.notice_subprotocols.is_empty());
    let design = world.0.apis()[&api_id(1)].design.clone();
    let mut revision = Revision::clone(&world.0.revisions()[&revision_id(1)]);
    revision.design = design;
    world.put(revision);
    world.change_api(1, |api| api.policy = None);
    let sent = api(&world).unwrap();
    assert_eq!(
        (sent.policy.as_str(), sent.topics[0].policy.as_str()),
        ("", "policy-1")
    );
    assert_eq!(sent.notice_subprotocols, ["chat"]);
}

#[test]
fn a_reset_reaches_nodes_as_another_generation() {
    let mut world = World::with_one_api();
    world.change_api(1, |api| api.quota_generation = 3);
    world.change_application(1, |it| {
        it.policy = Some(policy_name(1));
        it.quota_generation = 4;
    });
    world.change_subscription(1, |it| it.quota_generation = 5);
    assert_eq!(api(&world).unwrap().quota_generation, 3);
    let projection = project(&world, "default");
    let sent = rendered(&projection, &ResourceKey::Application(application_id(1)));
    let Some(Body::Application(sent)) = sent else {
        panic!("not an application: {sent:?}");
    };
    assert_eq!(
        (sent.policy.as_str(), sent.quota_generation),
        ("policy-1", 4)
    );
    let sent = rendered(&projection, &ResourceKey::Subscription(subscription_id(1)));
    let Some(Body::Subscription(sent)) = sent else {
        panic!("not a subscription: {sent:?}");
    };
    assert_eq!(sent.quota_generation, 5);
}

#[test]
fn a_name_reads_back_and_a_strange_one_does_not() {
    let mut world = World::with_one_api();
    world.limit_applications(1, 1);
    world.limit_apis(1, 1);
    world.deny(1, DenyTarget::Api(api_id(1)));
    for key in project(&world, "default").versions().keys() {
        assert_eq!(key.to_string().parse().as_ref(), Ok(key));
    }
    for name in ["", "plans", "keyManagers/other", "apis/x", "plans/a b\n"] {
        assert!(name.parse::<ResourceKey>().is_err(), "{name}");
    }
    let upper = format!("apis/{}", api_id(0xabc)).replace("abc", "ABC");
    assert!(
        upper.parse::<ResourceKey>().is_err(),
        "one name has one spelling"
    );
}

/// What may happen to a state.
#[derive(Clone, Debug)]
enum Happening {
    Publish(u32, Lifecycle),
    Deploy(u32, u32, &'static str),
    Undeploy(u32, &'static str),
    Register(u32),
    Subscribe(u32, u32),
    Unsubscribe(u32),
    Forget(u32),
    Sign(u32),
    LimitApplications(u32, u32),
    LimitApis(u32, u32),
    Unlimit(u32),
    Deny(u32, bool),
    Allow(u32),
    Name(u32, u32),
    Reset(u32),
    Default(u32),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let api = 1..4_u32;
    let on = prop::sample::select(vec!["default", "other"]);
    let state = prop::sample::select(Lifecycle::ALL.to_vec());
    let one = prop_oneof![
        (api.clone(), state).prop_map(|(n, state)| Happening::Publish(n, state)),
        (api.clone(), 1..5_u32, on.clone()).prop_map(|(n, r, on)| Happening::Deploy(n, r, on)),
        (api.clone(), on).prop_map(|(n, on)| Happening::Undeploy(n, on)),
        (1..4_u32).prop_map(Happening::Register),
        (1..4_u32, api.clone()).prop_map(|(a, n)| Happening::Subscribe(a, n)),
        (1..40_u32).prop_map(Happening::Unsubscribe),
        api.prop_map(Happening::Forget),
        (0..3_u32).prop_map(Happening::Sign),
        (1..4_u32, 1..3_u32).prop_map(|(n, most)| Happening::LimitApplications(n, most)),
        (1..4_u32, 1..3_u32).prop_map(|(n, most)| Happening::LimitApis(n, most)),
        (1..4_u32).prop_map(Happening::Unlimit),
        (1..4_u32, any::<bool>()).prop_map(|(n, disabled)| Happening::Deny(n, disabled)),
        (1..4_u32).prop_map(Happening::Allow),
        (1..4_u32, 1..4_u32).prop_map(|(n, policy)| Happening::Name(n, policy)),
        (1..4_u32).prop_map(Happening::Reset),
        (1..4_u32).prop_map(Happening::Default),
    ];
    prop::collection::vec(one, 0..40)
}

impl Happening {
    fn happen(self, world: &mut World) {
        match self {
            Self::Publish(n, state) => {
                world.publish_version(n);
                world.change_api(n, |api| api.state = state);
            }
            Self::Deploy(n, revision, on) => world.deploy(n, n * 10 + revision, on),
            Self::Undeploy(n, from) => {
                take(world, &ObjectKey::Deployment(api_id(n), environment(from)));
            }
            Self::Register(n) => world.register(n),
            Self::Subscribe(application, api) => {
                world.subscribe(application * 10 + api, application, api, "Gold");
            }
            Self::Unsubscribe(n) => take(world, &ObjectKey::Subscription(subscription_id(n))),
            Self::Forget(n) => take(world, &ObjectKey::Api(api_id(n))),
            Self::Sign(n) => world.sign_with(&format!("k{n}"), SigningKeyState::Active),
            Self::LimitApplications(n, amount) => world.limit_applications(n, amount),
            Self::LimitApis(n, amount) => world.limit_apis(n, amount),
            Self::Unlimit(n) => {
                take(world, &ObjectKey::ApplicationPolicy(policy_name(n)));
                take(world, &ObjectKey::ApiPolicy(policy_name(n)));
            }
            Self::Deny(n, disabled) => {
                world.deny(n, DenyTarget::Api(api_id(n)));
                world.change_denial(n, |policy| policy.disabled = disabled);
            }
            Self::Allow(n) => take(world, &ObjectKey::DenyPolicy(deny_policy_id(n))),
            Self::Default(n) => world.make_default(n),
            Self::Name(n, policy) => {
                if world.0.apis().contains_key(&api_id(n)) {
                    world.change_api(n, |api| api.policy = Some(policy_name(policy)));
                }
                if world.0.applications().contains_key(&application_id(n)) {
                    world.change_application(n, |it| it.policy = Some(policy_name(policy)));
                }
            }
            Self::Reset(n) => {
                if world.0.apis().contains_key(&api_id(n)) {
                    world.change_api(n, |api| api.quota_generation += 1);
                }
                if world.0.applications().contains_key(&application_id(n)) {
                    world.change_application(n, |it| it.quota_generation += 1);
                }
            }
        }
    }
}

/// Takes what is there.
fn take(world: &mut World, key: &ObjectKey) {
    if world.0.get(key).is_some() {
        world.take(key);
    }
}

proptest! {
    #[test]
    fn moving_on_gives_what_a_whole_projection_gives(batches in prop::collection::vec(happenings(), 1..5)) {
        let mut world = World::new();
        let mut moved = project(&world, "default");
        for batch in batches {
            for happening in batch {
                happening.happen(&mut world);
            }
            moved = moved.advance(world.state());
            let whole = project(&world, "default");
            prop_assert_eq!(moved.versions(), whole.versions());
            prop_assert_eq!(moved.number(), whole.number());
        }
    }
}
