//! One connection to the control plane: says what the node holds, takes batches, and answers each.
//!
//! Owns the order of swap, cache and acknowledgement. Called by `control` again and again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use prost::Message as _;
use tidegate_kit::{fault_log::FaultLog, readiness::Blocker};
use tidegate_proto::{
    discovery::v1::{
        Ack, Batch, Beat, Held, Hello, Ledger, LedgerKind, NodeMessage, Rejection,
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
    Settings, Witness, cache::format::Changes, enrolment::EnrolmentError, keeper::Keeper,
    usage::Told,
};
use crate::snapshot::{
    Snapshot, Snapshots,
    decode::{decode, decode_name},
    model::{Resource, ResourceName},
};

/// Why the stream ended, or did not begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    /// There is nothing to join with.
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    /// The address is no URL, or the pinned certificate cannot be used.
    #[error("cannot use `control_plane.address` or `control_plane.ca_cert`: {0}")]
    Endpoint(#[source] tonic::transport::Error),
    /// Nobody there, or somebody whose certificate the pinned authority did not issue.
    #[error("cannot connect: {}", chain(.0))]
    Connect(#[source] tonic::transport::Error),
    /// A join token that cannot be sent.
    #[error("the join token has characters that cannot be sent")]
    Token(#[from] InvalidMetadataValue),
    /// The control plane refused or ended the stream.
    #[error("the control plane says {}: {}", .0.code(), .0.message())]
    Status(Box<Status>),
    /// No answer.
    #[error("the control plane does not answer")]
    Silence,
    /// The control plane closed the stream.
    #[error("the control plane closed the stream")]
    Closed,
    /// The control plane does not keep to the protocol.
    #[error("the control plane sent part of number {got} while number {expected} was not complete")]
    Mixed {
        /// The number that was begun.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// Taking a batch in panicked.
    #[error("taking a batch in failed: {0}")]
    Failed(#[from] JoinError),
    /// The node stops.
    #[error("the node stops")]
    Stopping,
}

/// What an exchange works with.
pub(super) struct Exchange<'a> {
    pub(super) settings: &'a Settings,
    pub(super) snapshots: &'a Snapshots,
    pub(super) keeper: &'a Keeper,
    pub(super) connected: &'a watch::Sender<bool>,
    pub(super) witness: &'a Arc<dyn Witness>,
    pub(super) process: u64,
    pub(super) stopping: &'a CancellationToken,
    /// Lifted when the first snapshot is held.
    pub(super) ready: &'a mut Option<Blocker>,
}

/// Parts of a batch, until the last one is there.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    number: u64,
    begun: bool,
    removals: Vec<ResourceName>,
    upserts: Vec<Resource>,
    rejections: Vec<Rejection>,
    changes: BTreeMap<String, Option<Bytes>>,
}

/// What a complete batch leads to.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) snapshot: Snapshot,
    pub(super) changes: Changes,
    pub(super) ack: Ack,
}

/// All rejections are told to the control plane; of a large configuration the log names these many a minute.
static REJECTED: FaultLog = FaultLog::new(30);

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How often the connection is asked whether the other side is there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(10);
/// A part has about a mebibyte, but a single resource may be larger.
const MESSAGE_MAX: usize = 64 * 1024 * 1024;
/// Words that wait for the connection.
const WORDS_WAITING: usize = 8;
/// Room for parts on their way, so that a large configuration does not wait for a round trip each 64 KiB.
const WINDOW: u32 = 4 * 1024 * 1024;

// === impl Exchange ===

impl Exchange<'_> {
    /// Connects and follows until the stream ends. `Ok` is never how it ends.
    pub(super) async fn run(&mut self) -> Result<std::convert::Infallible, ExchangeError> {
        let (batches, words) = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return Err(ExchangeError::Stopping),
            opened = self.open() => opened?,
        };
        let ended = self.follow(batches, words).await;
        self.tell(false);
        ended
    }

    async fn open(&self) -> Result<(Streaming<Batch>, mpsc::Sender<NodeMessage>), ExchangeError> {
        let enrolment = self.settings.enrolment.clone();
        // A file system that does not answer must not hold up everything else on this thread.
        let credentials = spawn_blocking(move || enrolment.read()).await??;
        let channel = self.connect(&credentials.ca_pem).await?;
        let (words, waiting) = mpsc::channel(WORDS_WAITING);
        say(&words, Message::Hello(self.hello())).await?;
        let mut request = Request::new(ReceiverStream::new(waiting));
        let token = format!("Bearer {}", credentials.join_token.expose());
        let mut token = MetadataValue::<Ascii>::try_from(token)?;
        token.set_sensitive(true);
        request.metadata_mut().insert("authorization", token);
        let mut client = DiscoveryClient::new(channel).max_decoding_message_size(MESSAGE_MAX);
        let batches = timeout(ANSWER_WITHIN, client.stream(request))
            .await
            .map_err(|_| ExchangeError::Silence)??
            .into_inner();
        Ok((batches, words))
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
        let held = snapshot.held().map(|(name, version)| Held {
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
        words: mpsc::Sender<NodeMessage>,
    ) -> Result<std::convert::Infallible, ExchangeError> {
        let mut assembly = Assembly::default();
        let mut told = Told::default();
        // The first at once: a control plane that has just started knows nothing of what was used.
        let mut beats = interval(self.settings.beat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stopping.cancelled() => {
                    self.leave(told, batches, words).await?;
                    return Err(ExchangeError::Stopping);
                }
                part = batches.message() => {
                    let part = part?.ok_or(ExchangeError::Closed)?;
                    let more = part.more;
                    // Hashing and parsing a mebibyte would hold up everything else on this thread.
                    assembly = spawn_blocking(move || assembly.add(part)).await??;
                    if !more {
                        let ack = self.swap(std::mem::take(&mut assembly)).await?;
                        say(&words, Message::Ack(ack)).await?;
                        self.tell(true);
                    }
                }
                _ = beats.tick() => {
                    told = self.tell_usage(told, &words).await?;
                    say(&words, Message::Beat(self.beat())).await?;
                }
            }
        }
    }

    /// Tells what was used since it was told last.
    async fn tell_usage(
        &self,
        mut told: Told,
        words: &mpsc::Sender<NodeMessage>,
    ) -> Result<Told, ExchangeError> {
        let witness = self.witness.clone();
        // Reading a hundred thousand counters would hold up everything else on this thread.
        let reading = spawn_blocking(move || (told.words(witness.consumption()), told));
        let (usages, told) = reading.await?;
        for usage in usages {
            say(words, Message::Usage(usage)).await?;
        }
        Ok(told)
    }

    /// Tells what was used at last, and waits until the control plane has read it.
    async fn leave(
        &self,
        told: Told,
        mut batches: Streaming<Batch>,
        words: mpsc::Sender<NodeMessage>,
    ) -> Result<(), ExchangeError> {
        self.tell_usage(told, &words).await?;
        drop(words);
        while batches.message().await?.is_some() {}
        Ok(())
    }

    fn beat(&self) -> Beat {
        let vitals = self.witness.vitals();
        let kind = if vitals.shares_quotas {
            LedgerKind::Redis
        } else {
            LedgerKind::InProcess
        };
        Beat {
            number: self.snapshots.load().number().get(),
            open_sessions: vitals.open_sessions,
            ledger: Some(Ledger {
                kind: kind.into(),
                fault: vitals.ledger_fault,
            }),
        }
    }

    fn tell(&self, connected: bool) {
        self.connected
            .send_if_modified(|before| std::mem::replace(before, connected) != connected);
    }

    /// Makes the next snapshot current, and only then has it kept.
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
                    "rejecting a resource; its last good version stays"
                );
            }
        }
        self.snapshots.swap(step.snapshot);
        drop(self.ready.take());
        tracing::debug!(
            number = step.ack.number,
            changed = step.changes.resources.len(),
            "configuration swapped"
        );
        self.keeper.keep(step.changes);
        Ok(step.ack)
    }
}

// === impl Assembly ===

impl Assembly {
    /// Takes one part in, and decodes what is in it.
    pub(super) fn add(mut self, part: Batch) -> Result<Self, ExchangeError> {
        if self.begun && self.number != part.number {
            return Err(ExchangeError::Mixed {
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

    /// Makes the next snapshot out of the one before.
    pub(super) fn apply(mut self, before: &Snapshot) -> Step {
        let number = RevisionNumber::new(self.number);
        let (snapshot, conflicted) = before.apply(number, &self.removals, self.upserts);
        for conflicted in conflicted {
            let name = conflicted.name.to_string();
            // If not even its last good version could stay, the cache must not bring that back.
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

async fn say(words: &mpsc::Sender<NodeMessage>, message: Message) -> Result<(), ExchangeError> {
    let word = NodeMessage {
        message: Some(message),
    };
    match timeout(ANSWER_WITHIN, words.send(word)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(ExchangeError::Closed),
        Err(_) => Err(ExchangeError::Silence),
    }
}

/// An error with what caused it: the transport's own says no more than its kind.
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
