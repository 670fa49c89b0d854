//! The gRPC service: who may open a stream, and what a stream must begin with.

use std::{pin::Pin, time::Duration};

use futures_util::Stream;
use tidegate_kit::tasks::Tasks;
use tidegate_proto::{
    discovery::v1::{
        Batch, Hello, NodeMessage, discovery_server::Discovery, node_message::Message,
    },
    revision::RevisionNumber,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, metadata::MetadataMap};

use super::{
    MESSAGE_MAX, NODES, diff::HeldResources, fleet::Fleet, join::JoinTokens, projector::Projector,
    stream::NodeStream,
};
use crate::{
    domain::name::EnvironmentName,
    http::{Admission, metered::BodyLimit},
};

/// The service.
pub(super) struct Server {
    join_tokens: JoinTokens,
    projector: Projector,
    fleet: Fleet,
    tasks: Tasks,
}

/// How long a node may take for its first message.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
const NAME_MAX: usize = 128;
/// Parts that wait for the connection; the next is rendered when there is room.
const PARTS_WAITING: usize = 2;

// === impl Server ===

impl Server {
    pub(super) fn new(
        join_tokens: JoinTokens,
        projector: Projector,
        fleet: Fleet,
        tasks: Tasks,
    ) -> Self {
        Self {
            join_tokens,
            projector,
            fleet,
            tasks,
        }
    }

    fn admits(&self, metadata: &MetadataMap) -> bool {
        let shown = metadata
            .get("authorization")
            .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        shown.is_some_and(|shown| self.join_tokens.admit(shown))
    }

    async fn open(&self, hello: Hello, inbound: Streaming<NodeMessage>) -> Result<Batches, Status> {
        check_name(&hello.node)?;
        let unknown = || {
            Status::not_found(format!(
                "there is no environment `{}`; create it, or set the node's `environment`",
                hello.environment.chars().take(NAME_MAX).collect::<String>()
            ))
        };
        let environment = EnvironmentName::parse(&hello.environment).map_err(|_| unknown())?;
        let projected = self.projector.follow(environment.clone()).await;
        let projected = projected.ok_or_else(unknown)?;
        let software = hello.software.chars().take(NAME_MAX).collect();
        let number = RevisionNumber::new(hello.number);
        let node = self
            .fleet
            .register(
                environment,
                hello.node.clone(),
                software,
                number,
                hello.process,
            )
            .map_err(|full| Status::resource_exhausted(full.to_string()))?;
        if let Some(line) = NODES.fault(&format!("{} connected", hello.node)) {
            tracing::info!(
                node = hello.node,
                environment = hello.environment,
                number = hello.number,
                holds = hello.held.len(),
                suppressed = line.suppressed,
                "node connected"
            );
        }
        let (outbound, batches) = mpsc::channel(PARTS_WAITING);
        let stream = NodeStream {
            name: hello.node,
            inbound,
            outbound,
            projected,
            held: HeldResources::from_messages(hello.held),
            node,
        };
        self.tasks.spawn("node", stream.run(self.tasks.stopping()));
        Ok(Box::pin(ReceiverStream::new(batches)))
    }
}

type Batches = Pin<Box<dyn Stream<Item = Result<Batch, Status>> + Send>>;

#[tonic::async_trait]
impl Discovery for Server {
    type StreamStream = Batches;

    async fn stream(
        &self,
        request: Request<Streaming<NodeMessage>>,
    ) -> Result<Response<Batches>, Status> {
        if !self.admits(request.metadata()) {
            return Err(Status::unauthenticated(
                "the join token is wrong; set the node's `control_plane.join_token_file` to this control plane's",
            ));
        }
        BodyLimit::raise(request.extensions(), MESSAGE_MAX);
        let admission = request.extensions().get::<Admission>().cloned();
        let mut inbound = request.into_inner();
        let first = timeout(HELLO_WITHIN, inbound.message())
            .await
            .map_err(|_| {
                Status::deadline_exceeded("the stream did not begin with a `Hello` in time")
            })??;
        match first.and_then(|it| it.message) {
            Some(Message::Hello(hello)) => {
                let batches = self.open(hello, inbound).await?;
                // Whoever says no such `Hello` is shown out: this door has no other use.
                if let Some(admission) = admission {
                    admission.admit();
                }
                Ok(Response::new(batches))
            }
            _ => Err(Status::invalid_argument(
                "the stream must begin with a `Hello`",
            )),
        }
    }
}

fn check_name(name: &str) -> Result<(), Status> {
    let fits = !name.is_empty()
        && name.len() <= NAME_MAX
        && name.chars().all(|c| c.is_ascii_graphic() && c != '/');
    if fits {
        Ok(())
    } else {
        Err(Status::invalid_argument(format!(
            "a node's name must have 1 to {NAME_MAX} visible ASCII characters and no `/`; set the node's `node`"
        )))
    }
}
