//! Who is kept out by a deny policy, whatever their credential and subscription say.
//!
//! Judged at each handshake and, when the snapshot moves, for each open session. The cost does not depend on how many
//! policies there are: each target is one lookup, and an address one for each length of range in use.

use tidegate_proto::reason::Reason;

use crate::{
    auth::Principal,
    auth::attributes::Attributes,
    snapshot::{
        Snapshot,
        model::{
            Api,
            policy::{DenyPolicy, Target},
        },
    },
};

/// Judges somebody who wants an API at `now` (seconds of Unix time).
///
/// # Errors
/// `DeniedByPolicy`, while a policy that is in force is about the API, the application, the user or the address.
pub fn judge(
    snapshot: &Snapshot,
    api: &Api,
    principal: &Principal,
    attributes: &Attributes,
    now: u64,
) -> Result<(), Reason> {
    if snapshot.denies_nobody() {
        return Ok(());
    }
    let in_force = |policy: &DenyPolicy| policy.is_in_force(now);
    let targets = [
        Target::Api(api.id),
        Target::Application(principal.application.id),
        Target::User(principal.user().clone()),
    ];
    let denied = targets
        .iter()
        .flat_map(|target| snapshot.denials(target))
        .chain(snapshot.denials_of_address(attributes.address))
        .find(|policy| in_force(policy));
    match denied {
        Some(policy) => {
            tracing::debug!(policy = %policy.id, "a deny policy keeps somebody out");
            Err(Reason::DeniedByPolicy)
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use tidegate_proto::discovery::v1::{self, deny_policy::Target as Wire, resource::Body};

    use super::judge;
    use crate::{
        auth::attributes::Attributes,
        session::registry::tests::world,
        snapshot::fixture::{deny_policy, id, snapshot},
    };

    /// Whether somebody at 192.0.2.7 is denied at second 100.
    fn denied(policies: Vec<v1::DenyPolicy>) -> bool {
        let (mut bodies, principal, api) = world(1000);
        bodies.extend(policies.into_iter().map(Body::DenyPolicy));
        let snapshot = snapshot(bodies);
        let address = "192.0.2.7".parse().unwrap();
        let attributes = Attributes::take(&snapshot, address, &HeaderMap::new(), None);
        judge(&snapshot, &api, &principal, &attributes, 100).is_err()
    }

    fn address(n: u32, range: &str, invert: bool) -> v1::DenyPolicy {
        v1::DenyPolicy {
            invert,
            ..deny_policy(n, Wire::Address(range.to_owned()))
        }
    }

    #[test]
    fn whom_a_policy_names_is_kept_out_and_nobody_else() {
        for (target, expected) in [
            (Wire::Api(id(1)), true),
            (Wire::Api(id(2)), false),
            (Wire::Application(id(1)), true),
            (Wire::Application(id(2)), false),
            (Wire::User("somebody".to_owned()), true),
            (Wire::User("client".to_owned()), false),
            (Wire::Address("192.0.2.7".to_owned()), true),
            (Wire::Address("192.0.2.8".to_owned()), false),
            (Wire::Address("192.0.2.9/24".to_owned()), true),
            (Wire::Address("0.0.0.0/0".to_owned()), true),
            (Wire::Address("::/0".to_owned()), false),
        ] {
            assert_eq!(
                denied(vec![deny_policy(1, target.clone())]),
                expected,
                "{target:?}"
            );
        }
    }

    #[test]
    fn an_inverted_policy_keeps_everybody_else_out() {
        assert!(!denied(vec![address(1, "192.0.2.0/24", true)]));
        assert!(denied(vec![address(1, "198.51.100.0/24", true)]));
        assert!(denied(vec![address(1, "2001:db8::/32", true)]));
        assert!(denied(vec![
            address(1, "192.0.2.0/24", true),
            address(2, "198.51.100.0/24", true),
        ]));
    }

    #[test]
    fn a_policy_that_is_over_keeps_nobody_out_and_another_one_still_may() {
        let until = |n, expires_at| v1::DenyPolicy {
            expires_at,
            ..deny_policy(n, Wire::Api(id(1)))
        };
        assert!(!denied(vec![until(1, 100)]));
        assert!(denied(vec![until(1, 101)]));
        assert!(denied(vec![until(1, 100), until(2, 0)]));
        assert!(denied(vec![until(2, 100), until(1, 0)]));
    }
}
