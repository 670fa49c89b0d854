//! What a store makes out of its log may be missing, cut or garbage; and a start that fails changes nothing.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::commits::{change, contents};
use crate::store::{Store as _, StoreError, change::Contents, sled::SledStore};

const FOLDER: &str = "TIDEGATE_TEST_DERIVED_FOLDER";
const NAME: &str =
    "store::tests::derived::a_start_that_fails_changes_no_byte_and_the_next_finds_everything";
const COMMITS: u64 = 30;

/// A store that was opened twice, so that every file is there that sled ever makes.
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

fn assert_is_whole(folder: &Path, what: &str) {
    let store = SledStore::open(folder).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(Contents::of(&store).unwrap() == contents(COMMITS), "{what}");
    // And it goes on: what is derived is made again.
    store.commit(&change(COMMITS + 1)).unwrap();
}

fn lay_out(files: &BTreeMap<PathBuf, Vec<u8>>, origin: &Path, folder: &Path) {
    for (path, bytes) in files {
        let path = folder.join(path.strip_prefix(origin).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn what_is_derived_from_the_log_may_be_missing_cut_or_garbage() {
    let origin = tempfile::tempdir().unwrap();
    fill(origin.path());
    let files = bytes(origin.path());
    let derived: Vec<_> = files
        .keys()
        .filter(|path| path.file_name().unwrap() != "db")
        .collect();
    let is_there = |start: &str| {
        let names = derived.iter().filter_map(|path| path.file_name()?.to_str());
        names.filter(|name| name.starts_with(start)).count() == 1
    };
    assert!(
        is_there("snap.") && is_there("conf") && is_there("witness"),
        "{derived:?}"
    );
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
            lay_out(&files, origin.path(), folder.path());
            assert_is_whole(folder.path(), &format!("{} {what}", path.display()));
        }
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
    ] {
        for content in [b"".as_slice(), b"half of what it was to be"] {
            let folder = tempfile::tempdir().unwrap();
            lay_out(&files, origin.path(), folder.path());
            let left = folder.path().join(left);
            fs::create_dir_all(left.parent().unwrap()).unwrap();
            fs::write(&left, content).unwrap();
            assert_is_whole(folder.path(), &left.display().to_string());
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
    assert_is_whole(folder.path(), "after starts that failed");
}
