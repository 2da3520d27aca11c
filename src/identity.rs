//! What tells a file or folder from another that gets its name.

use std::fs::Metadata;

/// The numbers that the file system gives it and nothing else there has.
#[cfg(unix)]
pub fn identity(found: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (found.dev(), found.ino())
}

/// The same where there are none: when it was made.
#[cfg(not(unix))]
pub fn identity(found: &Metadata) -> (u64, u64) {
    let made = found.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    (0, made.unwrap_or_default().as_micros() as u64)
}
