//! A fake gateway node that sends a test's messages to a real control plane.

use tidegate_proto::discovery::v1::{
    Ack, Batch, Heartbeat, Hello, NodeMessage, Rejection, discovery_client::DiscoveryClient,
    node_message::Message,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Status, Streaming,
    transport::{Certificate, ClientTlsConfig, Endpoint},
};

use crate::{control_plane::ControlPlane, wait};

/// A node with an open stream.
#[derive(Debug)]
pub struct FakeNode {
    words: mpsc::Sender<NodeMessage>,
    batches: Streaming<Batch>,
}

// === impl FakeNode ===

impl FakeNode {
    /// Joins with this token (by default the right one) and sends this hello.
    ///
    /// # Errors
    /// When the control plane refuses the node.
    ///
    /// # Panics
    /// When the control plane cannot be reached.
    pub async fn join(
        control_plane: &ControlPlane,
        token: Option<&str>,
        hello: Hello,
    ) -> Result<Self, Status> {
        let ready = &control_plane.ready;
        let own = std::fs::read_to_string(&ready.join_token_file).expect("it made a join token");
        let pem = std::fs::read(&ready.ca_cert).expect("it made an authority");
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(pem))
            .domain_name("localhost");
        let channel = Endpoint::new(format!("https://{}", ready.discovery))
            .and_then(|endpoint| endpoint.tls_config(tls))
            .expect("the address is good")
            .connect()
            .await
            .expect("the discovery listener accepts connections");
        let (words, receiver) = mpsc::channel(8);
        let hello = NodeMessage {
            message: Some(Message::Hello(hello)),
        };
        words.send(hello).await.expect("the receiver is here");
        let mut request = Request::new(ReceiverStream::new(receiver));
        let value = format!("Bearer {}", token.unwrap_or(own.trim()));
        let value = value.parse().expect("a token is ASCII");
        request.metadata_mut().insert("authorization", value);
        let mut client = DiscoveryClient::new(channel).max_decoding_message_size(64 << 20);
        let opened = wait::within("the stream opens", client.stream(request)).await?;
        Ok(Self {
            words,
            batches: opened.into_inner(),
        })
    }

    /// The next batch.
    ///
    /// # Errors
    /// When the control plane ends the stream instead.
    pub async fn batch(&mut self) -> Result<Batch, Status> {
        let next = wait::within("a batch comes", self.batches.message()).await?;
        next.ok_or_else(|| Status::unavailable("the stream ended"))
    }

    /// Acknowledges a number, with rejections.
    pub async fn ack(&self, number: u64, rejections: Vec<Rejection>) {
        self.send(Message::Ack(Ack { number, rejections })).await;
    }

    /// Sends a heartbeat.
    pub async fn beat(&self, number: u64, open_sessions: u64) {
        self.send(Message::Heartbeat(Heartbeat {
            number,
            open_sessions,
            ledger: None,
        }))
        .await;
    }

    async fn send(&self, message: Message) {
        let message = NodeMessage {
            message: Some(message),
        };
        self.words.send(message).await.expect("the stream is open");
    }
}
