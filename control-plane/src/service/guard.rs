//! Small checks that many use cases share: permissions, etags, fixed fields.

use super::error::ServiceError;
use crate::domain::{
    actor::Actor,
    invalid::{Faults, reason},
    object::Etag,
    user::Permission,
};

/// Refuses an actor whose roles do not allow it.
pub(super) fn demand(actor: &Actor, permission: Permission) -> Result<(), ServiceError> {
    if actor.may(permission) {
        return Ok(());
    }
    let roles: Vec<_> = permission
        .roles()
        .iter()
        .map(|role| role.as_str())
        .collect();
    Err(ServiceError::PermissionDenied(format!(
        "the role {}",
        roles.join(" or ")
    )))
}

/// Refuses a change by somebody who has not seen the latest one.
pub(super) fn check_etag(
    given: &str,
    current: Etag,
    resource: impl FnOnce() -> String,
) -> Result<(), ServiceError> {
    if given.is_empty() || given == current.to_string() {
        Ok(())
    } else {
        Err(ServiceError::Aborted(resource()))
    }
}

/// Notes an attempt to change what never changes.
pub(super) fn fixed(faults: &mut Faults, field: &str, given: &str, current: &str) {
    if !given.is_empty() && given != current {
        faults.add(
            field,
            reason::IMMUTABLE,
            format!("never changes; it is `{current}`"),
        );
    }
}
