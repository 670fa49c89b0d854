//! Stands between data plane and control plane and counts the bytes of both directions, TLS and all.

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

/// A running meter; it stops when this is dropped.
#[derive(Debug)]
pub(super) struct Meter {
    /// Where the data plane connects to.
    pub(super) address: SocketAddr,
    bytes: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Meter {
    /// Stands before a door.
    pub(super) async fn start(door: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let bytes = Arc::new(AtomicU64::new(0));
        let counter = bytes.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut carrying = JoinSet::new();
            while let Ok((node, _)) = listener.accept().await {
                // Who cannot be let through is let go, and comes again.
                let Ok(plane) = TcpStream::connect(door).await else {
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
    // The end of one direction is passed on; a peer that is gone needs no telling.
    let _ = to.shutdown().await;
}
