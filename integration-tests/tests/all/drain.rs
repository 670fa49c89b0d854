//! A node that drains: it's not ready, accepts no connections, closes its sessions with a close frame, and exits in
//! time.

use rustix::process::Signal;
use tidegate_integration_tests::{client::Client, wire::Frame};

use crate::setup::Gateway;

#[tokio::test]
async fn sigterm_closes_every_session_with_a_close_frame_and_ends_the_process() {
    let mut gateway = Gateway::echo(&["drain.seconds=2", "relay.close_seconds=1"]).await;
    let mut polite = Vec::new();
    for _ in 0..20 {
        polite.push(gateway.open().await);
    }
    let mut deaf = gateway.open().await;
    gateway.node.process.signal(Signal::TERM);
    for client in &mut polite {
        assert_eq!(client.until_close().await, Some(1001));
        client.send(&Frame::close(1001, "")).await;
        client.until_end().await;
    }
    // One that never answers is not waited for.
    assert_eq!(deaf.until_close().await, Some(1001));
    deaf.until_end().await;
    assert!(gateway.node.process.ended().await.success());
}

#[tokio::test]
async fn a_draining_node_is_not_ready_and_accepts_no_connection() {
    let mut gateway = Gateway::echo(&["drain.seconds=5", "relay.close_seconds=5"]).await;
    let mut open: Client = gateway.open().await;
    gateway.node.process.signal(Signal::TERM);
    assert_eq!(open.until_close().await, Some(1001));
    // The session has not answered yet, so the node is still there.
    if let Ok((status, _)) = gateway.node.get("/readyz").await {
        assert_eq!(status, 503);
    }
    if let Ok(answer) =
        tidegate_integration_tests::client::send_raw(gateway.address(), &gateway.upgrade().encode())
            .await
    {
        let refusal = answer.expect_err("a draining node took a session in");
        assert_eq!(
            (refusal.status(), refusal.reason().as_str()),
            (503, "draining")
        );
    }
    open.send(&Frame::close(1001, "")).await;
    open.until_end().await;
    assert!(gateway.node.process.ended().await.success());
}
