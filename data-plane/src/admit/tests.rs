//! Who is let in although, or because, the world moved meanwhile.

use std::time::Duration;

use tidegate_kit::tasks::Tasks;
use tidegate_proto::{discovery::v1::resource::Body, reason::Reason};

use super::{AdmissionContext, admit};
use crate::{
    admit::permit::Permit,
    auth::LEEWAY,
    handshake::refusal::Refusal,
    quota::Quotas,
    session::registry::{
        Registry,
        tests::{pending, world},
    },
    snapshot::{Snapshots, fixture::snapshot},
};

const NOW: u64 = 1000;

/// Lets an applicant in whose token expires at this second, while the configuration changes under it.
async fn admitted(
    registry: &Registry,
    expires_at: u64,
    keep: fn(&Body) -> bool,
) -> Result<Permit, Refusal> {
    let (mut bodies, principal, api) = world(expires_at);
    let snapshots = Snapshots::default();
    snapshots.swap(snapshot(bodies.clone()));
    let judged_by = snapshots.load();
    let before = bodies.len();
    bodies.retain(keep);
    if bodies.len() < before {
        snapshots.swap(snapshot(bodies));
    }
    let context = AdmissionContext {
        registry,
        snapshots: &snapshots,
        quotas: &Quotas::in_process(&Tasks::current()),
        timeout: Duration::from_secs(1),
    };
    admit(&context, &judged_by, pending(api, principal), NOW).await
}

#[tokio::test]
async fn an_applicant_whose_right_went_while_it_was_judged_is_refused() {
    let registry = Registry::default();
    let refused = admitted(&registry, NOW + 60, |body| {
        !matches!(body, Body::Subscription(_))
    })
    .await;
    assert_eq!(refused.unwrap_err().reason, Reason::SubscriptionMissing);
    assert!(registry.is_empty());
    assert!(admitted(&registry, NOW + 60, |_| true).await.is_ok());
}

#[tokio::test]
async fn a_session_ends_when_its_token_does_or_a_little_later_where_it_came_a_little_late() {
    for (expires_at, ends_at) in [(NOW + 60, NOW + 60), (NOW, NOW + LEEWAY.as_secs())] {
        let registry = Registry::default();
        let permit = admitted(&registry, expires_at, |_| true).await.unwrap();
        registry.expire(ends_at - 1);
        assert_eq!(permit.check(), Ok(()));
        registry.expire(ends_at);
        assert_eq!(permit.check(), Err(Reason::CredentialExpired));
    }
}

#[tokio::test]
async fn nobody_is_let_in_while_the_node_drains() {
    let registry = Registry::default();
    registry.drain();
    let refused = admitted(&registry, NOW + 60, |_| true).await;
    assert_eq!(refused.unwrap_err().reason, Reason::Draining);
}
