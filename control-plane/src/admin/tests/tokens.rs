//! Access tokens for the owner of an application, without the client's secret.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use tidegate_proto::admin::v1::{
    ApplicationKey, CreateApplicationKeyRequest, GenerateAccessTokenRequest,
    GenerateAccessTokenResponse, KeyType, ListApplicationKeysRequest, ListAuditEntriesRequest,
    UpdateApplicationKeyRequest,
};
use tonic::{Code, Status};

use super::{Caller, START, Stage, catalogue::register, faults};
use crate::domain::user::Role;

async fn key_of(owner: &Caller) -> ApplicationKey {
    let application = register(owner, "App").await.unwrap();
    let request = CreateApplicationKeyRequest {
        parent: application.name,
        application_key: Some(ApplicationKey {
            key_type: KeyType::Sandbox.into(),
            ..ApplicationKey::default()
        }),
    };
    let made = owner.applications().create_application_key(request).await;
    made.unwrap().into_inner()
}

async fn generate(
    caller: &Caller,
    key: &ApplicationKey,
    lifetime_seconds: i64,
    scope: &str,
) -> Result<GenerateAccessTokenResponse, Status> {
    let request = GenerateAccessTokenRequest {
        name: key.name.clone(),
        lifetime_seconds,
        scope: scope.to_owned(),
    };
    let made = caller.applications().generate_access_token(request).await?;
    Ok(made.into_inner())
}

/// Says which scopes a key is allowed; the mask is as it is given.
async fn allow(
    caller: &Caller,
    key: &ApplicationKey,
    scopes: &[&str],
    mask: &[&str],
) -> Result<ApplicationKey, Status> {
    let request = UpdateApplicationKeyRequest {
        application_key: Some(ApplicationKey {
            name: key.name.clone(),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            ..ApplicationKey::default()
        }),
        update_mask: (!mask.is_empty()).then(|| prost_types::FieldMask {
            paths: mask.iter().map(|&path| path.to_owned()).collect(),
        }),
    };
    let made = caller
        .applications()
        .update_application_key(request)
        .await?;
    Ok(made.into_inner())
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn the_owner_of_an_application_gets_a_token_as_the_token_endpoint_gives_them() {
    let stage = Stage::new().await;
    let owner = stage.user("ann", &[Role::Subscriber]).await;
    let key = key_of(&owner).await;
    let admin = stage.admin().await;
    allow(&admin, &key, &["read", "write"], &[]).await.unwrap();
    let made = generate(&owner, &key, 0, "read write admin").await.unwrap();
    assert_eq!(made.scope, "read write");
    let expires = u64::try_from(made.expire_time.unwrap().seconds).unwrap();
    assert_eq!(expires, START + 3600);
    let told = claims(&made.access_token);
    assert_eq!(told["client_id"], key.client_id);
    assert_eq!(
        (&told["sub"], &told["scope"]),
        (&told["client_id"], &"read write".into())
    );
    assert_eq!(
        (&told["exp"], &told["iat"]),
        (&expires.into(), &START.into())
    );
    assert_eq!(told["aud"], "tidegate");
    assert_eq!(told["key_type"], "SANDBOX");
    let short = generate(&owner, &key, 60, "").await.unwrap();
    assert_eq!(claims(&short.access_token)["exp"], START + 60);
    let request = ListAuditEntriesRequest {
        filter: "action = GenerateAccessToken".to_owned(),
        ..ListAuditEntriesRequest::default()
    };
    let audit = admin
        .audit()
        .list_audit_entries(request)
        .await
        .unwrap()
        .into_inner();
    let entries = audit.audit_entries;
    assert_eq!(entries.len(), 2);
    assert_eq!(
        (&entries[0].actor, &entries[0].resource),
        (&"users/ann".to_owned(), &key.name)
    );
    assert!(!format!("{entries:?}").contains(&made.access_token[..40]));
}

#[tokio::test]
async fn nobody_but_the_owner_gets_a_token_and_none_for_longer_than_the_setting() {
    let stage = Stage::new().await;
    let owner = stage.user("ann", &[Role::Subscriber]).await;
    let key = key_of(&owner).await;
    let admin = generate(&stage.admin().await, &key, 0, "")
        .await
        .unwrap_err();
    assert_eq!(admin.code(), Code::PermissionDenied);
    let other = stage.user("bob", &[Role::Subscriber]).await;
    let other = generate(&other, &key, 0, "").await.unwrap_err();
    assert_eq!(other.code(), Code::NotFound);
    let gone = ApplicationKey {
        name: format!("{}x", key.name),
        ..key.clone()
    };
    let gone = generate(&owner, &gone, 0, "").await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    for (lifetime, scope, fields) in [
        (3601, "\"", &["lifetime_seconds", "scope"][..]),
        (-1, "", &["lifetime_seconds"]),
        (0, "metered", &["scope"]),
        (i64::MAX, "", &["lifetime_seconds"]),
    ] {
        let refused = generate(&owner, &key, lifetime, scope).await.unwrap_err();
        let found: Vec<_> = faults(&refused)
            .into_iter()
            .map(|(field, _)| field)
            .collect();
        assert_eq!(found, fields, "{lifetime}");
    }
    stage.clock.advance(Duration::from_secs(1));
    assert!(generate(&owner, &key, 3600, "").await.is_ok());
}

#[tokio::test]
async fn an_admin_alone_says_which_scopes_a_key_is_allowed() {
    let stage = Stage::new().await;
    let owner = stage.user("ann", &[Role::Subscriber]).await;
    let publisher = stage
        .user("pat", &[Role::Creator, Role::Publisher, Role::Subscriber])
        .await;
    let admin = stage.admin().await;
    let key = key_of(&owner).await;
    assert!(key.scopes.is_empty());
    for caller in [&owner, &publisher] {
        let refused = allow(caller, &key, &["read"], &[]).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
    let parent = key.name.split_once("/keys/").unwrap().0.to_owned();
    let request = CreateApplicationKeyRequest {
        parent: parent.clone(),
        application_key: Some(ApplicationKey {
            scopes: vec!["read".to_owned()],
            ..ApplicationKey::default()
        }),
    };
    let refused = owner
        .applications()
        .create_application_key(request.clone())
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    let made = admin.applications().create_application_key(request).await;
    assert_eq!(made.unwrap().into_inner().scopes, ["read"]);

    allow(&admin, &key, &["write", "read"], &[]).await.unwrap();
    let request = ListApplicationKeysRequest {
        parent,
        ..ListApplicationKeysRequest::default()
    };
    let listed = owner.applications().list_application_keys(request).await;
    let listed = listed.unwrap().into_inner().application_keys;
    let seen = listed.iter().find(|it| it.name == key.name).unwrap();
    assert_eq!(seen.scopes, ["read", "write"], "its owner sees them");
    assert!(generate(&owner, &key, 0, "write").await.is_ok());

    let same = allow(&admin, &key, &[], &[]).await.unwrap();
    assert_eq!(
        same.scopes,
        ["read", "write"],
        "an empty mask clears nothing"
    );
    let cleared = allow(&admin, &key, &[], &["scopes"]).await.unwrap();
    assert!(cleared.scopes.is_empty());
    let refused = generate(&owner, &key, 0, "write").await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn scopes_of_a_key_are_checked_one_by_one() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let key = key_of(&admin).await;
    let refused = allow(
        &admin,
        &key,
        &["ok", "two words", "ok"],
        &["scopes", "secret"],
    )
    .await;
    let found = faults(&refused.unwrap_err());
    let found: Vec<_> = found.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(
        found,
        [
            "update_mask",
            "application_key.scopes[1]",
            "application_key.scopes[2]"
        ]
    );
    let request = UpdateApplicationKeyRequest {
        application_key: Some(ApplicationKey {
            name: key.name.clone(),
            key_type: KeyType::Production.into(),
            ..ApplicationKey::default()
        }),
        update_mask: None,
    };
    let refused = admin.applications().update_application_key(request).await;
    let found = faults(&refused.unwrap_err());
    assert_eq!(found[0].0, "application_key.key_type");
}
