//! sled itself, and all that is known of it: its trees, its transaction, what reaches the disk and when, and when a log can
//! be read again.
//!
//! sled writes its log with `sync_file_range`, which commits neither the size of the file nor a disk's own cache, so each
//! commit ends in an `fsync` of the log. Values that do not fit into a page go into files of their own (`blobs/`) that
//! sled never syncs and whose loss it passes over in silence; so no value is that large here: a large one lies in pieces.
//!
//! sled writes a snapshot of where everything is (`snap.*`) when it opens a log, and then clears what the snapshot does not
//! need. From then on the log cannot be read without it: sled looks for the end of the log in a segment that may have been
//! cleared, and takes the log for empty when it is. Nor does sled open when a snapshot is cut. So a log here is opened only
//! once, when it is new and there is no snapshot; what is opened later is a copy, to be read and thrown away.

use std::{
    fs::{File, TryLockError},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use sled::{
    Batch, IVec, Transactional as _, Tree,
    transaction::{ConflictableTransactionError, TransactionError, TransactionalTree},
};
use tidegate_kit::durable;

use super::{
    check_space, failed,
    pieces::{PIECE, PieceKind, cut, piece_key, pieces_of},
};
use crate::store::{
    StoreError, Visit,
    change::{Change, Meta},
    record::{frame, unframe},
};

/// An open log. A clone is another handle on the same.
#[derive(Clone)]
pub(super) struct Log {
    db: sled::Db,
    records: Tree,
    audit: Tree,
    meta: Tree,
    pieces: Tree,
    /// The file of the log, to sync it.
    file: Arc<File>,
}

const META_KEY: &str = "meta";

/// What sled may keep of a log in memory, in bytes: the process reads its store when it starts and otherwise only the audit
/// log.
const CACHE: u64 = 128 << 20;

/// What opening a log takes of a disk beside what is in it: sled fills up the segment with which it ends, and writes a
/// snapshot of where everything is.
pub(super) const OPENING: u64 = 2 << 20;
/// How much of a log that is built anew everything takes, in its own sizes.
pub(super) const AMPLIFICATION_ANEW: u64 = 4;

/// A log in which there is no commit has fewer bytes.
pub(super) const WITHOUT_A_COMMIT: u64 = 1024;

/// How long a log that was closed may take to let go of its lock: its threads end a moment after it is dropped.
const RELEASE_DEADLINE: Duration = Duration::from_secs(5);
const RELEASE_STEP: Duration = Duration::from_millis(5);
/// How much of a log that is built is given to sled at a time.
const BATCH_BYTES: usize = 1 << 20;

// === impl Log ===

impl Log {
    /// Opens the log in a folder, or a new one where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        guarded("open", || {
            let opened = || {
                // Every commit is flushed by itself, so nothing is left for a timer.
                let db = sled::Config::new()
                    .path(path)
                    .cache_capacity(CACHE)
                    .mode(sled::Mode::HighThroughput)
                    .flush_every_ms(None)
                    .open()?;
                Ok(Self {
                    records: db.open_tree("records")?,
                    audit: db.open_tree("audit")?,
                    meta: db.open_tree("meta")?,
                    pieces: db.open_tree("pieces")?,
                    file: Arc::new(File::open(path.join("db"))?),
                    db,
                })
            };
            opened().map_err(|e: sled::Error| broken("open", &e))
        })
    }

    /// Makes a log in a folder that is not there yet. All of it is on the disk when this returns. It stays open when the
    /// folder gets another name: sled asks for the name again for blobs only, and there are none.
    pub(super) fn build(
        path: &Path,
        meta: Option<&Meta>,
        fill: impl FnOnce(&mut Filling<'_>) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let beside = durable::parent(path);
        check_space(beside, "write", OPENING)?;
        let log = Self::open(path)?;
        guarded("write", || {
            let mut filling = Filling::of(&log, beside);
            fill(&mut filling)?;
            filling.apply()?;
            match meta {
                Some(meta) => log.meta.insert(META_KEY, encode_meta(meta)).map(drop),
                None => Ok(()),
            }
            .map_err(|e| broken("write", &e))
        })?;
        log.flush()?;
        durable::sync_tree(path).map_err(|e| failed("write", &e))?;
        Ok(log)
    }

    pub(super) fn meta(&self) -> Result<Option<Meta>, StoreError> {
        guarded("read", || {
            let framed = self.meta.get(META_KEY).map_err(|e| broken("read", &e))?;
            framed.map(|framed| decode_meta(&framed)).transpose()
        })
    }

    pub(super) fn scan(&self, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        guarded("read", || {
            for row in &self.records {
                let (key, value) = row.map_err(|e| broken("read", &e))?;
                let text = std::str::from_utf8(&key)
                    .map_err(|_| StoreError::corrupt("a key is not text"))?;
                visit(text, &self.whole(PieceKind::Record, &key, value)?)?;
            }
            Ok(())
        })
    }

    /// Visits the audit entries, oldest first.
    pub(super) fn scan_audit(
        &self,
        mut visit: impl FnMut(u64, &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        guarded("read", || {
            for row in &self.audit {
                let (number, value) = self.entry(row)?;
                visit(number, &value)?;
            }
            Ok(())
        })
    }

    pub(super) fn audit(
        &self,
        before: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        guarded("read", || {
            let rows = self.audit.range(..before.to_be_bytes()).rev();
            rows.take(limit)
                .map(|row| {
                    let (number, value) = self.entry(row)?;
                    Ok((number, value.to_vec()))
                })
                .collect()
        })
    }

    fn entry(&self, row: sled::Result<(IVec, IVec)>) -> Result<(u64, IVec), StoreError> {
        let (key, value) = row.map_err(|e| broken("read", &e))?;
        let number = <[u8; 8]>::try_from(&*key)
            .map_err(|_| StoreError::corrupt("an audit entry has no number"))?;
        let value = self.whole(PieceKind::Audit, &key, value)?;
        Ok((u64::from_be_bytes(number), value))
    }

    /// Takes a change, whole or not at all. It is on the disk when this returns.
    pub(super) fn commit(&self, change: &Change) -> Result<(), StoreError> {
        let number = change.meta.number.get();
        guarded("write", || {
            (&self.records, &self.audit, &self.meta, &self.pieces)
                .transaction(|(records, audit, meta, pieces)| {
                    change
                        .follows(kept_meta(meta)?)
                        .map_err(ConflictableTransactionError::Abort)?;
                    for (key, value) in &change.writes {
                        put(
                            records,
                            pieces,
                            PieceKind::Record,
                            key.as_bytes(),
                            value.as_deref(),
                        )?;
                    }
                    let key = number.to_be_bytes();
                    put(audit, pieces, PieceKind::Audit, &key, Some(&change.audit))?;
                    meta.insert(META_KEY, encode_meta(&change.meta))?;
                    Ok(())
                })
                .map_err(transaction_failed)
        })?;
        self.flush()
    }

    /// Writes out what sled holds back, and syncs it.
    fn flush(&self) -> Result<(), StoreError> {
        guarded("write", || {
            self.db.flush().map_err(|e| broken("write", &e))?;
            self.file.sync_all().map_err(|e| failed("write", &e))
        })
    }

    /// A value as it was given, out of its pieces where it lies in some.
    fn whole(&self, kind: PieceKind, key: &[u8], value: IVec) -> Result<IVec, StoreError> {
        let n_pieces = pieces_of(&value)?;
        if n_pieces == 0 {
            return Ok(value);
        }
        let mut whole = Vec::with_capacity(n_pieces as usize * PIECE);
        for index in 0..n_pieces {
            let piece = self.pieces.get(piece_key(kind, key, index));
            let piece = piece.map_err(|e| broken("read", &e))?;
            whole.extend_from_slice(&piece.ok_or_else(|| {
                StoreError::corrupt(format!(
                    "a piece of `{}` is missing",
                    String::from_utf8_lossy(key)
                ))
            })?);
        }
        Ok(whole.into())
    }
}

/// Waits until a log that was closed has ended all of its threads.
pub(super) fn released(path: &Path) {
    let deadline = Instant::now() + RELEASE_DEADLINE;
    while let Ok(file) = File::open(path.join("db")) {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                thread::sleep(RELEASE_STEP);
            }
            _ => return,
        }
    }
}

/// What a new log is filled with: applied tree by tree, some of it at a time, and only while there is room for it.
pub(super) struct Filling<'a> {
    log: &'a Log,
    /// A folder on the same disk.
    beside: &'a Path,
    records: Batch,
    audit: Batch,
    pieces: Batch,
    /// How many bytes were not applied yet.
    size: usize,
}

// === impl Filling ===

impl<'a> Filling<'a> {
    fn of(log: &'a Log, beside: &'a Path) -> Self {
        Self {
            log,
            beside,
            records: Batch::default(),
            audit: Batch::default(),
            pieces: Batch::default(),
            size: 0,
        }
    }

    pub(super) fn record(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.insert(PieceKind::Record, key.as_bytes(), value)
    }

    pub(super) fn audit(&mut self, number: u64, value: &[u8]) -> Result<(), StoreError> {
        self.insert(PieceKind::Audit, &number.to_be_bytes(), value)
    }

    fn insert(&mut self, kind: PieceKind, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let (stored, pieces) = cut(value);
        for (index, piece) in (0..).zip(pieces) {
            self.pieces.insert(piece_key(kind, key, index), piece);
        }
        match kind {
            PieceKind::Record => self.records.insert(key, stored),
            PieceKind::Audit => self.audit.insert(key, stored),
        }
        self.size += key.len() + value.len();
        if self.size >= BATCH_BYTES {
            self.apply()?;
        }
        Ok(())
    }

    fn apply(&mut self) -> Result<(), StoreError> {
        let needed = AMPLIFICATION_ANEW * mem::take(&mut self.size) as u64;
        check_space(self.beside, "write", OPENING.saturating_add(needed))?;
        let log = self.log;
        log.pieces
            .apply_batch(mem::take(&mut self.pieces))
            .and_then(|()| log.records.apply_batch(mem::take(&mut self.records)))
            .and_then(|()| log.audit.apply_batch(mem::take(&mut self.audit)))
            .map_err(|e| broken("write", &e))
    }
}

/// Puts a value in the place of the one that is there, or removes it.
fn put(
    tree: &TransactionalTree,
    pieces: &TransactionalTree,
    kind: PieceKind,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<(), ConflictableTransactionError<StoreError>> {
    let mut n_pieces = 0;
    let old = match value {
        Some(value) => {
            let (stored, new) = cut(value);
            for piece in new {
                pieces.insert(piece_key(kind, key, n_pieces), piece)?;
                n_pieces += 1;
            }
            tree.insert(key, stored)?
        }
        None => tree.remove(key)?,
    };
    let n_old = old.as_ref().map_or(Ok(0), pieces_of);
    for index in n_pieces..n_old.map_err(ConflictableTransactionError::Abort)? {
        pieces.remove(piece_key(kind, key, index))?;
    }
    Ok(())
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
