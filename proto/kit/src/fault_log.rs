//! Rate limit for log lines about faults that recur: each new fault is logged once, and faults that alternate get no more
//! than a few lines a minute, however often they occur.
//!
//! Decides when a line may be logged, and logs nothing itself: the caller writes the line, with the number of occurrences
//! that were suppressed before it. Both planes use it wherever something is retried.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The recent log lines about one thing that can fail. Shared by reference.
#[derive(Debug)]
pub struct FaultLog {
    /// Lines in any minute.
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last: Last,
    logged_at: Option<Instant>,
    /// When the lines of the last minute were logged; at most `most`.
    lines: VecDeque<Instant>,
    suppressed: u64,
}

/// What the last line said.
#[derive(Debug, PartialEq, Eq)]
enum Last {
    Nothing,
    Fault(String),
    Recovery,
}

/// A line that the caller is to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// How many occurrences were not logged since the line before.
    pub suppressed: u64,
}

const MINUTE: Duration = Duration::from_secs(60);

/// After how long a fault that persists is logged again.
const REMIND: Duration = Duration::from_secs(600);

// === impl FaultLog ===

impl FaultLog {
    /// Allows at most this many lines in any minute.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self {
            most,
            state: Mutex::new(State {
                last: Last::Nothing,
                logged_at: None,
                lines: VecDeque::new(),
                suppressed: 0,
            }),
        }
    }

    /// A fault has occurred. It is logged when the last line said something else, or was logged ten minutes ago, and the
    /// limit allows it.
    pub fn fault(&self, text: &str) -> Option<Line> {
        let now = Instant::now();
        let mut state = self.lock();
        let is_last = matches!(&state.last, Last::Fault(last) if last == text);
        let is_recent = state.logged_at.is_some_and(|at| now - at < REMIND);
        if is_last && is_recent {
            state.suppressed = state.suppressed.saturating_add(1);
            return None;
        }
        let line = state.line(now, self.most)?;
        state.last = Last::Fault(text.to_owned());
        Some(line)
    }

    /// The fault is over. The recovery is logged if the last line was about a fault and the limit allows it; if not, a later
    /// call may log it.
    pub fn recovered(&self) -> Option<Line> {
        let mut state = self.lock();
        if !matches!(state.last, Last::Fault(_)) {
            return None;
        }
        let line = state.line(Instant::now(), self.most)?;
        state.last = Last::Recovery;
        Some(line)
    }

    /// The fault is over, and that isn't logged. If it occurs again, it counts as new.
    pub fn rearm(&self) {
        self.lock().last = Last::Nothing;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    /// Takes one of the lines that the limit allows.
    fn line(&mut self, now: Instant, most: usize) -> Option<Line> {
        while self.lines.front().is_some_and(|at| now - *at >= MINUTE) {
            self.lines.pop_front();
        }
        if self.lines.len() >= most {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.lines.push_back(now);
        self.logged_at = Some(now);
        let suppressed = std::mem::take(&mut self.suppressed);
        Some(Line { suppressed })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::{FaultLog, Line};

    const ONE: Option<Line> = Some(Line { suppressed: 0 });

    #[tokio::test(start_paused = true)]
    async fn a_persistent_fault_is_logged_once_and_again_after_ten_minutes() {
        let log = FaultLog::new(5);
        assert_eq!(log.recovered(), None);
        assert_eq!(log.fault("refused"), ONE);
        for _ in 0..100 {
            advance(Duration::from_secs(1)).await;
            assert_eq!(log.fault("refused"), None);
        }
        advance(Duration::from_secs(500)).await;
        assert_eq!(log.fault("refused"), Some(Line { suppressed: 100 }));
        assert_eq!(log.recovered(), ONE);
        assert_eq!(log.recovered(), None);
        assert_eq!(log.fault("refused"), ONE);
    }

    #[tokio::test(start_paused = true)]
    async fn alternating_faults_get_a_few_lines_a_minute_and_all_are_counted() {
        let log = FaultLog::new(5);
        let (mut lines, mut counted) = (Vec::new(), 0);
        for n in 0..6_000 {
            let line = match n % 3 {
                0 => log.fault("refused"),
                1 => log.fault("no answer"),
                _ => log.recovered(),
            };
            if let Some(line) = line {
                lines.push(n);
                counted += 1 + line.suppressed;
            }
            advance(Duration::from_millis(100)).await;
        }
        // Ten minutes, ten occurrences a second.
        assert!((45..=50).contains(&lines.len()), "{}", lines.len());
        for window in lines.windows(6) {
            assert!(window[5] - window[0] >= 600, "{window:?}");
        }
        assert!(counted > 5_000, "{counted}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_state_is_logged_as_soon_as_the_limit_allows_it() {
        let log = FaultLog::new(2);
        log.fault("a");
        log.fault("b");
        assert_eq!(log.recovered(), None);
        advance(Duration::from_secs(60)).await;
        assert!(log.recovered().is_some());
        assert_eq!(log.recovered(), None);
        log.fault("c");
        assert_eq!(log.fault("d"), None);
        advance(Duration::from_secs(60)).await;
        assert!(log.fault("d").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_that_was_over_is_logged_when_it_recurs() {
        let log = FaultLog::new(5);
        assert!(log.fault("a").is_some());
        assert_eq!(log.fault("a"), None);
        log.rearm();
        assert!(log.fault("a").is_some());
    }
}
