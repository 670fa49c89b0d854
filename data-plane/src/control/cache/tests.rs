//! What survives a restart, and what is refused.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use bytes::Bytes;
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};
use prost::Message as _;
use tempfile::TempDir;
use tidegate_proto::{
    discovery::v1::{Resource, resource::Body},
    revision::RevisionNumber,
};

use super::{CacheError, FILE, Log, REWRITE_LEAST, format::Changes};
use crate::snapshot::{
    Snapshot,
    fixture::{plan, wire},
};

fn resource(name: &str, limit: u64) -> Resource {
    wire(Body::Plan(plan(name, limit)))
}

fn changes(number: u64, plans: &[(&str, Option<u64>)]) -> Changes {
    let encode = |(name, limit): &(&str, Option<u64>)| {
        let bytes = limit.map(|limit| Bytes::from(resource(name, limit).encode_to_vec()));
        (format!("plans/{name}"), bytes)
    };
    Changes {
        number: RevisionNumber::new(number),
        resources: plans.iter().map(encode).collect(),
    }
}

fn open(dir: &Path) -> (Log, Option<Snapshot>) {
    Log::open(dir, "default").expect("the cache opens")
}

/// Number, and the plans that are held.
fn seen(snapshot: Option<Snapshot>) -> Option<(u64, Vec<String>)> {
    snapshot.map(|snapshot| {
        let mut names: Vec<_> = snapshot.held().map(|(name, _)| name.to_string()).collect();
        names.sort();
        (snapshot.number().get(), names)
    })
}

fn written(commits: &[Changes]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path());
    for commit in commits {
        log.append(commit).unwrap();
    }
    dir
}

fn two_commits() -> TempDir {
    written(&[
        changes(1, &[("Gold", Some(1)), ("Silver", Some(2))]),
        changes(2, &[("Gold", None), ("Bronze", Some(3))]),
    ])
}

fn set_aside(dir: &Path) -> usize {
    let names = fs::read_dir(dir).unwrap();
    names
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().contains("corrupt")
        })
        .count()
}

#[test]
fn what_was_kept_is_there_after_a_restart_and_goes_on_from_there() {
    let dir = two_commits();
    let (mut log, snapshot) = open(dir.path());
    let names = vec!["plans/Bronze".to_owned(), "plans/Silver".to_owned()];
    assert_eq!(seen(snapshot), Some((2, names.clone())));
    log.append(&changes(3, &[])).unwrap();
    drop(log);
    assert_eq!(seen(open(dir.path()).1), Some((3, names)));
}

#[test]
fn a_new_directory_holds_nothing_and_is_for_its_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("a/b");
    let (log, snapshot) = open(&inner);
    assert_eq!(seen(snapshot), None);
    drop(log);
    assert_eq!(seen(open(&inner).1), None);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    assert_eq!(mode(&inner.join(FILE)), 0o600);
}

#[test]
fn the_configuration_of_another_environment_is_not_used() {
    let dir = two_commits();
    let (_log, snapshot) = Log::open(dir.path(), "other").unwrap();
    assert_eq!(seen(snapshot), None);
}

#[test]
fn two_nodes_do_not_share_a_cache() {
    let dir = tempfile::tempdir().unwrap();
    let (_log, _) = open(dir.path());
    let second = Log::open(dir.path(), "default").unwrap_err();
    assert!(matches!(second, CacheError::Taken(_)), "{second}");
}

#[test]
fn a_commit_that_was_cut_short_is_left_out_wherever_the_cut_is() {
    let dir = two_commits();
    let path = dir.path().join(FILE);
    let whole = fs::read(&path).unwrap();
    let first = written(&[changes(1, &[("Gold", Some(1)), ("Silver", Some(2))])]);
    let first = fs::read(first.path().join(FILE)).unwrap().len();
    let names = vec!["plans/Gold".to_owned(), "plans/Silver".to_owned()];
    for end in first..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        let (mut log, snapshot) = open(dir.path());
        assert_eq!(seen(snapshot), Some((1, names.clone())), "cut at {end}");
        if end % 16 == 0 {
            log.append(&changes(7, &[])).unwrap();
            drop(log);
            assert_eq!(seen(open(dir.path()).1), Some((7, names.clone())));
        }
    }
    assert_eq!(set_aside(dir.path()), 0);
}

#[test]
fn a_commit_of_which_the_disk_has_the_length_alone_is_left_out() {
    let dir = two_commits();
    let path = dir.path().join(FILE);
    let whole = fs::read(&path).unwrap();
    let first = written(&[changes(1, &[("Gold", Some(1)), ("Silver", Some(2))])]);
    let first = fs::read(first.path().join(FILE)).unwrap().len();
    let names = vec!["plans/Gold".to_owned(), "plans/Silver".to_owned()];
    for unwritten_from in first..whole.len() - 32 {
        let mut bytes = whole.clone();
        bytes[unwritten_from..].fill(0);
        fs::write(&path, &bytes).unwrap();
        let (mut log, snapshot) = open(dir.path());
        let seen_now = seen(snapshot);
        assert_eq!(seen_now, Some((1, names.clone())), "{unwritten_from}");
        if unwritten_from % 16 == 0 {
            log.append(&changes(7, &[])).unwrap();
            drop(log);
            assert_eq!(seen(open(dir.path()).1), Some((7, names.clone())));
        }
    }
    assert_eq!(set_aside(dir.path()), 0);
}

proptest! {
    // Each case writes files.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_flipped_bit_anywhere_is_noticed_and_the_file_is_set_aside(
        at in any::<prop::sample::Index>(), bit in 0..8_u32,
    ) {
        let dir = two_commits();
        let path = dir.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        fs::write(&path, &bytes).unwrap();
        let (mut log, snapshot) = open(dir.path());
        prop_assert_eq!(seen(snapshot), None, "byte {}", at);
        prop_assert_eq!(set_aside(dir.path()), 1);
        // And the node goes on with a new one.
        log.append(&changes(5, &[("Gold", Some(1))])).unwrap();
        drop(log);
        prop_assert!(open(dir.path()).1.is_some());
    }

    #[test]
    fn garbage_is_set_aside(bytes in prop::collection::vec(prop::num::u8::ANY, 0..200)) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), bytes).unwrap();
        prop_assert_eq!(seen(open(dir.path()).1), None);
        prop_assert_eq!(set_aside(dir.path()), 1);
    }
}

#[test]
fn a_sealed_resource_that_is_no_longer_accepted_is_left_out_alone() {
    let mut commit = changes(1, &[("Gold", Some(1))]);
    let misnamed = Resource {
        name: "plans/Other".to_owned(),
        ..resource("Silver", 1)
    };
    let bytes = misnamed.encode_to_vec().into();
    commit
        .resources
        .insert("plans/Other".to_owned(), Some(bytes));
    let dir = written(&[commit]);
    let names = vec!["plans/Gold".to_owned()];
    assert_eq!(seen(open(dir.path()).1), Some((1, names)));
    assert_eq!(set_aside(dir.path()), 0);
}

#[test]
fn a_log_that_has_grown_is_rewritten_to_what_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path());
    let names: Vec<String> = (0..2000).map(|n| format!("plan-{n:0200}")).collect();
    let mut number = 0;
    let mut longest = 0;
    while number < 20 {
        number += 1;
        let plans: Vec<_> = names.iter().map(|n| (n.as_str(), Some(number))).collect();
        log.append(&changes(number, &plans)).unwrap();
        longest = longest.max(log.length);
        log.rewrite_if_grown().unwrap();
    }
    let one = log.length;
    assert!(
        longest >= REWRITE_LEAST,
        "it was never rewritten: {longest}"
    );
    assert!(longest < 2 * REWRITE_LEAST, "it grew to {longest}");
    drop(log);
    let (log, snapshot) = open(dir.path());
    let snapshot = snapshot.unwrap();
    assert_eq!((snapshot.number().get(), snapshot.len()), (20, 2000));
    assert_eq!(log.length, one);
}

#[test]
fn what_comes_later_goes_before_what_was_there() {
    let mut gathered = changes(1, &[("Gold", Some(1)), ("Silver", None)]);
    gathered.add(changes(2, &[("Gold", None), ("Silver", Some(4))]));
    assert_eq!(gathered, changes(2, &[("Gold", None), ("Silver", Some(4))]));
}
