//! Sessions without messages: half-open peers are detected, idle sessions are closed, and no others.

use tidegate_integration_tests::{
    backend::{Backend, Peer},
    wire::{Frame, PING, PONG, TEXT},
};
use tokio::sync::mpsc;

use crate::setup::Gateway;

#[tokio::test]
async fn a_session_without_messages_is_idle_however_much_it_pings() {
    let gateway = Gateway::echo(&["relay.idle_seconds=1"]).await;
    let mut client = gateway.open().await;
    client.echo("hello").await;
    let mut pings = 0;
    let close = loop {
        client.send(&Frame::new(PING, "still here")).await;
        match client.next().await {
            Some(frame) if frame.opcode == PONG => pings += 1,
            other => break other,
        }
    };
    assert!(pings > 0);
    assert_eq!(
        close.as_ref().and_then(Frame::close_code),
        Some(1001),
        "{close:?}"
    );
    client.until_end().await;
    gateway.node.until_sessions(0).await;
    let ended = gateway
        .node
        .metric("tidegate_sessions_ended_total", &["idle_timeout"])
        .await;
    assert!(ended > 0.5);
}

#[tokio::test]
async fn a_peer_that_answers_the_gateway_s_pings_stays_and_one_that_does_not_goes() {
    let gateway = Gateway::echo(&["relay.ping_seconds=1", "relay.pong_seconds=1"]).await;
    let mut alive = gateway.open().await;
    let mut deaf = gateway.open().await;
    for _ in 0..2 {
        let ping = alive.next().await.expect("the gateway asks");
        assert_eq!(ping.opcode, PING);
        alive.send(&Frame::new(PONG, ping.payload)).await;
    }
    assert_eq!(deaf.until_close().await, Some(1001));
    deaf.until_end().await;
    alive.echo("still here").await;
    gateway.node.until_sessions(1).await;
    let ended = gateway
        .node
        .metric("tidegate_sessions_ended_total", &["client_unresponsive"])
        .await;
    assert!(ended > 0.5);
}

#[tokio::test]
async fn a_backend_that_answers_no_ping_is_given_up_and_pongs_to_the_gateway_reach_nobody_else() {
    let (told, mut heard) = mpsc::channel(16);
    let backend = Backend::scripted(move |mut peer: Peer| {
        let told = told.clone();
        async move {
            // Answers one ping, then no more.
            let mut answered = false;
            while let Some(frame) = peer.next().await {
                if frame.opcode == PING && !answered {
                    answered = true;
                    peer.send(&Frame::new(PONG, frame.payload.clone())).await;
                    peer.send(&Frame::text("after the pong")).await;
                }
                if told.send(frame.opcode).await.is_err() {
                    return;
                }
            }
        }
    });
    let gateway = Gateway::of(
        backend.await,
        &["relay.ping_seconds=1", "relay.pong_seconds=1"],
    )
    .await;
    let mut client = gateway.open().await;
    let mut seen = Vec::new();
    let code = loop {
        let frame = client.next().await.expect("a close comes first");
        if frame.opcode == PING {
            client.send(&Frame::new(PONG, frame.payload)).await;
        } else if let Some(code) = frame.close_code() {
            break code;
        } else {
            seen.push(frame.opcode);
        }
    };
    assert_eq!((seen, code), (vec![TEXT], 1014));
    let mut opcodes = Vec::new();
    while let Ok(opcode) = heard.try_recv() {
        opcodes.push(opcode);
    }
    assert!(
        !opcodes.contains(&PONG),
        "the client's answers are the gateway's: {opcodes:?}"
    );
}
