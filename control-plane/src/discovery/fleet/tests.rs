//! What the fleet remembers of nodes, and how far they are with deployments.

use std::time::Duration;

use tidegate_kit::clock::Clock;
use tidegate_proto::{
    ids::{ApiId, RevisionId},
    revision::{ContentVersion, RevisionNumber},
};

use super::{Fleet, FleetFull, Registration, RejectionView, STOPPED_REMEMBERED};
use crate::domain::{name::EnvironmentName, revision::Deployment, time::Timestamp};

const DAY: Duration = Duration::from_secs(86_400);

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
    let fleet = Fleet::new(clock.clone(), DAY);
    let node = register(&fleet, "a").unwrap();
    clock.advance(Duration::from_secs(5));
    node.heartbeat(RevisionNumber::new(8), 3, None);
    drop(node);
    let view = fleet.node(&environment(), "a").unwrap();
    assert!(!view.connected());
    assert_eq!((view.open_sessions, view.last_seen.seconds()), (3, 1005));
    assert_eq!(view.lag(RevisionNumber::new(10)), 2);
    assert_eq!(view.away.unwrap().since.seconds(), 1005);
    clock.advance(DAY - Duration::from_secs(1));
    assert!(fleet.node(&environment(), "a").is_some());
    clock.advance(Duration::from_secs(1));
    assert_eq!(fleet.node(&environment(), "a"), None);
    assert_eq!(fleet.nodes(None), []);
}

#[test]
fn a_node_that_stops_in_order_is_remembered_shortly_and_one_that_is_connected_for_ever() {
    let clock = Clock::manual(1000);
    let fleet = Fleet::new(clock.clone(), DAY);
    let names = || {
        let nodes = fleet.nodes(None).into_iter();
        nodes.map(|node| node.name).collect::<Vec<_>>()
    };
    let _stays = register(&fleet, "stays").unwrap();
    drop(register(&fleet, "lost").unwrap());
    let mut stopped = register(&fleet, "stopped").unwrap();
    stopped.goodbye();
    drop(stopped);
    assert!(
        fleet
            .node(&environment(), "stopped")
            .unwrap()
            .away
            .unwrap()
            .stopped
    );
    clock.advance(STOPPED_REMEMBERED);
    assert_eq!(names(), ["lost", "stays"]);
    clock.advance(DAY);
    assert_eq!(names(), ["stays"]);
    // Whoever wants less gets it for both.
    let fleet = Fleet::new(clock, Duration::ZERO);
    drop(register(&fleet, "a").unwrap());
    assert_eq!(fleet.nodes(None), []);
}

#[test]
fn a_node_that_comes_back_ends_its_earlier_stream_and_is_not_marked_absent_by_it() {
    let fleet = Fleet::new(Clock::System, DAY);
    let first = register(&fleet, "a").unwrap();
    let second = register(&fleet, "a").unwrap();
    assert!(first.replaced().is_cancelled() && !second.replaced().is_cancelled());
    first.heartbeat(RevisionNumber::new(99), 99, None);
    drop(first);
    let view = fleet.node(&environment(), "a").unwrap();
    assert!(view.connected());
    assert_eq!(view.number, RevisionNumber::new(7));
}

#[test]
fn a_node_is_behind_a_deployment_until_it_runs_its_number_and_may_have_rejected_it() {
    let fleet = Fleet::new(Clock::System, DAY);
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
    let fleet = Fleet::with_most(Clock::System, DAY, 2);
    let a = register(&fleet, "a").unwrap();
    let _b = register(&fleet, "b").unwrap();
    assert_eq!(register(&fleet, "c").unwrap_err(), FleetFull(2));
    drop(a);
    assert!(register(&fleet, "c").is_ok());
    assert_eq!(fleet.nodes(Some(&environment())).len(), 2);
}
