//! `cargo xtask bench handshake`: the CPU that a session costs from accept to its end, with nothing said in it.
//!
//! The data plane checks a token at each; the peers check nothing. Tokens that it saw before, and tokens at first sight,
//! are told apart. Called by `bench`.

use std::{cell::RefCell, rc::Rc, time::Duration};

use anyhow::Context as _;
use tokio::{io::AsyncWriteExt as _, task::JoinSet, time::timeout};

use super::{
    machine,
    table::{Table, median},
    target::{Kind, Site, Target},
    wire::{Door, PATIENCE},
};

/// The arguments of `cargo xtask bench handshake`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How often each proxy has its turn; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Handshakes a turn.
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Handshakes at once.
    #[arg(long, default_value_t = 8)]
    at_once: usize,
    /// Measure what was built last.
    #[arg(long)]
    pub(super) no_build: bool,
}

/// How long the last sessions of a turn get to end.
const SETTLE: Duration = Duration::from_millis(300);

/// Measures and prints.
///
/// # Errors
/// When a proxy does not start or refuses a handshake.
pub(super) async fn run(args: &Args, site: &Site) -> anyhow::Result<()> {
    let mut targets = vec![site.start_tidegate().await?];
    for kind in Kind::peers() {
        targets.push(site.start(kind).await?);
    }
    let names: Vec<_> = targets.iter().map(|target| target.kind).collect();
    // Each is used once in all rounds; asked for before anything is measured.
    let tokens = targets[0].tokens(args.count * args.rounds).await?;
    let mut fresh = tokens.chunks(args.count);
    let mut costs = vec![Vec::new(); targets.len()];
    let mut first = Vec::new();
    for _ in 0..args.rounds {
        for (target, costs) in targets.iter().zip(&mut costs) {
            let tokens = vec![target.door.token.clone(); args.count];
            costs.push(turn(args, target, tokens).await?);
        }
        let tokens = fresh.next().context("a chunk of tokens for each round")?;
        let tokens = tokens.iter().cloned().map(Some).collect();
        first.push(turn(args, &targets[0], tokens).await?);
    }
    let mut table = Table::new("CPU per handshake (µs)", &names, true).beside(Kind::Haproxy);
    let mut costs: Vec<f64> = costs
        .into_iter()
        .map(|costs| median(costs.into_iter()))
        .collect();
    table.row("a token seen before", costs.clone());
    costs[0] = median(first.into_iter());
    table.row("a token at first sight", costs);
    table.print();
    Ok(())
}

/// Opens a session with each token and ends it; microseconds of CPU for one.
async fn turn(args: &Args, target: &Target, tokens: Vec<Option<String>>) -> anyhow::Result<f64> {
    let count = tokens.len() as f64;
    let tokens = Rc::new(RefCell::new(tokens));
    let before = machine::cpu(&target.pids)?;
    let mut visitors = JoinSet::new();
    for _ in 0..args.at_once {
        visitors.spawn_local(visit(target.door.clone(), tokens.clone()));
    }
    while let Some(visitor) = visitors.join_next().await {
        visitor?.context(target.kind.name())?;
    }
    // What the visitors left is still being closed.
    tokio::time::sleep(SETTLE).await;
    Ok((machine::cpu(&target.pids)? - before).as_secs_f64() * 1e6 / count)
}

/// Opens sessions one after the other, and hangs up.
async fn visit(door: Door, tokens: Rc<RefCell<Vec<Option<String>>>>) -> anyhow::Result<()> {
    loop {
        let Some(token) = tokens.borrow_mut().pop() else {
            return Ok(());
        };
        let door = Door {
            token,
            ..door.clone()
        };
        let (mut io, _) = timeout(PATIENCE, door.open("handshake")).await??;
        io.shutdown().await?;
    }
}
