//! The whole CI, cheapest checks first. `.ci/run` only calls it.

use std::{process::ExitCode, time::Instant};

use crate::{
    alone, docs, test, tidy,
    workspace::{cargo, has, step},
};

/// Runs every check.
///
/// # Errors
/// The first check that failed.
pub fn run() -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    step("format", cargo().args(["fmt", "--all", "--check"]))?;
    if tidy::run()? != ExitCode::SUCCESS {
        return Ok(ExitCode::FAILURE);
    }
    let lints = ["--workspace", "--all-targets", "--", "--deny", "warnings"];
    step("lint", cargo().arg("clippy").args(lints))?;
    alone::run()?;
    if has("cargo-deny") {
        step("dependencies", cargo().args(["deny", "check"]))?;
    } else {
        eprintln!("==> dependencies: skipped, cargo-deny is not installed (deny.toml)");
    }
    docs::run(&docs::Args { check: true })?;
    let code = test::run(&test::Args::default())?;
    eprintln!("ci: {:.0} s in all", began.elapsed().as_secs_f32());
    Ok(code)
}
