//! The parts of the data plane, in the order in which a connection meets them.

pub mod app;
pub mod config;
pub mod connection;
pub mod listen;
pub mod handshake;
pub mod route;
pub mod auth;
pub mod admit;
pub mod upstream;
pub mod relay;
pub mod record;

pub mod session;
pub mod quota;
pub mod message;
pub mod socket;

pub mod snapshot;
pub mod control;
pub mod rejudge;

pub mod metrics;
pub mod admin;
pub mod drain;

#[cfg(test)]
mod testing;
