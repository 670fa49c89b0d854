//! Whether an API's name, context and version are free.

use tidegate_proto::path::{Context, Version};

use crate::{
    domain::{
        api::Api,
        invalid::{Invalid, reason},
        name::{ApiName, fold},
        resource::Resource as _,
        state::State,
    },
    service::error::ServiceError,
};

/// For a new API: neither its name nor any path it claims may belong to another one, letter case aside.
pub(super) fn check(
    state: &State,
    name: &ApiName,
    context: &Context,
    version: &Version,
) -> Result<(), ServiceError> {
    if let Some(other) = state.versions_of(name.as_str()).next() {
        if other.name == *name && fold(other.context.as_str()) != fold(context.as_str()) {
            return Err(Invalid::one(
                "api.api_name",
                reason::NAME_TAKEN,
                format!("belongs to an API with the context `{}`", other.context),
            )
            .into());
        }
        return Err(ServiceError::AlreadyExists {
            resource: other.resource(),
            description: format!(
                "the name `{}` is taken; make a new version of that API, or choose another name",
                other.name
            ),
        });
    }
    for path in [context.base_path(version), context.default_path()] {
        if let Some(other) = state.apis_at(&path).next() {
            return Err(ServiceError::AlreadyExists {
                resource: other.resource(),
                description: format!("the API `{}` answers under `{path}`", other.name),
            });
        }
    }
    Ok(())
}

/// For a new version: the version must be new, and its base path free.
pub(super) fn check_version(
    state: &State,
    api: &Api,
    version: &Version,
) -> Result<(), ServiceError> {
    let wanted = fold(version.as_str());
    let same = state
        .versions_of(api.name.as_str())
        .find(|other| fold(other.version.as_str()) == wanted);
    let path = api.context.base_path(version);
    match same.or_else(|| state.apis_at(&path).next()) {
        None => Ok(()),
        Some(other) => Err(ServiceError::AlreadyExists {
            resource: other.resource(),
            description: format!("it answers under `{path}`"),
        }),
    }
}
