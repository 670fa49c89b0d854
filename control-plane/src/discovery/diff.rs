//! What a node holds, what it refuses, and the parts of the batch that leads from there to a projection. No I/O.

use std::collections::BTreeMap;

use imbl::ordmap::DiffItem;
use prost::Message as _;
use tidegate_proto::{
    discovery::v1::{Batch, HeldResource},
    revision::ContentVersion,
};

use crate::projection::{Projection, Versions, key::ResourceKey};

/// What one node holds, as far as it has reported.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldResources {
    versions: Versions,
    /// Names that no resource of this control plane can have; the first batch takes them away.
    unknown: Vec<String>,
    /// What the node rejected; not sent again before it changes, or before what stands in its way does.
    refused: BTreeMap<ResourceKey, Refusal>,
}

/// What a node could not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The version that it refused.
    pub(super) version: ContentVersion,
    /// Why, as the node reports.
    pub(super) reason: String,
    /// What holds on the node what it claims; `None` when it is at fault by itself.
    pub(super) blocked_by: Option<ResourceKey>,
}

/// How large a part of a batch gets before the next begins, in bytes. A single resource may be larger.
const PART_BYTES: usize = 1024 * 1024;

// === impl HeldResources ===

impl HeldResources {
    /// What a node reports that it holds.
    pub(super) fn from_messages(messages: Vec<HeldResource>) -> Self {
        let mut held = Self::default();
        for message in messages {
            match message.name.parse() {
                Ok(key) => drop(
                    held.versions
                        .insert(key, ContentVersion::new(message.version)),
                ),
                Err(_) => held.unknown.push(message.name),
            }
        }
        held
    }

    /// What the node refuses for now.
    pub(super) const fn refused(&self) -> &BTreeMap<ResourceKey, Refusal> {
        &self.refused
    }

    /// Whether the batch that leads to `target` has anything in it.
    pub(super) fn lacks(&self, target: &Projection) -> bool {
        !self.unknown.is_empty() || self.changes(target).next().is_some()
    }

    /// The parts of the batch that leads to `target`; at least one, and all but the last say that more follow.
    pub(super) fn parts<'a>(
        &'a self,
        target: &'a Projection,
    ) -> impl Iterator<Item = Batch> + Send + 'a {
        let unknown = self.unknown.iter().cloned().map(ResourceChange::Removal);
        let mut changes = unknown.chain(self.changes(target)).peekable();
        let mut done = false;
        std::iter::from_fn(move || {
            if done {
                return None;
            }
            let mut part = Batch {
                number: target.number().get(),
                ..Batch::default()
            };
            let mut bytes = 0;
            while bytes < PART_BYTES
                && let Some(change) = changes.next()
            {
                match change {
                    ResourceChange::Removal(name) => {
                        bytes += name.len();
                        part.removals.push(name);
                    }
                    ResourceChange::Upsert(key) => {
                        let resource = target.resource(key);
                        let resource = resource.expect("a projection renders what it lists");
                        bytes += resource.encoded_len();
                        part.upserts.push(resource);
                    }
                }
            }
            part.more = changes.peek().is_some();
            done = !part.more;
            Some(part)
        })
    }

    /// The node runs `target`, but for what it rejected: of that it keeps the version before. What it refused earlier
    /// because of a resource that has moved since is no longer refused, and lacks.
    pub(super) fn acknowledge(
        &mut self,
        target: &Projection,
        rejected: impl IntoIterator<Item = (ResourceKey, Refusal)>,
    ) {
        let mut refused = std::mem::take(&mut self.refused);
        // What is no longer wanted in the version that was refused is no longer refused.
        let wanted = |key: &ResourceKey, refusal: &Refusal| {
            target.versions().get(key) == Some(&refusal.version)
        };
        refused.retain(|key, refusal| wanted(key, refusal));
        let mut rejected: BTreeMap<_, _> = rejected.into_iter().collect();
        rejected.retain(|key, refusal| wanted(key, refusal));
        let before = std::mem::replace(&mut self.versions, target.versions().clone());
        for key in refused.keys().chain(rejected.keys()) {
            match before.get(key) {
                Some(version) => drop(self.versions.insert(key.clone(), *version)),
                None => drop(self.versions.remove(key)),
            }
        }
        let has_moved = |key: &ResourceKey| before.get(key) != self.versions.get(key);
        refused.retain(|_, refusal| !refusal.blocked_by.as_ref().is_some_and(has_moved));
        refused.extend(rejected);
        self.refused = refused;
        self.unknown.clear();
    }

    fn changes<'a>(
        &'a self,
        target: &'a Projection,
    ) -> impl Iterator<Item = ResourceChange<'a>> + Send + 'a {
        let difference = self.versions.diff(target.versions());
        difference.filter_map(move |item| match item {
            DiffItem::Add(key, version)
            | DiffItem::Update {
                new: (key, version),
                ..
            } => self
                .offers(key, *version)
                .then_some(ResourceChange::Upsert(key)),
            DiffItem::Remove(key, _) => Some(ResourceChange::Removal(key.to_string())),
        })
    }

    fn offers(&self, key: &ResourceKey, version: ContentVersion) -> bool {
        self.refused
            .get(key)
            .is_none_or(|refusal| refusal.version != version)
    }
}

enum ResourceChange<'a> {
    Upsert(&'a ResourceKey),
    Removal(String),
}
