//! The entry point of `cargo xtask`: reads the command line and calls the command.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match xtask::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
