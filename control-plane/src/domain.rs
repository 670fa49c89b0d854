//! What an API manager knows: APIs, plans, applications, subscriptions, users, and the rules that hold between them.
//! No I/O, no clock (time is passed in), no randomness. Called by the use cases in `service`; read by every surface.

pub mod invalid;
pub mod name;
pub mod time;
pub mod meta;
pub mod user;
pub mod actor;
pub mod endpoint;
pub mod topic;
pub mod plan;
pub mod address;
pub mod policy;
pub mod environment;
pub mod api;
pub mod lifecycle;
pub mod document;
pub mod thumbnail;
pub mod revision;
pub mod application;
pub mod subscription;
pub mod usage;
pub mod credential;
pub mod scope;
pub mod signing;
pub mod settings;
pub mod audit;
pub mod object;
pub mod state;
pub mod resource;
