//! When signing keys are made and when they take turns: one at first start, a new one when the current one is old, of
//! another algorithm than configured, or when an admin asks. Moving them along is a use case; this says when to.

use std::{sync::Arc, time::Duration};

use tidegate_kit::tasks::Tasks;
use tokio_util::sync::CancellationToken;

use super::signer::{SignerError, generate};
use crate::{
    config::{OauthConfig, SigningAlgorithm},
    domain::{
        actor::Actor,
        signing::{Algorithm, SigningKey, SigningKeyState},
        time::Timestamp,
    },
    service::{Service, error::ServiceError},
};

/// Makes and turns the signing keys.
#[derive(Clone)]
pub struct Rotation {
    service: Service,
    schedule: Schedule,
    /// Since when this process tells nodes the keys that it keeps.
    telling_since: Timestamp,
}

/// When keys take turns.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    algorithm: Algorithm,
    token_lifetime: Duration,
    rotate_after: Duration,
    publish_ahead: Duration,
}

/// A key that could not be made or kept.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// Refused or not stored.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Not made.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The thread that made it died.
    #[error("making the key was cut short: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// How often the schedule is looked at. Nothing depends on the second at which a key takes its turn.
const LOOK_EVERY: Duration = Duration::from_secs(5);

// === impl Rotation ===

impl Rotation {
    /// The rotation of a key manager's keys.
    #[must_use]
    pub fn new(service: Service, config: &OauthConfig) -> Self {
        let seconds = |n: u32| Duration::from_secs(u64::from(n));
        Self {
            telling_since: service.now(),
            service,
            schedule: Schedule {
                algorithm: match config.algorithm {
                    SigningAlgorithm::Es256 => Algorithm::Es256,
                    SigningAlgorithm::Rs256 => Algorithm::Rs256,
                },
                token_lifetime: seconds(config.token_lifetime_seconds),
                rotate_after: seconds(config.rotate_after_days) * 86_400,
                publish_ahead: seconds(config.publish_ahead_seconds),
            },
        }
    }

    /// Makes a new key, published from now on, which signs once everybody knows it.
    ///
    /// # Errors
    /// When the actor may not, or a new key waits already.
    pub async fn rotate(&self, actor: &Actor) -> Result<Arc<SigningKey>, RotationError> {
        // Asked first, so that nobody has keys made who may not see them.
        self.service.list_signing_keys(actor)?;
        let algorithm = self.schedule.algorithm;
        let key = tokio::task::spawn_blocking(move || generate(algorithm)).await??;
        let signs_from = self.service.now().after(self.schedule.publish_ahead);
        let lifetime = self.schedule.token_lifetime;
        let added = self
            .service
            .add_signing_key(actor, key, signs_from, lifetime);
        Ok(added.await?)
    }

    /// Does what is due: makes the first key, makes the next one, lets keys take turns, drops those that are done.
    ///
    /// # Errors
    /// When something could not be made or stored; nothing is lost by trying again.
    pub async fn look(&self) -> Result<(), RotationError> {
        let system = Actor::system();
        let lifetime = self.schedule.token_lifetime;
        self.service.note_token_lifetime(&system, lifetime).await?;
        // A key may have come due while the process was down, and no node can have heard of it then.
        if self.service.now().since(self.telling_since) >= self.schedule.publish_ahead {
            self.service.advance_signing_keys(&system).await?;
        }
        if self.is_due() {
            let key = self.rotate(&system).await?;
            tracing::info!(kid = %key.id, algorithm = %key.algorithm, "made a signing key");
        }
        Ok(())
    }

    /// Looks every few seconds until the tasks are told to stop.
    pub fn start(&self, tasks: &Tasks) {
        tasks.spawn("signing keys", self.clone().run(tasks.stopping()));
    }

    async fn run(self, stopping: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Err(cause) = self.look().await {
                tracing::error!(%cause, "the signing keys could not be moved along");
            }
        }
    }

    /// Whether a key must be made: there is none, or none waits and the current one is old or of another algorithm.
    fn is_due(&self) -> bool {
        let state = self.service.state();
        let Some(current) = state.active_signing_key() else {
            return true;
        };
        let one_waits = state
            .signing_keys()
            .values()
            .any(|key| matches!(key.state, SigningKeyState::Next { .. }));
        let age = self.service.now().since(current.created_at);
        !one_waits
            && (age >= self.schedule.rotate_after || current.algorithm != self.schedule.algorithm)
    }
}
