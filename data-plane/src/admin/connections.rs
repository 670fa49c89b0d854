//! The connections of the operators' listener: HTTP/1.1, few at a time, each for a bounded time. Whoever can reach the
//! listener can make the process keep a small buffer for each of them, and can keep nobody else out for long.

use std::{collections::VecDeque, io, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tidegate_kit::backoff::Backoff;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Connections at once. One more ends the oldest, so that a probe of health gets in however many are stuck.
const CONNECTIONS: usize = 64;
/// Bytes of a request's head, and of what is read of a body before it is looked at.
const HEAD_BYTES: usize = 16 * 1024;
/// How long a head may take, and a connection on which nothing is asked may stay.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long a connection may stay; it is told to go, and cut when it does not.
const LIFE: Duration = Duration::from_secs(300);
/// How long the last answer of a connection may take.
const LAST_ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Serves until `stopping`, then lets open answers end.
///
/// # Errors
/// When the listening socket breaks.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    stopping: CancellationToken,
) -> io::Result<()> {
    let mut tasks = JoinSet::new();
    let mut open: VecDeque<CancellationToken> = VecDeque::new();
    let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.cancelled() => break,
            Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(cause) if cause.kind() == io::ErrorKind::InvalidInput => return Err(cause),
            Err(cause) => {
                let wait = backoff.wait();
                tracing::warn!(%cause, ?wait, "cannot accept connections on the admin listener for now");
                sleep(wait).await;
                continue;
            }
        };
        backoff.reset();
        open.retain(|connection| !connection.is_cancelled());
        if open.len() >= CONNECTIONS {
            open.pop_front().inspect(CancellationToken::cancel);
        }
        let cut = CancellationToken::new();
        open.push_back(cut.clone());
        tasks.spawn(run(stream, router.clone(), stopping.clone(), cut));
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

/// Serves one connection until it ends, it is old, `stopping`, or `cut`, which is cancelled when it has ended as well.
async fn run(
    stream: TcpStream,
    router: Router,
    stopping: CancellationToken,
    cut: CancellationToken,
) {
    let ended = cut.clone().drop_guard();
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        () = cut.cancelled() => {}
        _ = connection.as_mut() => {}
        () = leaving(&stopping) => {
            connection.as_mut().graceful_shutdown();
            drop(timeout(LAST_ANSWER_WITHIN, connection).await);
        }
    }
    drop(ended);
}

/// Ends when a connection must go.
async fn leaving(stopping: &CancellationToken) {
    drop(timeout(LIFE, stopping.cancelled()).await);
}
