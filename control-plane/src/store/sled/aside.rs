//! A log as it was before it is opened: sled repairs a damaged one in place, and what it forgets might still have been
//! saved by somebody; and a log that takes the place of another.
//!
//! `sled.before`, while it is there, is the truth, whatever lies in `sled`: it is there while opening takes, and while a
//! log is exchanged. Each step is on the disk before the next begins. Called by the sled backend.

use std::{fs, io, path::Path};

use tidegate_kit::durable;

use super::{failed, free_space};
use crate::store::StoreError;

/// The log.
pub(super) const LOG: &str = "sled";
/// A log that is being made or thrown away, and counts for nothing.
pub(super) const PART: &str = "sled.part";
/// The log as it was.
const WHOLE: &str = "sled.before";

/// What opening a log takes of a disk beside the copy: sled fills up the segment with which its log ends, and writes a
/// snapshot of where everything is.
const OPENING: u64 = 2 << 20;

/// Whether there was a log.
pub(super) enum Kept {
    Nothing,
    Log,
}

/// Copies the log of a store aside, or puts back the one that was left when an opening was cut off. Without room for the
/// copy nothing is opened: sled would stop in the middle on a full disk.
pub(super) fn keep(folder: &Path) -> Result<Kept, StoreError> {
    let io = |e: io::Error| failed("open", &e);
    let (log, whole, part) = (folder.join(LOG), folder.join(WHOLE), folder.join(PART));
    clear(folder).map_err(io)?;
    if whole.exists() {
        put_back(folder).map_err(io)?;
    }
    let needed = OPENING.saturating_add(size(&log).map_err(io)?);
    let free = free_space(folder).map_err(io)?;
    if free < needed {
        return Err(StoreError::Full { free, needed });
    }
    if !log.exists() {
        return Ok(Kept::Nothing);
    }
    let kept = copy(&log, &part)
        .and_then(|()| durable::sync_tree(&part))
        .and_then(|()| durable::rename(&part, &whole));
    if kept.is_err() {
        // Half a copy must not take the last of a disk.
        clear(folder).map_err(io)?;
    }
    kept.map_err(io).map(|()| Kept::Log)
}

/// Puts the log in `sled.part` in the place of the one in `sled`, which is kept until [`forget`].
pub(super) fn exchange(folder: &Path) -> io::Result<()> {
    durable::rename(&folder.join(LOG), &folder.join(WHOLE))?;
    durable::rename(&folder.join(PART), &folder.join(LOG))
}

/// Throws the log aside away, when the one in its place has proved good.
pub(super) fn forget(folder: &Path) -> io::Result<()> {
    let whole = folder.join(WHOLE);
    if !whole.exists() {
        return Ok(());
    }
    // By this one step it stops to count; what follows may be cut off.
    durable::rename(&whole, &folder.join(PART))?;
    clear(folder)
}

/// Leaves everything as it was found: the log aside in its place, or no log where there was none.
pub(super) fn restore(folder: &Path, kept: &Kept) -> io::Result<()> {
    match kept {
        Kept::Log => put_back(folder),
        Kept::Nothing => remove(&folder.join(LOG)),
    }
}

/// Removes what counts for nothing.
pub(super) fn clear(folder: &Path) -> io::Result<()> {
    remove(&folder.join(PART))
}

/// Removes what sled makes anew out of its log.
pub(super) fn forget_derived(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if name == "conf" || name.to_string_lossy().starts_with("snap.") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn put_back(folder: &Path) -> io::Result<()> {
    remove(&folder.join(LOG))?;
    durable::rename(&folder.join(WHOLE), &folder.join(LOG))
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
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

/// How many bytes the files below a folder have.
fn size(folder: &Path) -> io::Result<u64> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut total = 0;
    for entry in entries {
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
