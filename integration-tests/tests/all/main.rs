//! End-to-end tests. Each starts what it needs, as processes of their own on free ports, and ends it again.
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
