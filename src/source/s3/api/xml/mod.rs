//! The XML of S3: strict in what it reads, plain in what it writes. Pure.

pub mod answers;
pub mod listings;
pub mod read;
pub mod requests;
pub mod write;

#[cfg(test)]
mod laws;
