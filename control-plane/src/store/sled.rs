//! The embedded default: sled 0.34. Only this module and those below it know it.
//!
//! A commit is one transaction, and on the disk before it is answered: first the log, then the witness. sled repairs a
//! damaged log by forgetting its tail, in silence, so it is checked when it is read: records carry checksums and are
//! counted, audit entries have no gap, and a witness beside the log holds a number that the log must have reached. An
//! earlier version of a record in the place of the latest would not be noticed. A write that
//! meets a full disk hangs in it for good, so free space is asked for before every write. Whatever replaces everything
//! is built beside the log and takes its place whole; opening a store does so, too.

use std::{
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tidegate_kit::durable;

mod aside;
mod lock;
mod log;
mod pieces;
mod witness;

use super::{
    Store, StoreError, Visit,
    change::{Change, Contents, Meta},
    record::unframe,
};
use aside::With;
use log::{AMPLIFICATION_ANEW, Log};
use witness::Witness;

/// Records in a folder.
pub struct SledStore {
    folder: PathBuf,
    /// `None` while a failed commit has not been recovered from.
    open: Mutex<Option<Log>>,
    witness: Witness,
    /// How much must be free beside what is written.
    reserve: u64,
    /// Held as long as the store is open; the system lets go of it when the process dies.
    _lock: File,
}

/// What sled may write beside the change: segments of its log, and its snapshot of where everything is.
const RESERVE: u64 = 16 << 20;
/// How much of the log a change takes at most, in its own sizes: pages are written whole.
const AMPLIFICATION: u64 = 8;
/// From this weight on a commit builds the log anew. sled uses a segment (512 KiB) again two segments after the last of
/// what was in it was written elsewhere; within one commit that is before what was written elsewhere is on the disk.
const WEIGHT_ANEW: usize = 1 << 20;
/// What each record adds to the weight of a commit: its page is written whole.
const WEIGHT_OF_WRITE: usize = 4096;

// === impl SledStore ===

impl SledStore {
    /// Opens the store in a folder, which is made when it is missing. When that fails, the store is as it was.
    ///
    /// # Errors
    /// When another process has it open, when it is damaged, or when the folder cannot be used.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::with_reserve(folder, RESERVE)
    }

    /// Opens the store; writes are refused when less than `reserve` bytes are free beside what they take.
    pub(super) fn with_reserve(folder: &Path, reserve: u64) -> Result<Self, StoreError> {
        let io = |e: std::io::Error| failed("open", &e);
        durable::create_folder(folder, 0o777).map_err(io)?;
        private(folder).map_err(io)?;
        let lock = lock::take(folder)?;
        let witness = Witness::open(folder).map_err(io)?;
        let log = open_log(folder, &witness)?;
        Ok(Self {
            folder: folder.to_owned(),
            open: Mutex::new(Some(log)),
            witness,
            reserve,
            _lock: lock,
        })
    }

    fn log(&self) -> Result<Log, StoreError> {
        self.slot().clone().ok_or_else(|| StoreError::Io {
            doing: "use",
            why: "an earlier commit failed".to_owned(),
        })
    }

    fn slot(&self) -> MutexGuard<'_, Option<Log>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses to write `size` bytes when the disk may become full by it.
    fn check_space(&self, size: u64) -> Result<(), StoreError> {
        check_space(&self.folder, "write", self.reserve.saturating_add(size))
    }

    /// A commit that is too large for sled to take safely.
    fn commit_anew(&self, change: &Change) -> Result<(), StoreError> {
        let kept = Contents::of(self)?;
        change.follows(kept.as_ref().map(|kept| kept.meta))?;
        let mut contents = kept.unwrap_or_else(|| Contents::empty(change.meta));
        contents.take(change);
        self.replace(&contents)
    }
}

impl fmt::Debug for SledStore {
    /// The folder alone: sled's own output would be every record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledStore")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Store for SledStore {
    fn meta(&self) -> Result<Option<Meta>, StoreError> {
        self.log()?.meta()
    }

    fn scan(&self, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.log()?.scan(visit)
    }

    fn commit(&self, change: &Change) -> Result<(), StoreError> {
        let sizes = change
            .writes
            .iter()
            .map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len));
        let size = sizes.sum::<usize>() + change.audit.len();
        if size + WEIGHT_OF_WRITE * change.writes.len() >= WEIGHT_ANEW {
            return self.commit_anew(change);
        }
        self.check_space(AMPLIFICATION * size as u64)?;
        let done = self.log()?.commit(change);
        if let Err(StoreError::Io { .. } | StoreError::Corrupt { .. }) = &done {
            // sled refuses everything after a failed write.
            *self.slot() = None;
        }
        done?;
        self.witness.note(change.meta.number.get());
        Ok(())
    }

    fn audit(&self, before: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.log()?.audit(before, limit)
    }

    fn replace(&self, contents: &Contents) -> Result<(), StoreError> {
        let io = |e: std::io::Error| failed("write", &e);
        self.check_space(AMPLIFICATION_ANEW * contents.size())?;
        aside::clear(&self.folder).map_err(io)?;
        let part = self.folder.join(aside::PART);
        let built = Log::build(&part, Some(&contents.meta), |filling| {
            for (key, value) in &contents.records {
                filling.record(key, value)?;
            }
            for (number, value) in &contents.audit {
                filling.audit(*number, value)?;
            }
            Ok(())
        });
        if built.is_err() {
            aside::clear(&self.folder).map_err(io)?;
        }
        let log = built?;
        let mut slot = self.slot();
        // When something fails from here on, recovery finds the one log or the other.
        *slot = None;
        aside::exchange(&self.folder).map_err(io)?;
        *slot = Some(log);
        drop(slot);
        self.witness.note(contents.meta.number.get());
        Ok(())
    }

    fn recover(&self) -> Result<(), StoreError> {
        if self.slot().is_none() {
            // Built anew: what a failed sync was to write reads back all the same, and may never reach the disk.
            let log = open_log(&self.folder, &self.witness)?;
            *self.slot() = Some(log);
        }
        Ok(())
    }
}

/// Reads the log of a store and builds it anew. When that fails, the log is as it was.
fn open_log(folder: &Path, witness: &Witness) -> Result<Log, StoreError> {
    let io = |e: std::io::Error| failed("open", &e);
    // Of a store that this process has just closed, threads may still write.
    log::released(&folder.join(aside::LOG));
    aside::settle(folder).map_err(io)?;
    let mut built = build_anew(folder, witness, With::Snapshot);
    if matches!(built, Err(StoreError::Corrupt { .. }))
        && aside::has_snapshot(folder).map_err(io)?
    {
        // What is in the log need not be lost with a snapshot that is cut or garbage.
        aside::clear(folder).map_err(io)?;
        built = match build_anew(folder, witness, With::LogAlone) {
            // The first says more about what is damaged.
            Err(StoreError::Corrupt { .. }) => built,
            found => found,
        };
    }
    if built.is_err() {
        // Half a log must not take the last of a disk.
        aside::clear(folder).map_err(io)?;
    }
    let log = built?;
    aside::exchange(folder).map_err(io)?;
    // It may have been damaged, or behind by a commit that was not answered. Of a new store it says that it is empty: a
    // first commit that is cut off leaves a log that reads as empty, too.
    witness.note(log.meta()?.map_or(0, |meta| meta.number.get()));
    Ok(log)
}

/// Builds a log of everything in the present one, and checks that it is all there.
fn build_anew(folder: &Path, witness: &Witness, with: With) -> Result<Log, StoreError> {
    let part = folder.join(aside::PART);
    let io = |e: std::io::Error| failed("open", &e);
    if !folder.join(aside::LOG).try_exists().map_err(io)? {
        witness.check(0)?;
        return Log::build(&part, None, |_| Ok(()));
    }
    let old = Log::open(&aside::copy(folder, with)?)?;
    let meta = old.meta()?;
    let is_confirmed = witness.check(meta.map_or(0, |meta| meta.number.get()))?;
    let reads_as_empty =
        meta.is_none() && aside::log_size(folder).map_err(io)? > log::WITHOUT_A_COMMIT;
    if !is_confirmed && (with == With::LogAlone || reads_as_empty) {
        // Where sled does not find the beginning of a log, or its end, it takes the log for empty.
        return Err(StoreError::corrupt(
            "its log cannot be read as it was written, and its file `witness` does not show that nothing is missing",
        ));
    }
    let mut n_records = 0;
    let log = Log::build(&part, meta.as_ref(), |filling| {
        old.scan(&mut |key, framed| {
            n_records += 1;
            unframe(key, framed)?;
            filling.record(key, framed)
        })?;
        let mut before = None;
        old.scan_audit(|number, entry| {
            if before.is_some_and(|before| number != before + 1) {
                return Err(missing_audit(number));
            }
            before = Some(number);
            filling.audit(number, entry)
        })?;
        let number = meta.map_or(0, |meta| meta.number.get());
        match before {
            Some(last) if last != number => Err(missing_audit(number + 1)),
            _ => Ok(()),
        }
    })?;
    let expected = meta.map_or(0, |meta| meta.records);
    if n_records != expected {
        return Err(StoreError::corrupt(format!(
            "{n_records} of {expected} records are there"
        )));
    }
    Ok(log)
}

fn missing_audit(next: u64) -> StoreError {
    StoreError::corrupt(format!("the audit entry before number {next} is missing"))
}

/// Refuses what needs so many bytes of the disk when they are not free.
fn check_space(folder: &Path, doing: &'static str, needed: u64) -> Result<(), StoreError> {
    let free = free_space(folder).map_err(|e| failed(doing, &e))?;
    if free < needed {
        return Err(StoreError::Full { free, needed });
    }
    Ok(())
}

/// Keeps the folder from other users of the machine: private keys are in it.
fn private(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// How many bytes of the disk under a folder are free to this process.
fn free_space(folder: &Path) -> std::io::Result<u64> {
    #[cfg(unix)]
    {
        let disk = rustix::fs::statvfs(folder)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        Ok(u64::MAX)
    }
}

fn failed(doing: &'static str, error: &std::io::Error) -> StoreError {
    StoreError::Io {
        doing,
        why: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::SledStore;
    use crate::store::Store as _;

    #[test]
    fn a_log_that_reopens_behind_what_was_answered_stays_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = SledStore::open(folder.path()).unwrap();
        store.witness.note(7);
        *store.slot() = None;
        for _ in 0..2 {
            let refused = store.recover().unwrap_err().to_string();
            assert!(refused.contains("had answered number 7"), "{refused}");
        }
    }
}
