//! Use cases of users: who may sign in, their roles and passwords.

use std::sync::Arc;

use tidegate_kit::secret::Secret;
use tidegate_proto::ids::UserId;

use super::{
    Service, Shared, deny_policies,
    draft::Draft,
    edit::{EditableField, EditableFields, Update},
    error::{ServiceError, reason},
    guard::{check_etag, demand},
    listing::{self, Kind, ListQuery, Page, Schema, Value, kind},
    password::{self, Asker},
};
use crate::domain::{
    actor::Actor,
    credential::SecretHash,
    invalid::{self, Faults, Invalid},
    name::UserName,
    object::ObjectKey,
    policy::DenyTarget,
    resource::Resource as _,
    state::State,
    user::{PasswordHash, Permission, Role, Roles, User},
};

impl Service {
    /// Makes sure that there is an admin: if there is none, creates a user with that name and role, with the given password
    /// or a random one. Returns the random password, to be shown once.
    ///
    /// # Errors
    /// `Invalid`, `AlreadyExists`, `Storage`, `Unavailable`.
    pub async fn ensure_admin(
        &self,
        name: &str,
        password: Option<Secret>,
    ) -> Result<Option<Secret>, ServiceError> {
        if self.state().users().values().any(|user| is_admin(user)) {
            return Ok(None);
        }
        let (password, shown) = match password {
            Some(password) => (password, None),
            None => {
                let made = password::random_secret();
                (made.clone(), Some(made))
            }
        };
        password::check("admin.password", &password)?;
        let name = read_name("admin.username", name)?;
        let hash = self.shared.passwords.hash(&password, Asker::Known).await?;
        self.commit(&Actor::system(), "CreateUser", move |draft| {
            add(draft, name, hash, Roles::NONE.with(Role::Admin))
        })
        .await?;
        Ok(shown)
    }

    /// Creates a user.
    ///
    /// # Errors
    /// `PermissionDenied`, `Invalid`, `AlreadyExists`, `ResourceExhausted`, `Storage`, `Unavailable`.
    pub async fn create_user(
        &self,
        actor: &Actor,
        name: &str,
        password: &Secret,
        roles: Roles,
    ) -> Result<Arc<User>, ServiceError> {
        demand(actor, Permission::ManageUsers)?;
        let mut faults = Faults::new();
        let name = faults.take("user_id", UserName::choose(name));
        read_roles(roles, &mut faults);
        if let Err(fault) = password::check("password", password) {
            faults.extend(fault);
        }
        faults.finish()?;
        let Some(name) = name else {
            unreachable!("a value that is missing has left a fault");
        };
        let hash = self.shared.passwords.hash(password, Asker::Known).await?;
        self.commit(actor, "CreateUser", move |draft| {
            add(draft, name, hash, roles)
        })
        .await
    }

    /// Gets a user by name: oneself, or anybody for an admin.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`.
    pub fn get_user(&self, actor: &Actor, name: &UserName) -> Result<Arc<User>, ServiceError> {
        let state = self.state();
        let found = named(&state, name);
        let own = found.as_ref().is_ok_and(|user| actor.is(user.id));
        if !own {
            demand(actor, Permission::ManageUsers)?;
        }
        found.cloned()
    }

    /// Lists users.
    ///
    /// # Errors
    /// `PermissionDenied`, `Invalid`.
    pub fn list_users(
        &self,
        actor: &Actor,
        query: &ListQuery,
    ) -> Result<Page<Arc<User>>, ServiceError> {
        demand(actor, Permission::ManageUsers)?;
        listing::page(self.state().users().values(), query, &SCHEMA)
    }

    /// Changes the roles of a user.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid`, `Aborted`, `FailedPrecondition` (`LAST_ADMIN`), `Storage`, `Unavailable`.
    pub async fn update_user(
        &self,
        actor: &Actor,
        update: Update<UserName, Roles>,
    ) -> Result<Arc<User>, ServiceError> {
        demand(actor, Permission::ManageUsers)?;
        self.commit(actor, "UpdateUser", move |draft| {
            let before = named(draft.state(), &update.key)?.clone();
            check_etag(&update.etag, &*before)?;
            let mut faults = Faults::new();
            let next = FIELDS.update(&before, &update, draft, &mut faults);
            faults.finish()?;
            let next = draft.replace(&before, next);
            keep_an_admin(draft.state())?;
            Ok(next)
        })
        .await
    }

    /// Deletes a user with the deny policy about the user, and ends the user's sessions.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Aborted`, `FailedPrecondition` (`LAST_ADMIN`, `USER_OWNS_APPLICATIONS`),
    /// `Storage`, `Unavailable`.
    pub async fn delete_user(
        &self,
        actor: &Actor,
        name: &UserName,
        etag: &str,
    ) -> Result<(), ServiceError> {
        demand(actor, Permission::ManageUsers)?;
        let (name, etag) = (name.clone(), etag.to_owned());
        self.commit(actor, "DeleteUser", move |draft| {
            let user = named(draft.state(), &name)?.clone();
            check_etag(&etag, &*user)?;
            let n_applications = draft.state().applications_of(user.id).count();
            if n_applications > 0 {
                return Err(ServiceError::FailedPrecondition {
                    reason: reason::USER_OWNS_APPLICATIONS,
                    resource: user.resource(),
                    description: format!(
                        "the user owns {n_applications} applications; delete them first"
                    ),
                });
            }
            draft.remove(&user);
            deny_policies::remove_with(draft, &DenyTarget::User(user.name.clone()));
            keep_an_admin(draft.state())?;
            end_sessions(draft, user.id, None);
            Ok(())
        })
        .await
    }

    /// Changes a password and ends the user's sessions but the calling one. Of one's own there is one change at a time.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid` (also for a wrong old password), `ResourceExhausted`, `Aborted`,
    /// `Storage`, `Unavailable`.
    pub async fn change_password(
        &self,
        actor: &Actor,
        change: PasswordChange,
    ) -> Result<(), ServiceError> {
        let user = {
            let state = self.state();
            let found = named(&state, &change.name);
            if !found.as_ref().is_ok_and(|user| actor.is(user.id)) {
                demand(actor, Permission::ManageUsers)?;
            }
            found?.clone()
        };
        password::check("new_password", &change.new)?;
        let own = actor.is(user.id);
        let hash = if own {
            self.check_change(actor, &user, &change).await?
        } else {
            let passwords = &self.shared.passwords;
            passwords.hash(&change.new, Asker::Known).await?
        };
        let verified = own.then(|| user.password.clone());
        let keep = change.keep.map(|token| SecretHash::of(token.expose()));
        self.commit(actor, "ChangePassword", move |draft| {
            let user = named(draft.state(), &change.name)?.clone();
            // An admin may have set another one while this one was checked, to lock out those who know it.
            if verified.is_some_and(|verified| verified != user.password) {
                return Err(ServiceError::Aborted(user.resource()));
            }
            set_password(draft, &user, hash, keep);
            Ok(())
        })
        .await?;
        if own {
            self.shared.login_throttle.changed(user.id, actor.session);
        }
        Ok(())
    }

    /// Checks the old password of a user's own change, and hashes the new one. It counts as wrong until it is committed.
    async fn check_change(
        &self,
        actor: &Actor,
        user: &User,
        change: &PasswordChange,
    ) -> Result<PasswordHash, ServiceError> {
        let Shared {
            passwords,
            login_throttle,
            ..
        } = &*self.shared;
        let permit = passwords.permit(user.id)?;
        let wait = login_throttle.begin_change(user.id, actor.session, self.now());
        if !wait.is_zero() {
            return Err(ServiceError::ResourceExhausted { retry_after: wait });
        }
        let none = Secret::new(String::new());
        let old = change.old.as_ref().unwrap_or(&none);
        let said = (old, user.password.clone());
        let hash = passwords.change(permit, said, &change.new).await?;
        hash.ok_or_else(|| {
            let wrong = "is not the current password";
            Invalid::one("old_password", invalid::reason::MALFORMED, wrong).into()
        })
    }
}

/// A change of a password.
#[derive(Clone, Debug)]
pub struct PasswordChange {
    /// Whose.
    pub name: UserName,
    /// The current password; required of users who change their own.
    pub old: Option<Secret>,
    /// The password from now on.
    pub new: Secret,
    /// The calling session's bearer token, which stays valid.
    pub keep: Option<Secret>,
}

const FIELDS: EditableFields<User, Roles> = EditableFields {
    root: "user",
    all: &[EditableField {
        name: "roles",
        is_given: |roles| !roles.is_empty(),
        set: |user, roles, at| {
            read_roles(*roles, at.faults);
            user.roles = *roles;
        },
    }],
    fixed: &["name"],
};

pub(super) const SCHEMA: Schema<User> = Schema {
    filter: &[
        ("name", kind::USER),
        ("role", Kind::Word(|| Role::ALL.map(Role::as_str).to_vec())),
    ],
    order: &["name", "create_time", "update_time"],
    default_order: "name",
    get: |user, field| match field {
        "name" => Value::text(&user.name),
        "role" => Value::Texts(user.roles.iter().map(|r| r.as_str().to_owned()).collect()),
        _ => Value::of_meta(&user.meta, field),
    },
    id: |user| user.name.to_string(),
};

const fn is_admin(user: &User) -> bool {
    user.roles.contains(Role::Admin)
}

/// The user of a name, letter case aside.
pub(super) fn named<'a>(state: &'a State, name: &UserName) -> Result<&'a Arc<User>, ServiceError> {
    let user = state.user_named(name.as_str());
    user.ok_or_else(|| ServiceError::NotFound(User::name_of(name)))
}

/// Sets a password, and ends the sessions of the user but the one to keep.
pub(super) fn set_password(
    draft: &mut Draft,
    user: &Arc<User>,
    password: PasswordHash,
    keep: Option<SecretHash>,
) -> Arc<User> {
    let mut next = User::clone(user);
    next.password = password;
    let next = draft.replace(user, next);
    end_sessions(draft, user.id, keep);
    next
}

fn read_name(field: &str, name: &str) -> Result<UserName, Invalid> {
    UserName::choose(name).map_err(|rule| Invalid::one(field, rule.reason, rule.description))
}

fn read_roles(roles: Roles, faults: &mut Faults) {
    if roles.is_empty() {
        faults.add(
            "user.roles",
            invalid::reason::REQUIRED,
            "must name at least one role",
        );
    }
}

pub(super) fn add(
    draft: &mut Draft,
    name: UserName,
    password: PasswordHash,
    roles: Roles,
) -> Result<Arc<User>, ServiceError> {
    if let Some(other) = draft.state().user_named(name.as_str()) {
        return Err(ServiceError::name_taken::<User>(&other.name));
    }
    Ok(draft.put(User {
        id: UserId::generate(),
        name,
        password,
        roles,
        meta: draft.meta(),
    }))
}

fn keep_an_admin(state: &State) -> Result<(), ServiceError> {
    if state.users().values().any(|user| is_admin(user)) {
        return Ok(());
    }
    Err(ServiceError::FailedPrecondition {
        reason: reason::LAST_ADMIN,
        resource: "users".to_owned(),
        description: "no admin would be left; make another user admin first".to_owned(),
    })
}

pub(super) fn end_sessions(draft: &mut Draft, user: UserId, keep: Option<SecretHash>) {
    let ended: Vec<_> = draft
        .state()
        .sessions_of(user)
        .filter(|token| Some(**token) != keep)
        .copied()
        .collect();
    for token in ended {
        draft.remove_key(ObjectKey::Session(token));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidegate_kit::{clock::Clock, secret::Secret};

    use super::PasswordChange;
    use crate::{
        domain::{actor::Actor, name::UserName, user::Roles},
        service::{Service, error::ServiceError},
        store::memory::MemoryStore,
    };

    const OLD: &str = "old password";
    const NEW: &str = "new password";

    /// A service with one user, whose password is [`OLD`].
    async fn with_ann() -> (Service, Actor) {
        let opened = Service::open(Arc::new(MemoryStore::new()), Clock::manual(1));
        let service = opened.await.unwrap();
        let password = Some(Secret::new(OLD.to_owned()));
        service.ensure_admin("ann", password).await.unwrap();
        let ann = Actor::of(service.state().user_named("ann").unwrap());
        (service, ann)
    }

    fn change(old: &str, new: &str) -> PasswordChange {
        PasswordChange {
            name: UserName::parse("ann").unwrap(),
            old: Some(Secret::new(old.to_owned())),
            new: Secret::new(new.to_owned()),
            keep: None,
        }
    }

    #[tokio::test]
    async fn a_user_who_changes_the_password_twice_at_once_is_told_to_wait() {
        let (service, ann) = with_ann().await;
        let (first, second) = tokio::join!(
            service.change_password(&ann, change(OLD, NEW)),
            service.change_password(&ann, change(OLD, NEW)),
        );
        let done = [first, second];
        assert_eq!(done.iter().filter(|it| it.is_ok()).count(), 1, "{done:?}");
        let waits = |it: &Result<(), ServiceError>| {
            matches!(it, Err(ServiceError::ResourceExhausted { .. }))
        };
        assert_eq!(done.iter().filter(|it| waits(it)).count(), 1, "{done:?}");
        let again = service.change_password(&ann, change(NEW, OLD));
        again.await.unwrap();
    }

    #[tokio::test]
    async fn the_right_old_password_counts_as_wrong_until_the_change_is_committed() {
        let (service, mut outdated) = with_ann().await;
        outdated.roles = Roles::NONE;
        for _ in 0..5 {
            let refused = service.change_password(&outdated, change(OLD, NEW)).await;
            assert!(matches!(refused, Err(ServiceError::Aborted(_))));
        }
        let slowed = service.change_password(&outdated, change(OLD, NEW)).await;
        let slows = matches!(slowed, Err(ServiceError::ResourceExhausted { .. }));
        assert!(slows, "{slowed:?}");
    }
}
