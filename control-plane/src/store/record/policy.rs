//! The records of policies: what applications may use, what APIs let through, who is denied access.

use serde::{Deserialize, Serialize};
use tidegate_proto::ids::{ApiId, ApplicationId, DenyPolicyId};

use super::{Unreadable, limits::LimitsV1, meta, part};
use crate::domain::{
    address::AddressRange,
    name::{PolicyName, UserName},
    policy::{
        ApiPolicy, ApplicationPolicy, Condition, DenyPolicy, DenyTarget, Group, NameValueMatch,
        Per, Subject,
    },
    time::Timestamp,
};

#[derive(Serialize, Deserialize)]
pub(super) enum ApplicationPolicyRecord {
    V1(ApplicationPolicyV1),
}

#[derive(Serialize, Deserialize)]
pub(super) enum ApiPolicyRecord {
    V1(ApiPolicyV1),
}

#[derive(Serialize, Deserialize)]
pub(super) enum DenyPolicyRecord {
    V1(DenyPolicyV1),
}

#[derive(Serialize, Deserialize)]
pub(super) struct ApplicationPolicyV1 {
    name: String,
    display_name: String,
    description: String,
    per_token: bool,
    limits: LimitsV1,
    created_at: u64,
    updated_at: u64,
    etag: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ApiPolicyV1 {
    name: String,
    display_name: String,
    description: String,
    per: String,
    limits: LimitsV1,
    groups: Vec<GroupV1>,
    created_at: u64,
    updated_at: u64,
    etag: u64,
}

#[derive(Serialize, Deserialize)]
struct GroupV1 {
    description: String,
    conditions: Vec<ConditionV1>,
    limits: LimitsV1,
}

#[derive(Serialize, Deserialize)]
struct ConditionV1 {
    subject: SubjectV1,
    invert: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SubjectV1 {
    Address(String),
    Header(NameValueV1),
    Query(NameValueV1),
    Claim(NameValueV1),
}

#[derive(Serialize, Deserialize)]
struct NameValueV1 {
    name: String,
    value: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct DenyPolicyV1 {
    id: DenyPolicyId,
    description: String,
    target: TargetV1,
    expires_at: Option<u64>,
    disabled: bool,
    created_at: u64,
    updated_at: u64,
    etag: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TargetV1 {
    Api(ApiId),
    Application(ApplicationId),
    User(String),
    Address(String),
    AddressesBut(String),
}

// === impl ApplicationPolicyRecord ===

impl From<&ApplicationPolicy> for ApplicationPolicyRecord {
    fn from(it: &ApplicationPolicy) -> Self {
        Self::V1(ApplicationPolicyV1 {
            name: it.name.to_string(),
            display_name: it.display_name.clone(),
            description: it.description.clone(),
            per_token: it.per_token,
            limits: LimitsV1::from(&it.limits),
            created_at: it.meta.created_at.millis(),
            updated_at: it.meta.updated_at.millis(),
            etag: it.meta.etag.get(),
        })
    }
}

impl ApplicationPolicyRecord {
    pub(super) fn object(self) -> Result<ApplicationPolicy, Unreadable> {
        let Self::V1(it) = self;
        Ok(ApplicationPolicy {
            name: part("name", PolicyName::parse(&it.name))?,
            display_name: it.display_name,
            description: it.description,
            per_token: it.per_token,
            limits: it.limits.limits()?,
            meta: meta(it.created_at, it.updated_at, it.etag),
        })
    }
}

// === impl ApiPolicyRecord ===

impl From<&ApiPolicy> for ApiPolicyRecord {
    fn from(it: &ApiPolicy) -> Self {
        Self::V1(ApiPolicyV1 {
            name: it.name.to_string(),
            display_name: it.display_name.clone(),
            description: it.description.clone(),
            per: it.per.to_string(),
            limits: LimitsV1::from(&it.limits),
            groups: it.groups.iter().map(GroupV1::from).collect(),
            created_at: it.meta.created_at.millis(),
            updated_at: it.meta.updated_at.millis(),
            etag: it.meta.etag.get(),
        })
    }
}

impl ApiPolicyRecord {
    pub(super) fn object(self) -> Result<ApiPolicy, Unreadable> {
        let Self::V1(it) = self;
        let groups = it.groups.into_iter().map(GroupV1::group);
        Ok(ApiPolicy {
            name: part("name", PolicyName::parse(&it.name))?,
            display_name: it.display_name,
            description: it.description,
            per: Per::ALL
                .into_iter()
                .find(|per| per.as_str() == it.per)
                .ok_or_else(|| format!("its `per` does not read: `{}`", it.per))?,
            limits: it.limits.limits()?,
            groups: groups.collect::<Result<_, _>>()?,
            meta: meta(it.created_at, it.updated_at, it.etag),
        })
    }
}

// === impl GroupV1 ===

impl From<&Group> for GroupV1 {
    fn from(it: &Group) -> Self {
        Self {
            description: it.description.clone(),
            conditions: it.conditions.iter().map(ConditionV1::from).collect(),
            limits: LimitsV1::from(&it.limits),
        }
    }
}

impl GroupV1 {
    fn group(self) -> Result<Group, Unreadable> {
        let conditions = self.conditions.into_iter().map(ConditionV1::condition);
        Ok(Group {
            description: self.description,
            conditions: conditions.collect::<Result<_, _>>()?,
            limits: self.limits.limits()?,
        })
    }
}

// === impl ConditionV1 ===

impl From<&Condition> for ConditionV1 {
    fn from(it: &Condition) -> Self {
        Self {
            subject: match &it.subject {
                Subject::Address(range) => SubjectV1::Address(range.to_string()),
                Subject::Header(it) => SubjectV1::Header(it.into()),
                Subject::Query(it) => SubjectV1::Query(it.into()),
                Subject::Claim(it) => SubjectV1::Claim(it.into()),
            },
            invert: it.invert,
        }
    }
}

impl ConditionV1 {
    fn condition(self) -> Result<Condition, Unreadable> {
        Ok(Condition {
            subject: match self.subject {
                SubjectV1::Address(text) => Subject::Address(range(&text)?),
                SubjectV1::Header(it) => Subject::Header(it.name_value()),
                SubjectV1::Query(it) => Subject::Query(it.name_value()),
                SubjectV1::Claim(it) => Subject::Claim(it.name_value()),
            },
            invert: self.invert,
        })
    }
}

// === impl NameValueV1 ===

impl From<&NameValueMatch> for NameValueV1 {
    fn from(it: &NameValueMatch) -> Self {
        Self {
            name: it.name.clone(),
            value: it.value.clone(),
        }
    }
}

impl NameValueV1 {
    fn name_value(self) -> NameValueMatch {
        NameValueMatch {
            name: self.name,
            value: self.value,
        }
    }
}

// === impl DenyPolicyRecord ===

impl From<&DenyPolicy> for DenyPolicyRecord {
    fn from(it: &DenyPolicy) -> Self {
        Self::V1(DenyPolicyV1 {
            id: it.id,
            description: it.description.clone(),
            target: TargetV1::from(&it.target),
            expires_at: it.expires_at.map(Timestamp::millis),
            disabled: it.disabled,
            created_at: it.meta.created_at.millis(),
            updated_at: it.meta.updated_at.millis(),
            etag: it.meta.etag.get(),
        })
    }
}

impl DenyPolicyRecord {
    pub(super) fn object(self) -> Result<DenyPolicy, Unreadable> {
        let Self::V1(it) = self;
        Ok(DenyPolicy {
            id: it.id,
            description: it.description,
            target: it.target.target()?,
            expires_at: it.expires_at.map(Timestamp::from_millis),
            disabled: it.disabled,
            meta: meta(it.created_at, it.updated_at, it.etag),
        })
    }
}

// === impl TargetV1 ===

impl From<&DenyTarget> for TargetV1 {
    fn from(it: &DenyTarget) -> Self {
        match it {
            DenyTarget::Api(id) => Self::Api(*id),
            DenyTarget::Application(id) => Self::Application(*id),
            DenyTarget::User(name) => Self::User(name.to_string()),
            DenyTarget::Address(range) => Self::Address(range.to_string()),
            DenyTarget::AddressesBut(range) => Self::AddressesBut(range.to_string()),
        }
    }
}

impl TargetV1 {
    fn target(self) -> Result<DenyTarget, Unreadable> {
        Ok(match self {
            Self::Api(id) => DenyTarget::Api(id),
            Self::Application(id) => DenyTarget::Application(id),
            Self::User(name) => DenyTarget::User(part("user", UserName::parse(&name))?),
            Self::Address(text) => DenyTarget::Address(range(&text)?),
            Self::AddressesBut(text) => DenyTarget::AddressesBut(range(&text)?),
        })
    }
}

fn range(text: &str) -> Result<AddressRange, Unreadable> {
    part("address", AddressRange::parse(text))
}
