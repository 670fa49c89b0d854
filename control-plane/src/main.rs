//! The control plane's process: reads the command line and the configuration, and hands over to `app`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Parser;
use tidegate_control_plane::{
    app::{self, files, offline},
    config::Config,
};
use tidegate_kit::{config, open_files, ready_file, telemetry};

/// Tidegate's control plane: definitions, admin API, key manager, configuration stream.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// A TOML file with settings.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// A setting; beats the environment (`TIDEGATE_...`), which beats the file.
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    sets: Vec<String>,
    /// Where to write, once the doors are open, the addresses at which they really are.
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
    /// Prints the effective configuration and exits.
    #[arg(long)]
    print_config: bool,
    /// What to do instead of serving.
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Writes everything in the store to a file; the control plane must not be running.
    Export {
        /// The file to write; it must not exist.
        file: PathBuf,
    },
    /// Fills an empty store from an exported file; the control plane must not be running.
    Restore {
        /// The file to read.
        file: PathBuf,
    },
    /// Sets the password of a user and ends the user's sessions; the control plane must not be running.
    ResetPassword {
        /// The user's name; `admin.username` when left out.
        user: Option<String>,
        /// A file with the new password, or `-` for the standard input; when left out, one is made and printed once.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Makes a new join token for gateways, and lets the one before be valid beside it; the control plane may be running.
    RotateJoinToken {
        /// Makes none, but ends the validity of the one before: every gateway has the new one.
        #[arg(long)]
        finish: bool,
    },
}

fn main() -> ExitCode {
    match start(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes in one line; a cause that is told already is not told again.
fn told(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| {
        let cause = cause.to_string();
        if told.is_empty() {
            cause
        } else if told.contains(&cause) {
            told
        } else {
            format!("{told}: {cause}")
        }
    })
}

fn start(arguments: Arguments) -> anyhow::Result<()> {
    let config: Config = config::load(arguments.config.as_deref(), &arguments.sets)?;
    if arguments.print_config {
        print!("{}", config::show(&config));
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(serve(config, arguments.ready_file, arguments.command))
}

async fn serve(
    mut config: Config,
    ready_file: Option<PathBuf>,
    command: Option<Command>,
) -> anyhow::Result<()> {
    let _telemetry = telemetry::init("tidegate-control-plane", "control-plane", &config.telemetry)?;
    match command {
        Some(Command::Export { file }) => return offline::export(&config, &file),
        Some(Command::Restore { file }) => return offline::restore(&config, &file),
        Some(Command::ResetPassword {
            user,
            password_file,
        }) => {
            return offline::reset_password(&config, user.as_deref(), password_file.as_deref())
                .await;
        }
        Some(Command::RotateJoinToken { finish }) => {
            let file = files::rotate_join_token(&config, finish)?;
            let done = if finish {
                "only the current join token is valid from now on"
            } else {
                "there is a new join token, and the one before stays valid: copy the file to every gateway, then run this \
                 again with `--finish`"
            };
            tracing::info!(file = %file.display(), "{done}");
            return Ok(());
        }
        None => {}
    }
    let why = "one file for each, at each of the two listeners";
    config.limits.connections = open_files::fit(config.limits.connections, why);
    let bound = app::build(config).await?;
    let ready = bound.ready();
    tracing::info!(management = %ready.management, discovery = %ready.discovery, "listening");
    if let Some(path) = ready_file {
        ready_file::write(&path, &ready)
            .with_context(|| format!("cannot write the ready file {}", path.display()))?;
    }
    bound.run(asked_to_stop()).await
}

/// Waits for SIGTERM or SIGINT.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};

    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::interrupt()) => {}
    }
}
