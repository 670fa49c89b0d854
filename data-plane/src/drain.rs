//! How a node leaves: not ready first, then nobody new, then the open sessions in waves, so that their clients come
//! back to the other nodes spread over time.
//!
//! Owns order and pace. Each session closes itself (1001). Called by `app`, once.

use std::{sync::Arc, time::Duration};

use rand::seq::SliceRandom as _;
use tidegate_proto::reason::Reason;
use tokio::time::Instant;

use crate::session::{Session, registry::Registry};

/// How long a wave is on average; each is a little longer or shorter.
const WAVE: Duration = Duration::from_millis(100);

/// Sessions that may as well be closed at once: fleets that small reconnect in one burst without harm.
const SMALL_WAVE: usize = 50;

/// The part of the time in which sessions are told; the rest is for close handshakes.
const TELLING: f64 = 0.75;

/// Tells every session to end, spread over `within`, and waits until all have, but no longer.
///
/// Returns how many are still there. Sessions that enter meanwhile are told at once.
pub async fn drain(registry: &Registry, within: Duration) -> usize {
    let until = Instant::now() + within;
    registry.drain();
    let mut sessions: Vec<Arc<Session>> = registry.by_shard().flatten().collect();
    sessions.shuffle(&mut rand::rng());
    tracing::info!(sessions = sessions.len(), ?within, "draining");
    let waves = waves(sessions.len(), within);
    for (index, wave) in sessions
        .chunks(sessions.len().div_ceil(waves).max(1))
        .enumerate()
    {
        if index > 0 {
            tokio::time::sleep(WAVE.mul_f64(rand::random_range(0.5..1.5))).await;
        }
        for session in wave {
            session.end(Reason::Draining);
        }
    }
    drop(sessions);
    // Whether they are gone or the time is up: how many are left says it.
    drop(tokio::time::timeout_at(until, registry.emptied()).await);
    registry.len()
}

/// As many waves as there is time for, but none smaller than need be.
fn waves(sessions: usize, within: Duration) -> usize {
    let time_for = within.mul_f64(TELLING).as_millis() / WAVE.as_millis();
    let time_for = usize::try_from(time_for).unwrap_or(usize::MAX);
    sessions.div_ceil(SMALL_WAVE).clamp(1, time_for.max(1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::waves;

    #[test]
    fn few_sessions_are_closed_at_once_and_many_are_spread_over_the_time_there_is() {
        let within = Duration::from_secs(20);
        assert_eq!(waves(0, within), 1);
        assert_eq!(waves(50, within), 1);
        assert_eq!(waves(2_000, within), 40);
        assert_eq!(waves(1_000_000, within), 150);
        assert_eq!(waves(1_000_000, Duration::ZERO), 1);
    }
}
