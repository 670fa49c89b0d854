//! A store that forgets everything when it is dropped, for tests and demonstrations. Nothing in it but what every
//! backend must do.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{
    Store, StoreError, Visit,
    change::{Change, Contents, Meta},
};

/// Records in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    contents: Mutex<Option<Contents>>,
}

// === impl MemoryStore ===

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Contents>> {
        // A panic elsewhere cannot leave contents half changed: they are changed by assignments alone.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn meta(&self) -> Result<Option<Meta>, StoreError> {
        Ok(self.lock().as_ref().map(|contents| contents.meta))
    }

    fn scan(&self, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        match &*self.lock() {
            Some(contents) => contents
                .records
                .iter()
                .try_for_each(|(key, value)| visit(key, value)),
            None => Ok(()),
        }
    }

    fn commit(&self, change: &Change) -> Result<(), StoreError> {
        let mut kept = self.lock();
        change.follows(kept.as_ref().map(|contents| contents.meta))?;
        kept.get_or_insert_with(|| Contents::empty(change.meta))
            .take(change);
        Ok(())
    }

    fn audit(&self, before: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        Ok(self.lock().as_ref().map_or_else(Vec::new, |contents| {
            contents
                .audit
                .range(..before)
                .rev()
                .take(limit)
                .map(|(number, entry)| (*number, entry.clone()))
                .collect()
        }))
    }

    fn replace(&self, contents: &Contents) -> Result<(), StoreError> {
        *self.lock() = Some(contents.clone());
        Ok(())
    }

    fn recover(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
