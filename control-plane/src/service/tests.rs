//! The use cases over a store in memory: every rule a sentence.

mod list_docs;
mod world;
mod apis;
mod clients;
mod people;
mod commits;
mod guessing;
