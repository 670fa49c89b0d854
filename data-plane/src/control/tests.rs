//! The client against a scripted control plane, over real TLS.

use std::{net::SocketAddr, path::Path, pin::Pin, sync::Arc, time::Duration};

use futures_util::Stream;
use tempfile::TempDir;
use tidegate_kit::{readiness::Readiness, tasks::Tasks, tls::Authority};
use tidegate_proto::discovery::v1::{
    Ack, Batch, Hello, NodeMessage, Resource,
    discovery_server::{Discovery, DiscoveryServer},
    node_message::Message,
    resource::Body,
};
use tokio::{net::TcpListener, sync::mpsc, time::timeout};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Identity, Server, ServerTlsConfig},
};

use super::{Client, NodeStatus, NodeUsage, Settings, StatusSource, enrolment::Enrolment};
use crate::{
    config::ControlPlaneConfig,
    snapshot::{
        Snapshots,
        fixture::{plan, wire},
    },
    testing::{Log, until},
};

const PATIENCE: Duration = Duration::from_secs(10);

/// Hands each stream that a node opens to the test.
struct Scripted {
    streams: mpsc::Sender<NodeSide>,
}

/// One stream, as the control plane sees it.
struct NodeSide {
    authorization: String,
    inbound: Streaming<NodeMessage>,
    outbound: mpsc::Sender<Result<Batch, Status>>,
}

type Batches = Pin<Box<dyn Stream<Item = Result<Batch, Status>> + Send>>;

#[tonic::async_trait]
impl Discovery for Scripted {
    type StreamStream = Batches;

    async fn stream(
        &self,
        request: Request<Streaming<NodeMessage>>,
    ) -> Result<Response<Batches>, Status> {
        let authorization = request.metadata().get("authorization");
        let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
        let (outbound, batches) = mpsc::channel(8);
        let side = NodeSide {
            authorization: authorization.unwrap_or_default(),
            inbound: request.into_inner(),
            outbound,
        };
        self.streams
            .send(side)
            .await
            .map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(Box::pin(ReceiverStream::new(batches))))
    }
}

impl NodeSide {
    async fn word(&mut self) -> Message {
        let word = timeout(PATIENCE, self.inbound.message());
        let word = word.await.expect("the node says something");
        word.unwrap().expect("the node stays").message.unwrap()
    }

    async fn hello(&mut self) -> Hello {
        match self.word().await {
            Message::Hello(hello) => hello,
            other => panic!("no hello: {other:?}"),
        }
    }

    async fn send(&self, number: u64, upserts: Vec<Resource>, removals: &[&str]) {
        let batch = Batch {
            number,
            upserts,
            removals: removals.iter().map(|&name| name.to_owned()).collect(),
            more: false,
        };
        self.outbound.send(Ok(batch)).await.unwrap();
    }

    async fn ack(&mut self) -> Ack {
        loop {
            match self.word().await {
                Message::Ack(ack) => return ack,
                Message::Heartbeat(_) | Message::Usage(_) => {}
                Message::Hello(_) => panic!("a second hello"),
            }
        }
    }
}

/// A control plane's control_plane that can be closed and opened again at the same address.
struct FakeControlPlane {
    authority: Authority,
    address: SocketAddr,
    streams: mpsc::Receiver<NodeSide>,
    tasks: Tasks,
    _dir: TempDir,
}

impl FakeControlPlane {
    async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(dir.path()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (streams, tasks) = Self::serve(&authority, listener);
        Self {
            authority,
            address,
            streams,
            tasks,
            _dir: dir,
        }
    }

    fn serve(authority: &Authority, listener: TcpListener) -> (mpsc::Receiver<NodeSide>, Tasks) {
        let identity = authority.issue(&["127.0.0.1".to_owned()]).unwrap();
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(identity.chain_pem, identity.key_pem));
        let (sender, streams) = mpsc::channel(8);
        let tasks = Tasks::current();
        let stopping = tasks.stopping();
        tidegate_kit::tls::install();
        let serving = Server::builder()
            .tls_config(tls)
            .unwrap()
            .add_service(DiscoveryServer::new(Scripted { streams: sender }))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tasks.spawn("control_plane", async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                ended = serving => ended.unwrap(),
            }
        });
        (streams, tasks)
    }

    async fn close(&self) {
        assert_eq!(self.tasks.shut_down(PATIENCE).await, 0);
    }

    async fn reopen(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        (self.streams, self.tasks) = Self::serve(&self.authority, listener);
    }

    async fn stream(&mut self) -> NodeSide {
        let stream = timeout(PATIENCE, self.streams.recv()).await;
        stream
            .expect("the node connects")
            .expect("the control_plane is open")
    }

    fn settings(&self, cache: &Path) -> Settings {
        settings(self.address, &self.authority, cache)
    }
}

fn settings(address: SocketAddr, pinned: &Authority, cache: &Path) -> Settings {
    Settings {
        address: format!("https://{address}"),
        enrolment: enrolment(pinned, cache, "let-me-in"),
        node: "node-1".to_owned(),
        environment: "default".to_owned(),
        software: "0".to_owned(),
        cache_dir: cache.to_owned(),
        heartbeat_interval: Duration::from_millis(20),
    }
}

/// An enrolment by files in a folder.
fn enrolment(pinned: &Authority, folder: &Path, token: &str) -> Enrolment {
    let (ca_cert, join_token) = (folder.join("ca.pem"), folder.join("join-token"));
    std::fs::write(&ca_cert, &pinned.ca_pem).unwrap();
    std::fs::write(&join_token, token).unwrap();
    Enrolment::new(&ControlPlaneConfig {
        ca_cert: Some(ca_cert),
        join_token_file: Some(join_token),
        ..ControlPlaneConfig::default()
    })
    .unwrap()
}

struct Node {
    snapshots: Snapshots,
    readiness: Readiness,
    connected: tokio::sync::watch::Receiver<bool>,
    tasks: Tasks,
}

impl Node {
    fn start(settings: Settings) -> Self {
        let (snapshots, readiness) = (Snapshots::default(), Readiness::default());
        let client = Client::new(settings, snapshots.clone());
        let connected = client.status().connected;
        let tasks = Tasks::current();
        let blocker = readiness.block("snapshot");
        tasks.spawn(
            "control",
            client.run(blocker, Arc::new(Idle), tasks.stopping()),
        );
        Self {
            snapshots,
            readiness,
            connected,
            tasks,
        }
    }

    async fn runs(&self, number: u64) {
        let mut watch = self.snapshots.watch();
        let reached = watch.wait_for(|now| now.is_some_and(|now| now.get() == number));
        timeout(PATIENCE, reached)
            .await
            .expect("the node gets there")
            .unwrap();
    }

    async fn stop(self) {
        assert_eq!(self.tasks.shut_down(PATIENCE).await, 0);
    }
}

fn gold(limit: u64) -> Resource {
    wire(Body::Plan(plan("Gold", limit)))
}

/// A node of which only the sessions are known, and nothing is used.
#[derive(Debug)]
struct Idle;

impl StatusSource for Idle {
    fn status(&self) -> NodeStatus {
        NodeStatus {
            open_sessions: 42,
            ..NodeStatus::default()
        }
    }

    fn usage(&self) -> NodeUsage {
        NodeUsage::default()
    }
}

#[tokio::test]
async fn a_node_joins_takes_batches_answers_them_and_says_that_it_lives() {
    let mut control_plane = FakeControlPlane::open().await;
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::start(control_plane.settings(dir.path()));
    let mut stream = control_plane.stream().await;
    assert_eq!(stream.authorization, "Bearer let-me-in");
    let hello = stream.hello().await;
    assert_eq!(
        (hello.node.as_str(), hello.number, hello.held),
        ("node-1", 0, vec![])
    );
    assert!(!node.readiness.is_ready());
    stream.send(7, vec![gold(1)], &[]).await;
    let ack = stream.ack().await;
    assert_eq!((ack.number, ack.rejections), (7, vec![]));
    assert!(node.readiness.is_ready());
    timeout(PATIENCE, node.connected.wait_for(|connected| *connected))
        .await
        .unwrap()
        .unwrap();
    loop {
        if let Message::Heartbeat(beat) = stream.word().await {
            assert_eq!((beat.number, beat.open_sessions), (7, 42));
            break;
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn a_node_tells_what_is_used_before_each_sign_of_life_and_once_more_when_it_stops() {
    let mut control_plane = FakeControlPlane::open().await;
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(control_plane.settings(dir.path()));
    let mut stream = control_plane.stream().await;
    let process = stream.hello().await.process;
    for _ in 0..3 {
        assert!(matches!(stream.word().await, Message::Usage(_)));
        assert!(matches!(stream.word().await, Message::Heartbeat(_)));
    }
    let stopping = node.stop();
    let ended = async {
        let mut last = None;
        while let Some(word) = stream.inbound.message().await.unwrap() {
            last = word.message;
        }
        drop(stream.outbound);
        last
    };
    let ((), last) = tokio::join!(stopping, ended);
    assert!(matches!(last, Some(Message::Usage(_))), "{last:?}");
    // One that starts again is another process of the same node.
    let node = Node::start(control_plane.settings(dir.path()));
    assert_ne!(control_plane.stream().await.hello().await.process, process);
    node.stop().await;
}

#[tokio::test]
async fn a_bad_resource_is_answered_with_its_reason_and_harms_no_other() {
    let mut control_plane = FakeControlPlane::open().await;
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(control_plane.settings(dir.path()));
    let mut stream = control_plane.stream().await;
    stream.hello().await;
    let misnamed = Resource::new("plans/Silver".to_owned(), Body::Plan(plan("Bronze", 1)));
    let version = misnamed.version;
    stream.send(1, vec![misnamed, gold(1)], &[]).await;
    let ack = stream.ack().await;
    assert_eq!(ack.rejections.len(), 1);
    assert_eq!(ack.rejections[0].name, "plans/Silver");
    assert_eq!(ack.rejections[0].version, version);
    assert!(ack.rejections[0].reason.contains("plans/Bronze"));
    assert!(node.snapshots.load().plan("Gold").is_some());
    node.stop().await;
}

#[tokio::test]
async fn a_node_that_comes_back_says_what_it_holds_and_takes_the_difference() {
    let mut control_plane = FakeControlPlane::open().await;
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(control_plane.settings(dir.path()));
    let mut stream = control_plane.stream().await;
    stream.hello().await;
    stream.send(1, vec![gold(1)], &[]).await;
    stream.ack().await;
    drop(stream);
    control_plane.close().await;
    assert!(node.snapshots.load().plan("Gold").is_some());
    control_plane.reopen().await;
    let mut stream = control_plane.stream().await;
    let hello = stream.hello().await;
    assert_eq!(hello.number, 1);
    assert_eq!(hello.held.len(), 1);
    assert_eq!(hello.held[0].name, "plans/Gold");
    assert_eq!(hello.held[0].version, gold(1).version);
    stream.send(2, vec![], &["plans/Gold"]).await;
    stream.ack().await;
    node.runs(2).await;
    assert!(node.snapshots.load().is_empty());
    node.stop().await;
}

#[tokio::test]
async fn a_node_starts_from_its_cache_while_the_control_plane_is_away() {
    let mut control_plane = FakeControlPlane::open().await;
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(control_plane.settings(dir.path()));
    let mut stream = control_plane.stream().await;
    stream.hello().await;
    stream.send(3, vec![gold(1)], &[]).await;
    stream.ack().await;
    stream.send(4, vec![gold(2)], &[]).await;
    stream.ack().await;
    node.stop().await;
    drop(stream);
    control_plane.close().await;
    let node = Node::start(control_plane.settings(dir.path()));
    node.runs(4).await;
    assert!(node.readiness.is_ready());
    assert!(node.snapshots.load().plan("Gold").is_some());
    assert!(!*node.connected.borrow());
    control_plane.reopen().await;
    let hello = control_plane.stream().await.hello().await;
    assert_eq!((hello.number, hello.held.len()), (4, 1));
    node.stop().await;
}

#[tokio::test]
async fn a_corrupt_cache_does_not_keep_a_node_from_starting() {
    let mut control_plane = FakeControlPlane::open().await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("snapshot.cache"),
        b"tidegat\x01 but not really",
    )
    .unwrap();
    let node = Node::start(control_plane.settings(dir.path()));
    let mut stream = control_plane.stream().await;
    assert_eq!(stream.hello().await.held, vec![]);
    assert!(!node.snapshots.is_held());
    stream.send(1, vec![gold(1)], &[]).await;
    stream.ack().await;
    node.runs(1).await;
    node.stop().await;
}

#[tokio::test]
async fn a_control_plane_of_another_authority_is_not_spoken_to() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let pinned = Authority::load_or_create(dirs[0].path()).unwrap();
    let stranger = Authority::load_or_create(dirs[1].path()).unwrap();
    let identity = stranger.issue(&["127.0.0.1".to_owned()]).unwrap();
    let acceptor = TlsAcceptor::from(identity.server_config(&["h2"]).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let node = Node::start(settings(
        listener.local_addr().unwrap(),
        &pinned,
        dirs[2].path(),
    ));
    // It tries again, and never gets beyond the handshake.
    for _ in 0..2 {
        let accepted = timeout(PATIENCE, listener.accept()).await;
        let (socket, _) = accepted.expect("the node connects").unwrap();
        let shaken = timeout(PATIENCE, acceptor.accept(socket)).await;
        assert!(shaken.expect("the node answers").is_err());
    }
    assert!(!node.snapshots.is_held());
    node.stop().await;
}

#[tokio::test]
async fn a_replaced_token_is_shown_and_a_replaced_authority_trusted_at_the_next_connection() {
    let mut control_plane = FakeControlPlane::open().await;
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(control_plane.settings(dir.path()));
    let stream = control_plane.stream().await;
    assert_eq!(stream.authorization, "Bearer let-me-in");
    drop(stream);
    control_plane.close().await;
    let other = tempfile::tempdir().unwrap();
    control_plane.authority = Authority::load_or_create(other.path()).unwrap();
    // The old authority stays beside the new one, and the old token below the new one, as long as others need them.
    let pinned = dir.path().join("ca.pem");
    let both = std::fs::read_to_string(&pinned).unwrap() + &control_plane.authority.ca_pem;
    std::fs::write(&pinned, both).unwrap();
    std::fs::write(dir.path().join("join-token"), "\nthe-next\nlet-me-in\n").unwrap();
    control_plane.reopen().await;
    assert_eq!(
        control_plane.stream().await.authorization,
        "Bearer the-next"
    );
    node.stop().await;
}

#[tokio::test]
async fn a_node_goes_on_trying_while_it_has_nothing_to_join_with() {
    let mut control_plane = FakeControlPlane::open().await;
    for (name, bad) in [
        ("join-token", Some(" \n")),
        ("ca.pem", Some("none")),
        ("ca.pem", None),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let settings = control_plane.settings(dir.path());
        let path = dir.path().join(name);
        let good = std::fs::read(&path).unwrap();
        match bad {
            Some(bad) => std::fs::write(&path, bad).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let told = settings.enrolment.check().unwrap_err().to_string();
        assert!(told.contains("`control_plane."), "{told}");
        let log = Log::start();
        let node = Node::start(settings);
        until("the node says what it lacks", || log.text().contains(&told)).await;
        std::fs::write(&path, good).unwrap();
        control_plane.stream().await.hello().await;
        node.stop().await;
    }
}

#[tokio::test]
async fn a_batch_that_breaks_the_protocol_ends_the_stream_and_changes_nothing() {
    let mut control_plane = FakeControlPlane::open().await;
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(control_plane.settings(dir.path()));
    let mut stream = control_plane.stream().await;
    stream.hello().await;
    for (number, more) in [(1, true), (2, false)] {
        let part = Batch {
            number,
            upserts: vec![gold(1)],
            removals: vec![],
            more,
        };
        stream.outbound.send(Ok(part)).await.unwrap();
    }
    let mut again = control_plane.stream().await;
    assert_eq!(again.hello().await.number, 0);
    assert!(!node.snapshots.is_held());
    node.stop().await;
}
