//! `cargo xtask up`: builds both planes, starts them and a demo backend as processes, seeds the demo through the admin
//! API, prints all addresses, and stops everything at the end.

pub mod ports;
mod files;
pub(crate) mod build;
mod child;
mod ledger;
mod stack;
mod clients;
mod report;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use child::Child;
use files::Files;
use ledger::Redis;
use ports::{Choice, Ports};

use crate::demo::{accounts, seed};

/// The arguments of `cargo xtask up`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many data planes to start. The ports of each are 100 above those of the one before.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub data_planes: u16,
    /// The data directory: definitions, passwords, logs.
    #[arg(long, default_value = ".tidegate")]
    pub data_dir: PathBuf,
    /// Delete what an earlier `up` left in the data directory.
    #[arg(long)]
    pub fresh: bool,
    /// Start no demo backend and create no demo API.
    #[arg(long)]
    pub no_demo: bool,
    /// Put this backend, a `ws://` or `wss://` URL, behind the demo API instead of starting one.
    #[arg(long, conflicts_with = "no_demo")]
    pub backend: Option<String>,
    /// Share quotas over all data planes in this Redis, a `redis://` or `rediss://` URL; `auto` starts a redis-server of
    /// its own. Without it, each data plane counts for itself.
    #[arg(long, value_name = "URL")]
    pub redis: Option<Redis>,
    /// Build with optimisation; use it for all measurements.
    #[arg(long)]
    pub release: bool,
    /// Print one line of JSON on stdout when everything is ready; logs go to stderr.
    #[arg(long)]
    pub json: bool,
    /// Which ports to listen on: the documented ones, or free ones. The issuer of tokens contains the port, so with
    /// free ports a token is only valid until the next start.
    #[arg(long, value_enum, default_value_t = Choice::Fixed)]
    pub ports: Choice,
    /// Don't build; start the last build.
    #[arg(long)]
    pub no_build: bool,
}

/// Starts everything, waits for Ctrl-C, SIGTERM or the death of a process, and stops everything.
///
/// # Errors
/// When something can't be built, started or seeded; processes that run already are stopped first.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // One thread, because `leash` ties a process to the thread that started it.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(up(args))
}

async fn up(args: &Args) -> anyhow::Result<ExitCode> {
    let mut stop = Stop::listen()?;
    let own_backend = !args.no_demo && args.backend.is_none();
    let ports = Ports::choose(args.ports, args.data_planes, own_backend)?;
    let files = Files::open(&args.data_dir, args.fresh)?;
    let redis = args
        .redis
        .as_ref()
        .map(|redis| redis.prepare(&files))
        .transpose()?;
    let binaries = build::binaries(args.release, args.no_build)?;
    let starter = stack::Starter {
        files: &files,
        ports: &ports,
        binaries: &binaries,
        backend: args.backend.as_deref(),
        redis: redis.as_ref(),
        logs_to_stderr: args.json,
    };
    let mut children = Vec::new();
    let outcome = tokio::select! {
        biased;
        () = stop.requested() => Ok(ExitCode::SUCCESS),
        outcome = start_and_watch(args, &starter, &mut children) => outcome,
    };
    eprintln!("stopping");
    tokio::select! {
        biased;
        // A second request means that the user doesn't want to wait; dropping the children kills them.
        () = stop.requested() => eprintln!("killed the remaining processes"),
        () = child::stop_all(&mut children) => {}
    }
    outcome
}

async fn start_and_watch(
    args: &Args,
    starter: &stack::Starter<'_>,
    children: &mut Vec<Child>,
) -> anyhow::Result<ExitCode> {
    let files = starter.files;
    let stack = starter.start(children).await?;
    let (site, secrets) = (stack.site(), files.secrets());
    let channel = accounts::sign_in(&site)
        .await
        .context("`--fresh` starts over with a new password")?;
    clients::tell_addresses(&stack, &channel).await?;
    let people = accounts::make(&site, &secrets, &channel)
        .await
        .context("cannot create the accounts")?;
    let demo = match &stack.backend {
        Some(_) => Some(
            seed::demo(&site, &secrets, &channel)
                .await
                .context("cannot create the demo")?,
        ),
        None => None,
    };
    if args.json {
        report::json(&stack, &people, demo.as_ref())?;
    } else {
        report::people(&stack, &people, demo.as_ref(), files);
    }
    Err(child::first_death(children).await)
}

/// The signals that stop `up`.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Stop {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn requested(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
