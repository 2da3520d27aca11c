//! dropwire: drop a file, your function runs.

pub mod app;
pub mod arn;
pub mod clock;
pub mod config;
pub mod control;
pub mod delivery;
pub mod edits;
pub mod event;
pub mod function;
pub mod history;
pub mod housekeeping;
pub mod random;
pub mod source;
pub mod state;
pub mod store;
pub mod timeline;
pub mod wire;
