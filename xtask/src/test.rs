//! `cargo xtask test`: installs the missing programs that the tests need, then runs all tests. It prints what it
//! installs; if it may not install anything, it prints in one line what to install.

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
/// When something that the tests need is missing and can't be installed, or a test fails.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let python = needs::provide()?;
    // The end-to-end tests start the binaries, so these must be built before any test runs.
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
