//! Application policies and API policies: every fault at once, and none that is used goes.

use prost_types::FieldMask;
use tidegate_proto::admin::v1::{
    Api, ApiPolicy, Application, ApplicationPolicy, Condition, ConditionalGroup,
    CreateApiPolicyRequest, CreateApplicationPolicyRequest, CreateApplicationRequest,
    CreateRevisionRequest, DeleteApiPolicyRequest, DeleteApiRequest,
    DeleteApplicationPolicyRequest, DeleteApplicationRequest, DeleteRevisionRequest,
    GetApiPolicyRequest, GetApplicationPolicyRequest, Limits, ListApiPoliciesRequest,
    ListApplicationPoliciesRequest, Match, Per, Topic, UpdateApiPolicyRequest, UpdateApiRequest,
    UpdateApplicationPolicyRequest, UpdateApplicationRequest, condition::Subject,
};
use tonic::{Code, Status};

use super::{Caller, Stage, catalogue::a_minute, echo, faults, reason};
use crate::domain::user::Role;

fn when(subject: Subject) -> Condition {
    Condition {
        subject: Some(subject),
        invert: false,
    }
}

fn sought(name: &str, value: &str) -> Match {
    Match {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

fn group(conditions: Vec<Condition>) -> ConditionalGroup {
    ConditionalGroup {
        description: String::new(),
        conditions,
        limits: Some(a_minute(9)),
    }
}

fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask {
        paths: paths.iter().map(|&path| path.to_owned()).collect(),
    })
}

async fn create_application_policy(
    caller: &Caller,
    name: &str,
    limits: Option<Limits>,
) -> Result<ApplicationPolicy, Status> {
    let request = CreateApplicationPolicyRequest {
        application_policy_id: name.to_owned(),
        application_policy: Some(ApplicationPolicy {
            per_token: true,
            limits,
            ..ApplicationPolicy::default()
        }),
    };
    let mut client = caller.application_policies();
    Ok(client
        .create_application_policy(request)
        .await?
        .into_inner())
}

async fn delete_api_policy(caller: &Caller, name: &str, etag: &str) -> Result<(), Status> {
    let request = DeleteApiPolicyRequest {
        name: name.to_owned(),
        etag: etag.to_owned(),
    };
    caller.api_policies().delete_api_policy(request).await?;
    Ok(())
}

#[tokio::test]
async fn an_application_policy_is_made_changed_listed_and_deleted() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let made = create_application_policy(&admin, "Small", Some(a_minute(5))).await;
    let made = made.unwrap();
    assert_eq!(made.name, "applicationPolicies/Small");
    assert!(made.per_token && made.create_time.is_some());
    let again = create_application_policy(&admin, "SMALL", Some(a_minute(5))).await;
    assert_eq!(again.unwrap_err().code(), Code::AlreadyExists);

    let change = |etag: &str| UpdateApplicationPolicyRequest {
        application_policy: Some(ApplicationPolicy {
            name: made.name.clone(),
            description: "for trials".to_owned(),
            etag: etag.to_owned(),
            ..ApplicationPolicy::default()
        }),
        update_mask: mask(&["description", "per_token"]),
    };
    let mut client = admin.application_policies();
    let changed = client.update_application_policy(change(&made.etag)).await;
    let changed = changed.unwrap().into_inner();
    assert_eq!(changed.description, "for trials");
    assert!(!changed.per_token);
    assert_eq!(changed.limits, made.limits);
    let stale = client.update_application_policy(change(&made.etag)).await;
    assert_eq!(stale.unwrap_err().code(), Code::Aborted);

    let subscriber = stage.user("sue", &[Role::Subscriber]).await;
    let get = GetApplicationPolicyRequest {
        name: made.name.clone(),
    };
    let mut reader = subscriber.application_policies();
    let got = reader.get_application_policy(get).await.unwrap();
    assert_eq!(got.into_inner(), changed);
    let list = ListApplicationPoliciesRequest {
        filter: "name = Small AND per_token = false".to_owned(),
        ..ListApplicationPoliciesRequest::default()
    };
    let listed = reader.list_application_policies(list).await.unwrap();
    assert_eq!(listed.into_inner().application_policies, [changed]);
    let delete = DeleteApplicationPolicyRequest {
        name: made.name,
        etag: String::new(),
    };
    client
        .delete_application_policy(delete.clone())
        .await
        .unwrap();
    let gone = client.delete_application_policy(delete).await;
    assert_eq!(gone.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_policy_that_names_no_quota_is_refused_and_an_unlimited_one_is_not() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    for limits in [None, Some(Limits::default())] {
        let refused = create_application_policy(&admin, "a b", limits).await;
        let expected = [
            ("application_policy_id", "FORBIDDEN_CHARACTER"),
            ("application_policy.limits", "REQUIRED"),
        ];
        let expected = expected.map(|(field, reason)| (field.to_owned(), reason.to_owned()));
        assert_eq!(faults(&refused.unwrap_err()), expected);
    }
    let unlimited = Limits {
        unlimited: true,
        ..Limits::default()
    };
    let made = create_application_policy(&admin, "free", Some(unlimited)).await;
    assert!(made.unwrap().limits.unwrap().unlimited);
}

#[tokio::test]
async fn an_application_names_a_policy_that_exists_and_then_keeps_it() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let sue = stage.user("sue", &[Role::Subscriber]).await;
    let create = |policy: &str| CreateApplicationRequest {
        application: Some(Application {
            display_name: "Mine".to_owned(),
            policy: policy.to_owned(),
            ..Application::default()
        }),
    };
    let mut mine = sue.applications();
    let refused = mine
        .create_application(create("applicationPolicies/small"))
        .await;
    let expected = ("application.policy".to_owned(), "NOT_FOUND".to_owned());
    assert_eq!(faults(&refused.unwrap_err()), [expected]);
    let policy = create_application_policy(&admin, "small", Some(a_minute(5))).await;
    let policy = policy.unwrap().name;
    let made = mine.create_application(create(&policy)).await;
    let made = made.unwrap().into_inner();
    assert_eq!(made.policy, policy);

    let delete = DeleteApplicationPolicyRequest {
        name: policy.clone(),
        etag: String::new(),
    };
    let mut policies = admin.application_policies();
    let used = policies.delete_application_policy(delete.clone()).await;
    let used = used.unwrap_err();
    assert_eq!(used.code(), Code::FailedPrecondition);
    assert_eq!(reason(&used), "POLICY_IN_USE");
    assert!(used.message().contains(&made.name), "{used:?}");

    let change = |policy: &str| UpdateApplicationRequest {
        application: Some(Application {
            name: made.name.clone(),
            policy: policy.to_owned(),
            ..Application::default()
        }),
        update_mask: mask(&["policy"]),
    };
    let unknown = mine.update_application(change("large")).await;
    assert_eq!(unknown.unwrap_err().code(), Code::InvalidArgument);
    let without = mine.update_application(change("")).await.unwrap();
    assert_eq!(without.into_inner().policy, "");
    mine.update_application(change(&policy)).await.unwrap();
    // With the application, its use of the policy ends.
    let application = DeleteApplicationRequest {
        name: made.name,
        etag: String::new(),
    };
    mine.delete_application(application).await.unwrap();
    policies.delete_application_policy(delete).await.unwrap();
}

#[tokio::test]
async fn an_api_policy_comes_back_as_it_went_in_and_its_groups_only_to_those_who_see_every_api() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let inverted = Condition {
        invert: true,
        ..when(Subject::Address("2001:DB8::/32".to_owned()))
    };
    let groups = [group(vec![
        when(Subject::Address("192.0.2.7".to_owned())),
        inverted,
        when(Subject::Header(sought("X-Tier", "gold"))),
        when(Subject::Query(sought("beta", ""))),
        when(Subject::Claim(sought("scope", "all"))),
    ])];
    let made = admin.create_api_policy("tiers", &groups).await.unwrap();
    let conditions = &made.groups[0].conditions;
    let subjects: Vec<_> = conditions
        .iter()
        .map(|it| it.subject.clone().unwrap())
        .collect();
    assert_eq!(
        subjects,
        [
            Subject::Address("192.0.2.7".to_owned()),
            Subject::Address("2001:db8::/32".to_owned()),
            Subject::Header(sought("x-tier", "gold")),
            Subject::Query(sought("beta", "")),
            Subject::Claim(sought("scope", "all")),
        ]
    );
    let inverted: Vec<_> = conditions.iter().map(|it| it.invert).collect();
    assert_eq!(inverted, [false, true, false, false, false]);
    for role in Role::ALL {
        let caller = stage.user(&format!("one_{role:?}"), &[role]).await;
        let name = made.name.clone();
        let mut client = caller.api_policies();
        let got = client.get_api_policy(GetApiPolicyRequest { name }).await;
        let list = ListApiPoliciesRequest {
            filter: "per = API".to_owned(),
            ..ListApiPoliciesRequest::default()
        };
        let listed = client.list_api_policies(list).await.unwrap().into_inner();
        let mut expected = made.clone();
        if role == Role::Subscriber {
            expected.groups.clear();
        }
        assert_eq!(listed.api_policies, [expected.clone()], "{role:?}");
        assert_eq!(got.unwrap().into_inner(), expected, "{role:?}");
    }
    let again = admin.create_api_policy("TIERS", &[]).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
}

#[tokio::test]
async fn every_fault_of_an_api_policy_is_told_at_once() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let long = "x".repeat(257);
    let odd = |limits| ConditionalGroup {
        description: "\0".to_owned(),
        conditions: vec![
            Condition::default(),
            when(Subject::Address("192.0.2.7/24".to_owned())),
            when(Subject::Address("nowhere".to_owned())),
            when(Subject::Header(sought("x tier", ""))),
            when(Subject::Query(sought("", &long))),
            when(Subject::Claim(sought("sub", "\n"))),
            when(Subject::Query(sought("beta", ""))),
            when(Subject::Query(sought("beta", ""))),
        ],
        limits,
    };
    let request = CreateApiPolicyRequest {
        api_policy_id: String::new(),
        api_policy: Some(ApiPolicy {
            display_name: "x".repeat(101),
            groups: vec![odd(None), group(Vec::new())],
            ..ApiPolicy::default()
        }),
    };
    let refused = admin.api_policies().create_api_policy(request).await;
    let first = "api_policy.groups[0]";
    let expected = [
        ("api_policy_id".to_owned(), "REQUIRED"),
        ("api_policy.display_name".to_owned(), "TOO_LONG"),
        ("api_policy.per".to_owned(), "REQUIRED"),
        ("api_policy.limits".to_owned(), "REQUIRED"),
        (format!("{first}.description"), "FORBIDDEN_CHARACTER"),
        (format!("{first}.conditions[0]"), "REQUIRED"),
        (format!("{first}.conditions[1].address"), "MALFORMED"),
        (format!("{first}.conditions[2].address"), "MALFORMED"),
        (
            format!("{first}.conditions[3].header.name"),
            "FORBIDDEN_CHARACTER",
        ),
        (format!("{first}.conditions[4].query.name"), "REQUIRED"),
        (format!("{first}.conditions[4].query.value"), "TOO_LONG"),
        (format!("{first}.conditions[5].claim.name"), "MALFORMED"),
        (
            format!("{first}.conditions[5].claim.value"),
            "FORBIDDEN_CHARACTER",
        ),
        (format!("{first}.conditions[7]"), "DUPLICATE"),
        (format!("{first}.limits"), "REQUIRED"),
        ("api_policy.groups[1].conditions".to_owned(), "REQUIRED"),
    ];
    let expected = expected.map(|(field, reason)| (field, reason.to_owned()));
    assert_eq!(faults(&refused.unwrap_err()), expected);
}

#[tokio::test]
async fn there_are_at_most_fifty_groups_of_twenty_conditions_and_the_longest_fit_into_a_call() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let conditions = |count: usize| -> Vec<_> {
        let names = (0..count).map(|n| format!("{n:0>256}"));
        let subject = |name: String| Subject::Query(sought(&name, &"v".repeat(256)));
        names.map(|name| when(subject(name))).collect()
    };
    let longest = ConditionalGroup {
        description: "ü".repeat(512),
        ..group(conditions(20))
    };
    let longest = vec![longest; 50];
    let made = admin.create_api_policy("longest", &longest).await.unwrap();
    let all = |groups: &[ConditionalGroup]| -> Vec<_> {
        groups.iter().flat_map(|it| it.conditions.clone()).collect()
    };
    assert!(all(&made.groups) == all(&longest), "they come back");
    let mut groups = vec![group(conditions(1)); 51];
    groups[2] = group(conditions(21));
    let refused = admin.create_api_policy("longer", &groups).await;
    let expected = ["api_policy.groups", "api_policy.groups[2].conditions"]
        .map(|field| (field.to_owned(), "TOO_LONG".to_owned()));
    assert_eq!(faults(&refused.unwrap_err()), expected);
}

#[tokio::test]
async fn an_api_policy_changes_as_its_mask_says() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let query = group(vec![when(Subject::Query(sought("beta", "")))]);
    let made = admin.create_api_policy("tiers", &[query]).await.unwrap();
    let change = |policy, paths: &[&str]| UpdateApiPolicyRequest {
        api_policy: Some(ApiPolicy {
            name: made.name.clone(),
            ..policy
        }),
        update_mask: (!paths.is_empty()).then(|| mask(paths)).flatten(),
    };
    let mut client = admin.api_policies();
    let per = ApiPolicy {
        per: Per::User.into(),
        ..ApiPolicy::default()
    };
    let changed = client.update_api_policy(change(per, &[])).await;
    let changed = changed.unwrap().into_inner();
    assert_eq!(changed.per, Per::User as i32);
    assert_eq!(changed.groups, made.groups);
    let cleared = client.update_api_policy(change(ApiPolicy::default(), &["groups"]));
    assert!(cleared.await.unwrap().into_inner().groups.is_empty());
    let refused = client.update_api_policy(change(ApiPolicy::default(), &["per", "limits", "x"]));
    let fields: Vec<_> = faults(&refused.await.unwrap_err());
    let fields: Vec<_> = fields.into_iter().map(|(field, _)| field).collect();
    assert_eq!(
        fields,
        ["update_mask", "api_policy.limits", "api_policy.per"]
    );
}

#[tokio::test]
async fn an_api_policy_stays_while_an_api_a_topic_or_a_revision_names_it() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let policy = admin.create_api_policy("strict", &[]).await.unwrap().name;
    let api = admin.create(echo(), false).await.unwrap().name;
    let change = |of_api: &str, of_topic: &str| UpdateApiRequest {
        api: Some(Api {
            name: api.clone(),
            policy: of_api.to_owned(),
            topics: vec![Topic {
                template: "/rooms".to_owned(),
                policy: of_topic.to_owned(),
                ..Topic::default()
            }],
            ..Api::default()
        }),
        update_mask: mask(&["policy", "topics"]),
    };
    let in_use = async |by: &str| {
        let refused = delete_api_policy(&admin, &policy, "").await.unwrap_err();
        assert_eq!(reason(&refused), "POLICY_IN_USE");
        assert!(refused.message().contains(by), "{refused:?}");
    };
    let mut apis = admin.apis();
    let changed = apis.update_api(change(&policy, "")).await.unwrap();
    assert_eq!(changed.into_inner().policy, policy);
    in_use(&api).await;
    apis.update_api(change("", &policy)).await.unwrap();
    in_use(&api).await;
    let revision = CreateRevisionRequest {
        parent: api.clone(),
        ..CreateRevisionRequest::default()
    };
    let revision = apis.create_revision(revision).await.unwrap().into_inner();
    let frozen = revision.api.unwrap();
    assert_eq!(frozen.topics[0].policy, policy);
    apis.update_api(change("", "")).await.unwrap();
    in_use(&revision.name).await;
    let revision = DeleteRevisionRequest {
        name: revision.name,
    };
    apis.delete_revision(revision).await.unwrap();
    let stale = delete_api_policy(&admin, &policy, "9").await.unwrap_err();
    assert_eq!(stale.code(), Code::Aborted);
    delete_api_policy(&admin, &policy, "").await.unwrap();
    let gone = apis.update_api(change(&policy, &policy)).await;
    let expected = ["api.topics[0].policy", "api.policy"];
    let mut fields: Vec<_> = faults(&gone.unwrap_err())
        .into_iter()
        .map(|it| it.0)
        .collect();
    fields.sort_by_key(|field| expected.iter().position(|it| it == field));
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn with_an_api_its_use_of_a_policy_ends_and_who_uses_one_is_named_in_part() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let policy = admin.create_api_policy("strict", &[]).await.unwrap().name;
    let mut apis = Vec::new();
    for n in 1..=7 {
        let api = Api {
            api_name: format!("Api {n}"),
            context: format!("/api{n}"),
            policy: policy.clone(),
            ..echo()
        };
        apis.push(admin.create(api, false).await.unwrap().name);
    }
    let used = delete_api_policy(&admin, &policy, "").await.unwrap_err();
    assert!(used.message().contains("and 2 more"), "{used:?}");
    for name in apis {
        let request = DeleteApiRequest {
            name,
            etag: String::new(),
        };
        admin.apis().delete_api(request).await.unwrap();
    }
    delete_api_policy(&admin, &policy, "").await.unwrap();
}

#[tokio::test]
async fn the_policy_of_an_api_is_not_for_a_publisher_to_choose() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let policy = admin.create_api_policy("strict", &[]).await.unwrap().name;
    let api = admin.create(echo(), false).await.unwrap().name;
    let publisher = stage.user("publisher", &[Role::Publisher]).await;
    let request = UpdateApiRequest {
        api: Some(Api {
            name: api,
            policy,
            ..Api::default()
        }),
        update_mask: None,
    };
    let refused = publisher.apis().update_api(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}
