//! What reaches the nodes of an environment, and what a commit changes of it.

use std::collections::BTreeSet;

use proptest::prelude::{Strategy, prop, prop_assert_eq, prop_oneof, proptest};
use tidegate_proto::discovery::v1::{self, resource::Body};

use super::{
    Projection, ResourceKey, Versions,
    fixture::{
        World, api_id, application_id, environment, plan_name, revision_id, subscription_id,
    },
};
use crate::domain::{
    lifecycle::Lifecycle, object::ObjectKey, signing::SigningKeyState,
    subscription::SubscriptionState, time::Timestamp,
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
    assert_eq!(sent.sandbox_endpoint, sent.production_endpoint);
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
    assert_eq!(changes(&world), 1);
    world.change_api(1, |api| api.design.description = "other".to_owned());
    assert_eq!(changes(&world), 0, "what nodes do not see moves nothing");
    world.deploy(1, 2, "other");
    assert_eq!(changes(&world), 0, "another environment's deployment");
    world.register(2);
    assert_eq!(changes(&world), 2, "an application and its key");
    world.undeploy(1, "default");
    assert_eq!(changes(&world), 2, "the API and its subscription");
    assert_eq!(changes(&world), 0);
}

#[test]
fn a_name_reads_back_and_a_strange_one_does_not() {
    let world = World::with_one_api();
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
    ];
    prop::collection::vec(one, 0..40)
}

impl Happening {
    fn happen(self, world: &mut World) {
        match self {
            Self::Publish(n, state) => {
                world.publish(n);
                world.change_api(n, |api| api.state = state);
            }
            Self::Deploy(n, revision, on) => world.deploy(n, n * 10 + revision, on),
            Self::Undeploy(n, from) => {
                let key = ObjectKey::Deployment(api_id(n), environment(from));
                if world.0.get(&key).is_some() {
                    world.take(&key);
                }
            }
            Self::Register(n) => world.register(n),
            Self::Subscribe(application, api) => {
                world.subscribe(application * 10 + api, application, api, "Gold");
            }
            Self::Unsubscribe(n) => {
                let key = ObjectKey::Subscription(subscription_id(n));
                if world.0.get(&key).is_some() {
                    world.take(&key);
                }
            }
            Self::Forget(n) => {
                let key = ObjectKey::Api(api_id(n));
                if world.0.get(&key).is_some() {
                    world.take(&key);
                }
            }
            Self::Sign(n) => world.sign_with(&format!("k{n}"), SigningKeyState::Active),
        }
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
