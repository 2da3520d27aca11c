//! What goes wrong with a table's file, in words: what we tried, on what, why not, and the way out. Pure.

use std::path::Path;

use crate::config::TableSpec;
use crate::source::SourceError;

/// A table's complaint: names the table, the file and the place in the wiring.
pub fn trouble(spec: &TableSpec, tried: &str, why: &str) -> SourceError {
    SourceError(format!(
        "{}: cannot {tried} table `{}` in {}: {why}",
        declared(spec),
        spec.name,
        spec.sqlite.display()
    ))
}

/// The same for what SQLite says.
pub fn sqlite_trouble(spec: &TableSpec, tried: &str, error: &sqlx::Error) -> SourceError {
    trouble(spec, tried, &explained(&spec.sqlite, error))
}

/// `[table.orders] (dropwire.toml:12)`.
fn declared(spec: &TableSpec) -> String {
    match spec.origin.line {
        0 => format!("[table.{}]", spec.name),
        line => format!("[table.{}] ({}:{line})", spec.name, spec.origin.file),
    }
}

/// The primary result code of SQLite, if the error is its.
fn code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// Whether somebody else holds the file just now: try again.
pub fn is_busy(error: &sqlx::Error) -> bool {
    // SQLITE_BUSY, SQLITE_LOCKED
    matches!(code(error), Some(5 | 6))
}

/// Whether a statement named something that is not there.
pub fn is_missing_table(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.message().starts_with("no such table"))
}

/// What SQLite says of this file, and what to do.
pub fn explained(file: &Path, error: &sqlx::Error) -> String {
    let said = match error.as_database_error() {
        Some(error) => error.message().to_owned(),
        None => error.to_string(),
    };
    let way_out = match code(error) {
        Some(5 | 6) => "another program holds a transaction open; end it and try again",
        Some(8) => {
            "the file or its folder cannot be written, and captured changes are written into it; make it writable"
        }
        Some(11) => "the file is damaged; restore a backup, or try `sqlite3 FILE .recover`",
        Some(13) => "the disk is full",
        Some(14) if file.is_dir() => "this is a folder; name a file",
        Some(14) => "does its folder exist, and may it be read and written?",
        Some(26) => "this is no SQLite database; name another file",
        _ => return said,
    };
    format!("{said}; {way_out}")
}
