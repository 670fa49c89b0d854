//! Quotas: what each session is limited by, and in whose name it is counted.
//!
//! Refuses to know sockets and frames (`relay`). Asked by `admit` for handshakes.

pub mod levels;
