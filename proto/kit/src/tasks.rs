//! Tasks that are tracked, named and told to stop. Nothing is spawned but through here, so nothing outlives a shutdown
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
    /// Tracks tasks on the runtime of the caller, which must be inside one.
    #[must_use]
    pub fn current() -> Self {
        Self::on(Handle::current())
    }

    /// Tracks tasks on a given runtime.
    #[must_use]
    pub fn on(runtime: Handle) -> Self {
        Self {
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            runtime,
        }
    }

    /// Spawns a task under a span of its name. It should end soon after [`Self::stopping`] fires.
    pub fn spawn<F>(&self, name: &'static str, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let span = tracing::debug_span!("task", name);
        self.tracker.spawn_on(task.instrument(span), &self.runtime)
    }

    /// Spawns a task without a span, where there is one for each connection and a span would cost memory.
    pub fn spawn_bare<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tracker.spawn_on(task, &self.runtime)
    }

    /// Fires when the tasks are told to stop.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// How many tasks run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.tracker.len()
    }

    /// Tells the tasks to stop and waits until they have, but no longer than `deadline`.
    ///
    /// Returns how many still run.
    pub async fn shut_down(&self, deadline: Duration) -> usize {
        self.tracker.close();
        self.stop.cancel();
        // Whether the wait was cut short is seen in what is left.
        drop(tokio::time::timeout(deadline, self.tracker.wait()).await);
        self.tracker.len()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use super::Tasks;

    #[tokio::test(start_paused = true)]
    async fn shutting_down_waits_for_those_that_stop_and_counts_those_that_do_not() {
        let tasks = Tasks::current();
        let stopping = tasks.stopping();
        tasks.spawn("obedient", async move { stopping.cancelled().await });
        tasks.spawn("deaf", pending::<()>());
        assert_eq!(tasks.running(), 2);
        assert_eq!(tasks.shut_down(Duration::from_secs(1)).await, 1);
    }
}
