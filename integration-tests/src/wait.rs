//! Waiting for a condition, with a deadline that fails the test and says what was waited for. The only place in the
//! tests where time is let pass.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// What the slowest machine that runs the tests needs for one step, many times over.
pub const DEADLINE: Duration = Duration::from_secs(20);

const LOOK: Duration = Duration::from_millis(10);

/// Waits until the condition yields a value.
///
/// # Panics
/// When it does not within [`DEADLINE`].
pub async fn until<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(DEADLINE, what, condition).await
}

/// Waits until the condition yields a value, for as long as the caller says.
///
/// # Panics
/// When it does not in time.
pub async fn until_within<T>(
    deadline: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(
            began.elapsed() < deadline,
            "waited {deadline:?} in vain: {what}"
        );
        sleep(LOOK).await;
    }
}

/// Waits for a future.
///
/// # Panics
/// When it is not ready within [`DEADLINE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {DEADLINE:?} in vain: {what}"),
    }
}

/// Lets time pass, where an outage of some length is the very thing under test.
pub async fn pass(time: Duration) {
    sleep(time).await;
}
