//! The Lambda service.
