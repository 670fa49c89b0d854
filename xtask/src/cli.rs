//! The command line of `cargo xtask`: the commands, and the module that runs each. Called by `main`.

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
    /// Seed a running Tidegate with the demo, and print how to try it.
    Demo(demo::Args),
    /// Run all tests; install missing programs first.
    Test(test::Args),
    /// Compare the Autobahn test suite's verdicts with and without the gateway.
    Conformance(conformance::Args),
    /// Test docker-compose.yml on a Docker engine, with failures of nodes, Redis and the control plane.
    ComposeTest(compose_test::Args),
    /// Build what a release publishes: programs, OCI images and their checksums.
    Dist(dist::Args),
    /// Everything that CI checks: formatting, lints, layers, each package by itself, generated documents, tests.
    Ci,
    /// Check the layers and the layout of the source; print file sizes.
    Tidy,
    /// Write the generated parts of the documents.
    Docs(docs::Args),
    /// Take pictures of every page of the portals.
    Screenshots(screenshots::Args),
    /// Measure the data plane and compare it with other proxies.
    Bench(bench::Args),
    /// Run the demo backend: a WebSocket server that echoes messages.
    Echo(echo::Args),
    /// Run a program that ends when its parent ends.
    #[command(hide = true)]
    Leash(leash::Args),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// An error for the terminal.
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
