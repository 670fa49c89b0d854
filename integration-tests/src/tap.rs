//! A TCP relay that counts: what the configuration stream costs on the wire, TLS included.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A running tap. Dropping it cuts its connections.
#[derive(Debug)]
pub struct Tap {
    /// Where it listens.
    pub address: SocketAddr,
    towards_node: Arc<AtomicU64>,
    _server: JoinSet<()>,
}

// === impl Tap ===

impl Tap {
    /// Relays to an address.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let towards_node = Arc::<AtomicU64>::default();
        let count = Arc::clone(&towards_node);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((node, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                connections.spawn(async move {
                    // While nobody is behind it, it hangs up, as the target itself would.
                    if let Ok(target) = TcpStream::connect(target).await {
                        join(node, target, &count).await;
                    }
                });
            }
        });
        Self {
            address,
            towards_node,
            _server: server,
        }
    }

    /// How many bytes went to whoever connected.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.towards_node.load(Ordering::Relaxed)
    }
}

async fn join(node: TcpStream, target: TcpStream, count: &AtomicU64) {
    let uncounted = AtomicU64::new(0);
    let (node_reads, node_writes) = node.into_split();
    let (target_reads, target_writes) = target.into_split();
    // When one direction ends, so does the other: a killed process must look killed.
    tokio::select! {
        () = copy(target_reads, node_writes, count) => {}
        () = copy(node_reads, target_writes, &uncounted) => {}
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    count: &AtomicU64,
) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        count.fetch_add(length as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
