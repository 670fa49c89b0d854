//! The development commands of this repository: start it, test it, check it, measure it. Called by `cargo xtask`, and
//! by the integration tests for what they share with `up` (the admin client, a private redis-server).

pub mod cli;
pub mod up;
pub mod demo;
pub mod compose_test;
pub mod dist;
mod docker;
pub mod leash;
pub mod echo;
pub mod client;
pub mod redis;
pub mod browser;
pub mod showcase;
pub mod screenshots;
pub mod test;
pub mod conformance;
pub mod alone;
pub mod ci;
pub mod tidy;
pub mod docs;
pub mod bench;
pub mod workspace;

pub use cli::Cli;
