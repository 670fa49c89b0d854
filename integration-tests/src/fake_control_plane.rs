//! A fake control plane: it serves the configuration stream over TLS, sends the resources that a test gives it (invalid
//! ones too), and records every message of every node. A panic in it fails the test that waits for it.

use std::{
    collections::{BTreeMap, HashMap},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
};

use tempfile::TempDir;
use tidegate_kit::tls::Authority;
use tidegate_proto::discovery::v1::{
    Ack, Batch, Heartbeat, Hello, NodeMessage, Resource,
    discovery_server::{Discovery, DiscoveryServer},
    node_message::Message,
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_stream::{
    Stream,
    wrappers::{ReceiverStream, TcpListenerStream},
};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Identity, Server, ServerTlsConfig},
};

use crate::{
    data_plane::{DataPlane, Upstream},
    wait,
};

/// The join token of nodes.
const JOIN_TOKEN: &str = "join-token-of-the-tests";

/// A running fake. Dropping it closes it and its streams.
#[derive(Debug)]
pub struct FakeControlPlane {
    address: SocketAddr,
    shared: Arc<Shared>,
    folder: TempDir,
    _server: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    number: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    resources: BTreeMap<String, Resource>,
    hellos: Vec<Hello>,
    acks: Vec<Ack>,
    batches: Vec<Batch>,
    beat: Option<Heartbeat>,
}

// === impl FakeControlPlane ===

impl FakeControlPlane {
    /// Starts one with these resources at number 1.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start(resources: Vec<Resource>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let authority = Authority::load_or_create(folder.path()).expect("an authority can be made");
        let names = ["localhost".to_owned()];
        let identity = authority
            .issue(&names)
            .expect("a certificate can be issued");
        std::fs::write(folder.path().join("join-token"), JOIN_TOKEN).expect("the folder is ours");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            number: watch::Sender::new(0),
        });
        shared.replace(resources);
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(identity.chain_pem, identity.key_pem));
        let service = DiscoveryServer::new(DiscoveryService(Arc::clone(&shared)))
            .max_decoding_message_size(64 << 20)
            .max_encoding_message_size(64 << 20);
        let mut server = JoinSet::new();
        server.spawn(async move {
            Server::builder()
                .tls_config(tls)
                .expect("the certificate is good")
                .add_service(service)
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .expect("the double serves until it is dropped");
        });
        Self {
            address,
            shared,
            folder,
            _server: server,
        }
    }

    /// The settings with which a data plane connects to it.
    #[must_use]
    pub fn upstream(&self) -> Upstream {
        Upstream {
            address: self.address,
            ca_cert: self.folder.path().join("ca.pem"),
            join_token_file: self.folder.path().join("join-token"),
        }
    }

    /// Starts a data plane that connects to this fake, and waits until it's ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn node(&self, sets: &[&str]) -> DataPlane {
        let sets: Vec<_> = sets.iter().map(|&set| set.to_owned()).collect();
        let node = DataPlane::start("data-plane", self.folder(), self.upstream(), &sets).await;
        node.until_ready().await;
        node
    }

    /// The folder of this test.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces all resources under the next number, and waits until a node has acknowledged it.
    ///
    /// # Panics
    /// When no node does in time.
    pub async fn set(&self, resources: Vec<Resource>) -> Ack {
        let number = self.shared.replace(resources);
        self.ack(number).await
    }

    /// Waits until a node has acknowledged a number.
    ///
    /// # Panics
    /// When no node does in time.
    pub async fn ack(&self, number: u64) -> Ack {
        wait::until(
            &format!("a node acknowledges number {number}"),
            async || {
                let state = self.shared.state();
                state.acks.iter().find(|ack| ack.number == number).cloned()
            },
        )
        .await
    }

    /// The hellos of all streams so far.
    #[must_use]
    pub fn hellos(&self) -> Vec<Hello> {
        self.shared.state().hellos.clone()
    }

    /// The last heartbeat of any node.
    #[must_use]
    pub fn beat(&self) -> Option<Heartbeat> {
        self.shared.state().beat.clone()
    }

    /// All batches that were sent.
    #[must_use]
    pub fn batches(&self) -> Vec<Batch> {
        self.shared.state().batches.clone()
    }
}

// === impl Shared ===

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nobody panics with the state in hand")
    }

    fn replace(&self, resources: Vec<Resource>) -> u64 {
        let resources = resources
            .into_iter()
            .map(|resource| (resource.name.clone(), resource));
        self.state().resources = resources.collect();
        self.number.send_modify(|number| *number += 1);
        *self.number.borrow()
    }

    /// The batch with the differences to what the node holds.
    fn batch(&self, held: &mut HashMap<String, u64>) -> Batch {
        let number = *self.number.borrow();
        let mut state = self.state();
        let changed = |resource: &&Resource| held.get(&resource.name) != Some(&resource.version);
        let upserts: Vec<_> = state.resources.values().filter(changed).cloned().collect();
        let gone = |name: &&String| !state.resources.contains_key(*name);
        let removals: Vec<_> = held.keys().filter(gone).cloned().collect();
        *held = state
            .resources
            .values()
            .map(|r| (r.name.clone(), r.version))
            .collect();
        let batch = Batch {
            number,
            upserts,
            removals,
            more: false,
        };
        state.batches.push(batch.clone());
        batch
    }

    async fn talk(
        &self,
        mut words: Streaming<NodeMessage>,
        batches: mpsc::Sender<Result<Batch, Status>>,
    ) -> Option<()> {
        let Some(Message::Hello(hello)) = words.message().await.ok()??.message else {
            let _ = batches
                .send(Err(Status::invalid_argument("say hello first")))
                .await;
            return None;
        };
        let held = hello
            .held
            .iter()
            .map(|held| (held.name.clone(), held.version));
        let mut held: HashMap<_, _> = held.collect();
        self.state().hellos.push(hello);
        let mut number = self.number.subscribe();
        loop {
            number.borrow_and_update();
            let batch = self.batch(&mut held);
            let awaited = batch.number;
            batches.send(Ok(batch)).await.ok()?;
            loop {
                // A heartbeat may arrive before the acknowledgement.
                match words.message().await.ok()??.message {
                    Some(Message::Ack(ack)) => {
                        let answered = ack.number;
                        self.state().acks.push(ack);
                        if answered == awaited {
                            break;
                        }
                    }
                    Some(Message::Heartbeat(beat)) => self.state().beat = Some(beat),
                    _ => {}
                }
            }
            loop {
                tokio::select! {
                    changed = number.changed() => {
                        changed.ok()?;
                        break;
                    }
                    word = words.message() => {
                        if let Some(Message::Heartbeat(beat)) = word.ok()??.message {
                            self.state().beat = Some(beat);
                        }
                    }
                }
            }
        }
    }
}

/// The gRPC service.
struct DiscoveryService(Arc<Shared>);

#[tonic::async_trait]
impl Discovery for DiscoveryService {
    type StreamStream = Pin<Box<dyn Stream<Item = Result<Batch, Status>> + Send>>;

    async fn stream(
        &self,
        request: Request<Streaming<NodeMessage>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let shown = request
            .metadata()
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        if shown != Some(&format!("Bearer {JOIN_TOKEN}")) {
            return Err(Status::unauthenticated("the join token is wrong"));
        }
        let (sender, receiver) = mpsc::channel(1);
        let shared = Arc::clone(&self.0);
        let words = request.into_inner();
        #[expect(clippy::disallowed_methods, reason = "ends with its stream")]
        tokio::spawn(async move { shared.talk(words, sender).await });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}
