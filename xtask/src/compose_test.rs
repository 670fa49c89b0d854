//! `cargo xtask compose-test`: tests docker-compose.yml on a real engine, as its users run it. It builds the images,
//! starts everything, and then stops, kills and scales nodes, stops Redis and cuts off the control plane. Not part of
//! CI: it needs an engine and many minutes.

mod project;
mod publisher;
mod sessions;
mod checks;
mod report;

use std::process::ExitCode;

use anyhow::Context as _;

use project::Project;
use report::Report;

use crate::docker::{
    engine::Engine,
    images::{self, StandIns},
};

/// The arguments of `cargo xtask compose-test`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Leave everything running at the end, even after a failure.
    #[arg(long)]
    pub keep: bool,
    /// Test the existing images instead of building them.
    #[arg(long)]
    pub no_build: bool,
}

/// Runs all steps in order and prints how long each took.
///
/// # Errors
/// The first step that failed.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut report = Report::default();
    let engine = match report.step("engine", Engine::find_or_install)? {
        Ok(engine) => engine,
        Err(reason) => {
            println!("compose-test: skipped: {reason}");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let tested = runtime.block_on(test(&engine, args, &mut report));
    report.print();
    tested?;
    println!("compose-test: every step passed");
    Ok(ExitCode::SUCCESS)
}

async fn test(engine: &Engine, args: &Args, report: &mut Report) -> anyhow::Result<()> {
    report.step("base images", || images::provide(engine, StandIns::Allowed))?;
    let project = Project::new(engine)?;
    if !args.no_build {
        let build = ["--profile=demo", "build"];
        report.step("docker compose build", || project.run(&build))?;
    }
    // Containers of an earlier run would answer instead of these.
    project.remove()?;
    let passed = checks::run(&project, report).await;
    if let Err(error) = &passed {
        eprintln!("compose-test: {error:#}");
        project.show_logs();
    }
    if args.keep {
        println!("left running: {}", project.command_line());
        return passed;
    }
    report.step("down, with the volumes", || project.remove())?;
    passed.context("docker compose did not work as documented")
}
