//! Users, signing in, signing keys.

use std::{
    future::{Future as _, poll_fn},
    task::Poll,
    time::Duration,
};

use tidegate_kit::secret::Secret;

use super::world::{
    World, denied, exists, faults, input, not_found, parsed, refused, update, user,
};
use crate::{
    domain::{
        actor::Actor,
        invalid::reason as invalid,
        name::KeyId,
        signing::{Algorithm, SigningKeyState},
        user::{Role, Roles},
    },
    service::{
        applications::ApplicationInput,
        error::{ServiceError, reason},
        listing::ListQuery,
        signing::NewSigningKey,
        users::PasswordChange,
    },
};

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

#[tokio::test]
async fn signing_in_gives_a_token_that_works_until_it_is_over() {
    let world = World::new().await;
    let service = &world.service;
    let password = secret("correct horse");
    let roles = Roles::NONE.with(Role::Creator);
    service
        .create_user(&world.admin, "ann", &password, roles)
        .await
        .unwrap();
    let sign_in = |password| async move { service.sign_in("Ann", &secret(password), None).await };
    let wrong = sign_in("wrong horse").await.unwrap_err();
    let nobody = service
        .sign_in("nobody", &password, None)
        .await
        .unwrap_err();
    assert_eq!(wrong, nobody, "which names exist is not told");
    let first = sign_in("correct horse").await.unwrap();
    let second = sign_in("correct horse").await.unwrap();
    assert_eq!(service.authenticate(&first.token).unwrap().roles, roles);
    service.sign_out(&first.token).await.unwrap();
    service.sign_out(&first.token).await.unwrap();
    assert!(service.authenticate(&first.token).is_err());
    service.authenticate(&second.token).unwrap();
    world.clock.advance(Duration::from_secs(12 * 3600));
    let over = service.authenticate(&second.token).unwrap_err();
    assert!(matches!(over, ServiceError::Unauthenticated(_)));
}

#[tokio::test(start_paused = true)]
async fn wrong_passwords_slow_further_attempts_down() {
    let world = World::new().await;
    let service = &world.service;
    let peer = Some([192, 0, 2, 7].into());
    let attempt = || async {
        service
            .sign_in("sue", &secret("guess"), peer)
            .await
            .unwrap_err()
    };
    for _ in 0..5 {
        assert!(matches!(attempt().await, ServiceError::Unauthenticated(_)));
    }
    let slowed = ServiceError::ResourceExhausted {
        retry_after: Duration::from_secs(1),
    };
    assert_eq!(attempt().await, slowed);
    world.clock.advance(Duration::from_secs(1));
    assert!(matches!(attempt().await, ServiceError::Unauthenticated(_)));
}

#[tokio::test(start_paused = true)]
async fn strangers_who_guess_a_password_keep_nobody_from_changing_it() {
    let world = World::new().await;
    let service = &world.service;
    let roles = Roles::NONE.with(Role::Subscriber);
    let old = secret("old password");
    let ann = service
        .create_user(&world.admin, "ann", &old, roles)
        .await
        .unwrap();
    let ann = Actor::of(&ann);
    let peer = Some([192, 0, 2, 7].into());
    let mut slowed = false;
    for _ in 0..6 {
        let refused = service.sign_in("ann", &secret("guess"), peer).await;
        slowed = matches!(refused, Err(ServiceError::ResourceExhausted { .. }));
    }
    assert!(slowed);
    let change = |old: &str| PasswordChange {
        name: parsed("ann"),
        old: Some(secret(old)),
        new: secret("new password"),
        keep: None,
    };
    let changed = service.change_password(&ann, change("old password"));
    changed.await.unwrap();
    // Whoever finds a session open is slowed all the same, and does not keep her from signing in elsewhere.
    for _ in 0..5 {
        let wrong = service.change_password(&ann, change("guess")).await;
        assert_eq!(faults(wrong)[0].0, "old_password");
    }
    let slowed = service.change_password(&ann, change("new password")).await;
    assert!(matches!(
        slowed,
        Err(ServiceError::ResourceExhausted { .. })
    ));
    let elsewhere = Some([192, 0, 2, 8].into());
    world.clock.advance(Duration::from_secs(1));
    service
        .sign_in("ann", &secret("new password"), elsewhere)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_changed_password_ends_all_sessions_but_the_calling_one() {
    let world = World::new().await;
    let service = &world.service;
    let old = secret("old password");
    let roles = Roles::NONE.with(Role::Subscriber);
    let user = service
        .create_user(&world.admin, "ann", &old, roles)
        .await
        .unwrap();
    let kept = service.sign_in("ann", &old, None).await.unwrap().token;
    let ended = service.sign_in("ann", &old, None).await.unwrap().token;
    let change = |old: &str, new: &str| PasswordChange {
        name: parsed("ann"),
        old: Some(secret(old)),
        new: secret(new),
        keep: Some(kept.clone()),
    };
    let actor = Actor::of(&user);
    let wrong = service
        .change_password(&actor, change("wrong", "new password"))
        .await;
    assert_eq!(faults(wrong)[0].0, "old_password");
    let short = service
        .change_password(&actor, change("old password", "short"))
        .await;
    assert_eq!(faults(short)[0].0, "new_password");
    denied(
        service
            .change_password(&world.other, change("", "new password"))
            .await,
    );
    service
        .change_password(&actor, change("old password", "new password"))
        .await
        .unwrap();
    service.authenticate(&kept).unwrap();
    assert!(service.authenticate(&ended).is_err());
    service
        .sign_in("ann", &secret("new password"), None)
        .await
        .unwrap();
}

#[tokio::test]
async fn users_are_managed_by_admins_and_one_admin_always_stays() {
    let world = World::new().await;
    let service = &world.service;
    let password = secret("a password");
    let bad = service
        .create_user(&world.admin, "a b", &secret("x"), Roles::NONE)
        .await;
    let fields: Vec<_> = faults(bad).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["user_id", "user.roles", "password"]);
    let roles = Roles::NONE.with(Role::Creator);
    exists(
        service
            .create_user(&world.admin, "SUE", &password, roles)
            .await,
    );
    denied(
        service
            .create_user(&world.creator, "eve", &password, roles)
            .await,
    );
    denied(service.get_user(&world.creator, &parsed("sue")));
    service.get_user(&world.creator, &parsed("carl")).unwrap();
    not_found(service.get_user(&world.admin, &parsed("eve")));
    let demote = service
        .update_user(&world.admin, update(parsed("admin"), roles, Vec::new(), ""))
        .await;
    assert_eq!(refused(demote), reason::LAST_ADMIN);
    let delete = async |name| service.delete_user(&world.admin, &parsed(name), "").await;
    assert_eq!(refused(delete("admin").await), reason::LAST_ADMIN);
    world.application(&world.subscriber, "app").await;
    assert_eq!(refused(delete("sue").await), reason::USER_OWNS_APPLICATIONS);
    delete("sam").await.unwrap();
    assert!(world.state().user_named("sam").is_none());
}

#[tokio::test]
async fn the_name_of_the_process_itself_is_not_given_and_at_signs_count() {
    let world = World::new().await;
    let service = &world.service;
    let password = secret("a password");
    let roles = Roles::NONE.with(Role::Subscriber);
    let create = |name: String| {
        let (service, admin, password) = (service, &world.admin, &password);
        async move { service.create_user(admin, &name, password, roles).await }
    };
    for (name, expected) in [
        ("system".to_owned(), invalid::RESERVED),
        ("System".to_owned(), invalid::RESERVED),
        ("@".repeat(51), invalid::TOO_LONG),
        (format!("{}@", "a".repeat(50)), invalid::TOO_LONG),
    ] {
        let refused = faults(create(name).await);
        assert_eq!(refused, [("user_id".to_owned(), expected)]);
    }
    create("@".repeat(50)).await.unwrap();
}

#[tokio::test]
async fn a_store_with_names_that_are_not_given_any_more_still_opens() {
    let store = std::sync::Arc::new(crate::store::memory::MemoryStore::new());
    let world = World::over(store.clone()).await;
    let long = format!("{}@", "a".repeat(50));
    let system = user(&world.service, "system", Roles::NONE.with(Role::Admin)).await;
    user(&world.service, &long, Roles::NONE.with(Role::Subscriber)).await;
    let reopened = crate::service::Service::open(store, world.clock.clone());
    let service = reopened.await.unwrap();
    service.get_user(&system, &parsed(&long)).unwrap();
    service
        .delete_user(&system, &parsed(&long), "")
        .await
        .unwrap();
    let page = service.list_audit(&system, &ListQuery::default()).await;
    let entries = page.unwrap().items;
    assert_eq!(entries[0].actor_resource(), "users/system");
    let first = entries.last().unwrap();
    assert_eq!(first.actor_resource(), "system");
    service
        .delete_user(&system, &parsed("system"), "")
        .await
        .unwrap();
}

#[tokio::test]
async fn the_first_admin_gets_a_random_password_once() {
    let store = std::sync::Arc::new(crate::store::memory::MemoryStore::new());
    let clock = tidegate_kit::clock::Clock::manual(1);
    let service = crate::service::Service::open(store, clock).await.unwrap();
    let made = service.ensure_admin("root", None).await.unwrap().unwrap();
    service.sign_in("root", &made, None).await.unwrap();
    assert!(service.ensure_admin("other", None).await.unwrap().is_none());
    assert_eq!(service.state().users().len(), 1);
}

fn key(id: &str) -> NewSigningKey {
    NewSigningKey {
        id: KeyId::parse(id).unwrap(),
        algorithm: Algorithm::Es256,
        private_key: secret("private"),
        public_jwk: "{}".to_owned(),
    }
}

#[tokio::test]
async fn signing_keys_rotate_with_overlap() {
    let world = World::new().await;
    let service = &world.service;
    let system = Actor::system();
    let lifetime = Duration::from_secs(3600);
    let states = || {
        let keys = service.list_signing_keys(&world.admin).unwrap();
        keys.iter().map(|key| key.state).collect::<Vec<_>>()
    };
    let from = service.now().after(Duration::from_secs(60));
    denied(
        service
            .add_signing_key(&world.publisher, key("a"), from, lifetime)
            .await,
    );
    service
        .add_signing_key(&system, key("a"), from, lifetime)
        .await
        .unwrap();
    assert_eq!(
        states(),
        [SigningKeyState::Active],
        "the first signs at once"
    );
    world.clock.advance(Duration::from_secs(1));
    service
        .add_signing_key(&system, key("b"), from, lifetime)
        .await
        .unwrap();
    let third = service
        .add_signing_key(&system, key("c"), from, lifetime)
        .await;
    assert_eq!(refused(third), reason::ROTATION_IN_PROGRESS);
    assert!(!service.advance_signing_keys(&system).await.unwrap());
    world.clock.advance(Duration::from_secs(60));
    assert!(service.advance_signing_keys(&system).await.unwrap());
    let until = service.now().after(lifetime);
    assert_eq!(
        states(),
        [SigningKeyState::Retiring { until }, SigningKeyState::Active]
    );
    world.clock.advance(lifetime);
    assert!(service.advance_signing_keys(&system).await.unwrap());
    assert_eq!(states(), [SigningKeyState::Active]);
    assert_eq!(world.state().active_signing_key().unwrap().id.as_str(), "b");
}

#[tokio::test]
async fn settings_are_committed_only_when_they_change() {
    let world = World::new().await;
    let configure = || {
        let audiences = vec!["tidegate".to_owned()];
        let system = Actor::system();
        let service = world.service.clone();
        async move {
            let issuer = "https://localhost".to_owned();
            service.configure(&system, issuer, audiences).await.unwrap();
        }
    };
    configure().await;
    let number = world.state().number();
    configure().await;
    assert_eq!(world.state().number(), number);
    let allow = world
        .service
        .update_settings(&world.admin, update((), true, Vec::new(), ""));
    allow.await.unwrap();
    configure().await;
    assert_eq!(world.state().number(), number.next());
    assert!(
        world.service.is_sign_up_allowed(),
        "a start keeps what an admin set"
    );
}

#[tokio::test]
async fn what_was_begun_by_somebody_who_is_gone_or_has_other_roles_by_now_is_not_committed() {
    let world = World::new().await;
    let service = &world.service;
    service
        .delete_user(&world.admin, &parsed("sue"), "")
        .await
        .unwrap();
    let late = service.create_application(&world.subscriber, ApplicationInput::new("Orphan", ""));
    let late = late.await.unwrap_err();
    assert!(matches!(late, ServiceError::Unauthenticated(_)), "{late:?}");
    let roles = Roles::NONE.with(Role::Subscriber);
    let demoted = service.update_user(&world.admin, update(parsed("pat"), roles, Vec::new(), ""));
    demoted.await.unwrap();
    let late = service.create_api(&world.publisher, input("Echo"), true);
    assert_eq!(
        late.await.unwrap_err(),
        ServiceError::Aborted("users/pat".to_owned())
    );
    assert!(world.state().applications().is_empty() && world.state().apis().is_empty());
}

#[tokio::test]
async fn what_was_begun_in_a_session_that_is_over_by_now_is_not_committed() {
    let world = World::new().await;
    let service = &world.service;
    let password = secret("a password");
    let roles = Roles::NONE.with(Role::Subscriber);
    service
        .create_user(&world.admin, "ann", &password, roles)
        .await
        .unwrap();
    let tokens = [
        service.sign_in("ann", &password, None).await.unwrap().token,
        service.sign_in("ann", &password, None).await.unwrap().token,
    ];
    let [signed_out, expired] = tokens
        .each_ref()
        .map(|it| service.authenticate(it).unwrap());
    let create = |actor| service.create_application(actor, ApplicationInput::new("Late", ""));
    service.sign_out(&tokens[0]).await.unwrap();
    let late = create(&signed_out).await.unwrap_err();
    assert!(matches!(late, ServiceError::Unauthenticated(_)), "{late:?}");
    create(&expired).await.unwrap();
    world.clock.advance(Duration::from_secs(12 * 3600));
    let late = create(&expired).await.unwrap_err();
    assert!(matches!(late, ServiceError::Unauthenticated(_)), "{late:?}");
    // Two sign out at the same time: neither is told of a fault.
    let token = service.sign_in("ann", &password, None).await.unwrap().token;
    let both = tokio::join!(service.sign_out(&token), service.sign_out(&token));
    assert_eq!(both, (Ok(()), Ok(())));
}

#[tokio::test]
async fn who_knows_the_old_password_does_not_undo_an_admin_s_reset() {
    let world = World::new().await;
    let service = &world.service;
    let old = secret("old password");
    let roles = Roles::NONE.with(Role::Subscriber);
    let user = service
        .create_user(&world.admin, "ann", &old, roles)
        .await
        .unwrap();
    let change = |old: Option<&str>, new: &str| PasswordChange {
        name: parsed("ann"),
        old: old.map(secret),
        new: secret(new),
        keep: None,
    };
    let actor = Actor::of(&user);
    let own = service.change_password(&actor, change(Some("old password"), "the thief's one"));
    let mut own = std::pin::pin!(own);
    // Its first step reads the user; the reset is committed before it goes on.
    let first = poll_fn(|context| Poll::Ready(own.as_mut().poll(context)));
    assert!(first.await.is_pending());
    service
        .change_password(&world.admin, change(None, "the admin's one"))
        .await
        .unwrap();
    let own = own.await;
    assert!(matches!(own, Err(ServiceError::Aborted(_))), "{own:?}");
    let password = secret("the admin's one");
    service.sign_in("ann", &password, None).await.unwrap();
}
