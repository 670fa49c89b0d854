//! The use case of new versions of an API, and which of them is the default one.

use std::sync::Arc;

use tidegate_proto::ids::ApiId;

use super::{conflict, created, validate, visible};
use crate::{
    domain::{
        actor::Actor, api::Api, lifecycle::Lifecycle, name::UserName, object::Etag,
        user::Permission,
    },
    service::{Service, documents, draft::Draft, error::ServiceError, guard::demand, thumbnails},
};

impl Service {
    /// Copies an API with its documents and its picture into a new version in the state Created; with `default_version` the flag moves to it.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound`, `Invalid`, `AlreadyExists` for a version that exists, `Storage`, `Unavailable`.
    pub async fn create_api_version(
        &self,
        actor: &Actor,
        id: ApiId,
        version: &str,
        default_version: bool,
    ) -> Result<Arc<Api>, ServiceError> {
        demand(actor, Permission::DesignApis)?;
        let version = version.to_owned();
        self.commit(actor, "CreateApiVersion", move |draft| {
            let api = visible(draft.state(), &draft.actor, id)?.clone();
            let version = validate::version("version", &version)?;
            conflict::check_version(draft.state(), &api, &version)?;
            let by = draft.actor.name.to_string();
            let next = Api {
                id: ApiId::generate(),
                version,
                owner: draft.actor.user,
                provider: UserName::parse(&by).expect("actors have valid names"),
                default_version,
                state: Lifecycle::Created,
                history: vec![created(draft.now, by)],
                quota_generation: 0,
                last_revision: 0,
                created_at: draft.now,
                updated_at: draft.now,
                etag: Etag::FIRST,
                ..Api::clone(&api)
            };
            let next = draft.put(next);
            documents::copy_all(draft, id, next.id);
            thumbnails::copy(draft, id, next.id);
            if default_version {
                take_default_from_others(draft, &next);
            }
            Ok(next)
        })
        .await
    }
}

/// Only one version of a name is the default.
pub(super) fn take_default_from_others(draft: &mut Draft, keeper: &Api) {
    let others: Vec<_> = draft
        .state()
        .versions_of(keeper.name.as_str())
        .filter(|api| api.id != keeper.id && api.default_version)
        .cloned()
        .collect();
    for other in others {
        let mut next = Api::clone(&other);
        next.default_version = false;
        next.updated_at = draft.now;
        next.etag = other.etag.next();
        draft.put(next);
    }
}
