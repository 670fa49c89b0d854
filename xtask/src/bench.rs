//! `cargo xtask bench`: measures what the data plane costs, compared with other proxies. It has no pass or fail and
//! isn't part of any test. Called by the command line.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Subcommand;
use tokio::task::LocalSet;

mod machine;
mod wire;
mod backend;
mod stack;
mod target;
mod relay;
mod handshake;
mod config;
mod changes;
mod quota;
mod size;
mod paired;
mod table;

use crate::up::build;
use target::Site;

/// The arguments of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Messages: CPU, throughput, latency, and the memory of idle sessions.
    Relay(relay::Args),
    /// Handshakes: the CPU time of one, with a cached and with a new token, compared with the peers, which check none.
    Handshake(handshake::Args),
    /// Configuration: start-up and single changes with many APIs and subscriptions.
    Config(config::Args),
    /// Changes of the configuration beside thousands of open sessions: the CPU time that they cost a node.
    Changes(changes::Args),
    /// Quotas: how many messages several gateways admit under one limit, the load on Redis, and the CPU time of a
    /// message.
    Quota(quota::Args),
    /// Messages with a small and with a large configuration.
    Size(size::Args),
}

/// Runs one benchmark.
///
/// # Errors
/// When a proxy doesn't start or doesn't work.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let folder = scratch()?;
    let result = match &args.what {
        What::Relay(args) => beside_peers(&folder, args.no_build, async |site| {
            relay::run(args, &site).await
        }),
        What::Handshake(args) => beside_peers(&folder, args.no_build, async |site| {
            handshake::run(args, &site).await
        }),
        What::Quota(args) => {
            println!("{}", machine::describe());
            quota::run(args, &folder)
        }
        What::Size(args) => {
            println!("{}", machine::describe());
            size::run(args, &folder)
        }
        What::Config(args) => {
            println!("{}", machine::describe());
            config::run(args, &folder)
        }
        What::Changes(args) => {
            println!("{}", machine::describe());
            changes::run(args, &folder)
        }
    };
    // What a killed run leaves behind is in the system's temporary folder.
    let _ = std::fs::remove_dir_all(&folder);
    result.map(|()| ExitCode::SUCCESS)
}

/// Runs a benchmark in which the proxies take turns on one core and the load generator has another.
fn beside_peers(
    folder: &Path,
    no_build: bool,
    measure: impl AsyncFnOnce(Site) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    // Built before the thread is bound to one core.
    build::binaries(true, no_build)?;
    let files = machine::raise_file_limit()?;
    let cores = machine::Cores::choose()?;
    println!("{}; {files} files", machine::describe());
    machine::bind_to(cores.load)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let site = Site::prepare(folder.to_owned(), cores.proxy).await?;
        measure(site).await
    })
}

/// A folder for the proxies' files.
fn scratch() -> anyhow::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("tidegate-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}
