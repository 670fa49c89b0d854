//! Values that every service of the admin API writes and reads alike: instants, sizes, masks, roles, the one field of a
//! request that names a resource.

use prost_types::FieldMask;
use tidegate_proto::admin::v1;
use tonic::Status;

use super::status;
use crate::domain::{
    invalid::{Faults, Rule, reason},
    resource::Resource,
    time::Timestamp,
    user::{Role, Roles},
};

/// An instant as protobuf has it.
pub(super) fn time(at: Timestamp) -> Option<prost_types::Timestamp> {
    let millis = at.millis();
    Some(prost_types::Timestamp {
        seconds: i64::try_from(millis / 1000).ok()?,
        nanos: i32::try_from(millis % 1000 * 1_000_000).ok()?,
    })
}

/// Reads an instant.
pub(super) fn read_time(time: &prost_types::Timestamp) -> Result<Timestamp, Rule> {
    let millis = u64::try_from(time.seconds)
        .ok()
        .filter(|_| (0..1_000_000_000).contains(&time.nanos))
        .filter(|&seconds| seconds <= LAST_SECOND)
        .map(|seconds| seconds * 1000 + u64::from(time.nanos.cast_unsigned()) / 1_000_000);
    millis.map(Timestamp::from_millis).ok_or_else(|| {
        let rule = "must be an instant between the years 1970 and 9999";
        Rule::new(reason::OUT_OF_RANGE, rule)
    })
}

/// 9999-12-31T23:59:59Z, the last that protobuf allows.
const LAST_SECOND: u64 = 253_402_300_799;

/// A number of things as lists tell it.
pub(super) fn size(n_items: usize) -> i32 {
    i32::try_from(n_items).unwrap_or(i32::MAX)
}

/// The paths of a mask; none when it is left out.
pub(super) fn mask(mask: Option<FieldMask>) -> Vec<String> {
    mask.map(|mask| mask.paths).unwrap_or_default()
}

/// A reference without its collection: `plans/Gold` is `Gold`. What lacks the collection is left as it is.
pub(super) fn bare<R: Resource>(mut reference: String) -> String {
    let rest = reference.strip_prefix(R::COLLECTION);
    if let Some(rest) = rest.and_then(|rest| rest.strip_prefix('/')) {
        reference = rest.to_owned();
    }
    reference
}

/// A reference to a resource; empty for none.
pub(super) fn reference<R: Resource>(key: Option<&R::Key>) -> String {
    key.map_or_else(String::new, R::name_of)
}

/// Takes the only field of a request that is read here.
pub(super) fn one<T>(field: &str, checked: Result<T, Rule>) -> Result<T, Status> {
    let mut faults = Faults::new();
    let taken = faults.take(field, checked);
    status::check(faults)?;
    Ok(taken.expect("what is not taken is a fault"))
}

/// Roles as protobuf has them.
pub(super) fn roles(roles: Roles) -> Vec<i32> {
    roles
        .iter()
        .map(|role| match role {
            Role::Admin => v1::Role::Admin,
            Role::Creator => v1::Role::Creator,
            Role::Publisher => v1::Role::Publisher,
            Role::Subscriber => v1::Role::Subscriber,
        } as i32)
        .collect()
}

/// Reads roles; what is none of them is a fault.
pub(super) fn read_roles(numbers: &[i32], field: &str, faults: &mut Faults) -> Roles {
    let mut roles = Roles::NONE;
    for (index, &number) in numbers.iter().enumerate() {
        let role = match v1::Role::try_from(number) {
            Ok(v1::Role::Admin) => Role::Admin,
            Ok(v1::Role::Creator) => Role::Creator,
            Ok(v1::Role::Publisher) => Role::Publisher,
            Ok(v1::Role::Subscriber) => Role::Subscriber,
            Ok(v1::Role::Unspecified) | Err(_) => {
                faults.add(
                    format!("{field}[{index}]"),
                    reason::MALFORMED,
                    "must be one of ROLE_ADMIN, ROLE_CREATOR, ROLE_PUBLISHER, ROLE_SUBSCRIBER",
                );
                continue;
            }
        };
        roles = roles.with(role);
    }
    roles
}
