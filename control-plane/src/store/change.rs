//! What a store is given: a change, or whole contents. Bytes and keys only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_proto::revision::RevisionNumber;

use super::{Store, StoreError};

/// One commit: what it writes and removes, and its audit entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What the store holds after the change.
    pub meta: Meta,
    /// Keys with their new framed records, or `None` to remove them.
    pub writes: BTreeMap<String, Option<Vec<u8>>>,
    /// The framed audit entry, kept under the change's number.
    pub audit: Vec<u8>,
}

/// Which state a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The format of keys and records; see `migrate`.
    pub format: u32,
    /// The number of the latest commit.
    pub number: RevisionNumber,
    /// How many records there are, so that a lost one is noticed.
    pub records: u64,
}

/// Everything in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Which state it is.
    pub meta: Meta,
    /// The framed records.
    pub records: BTreeMap<String, Vec<u8>>,
    /// The framed audit entries, by number.
    pub audit: BTreeMap<u64, Vec<u8>>,
}

/// How many audit entries are read at a time.
const AUDIT_PAGE: usize = 1000;

// === impl Contents ===

impl Contents {
    /// What a store holds before its first commit.
    #[must_use]
    pub const fn empty(meta: Meta) -> Self {
        Self {
            meta,
            records: BTreeMap::new(),
            audit: BTreeMap::new(),
        }
    }

    /// How many bytes the records and audit entries have.
    #[must_use]
    pub fn size(&self) -> u64 {
        let values = self.records.values().chain(self.audit.values());
        values.map(|value| value.len() as u64).sum()
    }

    /// Takes a change, whose number is checked already.
    pub fn take(&mut self, change: &Change) {
        self.meta = change.meta;
        for (key, value) in &change.writes {
            match value {
                Some(value) => drop(self.records.insert(key.clone(), value.clone())),
                None => drop(self.records.remove(key)),
            }
        }
        let number = change.meta.number.get();
        self.audit.insert(number, change.audit.clone());
    }

    /// Reads everything out of a store; `None` when nothing was ever kept in it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(store: &dyn Store) -> Result<Option<Self>, StoreError> {
        let Some(meta) = store.meta()? else {
            return Ok(None);
        };
        let mut contents = Self::empty(meta);
        store.scan(&mut |key, value| {
            contents.records.insert(key.to_owned(), value.to_vec());
            Ok(())
        })?;
        let mut before = u64::MAX;
        loop {
            let page = store.audit(before, AUDIT_PAGE)?;
            let Some(&(least, _)) = page.last() else {
                return Ok(Some(contents));
            };
            before = least;
            contents.audit.extend(page);
        }
    }
}

// === impl Change ===

impl Change {
    /// Checks that the change follows what is kept.
    ///
    /// # Errors
    /// When its number is not the next one.
    pub fn follows(&self, kept: Option<Meta>) -> Result<(), StoreError> {
        let kept = kept.map_or(RevisionNumber::ZERO, |meta| meta.number);
        if self.meta.number != kept.next() {
            return Err(StoreError::OutOfStep {
                kept: kept.get(),
                given: self.meta.number.get(),
            });
        }
        Ok(())
    }
}
