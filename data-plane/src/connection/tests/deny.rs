//! Deny policies: who is kept out, whose open sessions end, and who notices nothing.

use tidegate_proto::discovery::v1::{self, deny_policy::Target, resource::Body};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    snapshot::fixture::{deny_policy, id},
    testing::{Node, echo_backend, masked, read_close, soon},
};

#[tokio::test]
async fn a_new_deny_policy_ends_open_sessions_and_refuses_handshakes_until_it_is_gone() {
    for target in [
        Target::Api(id(1)),
        Target::Application(id(1)),
        Target::User("somebody".to_owned()),
        Target::Address("127.0.0.0/8".to_owned()),
    ] {
        let mut node = Node::before(echo_backend().await).await;
        let (mut client, _) = node.open().await;
        node.add(Body::DenyPolicy(deny_policy(1, target.clone())));
        let (code, text) = read_close(&mut client).await;
        assert_eq!(
            (code, text.as_str()),
            (4006, "a deny policy blocks this caller"),
            "{target:?}"
        );
        let answer = node.refusal().await;
        assert_eq!(answer.status, 403);
        let problem = answer.problem();
        assert_eq!(problem["reason"], "denied_by_policy");
        assert_eq!(problem["code"], 900_805);
        node.reconfigure(|body| !matches!(body, Body::DenyPolicy(_)));
        node.open().await;
    }
}

#[tokio::test]
async fn others_notice_nothing_of_a_deny_policy() {
    let mut node = Node::before(echo_backend().await).await;
    let now = node.gateway.clock.now_seconds();
    let (mut client, _) = node.open().await;
    let over = v1::DenyPolicy {
        expires_at: now - 1,
        ..deny_policy(1, Target::Api(id(1)))
    };
    let inverted = v1::DenyPolicy {
        invert: true,
        ..deny_policy(2, Target::Address("127.0.0.1".to_owned()))
    };
    for policy in [
        over,
        inverted,
        deny_policy(3, Target::User("client".to_owned())),
        deny_policy(4, Target::Address("192.0.2.0/24".to_owned())),
    ] {
        node.add(Body::DenyPolicy(policy));
        client.write_all(&masked(0x81, b"here")).await.unwrap();
        let mut echo = [0; 6];
        soon(client.read_exact(&mut echo)).await.unwrap();
        assert_eq!(&echo[2..], b"here");
    }
    node.open().await;
}

#[tokio::test]
async fn who_is_let_in_by_a_configuration_is_not_ended_by_the_one_before_it() {
    let mut node = Node::before(echo_backend().await).await;
    for _ in 0..100 {
        node.add(Body::DenyPolicy(deny_policy(1, Target::Api(id(1)))));
        tokio::task::yield_now().await;
        node.reconfigure(|body| !matches!(body, Body::DenyPolicy(_)));
        assert_eq!(node.refusal_or_none().await, None);
    }
}
