//! A store as earlier versions wrote it: large values as sled keeps them, in files of their own, and a log that was opened
//! more than once, which sled cannot always read without its snapshot.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::commits::{change, contents};
use crate::store::{Store as _, change::Contents, record::frame, sled::SledStore};

pub(super) const COMMITS: u64 = 12;

/// Writes what twelve commits of an earlier version left, which was started anew before each.
pub(super) fn write_as_before(folder: &Path) {
    for number in 1..=COMMITS {
        let contents = contents(number).unwrap();
        let db = opened(&folder.join("sled"));
        let records = db.open_tree("records").unwrap();
        for (key, value) in &contents.records {
            records.insert(key, &**value).unwrap();
        }
        let audit = db.open_tree("audit").unwrap();
        let entry = &contents.audit[&number];
        audit.insert(number.to_be_bytes(), &**entry).unwrap();
        let meta = serde_json::to_string(&contents.meta).unwrap();
        let tree = db.open_tree("meta").unwrap();
        tree.insert("meta", frame("meta", &meta)).unwrap();
        db.flush().unwrap();
    }
    fs::write(
        folder.join("witness"),
        frame("witness", &format!("{COMMITS:020}")),
    )
    .unwrap();
}

/// Opens a log of sled's own, once the threads of the one that was dropped have let go of it.
pub(super) fn opened(path: &Path) -> sled::Db {
    let began = Instant::now();
    loop {
        match sled::open(path) {
            Ok(db) => return db,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(10), "{error}"),
        }
        thread::yield_now();
    }
}

fn n_blobs(folder: &Path) -> usize {
    fs::read_dir(folder.join("sled/blobs")).unwrap().count()
}

#[test]
fn a_store_of_an_earlier_version_is_whole_and_keeps_no_value_in_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    write_as_before(folder.path());
    assert!(n_blobs(folder.path()) > 0, "nothing was large");
    for _ in 0..2 {
        let store = SledStore::open(folder.path()).unwrap();
        assert!(Contents::of(&store).unwrap() == contents(COMMITS));
        assert_eq!(n_blobs(folder.path()), 0);
    }
    let store = SledStore::open(folder.path()).unwrap();
    for number in COMMITS + 1..=COMMITS + 20 {
        store.commit(&change(number)).unwrap();
        assert_eq!(n_blobs(folder.path()), 0, "number {number}");
    }
    assert!(Contents::of(&store).unwrap() == contents(COMMITS + 20));
}

#[test]
fn a_large_value_that_shrinks_or_goes_leaves_no_piece_and_one_that_begins_like_pieces_is_told_apart()
 {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    let sizes = [10_000, 3, 4096, 4097, 0, 700_000, 5];
    for (number, size) in (1..).zip(sizes) {
        let mut change = change(number);
        change.meta.records = 1;
        // Without a frame: what a value holds is not this layer's to know.
        let value = vec![0; size];
        change.writes = [("record/0".to_owned(), Some(value.clone()))].into();
        store.commit(&change).unwrap();
        let mut found = Vec::new();
        let mut visit = |_: &str, value: &[u8]| {
            found.push(value.to_vec());
            Ok(())
        };
        store.scan(&mut visit).unwrap();
        assert!(found == [value], "{size}");
    }
}
