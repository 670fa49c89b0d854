//! Real disks: one that loses its power, and one that is full. Both need the right to mount; where it is missing, `power`
//! and `derived` check the same without it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::commits::{change, contents};
use crate::store::{Store as _, StoreError, change::Contents, sled::SledStore};

/// A mounted file system, for as long as it is not dropped.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this process may not mount.
    fn mount(arguments: &[&str], at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount.args(arguments).arg(at).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: this process may not mount");
            return None;
        }
        Some(Self(at.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mut unmount = Command::new("umount");
        // Threads of a store that was closed may hold a file for a moment longer.
        let done = unmount.arg("--lazy").arg(&self.0).status();
        assert!(done.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn a_copy_of_the_disk_right_after_an_answer_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("disk");
    fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
    let mut format = Command::new("mkfs.ext4");
    let formatted = format.arg("-q").arg(&image).status();
    if !formatted.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no mkfs.ext4");
        return;
    }
    let device = ["-o", "loop", image.to_str().unwrap()];
    let Some(disk) = Disk::mount(&device, &folder.path().join("disk.mounted")) else {
        return;
    };
    let store = SledStore::with_reserve(&disk.0.join("store"), 0).unwrap();
    for number in 1..=8 {
        store.commit(&change(number)).unwrap();
        let copy = folder.path().join(format!("copy-{number}"));
        fs::copy(&image, &copy).unwrap();
        let device = ["-o", "loop", copy.to_str().unwrap()];
        let found = Disk::mount(&device, &copy.with_extension("mounted")).unwrap();
        let again = SledStore::with_reserve(&found.0.join("store"), 0).unwrap();
        assert!(
            Contents::of(&again).unwrap() == contents(number),
            "{number}"
        );
        drop(again);
    }
    drop(store);
}

#[test]
fn a_start_on_a_full_disk_is_refused_and_once_there_is_room_all_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("mounted");
    let Some(disk) = Disk::mount(&["-t", "tmpfs", "-o", "size=16m", "none"], &at) else {
        return;
    };
    let path = disk.0.join("store");
    let store = SledStore::with_reserve(&path, 0).unwrap();
    for number in 1..=30 {
        store.commit(&change(number)).unwrap();
    }
    drop(store);
    let filler = disk.0.join("filler");
    // To the last byte, then with a little room and a little more.
    for room in [0, 4096, 64 << 10, 600 << 10, 1 << 20] {
        let free = rustix::fs::statvfs(&disk.0).unwrap();
        let free = free.f_bavail * free.f_frsize;
        let size = usize::try_from(free - room).unwrap();
        fs::write(&filler, vec![1; size]).unwrap();
        if let Err(error) = SledStore::with_reserve(&path, 0) {
            let is_damage = matches!(error, StoreError::Corrupt { .. });
            assert!(!is_damage, "with {room} bytes free: {error}");
        }
        fs::remove_file(&filler).unwrap();
        let store = SledStore::with_reserve(&path, 0)
            .unwrap_or_else(|e| panic!("after a start with {room} bytes free: {e}"));
        assert!(Contents::of(&store).unwrap() == contents(30));
        drop(store);
    }
}
