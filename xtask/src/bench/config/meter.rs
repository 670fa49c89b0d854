//! A TCP proxy between data plane and control plane that counts the bytes of both directions, TLS included.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};

/// A running proxy; it stops when this is dropped.
#[derive(Debug)]
pub(super) struct Meter {
    /// The address that the data plane connects to.
    pub(super) address: SocketAddr,
    bytes: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Meter {
    /// Starts a proxy for a listener.
    pub(super) async fn start(control_plane: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let bytes = Arc::new(AtomicU64::new(0));
        let counter = bytes.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut carrying = JoinSet::new();
            while let Ok((node, _)) = listener.accept().await {
                // The connection is dropped, and the data plane reconnects.
                let Ok(plane) = TcpStream::connect(control_plane).await else {
                    continue;
                };
                let _ = (node.set_nodelay(true), plane.set_nodelay(true));
                let (node, plane) = (node.into_split(), plane.into_split());
                carrying.spawn(carry(node.0, plane.1, counter.clone()));
                carrying.spawn(carry(plane.0, node.1, counter.clone()));
            }
        });
        Ok(Self {
            address,
            bytes,
            _tasks: tasks,
        })
    }

    /// How many bytes have passed so far.
    pub(super) fn read(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, bytes: Arc<AtomicU64>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        bytes.fetch_add(n as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
    // Passes on the end of one direction. An error means that the peer is gone.
    let _ = to.shutdown().await;
}
