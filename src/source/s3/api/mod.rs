//! What S3's clients say and hear, as values: nothing here touches a file, a clock or a socket. Pure.
//!
//! ```text
//! request head ─▶ route ─▶ headers, conditions, xml::read ─▶ (the bucket) ─▶ xml::write, errors
//! ```

pub mod acl;
pub mod conditions;
pub mod copy;
pub mod cors;
pub mod dates;
pub mod errors;
pub mod headers;
pub mod meta;
pub mod names;
pub mod operation;
pub mod route;
pub mod tags;
pub mod xml;
