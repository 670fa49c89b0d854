//! One connection to the control plane: tells it which resources the node holds, applies batches, and acknowledges them.
//!
//! Owns the order of swap, cache and acknowledgement. Called by `control` for each connection.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use prost::Message as _;
use tidegate_kit::{fault_log::FaultLog, readiness::Blocker};
use tidegate_proto::{
    discovery::v1::{
        Ack, Batch, Heartbeat, HeldResource, Hello, Ledger, LedgerKind, NodeMessage, Rejection,
        discovery_client::DiscoveryClient, node_message::Message,
    },
    revision::RevisionNumber,
};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinError, spawn_blocking},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Status, Streaming,
    metadata::{Ascii, MetadataValue, errors::InvalidMetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use super::{
    Settings, StatusSource, cache::format::Changes, enrolment::EnrolmentError, keeper::Keeper,
    usage::Reported,
};
use crate::snapshot::{
    Snapshot, Snapshots,
    decode::{decode, decode_name},
    model::{Resource, ResourceName},
};

/// Why the stream ended or could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    /// The join token or the CA certificate cannot be read.
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    /// The address or the CA certificate is invalid.
    #[error("cannot use `control_plane.address` or `control_plane.ca_cert`: {0}")]
    Endpoint(#[source] tonic::transport::Error),
    /// The connection failed, or the server's certificate was not issued by the pinned CA.
    #[error("cannot connect: {}", chain(.0))]
    Connect(#[source] tonic::transport::Error),
    /// A join token that is not a valid header value.
    #[error("the join token contains invalid characters")]
    Token(#[from] InvalidMetadataValue),
    /// The control plane refused or ended the stream.
    #[error("the control plane returned {}: {}", .0.code(), .0.message())]
    Status(Box<Status>),
    /// No answer in time.
    #[error("the control plane does not answer")]
    Timeout,
    /// The control plane closed the stream.
    #[error("the control plane closed the stream")]
    Closed,
    /// The control plane violated the protocol.
    #[error("the control plane sent part of batch {got} before batch {expected} was complete")]
    Interleaved {
        /// The number of the incomplete batch.
        expected: u64,
        /// The number of the part that arrived.
        got: u64,
    },
    /// Applying a batch panicked.
    #[error("applying a batch failed: {0}")]
    Failed(#[from] JoinError),
    /// The node is shutting down.
    #[error("the node is shutting down")]
    Stopping,
}

/// The context of one connection.
pub(super) struct Exchange<'a> {
    pub(super) settings: &'a Settings,
    pub(super) snapshots: &'a Snapshots,
    pub(super) keeper: &'a Keeper,
    pub(super) connected: &'a watch::Sender<bool>,
    pub(super) source: &'a Arc<dyn StatusSource>,
    pub(super) process: u64,
    pub(super) stopping: &'a CancellationToken,
    /// Lifted with the first snapshot.
    pub(super) ready: &'a mut Option<Blocker>,
}

/// The parts of a batch, until the last one arrives.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    number: u64,
    begun: bool,
    removals: Vec<ResourceName>,
    upserts: Vec<Resource>,
    rejections: Vec<Rejection>,
    changes: BTreeMap<String, Option<Bytes>>,
}

/// The result of a complete batch.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) snapshot: Snapshot,
    pub(super) changes: Changes,
    pub(super) ack: Ack,
}

/// The control plane is told of every rejection; the log names at most this many per minute.
static REJECTED: FaultLog = FaultLog::new(30);

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The interval and the timeout of HTTP/2 pings.
const PING_EVERY: Duration = Duration::from_secs(10);
/// A part has about a mebibyte, but a single resource may be larger.
const MESSAGE_MAX: usize = 64 * 1024 * 1024;
/// The messages that may wait to be sent.
const OUTBOUND_MAX: usize = 8;
/// The HTTP/2 window: large, so that a large configuration doesn't wait for a round trip every 64 KiB.
const WINDOW: u32 = 4 * 1024 * 1024;

// === impl Exchange ===

impl Exchange<'_> {
    /// Connects, and follows the stream until it ends. It never returns `Ok`.
    pub(super) async fn run(&mut self) -> Result<std::convert::Infallible, ExchangeError> {
        let (batches, outbound) = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return Err(ExchangeError::Stopping),
            opened = self.open() => opened?,
        };
        let ended = self.follow(batches, outbound).await;
        self.set_connected(false);
        ended
    }

    async fn open(&self) -> Result<(Streaming<Batch>, mpsc::Sender<NodeMessage>), ExchangeError> {
        let enrolment = self.settings.enrolment.clone();
        // A hung file system must not block this thread.
        let credentials = spawn_blocking(move || enrolment.read()).await??;
        let channel = self.connect(&credentials.ca_pem).await?;
        let (outbound, waiting) = mpsc::channel(OUTBOUND_MAX);
        send(&outbound, Message::Hello(self.hello())).await?;
        let mut request = Request::new(ReceiverStream::new(waiting));
        let token = format!("Bearer {}", credentials.join_token.expose());
        let mut token = MetadataValue::<Ascii>::try_from(token)?;
        token.set_sensitive(true);
        request.metadata_mut().insert("authorization", token);
        let mut client = DiscoveryClient::new(channel).max_decoding_message_size(MESSAGE_MAX);
        let batches = timeout(ANSWER_WITHIN, client.stream(request))
            .await
            .map_err(|_| ExchangeError::Timeout)??
            .into_inner();
        Ok((batches, outbound))
    }

    async fn connect(&self, ca_pem: &str) -> Result<Channel, ExchangeError> {
        let authority = Certificate::from_pem(ca_pem);
        Endpoint::from_shared(self.settings.address.clone())
            .map_err(ExchangeError::Endpoint)?
            .tls_config(ClientTlsConfig::new().ca_certificate(authority))
            .map_err(ExchangeError::Endpoint)?
            .connect_timeout(CONNECT_WITHIN)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .connect()
            .await
            .map_err(ExchangeError::Connect)
    }

    fn hello(&self) -> Hello {
        let snapshot = self.snapshots.load();
        let held = snapshot.held().map(|(name, version)| HeldResource {
            name: name.to_string(),
            version: version.get(),
        });
        Hello {
            node: self.settings.node.clone(),
            environment: self.settings.environment.clone(),
            software: self.settings.software.clone(),
            number: snapshot.number().get(),
            held: held.collect(),
            process: self.process,
        }
    }

    async fn follow(
        &mut self,
        mut batches: Streaming<Batch>,
        outbound: mpsc::Sender<NodeMessage>,
    ) -> Result<std::convert::Infallible, ExchangeError> {
        let mut assembly = Assembly::default();
        let mut reported = Reported::default();
        // The first tick is immediate: a control plane that has just started knows nothing of what was used.
        let mut heartbeats = interval(self.settings.heartbeat_interval);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stopping.cancelled() => {
                    self.leave(reported, batches, outbound).await?;
                    return Err(ExchangeError::Stopping);
                }
                part = batches.message() => {
                    let part = part?.ok_or(ExchangeError::Closed)?;
                    let more = part.more;
                    // Hashing and parsing a mebibyte would block this thread.
                    assembly = spawn_blocking(move || assembly.add(part)).await??;
                    if !more {
                        let ack = self.swap(std::mem::take(&mut assembly)).await?;
                        send(&outbound, Message::Ack(ack)).await?;
                        self.set_connected(true);
                    }
                }
                _ = heartbeats.tick() => {
                    reported = self.report_usage(reported, &outbound).await?;
                    send(&outbound, Message::Heartbeat(self.heartbeat())).await?;
                }
            }
        }
    }

    /// Reports usage that has changed since the last report.
    async fn report_usage(
        &self,
        mut reported: Reported,
        outbound: &mpsc::Sender<NodeMessage>,
    ) -> Result<Reported, ExchangeError> {
        let source = self.source.clone();
        // Reading a hundred thousand counters would block this thread.
        let reading = spawn_blocking(move || (reported.messages(source.usage()), reported));
        let (messages, reported) = reading.await?;
        for usage in messages {
            send(outbound, Message::Usage(usage)).await?;
        }
        Ok(reported)
    }

    /// Sends the final usage report, and waits until the control plane has read it.
    async fn leave(
        &self,
        reported: Reported,
        mut batches: Streaming<Batch>,
        outbound: mpsc::Sender<NodeMessage>,
    ) -> Result<(), ExchangeError> {
        self.report_usage(reported, &outbound).await?;
        drop(outbound);
        while batches.message().await?.is_some() {}
        Ok(())
    }

    fn heartbeat(&self) -> Heartbeat {
        let status = self.source.status();
        let kind = if status.shares_quotas {
            LedgerKind::Redis
        } else {
            LedgerKind::InProcess
        };
        Heartbeat {
            number: self.snapshots.load().number().get(),
            open_sessions: status.open_sessions,
            ledger: Some(Ledger {
                kind: kind.into(),
                fault: status.ledger_fault,
            }),
        }
    }

    fn set_connected(&self, connected: bool) {
        self.connected
            .send_if_modified(|before| std::mem::replace(before, connected) != connected);
    }

    /// Swaps in the next snapshot, and then has it cached on disk.
    async fn swap(&mut self, assembly: Assembly) -> Result<Ack, ExchangeError> {
        let current = self.snapshots.load();
        let step = spawn_blocking(move || assembly.apply(&current)).await?;
        for rejection in &step.ack.rejections {
            if let Some(line) = REJECTED.fault(&format!("{}: {}", rejection.name, rejection.reason))
            {
                tracing::warn!(
                    resource = rejection.name,
                    reason = rejection.reason,
                    suppressed = line.suppressed,
                    "resource rejected; keeping its last good version"
                );
            }
        }
        self.snapshots.swap(step.snapshot);
        drop(self.ready.take());
        tracing::debug!(
            number = step.ack.number,
            changed = step.changes.resources.len(),
            "snapshot swapped"
        );
        self.keeper.keep(step.changes);
        Ok(step.ack)
    }
}

// === impl Assembly ===

impl Assembly {
    /// Adds one part and decodes its resources.
    pub(super) fn add(mut self, part: Batch) -> Result<Self, ExchangeError> {
        if self.begun && self.number != part.number {
            return Err(ExchangeError::Interleaved {
                expected: self.number,
                got: part.number,
            });
        }
        self.begun = true;
        self.number = part.number;
        for name in part.removals {
            self.removals.extend(decode_name(&name));
            self.changes.insert(name, None);
        }
        for wire in part.upserts {
            let (name, version) = (wire.name.clone(), wire.version);
            let bytes = Bytes::from(wire.encode_to_vec());
            match decode(wire) {
                Ok(resource) => {
                    self.upserts.push(resource);
                    self.changes.insert(name, Some(bytes));
                }
                Err(cause) => self.rejections.push(Rejection {
                    name,
                    version,
                    reason: cause.to_string(),
                    blocked_by: String::new(),
                }),
            }
        }
        Ok(self)
    }

    /// Builds the next snapshot from the current one.
    pub(super) fn apply(mut self, before: &Snapshot) -> Step {
        let number = RevisionNumber::new(self.number);
        let (snapshot, conflicted) = before.apply(number, &self.removals, self.upserts);
        for conflicted in conflicted {
            let name = conflicted.name.to_string();
            // If even its last good version had to go, the cache must not bring it back.
            if snapshot.holds(&conflicted.name) {
                self.changes.remove(&name);
            } else {
                self.changes.insert(name.clone(), None);
            }
            self.rejections.push(Rejection {
                name,
                version: conflicted.version.get(),
                reason: conflicted.conflict.to_string(),
                blocked_by: conflicted.conflict.owner().to_string(),
            });
        }
        Step {
            snapshot,
            changes: Changes {
                number,
                resources: self.changes,
            },
            ack: Ack {
                number: self.number,
                rejections: self.rejections,
            },
        }
    }
}

impl From<Status> for ExchangeError {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

async fn send(outbound: &mpsc::Sender<NodeMessage>, message: Message) -> Result<(), ExchangeError> {
    let message = NodeMessage {
        message: Some(message),
    };
    match timeout(ANSWER_WITHIN, outbound.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(ExchangeError::Closed),
        Err(_) => Err(ExchangeError::Timeout),
    }
}

/// An error with its causes: the transport's own text only names its kind.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests;
