//! A change while it is decided: the next state, what it writes, and what the audit log will say. Made and finished by
//! the writer; use cases put and remove objects.

use std::{collections::BTreeSet, sync::Arc};

use tidegate_proto::revision::RevisionNumber;

use crate::{
    domain::{
        actor::Actor,
        audit::AuditEntry,
        meta::ResourceMeta,
        object::{ObjectKey, Stored},
        resource::{Versioned, object_name},
        state::State,
        time::Timestamp,
    },
    store::{
        change::{Change, Meta},
        migrate, record,
    },
};

use super::{error::ServiceError, guard};

/// A change while it is decided.
#[derive(Debug)]
pub(super) struct Draft {
    before: Arc<State>,
    state: State,
    written: BTreeSet<ObjectKey>,
    /// What the audit entry is about: the first object written.
    subject: Option<ObjectKey>,
    /// Who decides.
    pub(super) actor: Actor,
    /// When.
    pub(super) now: Timestamp,
}

/// How many other resources an audit entry names.
const TOUCHED_MAX: usize = 100;

// === impl Draft ===

impl Draft {
    pub(super) fn new(before: &Arc<State>, actor: Actor, now: Timestamp) -> Self {
        Self {
            before: before.clone(),
            state: State::clone(before),
            written: BTreeSet::new(),
            subject: None,
            actor,
            now,
        }
    }

    /// The state as it will be.
    pub(super) const fn state(&self) -> &State {
        &self.state
    }

    /// The number of the state as it will be.
    pub(super) fn number(&self) -> RevisionNumber {
        self.before.number().next()
    }

    /// What a resource that is created now carries.
    pub(super) const fn meta(&self) -> ResourceMeta {
        ResourceMeta::new(self.now)
    }

    /// The resource under a key, for a caller who has seen its latest version.
    pub(super) fn fetch<R: Versioned>(
        &self,
        key: &R::Key,
        etag: &str,
    ) -> Result<Arc<R>, ServiceError> {
        let found = guard::find::<R>(&self.state, key)?;
        guard::check_etag(etag, &**found)?;
        Ok(found.clone())
    }

    /// Writes an object; gives it back as it is stored.
    pub(super) fn put<T: Stored>(&mut self, object: T) -> Arc<T> {
        let stored = Arc::new(object);
        let object = T::object(stored.clone());
        self.note(object.key());
        self.state.put(object);
        stored
    }

    /// Writes the next version of a resource. One that is equal to the version before changes nothing.
    pub(super) fn replace<R: Versioned>(&mut self, before: &Arc<R>, mut next: R) -> Arc<R> {
        if next == **before {
            return before.clone();
        }
        next.meta_mut().change(self.now);
        self.put(next)
    }

    /// Removes an object.
    pub(super) fn remove<T: Stored>(&mut self, object: &Arc<T>) {
        self.remove_key(T::object(object.clone()).key());
    }

    /// Removes what is under a key, if anything is.
    pub(super) fn remove_key(&mut self, key: ObjectKey) {
        if self.state.take(&key).is_some() {
            self.note(key);
        }
    }

    /// Removes each of some objects.
    pub(super) fn remove_all<T: Stored>(&mut self, find: impl FnOnce(&State) -> Vec<Arc<T>>) {
        for object in find(&self.state) {
            self.remove(&object);
        }
    }

    /// The change and the state after it, or `None` when nothing was written.
    pub(super) fn finish(mut self, action: &str) -> Option<(Change, State)> {
        let subject = self.subject.take()?;
        let number = self.number();
        self.state.set_number(number);
        let resource = |key: &ObjectKey| {
            let object = self.state.get(key).or_else(|| self.before.get(key));
            object.as_ref().map_or_else(String::new, object_name)
        };
        let others = self.written.iter().filter(|key| **key != subject);
        let entry = AuditEntry {
            number,
            at: self.now,
            actor: AuditEntry::noted(&self.actor),
            action: action.to_owned(),
            resource: resource(&subject),
            before: self.before.get(&subject).map(|it| record::audit_view(&it)),
            after: self.state.get(&subject).map(|it| record::audit_view(&it)),
            touched: others.take(TOUCHED_MAX).map(resource).collect(),
        };
        let writes = self
            .written
            .iter()
            .map(|key| {
                let framed = self.state.get(key).map(|object| record::encode(&object));
                (record::key(key), framed)
            })
            .collect();
        let change = Change {
            meta: Meta {
                format: migrate::FORMAT,
                number,
                records: self.state.len() as u64,
            },
            writes,
            audit: record::encode_audit(&entry),
        };
        Some((change, self.state))
    }

    fn note(&mut self, key: ObjectKey) {
        self.subject.get_or_insert_with(|| key.clone());
        self.written.insert(key);
    }
}
