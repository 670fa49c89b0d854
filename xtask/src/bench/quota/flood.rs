//! Sends more messages than a limit allows, at a known rate. The echoes are the admitted messages.

use std::{cell::Cell, rc::Rc, time::Duration};

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::bench::wire::{DEADLINE, Endpoint, frame};

/// How the messages are distributed over gateways and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Evenly over the gateways, at a steady rate.
    Even,
    /// Each gateway gets half of what the gateways before it left, in bursts.
    Skewed,
}

/// One flood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flood {
    pub(super) demand: u64,
    pub(super) way: Way,
    pub(super) seconds: Duration,
}

/// Payload bytes of a message.
const SIZE: usize = 16;

/// The time between two sends of a session in a steady flood, and in one with bursts.
const STEADY: Duration = Duration::from_millis(20);
const BURSTS: Duration = Duration::from_secs(2);

/// The flood is over when no echo has arrived for so long.
const SILENCE: Duration = Duration::from_millis(1500);

// === impl Way ===

impl Way {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Even => "even and steady",
            Self::Skewed => "skewed and in bursts",
        }
    }

    fn shares(self, demand: u64, nodes: usize) -> Vec<u64> {
        let mut left = demand;
        let mut shares = Vec::new();
        for node in 0..nodes {
            let nodes_left = (nodes - node) as u64;
            let share = match self {
                Self::Even => left / nodes_left,
                Self::Skewed if nodes_left > 1 => left.div_ceil(2),
                Self::Skewed => left,
            };
            left -= share;
            shares.push(share);
        }
        shares
    }
}

// === impl Flood ===

impl Flood {
    /// Sends everything, with one session at each endpoint, and counts the echoes.
    pub(super) async fn run(self, endpoints: &[Endpoint]) -> anyhow::Result<u64> {
        let admitted = Rc::new(Cell::new(0));
        let mut sending = JoinSet::new();
        let mut reading = JoinSet::new();
        for (endpoint, share) in endpoints
            .iter()
            .zip(self.way.shares(self.demand, endpoints.len()))
        {
            let (io, have) = timeout(DEADLINE, endpoint.open("echo")).await??;
            ensure!(have == 0, "the backend sent data first");
            let (read, write) = io.into_split();
            reading.spawn_local(count(read, admitted.clone()));
            sending.spawn_local(self.send(share, write));
        }
        let mut open = Vec::new();
        while let Some(sent) = sending.join_next().await {
            // Kept, so that no session ends before everything is counted.
            open.push(sent??);
        }
        let mut before = u64::MAX;
        while before != admitted.get() {
            before = admitted.get();
            sleep(SILENCE).await;
        }
        if let Some(ended) = reading.try_join_next() {
            ended?.context("a session ended in the flood")?;
        }
        Ok(before)
    }

    async fn send(
        self,
        share: u64,
        mut io: tokio::net::tcp::OwnedWriteHalf,
    ) -> anyhow::Result<tokio::net::tcp::OwnedWriteHalf> {
        let one = frame(SIZE, true);
        let every = match self.way {
            Way::Even => STEADY,
            Way::Skewed => BURSTS,
        };
        let steps = (self.seconds.as_millis() / every.as_millis()).max(1) as u64;
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for step in 1..=steps {
            ticks.tick().await;
            let count = share * step / steps - share * (step - 1) / steps;
            io.write_all(&one.repeat(count as usize)).await?;
        }
        Ok(io)
    }
}

async fn count(
    mut io: tokio::net::tcp::OwnedReadHalf,
    admitted: Rc<Cell<u64>>,
) -> anyhow::Result<()> {
    let length = frame(SIZE, false).len();
    let mut buffer = vec![0; 64 << 10];
    let mut have = 0;
    loop {
        let n = io.read(&mut buffer).await?;
        ensure!(n > 0, "the connection ended");
        have += n;
        admitted.set(admitted.get() + (have / length) as u64);
        have %= length;
    }
}

/// Waits until a gateway opens sessions for this endpoint's token, and returns the endpoint.
pub(super) async fn until_open(endpoint: Endpoint) -> anyhow::Result<Endpoint> {
    let opened = async {
        let mut ticks = interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            if let Ok((io, _)) = endpoint.open("echo").await {
                return io;
            }
        }
    };
    let io: TcpStream = timeout(DEADLINE, opened)
        .await
        .with_context(|| format!("{} doesn't open {}", endpoint.address, endpoint.target))?;
    drop(io);
    Ok(endpoint)
}

/// Waits until the gateway passes a message: a new ledger first learns what other nodes hold.
pub(super) async fn until_answered(endpoint: Endpoint) -> anyhow::Result<Endpoint> {
    let endpoint = until_open(endpoint).await?;
    let (mut io, _) = endpoint.open("echo").await?;
    io.write_all(&frame(64, true)).await?;
    timeout(DEADLINE, io.read_u8()).await.with_context(|| {
        format!(
            "{} passes no message to {}",
            endpoint.address, endpoint.target
        )
    })??;
    Ok(endpoint)
}
