//! Every SQL statement in the sources fits the tables that the migrations make.

use std::fs;
use std::path::{Path, PathBuf};

use sqlx::{ConnectOptions, Connection, Executor, SqlSafeStr};

use crate::simulator::Project;

/// Statements on files that are not ours alone: users' SQLite files.
const OF_OTHER_FILES: &[(&str, &str)] = &[
    ("source/dynamodb/log.rs", "reads the log in a file with users' tables"),
    ("source/dynamodb/triggers.rs", "makes the log in a file with users' tables"),
    ("source/dynamodb/file.rs", "knows whose log is in a file with users' tables"),
    ("source/dynamodb/schema.rs", "looks at users' tables"),
];

/// All Rust files below a folder.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}

/// The text of a string literal that begins at the quote, and what follows it.
fn literal(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text.strip_prefix('"')?.chars();
    loop {
        match rest.next()? {
            '"' => return Some((value, rest.as_str())),
            '\\' => match rest.next()? {
                // The end of the line is left out, with the white space that begins the next one.
                '\n' => rest = rest.as_str().trim_start().chars(),
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
}

/// The name and text of every `const NAME: &str = "…"` that is a statement.
fn statements(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in source.split("const ").skip(1) {
        let Some((name, rest)) = part.split_once(": &str =") else { continue };
        let Some((text, rest)) = literal(rest.trim_start()) else { continue };
        let is_statement =
            ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "].iter().any(|verb| text.starts_with(verb));
        if is_statement && rest.starts_with(';') && !name.contains(char::is_whitespace) {
            found.push((name.to_owned(), text));
        }
    }
    found
}

/// The statements of `Insert { head: "…", columns: N, tail: "…" }`, with one row.
fn inserts(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in source.split("head: ").skip(1) {
        let Some((head, rest)) = literal(part) else { continue };
        let columns = rest.split_once("columns: ").and_then(|(_, rest)| rest.split_once(','));
        let Some((columns, rest)) = columns else { continue };
        let columns: usize = columns.parse().expect("a number of columns");
        let tail = rest.split_once("tail: ").and_then(|(_, rest)| literal(rest)).map(|(tail, _)| tail);
        let values = vec!["?"; columns].join(", ");
        found.push((head.clone(), format!("{head} VALUES ({values}) {}", tail.unwrap_or_default())));
    }
    found
}

#[tokio::test]
async fn every_statement_fits_the_migrated_tables() {
    let project = Project::new("");
    project.start().await.stop().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(project.path(".dropwire/state.db"));
    let mut connection = options.connect().await.expect("the state");
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut count, mut wrong) = (0, Vec::new());
    for file in rust_files(&src) {
        let name = file.strip_prefix(&src).expect("below").display().to_string();
        if name.contains("test") || OF_OTHER_FILES.iter().any(|(other, _)| *other == name) {
            continue;
        }
        let source = fs::read_to_string(&file).expect("text");
        // What tests do to the tables is their own affair.
        let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for (constant, text) in statements(source).into_iter().chain(inserts(source)) {
            count += 1;
            if let Err(error) = connection.prepare(sqlx::AssertSqlSafe(text).into_sql_str()).await {
                wrong.push(format!("{name}: {constant}: {error}"));
            }
        }
    }
    connection.close().await.expect("closed");
    assert_eq!(wrong, [""; 0]);
    assert!(count >= 40, "only {count} statements were found");
}

#[test]
fn the_list_of_other_files_names_files_that_are_there() {
    for (name, _) in OF_OTHER_FILES {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(name).exists(), "{name}");
    }
}
