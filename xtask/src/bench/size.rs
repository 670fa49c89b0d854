//! `cargo xtask bench size`: whether a large configuration makes messages more expensive. Two complete systems, one
//! with 10,000 APIs and 100,000 subscriptions more, take turns on the same core.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{process::Command, task::LocalSet, time::sleep};

use super::{
    backend,
    config::seed,
    machine,
    paired::{Turns, compare},
    stack::Stack,
    wire::Endpoint,
};
use crate::up::build;

/// The arguments of `cargo xtask bench size`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The number of APIs in the large configuration.
    #[arg(long, default_value_t = 10_000)]
    apis: usize,
    /// The number of subscriptions in the large configuration.
    #[arg(long, default_value_t = 100_000)]
    subscriptions: usize,
    /// How many turns each system has; the median counts.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// The length of a turn in milliseconds.
    #[arg(long, default_value_t = 1500)]
    millis: u64,
    /// Don't build; measure the last build.
    #[arg(long)]
    no_build: bool,
}

/// How long the large configuration has to reach its gateway and its disk cache. The threads that do this must have
/// ended too, because the CPU time of a thread disappears with it.
const SETTLE: Duration = Duration::from_secs(20);

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
        let mut stacks = Vec::new();
        for name in ["small", "large"] {
            let folder = folder.join(name);
            std::fs::create_dir_all(&folder)?;
            let own = std::env::current_exe().context("cannot find this program")?;
            let mut command = Command::new("taskset");
            command.arg("-c").arg(cores.proxy.to_string()).arg(own);
            stacks.push(Stack::start(command, &folder, backend, &[]).await?);
        }
        let [small, large] = &stacks[..] else {
            anyhow::bail!("there are two");
        };
        let channel = large.sign_in().await?;
        seed::seed(&channel, args.apis, args.subscriptions).await?;
        sleep(SETTLE).await;
        machine::bind_to(cores.load)?;
        let (small, large) = (endpoint(small)?, endpoint(large)?);
        let turns = Turns {
            rounds: args.rounds,
            millis: args.millis,
        };
        let pair = [(&small.0, small.1), (&large.0, large.1)];
        let more = format!("{} subscriptions more", args.subscriptions);
        compare(turns, ["the demo", &more], "0.95 to 1.05", pair, epoch).await?;
        for stack in stacks {
            stack.stop().await?;
        }
        Ok(())
    })
}

/// The demo's API at the stack's gateway, with a token without limits, and the gateway's process.
fn endpoint(stack: &Stack) -> anyhow::Result<(Endpoint, u32)> {
    let node = stack.data_planes.first();
    let node = node.context("there is no data plane")?;
    let path = stack.demo.url.trim_start_matches("ws://");
    let endpoint = Endpoint {
        address: node.address()?,
        target: path.find('/').map_or("/", |at| &path[at..]).to_owned(),
        token: Some(stack.demo.unlimited_token.clone()),
    };
    Ok((endpoint, node.pid))
}
