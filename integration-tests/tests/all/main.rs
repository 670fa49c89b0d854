//! End-to-end tests. Each starts the processes that it needs on free ports, and stops them.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod setup;
mod redis;
mod flood;

mod foreign;
mod handshakes;
mod tokens;
mod keys;
mod backends;
mod frames;
mod conformance;
mod secure;
mod silence;
mod drain;
mod discovery;
mod rotation;
mod open_files;
mod recovery;
mod outage;
mod changes;
mod denied;
mod versions;
mod quotas;
mod store;
mod crashes;
mod admin_input;
mod documents;
mod up;
mod memory;
mod portal;
