//! Runs a program that ends when its parent process does, even if that one is killed: `cargo xtask leash PROGRAM
//! ARGUMENTS…`. `up` starts its processes through it, so that none outlives a killed `up`.

use std::{
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt as _,
    process::Command,
};

use anyhow::Context as _;

/// The arguments of `cargo xtask leash`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The parent process; nothing is started if it has exited already.
    #[arg(long)]
    pub parent: i32,
    /// The program and its arguments.
    #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
    pub program: Vec<OsString>,
}

/// A command for a program that ends when this process does.
///
/// # Errors
/// When the path of this program is unknown.
pub fn command(program: impl AsRef<OsStr>) -> anyhow::Result<Command> {
    let own = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(own);
    command.args(["leash", "--parent", &std::process::id().to_string(), "--"]);
    command.arg(program);
    Ok(command)
}

/// Replaces this process with the program.
///
/// # Errors
/// Always, if it returns: the program could not be started.
pub fn run(args: &Args) -> anyhow::Result<std::process::ExitCode> {
    #[cfg(target_os = "linux")]
    {
        // Survives the exec below. On systems without it, a killed `up` leaves processes running.
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    }
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    anyhow::ensure!(parent == Some(args.parent), "the parent process has exited");
    let [program, arguments @ ..] = args.program.as_slice() else {
        anyhow::bail!("no program was given");
    };
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}
