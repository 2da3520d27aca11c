//! The state database: open, migrate, read, and the one writer with group commit.
//!
//! Many producers, one connection that writes. The writer takes whatever has gathered while the last commit
//! was on its way to the disk, puts rows of the same statement together, hands the whole transaction to SQLite in
//! one go and only then answers: so a commit is shared by all who wait for it, and nobody waits longer than two.
//!
//! A commit is in the write-ahead log at once, where it survives the death of this process; whoever asked for it
//! is answered when the log is on the disk as well, where it survives the death of the machine. What follows from
//! a commit inside dropwire ([`After`]) need not wait for the disk.
//!
//! Rows travel as JSON, made by the producers: every statement is a constant that reads `json_each(?1)`, so few
//! are ever prepared, and the writer itself does next to nothing.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Connection, SqlSafeStr, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use writer::{Checkpointer, Ends, log_of, start, start_syncing, start_writer};

mod writer;

/// One set-based statement: `sql` runs once, with the JSON array text of `rows` as `?1`
/// (`… FROM json_each(?1) …`).
#[derive(Clone, Debug)]
pub struct Write {
    /// The statement, a constant beside its use.
    pub sql: &'static str,
    /// Its rows.
    pub rows: Vec<Value>,
}

/// Why the state database could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be used at all. The text names it and the way out.
    #[error("{0}")]
    Unusable(String),
    /// A statement failed; nothing of its transaction was kept.
    #[error("cannot write to the state database: {0}; nothing of it was kept")]
    Refused(String),
    /// dropwire is stopping.
    #[error("dropwire is stopping; nothing was written")]
    Stopping,
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        StoreError::Refused(error.to_string())
    }
}

/// A value that a statement of its own is given.
#[derive(Clone, Debug)]
pub enum Cell {
    /// An integer.
    Int(i64),
    /// Text.
    Text(String),
}

/// Rows of one statement as the writer takes them.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The statement; `?1` is the JSON array of the rows.
    sql: &'static str,
    /// The rows, each a JSON text, with commas between them.
    text: String,
    count: usize,
    /// For an `INSERT … ON CONFLICT DO NOTHING`: the statement that tells which of the rows are there, by their
    /// integer key. It is asked only when not all went in.
    which: Option<&'static str>,
    /// Where these rows stand among others does not matter.
    loose: bool,
}

impl Rows {
    /// No rows yet of this statement.
    pub fn of(sql: &'static str) -> Rows {
        Rows { sql, text: String::new(), count: 0, which: None, loose: false }
    }
    /// The same, some of which may be there already.
    pub fn new_ones_of(sql: &'static str, which: &'static str) -> Rows {
        Rows { which: Some(which), ..Rows::of(sql) }
    }
    /// The same, of a statement for which it does not matter where it stands among others.
    pub fn anywhere_of(sql: &'static str) -> Rows {
        Rows { loose: true, ..Rows::of(sql) }
    }
    /// One row more: anything that becomes JSON.
    pub fn push(&mut self, row: &impl Serialize) {
        if self.count > 0 {
            self.text.push(',');
        }
        // Plain values and tuples of them always become JSON.
        self.text.push_str(&serde_json::to_string(row).unwrap_or_default());
        self.count += 1;
    }
}

impl From<Write> for Rows {
    fn from(write: Write) -> Rows {
        let mut rows = Rows::of(write.sql);
        write.rows.iter().for_each(|row| rows.push(row));
        rows
    }
}

/// Which rows went in.
#[derive(Clone, Debug)]
pub enum Stored {
    /// All of them.
    All,
    /// Those with these keys; the others were there already.
    Only(Arc<HashSet<i64>>),
}

impl Stored {
    /// Whether the row with this key went in.
    pub fn has(&self, key: i64) -> bool {
        match self {
            Stored::All => true,
            Stored::Only(keys) => keys.contains(&key),
        }
    }
}

/// Who waits until the transaction is on the disk.
pub type Waiting = oneshot::Sender<Result<(), StoreError>>;

/// What to do once the transaction is committed, or has failed. Runs in the writer, so that nobody who goes
/// away in the meantime can leave it undone. It must not wait.
pub type After = Box<dyn FnOnce(Result<Stored, StoreError>) + Send>;

enum Job {
    Commit(Commit),
    Query(&'static str, Vec<Cell>, oneshot::Sender<Result<Vec<SqliteRow>, StoreError>>),
    Close(oneshot::Sender<()>),
}

/// A transaction on its way.
struct Commit {
    rows: Vec<Rows>,
    after: After,
    waiting: Option<Waiting>,
}

/// The state database. Clones share it.
#[derive(Clone)]
pub struct Store {
    readers: SqlitePool,
    jobs: mpsc::Sender<Job>,
    checkpoint: mpsc::Sender<()>,
    path: PathBuf,
}

/// A place in the writer's queue.
pub struct Place<'a>(mpsc::Permit<'a, Job>);

impl Place<'_> {
    /// Hands a transaction over, as [`Store::commit`] does.
    pub fn commit(self, rows: Vec<Rows>, after: After) -> oneshot::Receiver<Result<(), StoreError>> {
        let (waiting, answer) = oneshot::channel();
        self.0.send(Job::Commit(Commit { rows, after, waiting: Some(waiting) }));
        answer
    }
    /// The same as [`Store::commit_soon`] does.
    pub fn commit_soon(self, rows: Vec<Rows>, after: After) {
        self.0.send(Job::Commit(Commit { rows, after, waiting: None }));
    }
}

/// How many transactions may wait for the writer before producers wait for it.
const JOBS_MAX: usize = 1024;
/// A log larger than this, in bytes, is folded in by the writer itself.
const LOG_MAX: u64 = 32 * 1024 * 1024;
/// How many transactions share one commit.
const GROUP_MAX: usize = 256;

impl Store {
    /// Opens the database, makes it if it is missing, and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<Store, StoreError> {
        let unusable = |error: sqlx::Error| unusable(path, &error.to_string());
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .statement_cache_capacity(100)
            .busy_timeout(Duration::from_secs(10))
            // KiB: what is written is mostly new. Checkpoints run beside the writer, on their own connection.
            .pragma("cache_size", "-700")
            .pragma("wal_autocheckpoint", "0");
        let mut writer = SqliteConnection::connect_with(&options).await.map_err(unusable)?;
        migrate(&mut writer, path).await?;
        let readers = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(4)
            .idle_timeout(Duration::from_secs(60))
            .connect_with(options.read_only(true).pragma("cache_size", "-2000"))
            .await
            .map_err(unusable)?;
        let (jobs, waiting) = mpsc::channel(JOBS_MAX);
        let checkpoint = start(Checkpointer::open(path).await.map_err(unusable)?);
        start_writer(
            writer,
            waiting,
            Ends { log: log_of(path), checkpoint: checkpoint.clone(), disk: start_syncing(path)? },
        );
        Ok(Store { readers, jobs, checkpoint, path: path.to_owned() })
    }

    /// Connections that only read. What they see may be one commit old.
    pub fn read(&self) -> &SqlitePool {
        &self.readers
    }
    /// The database's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all of it or nothing. On the disk when it returns.
    pub async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let rows = writes.into_iter().map(Rows::from).collect();
        self.commit(rows, Box::new(|_| ())).await?.await.map_err(|_| StoreError::Stopping)?
    }

    /// Writes all of it or nothing. Committed when it returns, but perhaps not yet on the disk: for what is made
    /// again if it is lost with the machine.
    pub async fn write_soon(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let (sender, answer) = oneshot::channel();
        let after: After = Box::new(move |result| {
            // Whoever asked may have gone away; the rows are written all the same.
            sender.send(result.map(|_| ())).ok();
        });
        self.commit_soon(writes.into_iter().map(Rows::from).collect(), after).await?;
        answer.await.map_err(|_| StoreError::Stopping)?
    }

    /// Hands a transaction to the writer. `after` runs when it is committed; what is returned resolves when it is
    /// on the disk.
    pub async fn commit(
        &self,
        rows: Vec<Rows>,
        after: After,
    ) -> Result<oneshot::Receiver<Result<(), StoreError>>, StoreError> {
        let (waiting, answer) = oneshot::channel();
        let commit = Commit { rows, after, waiting: Some(waiting) };
        self.jobs.send(Job::Commit(commit)).await.map_err(|_| StoreError::Stopping)?;
        Ok(answer)
    }

    /// A place in the writer's queue, so that what is handed over then need not wait.
    pub async fn place(&self) -> Result<Place<'_>, StoreError> {
        self.jobs.reserve().await.map(Place).map_err(|_| StoreError::Stopping)
    }

    /// Hands a transaction to the writer. `after` runs when it is committed; nobody waits for the disk.
    pub async fn commit_soon(&self, rows: Vec<Rows>, after: After) -> Result<(), StoreError> {
        let commit = Commit { rows, after, waiting: None };
        self.jobs.send(Job::Commit(commit)).await.map_err(|_| StoreError::Stopping)
    }

    /// Runs one statement on the writer's connection, in a transaction of its own, and returns its rows.
    pub async fn query(&self, sql: &'static str, cells: Vec<Cell>) -> Result<Vec<SqliteRow>, StoreError> {
        let (sender, answer) = oneshot::channel();
        self.jobs.send(Job::Query(sql, cells, sender)).await.map_err(|_| StoreError::Stopping)?;
        answer.await.map_err(|_| StoreError::Stopping)?
    }

    /// Has the log folded into the database, beside everything else.
    pub async fn checkpoint(&self) {
        // One that is asked for already is enough.
        self.checkpoint.try_send(()).ok();
    }

    /// Writes what waits, folds the log into the database and closes it.
    pub async fn close(&self) {
        let (sender, done) = oneshot::channel();
        if self.jobs.send(Job::Close(sender)).await.is_ok() {
            done.await.ok();
        }
        self.readers.close().await;
    }
}

/// The files of `migrations/`: number, what it is about, the SQL.
const MIGRATIONS: [(i64, &str, &str); 8] = [
    (1, "engine", include_str!("../../migrations/0001_engine.sql")),
    (2, "s3", include_str!("../../migrations/0002_s3.sql")),
    (3, "dynamodb", include_str!("../../migrations/0003_dynamodb.sql")),
    (4, "destinations", include_str!("../../migrations/0004_destinations.sql")),
    (5, "lambda", include_str!("../../migrations/0005_lambda.sql")),
    (6, "invocations", include_str!("../../migrations/0006_invocations.sql")),
    (7, "s3 api", include_str!("../../migrations/0007_s3_api.sql")),
    (8, "parts of objects", include_str!("../../migrations/0008_s3_parts.sql")),
];

fn migrator() -> Migrator {
    let each = MIGRATIONS.map(|(version, about, sql)| {
        Migration::new(version, about.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(each.to_vec())
}

async fn migrate(writer: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    match migrator().run(writer).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..)) => {
            Err(StoreError::Unusable(format!(
                "cannot use the state in {}: it was written by a newer dropwire; use that one, or start with \
             `dropwire up --fresh`, which moves the old state aside",
                path.display()
            )))
        }
        Err(error) => Err(unusable(path, &error.to_string())),
    }
}

fn unusable(path: &Path, error: &str) -> StoreError {
    StoreError::Unusable(format!(
        "cannot use the state database {}: {error}; is the disk full or the file damaged? `dropwire up --fresh` \
         moves it aside and starts anew",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ADD: &str = "INSERT INTO fact (name, value) SELECT value ->> 0, value ->> 1 FROM json_each(?1)";

    async fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("state.db")).await.expect("a store");
        (folder, store)
    }

    fn add(name: &str) -> Vec<Write> {
        vec![Write { sql: ADD, rows: vec![json!([name, "1"])] }]
    }

    #[tokio::test]
    async fn one_that_cannot_be_written_hurts_only_itself() {
        let (_folder, store) = store().await;
        store.write(add("known")).await.expect("written");
        let names = ["a", "known", "b", "c"];
        let all = names.map(|name| {
            let store = store.clone();
            async move { store.write(add(name)).await.is_ok() }
        });
        assert_eq!(futures_util::future::join_all(all).await, [true, false, true, true]);
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM fact").fetch_one(store.read()).await.expect("a count");
        assert_eq!(count, 4);
    }

    #[tokio::test]
    async fn a_transaction_is_kept_whole_or_not_at_all() {
        let (_folder, store) = store().await;
        let writes = [add("new"), add("new")].concat();
        assert!(
            store
                .write(vec![
                    writes[0].clone(),
                    Write { sql: "INSERT INTO nowhere SELECT 1 FROM json_each(?1)", rows: vec![json!(1)] }
                ])
                .await
                .is_err()
        );
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM fact").fetch_one(store.read()).await.expect("a count");
        assert_eq!(count, 0);
        store.write(add("new")).await.expect("the connection works on");
    }

    #[tokio::test]
    async fn a_state_of_a_newer_dropwire_is_left_alone() {
        let (folder, store) = store().await;
        const NEWER: &str =
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             SELECT 999, 'newer', TRUE, x'00', 0 FROM json_each(?1)";
        store.write(vec![Write { sql: NEWER, rows: vec![json!(1)] }]).await.expect("written");
        store.close().await;
        let error =
            Store::open(&folder.path().join("state.db")).await.map(|_| ()).expect_err("it is refused");
        assert!(error.to_string().contains("written by a newer dropwire"), "{error}");
    }
}
