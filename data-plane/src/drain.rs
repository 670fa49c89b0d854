//! Draining: ends the open sessions of a node in waves, so that their clients reconnect to the other nodes spread over time.
//!
//! Owns the pace. Each session closes itself (1001). Called once, by `app`, when the node is no longer ready and accepts
//! no connections.

use std::{sync::Arc, time::Duration};

use rand::seq::SliceRandom as _;
use tidegate_proto::reason::Reason;
use tokio::time::Instant;

use crate::session::{Session, registry::Registry};

/// The average time between waves; each is a little longer or shorter.
const WAVE: Duration = Duration::from_millis(100);

/// The smallest wave. A fleet of this size can reconnect at once without harm.
const SMALL_WAVE: usize = 50;

/// The share of the time in which sessions are told to end; the rest is for close handshakes.
const WAVES_SHARE: f64 = 0.75;

/// Tells every session to end, spread over `within`, and waits for them, but no longer than that.
///
/// Returns the number of sessions that are still open. Sessions that enter meanwhile are told at once.
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
    // Whether all have ended or the time is up, the number that is left tells.
    drop(tokio::time::timeout_at(until, registry.emptied()).await);
    registry.len()
}

/// As many waves as there is time for, but none smaller than the smallest.
fn waves(sessions: usize, within: Duration) -> usize {
    let time_for = within.mul_f64(WAVES_SHARE).as_millis() / WAVE.as_millis();
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
