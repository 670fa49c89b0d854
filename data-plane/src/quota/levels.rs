//! The levels of limits that apply to a session: API policy, topic policy, plan, application policy.
//!
//! Owns which limits apply to a session and which counters it uses: the first group of a policy that matches, the scope
//! of the policy's counters, and the generation that an admin increments to reset them. `bucket` counts, and `meter`
//! acts. Resolved by `admit` for a handshake, and again for open sessions after a change of the snapshot.

use std::{fmt::Write as _, net::IpAddr, sync::Arc};

use sha2::{Digest as _, Sha256};
use tidegate_proto::{ids::SubscriptionKey, quota::Limits, reason::Reason};

use crate::{
    auth::Principal,
    auth::attributes::Attributes,
    snapshot::{
        Snapshot,
        model::{
            Api, Topic,
            policy::{ApiPolicy, Per},
        },
    },
};

/// A level, in the order in which limits are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The API's policy.
    Api,
    /// The topic's policy.
    Topic,
    /// The subscription's plan.
    Subscription,
    /// The application's policy.
    Application,
}

/// The limits of one level, and whose counters they use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The level.
    pub level: Level,
    /// Who shares the counter: a short text of ASCII letters, digits, `-` and `.`, however long the name or token that
    /// it stands for. Equal for equal subjects on every node.
    pub subject: Arc<str>,
    /// The name of the plan or policy, for metrics.
    pub policy: Arc<str>,
    /// The limits; never unlimited.
    pub limits: Limits,
}

/// A policy that is named but missing in the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {kind} policy `{name}` of {of} is not held")]
pub struct MissingPolicy {
    kind: &'static str,
    name: Arc<str>,
    of: String,
}

/// The rules for a session on a topic of an API, in the order in which they are checked. Levels without limits are left
/// out.
///
/// # Errors
/// When a policy that is named is not held: that must not mean that there is no limit.
pub fn resolve(
    snapshot: &Snapshot,
    (api, topic): (&Api, Option<&Topic>),
    principal: &Principal,
    attributes: &Attributes,
) -> Result<Vec<Rule>, MissingPolicy> {
    let mut rules = Vec::new();
    let (subscription, application) = (&principal.subscription, &principal.application);
    if let Some(name) = &api.policy {
        let policy = snapshot
            .api_policy(name)
            .ok_or_else(|| MissingPolicy::new("API", name, format!("`apis/{}`", api.id)))?;
        let subject = format!("{}.{}", api.id, api.quota_generation);
        rules.push(of_policy(
            Level::Api,
            subject,
            policy,
            principal,
            attributes,
        ));
    }
    if let Some((topic, name)) = topic.and_then(|topic| Some((topic, topic.policy.as_ref()?))) {
        let of = || format!("the topic `{}` of `apis/{}`", topic.template, api.id);
        let policy = snapshot
            .api_policy(name)
            .ok_or_else(|| MissingPolicy::new("API", name, of()))?;
        let topic = hashed(topic.template.as_str());
        let subject = format!("{}.{topic}.{}", api.id, api.quota_generation);
        rules.push(of_policy(
            Level::Topic,
            subject,
            policy,
            principal,
            attributes,
        ));
    }
    rules.push(Rule {
        level: Level::Subscription,
        subject: write_subscription(subscription.key(), subscription.quota_generation),
        policy: principal.plan.name.clone(),
        limits: principal.plan.limits.clone(),
    });
    if let Some(name) = &application.policy {
        let policy = snapshot.application_policy(name).ok_or_else(|| {
            MissingPolicy::new(
                "application",
                name,
                format!("`applications/{}`", application.id),
            )
        })?;
        let mut subject = format!("{}.{}", application.id, application.quota_generation);
        if policy.per_token {
            write(
                &mut subject,
                format_args!(".token-{:032x}", principal.token.fingerprint),
            );
        }
        rules.push(Rule {
            level: Level::Application,
            subject: subject.into(),
            policy: name.clone(),
            limits: policy.limits.clone(),
        });
    }
    rules.retain(|rule| !rule.limits.is_unlimited());
    Ok(rules)
}

/// The subject of a plan's counters: application, API and generation. Not the subscription's id, because the
/// application's owner would get new counters by subscribing again.
pub(super) fn write_subscription(key: SubscriptionKey, generation: u64) -> Arc<str> {
    let SubscriptionKey { application, api } = key;
    format!("{application}.{api}.{generation}").into()
}

/// Parses a subject of [`Level::Subscription`].
#[must_use]
pub fn read_subscription(subject: &str) -> Option<(SubscriptionKey, u64)> {
    let (application, rest) = subject.split_once('.')?;
    let (api, generation) = rest.split_once('.')?;
    let key = SubscriptionKey {
        application: application.parse().ok()?,
        api: api.parse().ok()?,
    };
    Some((key, generation.parse().ok()?))
}

/// The rule of an API policy for a caller. `subject` is the API or topic.
fn of_policy(
    level: Level,
    mut subject: String,
    policy: &ApiPolicy,
    principal: &Principal,
    attributes: &Attributes,
) -> Rule {
    let claims = &principal.token.claims;
    let group = policy.groups.iter().position(|group| {
        let mut conditions = group.conditions.iter();
        conditions.all(|condition| attributes.meet(condition, claims))
    });
    match policy.per {
        Per::Api => {}
        Per::Application => write(
            &mut subject,
            format_args!(".application-{}", principal.application.id),
        ),
        Per::User => write(
            &mut subject,
            format_args!(".user-{}", hashed(principal.user())),
        ),
        Per::Address => match attributes.address {
            IpAddr::V4(v4) => write(&mut subject, format_args!(".address-{v4}")),
            // A customer gets a /64 and may use all of it.
            IpAddr::V6(v6) => write(
                &mut subject,
                format_args!(".address-{:016x}", v6.to_bits() >> 64),
            ),
        },
    }
    let limits = match group {
        Some(index) => {
            write(&mut subject, format_args!(".group-{index}"));
            &policy.groups[index].limits
        }
        None => &policy.limits,
    };
    Rule {
        level,
        subject: subject.into(),
        policy: policy.name.clone(),
        limits: limits.clone(),
    }
}

/// The hash that stands for a text from clients in a key: it has a fixed length and reveals no identity.
fn hashed(text: &str) -> String {
    let mut hex = String::with_capacity(32);
    for byte in &Sha256::digest(text)[..16] {
        write(&mut hex, format_args!("{byte:02x}"));
    }
    hex
}

fn write(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("writing to a string does not fail");
}

// === impl Level ===

impl Level {
    /// Every level, in order.
    pub const ALL: [Self; 4] = [
        Self::Api,
        Self::Topic,
        Self::Subscription,
        Self::Application,
    ];

    /// The label in keys and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Topic => "topic",
            Self::Subscription => "subscription",
            Self::Application => "application",
        }
    }

    /// The reason when the level's limit is reached.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Api => Reason::ApiQuota,
            Self::Topic => Reason::TopicQuota,
            Self::Subscription => Reason::SubscriptionQuota,
            Self::Application => Reason::ApplicationQuota,
        }
    }
}

// === impl MissingPolicy ===

impl MissingPolicy {
    fn new(kind: &'static str, name: &Arc<str>, of: String) -> Self {
        Self {
            kind,
            name: name.clone(),
            of,
        }
    }
}

#[cfg(test)]
mod tests;
