//! A service with one user of each role, and short words for what tests do with it.

use std::{fmt::Debug, str::FromStr, sync::Arc};

use tidegate_kit::clock::Clock;
use tidegate_proto::ids::{ApiId, ApplicationId};

use crate::{
    domain::{
        actor::Actor,
        api::Api,
        name::UserName,
        state::State,
        user::{PasswordHash, Role, Roles, User},
    },
    service::{
        Service,
        apis::{ApiInput, ApiUpdate},
        applications::ApplicationInput,
        draft::Draft,
        edit::Update,
        error::ServiceError,
    },
    store::{Store, memory::MemoryStore},
};

pub(super) struct World {
    pub(super) service: Service,
    pub(super) clock: Clock,
    pub(super) admin: Actor,
    pub(super) creator: Actor,
    pub(super) publisher: Actor,
    pub(super) subscriber: Actor,
    pub(super) other: Actor,
}

/// A name that is valid.
pub(super) fn parsed<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// A change of a resource.
pub(super) fn update<K, I>(key: K, input: I, mask: Vec<String>, etag: &str) -> Update<K, I> {
    Update {
        key,
        input,
        mask,
        etag: etag.to_owned(),
    }
}

impl World {
    pub(super) async fn new() -> Self {
        Self::over(Arc::new(MemoryStore::new())).await
    }

    pub(super) async fn over(store: Arc<dyn Store>) -> Self {
        let clock = Clock::manual(1_700_000_000);
        let service = Service::open(store, clock.clone()).await.unwrap();
        let roles = |role| Roles::NONE.with(role);
        Self {
            admin: user(&service, "admin", roles(Role::Admin)).await,
            creator: user(&service, "carl", roles(Role::Creator)).await,
            publisher: user(&service, "pat", roles(Role::Creator).with(Role::Publisher)).await,
            subscriber: user(&service, "sue", roles(Role::Subscriber)).await,
            other: user(&service, "sam", roles(Role::Subscriber)).await,
            service,
            clock,
        }
    }

    /// Creates and publishes an API.
    pub(super) async fn published(&self, name: &str) -> Arc<Api> {
        self.service
            .create_api(&self.publisher, input(name), true)
            .await
            .unwrap()
    }

    pub(super) async fn application(&self, owner: &Actor, name: &str) -> ApplicationId {
        let application = self
            .service
            .create_application(owner, ApplicationInput::new(name, ""))
            .await;
        application.unwrap().id
    }

    pub(super) async fn update(
        &self,
        actor: &Actor,
        id: ApiId,
        mask: &[&str],
        change: impl FnOnce(&mut ApiInput),
    ) -> Result<Arc<Api>, ServiceError> {
        let mut input = ApiInput::default();
        change(&mut input);
        let update = ApiUpdate {
            key: id,
            input,
            mask: mask.iter().map(|&field| field.to_owned()).collect(),
            etag: String::new(),
        };
        self.service.update_api(actor, update).await
    }

    pub(super) fn state(&self) -> Arc<State> {
        self.service.state()
    }
}

/// An API that can be published at once.
pub(super) fn input(name: &str) -> ApiInput {
    ApiInput {
        name: name.to_owned(),
        context: format!("/{}", name.to_lowercase()),
        version: "1.0".to_owned(),
        production_endpoint: "ws://backend:8080".to_owned(),
        plans: vec!["Gold".to_owned(), "Silver".to_owned()],
        ..ApiInput::default()
    }
}

/// Makes a user without the cost of hashing a password.
pub(super) async fn user(service: &Service, name: &str, roles: Roles) -> Actor {
    let name = UserName::parse(name).unwrap();
    let add = move |draft: &mut Draft| {
        Ok(draft.put(User {
            id: tidegate_proto::ids::UserId::generate(),
            name,
            password: PasswordHash(String::new()),
            roles,
            meta: draft.meta(),
        }))
    };
    let user = service.commit(&Actor::system(), "CreateUser", add).await;
    Actor::of(&user.unwrap())
}

/// The fields and reasons of an invalid input.
pub(super) fn faults<T: Debug>(result: Result<T, ServiceError>) -> Vec<(String, &'static str)> {
    match result.unwrap_err() {
        ServiceError::Invalid(invalid) => invalid
            .violations
            .into_iter()
            .map(|violation| (violation.field, violation.reason))
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// The reason of a failed precondition.
pub(super) fn refused<T: Debug>(result: Result<T, ServiceError>) -> &'static str {
    match result.unwrap_err() {
        ServiceError::FailedPrecondition { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

pub(super) fn denied<T: Debug>(result: Result<T, ServiceError>) {
    let error = result.unwrap_err();
    assert!(
        matches!(error, ServiceError::PermissionDenied(_)),
        "{error:?}"
    );
}

pub(super) fn not_found<T: Debug>(result: Result<T, ServiceError>) {
    let error = result.unwrap_err();
    assert!(matches!(error, ServiceError::NotFound(_)), "{error:?}");
}

pub(super) fn exists<T: Debug>(result: Result<T, ServiceError>) {
    let error = result.unwrap_err();
    assert!(
        matches!(error, ServiceError::AlreadyExists { .. }),
        "{error:?}"
    );
}
