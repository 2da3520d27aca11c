//! What we put into a user's file, and take out again: log, stash, marks and triggers.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

use super::triggers::{self, Subject, identifier};
use super::trouble;
use crate::clock::real;
use crate::source::SourceError;

/// Which state reads the log of a file, as the file names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The state database's path.
    pub state: String,
    /// Its token.
    pub token: String,
}

/// Why a file could not be prepared.
#[derive(Debug)]
pub enum Refusal {
    /// SQLite's word.
    Sqlite(sqlx::Error),
    /// Another dropwire reads this log.
    Owned(Owner),
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Refusal {
        Refusal::Sqlite(error)
    }
}

/// How a file was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// The file's token.
    pub token: String,
    /// Whose log it was before, if that state is no more.
    pub taken_over_from: Option<Owner>,
}

/// Opens the file, which must be there.
pub async fn connect(file: &Path, patience: Duration) -> Result<SqliteConnection, sqlx::Error> {
    let options =
        SqliteConnectOptions::new().filename(file).busy_timeout(patience).statement_cache_capacity(20);
    SqliteConnection::connect_with(&options).await
}

/// Makes our tables and marks in the file, if they are missing, and checks whose they are. `token` is for a file
/// that has none.
pub async fn prepare(
    connection: &mut SqliteConnection,
    owner: &Owner,
    token: &str,
) -> Result<Prepared, Refusal> {
    let is_ours = has_table(connection, "dropwire_meta").await?;
    if is_ours
        && let Some((token, marked)) = marks(connection).await?
        && marked.as_ref() == Some(owner)
    {
        return Ok(Prepared { token, taken_over_from: None });
    }
    let mut write = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql(triggers::TABLES).execute(&mut *write).await?;
    let (token, marked) = marks(&mut write).await?.unwrap_or((token.to_owned(), None));
    let other = marked.filter(|marked| marked.token != owner.token);
    if let Some(other) = &other
        && is_alive(other).await
    {
        return Err(Refusal::Owned(other.clone()));
    }
    mark(&mut write, "token", &token).await?;
    mark(&mut write, "owner", &serde_json::json!(owner).to_string()).await?;
    write.commit().await?;
    Ok(Prepared { token, taken_over_from: other })
}

/// The token and the owner that the file names.
async fn marks(connection: &mut SqliteConnection) -> Result<Option<(String, Option<Owner>)>, sqlx::Error> {
    let rows = sqlx::query("SELECT name, value FROM dropwire_meta").fetch_all(connection).await?;
    let mut found = (None, None);
    for row in rows {
        let (name, value): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        match name.as_str() {
            "token" => found.0 = Some(value),
            "owner" => found.1 = serde_json::from_str(&value).ok(),
            _ => {}
        }
    }
    Ok(found.0.map(|token| (token, found.1)))
}

async fn mark(connection: &mut SqliteConnection, name: &str, value: &str) -> Result<(), sqlx::Error> {
    let sql = "INSERT OR REPLACE INTO dropwire_meta (name, value) VALUES (?1, ?2)";
    sqlx::query(sql).bind(name).bind(value).execute(connection).await.map(|_| ())
}

/// The file's token, if it has our marks.
pub async fn token(connection: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    match marks(connection).await {
        Ok(found) => Ok(found.map(|(token, _)| token)),
        Err(error) if trouble::is_missing_table(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether that state is still there and still the same: whether anyone may come back for the log.
async fn is_alive(owner: &Owner) -> bool {
    let Ok(options) = SqliteConnectOptions::from_str("sqlite:") else { return false };
    let options = options.filename(&owner.state).read_only(true).busy_timeout(Duration::from_secs(1));
    let Ok(mut connection) = SqliteConnection::connect_with(&options).await else { return false };
    let token = sqlx::query_scalar::<_, String>("SELECT token FROM dynamodb_owner")
        .fetch_optional(&mut connection)
        .await;
    connection.close().await.ok();
    matches!(token, Ok(Some(token)) if token == owner.token)
}

/// Whether the file has this table.
pub async fn has_table(connection: &mut SqliteConnection, name: &str) -> Result<bool, sqlx::Error> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    Ok(sqlx::query_scalar::<_, i64>(sql).bind(name).fetch_one(connection).await? > 0)
}

/// Installs this table's triggers, unless just these are there and fire first. Of rows that were written
/// after `read_to`, under triggers that did not know all columns, the images are amended. Says whether it changed anything.
pub async fn install(
    connection: &mut SqliteConnection,
    subject: &Subject,
    read_to: i64,
) -> Result<bool, sqlx::Error> {
    let wanted = subject.triggers();
    if is_installed(connection, subject, &wanted).await? {
        return Ok(false);
    }
    let mut write = connection.begin_with("BEGIN IMMEDIATE").await?;
    remove_triggers(&mut write, &subject.tag).await?;
    for (_, sql) in wanted {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *write).await?;
    }
    sqlx::query("DELETE FROM dropwire_stash WHERE tbl = ?1").bind(&subject.tag).execute(&mut *write).await?;
    sqlx::query(AssertSqlSafe(subject.repair())).bind(read_to).execute(&mut *write).await?;
    write.commit().await?;
    Ok(true)
}

async fn is_installed(
    connection: &mut SqliteConnection,
    subject: &Subject,
    wanted: &[(String, String)],
) -> Result<bool, sqlx::Error> {
    let sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE ORDER BY rowid DESC";
    let rows = sqlx::query(sql).bind(&subject.table).fetch_all(connection).await?;
    let mut found = Vec::new();
    for row in rows {
        found.push((row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?));
    }
    // The youngest fire first: ours must be the last that were made, or else what others change comes before them.
    Ok(found.len() >= wanted.len()
        && found.iter().zip(wanted.iter().rev()).all(|(found, wanted)| found == wanted))
}

/// Removes the triggers of a tag from whatever table they are on.
pub async fn remove_triggers(connection: &mut SqliteConnection, tag: &str) -> Result<(), sqlx::Error> {
    for kind in triggers::KINDS {
        let name = triggers::name(tag, kind);
        let sql = format!("DROP TRIGGER IF EXISTS {}", identifier(&name));
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Forgets log rows before `read_to` and what statements left in the stash. Says whether there is more.
pub async fn trim(connection: &mut SqliteConnection, tag: &str, read_to: i64) -> Result<bool, sqlx::Error> {
    let mut write = connection.begin_with("BEGIN IMMEDIATE").await?;
    // The stash goes first: what a stashed row knows of the log since then must not go before it.
    let sql = "DELETE FROM dropwire_stash WHERE rowid IN (SELECT rowid FROM dropwire_stash WHERE tbl = ?1 LIMIT ?2)";
    let stash = sqlx::query(sql).bind(tag).bind(TRIM_ROWS).execute(&mut *write).await?;
    if stash.rows_affected() == TRIM_ROWS as u64 {
        write.commit().await?;
        return Ok(true);
    }
    let sql = "DELETE FROM dropwire_log WHERE seq IN (SELECT seq FROM dropwire_log WHERE tbl = ?1 AND seq < ?2 LIMIT ?3)";
    let log = sqlx::query(sql).bind(tag).bind(read_to).bind(TRIM_ROWS).execute(&mut *write).await?;
    // The last one read stays, emptied, so that this file can be told from an older copy.
    let sql =
        "UPDATE dropwire_log SET done = 1, old = NULL, new = NULL WHERE seq = ?2 AND tbl = ?1 AND done = 0";
    sqlx::query(sql).bind(tag).bind(read_to).execute(&mut *write).await?;
    write.commit().await?;
    Ok(log.rows_affected() == TRIM_ROWS as u64)
}

/// How many rows one trim forgets: a millisecond or two in which nobody else can write.
pub const TRIM_ROWS: i64 = 2000;

/// Takes everything of ours out of an SQLite file: triggers, log, stash and marks. The user's tables and rows
/// stay. Returns what it removed, in words. Changes that were not delivered yet are lost, and it says how many.
pub async fn detach(file: &Path) -> Result<Vec<String>, SourceError> {
    let wrap = |error: sqlx::Error| {
        let why = trouble::explained(file, &error);
        SourceError(format!("cannot take dropwire's triggers out of {}: {why}", file.display()))
    };
    if !file.is_file() {
        return Err(SourceError(format!("cannot detach {}: there is no such file", file.display())));
    }
    let mut connection = connect(file, Duration::from_secs(5)).await.map_err(wrap)?;
    let removed = detach_all(&mut connection).await.map_err(wrap)?;
    connection.close().await.map_err(wrap)?;
    Ok(removed)
}

async fn detach_all(connection: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    let mut removed = Vec::new();
    let mut write = connection.begin_with("BEGIN IMMEDIATE").await?;
    let sql = "SELECT name, tbl_name FROM sqlite_schema WHERE type = 'trigger' AND substr(name, 1, 9) = ?1 ORDER BY rowid";
    for row in sqlx::query(sql).bind(triggers::PREFIX).fetch_all(&mut *write).await? {
        let (name, table): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let sql = format!("DROP TRIGGER {}", identifier(&name));
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *write).await?;
        removed.push(format!("trigger {name} on {table}"));
    }
    for (table, holds) in
        [("dropwire_log", "changes"), ("dropwire_stash", "rows"), ("dropwire_meta", "marks")]
    {
        if !has_table(&mut write, table).await? {
            continue;
        }
        let waiting = if table == "dropwire_log" { " WHERE done = 0" } else { "" };
        let sql = format!("SELECT count(*) FROM {table}{waiting}");
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *write).await?;
        sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE {table}"))).execute(&mut *write).await?;
        removed.push(format!("table {table} with {rows} {holds}"));
    }
    write.commit().await?;
    Ok(removed)
}

/// How often, and after which pause, something is tried again that must be done before we go on.
#[derive(Debug)]
pub struct Patience(u32);

impl Patience {
    /// Ten seconds of it.
    pub fn new() -> Patience {
        Patience(500)
    }
    /// Waits a little, if the error says that somebody else holds the file and there is patience left. Says
    /// whether to try again.
    pub async fn allows(&mut self, error: Option<&sqlx::Error>) -> bool {
        const PAUSE: Duration = Duration::from_millis(20);
        let again = self.0 > 0 && error.is_some_and(trouble::is_busy);
        if again {
            self.0 -= 1;
            real::sleep(PAUSE).await;
        }
        again
    }
}
