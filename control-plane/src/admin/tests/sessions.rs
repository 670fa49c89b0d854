//! Signing in and out.

use std::time::Duration;

use tidegate_proto::admin::v1::{
    ChangePasswordRequest, Role as RoleMessage, SignOutRequest, WhoAmIRequest,
};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::{ADMIN_PASSWORD, Stage, USER_PASSWORD, reason};
use crate::domain::user::Role;

#[tokio::test]
async fn whoever_signs_in_is_known_until_signing_out() {
    let stage = Stage::new().await;
    let caller = stage.user("ann", &[Role::Creator, Role::Subscriber]).await;
    let me = caller
        .sessions()
        .who_am_i(WhoAmIRequest {})
        .await
        .unwrap()
        .into_inner();
    let user = me.user.unwrap();
    assert_eq!(user.name, "users/ann");
    assert_eq!(
        user.roles,
        [RoleMessage::Creator as i32, RoleMessage::Subscriber as i32]
    );
    assert!(me.permissions.contains(&"DesignApis".to_owned()));
    assert!(!me.permissions.contains(&"PublishApis".to_owned()));
    caller.sessions().sign_out(SignOutRequest {}).await.unwrap();
    let gone = caller
        .sessions()
        .who_am_i(WhoAmIRequest {})
        .await
        .unwrap_err();
    assert_eq!(gone.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_token_that_is_missing_unknown_malformed_or_old_is_refused() {
    let stage = Stage::new().await;
    let long = "x".repeat(4000);
    for token in [None, Some("unknown"), Some(""), Some(long.as_str())] {
        let caller = stage.with_token(token);
        let refused = caller
            .sessions()
            .who_am_i(WhoAmIRequest {})
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{token:?}");
        assert_eq!(reason(&refused), "UNAUTHENTICATED");
    }
    let caller = stage.admin().await;
    stage.clock.advance(Duration::from_secs(366 * 86_400));
    let old = caller
        .sessions()
        .who_am_i(WhoAmIRequest {})
        .await
        .unwrap_err();
    assert_eq!(old.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_wrong_name_and_a_wrong_password_are_refused_alike() {
    let stage = Stage::new().await;
    let name = stage.sign_in("nobody", ADMIN_PASSWORD).await.err().unwrap();
    let password = stage
        .sign_in("admin", "wrong password")
        .await
        .err()
        .unwrap();
    assert_eq!(name.code(), Code::Unauthenticated);
    assert_eq!(
        (name.code(), name.message(), name.details()),
        (password.code(), password.message(), password.details())
    );
}

#[tokio::test(start_paused = true)]
async fn too_many_wrong_passwords_have_to_wait_and_the_right_one_with_them() {
    let stage = Stage::new().await;
    let mut refused = None;
    for _ in 0..100 {
        let status = stage
            .sign_in("admin", "wrong password")
            .await
            .err()
            .unwrap();
        if status.code() == Code::ResourceExhausted {
            refused = Some(status);
            break;
        }
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    let refused = refused.unwrap();
    let delay = refused
        .get_details_retry_info()
        .unwrap()
        .retry_delay
        .unwrap();
    assert!(!delay.is_zero());
    let right = stage.sign_in("admin", ADMIN_PASSWORD).await.err().unwrap();
    assert_eq!(right.code(), Code::ResourceExhausted);
    stage.clock.advance(Duration::from_secs(24 * 3600));
    assert!(stage.sign_in("admin", ADMIN_PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions() {
    let stage = Stage::new().await;
    let here = stage.user("ann", &[Role::Subscriber]).await;
    let there = stage.sign_in("ann", USER_PASSWORD).await.unwrap();
    let change = |old: &str| ChangePasswordRequest {
        name: "users/ann".to_owned(),
        old_password: old.to_owned(),
        new_password: "another long password".to_owned(),
    };
    let wrong = here
        .users()
        .change_password(change("wrong"))
        .await
        .unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
    here.users()
        .change_password(change(USER_PASSWORD))
        .await
        .unwrap();
    assert!(here.sessions().who_am_i(WhoAmIRequest {}).await.is_ok());
    assert!(there.sessions().who_am_i(WhoAmIRequest {}).await.is_err());
    assert!(stage.sign_in("ann", USER_PASSWORD).await.is_err());
    assert!(stage.sign_in("ann", "another long password").await.is_ok());
}
