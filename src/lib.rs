//! dropwire
