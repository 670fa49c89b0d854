//! What a store makes out of its log may be missing, cut or garbage; and a start that fails changes nothing.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    commits::{change, contents},
    layout,
};
use crate::store::{Store as _, StoreError, change::Contents, record::frame, sled::SledStore};

const FOLDER: &str = "TIDEGATE_TEST_DERIVED_FOLDER";
const NAME: &str =
    "store::tests::derived::a_start_that_fails_changes_no_byte_and_the_next_finds_everything";
const COMMITS: u64 = 30;

/// A store that was opened more than once.
fn fill(folder: &Path) {
    for until in [COMMITS / 2, COMMITS] {
        let store = SledStore::open(folder).unwrap();
        let first = store
            .meta()
            .unwrap()
            .map_or(1, |meta| meta.number.get() + 1);
        for number in first..=until {
            store.commit(&change(number)).unwrap();
        }
    }
    drop(SledStore::open(folder).unwrap());
}

/// Every file with its bytes, but for the lock, which says who holds it.
fn bytes(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.file_name().unwrap() != "lock" {
                found.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    found
}

fn assert_is_whole(folder: &Path, number: u64, what: &str) {
    let store = SledStore::open(folder).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(Contents::of(&store).unwrap() == contents(number), "{what}");
    // And it goes on: what is derived is made again.
    store.commit(&change(number + 1)).unwrap();
}

fn lay_out(files: &BTreeMap<PathBuf, Vec<u8>>, origin: &Path, folder: &Path) {
    for (path, bytes) in files {
        let path = folder.join(path.strip_prefix(origin).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Opens a store with each of its files that is not the log missing, cut or garbage. Which these are.
fn spoil_each(origin: &Path, number: u64) -> Vec<String> {
    let files = bytes(origin);
    let derived = files.keys().filter(|path| {
        let log = origin.join("sled");
        **path != log.join("db") && !path.starts_with(log.join("blobs"))
    });
    let derived: Vec<_> = derived.collect();
    for path in &derived {
        let whole = &files[*path];
        let mut variants = vec![("missing".to_owned(), None)];
        for cut in [
            0,
            1,
            8,
            9,
            12,
            13,
            whole.len() / 2,
            whole.len().saturating_sub(1),
        ] {
            let part = whole[..cut.min(whole.len())].to_vec();
            variants.push((format!("cut to {cut}"), Some(part)));
        }
        variants.push(("garbage".to_owned(), Some(vec![0x5a; whole.len()])));
        variants.push(("zeros".to_owned(), Some(vec![0; whole.len()])));
        variants.push(("longer".to_owned(), Some(vec![b'7'; 9000])));
        for (what, variant) in variants {
            let folder = tempfile::tempdir().unwrap();
            let mut files = files.clone();
            match variant {
                Some(bytes) => drop(files.insert((*path).clone(), bytes)),
                None => drop(files.remove(*path)),
            }
            lay_out(&files, origin, folder.path());
            assert_is_whole(folder.path(), number, &format!("{} {what}", path.display()));
        }
    }
    let names = derived.iter().map(|path| path.file_name().unwrap());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

#[test]
fn what_is_derived_from_the_log_may_be_missing_cut_or_garbage() {
    let origin = tempfile::tempdir().unwrap();
    fill(origin.path());
    assert_eq!(spoil_each(origin.path(), COMMITS), ["conf", "witness"]);
}

#[test]
fn a_snapshot_that_an_earlier_version_left_may_be_missing_cut_or_garbage() {
    let origin = tempfile::tempdir().unwrap();
    layout::write_as_before(origin.path());
    let names = spoil_each(origin.path(), layout::COMMITS);
    assert!(
        names.iter().any(|name| name.starts_with("snap.")),
        "{names:?}"
    );
}

#[test]
fn without_snapshot_and_witness_nothing_shows_that_an_earlier_log_is_whole_so_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    layout::write_as_before(folder.path());
    fs::remove_file(folder.path().join("witness")).unwrap();
    for path in bytes(folder.path()).keys() {
        if path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("snap.")
        {
            fs::write(path, "cut").unwrap();
        }
    }
    let before = bytes(folder.path());
    let error = SledStore::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    let mut after = bytes(folder.path());
    after.remove(&folder.path().join("witness"));
    assert!(after == before, "a file was changed");
}

#[test]
fn a_log_that_reads_as_empty_is_refused_where_nothing_shows_that_it_is() {
    let folder = tempfile::tempdir().unwrap();
    drop(SledStore::open(folder.path()).unwrap());
    // Without a commit it is empty, and opens.
    drop(SledStore::open(folder.path()).unwrap());
    fill(folder.path());
    fs::remove_file(folder.path().join("witness")).unwrap();
    let log = folder.path().join("sled/db");
    let mut damaged = fs::read(&log).unwrap();
    for head in damaged.chunks_mut(512 << 10) {
        head[..16].fill(0x5a);
    }
    fs::write(&log, &damaged).unwrap();
    let error = SledStore::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(fs::read(&log).unwrap() == damaged, "the log was changed");
}

#[test]
fn a_snapshot_that_was_not_finished_is_not_taken_for_the_latest() {
    let folder = tempfile::tempdir().unwrap();
    layout::write_as_before(folder.path());
    // Without it, the log would not be believed without its snapshot.
    fs::remove_file(folder.path().join("witness")).unwrap();
    let part = folder.path().join("sled/snap.FFFFFFFFFFFFFFFF.generating");
    fs::write(part, "half of what it was to be").unwrap();
    assert_is_whole(folder.path(), layout::COMMITS, "with half a snapshot");
}

#[test]
fn a_witness_that_was_damaged_is_whole_again_after_a_start() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let witness = folder.path().join("witness");
    let whole = fs::read(&witness).unwrap();
    for damaged in [b"".as_slice(), b"garbage"] {
        fs::write(&witness, damaged).unwrap();
        drop(SledStore::open(folder.path()).unwrap());
        assert!(fs::read(&witness).unwrap() == whole);
    }
}

/// sled writes a snapshot when it opens a log again, and from then on cannot always read the log without it.
#[test]
fn a_store_never_needs_a_snapshot_however_often_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    for (number, size) in (1..).zip([360_000, 900_000, 20_000].repeat(6)) {
        let mut change = change(number);
        change.meta.records = 1;
        let text = frame("record/0", &"x".repeat(size));
        change.writes = [("record/0".to_owned(), Some(text))].into();
        let store = SledStore::open(folder.path()).unwrap_or_else(|e| panic!("{number}: {e}"));
        store.commit(&change).unwrap();
        drop(store);
        let store =
            SledStore::open(folder.path()).unwrap_or_else(|e| panic!("after {number}: {e}"));
        let found = Contents::of(&store).unwrap().unwrap();
        assert!(found.records.values().eq(change.writes.values().flatten()));
        let mut files = fs::read_dir(folder.path().join("sled")).unwrap();
        let is_snapshot = |name: &OsStr| name.to_string_lossy().starts_with("snap.");
        assert!(!files.any(|file| is_snapshot(&file.unwrap().file_name())));
    }
}

#[test]
fn what_an_opening_left_that_was_cut_off_is_not_believed() {
    let origin = tempfile::tempdir().unwrap();
    fill(origin.path());
    let files = bytes(origin.path());
    for left in [
        "sled/snap.00000000FFFFFFFF",
        "sled/snap.0000000000000001.generating",
        "sled/snap.FFFFFFFFFFFFFFFF.generating",
        "sled.part/db",
        "sled.part/blobs/1",
        "sled.copy/db",
    ] {
        for content in [b"".as_slice(), b"half of what it was to be"] {
            let folder = tempfile::tempdir().unwrap();
            lay_out(&files, origin.path(), folder.path());
            let left = folder.path().join(left);
            fs::create_dir_all(left.parent().unwrap()).unwrap();
            fs::write(&left, content).unwrap();
            assert_is_whole(folder.path(), COMMITS, &left.display().to_string());
        }
    }
}

#[test]
fn a_start_that_fails_changes_no_byte_and_the_next_finds_everything() {
    if let Some(folder) = env::var_os(FOLDER) {
        let error = SledStore::open(Path::new(&folder)).unwrap_err();
        assert!(!matches!(error, StoreError::Corrupt { .. }), "{error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let before = bytes(folder.path());
    let log = before
        .keys()
        .find(|path| path.ends_with("sled/db"))
        .unwrap();
    let kibibytes = before[log].len() / 1024;
    // A limit on the size of a file stands in for a full disk: a write beyond it fails, as it would there.
    for limit in [0, 1, 4, kibibytes / 2, kibibytes - 1] {
        let mut limited = Command::new("bash");
        limited.args([
            "-c",
            &format!("trap '' XFSZ; ulimit -f {limit}; exec \"$@\" >/dev/null 2>&1"),
            "bash",
        ]);
        limited.arg(env::current_exe().unwrap());
        limited.args(["--exact", NAME]).env(FOLDER, folder.path());
        let status = limited.status().unwrap();
        assert!(status.success(), "with files of {limit} KiB: {status}");
        let after = bytes(folder.path());
        let names = after.keys().eq(before.keys());
        assert!(names, "{limit} KiB: {:?} are there", after.keys());
        assert!(
            after == before,
            "a file was changed with files of {limit} KiB"
        );
    }
    assert_is_whole(folder.path(), COMMITS, "after starts that failed");
}
