//! The join token and the authority are replaced while both planes run.

use std::fs;

use tidegate_integration_tests::{fake_node::FakeNode, stack::Stack, wait};
use tidegate_proto::discovery::v1::Hello;

#[tokio::test]
async fn a_node_reloads_a_replaced_join_token_and_authority_without_a_restart() {
    let mut stack = Stack::builder().start().await;
    let data = stack.control_plane.data_dir();
    until_connected(&stack, true).await;
    stack.control_plane.process.kill();
    until_connected(&stack, false).await;
    // A new authority and a new token are made at the next start, in the files that the node was told of.
    let authority = data.join("tls").join("ca.pem");
    let before = fs::read_to_string(&authority).unwrap();
    fs::remove_dir_all(data.join("tls")).unwrap();
    fs::remove_file(data.join("join-token")).unwrap();
    wait::until("the node says which file it cannot read", async || {
        let log = stack.gateway().process.log();
        log.contains("cannot read `control_plane.ca_cert`")
            .then_some(())
    })
    .await;
    stack.control_plane.restart().await;
    assert_ne!(fs::read_to_string(&authority).unwrap(), before);
    until_connected(&stack, true).await;
}

#[tokio::test]
async fn a_replaced_join_token_lets_nodes_in_without_a_restart_of_the_control_plane() {
    let stack = Stack::builder().data_planes(0).start().await;
    let file = &stack.control_plane.ready.join_token_file;
    let old = fs::read_to_string(file).unwrap();
    let join = async |token: &str| {
        let hello = Hello {
            node: "fake".to_owned(),
            environment: "default".to_owned(),
            ..Hello::default()
        };
        match FakeNode::join(&stack.control_plane, Some(token), hello).await {
            Ok(mut node) => node.batch().await.is_ok(),
            Err(_) => false,
        }
    };
    assert!(join(old.trim()).await);
    assert!(!join("the-next-token").await);
    // While nodes are told of the new one, both let them in.
    fs::write(file, format!("the-next-token\n{old}")).unwrap();
    wait::until("the new token lets a node in", async || {
        join("the-next-token").await.then_some(())
    })
    .await;
    assert!(join(old.trim()).await);
    fs::write(file, "the-next-token\n").unwrap();
    wait::until("the old token lets nobody in", async || {
        (!join(old.trim()).await).then_some(())
    })
    .await;
    assert!(join("the-next-token").await);
    // A file with nothing in it changes nothing: whoever has the token is let in, and nobody else.
    fs::write(file, "\n").unwrap();
    wait::until("the control plane says so", async || {
        assert!(!join("").await && !join("neither").await);
        let log = stack.control_plane.process.log();
        log.contains("is empty").then_some(())
    })
    .await;
    assert!(join("the-next-token").await);
}

async fn until_connected(stack: &Stack, is: bool) {
    wait::until(&format!("the node's stream is open: {is}"), async || {
        (stack.gateway().status().await.control_plane_connected == is).then_some(())
    })
    .await;
}
