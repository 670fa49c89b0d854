//! The use case of new versions of an API, and which of them is the default one.

use std::sync::Arc;

use tidegate_proto::{ids::ApiId, path::Version};

use super::conflict;
use crate::{
    domain::{
        actor::Actor,
        api::Api,
        invalid::{Invalid, Rule},
        lifecycle::{Lifecycle, LifecycleEvent},
        user::Permission,
    },
    service::{
        Service, access, documents, draft::Draft, error::ServiceError, guard::demand, thumbnails,
    },
};

impl Service {
    /// Copies an API with its documents and its picture into a new version in the state Created; with `default_version` the
    /// flag moves to it, and takes effect wherever the new version runs.
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
            let api = access::api(draft.state(), &draft.actor, id)?.clone();
            let version = Version::parse(&version).map_err(Rule::from);
            let version =
                version.map_err(|rule| Invalid::one("version", rule.reason, rule.description))?;
            conflict::check_version(draft.state(), &api, &version)?;
            let next = Api {
                id: ApiId::generate(),
                version,
                owner: draft.actor.user,
                provider: draft.actor.name.clone(),
                default_version,
                default_until: None,
                state: Lifecycle::Created,
                history: vec![LifecycleEvent::created(
                    draft.now,
                    draft.actor.name.to_string(),
                )],
                quota_generation: 0,
                last_revision: 0,
                meta: draft.meta(),
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

/// Only one version of a name is the default. Those that were it before stand in for it where it does not run.
pub(super) fn take_default_from_others(draft: &mut Draft, keeper: &Api) {
    let until = draft.number();
    for other in other_versions(draft, keeper) {
        if other.default_version {
            change(draft, &other, |next| {
                next.default_version = false;
                next.default_until = Some(until);
            });
        }
    }
}

/// Nothing stands in for a default version that is not wanted any more.
pub(super) fn leave_without_default(draft: &mut Draft, last: &Api) {
    for other in other_versions(draft, last) {
        if other.default_until.is_some() {
            change(draft, &other, |next| next.default_until = None);
        }
    }
}

/// The version that was the default before one that is gone is it again.
pub(super) fn give_default_back(draft: &mut Draft, gone: &Api) {
    let others = other_versions(draft, gone);
    let before = others.iter().filter(|other| other.default_until.is_some());
    if let Some(before) = before.max_by_key(|other| other.default_until) {
        change(draft, before, |next| {
            next.default_version = true;
            next.default_until = None;
        });
    }
}

fn other_versions(draft: &Draft, of: &Api) -> Vec<Arc<Api>> {
    let versions = draft.state().versions_of(of.name.as_str());
    versions.filter(|api| api.id != of.id).cloned().collect()
}

fn change(draft: &mut Draft, api: &Arc<Api>, change: impl FnOnce(&mut Api)) {
    let mut next = Api::clone(api);
    change(&mut next);
    draft.replace(api, next);
}
