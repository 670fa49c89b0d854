//! Policies in the store: one of each kind with all that it can say.

use tidegate_proto::{
    ids::{ApiId, ApplicationId, DenyPolicyId},
    quota::{Allowance, Amount, Limits, Window},
};
use uuid::Uuid;

use super::golden::AT;
use crate::{
    domain::{
        address::AddressRange,
        meta::ResourceMeta,
        name::{PolicyName, UserName},
        object::Object,
        policy::{
            ApiPolicy, ApplicationPolicy, Condition, DenyPolicy, DenyTarget, Group, NameValueMatch,
            Per, Subject,
        },
    },
    store::record,
};

/// One of every kind of policy.
pub(super) fn samples() -> Vec<Object> {
    vec![
        ApplicationPolicy {
            name: PolicyName::parse("small").unwrap(),
            display_name: "Small".to_owned(),
            description: "a thousand a day".to_owned(),
            per_token: true,
            limits: limits(1_000),
            meta: ResourceMeta::new(AT),
        }
        .into(),
        ApiPolicy {
            name: PolicyName::parse("strict").unwrap(),
            display_name: String::new(),
            description: String::new(),
            per: Per::User,
            limits: limits(10),
            groups: vec![Group {
                description: "the office".to_owned(),
                conditions: conditions(),
                limits: Limits::default(),
            }],
            meta: ResourceMeta::new(AT),
        }
        .into(),
        denial(DenyTarget::AddressesBut(range("192.0.2.0/24"))).into(),
    ]
}

fn denial(target: DenyTarget) -> DenyPolicy {
    DenyPolicy {
        id: DenyPolicyId::new(Uuid::from_u128(6)),
        description: "an attack".to_owned(),
        target,
        expires_at: Some(AT),
        disabled: true,
        meta: ResourceMeta::new(AT),
    }
}

fn limits(amount: u64) -> Limits {
    Limits {
        messages: Some(Allowance {
            amount: Amount::try_new(amount).unwrap(),
            window: Window::DAY,
        }),
        ..Limits::default()
    }
}

fn conditions() -> Vec<Condition> {
    let sought = |name: &str, value: Option<&str>| NameValueMatch {
        name: name.to_owned(),
        value: value.map(str::to_owned),
    };
    let subjects = [
        (Subject::Address(range("2001:db8::/32")), true),
        (Subject::Header(sought("x-tier", Some("gold"))), false),
        (Subject::Query(sought("beta", None)), false),
        (Subject::Claim(sought("scope", Some("all"))), true),
    ];
    let conditions = subjects.map(|(subject, invert)| Condition { subject, invert });
    conditions.into()
}

fn range(text: &str) -> AddressRange {
    AddressRange::parse(text).unwrap()
}

#[test]
fn a_deny_policy_about_anybody_reads_back() {
    let user = UserName::parse("ann@example.org").unwrap();
    for target in [
        DenyTarget::Api(ApiId::new(Uuid::from_u128(1))),
        DenyTarget::Application(ApplicationId::new(Uuid::from_u128(2))),
        DenyTarget::User(user),
        DenyTarget::Address(range("192.0.2.7")),
        DenyTarget::AddressesBut(range("::/0")),
    ] {
        let object: Object = denial(target).into();
        let key = record::key(&object.key());
        let framed = record::encode(&object);
        assert_eq!(record::decode(&key, &framed).unwrap(), object);
    }
}

#[test]
fn an_api_policy_per_anything_reads_back() {
    for per in Per::ALL {
        let Object::ApiPolicy(policy) = samples().remove(1) else {
            panic!("not an API policy");
        };
        let object: Object = ApiPolicy {
            per,
            ..ApiPolicy::clone(&policy)
        }
        .into();
        let key = record::key(&object.key());
        let framed = record::encode(&object);
        assert_eq!(record::decode(&key, &framed).unwrap(), object);
    }
}
