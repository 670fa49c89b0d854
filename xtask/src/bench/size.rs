//! `cargo xtask bench size`: whether a message costs more where the configuration is large. Two whole systems, of which one
//! gets ten thousand APIs and a hundred thousand subscriptions more, take turns on the same core.

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
    wire::Door,
};
use crate::up::build;

/// The arguments of `cargo xtask bench size`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many APIs the large one has.
    #[arg(long, default_value_t = 10_000)]
    apis: usize,
    /// How many subscriptions the large one has.
    #[arg(long, default_value_t = 100_000)]
    subscriptions: usize,
    /// How often each is measured; the median counts.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// How long one turn is measured, in milliseconds.
    #[arg(long, default_value_t = 1500)]
    millis: u64,
    /// Measure what was built last.
    #[arg(long)]
    no_build: bool,
}

/// How long the large configuration gets to reach its gateway and be put on its disk, and the threads that did it to end:
/// the processor time of a thread goes with it.
const SETTLE: Duration = Duration::from_secs(20);

/// Measures, prints.
///
/// # Errors
/// When a process does not start or does not do what is measured.
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
        let (small, large) = (door(small)?, door(large)?);
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

/// The demo's API at the stack's gateway, with the token that nothing limits, and the gateway's process.
fn door(stack: &Stack) -> anyhow::Result<(Door, u32)> {
    let node = stack.data_planes.first();
    let node = node.context("there is no data plane")?;
    let path = stack.demo.url.trim_start_matches("ws://");
    let door = Door {
        address: node.address()?,
        target: path.find('/').map_or("/", |at| &path[at..]).to_owned(),
        token: Some(stack.demo.unlimited_token.clone()),
    };
    Ok((door, node.pid))
}
