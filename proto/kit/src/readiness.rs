//! Whether the process may be sent work: a set of named blockers, each of which is lifted by dropping it.

use std::sync::{Arc, Mutex, PoisonError};

/// The blockers that are still up. Clones see the same set.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Vec<&'static str>>>);

/// Keeps the process from being ready until it is dropped.
#[derive(Debug)]
pub struct Blocker {
    readiness: Readiness,
    name: &'static str,
}

impl Readiness {
    /// Puts a blocker up.
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

    /// The names of what is still waited for; empty when ready.
    #[must_use]
    pub fn pending(&self) -> Vec<&'static str> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether nothing is waited for.
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
