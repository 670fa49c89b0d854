//! The embedded default: sled 0.34. The only file that knows it.
//!
//! A commit is one transaction over three trees, flushed before it is answered. sled repairs a damaged log by forgetting
//! its tail, in silence, so nothing is trusted to it that it cannot prove: records carry checksums and are counted, and a
//! witness beside the log holds a number that the log must have reached. A write that meets a full disk hangs in it for
//! good, so free space is asked for before every write.

use std::{
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use sled::{
    Transactional as _, Tree,
    transaction::{ConflictableTransactionError, TransactionError, TransactionalTree},
};
use tidegate_kit::fault_log::FaultLog;

mod aside;

use super::{
    Store, StoreError, Visit,
    change::{Change, Contents, Meta},
    record::{frame, unframe},
};

/// Records in a folder.
pub struct SledStore {
    folder: PathBuf,
    /// `None` while a failed commit has not been recovered from.
    open: Mutex<Option<Open>>,
    witness: Mutex<File>,
    /// How much must be free beside what is written.
    reserve: u64,
    /// Held as long as the store is open; the system lets go of it when the process dies.
    _lock: File,
}

#[derive(Clone)]
struct Open {
    db: sled::Db,
    records: Tree,
    audit: Tree,
    meta: Tree,
}

/// What sled may write beside the change: segments of its log, and its snapshot of where everything is.
const RESERVE: u64 = 16 << 20;
/// How much of the log a change takes at most, in its own sizes: pages are written whole.
const AMPLIFICATION: u64 = 8;
const META_KEY: &str = "meta";
const WITNESS_KEY: &str = "witness";
/// About a witness that cannot be written; there is one for each commit.
static WITNESS: FaultLog = FaultLog::new(6);
/// How long a reopened log may take to let go of its own lock.
const REOPEN_DEADLINE: Duration = Duration::from_secs(5);
const REOPEN_STEP: Duration = Duration::from_millis(20);

// === impl SledStore ===

impl SledStore {
    /// Opens the store in a folder, which is made when it is missing.
    ///
    /// # Errors
    /// When another process has it open, when it is damaged, or when the folder cannot be used.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::with_reserve(folder, RESERVE)
    }

    /// Opens the store; writes are refused when less than `reserve` bytes are free beside what they take.
    pub(super) fn with_reserve(folder: &Path, reserve: u64) -> Result<Self, StoreError> {
        let io = |e: std::io::Error| failed("open", &e);
        fs::create_dir_all(folder).map_err(io)?;
        private(folder).map_err(io)?;
        let lock = lock(folder)?;
        let witness = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join("witness"))
            .map_err(io)?;
        // The file itself, when it was just made.
        File::open(folder)
            .and_then(|it| it.sync_all())
            .map_err(io)?;
        if let Err(error) = aside::keep(folder) {
            // A full disk must not keep what is whole from being served.
            tracing::warn!(%error, "the store is opened without a copy of it");
        }
        let opened = Open::at(&folder.join("sled")).and_then(|open| {
            let store = Self {
                folder: folder.to_owned(),
                open: Mutex::new(Some(open)),
                witness: Mutex::new(witness),
                reserve,
                _lock: lock,
            };
            store.check_witness()?;
            Ok(store)
        });
        let settled = match &opened {
            Ok(_) => aside::forget(folder),
            Err(_) => aside::restore(folder),
        };
        settled.map_err(io)?;
        opened
    }

    fn opened(&self) -> Result<Open, StoreError> {
        self.slot().clone().ok_or_else(|| StoreError::Io {
            doing: "use",
            why: "an earlier commit failed".to_owned(),
        })
    }

    fn slot(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a log that is behind what was once answered.
    fn check_witness(&self) -> Result<(), StoreError> {
        let mut text = String::new();
        {
            let mut witness = self.witness.lock().unwrap_or_else(PoisonError::into_inner);
            witness
                .seek(SeekFrom::Start(0))
                .and_then(|_| witness.read_to_string(&mut text))
                .map_err(|e| failed("read", &e))?;
        }
        if text.is_empty() {
            return Ok(());
        }
        let answered: u64 = unframe(WITNESS_KEY, text.trim_end().as_bytes())?
            .parse()
            .map_err(|_| StoreError::corrupt("its witness is no number"))?;
        let kept = self.meta()?.map_or(0, |meta| meta.number.get());
        if kept < answered {
            return Err(StoreError::corrupt(format!(
                "it is at number {kept}, but had answered number {answered}"
            )));
        }
        Ok(())
    }

    /// Notes what is about to be answered, on the disk: after a power failure above all the log must prove itself by it.
    /// A witness that could not be written proves less, and nothing false.
    fn witness(&self, number: u64) {
        // Fixed width, so that it is overwritten in place and needs no space.
        let line = frame(WITNESS_KEY, &format!("{number:020}"));
        let mut witness = self.witness.lock().unwrap_or_else(PoisonError::into_inner);
        let written = witness
            .seek(SeekFrom::Start(0))
            .and_then(|_| witness.write_all(&line))
            .and_then(|()| witness.sync_data());
        if let Err(error) = written {
            if let Some(line) = WITNESS.fault(&error.to_string()) {
                let suppressed = line.suppressed;
                tracing::warn!(%error, suppressed, "the store's witness could not be written");
            }
        }
    }

    /// Refuses to write `size` bytes when the disk may become full by it.
    fn check_space(&self, size: usize) -> Result<(), StoreError> {
        let needed = self.reserve.saturating_add(AMPLIFICATION * size as u64);
        let free = free_space(&self.folder).map_err(|e| failed("write", &e))?;
        if free < needed {
            return Err(StoreError::Full { free, needed });
        }
        Ok(())
    }

    /// Runs what writes; when it fails, the log is closed, because sled refuses everything after a failed write.
    fn write(
        &self,
        doing: &'static str,
        size: usize,
        act: impl FnOnce(&Open) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.check_space(size)?;
        let open = self.opened()?;
        let done = guarded(doing, || act(&open));
        if let Err(StoreError::Io { .. } | StoreError::Corrupt { .. }) = &done {
            *self.slot() = None;
        }
        done
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
        let open = self.opened()?;
        guarded("read", || {
            let framed = open.meta.get(META_KEY).map_err(|e| broken("read", &e))?;
            framed.map(|framed| decode_meta(&framed)).transpose()
        })
    }

    fn scan(&self, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let open = self.opened()?;
        guarded("read", || {
            for row in &open.records {
                let (key, value) = row.map_err(|e| broken("read", &e))?;
                let key = std::str::from_utf8(&key)
                    .map_err(|_| StoreError::corrupt("a key is not text"))?;
                visit(key, &value)?;
            }
            Ok(())
        })
    }

    fn commit(&self, change: &Change) -> Result<(), StoreError> {
        let sizes = change
            .writes
            .iter()
            .map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len));
        let size = sizes.sum::<usize>() + change.audit.len();
        self.write("write", size, |open| {
            let number = change.meta.number.get();
            (&open.records, &open.audit, &open.meta)
                .transaction(|(records, audit, meta)| {
                    let kept = kept_meta(meta)?;
                    change
                        .follows(kept)
                        .map_err(ConflictableTransactionError::Abort)?;
                    for (key, value) in &change.writes {
                        match value {
                            Some(value) => drop(records.insert(key.as_bytes(), &**value)?),
                            None => drop(records.remove(key.as_bytes())?),
                        }
                    }
                    audit.insert(&number.to_be_bytes(), &*change.audit)?;
                    meta.insert(META_KEY, encode_meta(&change.meta))?;
                    Ok(())
                })
                .map_err(transaction_failed)?;
            open.db.flush().map_err(|e| broken("write", &e))?;
            Ok(())
        })?;
        self.witness(change.meta.number.get());
        Ok(())
    }

    fn audit(&self, before: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let open = self.opened()?;
        guarded("read", || {
            open.audit
                .range(..before.to_be_bytes())
                .rev()
                .take(limit)
                .map(|row| {
                    let (key, value) = row.map_err(|e| broken("read", &e))?;
                    let number = <[u8; 8]>::try_from(&*key)
                        .map_err(|_| StoreError::corrupt("an audit entry has no number"))?;
                    Ok((u64::from_be_bytes(number), value.to_vec()))
                })
                .collect()
        })
    }

    fn replace(&self, contents: &Contents) -> Result<(), StoreError> {
        let size = contents
            .records
            .values()
            .chain(contents.audit.values())
            .map(Vec::len)
            .sum();
        self.write("write", size, |open| {
            let old_records = keys(&open.records)?;
            let old_audit = keys(&open.audit)?;
            (&open.records, &open.audit, &open.meta)
                .transaction(|(records, audit, meta)| {
                    for key in &old_records {
                        records.remove(key)?;
                    }
                    for key in &old_audit {
                        audit.remove(key)?;
                    }
                    for (key, value) in &contents.records {
                        records.insert(key.as_bytes(), &**value)?;
                    }
                    for (number, value) in &contents.audit {
                        audit.insert(&number.to_be_bytes(), &**value)?;
                    }
                    meta.insert(META_KEY, encode_meta(&contents.meta))?;
                    Ok(())
                })
                .map_err(transaction_failed)?;
            open.db.flush().map_err(|e| broken("write", &e))?;
            Ok(())
        })?;
        self.witness(contents.meta.number.get());
        Ok(())
    }

    fn recover(&self) -> Result<(), StoreError> {
        let mut slot = self.slot();
        if slot.is_some() {
            return Ok(());
        }
        // The threads of the log that failed let go of its lock a moment after it is dropped.
        let deadline = Instant::now() + REOPEN_DEADLINE;
        loop {
            match Open::at(&self.folder.join("sled")) {
                Ok(open) => {
                    *slot = Some(open);
                    break;
                }
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => thread::sleep(REOPEN_STEP),
            }
        }
        drop(slot);
        let checked = self.check_witness();
        if checked.is_err() {
            // Else the next recovery would find it open and take it for good.
            *self.slot() = None;
        }
        checked
    }
}

// === impl Open ===

impl Open {
    fn at(path: &Path) -> Result<Self, StoreError> {
        guarded("open", || {
            let opened = || {
                // Every commit is flushed by itself, so nothing is left for a timer.
                let db = sled::Config::new()
                    .path(path)
                    .mode(sled::Mode::HighThroughput)
                    .flush_every_ms(None)
                    .open()?;
                Ok(Self {
                    records: db.open_tree("records")?,
                    audit: db.open_tree("audit")?,
                    meta: db.open_tree("meta")?,
                    db,
                })
            };
            opened().map_err(|e: sled::Error| broken("open", &e))
        })
    }
}

/// Takes the folder for this process.
fn lock(folder: &Path) -> Result<File, StoreError> {
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

/// sled panics on some damage; that is a damaged store like any other.
fn guarded<T>(
    doing: &'static str,
    act: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| {
        Err(StoreError::corrupt(format!(
            "its log could not be used (to {doing} it)"
        )))
    })
}

fn keys(tree: &Tree) -> Result<Vec<sled::IVec>, StoreError> {
    tree.iter()
        .keys()
        .collect::<Result<_, _>>()
        .map_err(|e| broken("read", &e))
}

fn kept_meta(
    meta: &TransactionalTree,
) -> Result<Option<Meta>, ConflictableTransactionError<StoreError>> {
    meta.get(META_KEY)?
        .map(|framed| decode_meta(&framed))
        .transpose()
        .map_err(ConflictableTransactionError::Abort)
}

fn encode_meta(meta: &Meta) -> Vec<u8> {
    let text = serde_json::to_string(meta).expect("meta is representable in JSON");
    frame(META_KEY, &text)
}

fn decode_meta(framed: &[u8]) -> Result<Meta, StoreError> {
    serde_json::from_str(unframe(META_KEY, framed)?)
        .map_err(|e| StoreError::corrupt(format!("its head says {e}")))
}

fn transaction_failed(error: TransactionError<StoreError>) -> StoreError {
    match error {
        TransactionError::Abort(error) => error,
        TransactionError::Storage(error) => broken("write", &error),
    }
}

fn broken(doing: &'static str, error: &sled::Error) -> StoreError {
    match error {
        sled::Error::Corruption { .. } | sled::Error::Unsupported(_) => {
            StoreError::corrupt(format!("its log says: {error}"))
        }
        other => StoreError::Io {
            doing,
            why: other.to_string(),
        },
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
        store.witness(7);
        *store.slot() = None;
        for _ in 0..2 {
            let refused = store.recover().unwrap_err().to_string();
            assert!(refused.contains("had answered number 7"), "{refused}");
        }
    }
}
