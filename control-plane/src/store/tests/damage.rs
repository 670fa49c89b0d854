//! What sled's files may look like after a bad day.

use std::{fs, path::Path};

use tidegate_proto::revision::RevisionNumber;

use super::layout;
use crate::store::{
    Store as _, StoreError,
    change::{Change, Meta},
    load::load,
    migrate, record,
    sled::SledStore,
};

const COMMITS: u64 = 200;

fn fill(folder: &Path) {
    let store = SledStore::open(folder).unwrap();
    let plan = super::samples()
        .into_iter()
        .find(|object| record::key(&object.key()) == "plan/Gold")
        .unwrap();
    for number in 1..=COMMITS {
        store
            .commit(&Change {
                meta: Meta {
                    format: migrate::FORMAT,
                    number: RevisionNumber::new(number),
                    records: 1,
                },
                writes: [("plan/Gold".to_owned(), Some(record::encode(&plan)))].into(),
                audit: vec![b'x'; 1000],
            })
            .unwrap();
    }
}

#[test]
fn a_store_opens_again_with_everything_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let store = SledStore::open(folder.path()).unwrap();
    assert_eq!(store.meta().unwrap().unwrap().number.get(), COMMITS);
    assert_eq!(load(&store).unwrap().unwrap().plans().len(), 1);
}

#[test]
fn a_second_process_on_the_same_folder_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    let error = SledStore::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }));
    let text = error.to_string();
    assert!(
        text.contains(&format!("pid {}", std::process::id())),
        "{text}"
    );
    assert!(text.contains("in use by another process"), "{text}");
    drop(store);
    SledStore::open(folder.path()).unwrap();
}

#[test]
fn a_damaged_log_is_refused_or_whole_but_never_silently_shorter() {
    let origin = tempfile::tempdir().unwrap();
    fill(origin.path());
    let log = fs::read(origin.path().join("sled/db")).unwrap();
    let written = log.iter().rposition(|byte| *byte != 0).unwrap();
    let mut n_refused = 0;
    for step in 0..12 {
        let folder = tempfile::tempdir().unwrap();
        copy(origin.path(), folder.path());
        let mut damaged = log.clone();
        let at = written * step / 12;
        for byte in &mut damaged[at..(at + 64).min(written)] {
            *byte ^= 0x5a;
        }
        fs::write(folder.path().join("sled/db"), damaged).unwrap();
        match SledStore::open(folder.path()) {
            Ok(store) => {
                let whole = load(&store).map(|state| state.unwrap().number().get());
                match whole {
                    Ok(number) => assert_eq!(number, COMMITS, "damage at {at}"),
                    Err(error) => {
                        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
                        n_refused += 1;
                    }
                }
            }
            Err(error) => {
                assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
                n_refused += 1;
            }
        }
    }
    assert!(n_refused > 0, "no damage was noticed");
}

#[test]
fn a_store_that_is_refused_is_left_as_it_was_found() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let log = folder.path().join("sled/db");
    let mut damaged = fs::read(&log).unwrap();
    let written = damaged.iter().rposition(|byte| *byte != 0).unwrap();
    for byte in &mut damaged[written / 3..written / 3 + 64] {
        *byte ^= 0x5a;
    }
    fs::write(&log, &damaged).unwrap();
    for _ in 0..2 {
        let error = SledStore::open(folder.path()).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert!(fs::read(&log).unwrap() == damaged, "the log was changed");
    }
}

#[test]
fn an_opening_that_was_cut_off_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    // As an earlier version left it when the copy was whole and sled had begun to repair.
    let before = folder.path().join("sled.before");
    fs::create_dir(&before).unwrap();
    copy(&folder.path().join("sled"), &before);
    fs::write(folder.path().join("sled/db"), b"half repaired").unwrap();
    fs::create_dir(folder.path().join("sled.part")).unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    assert_eq!(store.meta().unwrap().unwrap().number.get(), COMMITS);
    assert!(!before.exists() && !folder.path().join("sled.part").exists());
}

#[test]
fn a_store_that_lost_its_log_is_refused_and_not_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    let error = SledStore::open(folder.path()).unwrap_err();
    assert!(
        error.to_string().contains("had answered number 200"),
        "{error}"
    );
}

#[test]
fn a_log_that_is_garbage_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    fs::write(folder.path().join("sled/db"), b"garbage").unwrap();
    let error = SledStore::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("restore a backup"), "{error}");
}

#[test]
fn a_store_that_lacks_an_audit_entry_is_refused() {
    for lost in [COMMITS, COMMITS / 2] {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        // As after a start on a log of which a part could not be read.
        let db = layout::opened(&folder.path().join("sled"));
        let audit = db.open_tree("audit").unwrap();
        audit.remove(lost.to_be_bytes()).unwrap().unwrap();
        drop((audit, db));
        let error = SledStore::open(folder.path()).unwrap_err();
        let text = error.to_string();
        let expected = format!("the audit entry before number {} is missing", lost + 1);
        assert!(text.contains(&expected), "{text}");
    }
}

#[test]
fn debugging_a_store_shows_nothing_that_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    assert!(!format!("{store:?}").contains("Tree"));
}

#[test]
fn a_disk_that_is_nearly_full_is_noticed_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let store = SledStore::with_reserve(folder.path(), u64::MAX).unwrap();
    let mut change = Change {
        meta: store.meta().unwrap().unwrap(),
        writes: [].into(),
        audit: Vec::new(),
    };
    change.meta.number = change.meta.number.next();
    let error = store.commit(&change).unwrap_err();
    assert!(error.to_string().contains("is full"), "{error}");
    assert!(!error.leaves_doubt());
    assert_eq!(store.meta().unwrap().unwrap().number.get(), COMMITS);
    drop(store);
    SledStore::open(folder.path())
        .unwrap()
        .commit(&change)
        .unwrap();
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
