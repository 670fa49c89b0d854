//! The control plane: definitions, their admin API, the built-in key manager, and the configuration stream to gateways.

pub mod app;
pub mod config;
pub mod http;
pub mod admin;
pub mod oauth;
pub mod portal;
pub mod throttle;
pub mod service;
pub mod domain;
pub mod store;
pub mod projection;
pub mod discovery;
