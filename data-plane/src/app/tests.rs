//! A node as a whole: what operators see, and how it drains.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use crate::testing::{Node, echo_backend, read_close, soon, until};

async fn node(sets: &[&str]) -> Node {
    Node::start(&format!("ws://{}", echo_backend().await), sets).await
}

#[tokio::test]
async fn a_node_that_is_told_to_drain_is_not_ready_takes_nobody_in_and_closes_its_sessions() {
    let mut node = node(&["drain.seconds=5"]).await;
    let (mut first, _) = node.open().await;
    let (mut second, _) = node.open().await;
    assert_eq!(node.operators("POST /drain").await.status, 202);
    for client in [&mut first, &mut second] {
        let (code, reason) = read_close(client).await;
        assert_eq!(code, 1001);
        assert!(reason.contains("shutting down"), "{reason}");
    }
    assert_eq!(node.operators("GET /readyz").await.status, 503);
    let refused = TcpStream::connect(node.addresses.ws.unwrap()).await;
    assert!(refused.is_err(), "the door is closed");
    drop((first, second));
    soon(&mut node.running).await.unwrap().unwrap();
    until("both lines", || node.log.access().len() == 2).await;
    assert!(
        node.log
            .access()
            .iter()
            .all(|line| line["reason"] == "draining")
    );
}

#[tokio::test]
async fn a_page_in_a_browser_on_the_machine_cannot_tell_the_node_to_drain() {
    let node = node(&[]).await;
    let page = "Origin: https://elsewhere.example\r\n";
    assert_eq!(node.operators_with("POST /drain", page).await.status, 403);
    assert_eq!(node.operators("GET /readyz").await.status, 200);
}

#[tokio::test]
async fn a_drain_does_not_wait_for_clients_that_do_not_answer() {
    let mut node = node(&["drain.seconds=0.2", "relay.close_seconds=60"]).await;
    let (_client, _) = node.open().await;
    node.draining.cancel();
    soon(&mut node.running).await.unwrap().unwrap();
}

#[tokio::test]
async fn operators_see_what_the_node_runs_and_holds() {
    let node = node(&["node=gw-1"]).await;
    let _client = node.open().await;
    let status = node.operators("GET /status").await;
    let status: serde_json::Value = serde_json::from_str(&status.body).unwrap();
    for (field, value) in [
        ("node", "gw-1".into()),
        ("snapshot_number", 1.into()),
        ("sessions", 1.into()),
        ("connections", 1.into()),
        ("control_plane_connected", false.into()),
        ("ready", serde_json::Value::Bool(true)),
    ] {
        assert_eq!(status[field], value, "{field} of {status}");
    }
    let metrics = node.operators("GET /metrics").await;
    assert!(
        metrics
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    for line in [
        "tidegate_connections_accepted_total{listener=\"ws\"} 1",
        "tidegate_sessions_open{api=\"api-1\",version=\"1.0\"} 1",
        "tidegate_handshake_duration_seconds_count{phase=\"total\"} 1",
        "tidegate_snapshot_number 1",
        "tidegate_control_plane_connected 0",
    ] {
        assert!(metrics.body.contains(line), "{line} in {}", metrics.body);
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = taken.local_addr().unwrap();
    for door in ["listen.ws", "listen.wss", "listen.admin"] {
        let error = Node::try_build(&[&format!("{door}={address}")])
            .await
            .unwrap_err();
        assert!(
            format!("{error:#}").contains(&address.to_string()),
            "{error:#}"
        );
    }
}
