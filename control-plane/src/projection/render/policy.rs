//! How policies look on the wire: what a node judges by, without what people read.

use std::time::Duration;

use tidegate_proto::discovery::v1::{self, condition::Subject as WireSubject, deny_policy::Target};

use crate::domain::policy::{
    ApiPolicy, ApplicationPolicy, Condition, DenyPolicy, DenyTarget, Group, NameValueMatch, Per,
    Subject,
};

pub(super) fn application(policy: &ApplicationPolicy) -> v1::ApplicationPolicy {
    v1::ApplicationPolicy {
        name: policy.name.to_string(),
        per_token: policy.per_token,
        limits: Some((&policy.limits).into()),
    }
}

pub(super) fn api(policy: &ApiPolicy) -> v1::ApiPolicy {
    v1::ApiPolicy {
        name: policy.name.to_string(),
        per: match policy.per {
            Per::Api => v1::Per::Api,
            Per::Application => v1::Per::Application,
            Per::User => v1::Per::User,
            Per::Address => v1::Per::Address,
        }
        .into(),
        limits: Some((&policy.limits).into()),
        groups: policy.groups.iter().map(group).collect(),
    }
}

/// `None` for one that keeps nobody out. Whether one has ended is judged by the nodes: nothing is committed when it does.
pub(super) fn deny(policy: &DenyPolicy) -> Option<v1::DenyPolicy> {
    if policy.disabled {
        return None;
    }
    Some(v1::DenyPolicy {
        id: policy.id.to_string(),
        target: Some(match &policy.target {
            DenyTarget::Api(id) => Target::Api(id.to_string()),
            DenyTarget::Application(id) => Target::Application(id.to_string()),
            DenyTarget::User(name) => Target::User(name.to_string()),
            DenyTarget::Address(range) | DenyTarget::AddressesBut(range) => {
                Target::Address(range.to_string())
            }
        }),
        invert: matches!(policy.target, DenyTarget::AddressesBut(_)),
        // Nodes judge by whole seconds: rather a little long than too short.
        expires_at: policy
            .expires_at
            .map_or(0, |end| end.after(Duration::from_millis(999)).seconds()),
    })
}

fn group(group: &Group) -> v1::Group {
    v1::Group {
        conditions: group.conditions.iter().map(condition).collect(),
        limits: Some((&group.limits).into()),
    }
}

fn condition(condition: &Condition) -> v1::Condition {
    v1::Condition {
        subject: Some(match &condition.subject {
            Subject::Address(range) => WireSubject::Address(range.to_string()),
            Subject::Header(it) => WireSubject::Header(sought(it)),
            Subject::Query(it) => WireSubject::Query(sought(it)),
            Subject::Claim(it) => WireSubject::Claim(sought(it)),
        }),
        invert: condition.invert,
    }
}

fn sought(sought: &NameValueMatch) -> v1::Match {
    v1::Match {
        name: sought.name.clone(),
        value: sought.value.clone().unwrap_or_default(),
    }
}
