//! The repository's folders, and how commands are run and timed. Called by all other modules here.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, bail};

/// The arguments of `cargo build` that build the programs together with the tests, so that shared crates are compiled
/// once.
pub const EVERYTHING: [&str; 3] = ["--workspace", "--bins", "--tests"];

/// The folder of the workspace's `Cargo.toml`.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the workspace")
        .to_owned()
}

/// The cargo that runs this program, so that a toolchain override also applies to what it starts.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).stdin(Stdio::null());
    // `cargo run` sets variables about this package. To build scripts they would look like a change, and every build
    // would run the scripts again.
    for (name, _) in std::env::vars_os() {
        let told = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if told {
            command.env_remove(name);
        }
    }
    command
}

/// The folder that `cargo build` writes to.
#[must_use]
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// Whether a program can be found on the `PATH`.
#[must_use]
pub fn has(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

/// Runs a step in the foreground, and prints its name and how long it took.
///
/// # Errors
/// When the program cannot be started or ends with another status than 0.
pub fn step(name: &str, command: &mut Command) -> anyhow::Result<()> {
    eprintln!("==> {name}");
    let began = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("{name}: cannot start {}", command.get_program().display()))?;
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    eprintln!("    {name}: {:.1} s", began.elapsed().as_secs_f32());
    Ok(())
}
