//! The backend behind the proxies: echoes frames of one size, or pushes frames, as the handshake's query says.
//!
//! It answers whole frames only, from a buffer that is filled once. `push=SIZExNxT` makes it send N frames of SIZE
//! bytes in one write every T microseconds until the connection closes; the first eight bytes of a payload are the time
//! when it was sent. Used by every benchmark; runs on the load generator's core.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::{JoinSet, spawn_local},
    time::{MissedTickBehavior, interval},
};

use super::wire::{declared, frame, read_head};

/// The accept key for the key that the load generator always sends (RFC 6455, 1.3).
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Starts the backend on the current local task set and returns its address. Times in payloads count from `epoch`.
pub(super) async fn start(epoch: Instant) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    spawn_local(async move {
        let mut sessions = JoinSet::new();
        while let Ok((io, _)) = listener.accept().await {
            while sessions.try_join_next().is_some() {}
            sessions.spawn_local(serve(io, epoch));
        }
    });
    Ok(address)
}

/// The first byte of a close frame.
const CLOSE: u8 = 0x88;

async fn serve(mut io: TcpStream, epoch: Instant) -> anyhow::Result<()> {
    io.set_nodelay(true)?;
    let (head, _) = read_head(&mut io).await?;
    // Some proxies send their own key; only the load generator's answer is prebuilt.
    let key = header(&head, "sec-websocket-key").context("no key")?;
    let accept = if key == "dGhlIHNhbXBsZSBub25jZQ==" {
        ACCEPT.to_owned()
    } else {
        tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes())
    };
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    io.write_all(answer.as_bytes()).await?;
    match asked(&head) {
        Some((size, batch, every)) => push(io, size, batch, every, epoch).await,
        None => echo(io).await,
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// What the query wants pushed: size, number and interval.
fn asked(head: &str) -> Option<(usize, usize, Duration)> {
    let (_, rest) = head.lines().next()?.split_once("push=")?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != 'x')
        .unwrap_or(rest.len());
    let mut numbers = rest[..end].split('x').map(str::parse::<usize>);
    let mut number = || numbers.next()?.ok();
    Some((
        number()?,
        number()?,
        Duration::from_micros(number()? as u64),
    ))
}

async fn echo(mut io: TcpStream) -> anyhow::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    let mut have = io.read(&mut buffer).await?;
    // All frames are like the first one, so that one is read whole.
    let (asked, reply) = loop {
        if let Some(both) = answer(&buffer[..have]) {
            break both;
        }
        match io.read(&mut buffer[have..]).await? {
            0 => return Ok(()),
            n => have += n,
        }
    };
    let mut replies = Vec::new();
    loop {
        let whole = have / asked;
        have %= asked;
        while replies.len() < whole * reply.len() {
            replies.extend_from_slice(&reply);
        }
        io.write_all(&replies[..whole * reply.len()]).await?;
        let n = io.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        if have == 0 && buffer[0] == CLOSE {
            io.write_all(&[CLOSE, 0]).await?;
            return Ok(());
        }
        have += n;
    }
}

/// The length of the frame at the beginning of `bytes`, and the frame that answers it; `None` while it's incomplete.
fn answer(bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
    let size = declared(bytes)?;
    let (asked, mut reply) = (frame(size, true).len(), frame(size, false));
    let (key, payload) = bytes.get(asked - size - 4..asked)?.split_at(4);
    reply.truncate(reply.len() - size);
    reply[0] = bytes[0];
    reply.extend(
        payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    Some((asked, reply))
}

async fn push(
    mut io: TcpStream,
    size: usize,
    batch: usize,
    every: Duration,
    epoch: Instant,
) -> anyhow::Result<()> {
    let one = frame(size, false);
    let mut frames = one.repeat(batch);
    let payload = one.len() - size;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = epoch.elapsed().as_nanos() as u64;
        for frame in frames.chunks_exact_mut(one.len()) {
            frame[payload..payload + 8].copy_from_slice(&now.to_be_bytes());
        }
        io.write_all(&frames).await?;
    }
}
