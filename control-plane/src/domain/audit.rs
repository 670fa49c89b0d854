//! The audit log: who changed what, when, and how it was before and after. One entry per commit, under its number.

use serde_json::Value;
use tidegate_proto::revision::RevisionNumber;

use super::{actor::Actor, name::SYSTEM, resource::Resource as _, time::Timestamp, user::User};

/// One commit, as the audit log tells it. Secrets and their hashes are left out.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// The number of the state that the commit made; also the entry's id.
    pub number: RevisionNumber,
    /// When.
    pub at: Timestamp,
    /// Who, by name; `system` for the process itself, and `users/system` for a user who has that name from older days.
    pub actor: String,
    /// What was done: the use case, for example `CreateApi`.
    pub action: String,
    /// The resource that it was done to, for example `apis/0198…`.
    pub resource: String,
    /// The resource before, or `None` when it is new.
    pub before: Option<Value>,
    /// The resource after, or `None` when it is gone.
    pub after: Option<Value>,
    /// Other resources that the commit changed, made or removed.
    pub touched: Vec<String>,
}

// === impl AuditEntry ===

impl AuditEntry {
    /// How an actor is noted.
    #[must_use]
    pub fn noted(actor: &Actor) -> String {
        if actor.user.is_some() && actor.name.as_str() == SYSTEM {
            User::name_of(SYSTEM)
        } else {
            actor.name.to_string()
        }
    }

    /// Who, as a resource: `users/{name}`, or `system` for the process itself.
    #[must_use]
    pub fn actor_resource(&self) -> String {
        if self.actor == SYSTEM || self.actor.starts_with("users/") {
            self.actor.clone()
        } else {
            User::name_of(&self.actor)
        }
    }
}
