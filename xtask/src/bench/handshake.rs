//! `cargo xtask bench handshake`: the CPU time of a session from accept to close, without messages.
//!
//! The data plane verifies a token for each session; the peers verify nothing. Cached and new tokens are measured
//! separately. Called by `bench`.

use std::{cell::RefCell, rc::Rc, time::Duration};

use anyhow::Context as _;
use tokio::{io::AsyncWriteExt as _, task::JoinSet, time::timeout};

use super::{
    machine,
    table::{Table, median},
    target::{Kind, Site, Target},
    wire::{DEADLINE, Endpoint},
};

/// The arguments of `cargo xtask bench handshake`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many turns each proxy has; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Handshakes in a turn.
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Handshakes at once.
    #[arg(long, default_value_t = 8)]
    at_once: usize,
    /// Don't build; measure the last build.
    #[arg(long)]
    pub(super) no_build: bool,
}

/// How long the last sessions of a turn have to close.
const SETTLE: Duration = Duration::from_millis(300);

/// Measures and prints.
///
/// # Errors
/// When a proxy doesn't start or refuses a handshake.
pub(super) async fn run(args: &Args, site: &Site) -> anyhow::Result<()> {
    let mut targets = vec![site.start_tidegate().await?];
    for kind in Kind::peers() {
        targets.push(site.start(kind).await?);
    }
    let names: Vec<_> = targets.iter().map(|target| target.kind).collect();
    // Each token is used once in all rounds; all are issued before anything is measured.
    let tokens = targets[0].tokens(args.count * args.rounds).await?;
    let mut fresh = tokens.chunks(args.count);
    let mut costs = vec![Vec::new(); targets.len()];
    let mut first = Vec::new();
    for _ in 0..args.rounds {
        for (target, costs) in targets.iter().zip(&mut costs) {
            let tokens = vec![target.endpoint.token.clone(); args.count];
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

/// Opens and closes a session with each token. Returns the microseconds of CPU time for one.
async fn turn(args: &Args, target: &Target, tokens: Vec<Option<String>>) -> anyhow::Result<f64> {
    let count = tokens.len() as f64;
    let tokens = Rc::new(RefCell::new(tokens));
    let before = machine::cpu(&target.pids)?;
    let mut clients = JoinSet::new();
    for _ in 0..args.at_once {
        clients.spawn_local(open_and_close(target.endpoint.clone(), tokens.clone()));
    }
    while let Some(client) = clients.join_next().await {
        client?.context(target.kind.name())?;
    }
    // The last connections are still being closed.
    tokio::time::sleep(SETTLE).await;
    Ok((machine::cpu(&target.pids)? - before).as_secs_f64() * 1e6 / count)
}

/// Opens sessions one after the other and closes each.
async fn open_and_close(
    endpoint: Endpoint,
    tokens: Rc<RefCell<Vec<Option<String>>>>,
) -> anyhow::Result<()> {
    loop {
        let Some(token) = tokens.borrow_mut().pop() else {
            return Ok(());
        };
        let endpoint = Endpoint {
            token,
            ..endpoint.clone()
        };
        let (mut io, _) = timeout(DEADLINE, endpoint.open("handshake")).await??;
        io.shutdown().await?;
    }
}
