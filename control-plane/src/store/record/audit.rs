//! The record of an audit entry.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidegate_proto::revision::RevisionNumber;

use crate::domain::{audit::AuditEntry, time::Timestamp};

#[derive(Serialize, Deserialize)]
pub(super) enum AuditRecord {
    V1(AuditV1),
}

#[derive(Serialize, Deserialize)]
pub(super) struct AuditV1 {
    at: u64,
    actor: String,
    action: String,
    resource: String,
    before: Option<Value>,
    after: Option<Value>,
    touched: Vec<String>,
}

// === impl AuditRecord ===

impl From<&AuditEntry> for AuditRecord {
    fn from(it: &AuditEntry) -> Self {
        Self::V1(AuditV1 {
            at: it.at.millis(),
            actor: it.actor.clone(),
            action: it.action.clone(),
            resource: it.resource.clone(),
            before: it.before.clone(),
            after: it.after.clone(),
            touched: it.touched.clone(),
        })
    }
}

impl AuditRecord {
    pub(super) fn entry(self, number: RevisionNumber) -> AuditEntry {
        let Self::V1(it) = self;
        AuditEntry {
            number,
            at: Timestamp::from_millis(it.at),
            actor: it.actor,
            action: it.action,
            resource: it.resource,
            before: it.before,
            after: it.after,
            touched: it.touched,
        }
    }
}
