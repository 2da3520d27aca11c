//! What `dropwire explain CODE` says about each complaint.
pub fn explain(code: &str) -> Option<&'static str> { None }
pub fn codes() -> &'static [&'static str] { &[] }
