//! How the fields of a resource are read, for a new one and for changes by a field mask (AIP-134): each is validated under
//! its path, and all faults are found at once. Each kind of resource has one table of its fields.

use std::{fmt::Debug, str::FromStr};

use super::{draft::Draft, guard::existing};
use crate::domain::{
    invalid::{Faults, Rule, reason},
    name::free_text,
    resource::Resource,
    state::State,
    time::Timestamp,
};

/// A change of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update<K, I> {
    /// Which resource.
    pub key: K,
    /// The new values.
    pub input: I,
    /// The fields to change, as in the admin API's message; empty for those that `input` gives; `*` for all.
    pub mask: Vec<String>,
    /// When not empty, it must be the current one.
    pub etag: String,
}

/// The fields of a kind of resource that callers set.
#[derive(Debug)]
pub struct EditableFields<R: 'static, I: 'static> {
    /// What paths begin with, for example `plan`.
    pub(super) root: &'static str,
    /// The fields, in the order in which they are read.
    pub(super) all: &'static [EditableField<R, I>],
    /// The fields that a mask may name, although they never change.
    pub(super) fixed: &'static [&'static str],
}

/// A field that callers set.
#[derive(Debug)]
pub struct EditableField<R, I> {
    /// Its name in the admin API's message.
    pub(super) name: &'static str,
    /// Whether an input gives it, where a change has no mask.
    pub(super) is_given: fn(&I) -> bool,
    /// Validates and sets it. What is set beside a fault is never stored.
    pub(super) set: fn(&mut R, &I, &mut FieldContext<'_>),
}

/// Where a field is read.
#[derive(Debug)]
pub struct FieldContext<'a> {
    /// The field, for example `plan.limits`.
    pub(super) path: String,
    /// The state in which the change is decided.
    pub(super) state: &'a State,
    /// When the change is decided.
    pub(super) now: Timestamp,
    /// What is wrong so far.
    pub(super) faults: &'a mut Faults,
}

/// A name that stands in a new resource until its own is set: the fields beside a faulty one are read all the same.
pub(super) fn placeholder<T: FromStr<Err: Debug>>() -> T {
    "-".parse().expect("`-` is a name")
}

// === impl EditableFields ===

impl<R: Clone, I> EditableFields<R, I> {
    /// A new resource with all fields set; of use only when there are no faults.
    pub(super) fn create(&self, mut new: R, input: &I, draft: &Draft, faults: &mut Faults) -> R {
        for field in self.all {
            self.set(field, &mut new, input, draft, faults);
        }
        new
    }

    /// A resource with the fields set that a mask names; of use only when there are no faults.
    pub(super) fn update<K>(
        &self,
        before: &R,
        update: &Update<K, I>,
        draft: &Draft,
        faults: &mut Faults,
    ) -> R {
        self.check_mask(&update.mask, faults);
        let mut next = before.clone();
        let named = self.all.iter().filter(|field| field.is_named(update));
        let mut named: Vec<_> = named.collect();
        // So are faults ordered, whatever the order in the table or the mask.
        named.sort_by_key(|field| field.name);
        for field in named {
            self.set(field, &mut next, &update.input, draft, faults);
        }
        next
    }

    /// The names of the fields that a change sets.
    pub(super) fn named<K>(&self, update: &Update<K, I>) -> impl Iterator<Item = &'static str> {
        let named = self.all.iter().filter(|field| field.is_named(update));
        named.map(|field| field.name)
    }

    /// Notes what a mask names and is no field.
    fn check_mask(&self, mask: &[String], faults: &mut Faults) {
        for path in mask {
            let is_known = path == "*"
                || self.fixed.contains(&path.as_str())
                || self.all.iter().any(|field| field.name == path);
            if !is_known {
                let names: Vec<_> = self.all.iter().map(|field| field.name).collect();
                let names = names.join(", ");
                let rule = format!("names `{path}`; what can be changed is {names}");
                faults.add("update_mask", reason::UNKNOWN_FIELD, rule);
            }
        }
    }

    fn set(
        &self,
        field: &EditableField<R, I>,
        of: &mut R,
        input: &I,
        draft: &Draft,
        faults: &mut Faults,
    ) {
        let mut context = FieldContext {
            path: format!("{}.{}", self.root, field.name),
            state: draft.state(),
            now: draft.now,
            faults,
        };
        (field.set)(of, input, &mut context);
    }
}

// === impl EditableField ===

impl<R, I> EditableField<R, I> {
    /// Whether a change sets the field.
    fn is_named<K>(&self, update: &Update<K, I>) -> bool {
        if update.mask.is_empty() {
            return (self.is_given)(&update.input);
        }
        update
            .mask
            .iter()
            .any(|path| path == "*" || path == self.name)
    }
}

// === impl FieldContext ===

impl FieldContext<'_> {
    /// The value of a check; `None` notes its fault.
    pub(super) fn take<T>(&mut self, checked: Result<T, Rule>) -> Option<T> {
        self.faults.take(&self.path, checked)
    }

    /// Sets a value that was checked.
    pub(super) fn set<T>(&mut self, place: &mut T, checked: Result<T, Rule>) {
        if let Some(value) = self.take(checked) {
            *place = value;
        }
    }

    /// The resource that the field names, by its key; empty for none. One that does not exist is a fault.
    pub(super) fn named<R: Resource<Key: FromStr>>(
        &mut self,
        kind: &str,
        key: &str,
    ) -> Option<R::Key> {
        if key.is_empty() {
            return None;
        }
        self.existing::<R>(kind, key)
    }

    /// The resource that the field names, by its key. One that does not exist is a fault.
    pub(super) fn existing<R: Resource<Key: FromStr>>(
        &mut self,
        kind: &str,
        key: &str,
    ) -> Option<R::Key> {
        existing::<R>(&self.path, (kind, key), self.state, self.faults)
    }

    /// Sets a free text of at most `max` characters.
    pub(super) fn text(&mut self, place: &mut String, text: &str, max: usize) {
        self.set(place, free_text(text, max));
    }
}
