//! The harness of the end-to-end tests: real processes on free ports, guards that stop them, scripted clients and
//! backends, and a fake control plane that can misbehave. The tests are in `tests/`.

pub mod wait;
pub mod process;
pub mod control_plane;
pub mod data_plane;
pub mod stack;
pub mod admin;
pub mod issuer;
pub mod catalog;
pub mod fake_control_plane;
pub mod fake_node;
pub mod tap;
pub mod wire;
pub mod h2;
pub mod memory;
pub mod client;
pub mod backend;
pub mod redis;
pub mod flood;
pub mod python;
pub mod grpcurl;
pub mod person;
