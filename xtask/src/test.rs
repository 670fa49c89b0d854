//! `cargo xtask test`: brings what the tests need and the machine lacks, then runs every test. It says what it
//! installs; where it may not install, it says in one line what to install.

pub mod needs;

use std::process::{ExitCode, Stdio};

use crate::workspace::{EVERYTHING, cargo, has, step};

/// The arguments of `cargo xtask test`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Only tests whose name contains this.
    pub filter: Option<String>,
}

/// Runs the tests, with cargo-nextest where it is installed.
///
/// # Errors
/// When something that the tests need cannot be had, or a test fails.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let python = needs::provide()?;
    // The end-to-end tests start the binaries themselves, so these must be there before any test runs.
    step("build", cargo().arg("build").args(EVERYTHING))?;
    let mut tests = cargo();
    if has("cargo-nextest") {
        // A test that hangs is ended by `.config/nextest.toml`.
        tests.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    } else {
        tests.args(["test", "--workspace", "--no-fail-fast"]);
    }
    tests.args(&args.filter);
    tests.env("XTASK_PYTHON", python);
    tests.stdin(Stdio::null());
    step("test", &mut tests)?;
    Ok(ExitCode::SUCCESS)
}
