//! Infrastructure that both processes need. It knows nothing of APIs, sessions or plans.

pub mod config;
pub mod secret;
pub mod clock;
pub mod backoff;
pub mod fault_log;
pub mod telemetry;
pub mod readiness;
pub mod durable;
pub mod ready_file;
pub mod tasks;
pub mod tls;
pub mod reload;
pub mod open_files;
pub mod accept;
pub mod connections;
pub mod jwt;
