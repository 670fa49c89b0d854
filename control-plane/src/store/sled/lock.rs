//! One process at a time: a lock on a file beside the log. Called by the sled backend.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Write as _},
    path::Path,
};

use super::failed;
use crate::store::StoreError;

/// Takes the folder for this process, for as long as the file is open.
pub(super) fn take(folder: &Path) -> Result<File, StoreError> {
    let io = |e: std::io::Error| failed("open", &e);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(folder.join("lock"))
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Who holds it is a help, not a need.
            drop(file.read_to_string(&mut holder));
            let holder = holder.trim();
            return Err(StoreError::InUse {
                path: folder.display().to_string(),
                holder: if holder.is_empty() {
                    String::new()
                } else {
                    format!(" (pid {holder})")
                },
            });
        }
        Err(TryLockError::Error(error)) => return Err(io(error)),
    }
    let noted = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    // On a full disk the store must still open.
    drop(noted);
    Ok(file)
}
