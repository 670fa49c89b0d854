//! Keeps one projection for each environment that has had a node, and moves all of them on after each commit.
//!
//! One task, so that a hundred nodes cost one projection. The first change after a pause is projected at once; those
//! that come within the debounce after it are folded into one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tidegate_kit::tasks::Tasks;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::spawn_blocking,
    time::{Instant, sleep_until},
};

use super::States;
use crate::{domain::name::EnvironmentName, projection::Projection};

/// Asks the projecting task.
#[derive(Clone, Debug)]
pub(super) struct Projector(mpsc::Sender<Request>);

/// A projection that moves: the latest wins.
pub(super) type Projected = watch::Receiver<Arc<Projection>>;

#[derive(Debug)]
struct Request {
    environment: EnvironmentName,
    answer: oneshot::Sender<Option<Projected>>,
}

struct Projecting {
    states: States,
    debounce: Duration,
    requests: mpsc::Receiver<Request>,
    environments: BTreeMap<EnvironmentName, watch::Sender<Arc<Projection>>>,
}

/// Requests wait for the task, which answers them one by one.
const REQUESTS: usize = 64;

// === impl Projector ===

impl Projector {
    pub(super) fn start(states: States, debounce: Duration, tasks: &Tasks) -> Self {
        let (sender, requests) = mpsc::channel(REQUESTS);
        let projecting = Projecting {
            states,
            debounce,
            requests,
            environments: BTreeMap::new(),
        };
        let stopping = tasks.stopping();
        tasks.spawn("projector", async move {
            tokio::select! {
                biased;
                () = stopping.cancelled() => {}
                () = projecting.run() => {}
            }
        });
        Self(sender)
    }

    /// The projection of an environment; `None` when there is no such environment, or no more of anything.
    pub(super) async fn follow(&self, environment: EnvironmentName) -> Option<Projected> {
        let (answer, answered) = oneshot::channel();
        let request = Request {
            environment,
            answer,
        };
        self.0.send(request).await.ok()?;
        answered.await.ok().flatten()
    }
}

// === impl Projecting ===

impl Projecting {
    async fn run(mut self) {
        let mut not_before = Instant::now();
        let mut behind = false;
        loop {
            tokio::select! {
                // A change goes before those who only begin to follow.
                biased;
                () = sleep_until(not_before), if behind => {
                    behind = false;
                    self.advance().await;
                    not_before = Instant::now() + self.debounce;
                }
                changed = self.states.changed(), if !behind => match changed {
                    Ok(()) => behind = true,
                    Err(_) => return,
                },
                request = self.requests.recv() => match request {
                    Some(request) => self.answer(request).await,
                    None => return,
                },
            }
        }
    }

    async fn advance(&mut self) {
        let state = self.states.borrow_and_update().clone();
        self.environments
            .retain(|name, _| state.environments().contains_key(name));
        for projected in self.environments.values() {
            let (before, state) = (projected.borrow().clone(), state.clone());
            if before.number() == state.number() {
                continue;
            }
            // A commit may touch everything: not on a thread that serves streams.
            if let Ok(next) = spawn_blocking(move || before.advance(state)).await {
                projected.send_replace(Arc::new(next));
            }
        }
    }

    async fn answer(&mut self, request: Request) {
        let environment = request.environment;
        if !self.environments.contains_key(&environment) {
            let state = self.states.borrow().clone();
            if state.environments().contains_key(&environment) {
                let name = environment.clone();
                if let Ok(first) = spawn_blocking(move || Projection::new(state, name)).await {
                    let (sender, _) = watch::channel(Arc::new(first));
                    self.environments.insert(environment.clone(), sender);
                }
            }
        }
        let projected = self.environments.get(&environment);
        // Who asked may be gone by now.
        drop(request.answer.send(projected.map(watch::Sender::subscribe)));
    }
}
