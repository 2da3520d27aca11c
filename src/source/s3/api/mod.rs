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
pub mod form;
pub mod headers;
pub mod lifecycle;
pub mod lifecycle_request;
pub mod meta;
pub mod names;
pub mod notification;
pub mod operation;
pub mod refused;
pub mod route;
pub mod tags;
pub mod whole;
pub mod xml;
