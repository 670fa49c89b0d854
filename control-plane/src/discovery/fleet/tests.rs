//! What the fleet remembers of nodes, and how far they are with deployments.

use std::time::Duration;

use tidegate_kit::clock::Clock;
use tidegate_proto::{
    ids::{ApiId, RevisionId},
    revision::{ContentVersion, RevisionNumber},
};

use super::{Fleet, FleetFull, REMEMBERED, Registration, RejectionView};
use crate::domain::{name::EnvironmentName, revision::Deployment, time::Timestamp};

fn environment() -> EnvironmentName {
    EnvironmentName::parse("default").unwrap()
}

fn register(fleet: &Fleet, name: &str) -> Result<Registration, FleetFull> {
    let number = RevisionNumber::new(7);
    fleet.register(environment(), name.to_owned(), "1".to_owned(), number, 1)
}

#[test]
fn a_node_that_leaves_is_remembered_for_a_while() {
    let clock = Clock::manual(1000);
    let fleet = Fleet::new(clock.clone());
    let node = register(&fleet, "a").unwrap();
    clock.advance(Duration::from_secs(5));
    node.beat(RevisionNumber::new(8), 3, None);
    drop(node);
    let view = fleet.node(&environment(), "a").unwrap();
    assert!(!view.connected);
    assert_eq!((view.open_sessions, view.last_word.seconds()), (3, 1005));
    assert_eq!(view.lag(RevisionNumber::new(10)), 2);
    clock.advance(REMEMBERED);
    let _other = register(&fleet, "b").unwrap();
    assert_eq!(fleet.node(&environment(), "a"), None);
}

#[test]
fn a_node_that_comes_back_ends_its_earlier_stream_and_is_not_marked_absent_by_it() {
    let fleet = Fleet::new(Clock::System);
    let first = register(&fleet, "a").unwrap();
    let second = register(&fleet, "a").unwrap();
    assert!(first.replaced().is_cancelled() && !second.replaced().is_cancelled());
    first.beat(RevisionNumber::new(99), 99, None);
    drop(first);
    let view = fleet.node(&environment(), "a").unwrap();
    assert!(view.connected);
    assert_eq!(view.number, RevisionNumber::new(7));
}

#[test]
fn a_node_is_behind_a_deployment_until_it_runs_its_number_and_may_have_rejected_it() {
    let fleet = Fleet::new(Clock::System);
    let node = register(&fleet, "a").unwrap();
    let api = ApiId::generate();
    let at = |number| Deployment {
        api,
        environment: environment(),
        revision: RevisionId::generate(),
        deployed_by: "ann".to_owned(),
        deployed_at: Timestamp::from_millis(0),
        number: RevisionNumber::new(number),
    };
    let progress = |number| {
        let view = fleet.node(&environment(), "a").unwrap();
        format!("{:?}", view.progress(&at(number)))
    };
    assert_eq!(
        (progress(7), progress(8)),
        ("Acknowledged".into(), "Behind".into())
    );
    let rejected = |resource: String| RejectionView {
        resource,
        version: ContentVersion::new(1),
        reason: "no such thing".to_owned(),
    };
    let other = rejected(format!("apis/{}", ApiId::generate()));
    node.acknowledged(RevisionNumber::new(8), vec![other]);
    assert_eq!(
        (progress(0), progress(8)),
        ("Acknowledged".into(), "Acknowledged".into())
    );
    node.acknowledged(
        RevisionNumber::new(8),
        vec![rejected(format!("apis/{api}"))],
    );
    assert_eq!(progress(8), "Rejected(\"no such thing\")");
    assert_eq!(progress(9), "Behind");
    node.acknowledged(RevisionNumber::ZERO, Vec::new());
    assert_eq!(
        progress(0),
        "Behind",
        "a node without a configuration runs nothing"
    );
}

#[test]
fn the_fleet_is_bounded_and_the_absent_make_room() {
    let fleet = Fleet::with_most(Clock::System, 2);
    let a = register(&fleet, "a").unwrap();
    let _b = register(&fleet, "b").unwrap();
    assert_eq!(register(&fleet, "c").unwrap_err(), FleetFull(2));
    drop(a);
    assert!(register(&fleet, "c").is_ok());
    assert_eq!(fleet.nodes(Some(&environment())).len(), 2);
}
