//! How batches become snapshots and acknowledgements, without a connection.

use tidegate_proto::discovery::v1::{Batch, Resource, resource::Body};

use super::{Assembly, ExchangeError, Step};
use crate::snapshot::{
    Snapshot,
    fixture::{api, plan, snapshot, wire},
};

fn batch(number: u64, upserts: Vec<Resource>, removals: &[&str]) -> Batch {
    Batch {
        number,
        upserts,
        removals: removals.iter().map(|&name| name.to_owned()).collect(),
        more: false,
    }
}

fn step(before: &Snapshot, parts: Vec<Batch>) -> Step {
    let mut assembly = Assembly::default();
    for part in parts {
        assembly = assembly.add(part).unwrap();
    }
    assembly.apply(before)
}

fn gold(limit: u64) -> Resource {
    wire(Body::Plan(plan("Gold", limit)))
}

fn names(step: &Step) -> Vec<&str> {
    let rejections = step.ack.rejections.iter();
    rejections
        .map(|rejection| rejection.name.as_str())
        .collect()
}

#[test]
fn parts_make_one_step() {
    let silver = wire(Body::Plan(plan("Silver", 1)));
    let before = snapshot(vec![Body::Plan(plan("Bronze", 1))]);
    let step = step(
        &before,
        vec![
            batch(9, vec![gold(1)], &[]),
            batch(9, vec![silver], &["plans/Bronze", "unheard/of"]),
        ],
    );
    assert_eq!(step.snapshot.number().get(), 9);
    assert_eq!(step.snapshot.len(), 2);
    assert_eq!((step.ack.number, names(&step)), (9, vec![]));
    assert_eq!(step.changes.resources.len(), 4);
}

#[test]
fn parts_of_two_numbers_do_not_mix() {
    let begun = Assembly::default().add(batch(1, vec![], &[])).unwrap();
    let mixed = begun.add(batch(2, vec![], &[]));
    assert!(matches!(
        mixed,
        Err(ExchangeError::Interleaved {
            expected: 1,
            got: 2
        })
    ));
}

#[test]
fn a_bad_resource_is_rejected_alone_and_its_last_good_version_stays() {
    let before = snapshot(vec![Body::Plan(plan("Gold", 1))]);
    let mut bad = gold(2);
    bad.version ^= 1;
    let rejected_version = bad.version;
    let fine = wire(Body::Plan(plan("Silver", 1)));
    let step = step(&before, vec![batch(2, vec![bad, fine], &[])]);
    assert_eq!(names(&step), ["plans/Gold"]);
    assert_eq!(step.ack.rejections[0].version, rejected_version);
    assert!(step.ack.rejections[0].reason.contains("hashes to"));
    assert_eq!(step.snapshot.plan("Gold"), before.plan("Gold"));
    assert!(step.snapshot.plan("Silver").is_some());
    let kept: Vec<_> = step.changes.resources.keys().collect();
    assert_eq!(
        kept,
        ["plans/Silver"],
        "the cache keeps the last good version, too"
    );
}

#[test]
fn what_lost_its_place_to_another_is_not_brought_back_by_the_cache() {
    let before = snapshot(vec![
        Body::Api(api(1, "/a", "1", &[])),
        Body::Api(api(2, "/b", "1", &[])),
        Body::Api(api(3, "/c", "1", &[])),
    ]);
    // The first takes the second's old place; the second wants the third's, who stays.
    let upserts = vec![
        wire(Body::Api(api(1, "/b", "1", &[]))),
        wire(Body::Api(api(2, "/c", "1", &[]))),
    ];
    let step = step(&before, vec![batch(2, upserts, &[])]);
    let second = wire(Body::Api(api(2, "/c", "1", &[]))).name;
    assert_eq!(names(&step), [second.as_str()]);
    let third = wire(Body::Api(api(3, "/c", "1", &[]))).name;
    assert_eq!(step.ack.rejections[0].blocked_by, third);
    assert_eq!(step.snapshot.len(), 2);
    assert_eq!(step.changes.resources.get(&second), Some(&None));
}

#[test]
fn a_batch_without_content_moves_the_number_only() {
    let before = snapshot(vec![Body::Plan(plan("Gold", 1))]);
    let step = step(&before, vec![batch(5, vec![], &[])]);
    assert_eq!(step.snapshot.number().get(), 5);
    assert!(step.snapshot.is_same_configuration(&before));
}
