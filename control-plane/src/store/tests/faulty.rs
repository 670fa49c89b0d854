//! A store that fails when it is told to, before or after it took the change.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use crate::store::{
    Store, StoreError, Visit,
    change::{Change, Contents, Meta},
};

/// Passes everything on, but for commits while it is broken.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    inner: Arc<dyn Store>,
    mode: AtomicU8,
}

const WORKS: u8 = 0;
const FAILS: u8 = 1;
const TAKES_AND_FAILS: u8 = 2;

impl FaultyStore {
    pub(crate) fn over(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            mode: AtomicU8::new(WORKS),
        })
    }

    /// From now on commits fail and nothing is taken.
    pub(crate) fn fail(&self) {
        self.mode.store(FAILS, Ordering::SeqCst);
    }

    /// From now on commits are taken, but the answer is a failure.
    pub(crate) fn take_and_fail(&self) {
        self.mode.store(TAKES_AND_FAILS, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.mode.store(WORKS, Ordering::SeqCst);
    }
}

impl Store for FaultyStore {
    fn meta(&self) -> Result<Option<Meta>, StoreError> {
        self.inner.meta()
    }

    fn scan(&self, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.inner.scan(visit)
    }

    fn commit(&self, change: &Change) -> Result<(), StoreError> {
        let full = || StoreError::Io {
            doing: "write",
            why: "no space left on device".to_owned(),
        };
        match self.mode.load(Ordering::SeqCst) {
            FAILS => Err(full()),
            TAKES_AND_FAILS => {
                self.inner.commit(change)?;
                Err(full())
            }
            _ => self.inner.commit(change),
        }
    }

    fn audit(&self, before: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.inner.audit(before, limit)
    }

    fn replace(&self, contents: &Contents) -> Result<(), StoreError> {
        self.inner.replace(contents)
    }

    fn recover(&self) -> Result<(), StoreError> {
        self.inner.recover()
    }
}
