//! Who is in, who is told what, and that nothing is counted twice.

use std::{pin::pin, sync::Arc, time::Duration};

use http::HeaderMap;
use tidegate_proto::{
    claims::KeyType,
    discovery::v1::resource::Body,
    ids::{ApiId, SubscriptionKey},
    reason::Reason,
};
use tokio::time::timeout;

use super::Registry;
use crate::{
    admit::permit::Permit,
    auth::attributes::Attributes,
    auth::{Principal, Token, claims::Claims},
    message::Traffic,
    metrics::{ApiLabels, Metrics},
    quota::{limiter::Limiter, meter::Limited},
    session::{PendingSession, Session, id::SessionId},
    snapshot::{
        Edition, Snapshot,
        fixture::{
            Signer, api, application, application_key, id, key_manager, plan, snapshot,
            subscription,
        },
        model::{Api, EndpointKind},
    },
};

const ISSUER: &str = "https://issuer";

/// An API, somebody who is subscribed to it until this second, and the resources that say so.
pub(crate) fn world(expires_at: u64) -> (Vec<Body>, Principal, Arc<Api>) {
    let bodies = vec![
        Body::Api(api(1, "/echo", "1.0", &[("/*", "")])),
        Body::Application(application(1)),
        Body::ApplicationKey(application_key("client", 1)),
        Body::Subscription(subscription(1, 1, 1, "Gold")),
        Body::Plan(plan("Gold", 0)),
        Body::KeyManager(key_manager("resident", ISSUER, &[&Signer::new("k1")])),
    ];
    let snapshot = snapshot(bodies.clone());
    let (api, application) = (id(1).parse().unwrap(), id(1).parse().unwrap());
    let principal = Principal {
        application: snapshot.application(application).unwrap().clone(),
        subscription: snapshot.subscription(application, api).unwrap().clone(),
        plan: snapshot.plan("Gold").unwrap().clone(),
        key_type: KeyType::Production,
        endpoint: EndpointKind::Production,
        token: Arc::new(Token {
            issuer: Arc::from(ISSUER),
            client_id: Arc::from("client"),
            subject: None,
            id: None,
            fingerprint: 1,
            claims: Claims::default(),
            scopes: Vec::new(),
            expires_at,
        }),
    };
    (bodies, principal, snapshot.api(api).unwrap().clone())
}

/// A session that ends at this second.
pub(crate) fn session(ends_at: u64) -> Arc<Session> {
    let (_, principal, api) = world(ends_at);
    let limited = Limited::new(Edition::new(1), Limiter::default(), Vec::new());
    Arc::new(Session::new(pending(api, principal), limited, ends_at))
}

/// A session that a client at 192.0.2.7 wants to open.
pub(crate) fn pending(api: Arc<Api>, principal: Principal) -> PendingSession {
    PendingSession {
        id: SessionId::generate(1),
        api,
        topic: 0,
        principal,
        attributes: Attributes::take(
            &Snapshot::default(),
            "192.0.2.7".parse().unwrap(),
            &HeaderMap::new(),
            None,
        ),
    }
}

fn traffic(messages: u64, bytes: u64) -> Traffic {
    Traffic {
        messages,
        dropped: 0,
        bytes,
    }
}

#[test]
fn a_session_is_in_for_as_long_as_its_permit_is_held() {
    let registry = Registry::default();
    let permit = Permit::enter(&registry, session(10));
    assert_eq!(registry.len(), 1);
    drop(permit);
    assert!(registry.is_empty());
    registry.expire(20);
}

#[test]
fn the_sessions_of_each_subscription_are_counted_from_entry_to_end() {
    let registry = Registry::default();
    let subscription = session(10).principal().subscription.key();
    let permits = [10, 11].map(|at| Permit::enter(&registry, session(at)));
    assert_eq!(registry.by_subscription().get(&subscription), Some(&2));
    let [first, second] = permits;
    drop(first);
    assert_eq!(registry.by_subscription().get(&subscription), Some(&1));
    drop(second);
    assert!(registry.by_subscription().is_empty());
}

#[test]
fn the_sessions_of_a_subscription_are_found_and_no_others() {
    let registry = Registry::default();
    let mine = session(10);
    let key = mine.principal().subscription.key();
    let others = SubscriptionKey {
        api: ApiId::generate(),
        ..key
    };
    let _permits = [mine.clone(), session(10)].map(|it| Permit::enter(&registry, it));
    let found = |key| registry.of_subscription(key).flatten().count();
    assert_eq!((found(key), found(others)), (2, 0));
    let wanted = |wanted| registry.of_subscriptions(move |it| it == wanted).flatten();
    assert_eq!((wanted(key).count(), wanted(others).count()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_an_empty_registry_ends_when_the_last_session_leaves() {
    let registry = Registry::default();
    registry.emptied().await;
    let [first, last] = [10, 11].map(|at| Permit::enter(&registry, session(at)));
    let mut emptied = pin!(registry.emptied());
    assert!(timeout(Duration::ZERO, emptied.as_mut()).await.is_err());
    drop(first);
    assert!(timeout(Duration::ZERO, emptied.as_mut()).await.is_err());
    drop(last);
    assert!(timeout(Duration::ZERO, emptied.as_mut()).await.is_ok());
}

#[test]
fn sessions_expire_at_their_second_and_not_before() {
    let registry = Registry::default();
    let sessions = [10, 11, 11, 12].map(session);
    let _permits = sessions.clone().map(|s| Permit::enter(&registry, s));
    let told = || sessions.each_ref().map(|s| s.termination().is_some());
    registry.expire(9);
    assert_eq!(told(), [false; 4]);
    registry.expire(11);
    assert_eq!(told(), [true, true, true, false]);
    assert_eq!(sessions[0].termination(), Some(Reason::CredentialExpired));
}

#[test]
fn the_first_reason_counts() {
    let session = session(10);
    session.end(Reason::Draining);
    session.end(Reason::CredentialExpired);
    assert_eq!(session.termination(), Some(Reason::Draining));
}

#[test]
fn whoever_enters_while_the_node_drains_is_told_so() {
    let registry = Registry::default();
    let before = Permit::enter(&registry, session(10));
    registry.drain();
    let after = Permit::enter(&registry, session(10));
    assert_eq!(before.check(), Ok(()));
    assert_eq!(after.check(), Err(Reason::Draining));
}

#[test]
fn traffic_is_counted_once_however_often_and_in_whatever_order_it_is_looked_at() {
    let metrics = Metrics::new();
    let labels = ApiLabels::default();
    let session = session(10);
    session.count(traffic(9, 9), traffic(9, 9));
    session.opened(metrics.session_opened(&labels));
    session.count(traffic(2, 20), traffic(1, 10));
    // The session's own end overtakes a sweep that looked before it.
    session.count(traffic(5, 50), traffic(3, 30));
    session.count(traffic(4, 40), traffic(3, 30));
    session.count(traffic(5, 50), traffic(3, 30));
    let text = metrics.render();
    for line in [
        "tidegate_messages_total{api=\"\",version=\"\",direction=\"to_backend\"} 5",
        "tidegate_bytes_total{api=\"\",version=\"\",direction=\"to_backend\"} 50",
        "tidegate_messages_total{api=\"\",version=\"\",direction=\"to_client\"} 3",
        "tidegate_bytes_total{api=\"\",version=\"\",direction=\"to_client\"} 30",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}
