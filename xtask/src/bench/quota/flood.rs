//! More messages than a limit lets through, at a known pace; the echoes that come back are what was admitted.

use std::{cell::Cell, rc::Rc, time::Duration};

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::bench::wire::{Door, PATIENCE, frame};

/// How the messages are spread over gateways and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The same at each gateway, steadily.
    Even,
    /// Half of what is left at each gateway after the one before, in bursts.
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

/// How often a session sends in a steady flood, and in one that comes in bursts.
const STEADY: Duration = Duration::from_millis(20);
const BURSTS: Duration = Duration::from_secs(2);

/// How long nothing must come back before the flood is over.
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
    /// Sends everything, a session through each door, and counts what comes back.
    pub(super) async fn run(self, doors: &[Door]) -> anyhow::Result<u64> {
        let admitted = Rc::new(Cell::new(0));
        let mut sending = JoinSet::new();
        let mut reading = JoinSet::new();
        for (door, share) in doors.iter().zip(self.way.shares(self.demand, doors.len())) {
            let (io, have) = timeout(PATIENCE, door.open("echo")).await??;
            ensure!(have == 0, "the backend speaks unasked");
            let (read, write) = io.into_split();
            reading.spawn_local(count(read, admitted.clone()));
            sending.spawn_local(self.send(share, write));
        }
        let mut open = Vec::new();
        while let Some(sent) = sending.join_next().await {
            // Kept, so that no session ends before all is counted.
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

/// Waits until a gateway opens sessions for this door's token, and gives the door back.
pub(super) async fn until_open(door: Door) -> anyhow::Result<Door> {
    let opened = async {
        let mut ticks = interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            if let Ok((io, _)) = door.open("echo").await {
                return io;
            }
        }
    };
    let io: TcpStream = timeout(PATIENCE, opened)
        .await
        .with_context(|| format!("{} does not open {}", door.address, door.target))?;
    drop(io);
    Ok(door)
}

/// Waits until the gateway lets a message through: a ledger that has just begun learns first what others hold.
pub(super) async fn until_answered(door: Door) -> anyhow::Result<Door> {
    let door = until_open(door).await?;
    let (mut io, _) = door.open("echo").await?;
    io.write_all(&frame(64, true)).await?;
    timeout(PATIENCE, io.read_u8())
        .await
        .with_context(|| format!("{} lets nothing through {}", door.address, door.target))??;
    Ok(door)
}
