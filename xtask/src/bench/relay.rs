//! `cargo xtask bench relay`: CPU time, throughput and latency of messages, and memory of idle sessions, compared with
//! the peers.
//!
//! One proxy at a time has a core to itself; clients and backend share the other. The proxies take several turns and
//! the medians are compared, so that other load on the machine affects all equally. Called by `bench`.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::VecDeque,
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use super::{
    machine,
    table::{Table, median},
    target::{Kind, Site, Target},
    wire::{DEADLINE, Endpoint, connector, frame},
};

/// The arguments of `cargo xtask bench relay`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many turns each proxy has; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The length of a turn in milliseconds.
    #[arg(long, default_value_t = 1500)]
    millis: u64,
    /// Concurrent sessions that echo.
    #[arg(long, default_value_t = 8)]
    sessions: usize,
    /// Concurrent sessions that receive pushes.
    #[arg(long, default_value_t = 50)]
    listeners: usize,
    /// Idle sessions for the measurement of memory; 0 skips it.
    #[arg(long, default_value_t = 4000)]
    idle: usize,
    /// Only shapes whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Measure the relay alone (the example `bare_relay`, built before) instead of the data plane.
    #[arg(long)]
    bare: Vec<PathBuf>,
    /// Don't build; measure the last build.
    #[arg(long)]
    pub(super) no_build: bool,
}

/// What the sessions do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) size: usize,
    /// Messages in flight in each session; for pushes, messages in one write.
    pub(super) in_flight: usize,
    /// The time between pushes in each session; `None` for echoes.
    pub(super) every: Option<Duration>,
}

/// The load of one turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Concurrent sessions that echo.
    pub(super) sessions: usize,
    /// Concurrent sessions that receive pushes.
    pub(super) listeners: usize,
    /// The length of the turn in milliseconds.
    pub(super) millis: u64,
}

/// The results of one turn of a proxy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// CPU time per message in microseconds.
    pub(super) cpu: f64,
    /// Messages per second.
    rate: f64,
    /// Microseconds from sending to the answer.
    p50: f64,
    p99: f64,
}

/// What all sessions of a turn count.
#[derive(Debug, Default)]
struct Meter {
    messages: Cell<u64>,
    recording: Cell<bool>,
    latencies: RefCell<Vec<u32>>,
}

/// Size, messages in flight, and microseconds between pushes. Each takes a few tens of percent of a core for any of the
/// proxies, so that none falls behind and all do the same work.
const SHAPES: [(usize, usize, u64); 4] = [
    (64, 1, 1_000),
    (64, 16, 1_000),
    (1024, 4, 1_000),
    (16 << 10, 4, 16_000),
];

/// How long a proxy runs under load before it is measured.
const WARM_UP: Duration = Duration::from_millis(300);

/// How long to wait after connections were opened or closed, before memory is measured.
const SETTLE: Duration = Duration::from_millis(700);

impl Shape {
    fn all() -> impl Iterator<Item = Self> {
        [false, true].into_iter().flat_map(|push| {
            SHAPES
                .into_iter()
                .map(move |(size, in_flight, every)| Self {
                    size,
                    in_flight,
                    every: push.then_some(Duration::from_micros(every)),
                })
        })
    }

    pub(super) fn name(self) -> String {
        let size = match self.size {
            size @ 0..1024 => format!("{size} B"),
            size => format!("{} KiB", size / 1024),
        };
        if self.every.is_some() {
            format!("push {size}, {} a write", self.in_flight)
        } else {
            format!("echo {size}, {} in flight", self.in_flight)
        }
    }
}

/// Measures all shapes and prints the tables.
///
/// # Errors
/// When a proxy doesn't start or doesn't relay.
pub(super) async fn run(args: &Args, site: &Site) -> anyhow::Result<()> {
    let targets = start(args, site).await?;
    let names: Vec<_> = targets.iter().map(|target| target.kind).collect();
    let load = Load {
        sessions: args.sessions,
        listeners: args.listeners,
        millis: args.millis,
    };
    let mut cpu = Table::new("CPU per message (µs)", &names, true);
    let mut rate = Table::new("messages per second", &names, false);
    let mut p50 = Table::new("latency p50 (µs)", &names, true);
    let mut p99 = Table::new("latency p99 (µs)", &names, true);
    for shape in Shape::all() {
        let name = shape.name();
        if args.only.as_ref().is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let mut turns = vec![Vec::new(); targets.len()];
        for _ in 0..args.rounds {
            for (target, turns) in targets.iter().zip(&mut turns) {
                let turn = measure(load, &target.endpoint, &target.pids, shape, site.epoch).await;
                turns.push(turn.with_context(|| format!("{}, {name}", target.kind.name()))?);
            }
        }
        let of = |field: fn(&Turn) -> f64| -> Vec<f64> {
            turns
                .iter()
                .map(|turns| median(turns.iter().map(field)))
                .collect()
        };
        cpu.row(&name, of(|turn| turn.cpu));
        rate.row(&name, of(|turn| turn.rate));
        p50.row(&name, of(|turn| turn.p50));
        p99.row(&name, of(|turn| turn.p99));
        eprintln!("    {name}: done");
    }
    for table in [cpu, rate, p50, p99] {
        table.print();
    }
    if args.idle > 0 {
        let mut memory = Table::new("memory per idle session (bytes)", &names, true);
        for tls in [false, true] {
            let mut weights = Vec::new();
            for target in &targets {
                weights.push(idle_memory(target, args.idle, tls).await?);
            }
            memory.row(if tls { "wss" } else { "ws" }, weights);
        }
        memory.print();
    }
    Ok(())
}

async fn start(args: &Args, site: &Site) -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::new();
    if args.bare.is_empty() {
        targets.push(site.start_tidegate().await?);
    }
    for program in &args.bare {
        targets.push(site.start_bare(program).await?);
    }
    for kind in Kind::peers() {
        targets.push(site.start(kind).await?);
    }
    Ok(targets)
}

/// Measures one turn of a proxy, whose processes are `pids`.
pub(super) async fn measure(
    load: Load,
    endpoint: &Endpoint,
    pids: &[u32],
    shape: Shape,
    epoch: Instant,
) -> anyhow::Result<Turn> {
    let meter = Rc::new(Meter::default());
    let mut sessions = JoinSet::new();
    let (query, count) = match shape.every {
        Some(every) => {
            let every = every.as_micros();
            let query = format!("push={}x{}x{every}", shape.size, shape.in_flight);
            (query, load.listeners)
        }
        None => ("echo".to_owned(), load.sessions),
    };
    for _ in 0..count {
        let (io, have) = timeout(DEADLINE, endpoint.open(&query)).await??;
        let meter = meter.clone();
        if shape.every.is_some() {
            sessions.spawn_local(receive(io, have, shape.size, meter, epoch));
        } else {
            sessions.spawn_local(echo(io, shape, meter));
        }
    }
    tokio::time::sleep(WARM_UP).await;
    let before = (meter.messages.get(), machine::cpu(pids)?, Instant::now());
    meter.recording.set(true);
    tokio::time::sleep(Duration::from_millis(load.millis)).await;
    meter.recording.set(false);
    let messages = (meter.messages.get() - before.0) as f64;
    let used = machine::cpu(pids)? - before.1;
    let took = before.2.elapsed();
    if let Some(ended) = sessions.try_join_next() {
        ended?.context("a session ended while it was measured")?;
    }
    anyhow::ensure!(messages > 0.0, "no message came through");
    drop(sessions);
    let mut latencies = meter.latencies.take();
    latencies.sort_unstable();
    let at = |share: f64| {
        let place = (latencies.len() as f64 * share) as usize;
        latencies
            .get(place)
            .map_or(f64::NAN, |nanos| f64::from(*nanos) / 1e3)
    };
    // Gives the proxy time to close its connections before the next turn.
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(Turn {
        cpu: used.as_secs_f64() * 1e6 / messages,
        rate: messages / took.as_secs_f64(),
        p50: at(0.5),
        p99: at(0.99),
    })
}

/// Keeps messages in flight and counts the answers.
async fn echo(mut io: TcpStream, shape: Shape, meter: Rc<Meter>) -> anyhow::Result<()> {
    let question = frame(shape.size, true);
    let answer = frame(shape.size, false);
    let questions = question.repeat(shape.in_flight);
    let mut sent = VecDeque::from(vec![Instant::now(); shape.in_flight]);
    io.write_all(&questions).await?;
    let mut buffer = vec![0; 256 << 10];
    let mut have = 0;
    loop {
        let n = io.read(&mut buffer).await?;
        anyhow::ensure!(n > 0, "the connection ended");
        if have == 0 {
            anyhow::ensure!(buffer[0] == answer[0], "the stream is out of step");
        }
        have += n;
        let whole = have / answer.len();
        have %= answer.len();
        if whole > 0 {
            let now = Instant::now();
            meter.messages.set(meter.messages.get() + whole as u64);
            if meter.recording.get() {
                let mut latencies = meter.latencies.borrow_mut();
                let waits = sent.iter().take(whole);
                latencies.extend(waits.map(|sent| (now - *sent).as_nanos() as u32));
            }
            sent.drain(..whole);
            sent.extend(std::iter::repeat_n(now, whole));
            io.write_all(&questions[..whole * question.len()]).await?;
        }
    }
}

/// Counts pushed messages, and takes the latency from the first payload of each read.
async fn receive(
    mut io: TcpStream,
    have: usize,
    size: usize,
    meter: Rc<Meter>,
    epoch: Instant,
) -> anyhow::Result<()> {
    let length = frame(size, false).len();
    let header = length - size;
    let mut buffer = vec![0; 256 << 10];
    // The bytes of the current frame that are still missing. Bytes that came with the handshake were discarded.
    let mut missing = (length - have % length) % length;
    loop {
        let n = io.read(&mut buffer).await?;
        anyhow::ensure!(n > 0, "the connection ended");
        if n < missing {
            missing -= n;
            continue;
        }
        let frames = &buffer[missing..n];
        let finished = usize::from(missing > 0);
        if let Some(time) = frames.get(header..header + 8) {
            anyhow::ensure!(frames[0] == 0x82, "the stream is out of step");
            if meter.recording.get() {
                let sent = time
                    .iter()
                    .fold(0, |time, byte| time << 8 | u64::from(*byte));
                let waited = (epoch.elapsed().as_nanos() as u64).saturating_sub(sent);
                meter.latencies.borrow_mut().push(waited as u32);
            }
        }
        let whole = finished + frames.len() / length;
        meter.messages.set(meter.messages.get() + whole as u64);
        missing = (length - frames.len() % length) % length;
    }
}

/// The resident memory that an idle session adds to a proxy, in bytes; NaN if it has no such endpoint.
async fn idle_memory(target: &Target, count: usize, tls: bool) -> anyhow::Result<f64> {
    if tls && target.tls.is_none() {
        return Ok(f64::NAN);
    }
    // A few sessions first, so that one-time allocations of the proxy aren't counted.
    let mut held = Vec::new();
    for _ in 0..50 {
        held.push(idle(target, tls).await?);
    }
    tokio::time::sleep(SETTLE).await;
    let before = machine::resident(&target.pids)?;
    for _ in 0..count {
        held.push(idle(target, tls).await?);
    }
    tokio::time::sleep(SETTLE).await;
    let after = machine::resident(&target.pids)?;
    drop(held);
    tokio::time::sleep(SETTLE).await;
    Ok((after as f64 - before as f64) / count as f64)
}

/// An open session without messages.
async fn idle(target: &Target, tls: bool) -> anyhow::Result<Box<dyn Any>> {
    Ok(match target.tls.filter(|_| tls) {
        None => Box::new(target.endpoint.open("idle").await?),
        Some(address) => {
            let io = TcpStream::connect(address).await?;
            let io = connector().connect("localhost".try_into()?, io).await?;
            Box::new(target.endpoint.upgrade(io, "idle").await?)
        }
    })
}
