//! The data plane's process: flags, configuration, two runtimes and signals; everything else is `app`'s.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::Parser;
use serde::Serialize;
use tidegate_data_plane::{
    app::{Addresses, App, Runtimes},
    config::Config,
    snapshot::Snapshots,
};
use tidegate_kit::{config, open_files, ready_file, telemetry, tls};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

/// Handshakes allocate a lot and sessions little; the system's allocator costs more for both.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The timeout for shutting a drained process down.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// The gateway of Tidegate: lets WebSocket clients through to their backends.
#[derive(Debug, Parser)]
#[command(version)]
struct Flags {
    /// A configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting, as `key=value`; beats the environment, which beats the file. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where to write, as JSON, the addresses that are really bound.
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
    /// Print the effective configuration, secrets left out, and exit.
    #[arg(long)]
    print_config: bool,
}

/// What the ready file says.
#[derive(Debug, Serialize)]
struct Ready {
    pid: u32,
    #[serde(flatten)]
    addresses: Addresses,
}

fn main() -> ExitCode {
    match start(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidegate-data-plane: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(flags: &Flags) -> anyhow::Result<()> {
    let config: Config = config::load(flags.config.as_deref(), &flags.set)?;
    if flags.print_config {
        print!("{config}");
        return Ok(());
    }
    tls::install();
    let sessions = runtime("sessions", None)?;
    // Two threads: judging many sessions again must not keep operators waiting.
    let control = runtime("control", Some(2))?;
    let runtimes = Runtimes {
        sessions: sessions.handle().clone(),
        control: control.handle().clone(),
    };
    let ended = control.block_on(run(flags, config, runtimes));
    // What does not end by itself, such as a name that is being looked up, is not waited for.
    sessions.shutdown_timeout(LAST_MOMENT);
    control.shutdown_timeout(LAST_MOMENT);
    ended
}

async fn run(flags: &Flags, mut config: Config, runtimes: Runtimes) -> anyhow::Result<()> {
    let telemetry = telemetry::init("tidegate-data-plane", &config.node, &config.telemetry)?;
    let why = "two files for each session: to the client and to the backend";
    config.limits.connections = open_files::fit(config.limits.connections, why);
    let app = App::build(config, Snapshots::default(), runtimes).await?;
    let client = app.control_client()?;
    watch_signals(app.drain_token())?;
    if let Some(path) = &flags.ready_file {
        let ready = Ready {
            pid: std::process::id(),
            addresses: app.addresses(),
        };
        ready_file::write(path, &ready)
            .with_context(|| format!("cannot write `--ready-file` {}", path.display()))?;
    }
    tracing::info!(addresses = ?app.addresses(), "listening");
    let ended = app.run(Some(client)).await;
    drop(telemetry);
    ended
}

fn runtime(name: &'static str, threads: Option<usize>) -> anyhow::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().thread_name(name);
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    builder
        .build()
        .with_context(|| format!("cannot start the {name} runtime"))
}

/// The first SIGTERM or SIGINT drains the node; the second ends it at once.
#[expect(
    clippy::disallowed_methods,
    reason = "the task must outlive every tracked one, or the second signal would be lost"
)]
fn watch_signals(draining: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if draining.is_cancelled() {
                std::process::exit(1);
            }
            draining.cancel();
        }
    });
    Ok(())
}
