//! The number that was last answered, in a file beside the log: what the log must have reached when it is opened. sled
//! repairs a damaged log by forgetting its tail, in silence; this is how that is noticed.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

use tidegate_kit::{durable, fault_log::FaultLog};

use crate::store::{
    StoreError,
    record::{frame, unframe},
};

/// The open file.
pub(super) struct Witness(Mutex<File>);

const FILE: &str = "witness";
const KEY: &str = "witness";
/// About a witness that cannot be written; there is one for each commit.
static UNWRITTEN: FaultLog = FaultLog::new(6);

// === impl Witness ===

impl Witness {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(FILE))?;
        // The file itself, when it was just made.
        durable::sync_folder(folder)?;
        Ok(Self(Mutex::new(file)))
    }

    /// Refuses a log that is behind what was once answered. Whether the witness shows that it is not.
    ///
    /// A witness that is cut or garbage shows nothing, as one that is missing: the log is what must be whole.
    pub(super) fn check(&self, kept: u64) -> Result<bool, StoreError> {
        let text = self.read().map_err(|e| super::failed("read", &e))?;
        // A new store has answered nothing yet.
        if text.is_empty() && kept == 0 {
            return Ok(false);
        }
        let answered = unframe(KEY, text.trim_ascii_end())
            .ok()
            .and_then(|number| number.parse::<u64>().ok());
        match answered {
            Some(answered) if kept < answered => Err(StoreError::corrupt(format!(
                "it is at number {kept}, but had answered number {answered}"
            ))),
            Some(_) => Ok(true),
            None => {
                tracing::warn!(
                    number = kept,
                    "the store's file `witness` is damaged, so nothing shows whether the store is the latest; compare \
                     the number with the last one in the log of this process"
                );
                Ok(false)
            }
        }
    }

    /// Notes what is about to be answered, on the disk: after a power failure above all the log must prove itself by it.
    /// A witness that could not be written proves less, and nothing false.
    pub(super) fn note(&self, number: u64) {
        // Fixed width, so that it is overwritten in place and needs no space.
        let line = frame(KEY, &format!("{number:020}"));
        let length = line.len() as u64;
        let file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file
            .write_all_at(&line, 0)
            .and_then(|()| match file.metadata()?.len() > length {
                true => file.set_len(length),
                false => Ok(()),
            })
            .and_then(|()| file.sync_data());
        if let Err(error) = written
            && let Some(line) = UNWRITTEN.fault(&error.to_string())
        {
            let suppressed = line.suppressed;
            tracing::warn!(%error, suppressed, "the store's witness could not be written");
        }
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
