//! `cargo xtask bench quota`: how many messages several gateways admit under one limit, how many commands Redis runs
//! for it, and the CPU time that counting adds to a message. It runs real processes and a real Redis, started by `up
//! --redis auto`.
//!
//! The backend echoes, only the client's messages count, and messages over the limit are dropped. So the number of
//! echoes is the number of admitted messages.

mod flood;
mod ledger;
mod seed;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{process::Command, task::LocalSet};

use super::{
    backend, machine,
    paired::{Turns, compare},
    stack::Stack,
    wire::Endpoint,
};
use crate::up::build;
use flood::{Flood, Way};
use ledger::Ledger;

/// The arguments of `cargo xtask bench quota`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The numbers of gateways; one run for each.
    #[arg(long, value_delimiter = ',', default_value = "1,4,8")]
    nodes: Vec<u16>,
    /// The limits, in messages a day.
    #[arg(long, value_delimiter = ',', default_value = "1000,50000")]
    limits: Vec<u64>,
    /// How long each flood lasts.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How many turns measure the CPU time of a message with and without quotas; 0 skips them.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// The length of such a turn in milliseconds.
    #[arg(long, default_value_t = 1500)]
    millis: u64,
    /// Don't build; measure the last build.
    #[arg(long)]
    no_build: bool,
}

/// How long the gateways stay idle, to see how many commands they send to Redis then.
const IDLE: Duration = Duration::from_secs(5);

/// Measures, prints.
///
/// # Errors
/// When a process doesn't start or doesn't work.
pub(super) fn run(args: &Args, folder: &Path) -> anyhow::Result<()> {
    build::binaries(true, args.no_build)?;
    machine::raise_file_limit()?;
    let cores = machine::Cores::choose()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let epoch = Instant::now();
        let backend = backend::start(epoch).await?;
        println!(
            "\n| gateways | a day | demand | how | admitted | over | under | scripts | scripts a message | other commands, idle ones left out |"
        );
        println!("|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|");
        for nodes in &args.nodes {
            let own = std::env::current_exe().context("cannot find this program")?;
            let number = nodes.to_string();
            let more = ["--redis", "auto", "--data-planes", &number];
            let stack = Stack::start(Command::new(own), folder, backend, &more).await?;
            share(args, *nodes, &stack).await?;
            stack.stop().await?;
        }
        if args.rounds == 0 {
            return Ok(());
        }
        machine::bind_to(cores.load)?;
        cost(args, cores.proxy, folder, backend, epoch).await
    })
}

/// Floods the gateways under each limit.
async fn share(args: &Args, nodes: u16, stack: &Stack) -> anyhow::Result<()> {
    let channel = stack.sign_in().await?;
    let redis = stack.redis.as_ref().context("`up` names no Redis")?;
    let mut ledger = Ledger::connect(&redis.url).await?;
    let ways = if nodes == 1 {
        &[Way::Even][..]
    } else {
        &[Way::Even, Way::Skewed]
    };
    for limit in &args.limits {
        for way in ways {
            let name = format!("{limit}-{}", way.name().replace(' ', "-"));
            let token = seed::subscriber(&stack.admin, &channel, &name, *limit).await?;
            let mut endpoints = Vec::new();
            for node in &stack.data_planes {
                let endpoint = Endpoint {
                    address: node.address()?,
                    target: seed::PATH.to_owned(),
                    token: Some(token.clone()),
                };
                endpoints.push(flood::until_open(endpoint).await?);
            }
            // The sessions of an earlier flood have ended and returned their grants.
            let idle = ledger.rate(IDLE).await?;
            let demand = limit * 6 / 5;
            let before = (ledger.read().await?, Instant::now());
            let seconds = Duration::from_secs(args.seconds);
            let flood = Flood {
                demand,
                way: *way,
                seconds,
            };
            let admitted = flood.run(&endpoints).await?;
            let used = ledger
                .read()
                .await?
                .since(before.0)
                .less(idle, before.1.elapsed());
            println!(
                "| {nodes} | {limit} | {demand} | {} | {admitted} | {} | {:.2} % | {:.0} | {:.4} | {:.0} |",
                way.name(),
                admitted.saturating_sub(*limit),
                100.0 * limit.saturating_sub(admitted) as f64 / *limit as f64,
                used.scripts,
                used.scripts / admitted as f64,
                used.others,
            );
        }
    }
    Ok(())
}

/// Compares the CPU time of a message with and without limits, on the same gateway, in turns.
async fn cost(
    args: &Args,
    core: usize,
    folder: &Path,
    backend: std::net::SocketAddr,
    epoch: Instant,
) -> anyhow::Result<()> {
    let own = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core.to_string()).arg(own);
    let stack = Stack::start(command, folder, backend, &["--redis", "auto"]).await?;
    let channel = stack.sign_in().await?;
    let token = seed::counted(&stack.admin, &channel).await?;
    let node = stack
        .data_planes
        .first()
        .context("there is no data plane")?;
    let endpoint = |target: &str, token: &str| -> anyhow::Result<Endpoint> {
        Ok(Endpoint {
            address: node.address()?,
            target: target.to_owned(),
            token: Some(token.to_owned()),
        })
    };
    let path = stack.demo.url.trim_start_matches("ws://");
    let path = path.find('/').map_or("/", |at| &path[at..]);
    let endpoints = [
        endpoint(path, &stack.demo.unlimited_token)?,
        flood::until_answered(endpoint(seed::COUNTED_PATH, &token)?).await?,
    ];
    let turns = Turns {
        rounds: args.rounds,
        millis: args.millis,
    };
    let pair = [(&endpoints[0], node.pid), (&endpoints[1], node.pid)];
    let names = ["without quotas", "counted on all levels"];
    compare(turns, names, "≤ 1.03", pair, epoch).await?;
    stack.stop().await
}
