//! The seam to what outlives the process. A store keeps records, the audit log and a number, and takes a commit whole
//! or not at all, flushed before it answers. It knows bytes and keys; what they mean is in `record`, and which change
//! is allowed is `service`'s. Every backend passes the same contract suite.

pub mod change;
pub mod record;
pub mod load;
pub mod migrate;
pub mod memory;
pub mod sled;
pub mod export;

use std::{fmt, path::Path, sync::Arc};

use change::{Change, Contents, Meta};

/// A place that keeps records.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Which state is kept, or `None` when nothing ever was.
    ///
    /// # Errors
    /// When it cannot be read or is corrupt.
    fn meta(&self) -> Result<Option<Meta>, StoreError>;

    /// Visits every record, in the order of the keys.
    ///
    /// # Errors
    /// When they cannot be read, or the viewer's own.
    fn scan(&self, visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Takes a change whole, flushed when this returns. After an error it is not known whether the change was taken;
    /// [`Store::recover`] finds out.
    ///
    /// # Errors
    /// When it cannot be written, or does not follow the number that is kept.
    fn commit(&self, change: &Change) -> Result<(), StoreError>;

    /// Up to `limit` audit entries with numbers below `before`, the latest first: number and encoded entry.
    ///
    /// # Errors
    /// When they cannot be read.
    fn audit(&self, before: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;

    /// Puts other contents in the place of everything, whole. For migrations and restores.
    ///
    /// # Errors
    /// When it cannot be written.
    fn replace(&self, contents: &Contents) -> Result<(), StoreError>;

    /// Makes the store usable again after a failed commit. What it then holds is the truth.
    ///
    /// # Errors
    /// When it still cannot be used.
    fn recover(&self) -> Result<(), StoreError>;
}

/// Is shown a key and the framed record under it.
pub type Visit<'a> = dyn FnMut(&str, &[u8]) -> Result<(), StoreError> + 'a;

/// A store that cannot be used or did not take a change.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error(
        "the store in `{path}` is in use by another process{holder}; stop it, or choose another `data_dir`"
    )]
    InUse {
        /// The store's folder.
        path: String,
        /// Who holds it, as far as that is known.
        holder: String,
    },
    /// It does not read back as it was written.
    #[error(
        "the store is damaged: {what}; nothing was changed in it: restore a backup of the folder or an export into an \
         empty `data_dir`"
    )]
    Corrupt {
        /// What does not read back.
        what: String,
    },
    /// A newer version of the software wrote it.
    #[error(
        "the store has format {found}, and this version reads formats up to {known}; start the version that wrote it, \
         or a newer one"
    )]
    TooNew {
        /// The format of the store.
        found: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// The backend failed: no space, no permission, a broken disk.
    #[error("cannot {doing} the store: {why}; free space or mend the disk, then try again")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the backend says.
        why: String,
    },
    /// The disk is nearly full; nothing was written.
    #[error(
        "the disk of the store is full: {free} bytes are free, and {needed} are needed to write safely; free space, \
         then try again"
    )]
    Full {
        /// How many bytes are free.
        free: u64,
        /// How many must be.
        needed: u64,
    },
    /// A change that does not follow the number that is kept.
    #[error("the store is at number {kept}, so a change cannot be number {given}")]
    OutOfStep {
        /// The number that is kept.
        kept: u64,
        /// The number of the change.
        given: u64,
    },
    /// A restore into a store that is not empty.
    #[error("the store is not empty; restore into an empty `data_dir`")]
    NotEmpty,
    /// An export that does not read.
    #[error("the export cannot be read at line {line}: {why}; nothing was restored")]
    Export {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

/// Opens the store that outlives the process, in a folder that is made when it is missing.
///
/// # Errors
/// When another process has it open, when it is damaged, or when the folder cannot be used.
pub fn open(folder: &Path) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(sled::SledStore::open(folder)?))
}

// === impl StoreError ===

impl StoreError {
    /// Whether the store may have taken the change although it failed.
    pub(crate) const fn leaves_doubt(&self) -> bool {
        !matches!(self, Self::Full { .. } | Self::OutOfStep { .. })
    }

    /// Damage of one record.
    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }
}

#[cfg(test)]
pub(crate) mod tests;
