//! The contract that every backend keeps.

use std::{collections::BTreeMap, io::Cursor};

use tidegate_proto::revision::RevisionNumber;

use crate::{
    domain::audit::AuditEntry,
    store::{
        Store, StoreError,
        change::{Change, Contents, Meta},
        export,
        load::load,
        memory::MemoryStore,
        migrate, record,
        sled::SledStore,
    },
};

/// Runs a check over every backend.
fn on_every_backend(check: impl Fn(&dyn Store)) {
    check(&MemoryStore::new());
    let folder = tempfile::tempdir().unwrap();
    check(&SledStore::open(&folder.path().join("store")).unwrap());
}

fn change(number: u64, records: u64, writes: &[(&str, Option<&str>)]) -> Change {
    Change {
        meta: Meta {
            format: migrate::FORMAT,
            number: RevisionNumber::new(number),
            records,
        },
        writes: writes
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.map(|v| v.as_bytes().to_vec())))
            .collect(),
        audit: format!("entry {number}").into_bytes(),
    }
}

fn rows(store: &dyn Store) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    store
        .scan(&mut |key, value| {
            rows.insert(key.to_owned(), String::from_utf8(value.to_vec()).unwrap());
            Ok(())
        })
        .unwrap();
    rows
}

fn expected(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    rows.iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

#[test]
fn an_empty_store_says_that_nothing_was_ever_kept() {
    on_every_backend(|store| {
        assert_eq!(store.meta().unwrap(), None);
        assert!(rows(store).is_empty());
        assert!(store.audit(u64::MAX, 10).unwrap().is_empty());
        assert!(load(store).unwrap().is_none());
    });
}

#[test]
fn a_commit_writes_and_removes_and_keeps_its_audit_entry() {
    on_every_backend(|store| {
        let first = change(1, 2, &[("a/1", Some("one")), ("b/2", Some("two"))]);
        store.commit(&first).unwrap();
        let second = change(
            2,
            2,
            &[("a/1", None), ("b/2", Some("deux")), ("c/3", Some("three"))],
        );
        store.commit(&second).unwrap();
        assert_eq!(rows(store), expected(&[("b/2", "deux"), ("c/3", "three")]));
        assert_eq!(store.meta().unwrap(), Some(second.meta));
        let entries = store.audit(u64::MAX, 10).unwrap();
        assert_eq!(
            entries,
            [(2, b"entry 2".to_vec()), (1, b"entry 1".to_vec())]
        );
        assert_eq!(store.audit(2, 10).unwrap(), [(1, b"entry 1".to_vec())]);
        assert_eq!(store.audit(u64::MAX, 1).unwrap().len(), 1);
    });
}

#[test]
fn a_record_as_long_as_the_longest_is_kept_whole_and_found_again() {
    let picture = "x".repeat(360_000);
    on_every_backend(|store| {
        let writes = [("a/1", Some("one")), ("b/2", Some(picture.as_str()))];
        store.commit(&change(1, 2, &writes)).unwrap();
        assert_eq!(rows(store), expected(&[("a/1", "one"), ("b/2", &picture)]));
    });
}

#[test]
fn a_change_that_does_not_follow_is_refused_and_changes_nothing() {
    on_every_backend(|store| {
        store
            .commit(&change(1, 1, &[("a/1", Some("one"))]))
            .unwrap();
        for number in [0, 1, 3] {
            let error = store
                .commit(&change(number, 1, &[("a/1", Some("other"))]))
                .unwrap_err();
            assert!(matches!(error, StoreError::OutOfStep { kept: 1, .. }));
        }
        assert_eq!(rows(store), expected(&[("a/1", "one")]));
        store
            .commit(&change(2, 1, &[("a/1", Some("two"))]))
            .unwrap();
        assert_eq!(rows(store), expected(&[("a/1", "two")]));
    });
}

#[test]
fn replacing_leaves_nothing_of_what_was_there() {
    on_every_backend(|store| {
        store
            .commit(&change(1, 1, &[("a/1", Some("one"))]))
            .unwrap();
        let contents = Contents {
            meta: change(7, 1, &[]).meta,
            records: BTreeMap::from([("b/2".to_owned(), b"two".to_vec())]),
            audit: BTreeMap::from([(7, b"entry 7".to_vec())]),
        };
        store.replace(&contents).unwrap();
        assert_eq!(Contents::of(store).unwrap(), Some(contents));
        store.recover().unwrap();
        store.commit(&change(8, 1, &[])).unwrap();
    });
}

/// Every kind of object, committed one by one.
fn fill(store: &dyn Store) {
    for (index, object) in super::samples().into_iter().enumerate() {
        let number = index as u64 + 1;
        let key = record::key(&object.key());
        let mut change = change(number, number, &[]);
        change.writes.insert(key, Some(record::encode(&object)));
        let entry = AuditEntry {
            number: RevisionNumber::new(number),
            ..super::golden::entry()
        };
        change.audit = record::encode_audit(&entry);
        store.commit(&change).unwrap();
    }
}

#[test]
fn every_kind_of_object_comes_back_as_it_was_committed() {
    on_every_backend(|store| {
        fill(store);
        let state = load(store).unwrap().unwrap();
        let samples = super::samples();
        assert_eq!(state.len(), samples.len());
        assert_eq!(state.number().get(), samples.len() as u64);
        for sample in samples {
            assert_eq!(state.get(&sample.key()), Some(sample));
        }
    });
}

#[test]
fn an_export_restores_everything_into_any_backend() {
    on_every_backend(|store| {
        fill(store);
        let mut file = Vec::new();
        export::export(store, &mut file).unwrap();
        on_every_backend(|other| {
            export::restore(other, &mut Cursor::new(&file)).unwrap();
            assert_eq!(Contents::of(other).unwrap(), Contents::of(store).unwrap());
            let again = export::restore(other, &mut Cursor::new(&file)).unwrap_err();
            assert!(matches!(again, StoreError::NotEmpty));
        });
    });
}

#[test]
fn an_export_that_was_altered_or_cut_short_restores_nothing() {
    let store = MemoryStore::new();
    fill(&store);
    let mut file = Vec::new();
    export::export(&store, &mut file).unwrap();
    let lines: Vec<&str> = std::str::from_utf8(&file).unwrap().lines().collect();
    let mut broken: Vec<String> = vec![
        String::new(),
        "not an export".to_owned(),
        lines[..lines.len() - 1].join("\n"),
        [&lines[..2], &lines[3..]].concat().join("\n"),
        [&lines[..], &lines[1..2]].concat().join("\n"),
    ];
    for at in (0..file.len()).step_by(97) {
        let mut bytes = file.clone();
        bytes[at] ^= 1;
        broken.extend(String::from_utf8(bytes));
    }
    for text in broken {
        let target = MemoryStore::new();
        assert!(export::restore(&target, &mut Cursor::new(&text)).is_err());
        assert_eq!(target.meta().unwrap(), None);
    }
}

#[test]
fn an_export_that_is_whole_but_does_not_read_restores_nothing() {
    let store = MemoryStore::new();
    fill(&store);
    let whole = Contents::of(&store).unwrap().unwrap();
    let nonsense = |key: &str| record::frame(key, r#"{"V99":{}}"#);
    let mut record = whole.clone();
    record
        .records
        .insert("plan/Gold".to_owned(), nonsense("plan/Gold"));
    let mut entry = whole;
    entry.audit.insert(1, nonsense(&record::audit_key(1)));
    for unreadable in [record, entry] {
        store.replace(&unreadable).unwrap();
        let mut file = Vec::new();
        export::export(&store, &mut file).unwrap();
        on_every_backend(|target| {
            let error = export::restore(target, &mut Cursor::new(&file)).unwrap_err();
            assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
            assert_eq!(target.meta().unwrap(), None);
        });
    }
}

#[test]
fn a_newer_store_is_refused() {
    on_every_backend(|store| {
        let mut newer = change(1, 0, &[]);
        newer.meta.format = migrate::FORMAT + 1;
        store.commit(&newer).unwrap();
        let error = load(store).unwrap_err();
        assert!(matches!(error, StoreError::TooNew { .. }));
        assert!(error.to_string().contains("newer"));
        // Nothing was touched.
        assert_eq!(store.meta().unwrap(), Some(newer.meta));
    });
}

#[test]
fn a_store_of_format_0_is_migrated_once() {
    let file = include_bytes!("../../../tests/golden/store-format-0.export");
    on_every_backend(|store| {
        let old = export::restore(store, &mut Cursor::new(file)).unwrap();
        assert_eq!(old.format, 0);
        let state = load(store).unwrap().unwrap();
        assert_eq!(store.meta().unwrap().unwrap().format, migrate::FORMAT);
        assert_eq!(state.number(), old.number);
        let environments: Vec<_> = state
            .deployments()
            .values()
            .map(|deployment| deployment.environment.to_string())
            .collect();
        assert_eq!(environments, ["default", "lab"]);
        assert_eq!(load(store).unwrap().unwrap().len(), state.len());
    });
}

#[test]
fn a_lost_swapped_or_rotten_record_is_noticed() {
    on_every_backend(|store| {
        fill(store);
        let whole = Contents::of(store).unwrap().unwrap();
        let plan = "plan/Gold".to_owned();
        let user = whole
            .records
            .keys()
            .find(|key| key.starts_with("user/"))
            .unwrap()
            .clone();

        let mut lost = whole.clone();
        lost.records.remove(&plan);
        let mut swapped = whole.clone();
        swapped.records.insert(user, whole.records[&plan].clone());
        let mut rotten = whole.clone();
        rotten.records.get_mut(&plan).unwrap()[30] ^= 1;
        for damaged in [lost, swapped, rotten] {
            store.replace(&damaged).unwrap();
            let error = load(store).unwrap_err();
            assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
            assert!(error.to_string().contains("restore a backup"));
            assert_eq!(Contents::of(store).unwrap(), Some(damaged));
        }
    });
}
