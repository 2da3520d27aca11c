//! The state database: open, migrate, read, and the one writer with group commit.
//!
//! Many producers, one connection that writes. The writer takes whatever has gathered while the last commit
//! was on its way to the disk, merges rows of the same statement into few statements, commits once and only
//! then answers: so a commit is shared by all who wait for it, and nobody waits longer than two commits.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, Row, SqlSafeStr, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

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

/// A value of an inserted row.
#[derive(Clone, Debug)]
pub enum Cell {
    /// An integer.
    Int(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
    /// NULL.
    Null,
}

impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Cell {
        text.map_or(Cell::Null, Cell::Text)
    }
}

impl From<Option<i64>> for Cell {
    fn from(number: Option<i64>) -> Cell {
        number.map_or(Cell::Null, Cell::Int)
    }
}

/// An `INSERT` of many rows, as fast as SQLite takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insert {
    /// `INSERT INTO t (a, b)`.
    pub head: &'static str,
    /// How many columns a row has.
    pub columns: usize,
    /// What follows the values: empty, or `ON CONFLICT … RETURNING key`. The key, an integer, tells which rows went in.
    pub tail: &'static str,
}

/// Part of a transaction.
pub enum Statement {
    /// Rows to insert, one after another in `cells`.
    Insert(Insert, Vec<Cell>),
    /// A set-based statement.
    Each(Write),
}

/// Which keys a `RETURNING` statement let in, over the whole group.
pub type Returned = Arc<HashSet<i64>>;

/// What to do once the transaction is durable, or has failed. Runs in the writer, so that nobody who goes
/// away in the meantime can leave it undone. It must not wait.
pub type After = Box<dyn FnOnce(Result<Returned, StoreError>) + Send>;

enum Job {
    Commit(Vec<Statement>, After),
    Query(&'static str, Vec<Cell>, oneshot::Sender<Result<Vec<sqlx::sqlite::SqliteRow>, StoreError>>),
    Close(oneshot::Sender<()>),
}

/// The state database. Clones share it.
#[derive(Clone)]
pub struct Store {
    readers: SqlitePool,
    jobs: mpsc::Sender<Job>,
    checkpoint: mpsc::Sender<()>,
    path: PathBuf,
}

/// How many transactions may wait for the writer before producers wait for it.
const JOBS_MAX: usize = 1024;
/// How many transactions share one commit.
const GROUP_MAX: usize = 256;
/// The longest statement, in rows; shorter ones are powers of two, so that few texts are ever prepared.
const ROWS_MAX: usize = 64;

impl Store {
    /// Opens the database, makes it if it is missing, and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<Store, StoreError> {
        let unusable = |error: sqlx::Error| unusable(path, &error.to_string());
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .statement_cache_capacity(200)
            .busy_timeout(Duration::from_secs(10))
            .pragma("cache_size", "-4000")
            // Checkpoints run beside the writer, on their own connection.
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
        start_writer(writer, waiting, checkpoint.clone());
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

    /// Writes all of it or nothing. Durable when it returns.
    pub async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let (sender, answer) = oneshot::channel();
        let after: After = Box::new(move |result| {
            // Whoever asked may have gone away; the rows are written all the same.
            sender.send(result.map(|_| ())).ok();
        });
        self.commit(writes.into_iter().map(Statement::Each).collect(), after).await?;
        answer.await.map_err(|_| StoreError::Stopping)?
    }

    /// Hands a transaction to the writer. Returns when it has been taken; `after` runs when it is durable.
    pub async fn commit(&self, statements: Vec<Statement>, after: After) -> Result<(), StoreError> {
        self.jobs.send(Job::Commit(statements, after)).await.map_err(|_| StoreError::Stopping)
    }

    /// Runs one statement on the writer's connection, in a transaction of its own, and returns its rows.
    pub async fn query(
        &self,
        sql: &'static str,
        cells: Vec<Cell>,
    ) -> Result<Vec<sqlx::sqlite::SqliteRow>, StoreError> {
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
const MIGRATIONS: [(i64, &str, &str); 3] = [
    (1, "engine", include_str!("../migrations/0001_engine.sql")),
    (2, "s3", include_str!("../migrations/0002_s3.sql")),
    (3, "dynamodb", include_str!("../migrations/0003_dynamodb.sql")),
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

/// Folds the write-ahead log into the database beside the writer, so that no commit waits for it.
struct Checkpointer {
    connection: SqliteConnection,
}

impl Checkpointer {
    async fn open(path: &Path) -> Result<Checkpointer, sqlx::Error> {
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(1));
        Ok(Checkpointer { connection: SqliteConnection::connect_with(&options).await? })
    }
    async fn run(&mut self) {
        // Busy readers only postpone it to the next time.
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut self.connection).await.ok();
    }
}

#[expect(clippy::disallowed_methods, reason = "ends by itself when the writer, which owns the bell, ends")]
fn start(mut checkpointer: Checkpointer) -> mpsc::Sender<()> {
    let (bell, mut rung) = mpsc::channel(1);
    tokio::spawn(async move {
        while rung.recv().await.is_some() {
            checkpointer.run().await;
        }
        checkpointer.connection.close().await.ok();
    });
    bell
}

#[expect(clippy::disallowed_methods, reason = "the writer ends when every Store is gone or closed")]
fn start_writer(
    mut connection: SqliteConnection,
    mut jobs: mpsc::Receiver<Job>,
    checkpoint: mpsc::Sender<()>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut rows_since_checkpoint = 0;
        let mut group = Vec::new();
        while jobs.recv_many(&mut group, GROUP_MAX).await > 0 {
            let mut commits = Vec::new();
            for job in group.drain(..) {
                match job {
                    Job::Commit(statements, after) => commits.push((statements, after)),
                    Job::Query(sql, cells, answer) => {
                        rows_since_checkpoint +=
                            commit_group(&mut connection, std::mem::take(&mut commits)).await;
                        answer.send(run_query(&mut connection, sql, cells).await).ok();
                    }
                    Job::Close(done) => {
                        commit_group(&mut connection, std::mem::take(&mut commits)).await;
                        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.ok();
                        connection.close().await.ok();
                        done.send(()).ok();
                        return;
                    }
                }
            }
            rows_since_checkpoint += commit_group(&mut connection, commits).await;
            if rows_since_checkpoint > 2000 {
                rows_since_checkpoint = 0;
                // A checkpoint that is still running is enough.
                checkpoint.try_send(()).ok();
            }
        }
        connection.close().await.ok();
    })
}

async fn run_query(
    connection: &mut SqliteConnection,
    sql: &'static str,
    cells: Vec<Cell>,
) -> Result<Vec<sqlx::sqlite::SqliteRow>, StoreError> {
    let mut query = sqlx::query(sql);
    for cell in &cells {
        query = bind(query, cell);
    }
    Ok(query.fetch_all(connection).await?)
}

/// One commit for all of them; if that fails, each for itself, so that one that cannot be written hurts
/// only itself. Returns how many rows were written.
async fn commit_group(connection: &mut SqliteConnection, commits: Vec<(Vec<Statement>, After)>) -> usize {
    if commits.is_empty() {
        return 0;
    }
    let (statements, afters): (Vec<Vec<Statement>>, Vec<After>) = commits.into_iter().unzip();
    let merged = Merged::of(statements.iter().flatten());
    let rows = merged.rows;
    match run_transaction(connection, merged).await {
        Ok(returned) => {
            let returned = Arc::new(returned);
            afters.into_iter().for_each(|after| after(Ok(returned.clone())));
        }
        Err(error) if afters.len() == 1 => afters.into_iter().for_each(|after| after(Err(error.clone()))),
        Err(_) => {
            for (statements, after) in statements.iter().zip(afters) {
                after(run_transaction(connection, Merged::of(statements)).await.map(Arc::new));
            }
        }
    }
    rows
}

/// The statements of a group with rows of the same statement put together.
#[derive(Default)]
struct Merged<'a> {
    inserts: Vec<(Insert, Vec<&'a Cell>)>,
    each: Vec<(&'static str, Vec<&'a Value>)>,
    rows: usize,
}

impl<'a> Merged<'a> {
    fn of(statements: impl IntoIterator<Item = &'a Statement>) -> Merged<'a> {
        let mut merged = Merged::default();
        for statement in statements {
            match statement {
                Statement::Insert(insert, cells) => merged.insert(*insert, cells),
                Statement::Each(write) => merged.each(write),
            }
        }
        merged
    }
    fn insert(&mut self, insert: Insert, cells: &'a [Cell]) {
        self.rows += cells.len() / insert.columns;
        match self.inserts.iter_mut().find(|(known, _)| *known == insert) {
            Some((_, gathered)) => gathered.extend(cells),
            None => self.inserts.push((insert, cells.iter().collect())),
        }
    }
    fn each(&mut self, write: &'a Write) {
        self.rows += write.rows.len();
        // Only neighbours are put together: what changes rows keeps its order.
        match self.each.last_mut().filter(|(sql, _)| *sql == write.sql) {
            Some((_, gathered)) => gathered.extend(&write.rows),
            None => self.each.push((write.sql, write.rows.iter().collect())),
        }
    }
}

async fn run_transaction(
    connection: &mut SqliteConnection,
    merged: Merged<'_>,
) -> Result<HashSet<i64>, StoreError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut returned = HashSet::new();
    for (insert, cells) in merged.inserts {
        insert_rows(&mut transaction, insert, &cells, &mut returned).await?;
    }
    for (sql, rows) in merged.each.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        let rows = serde_json::to_string(&rows).map_err(|error| StoreError::Refused(error.to_string()))?;
        sqlx::query(sql).bind(rows).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(returned)
}

async fn insert_rows(
    connection: &mut SqliteConnection,
    insert: Insert,
    mut cells: &[&Cell],
    returned: &mut HashSet<i64>,
) -> Result<(), StoreError> {
    while cells.len() >= insert.columns {
        let rows = ROWS_MAX.min(prev_power_of_two(cells.len() / insert.columns));
        let (now, later) = cells.split_at(rows * insert.columns);
        cells = later;
        let mut query = sqlx::query(sqlx::AssertSqlSafe(insert_text(insert, rows)));
        for cell in now {
            query = bind(query, cell);
        }
        if insert.tail.contains("RETURNING") {
            for row in query.fetch_all(&mut *connection).await? {
                returned.insert(row.try_get(0)?);
            }
        } else {
            query.execute(&mut *connection).await?;
        }
    }
    Ok(())
}

fn prev_power_of_two(number: usize) -> usize {
    1 << (usize::BITS - 1 - number.leading_zeros())
}

fn insert_text(insert: Insert, rows: usize) -> String {
    let row = format!("({})", vec!["?"; insert.columns].join(","));
    format!("{} VALUES {} {}", insert.head, vec![row.as_str(); rows].join(","), insert.tail)
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

fn bind<'q>(query: Query<'q>, cell: &'q Cell) -> Query<'q> {
    match cell {
        Cell::Int(number) => query.bind(*number),
        Cell::Text(text) => query.bind(text.as_str()),
        Cell::Blob(bytes) => query.bind(bytes.as_slice()),
        Cell::Null => query.bind(None::<i64>),
    }
}
