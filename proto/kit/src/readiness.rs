//! Whether the process is ready to receive traffic: it is once all named blockers have been dropped.

use std::sync::{Arc, Mutex, PoisonError};

/// The blockers that remain. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Vec<&'static str>>>);

/// Keeps the process from being ready until it is dropped.
#[derive(Debug)]
pub struct Blocker {
    readiness: Readiness,
    name: &'static str,
}

impl Readiness {
    /// Adds a blocker.
    #[must_use]
    pub fn block(&self, name: &'static str) -> Blocker {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(name);
        Blocker {
            readiness: self.clone(),
            name,
        }
    }

    /// The names of the blockers that remain; empty when ready.
    #[must_use]
    pub fn pending(&self) -> Vec<&'static str> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether no blocker remains.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }
}

impl Drop for Blocker {
    fn drop(&mut self) {
        let mut names = self
            .readiness
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = names.iter().position(|&name| name == self.name) {
            names.swap_remove(index);
        }
        tracing::debug!(lifted = self.name, pending = ?*names, "readiness");
    }
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn ready_is_when_the_last_blocker_is_dropped() {
        let readiness = Readiness::default();
        let (a, b) = (readiness.block("snapshot"), readiness.block("listeners"));
        drop(a);
        assert_eq!(readiness.pending(), ["listeners"]);
        drop(b);
        assert!(readiness.is_ready());
    }
}
