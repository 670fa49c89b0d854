//! One node's stream: at most one batch is on its way; while it is not acknowledged, changes gather for the next.

use std::{sync::Arc, time::Duration};

use tidegate_proto::{
    discovery::v1::{Ack, Batch, Heartbeat, LedgerKind, NodeMessage, node_message::Message},
    revision::{ContentVersion, RevisionNumber},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::{
    NODES,
    diff::{HeldResources, Refusal},
    fleet::{LedgerView, Registration, RejectionView},
    projector::Projected,
};
use crate::projection::Projection;

/// A stream after its `Hello`.
pub(super) struct NodeStream {
    pub(super) name: String,
    pub(super) inbound: Streaming<NodeMessage>,
    pub(super) outbound: mpsc::Sender<Result<Batch, Status>>,
    pub(super) projected: Projected,
    pub(super) held: HeldResources,
    pub(super) node: Registration,
}

/// A batch that is not acknowledged yet.
struct Flying {
    target: Arc<Projection>,
    sent: Instant,
    answer_by: Instant,
}

/// A node says something every few seconds; one that is silent for so long is not there.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long a node may work on a batch.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// How long the connection may take for a part.
const PART_WITHIN: Duration = Duration::from_secs(60);
const REASON_MAX: usize = 500;

// === impl NodeStream ===

impl NodeStream {
    pub(super) async fn run(mut self, stopping: CancellationToken) {
        let replaced = self.node.replaced();
        let outbound = self.outbound.clone();
        let ended = tokio::select! {
            biased;
            () = stopping.cancelled() => Err(Status::unavailable("the control plane is shutting down")),
            () = replaced.cancelled() => Err(Status::aborted("another stream of the same node took over")),
            ended = self.exchange() => ended,
        };
        match ended {
            Ok(()) => self.gone("the node has closed the stream"),
            Err(status) => {
                self.gone(status.message());
                // A node that does not read is not waited for.
                drop(outbound.try_send(Err(status)));
            }
        }
    }

    fn gone(&self, reason: &str) {
        if let Some(line) = NODES.fault(&format!("{} disconnected: {reason}", self.name)) {
            let suppressed = line.suppressed;
            tracing::info!(node = self.name, reason, suppressed, "node disconnected");
        }
    }

    /// Until the node goes.
    async fn exchange(&mut self) -> Result<(), Status> {
        let mut flying: Option<Flying> = None;
        // The first batch goes out even if it is empty, so that the node knows that it is up to date.
        let mut running: Option<RevisionNumber> = None;
        let mut last_seen = Instant::now();
        loop {
            if flying.is_none() {
                let target = self.projected.borrow_and_update().clone();
                let lacks = self.held.lacks(&target);
                if running.is_none() && !lacks {
                    // Its own number is that of the last batch it got, which may be long ago.
                    self.node.runs(target.number(), self.rejections());
                }
                if running.is_none() || lacks {
                    flying = Some(self.send(target).await?);
                } else if running != Some(target.number()) {
                    // Most commits change nothing that this node runs. It runs the new number as it is.
                    running = Some(self.up_to_date(&target));
                }
            }
            let deadline = (last_seen + SILENCE_MAX).min(
                flying
                    .as_ref()
                    .map_or(last_seen + SILENCE_MAX, |batch| batch.answer_by),
            );
            tokio::select! {
                biased;
                received = timeout_at(deadline, self.inbound.message()) => {
                    let received = received.map_err(|_| Status::deadline_exceeded("the node is silent"))??;
                    last_seen = Instant::now();
                    match received.map(|it| it.message) {
                        None => {
                            self.node.goodbye();
                            return Ok(());
                        }
                        Some(Some(Message::Ack(ack))) => {
                            running = Some(self.acknowledged(ack, flying.take())?);
                        }
                        Some(Some(Message::Heartbeat(beat))) => {
                            self.alive(beat);
                        }
                        Some(Some(Message::Usage(usage))) => {
                            let lost = self.node.used(usage);
                            if lost > 0
                                && let Some(line) = NODES.fault(&format!("no room for {}", self.name))
                            {
                                let suppressed = line.suppressed;
                                tracing::warn!(node = self.name, lost, suppressed, "no room for the usage of these subscriptions that a node reports");
                            }
                        }
                        Some(Some(Message::Hello(_)) | None) => {
                            return Err(Status::invalid_argument("only the first message may be a `Hello`"));
                        }
                    }
                }
                changed = self.projected.changed(), if flying.is_none() => {
                    changed.map_err(|_| Status::not_found("the environment is gone"))?;
                }
            }
        }
    }

    async fn send(&self, target: Arc<Projection>) -> Result<Flying, Status> {
        let sent = Instant::now();
        for part in self.held.parts(&target) {
            timeout(PART_WITHIN, self.outbound.send(Ok(part)))
                .await
                .map_err(|_| Status::deadline_exceeded("the node does not read"))?
                .map_err(|_| Status::cancelled("the node is gone"))?;
        }
        Ok(Flying {
            target,
            sent,
            answer_by: Instant::now() + ANSWER_WITHIN,
        })
    }

    /// The node holds all of `target` already, but for what it refuses; gives the number of it.
    fn up_to_date(&mut self, target: &Projection) -> RevisionNumber {
        self.held.acknowledge(target, []);
        self.node.runs(target.number(), self.rejections());
        target.number()
    }

    /// What the node refuses.
    fn rejections(&self) -> Vec<RejectionView> {
        let refused = self.held.refused().iter();
        let views = refused.map(|(key, refusal)| RejectionView {
            resource: key.to_string(),
            version: refusal.version,
            reason: refusal.reason.clone(),
        });
        views.collect()
    }

    fn alive(&self, beat: Heartbeat) {
        let ledger = beat.ledger.and_then(|ledger| {
            let shared = match ledger.kind() {
                LedgerKind::Unspecified => return None,
                LedgerKind::InProcess => false,
                LedgerKind::Redis => true,
            };
            let fault = ledger.fault.chars().take(REASON_MAX).collect();
            Some(LedgerView { shared, fault })
        });
        let number = RevisionNumber::new(beat.number);
        self.node.heartbeat(number, beat.open_sessions, ledger);
    }

    fn acknowledged(&mut self, ack: Ack, flying: Option<Flying>) -> Result<RevisionNumber, Status> {
        let number = RevisionNumber::new(ack.number);
        let flying = flying
            .filter(|batch| batch.target.number() == number)
            .ok_or_else(|| {
                Status::invalid_argument(format!("nothing at number {number} is unacknowledged"))
            })?;
        let rejected = ack.rejections.into_iter().filter_map(|rejection| {
            let refusal = Refusal {
                version: ContentVersion::new(rejection.version),
                reason: rejection.reason.chars().take(REASON_MAX).collect(),
                blocked_by: rejection.blocked_by.parse().ok(),
            };
            let (node, resource) = (&self.name, &rejection.name);
            if let Some(line) =
                NODES.fault(&format!("{node} rejected {resource}: {}", refusal.reason))
            {
                tracing::warn!(
                    node,
                    resource,
                    reason = refusal.reason,
                    suppressed = line.suppressed,
                    "node rejected a resource"
                );
            }
            Some((rejection.name.parse().ok()?, refusal))
        });
        let rejected: Vec<_> = rejected.collect();
        self.held.acknowledge(&flying.target, rejected);
        self.node.acknowledged(number, self.rejections());
        tracing::debug!(node = self.name, %number, took = ?flying.sent.elapsed(), "acknowledged");
        Ok(number)
    }
}
