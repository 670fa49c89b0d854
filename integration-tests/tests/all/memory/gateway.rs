//! A gateway's listeners under floods.

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use tidegate_integration_tests::{
    memory::Memory,
    wire::{Frame, Mask, PING},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    time::{Instant, timeout_at},
};

use crate::setup::Gateway;

/// By how many MiB the gateway may grow under one flood.
const BOUND: u64 = 40;
const CONNECTIONS: usize = 400;
const TIME: Duration = Duration::from_secs(3);

async fn stands(gateway: &Gateway, memory: &Memory, flood: &str) {
    gateway.still_echoes().await;
    assert_eq!(gateway.node.get("/healthz").await.unwrap().0, 200);
    let grown = memory.grown();
    println!("{flood}: grown by {grown} MiB");
    assert!(grown <= BOUND, "{flood}: the gateway grew by {grown} MiB");
}

/// Connections on each of which these bytes are sent, as far as they are taken; they stay open.
async fn sending(address: SocketAddr, count: usize, bytes: &[u8], times: usize) -> Vec<TcpStream> {
    let until = Instant::now() + TIME;
    let one = async || {
        let mut stream = TcpStream::connect(address).await.ok()?;
        for _ in 0..times {
            match timeout_at(until, stream.write_all(bytes)).await {
                Ok(Ok(())) => {}
                _ => break,
            }
        }
        Some(stream)
    };
    let opened = join_all((0..count).map(|_| one())).await;
    opened.into_iter().flatten().collect()
}

#[tokio::test]
async fn unfinished_heads_and_silent_handshakes_take_a_bounded_share() {
    let gateway = Gateway::echo(&[]).await;
    gateway.still_echoes().await;
    let memory = Memory::of(gateway.node.ready.pid);
    let head = format!("GET /echo HTTP/1.1\r\nhost: x\r\nx: {}", "x".repeat(15_000));
    let open = sending(gateway.address(), CONNECTIONS, head.as_bytes(), 1).await;
    stands(&gateway, &memory, "unfinished heads").await;
    drop(open);
    let wss = gateway.node.ready.wss.expect("the listener was asked for");
    let silent = sending(wss, CONNECTIONS, b"", 1).await;
    stands(&gateway, &memory, "silent TLS handshakes").await;
    drop(silent);
}

#[tokio::test]
async fn unfinished_client_hellos_take_a_bounded_share() {
    let gateway = Gateway::echo(&[]).await;
    gateway.still_echoes().await;
    let memory = Memory::of(gateway.node.ready.pid);
    let wss = gateway.node.ready.wss.expect("the listener was asked for");
    // Of 64 KiB, of which the last bytes never come.
    let mut hello = vec![0x16, 3, 1, 0x40, 0, 1, 0, 0xff, 0xf0];
    hello.resize(5 + 0x4000, 0);
    for _ in 0..2 {
        hello.extend([0x16, 3, 1, 0x40, 0]);
        hello.resize(hello.len() + 0x4000, 0);
    }
    let half = sending(wss, CONNECTIONS, &hello, 1).await;
    stands(&gateway, &memory, "half a ClientHello").await;
    drop(half);
}

#[tokio::test]
async fn pings_in_sessions_that_read_nothing_take_a_bounded_share() {
    let gateway = Gateway::echo(&[]).await;
    gateway.still_echoes().await;
    let memory = Memory::of(gateway.node.ready.pid);
    let pings = Frame::new(PING, [b'p'; 125])
        .encode(Mask::Fixed)
        .repeat(100);
    let until = Instant::now() + TIME;
    let one = async || {
        let mut client = gateway.open().await;
        let mut times = 0;
        while let Ok(Ok(())) = timeout_at(until, client.stream.write_all(&pings)).await {
            times += 100;
        }
        (client, times)
    };
    let open = join_all((0..32).map(|_| one())).await;
    let times: usize = open.iter().map(|(_, times)| times).sum();
    stands(&gateway, &memory, &format!("{times} pings")).await;
    drop(open);
}

#[tokio::test]
async fn the_admin_listener_keeps_a_bounded_share_of_whatever_is_sent_to_it() {
    let gateway = Gateway::echo(&[]).await;
    gateway.still_echoes().await;
    let memory = Memory::of(gateway.node.ready.pid);
    let admin = gateway.node.ready.admin;
    let head = format!(
        "GET /metrics HTTP/1.1\r\nhost: x\r\nx: {}",
        "x".repeat(300_000)
    );
    let heads = sending(admin, CONNECTIONS, head.as_bytes(), 1).await;
    stands(
        &gateway,
        &memory,
        "unfinished heads at the operators' listener",
    )
    .await;
    drop(heads);
    let body = format!(
        "POST /drain HTTP/1.1\r\nhost: x\r\norigin: x\r\ncontent-length: 99999999\r\n\r\n{}",
        "x".repeat(100_000)
    );
    let bodies = sending(admin, CONNECTIONS, body.as_bytes(), 1).await;
    stands(
        &gateway,
        &memory,
        "unfinished bodies at the operators' listener",
    )
    .await;
    drop(bodies);
    let unread = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    let unread = sending(admin, CONNECTIONS, &unread, 20).await;
    stands(
        &gateway,
        &memory,
        "answers of the operators' listener that nobody reads",
    )
    .await;
    drop(unread);
}
