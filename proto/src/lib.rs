//! The contract that both planes of Tidegate compile against: vocabulary, never behaviour.
//!
//! The generated gRPC types sit beside the hand-written newtypes and grammar on which both planes must agree.
//! Nothing here does I/O, and nothing here knows a plane.

pub mod ids;
pub mod revision;
pub mod path;
pub mod quota;
pub mod claims;
pub mod reason;
pub mod admin;
pub mod discovery;
