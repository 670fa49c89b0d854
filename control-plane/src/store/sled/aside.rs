//! A log as it was before it is opened: sled repairs a damaged one in place, and what it forgets might still have been
//! saved by somebody.
//!
//! The copy lives for as long as opening takes. Called by the sled backend.

use std::{fs, io, path::Path};

/// A whole copy.
const WHOLE: &str = "sled.before";
/// A copy that is being made or thrown away, and counts for nothing.
const PART: &str = "sled.part";
const LOG: &str = "sled";

/// Copies the log of a store aside, or puts back the copy that was left when an opening was cut off.
pub(super) fn keep(folder: &Path) -> io::Result<()> {
    let (log, whole, part) = (folder.join(LOG), folder.join(WHOLE), folder.join(PART));
    if part.exists() {
        fs::remove_dir_all(&part)?;
    }
    if whole.exists() {
        restore(folder)?;
    }
    if !log.exists() {
        return Ok(());
    }
    let kept = copy(&log, &part).and_then(|()| fs::rename(&part, whole));
    if kept.is_err() {
        // Half a copy must not take the last of a disk.
        fs::remove_dir_all(part)?;
    }
    kept
}

/// Throws the copy away, when the log has proved good.
pub(super) fn forget(folder: &Path) -> io::Result<()> {
    let (whole, part) = (folder.join(WHOLE), folder.join(PART));
    if !whole.exists() {
        return Ok(());
    }
    // By this one step it stops to count; what follows may be cut off.
    fs::rename(whole, &part)?;
    fs::remove_dir_all(part)
}

/// Puts the copy back in the place of the log.
pub(super) fn restore(folder: &Path) -> io::Result<()> {
    let (log, whole) = (folder.join(LOG), folder.join(WHOLE));
    if !whole.exists() {
        return Ok(());
    }
    if log.exists() {
        fs::remove_dir_all(&log)?;
    }
    fs::rename(whole, log)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
