//! Small checks that many use cases share: permissions, existence, etags, fixed fields.

use std::{str::FromStr, sync::Arc};

use super::error::{ServiceError, reason as failed};
use crate::domain::{
    actor::Actor,
    invalid::{Faults, reason},
    resource::{Child, Resource, Versioned},
    state::State,
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

/// The resource under a key.
pub(super) fn find<'a, R: Resource>(
    state: &'a State,
    key: &R::Key,
) -> Result<&'a Arc<R>, ServiceError> {
    let found = R::table(state).get(key);
    found.ok_or_else(|| ServiceError::NotFound(R::name_of(key)))
}

/// The resource under a key inside a parent.
pub(super) fn find_in<'a, R: Child>(
    state: &'a State,
    parent: &<R::Parent as Resource>::Key,
    key: &R::Key,
) -> Result<&'a Arc<R>, ServiceError> {
    let found = R::table(state).get(key);
    found
        .filter(|it| it.parent() == *parent)
        .ok_or_else(|| ServiceError::NotFound(R::name_in(parent, key)))
}

/// Refuses a change by a caller who has not seen the latest version; an empty etag is not compared.
pub(super) fn check_etag<R: Versioned>(given: &str, current: &R) -> Result<(), ServiceError> {
    if given.is_empty() || given == current.meta().etag.to_string() {
        Ok(())
    } else {
        Err(ServiceError::Aborted(current.resource()))
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

/// Reads the key of a resource that a field names, for example an `API policy`; one that does not exist is a fault.
pub(super) fn existing<R: Resource>(
    field: &str,
    (kind, key): (&str, &str),
    state: &State,
    faults: &mut Faults,
) -> Option<R::Key>
where
    R::Key: FromStr,
{
    let found = key.parse().ok();
    let found = found.filter(|key| R::table(state).contains_key(key));
    if found.is_none() {
        let rule = format!("names the {kind} `{key}`, which does not exist");
        faults.add(field, reason::NOT_FOUND, rule);
    }
    found
}

/// Notes a list with too many items.
pub(super) fn at_most<T>(field: &str, items: &[T], max: usize, faults: &mut Faults) {
    if items.len() > max {
        let rule = format!("must have at most {max} items");
        faults.add(field, reason::TOO_LONG, rule);
    }
}

/// Refuses to delete a policy that something names.
pub(super) fn refuse_used(
    policy: &impl Resource,
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
        resource: policy.resource(),
        description: format!(
            "the policy is used by {}{more}; take it from them first",
            users[..named].join(", ")
        ),
    })
}

/// How many of those that use a policy are named; descriptions travel in a header.
const USERS_NAMED: usize = 5;
