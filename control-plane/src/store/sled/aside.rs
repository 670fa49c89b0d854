//! The folders beside the log: the copy that is read when a store is opened, the log that is being built, and the log as it
//! was while another takes its place.
//!
//! `sled.before`, while it is there, is the truth, whatever lies in `sled`. The others count for nothing. Each step of an
//! exchange is on the disk before the next begins. Called by the sled backend.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tidegate_kit::durable;

use super::{check_space, failed, log::OPENING};
use crate::store::StoreError;

/// The log.
pub(super) const LOG: &str = "sled";
/// A log that is being built, or thrown away.
pub(super) const PART: &str = "sled.part";
/// A copy of the log.
const COPY: &str = "sled.copy";
/// The log as it was.
const WHOLE: &str = "sled.before";

/// What of sled's files a copy is read with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum With {
    /// The log and the snapshot, which a log that sled opened more than once cannot be read without.
    Snapshot,
    /// The log alone.
    LogAlone,
}

/// Removes what an opening or an exchange left that was cut off.
pub(super) fn settle(folder: &Path) -> io::Result<()> {
    clear(folder)?;
    let (log, whole) = (folder.join(LOG), folder.join(WHOLE));
    if !whole.try_exists()? {
        return Ok(());
    }
    remove(&log)?;
    durable::rename(&whole, &log)
}

/// Copies the log, to be read: opening changes what is opened. Without room for the copy nothing is opened: sled would
/// stop in the middle on a full disk.
pub(super) fn copy(folder: &Path, with: With) -> Result<PathBuf, StoreError> {
    let io = |e: io::Error| failed("open", &e);
    let (log, copy) = (folder.join(LOG), folder.join(COPY));
    remove(&copy).map_err(io)?;
    let needed = OPENING.saturating_add(size(&log).map_err(io)?);
    check_space(folder, "open", needed)?;
    copy_tree(&log, &copy).map_err(io)?;
    forget_derived(&copy, with).map_err(io)?;
    Ok(copy)
}

/// How many bytes the file of the log has.
pub(super) fn log_size(folder: &Path) -> io::Result<u64> {
    Ok(fs::metadata(folder.join(LOG).join("db"))?.len())
}

/// Whether the log has a snapshot.
pub(super) fn has_snapshot(folder: &Path) -> io::Result<bool> {
    let log = folder.join(LOG);
    if !log.try_exists()? {
        return Ok(false);
    }
    for entry in fs::read_dir(log)? {
        if is_snapshot(&entry?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts the log in `sled.part` in the place of the one in `sled`.
pub(super) fn exchange(folder: &Path) -> io::Result<()> {
    let (log, whole, part) = (folder.join(LOG), folder.join(WHOLE), folder.join(PART));
    if log.try_exists()? {
        durable::rename(&log, &whole)?;
    }
    durable::rename(&part, &log)?;
    if whole.try_exists()? {
        // By this one step it stops to count; what follows may be cut off.
        durable::rename(&whole, &part)?;
    }
    clear(folder)
}

/// Removes what counts for nothing.
pub(super) fn clear(folder: &Path) -> io::Result<()> {
    remove(&folder.join(COPY))?;
    remove(&folder.join(PART))
}

/// Removes what sled makes anew, and a snapshot that was not finished, which sled would take for the latest.
fn forget_derived(copy: &Path, with: With) -> io::Result<()> {
    for entry in fs::read_dir(copy)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_part = name.to_string_lossy().ends_with(".generating");
        if name == "conf" || is_part || with == With::LogAlone && is_snapshot(&entry) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn is_snapshot(entry: &fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with("snap.")
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// How many bytes the files below a folder have.
fn size(folder: &Path) -> io::Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        total += if metadata.is_dir() {
            size(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(total)
}
