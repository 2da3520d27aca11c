//! dropwire: drop a file, your function runs.

pub mod arn;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod event;
pub mod function;
pub mod random;
pub mod source;
pub mod store;
pub mod timeline;
pub mod wire;
