//! Throttles for guesses: at passwords, at client secrets, and at the names of users. All of them count in memory that is
//! bounded, so that no flood of new entries clears a counter that is high, and take the time as a parameter.
//!
//! `service` uses those of people, `oauth` that of clients.

pub mod client;
pub mod login;
pub mod sign_up;
mod failures;
mod rate;

/// The part of a name that is counted. Longer names are nobody's, and would only take up memory.
fn head(name: &str) -> String {
    name.chars().take(64).collect()
}
