//! The relay with nothing around it: passes one handshake on unread, then relays. For profiles of the relay alone;
//! `cargo xtask bench relay --bare` measures it. Refuses everything that the data plane is for.
//!
//! `cargo run --release --example bare_relay -- LISTEN BACKEND`

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use mimalloc::MiMalloc;
use tidegate_data_plane::message::OpenGate;
use tidegate_data_plane::relay::{Rules, run};
use tidegate_data_plane::session::live::Live;
use tidegate_data_plane::socket::Leg;
use tidegate_kit::tasks::Tasks;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const RULES: Rules = Rules {
    deflate: false,
    idle: Some(Duration::from_secs(600)),
    ping: Some(Duration::from_secs(30)),
    pong: Duration::from_secs(20),
    close: Duration::from_secs(5),
};

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let listen = args.next().context("give an address to listen on")?;
    let backend = args.next().context("give a backend's address")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    // Accepting is a task like any other: the main thread, which blocks here, is no worker.
    runtime.block_on(async {
        let tasks = Tasks::current();
        let serving = tasks.clone();
        tasks
            .spawn_bare(async move { serve(&listen, &backend, &serving).await })
            .await?
    })
}

async fn serve(listen: &str, backend: &str, tasks: &Tasks) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (client, _) = listener.accept().await?;
        let backend = backend.to_owned();
        tasks.spawn_bare(async move {
            let joined = Box::pin(join(client, &backend)).await;
            if let Ok((client, backend)) = joined {
                let live = Arc::new(Live::default());
                run(client, backend, RULES, OpenGate, live).await;
            }
        });
    }
}

/// Passes the handshake on, both ways.
async fn join(
    mut client: TcpStream,
    backend: &str,
) -> anyhow::Result<(Leg<TcpStream>, Leg<TcpStream>)> {
    client.set_nodelay(true)?;
    let (request, client_ahead) = head(&mut client).await?;
    let mut backend = TcpStream::connect(backend).await?;
    backend.set_nodelay(true)?;
    backend.write_all(&request).await?;
    let (answer, backend_ahead) = head(&mut backend).await?;
    client.write_all(&answer).await?;
    let client = Leg {
        io: client,
        read_ahead: client_ahead,
    };
    let backend = Leg {
        io: backend,
        read_ahead: backend_ahead,
    };
    Ok((client, backend))
}

/// Reads an HTTP head; it, and what followed it.
async fn head(io: &mut TcpStream) -> anyhow::Result<(Vec<u8>, Bytes)> {
    let mut bytes = Vec::new();
    loop {
        anyhow::ensure!(io.read_buf(&mut bytes).await? > 0, "no head");
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(at + 4);
            return Ok((bytes, rest.into()));
        }
    }
}
