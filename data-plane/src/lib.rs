//! The parts of the data plane, in reading order: the path of a connection with its stages, what the stages share, the
//! path of a change, and what operators see. Imports run from a later stage to an earlier one, never back.

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

pub mod control;
pub mod snapshot;
pub mod rejudge;

pub mod metrics;
pub mod admin;
pub mod drain;

#[cfg(test)]
mod testing;
