//! Decodes policies: their groups and conditions, and whom deny policies are about.

use std::net::IpAddr;

use http::HeaderName;
use ipnet::IpNet;
use tidegate_proto::{
    discovery::{
        limits::InvalidLimits,
        v1::{self, condition::Subject as WireSubject, deny_policy::Target as WireTarget},
    },
    quota::Limits,
};

use super::{InvalidResource, NAME_MAX, limits, text, unknown, within};
use crate::snapshot::model::policy::{
    ApiPolicy, ApplicationPolicy, Condition, DenyPolicy, Group, NameValueMatch, Per, Subject,
    Target,
};

/// What is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    /// Something wrong with the limits of a group.
    #[error("group {index}: limits: {fault}")]
    Limits {
        /// Which group, from 0.
        index: usize,
        /// What is wrong with them.
        fault: InvalidLimits,
    },
    /// A group without conditions or limits.
    #[error("group {index} has no {missing}")]
    Group {
        /// Which group, from 0.
        index: usize,
        /// What it lacks.
        missing: &'static str,
    },
    /// An invalid condition.
    #[error("group {group}, condition {index}: {fault}")]
    Condition {
        /// Which group, from 0.
        group: usize,
        /// Which of its conditions, from 0.
        index: usize,
        /// What is wrong with it.
        fault: InvalidCondition,
    },
    /// A deny policy without a target.
    #[error(
        "names nobody whom this node knows how to keep out; the node may be older than the control plane"
    )]
    NoTarget,
    /// A target that is no address.
    #[error("`address` {0}")]
    Address(InvalidAddress),
    /// A target that cannot be turned round.
    #[error("`invert` is set, but only addresses can be inverted")]
    Invert,
}

/// What is wrong with a condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCondition {
    /// A kind of condition that this node does not know.
    #[error("looks at nothing that this node knows; the node may be older than the control plane")]
    UnknownKind,
    /// No address.
    #[error("`address` {0}")]
    Address(InvalidAddress),
    /// A name that no header can have.
    #[error("`{0}` is no name of a header")]
    HeaderName(String),
    /// A name that is empty or too long.
    #[error("a name must have between 1 and {most} bytes, not {length}")]
    Name {
        /// How long it is.
        length: usize,
        /// How long it may be.
        most: usize,
    },
    /// A value that is too long.
    #[error("a value must have at most {most} bytes, not {length}")]
    Value {
        /// How long it is.
        length: usize,
        /// How long it may be.
        most: usize,
    },
}

/// Neither an address nor a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is `{0}`, which is neither an IP address nor a range such as `192.0.2.0/24`")]
pub struct InvalidAddress(String);

const GROUPS_MAX: usize = 100;
const CONDITIONS_MAX: usize = 100;

pub(super) fn application(
    wire: &v1::ApplicationPolicy,
) -> Result<ApplicationPolicy, InvalidResource> {
    Ok(ApplicationPolicy {
        name: text("name", &wire.name)?,
        per_token: wire.per_token,
        limits: limits(wire.limits.as_ref())?,
    })
}

pub(super) fn api(wire: &v1::ApiPolicy) -> Result<ApiPolicy, InvalidResource> {
    let per = match v1::Per::try_from(wire.per) {
        Ok(v1::Per::Api) => Per::Api,
        Ok(v1::Per::Application) => Per::Application,
        Ok(v1::Per::User) => Per::User,
        Ok(v1::Per::Address) => Per::Address,
        Ok(v1::Per::Unspecified) | Err(_) => return unknown("per", wire.per),
    };
    within("groups", wire.groups.len(), GROUPS_MAX, "groups")?;
    let groups = wire.groups.iter().enumerate().map(group);
    Ok(ApiPolicy {
        name: text("name", &wire.name)?,
        per,
        limits: limits(wire.limits.as_ref())?,
        groups: groups.collect::<Result<_, _>>()?,
    })
}

fn group((index, wire): (usize, &v1::Group)) -> Result<Group, InvalidResource> {
    let missing = |missing| InvalidPolicy::Group { index, missing };
    if wire.conditions.is_empty() {
        return Err(missing("conditions").into());
    }
    within(
        "conditions",
        wire.conditions.len(),
        CONDITIONS_MAX,
        "conditions",
    )?;
    let limits = wire.limits.as_ref().ok_or_else(|| missing("limits"))?;
    let conditions = wire.conditions.iter().enumerate().map(|(at, wire)| {
        condition(wire).map_err(|fault| InvalidPolicy::Condition {
            group: index,
            index: at,
            fault,
        })
    });
    Ok(Group {
        conditions: conditions.collect::<Result<_, _>>()?,
        limits: Limits::try_from(limits).map_err(|fault| InvalidPolicy::Limits { index, fault })?,
    })
}

fn condition(wire: &v1::Condition) -> Result<Condition, InvalidCondition> {
    let subject = match wire.subject.as_ref() {
        Some(WireSubject::Address(address)) => {
            Subject::Address(range(address).map_err(InvalidCondition::Address)?)
        }
        Some(WireSubject::Header(wire)) => {
            let mut sought = sought(wire)?;
            let name: HeaderName = wire
                .name
                .parse()
                .map_err(|_| InvalidCondition::HeaderName(clip(&wire.name)))?;
            sought.name = name.as_str().into();
            Subject::Header(sought)
        }
        Some(WireSubject::Query(wire)) => Subject::Query(sought(wire)?),
        Some(WireSubject::Claim(wire)) => Subject::Claim(sought(wire)?),
        None => return Err(InvalidCondition::UnknownKind),
    };
    Ok(Condition {
        subject,
        invert: wire.invert,
    })
}

fn sought(wire: &v1::Match) -> Result<NameValueMatch, InvalidCondition> {
    let (name, value) = (wire.name.as_str(), wire.value.as_str());
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(InvalidCondition::Name {
            length: name.len(),
            most: NAME_MAX,
        });
    }
    if value.len() > NameValueMatch::VALUE_MAX {
        return Err(InvalidCondition::Value {
            length: value.len(),
            most: NameValueMatch::VALUE_MAX,
        });
    }
    Ok(NameValueMatch {
        name: name.into(),
        value: (!value.is_empty()).then(|| value.into()),
    })
}

pub(super) fn deny(wire: &v1::DenyPolicy) -> Result<DenyPolicy, InvalidResource> {
    let target = match wire.target.as_ref().ok_or(InvalidPolicy::NoTarget)? {
        WireTarget::Api(id) => Target::Api(id.parse()?),
        WireTarget::Application(id) => Target::Application(id.parse()?),
        WireTarget::User(user) => Target::User(text("user", user)?),
        WireTarget::Address(address) => {
            Target::Address(range(address).map_err(InvalidPolicy::Address)?)
        }
    };
    if wire.invert && !matches!(target, Target::Address(_)) {
        return Err(InvalidPolicy::Invert.into());
    }
    Ok(DenyPolicy {
        id: wire.id.parse()?,
        target,
        invert: wire.invert,
        expires_at: (wire.expires_at > 0).then_some(wire.expires_at),
    })
}

/// An address or a range, with its host bits cleared. Version 4 in version 6 is version 4, as clients are seen.
fn range(text: &str) -> Result<IpNet, InvalidAddress> {
    let one = text.parse::<IpAddr>().map(IpNet::from);
    let range = one.or_else(|_| text.parse::<IpNet>());
    let range = range.map_err(|_| InvalidAddress(clip(text)))?.trunc();
    match (
        range.addr().to_canonical(),
        range.prefix_len().checked_sub(96),
    ) {
        (IpAddr::V4(v4), Some(length)) if matches!(range, IpNet::V6(_)) => {
            IpNet::new(v4.into(), length).map_err(|_| InvalidAddress(clip(text)))
        }
        _ => Ok(range),
    }
}

fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}
