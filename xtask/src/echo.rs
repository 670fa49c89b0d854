//! The demo backend: echoes every message. For `up`, `docker-compose.yml` and anybody who tries a gateway; tests have
//! scripted backends of their own.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_tungstenite::tungstenite::{
    Error, Message, error::ProtocolError, protocol::WebSocketConfig,
};

/// More than any test or demo sends; one message shouldn't fill the memory of a demo backend.
const MESSAGE_MAX: usize = 64 << 20;

/// The arguments of `cargo xtask echo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen; port 0 takes a free one. The bound address is printed on stdout.
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 9001)))]
    pub listen: SocketAddr,
    /// Where to write the URL, as JSON, once it listens.
    #[arg(long)]
    pub ready_file: Option<PathBuf>,
}

/// Serves until it is stopped.
///
/// # Errors
/// When the address cannot be bound.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(args: &Args) -> anyhow::Result<()> {
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let url = format!("ws://{}", listener.local_addr()?);
    println!("{url}");
    if let Some(path) = &args.ready_file {
        // Written beside it and renamed, so that nobody reads half a file.
        let beside = path.with_extension("writing");
        fs::write(&beside, format!("{}\n", serde_json::Value::from(url)))
            .and_then(|()| fs::rename(&beside, path))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut sessions = JoinSet::new();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = tokio::signal::ctrl_c() => return Ok(()),
            Some(_) = sessions.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    sessions.spawn(async move {
                        match echo(stream).await {
                            // A connection without a request, as health checks make.
                            Ok(()) | Err(Error::Protocol(ProtocolError::HandshakeIncomplete)) => {}
                            Err(error) => eprintln!("echo: session with {peer} ended: {error}"),
                        }
                    });
                }
                Err(error) => eprintln!("echo: cannot accept a connection: {error}"),
            },
        }
    }
}

async fn echo(stream: TcpStream) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX));
    let mut socket = tokio_tungstenite::accept_async_with_config(stream, Some(config)).await?;
    while let Some(message) = socket.next().await {
        match message? {
            message @ (Message::Text(_) | Message::Binary(_)) => socket.send(message).await?,
            Message::Close(_) => break,
            // tungstenite answers pings itself.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
    // Completes the close handshake.
    while socket.next().await.is_some() {}
    Ok(())
}
