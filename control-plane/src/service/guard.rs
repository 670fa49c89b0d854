//! Small checks that many use cases share: permissions, etags, fixed fields.

use super::error::{ServiceError, reason as failed};
use crate::domain::{
    actor::Actor,
    invalid::{Faults, reason},
    name::PolicyName,
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

/// Reads the policy that a field names, of a kind and by a name without its collection; empty for none. One that is not
/// known is a fault.
pub(super) fn named_policy(
    field: &str,
    (kind, name): (&str, &str),
    known: impl Fn(&PolicyName) -> bool,
    faults: &mut Faults,
) -> Option<PolicyName> {
    if name.is_empty() {
        return None;
    }
    let found = PolicyName::parse(name).ok().filter(known);
    if found.is_none() {
        let rule = format!("names the {kind} policy `{name}`, which does not exist");
        faults.add(field, reason::NOT_FOUND, rule);
    }
    found
}

/// Refuses to delete a policy while something names it.
pub(super) fn refuse_used(
    policy: String,
    users: impl Iterator<Item = String>,
) -> Result<(), ServiceError> {
    let users: Vec<_> = users.collect();
    if users.is_empty() {
        return Ok(());
    }
    let named = users.len().min(USERS_NAMED);
    let more = match users.len() - named {
        0 => String::new(),
        n_more => format!(" and {n_more} more"),
    };
    Err(ServiceError::FailedPrecondition {
        reason: failed::POLICY_IN_USE,
        resource: policy,
        description: format!(
            "the policy is used by {}{more}; take it from them first",
            users[..named].join(", ")
        ),
    })
}

/// How many of those that use a policy are named; descriptions travel in a header.
const USERS_NAMED: usize = 5;
