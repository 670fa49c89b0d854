//! Deny policies: about whom they may be, until when, and that none outlives whom it is about.

use std::time::Duration;

use prost_types::{FieldMask, Timestamp};
use tidegate_proto::{
    admin::v1::{
        CreateDenyPolicyRequest, DeleteApiRequest, DeleteApplicationRequest,
        DeleteDenyPolicyRequest, DeleteUserRequest, DenyPolicy, GetDenyPolicyRequest,
        ListAuditEntriesRequest, ListDenyPoliciesRequest, UpdateDenyPolicyRequest,
        deny_policy::Target,
    },
    ids::{ApiId, ApplicationId},
};
use tonic::{Code, Status};

use super::{Caller, START, Stage, catalogue::register, echo, faults};
use crate::domain::user::Role;

const START_SECONDS: i64 = START.cast_signed();

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

fn about(target: Target) -> DenyPolicy {
    DenyPolicy {
        target: Some(target),
        ..DenyPolicy::default()
    }
}

fn address(text: &str) -> Target {
    Target::Address(text.to_owned())
}

async fn create(caller: &Caller, policy: DenyPolicy) -> Result<DenyPolicy, Status> {
    let request = CreateDenyPolicyRequest {
        deny_policy: Some(policy),
    };
    let mut client = caller.deny_policies();
    Ok(client.create_deny_policy(request).await?.into_inner())
}

async fn change(caller: &Caller, policy: DenyPolicy, paths: &[&str]) -> Result<DenyPolicy, Status> {
    let paths = paths.iter().map(|&path| path.to_owned()).collect();
    let request = UpdateDenyPolicyRequest {
        deny_policy: Some(policy),
        update_mask: Some(FieldMask { paths }),
    };
    let mut client = caller.deny_policies();
    Ok(client.update_deny_policy(request).await?.into_inner())
}

async fn list(caller: &Caller, filter: &str) -> Vec<DenyPolicy> {
    let request = ListDenyPoliciesRequest {
        filter: filter.to_owned(),
        ..ListDenyPoliciesRequest::default()
    };
    let page = caller.deny_policies().list_deny_policies(request).await;
    page.unwrap().into_inner().deny_policies
}

fn fields(refused: Result<DenyPolicy, Status>) -> Vec<(String, String)> {
    faults(&refused.unwrap_err())
}

fn fault(field: &str, reason: &str) -> (String, String) {
    (format!("deny_policy{field}"), reason.to_owned())
}

#[tokio::test]
async fn a_policy_may_be_about_whatever_exists_once() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    stage.user("Sue", &[Role::Subscriber]).await;
    let api = admin.create(echo(), false).await.unwrap().name;
    let application = register(&admin, "Mine").await.unwrap().name;
    let inverted = DenyPolicy {
        invert: true,
        ..about(address("192.0.2.0/24"))
    };
    for (policy, again) in [
        (about(Target::Api(api.clone())), about(Target::Api(api))),
        (
            about(Target::Application(application.clone())),
            about(Target::Application(application)),
        ),
        (
            about(Target::User("users/sue".to_owned())),
            about(Target::User("users/SUE".to_owned())),
        ),
        (
            about(address("192.0.2.7/32")),
            about(address("::ffff:192.0.2.7")),
        ),
        (
            about(address("192.0.2.0/24")),
            about(address("192.0.2.0/24")),
        ),
        (inverted.clone(), inverted),
    ] {
        let made = create(&admin, policy).await.unwrap();
        assert!(made.name.starts_with("denyPolicies/") && !made.disabled);
        let get = GetDenyPolicyRequest {
            name: made.name.clone(),
        };
        let got = admin.deny_policies().get_deny_policy(get).await.unwrap();
        assert_eq!(got.into_inner(), made);
        let refused = create(&admin, again).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists);
        assert!(refused.message().contains(&made.name));
    }
    let sue = list(&admin, "user = \"users/Sue\"").await;
    assert_eq!(sue[0].target, Some(Target::User("users/Sue".to_owned())));
    let one = list(&admin, "address = \"192.0.2.7\"").await;
    assert_eq!(one[0].target, Some(address("192.0.2.7")));
    assert_eq!(list(&admin, "").await.len(), 6);
}

#[tokio::test]
async fn a_policy_about_nobody_is_refused() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let api = format!("apis/{}", ApiId::generate());
    let application = format!("applications/{}", ApplicationId::generate());
    for (target, expected) in [
        (Target::Api(api), fault(".api", "NOT_FOUND")),
        (Target::Api("apis/1".to_owned()), fault(".api", "MALFORMED")),
        (
            Target::Application(application),
            fault(".application", "NOT_FOUND"),
        ),
        (
            Target::Application(String::new()),
            fault(".application", "REQUIRED"),
        ),
        (
            Target::User("users/nobody".to_owned()),
            fault(".user", "NOT_FOUND"),
        ),
        (
            Target::User("nobody".to_owned()),
            fault(".user", "MALFORMED"),
        ),
        (address(""), fault(".address", "REQUIRED")),
        (address("192.0.2.7/24"), fault(".address", "MALFORMED")),
        (address("192.0.2.256"), fault(".address", "MALFORMED")),
    ] {
        let refused = create(&admin, about(target.clone())).await;
        assert_eq!(fields(refused), [expected], "{target:?}");
    }
    let refused = create(
        &admin,
        DenyPolicy {
            invert: true,
            description: "x".repeat(513),
            expire_time: at(START_SECONDS),
            ..DenyPolicy::default()
        },
    );
    assert_eq!(
        fields(refused.await),
        [
            fault("", "REQUIRED"),
            fault(".invert", "CONTRADICTION"),
            fault(".description", "TOO_LONG"),
            fault(".expire_time", "OUT_OF_RANGE"),
        ]
    );
}

#[tokio::test]
async fn an_end_lies_in_the_future_when_it_is_set() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let until = |expire_time| DenyPolicy {
        expire_time,
        ..about(address("192.0.2.7"))
    };
    let odd = Timestamp {
        seconds: START_SECONDS + 9,
        nanos: 1_000_000_000,
    };
    for wrong in [
        at(START_SECONDS),
        at(START_SECONDS - 1),
        at(-1),
        at(i64::MAX),
        Some(odd),
    ] {
        let refused = create(&admin, until(wrong)).await;
        let expected = fault(".expire_time", "OUT_OF_RANGE");
        assert_eq!(fields(refused), [expected], "{wrong:?}");
    }
    let made = create(&admin, until(at(START_SECONDS + 1))).await.unwrap();
    assert_eq!(made.expire_time, at(START_SECONDS + 1));
    stage.clock.advance(Duration::from_secs(2));
    // One that has ended is still there to be changed.
    let named = |expire_time| DenyPolicy {
        name: made.name.clone(),
        ..until(expire_time)
    };
    let end = ["expire_time"];
    let past = change(&admin, named(at(START_SECONDS)), &end).await;
    assert_eq!(fields(past), [fault(".expire_time", "OUT_OF_RANGE")]);
    let unchanged = change(&admin, named(made.expire_time), &["*"]).await;
    assert_eq!(unchanged.unwrap(), made);
    let later = change(&admin, named(at(START_SECONDS + 9)), &end).await;
    assert_eq!(later.unwrap().expire_time, at(START_SECONDS + 9));
    let never = change(&admin, named(None), &end).await.unwrap();
    assert_eq!(never.expire_time, None);
}

#[tokio::test]
async fn a_policy_changes_but_for_whom_it_is_about() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let made = create(&admin, about(address("192.0.2.0/24")))
        .await
        .unwrap();
    let policy = |target, invert| DenyPolicy {
        name: made.name.clone(),
        description: "an attack".to_owned(),
        disabled: true,
        target,
        invert,
        ..DenyPolicy::default()
    };
    let paths = ["description", "disabled", "address", "invert"];
    let changed = change(&admin, policy(Some(address("192.0.2.0/24")), false), &paths).await;
    let changed = changed.unwrap();
    assert_eq!(changed.description, "an attack");
    assert!(changed.disabled);
    assert_eq!(list(&admin, "disabled = true").await, [changed]);
    for (target, invert, field) in [
        (Some(address("192.0.2.0/25")), false, ".address"),
        (Some(address("192.0.2.0/24")), true, ".invert"),
        (None, true, ".invert"),
        (Some(Target::User("users/admin".to_owned())), false, ".user"),
    ] {
        let refused = change(&admin, policy(target.clone(), invert), &paths).await;
        let expected = fault(field, "IMMUTABLE");
        assert_eq!(fields(refused), [expected], "{target:?} {invert}");
    }
    let stale = DenyPolicy {
        etag: made.etag.clone(),
        ..policy(None, false)
    };
    let stale = change(&admin, stale, &["description"]).await;
    assert_eq!(stale.unwrap_err().code(), Code::Aborted);
    let delete = DeleteDenyPolicyRequest {
        name: made.name.clone(),
        etag: String::new(),
    };
    let mut client = admin.deny_policies();
    client.delete_deny_policy(delete.clone()).await.unwrap();
    let gone = client.delete_deny_policy(delete).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    assert!(create(&admin, about(address("192.0.2.0/24"))).await.is_ok());
}

#[tokio::test]
async fn a_policy_goes_with_whom_it_is_about_and_the_audit_log_says_so() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    stage.user("sue", &[Role::Subscriber]).await;
    let api = admin.create(echo(), false).await.unwrap().name;
    let application = register(&admin, "Mine").await.unwrap().name;
    let mut policies = Vec::new();
    for target in [
        Target::Api(api.clone()),
        Target::Application(application.clone()),
        Target::User("users/sue".to_owned()),
    ] {
        policies.push(create(&admin, about(target)).await.unwrap().name);
    }
    let kept = create(&admin, about(address("192.0.2.7"))).await.unwrap();
    let etag = String::new();
    let request = DeleteApiRequest {
        name: api.clone(),
        etag: etag.clone(),
    };
    admin.apis().delete_api(request).await.unwrap();
    let request = DeleteApplicationRequest {
        name: application.clone(),
        etag: etag.clone(),
    };
    let mut applications = admin.applications();
    applications.delete_application(request).await.unwrap();
    let name = "users/sue".to_owned();
    let request = DeleteUserRequest { name, etag };
    admin.users().delete_user(request).await.unwrap();
    assert_eq!(list(&admin, "").await, [kept]);
    let deleted = [api.as_str(), &application, "users/sue"];
    for (name, policy) in deleted.into_iter().zip(&policies) {
        let request = ListAuditEntriesRequest {
            filter: format!("resource = \"{name}\""),
            ..ListAuditEntriesRequest::default()
        };
        let page = admin.audit().list_audit_entries(request).await.unwrap();
        let entry = page.into_inner().audit_entries.remove(0);
        assert!(entry.action.starts_with("Delete"), "{entry:?}");
        assert!(entry.touched.contains(policy), "{entry:?}");
    }
}
