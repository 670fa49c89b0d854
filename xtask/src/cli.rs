//! The command line of `cargo xtask`: which commands there are, and which module runs each. Called by `main`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    bench, ci, compose_test, conformance, demo, dist, docs, echo, leash, screenshots, test, tidy,
    up,
};

/// Development commands: start it, test it, check it, measure it.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a control plane, data planes and a demo, from nothing; Ctrl-C stops all of it.
    Up(up::Args),
    /// Seed a Tidegate that runs already with the demo, and say how to try it.
    Demo(demo::Args),
    /// Run every test; installs first what the tests need and the machine lacks.
    Test(test::Args),
    /// Compare the Autobahn test suite's verdicts with and without the gateway.
    Conformance(conformance::Args),
    /// Run docker-compose.yml on a Docker engine and do to it what happens to a cluster.
    ComposeTest(compose_test::Args),
    /// Make what a release publishes: programs, OCI images and their checksums.
    Dist(dist::Args),
    /// Everything that CI checks: formatting, lints, layers, each package by itself, generated documents, tests.
    Ci,
    /// Check the layers and the layout of the source; print file sizes.
    Tidy,
    /// Write the generated parts of the documents.
    Docs(docs::Args),
    /// Take pictures of every page of the portals.
    Screenshots(screenshots::Args),
    /// Measure the data plane beside other proxies.
    Bench(bench::Args),
    /// The demo backend: a WebSocket server that sends back what it gets.
    Echo(echo::Args),
    /// Run a program that ends when its parent ends.
    #[command(hide = true)]
    Leash(leash::Args),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// What the command could not do, for the terminal.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Up(args) => up::run(&args),
            Command::Demo(args) => demo::run(&args),
            Command::Test(args) => test::run(&args),
            Command::Conformance(args) => conformance::run(&args),
            Command::ComposeTest(args) => compose_test::run(&args),
            Command::Dist(args) => dist::run(&args),
            Command::Ci => ci::run(),
            Command::Tidy => tidy::run(),
            Command::Docs(args) => docs::run(&args),
            Command::Screenshots(args) => screenshots::run(&args),
            Command::Bench(args) => bench::run(&args),
            Command::Echo(args) => echo::run(&args),
            Command::Leash(args) => leash::run(&args),
        }
    }
}
