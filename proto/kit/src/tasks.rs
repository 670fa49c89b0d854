//! Tracked, named tasks that can be told to stop. All tasks are spawned through here, so that none outlives a shutdown
//! unnoticed.

use std::{future::Future, time::Duration};

use tokio::{runtime::Handle, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

/// The tasks of a process, or of one of its runtimes.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    runtime: Handle,
}

impl Tasks {
    /// Tracks tasks on the caller's runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn current() -> Self {
        Self::on(Handle::current())
    }

    /// Tracks tasks on the given runtime.
    #[must_use]
    pub fn on(runtime: Handle) -> Self {
        Self {
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            runtime,
        }
    }

    /// Spawns a task in a span with its name. It should end soon after [`Self::stopping`] is cancelled.
    pub fn spawn<F>(&self, name: &'static str, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let span = tracing::debug_span!("task", name);
        self.tracker.spawn_on(task.instrument(span), &self.runtime)
    }

    /// Spawns a task without a span. For the tasks of connections, where a span each would cost memory.
    pub fn spawn_bare<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tracker.spawn_on(task, &self.runtime)
    }

    /// Cancelled when the tasks are told to stop.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// How many tasks are running.
    #[must_use]
    pub fn running(&self) -> usize {
        self.tracker.len()
    }

    /// Tells the tasks to stop and waits for them, but no longer than `deadline`. Returns how many are still running.
    pub async fn shut_down(&self, deadline: Duration) -> usize {
        self.tracker.close();
        self.stop.cancel();
        // The number of tasks shows whether the deadline passed.
        drop(tokio::time::timeout(deadline, self.tracker.wait()).await);
        self.tracker.len()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use super::Tasks;

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_waits_for_tasks_that_stop_and_counts_those_that_do_not() {
        let tasks = Tasks::current();
        let stopping = tasks.stopping();
        tasks.spawn("obedient", async move { stopping.cancelled().await });
        tasks.spawn("deaf", pending::<()>());
        assert_eq!(tasks.running(), 2);
        assert_eq!(tasks.shut_down(Duration::from_secs(1)).await, 1);
    }
}
