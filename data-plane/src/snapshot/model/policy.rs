//! Policies: limits of APIs, topics and applications, and deny policies.
//!
//! Values only; `quota::levels` and `admit::deny` apply them. Built by `decode`.

use std::sync::Arc;

use ipnet::IpNet;
use tidegate_proto::{
    ids::{ApiId, ApplicationId, DenyPolicyId},
    quota::Limits,
};

/// What an application, or each of its tokens, may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationPolicy {
    /// The name.
    pub name: Arc<str>,
    /// Whether each token counts for itself; otherwise all tokens of an application count together.
    pub per_token: bool,
    /// What is allowed.
    pub limits: Limits,
}

/// What an API or a topic lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiPolicy {
    /// The name.
    pub name: Arc<str>,
    /// Whose messages count together.
    pub per: Per,
    /// What is allowed to those to whom no group applies.
    pub limits: Limits,
    /// What is allowed to special callers: the first group whose conditions all hold applies.
    pub groups: Vec<Group>,
}

/// Whose messages count together under an API policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Everybody's.
    Api,
    /// Those of one application.
    Application,
    /// Those of one user.
    User,
    /// Those from one client address.
    Address,
}

/// Callers for whom an API policy has limits of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What must hold, all of it.
    pub conditions: Vec<Condition>,
    /// What is allowed to them.
    pub limits: Limits,
}

/// Something about a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What is looked at.
    pub subject: Subject,
    /// Whether the result is inverted.
    pub invert: bool,
}

/// What a condition looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The client's address is in this range.
    Address(IpNet),
    /// The request has this header; the name is in lower case.
    Header(NameValueMatch),
    /// The request has this query parameter.
    Query(NameValueMatch),
    /// The token has this claim.
    Claim(NameValueMatch),
}

/// A name and the value that it must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameValueMatch {
    /// The name.
    pub name: Arc<str>,
    /// The value; `None` for any.
    pub value: Option<Box<str>>,
}

/// Blocks callers and ends their open sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenyPolicy {
    /// The policy's id.
    pub id: DenyPolicyId,
    /// Who.
    pub target: Target,
    /// Inverts an address: all callers from other addresses.
    pub invert: bool,
    /// The second of Unix time at which it ends; `None` for never.
    pub expires_at: Option<u64>,
}

/// Whom a deny policy is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// All callers of the API.
    Api(ApiId),
    /// An application.
    Application(ApplicationId),
    /// A user.
    User(Arc<str>),
    /// A range of client addresses; its host bits are zero.
    Address(IpNet),
}

// === impl ApiPolicy ===

impl ApiPolicy {
    /// Everything that its conditions look at.
    pub fn subjects(&self) -> impl Iterator<Item = &Subject> {
        let conditions = self.groups.iter().flat_map(|group| &group.conditions);
        conditions.map(|condition| &condition.subject)
    }
}

// === impl NameValueMatch ===

impl NameValueMatch {
    /// Values that are longer can be those of no condition.
    pub const VALUE_MAX: usize = 256;

    /// Whether one of the values that a handshake has under the name is what is sought.
    pub fn is_among<'a>(&self, mut values: impl Iterator<Item = &'a str>) -> bool {
        match &self.value {
            Some(value) => values.any(|other| other == &**value),
            None => values.next().is_some(),
        }
    }
}

// === impl DenyPolicy ===

impl DenyPolicy {
    /// Whether it is in force at `now` (seconds of Unix time).
    #[must_use]
    pub fn is_in_force(&self, now: u64) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}
