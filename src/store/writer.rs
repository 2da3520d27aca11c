//! The one writer: what has gathered goes into one transaction, and what is committed goes to the disk.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Cell, Commit, GROUP_MAX, Job, LOG_MAX, Rows, StoreError, Stored, Waiting, unusable};

/// How many pages are written before they are folded into the database: about 8 MB. Each time the file system brings to
/// the disk what else was written since, and lets everybody wait for that.
const PAGES_MAX: usize = 2000;

/// Folds the write-ahead log into the database beside the writer, so that no commit waits for it.
pub(super) struct Checkpointer {
    connection: SqliteConnection,
}

impl Checkpointer {
    pub(super) async fn open(path: &Path) -> Result<Checkpointer, sqlx::Error> {
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(1));
        Ok(Checkpointer { connection: SqliteConnection::connect_with(&options).await? })
    }
    async fn run(&mut self) {
        // Busy readers only postpone it to the next time.
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut self.connection).await.ok();
    }
}

#[expect(clippy::disallowed_methods, reason = "ends by itself when the writer, which owns the bell, ends")]
pub(super) fn start(mut checkpointer: Checkpointer) -> mpsc::Sender<()> {
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
pub(super) fn start_writer(
    mut connection: SqliteConnection,
    mut jobs: mpsc::Receiver<Job>,
    ends: Ends,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut pages_since_checkpoint = 0;
        let mut group = Vec::new();
        while jobs.recv_many(&mut group, GROUP_MAX).await > 0 {
            let mut commits = Vec::new();
            for job in group.drain(..) {
                match job {
                    Job::Commit(commit) => commits.push(commit),
                    Job::Query(sql, cells, answer) => {
                        pages_since_checkpoint +=
                            commit_group(&mut connection, std::mem::take(&mut commits), &ends.disk).await;
                        answer.send(run_query(&mut connection, sql, cells).await).ok();
                    }
                    Job::Close(done) => {
                        commit_group(&mut connection, std::mem::take(&mut commits), &ends.disk).await;
                        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.ok();
                        connection.close().await.ok();
                        done.send(()).ok();
                        return;
                    }
                }
            }
            pages_since_checkpoint += commit_group(&mut connection, commits, &ends.disk).await;
            if pages_since_checkpoint > PAGES_MAX {
                pages_since_checkpoint = 0;
                if ends.log_size() > LOG_MAX {
                    // Beside a writer that never rests the log is never folded in whole, and only grows.
                    sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut connection).await.ok();
                }
                // A checkpoint that is still running is enough.
                ends.checkpoint.try_send(()).ok();
            }
        }
        connection.close().await.ok();
    })
}

async fn run_query(
    connection: &mut SqliteConnection,
    sql: &'static str,
    cells: Vec<Cell>,
) -> Result<Vec<SqliteRow>, StoreError> {
    let mut query = sqlx::query(sql);
    for cell in &cells {
        query = bind(query, cell);
    }
    Ok(query.fetch_all(connection).await?)
}

/// The write-ahead log of this database.
pub(super) fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    PathBuf::from(log)
}

/// Where the writer's work goes on: folding the log into the database, and onto the disk.
pub(super) struct Ends {
    pub(super) log: PathBuf,
    pub(super) checkpoint: mpsc::Sender<()>,
    pub(super) disk: mpsc::UnboundedSender<Waiting>,
}

impl Ends {
    /// Bytes in the write-ahead log.
    fn log_size(&self) -> u64 {
        std::fs::metadata(&self.log).map(|file| file.len()).unwrap_or_default()
    }
}

/// Brings the log to the disk for all who wait, as often as the disk can.
#[expect(clippy::disallowed_methods, reason = "ends by itself when the writer, whose end it is, ends")]
pub(super) fn start_syncing(path: &Path) -> Result<mpsc::UnboundedSender<Waiting>, StoreError> {
    let log = log_of(path);
    let file =
        std::fs::File::open(&log).map_err(|error| unusable(path, &format!("{}: {error}", log.display())))?;
    let file = Arc::new(file);
    let (disk, mut waiting) = mpsc::unbounded_channel::<Waiting>();
    tokio::spawn(async move {
        let mut group = Vec::new();
        while waiting.recv_many(&mut group, GROUP_MAX).await > 0 {
            let file = file.clone();
            let synced = tokio::task::spawn_blocking(move || file.sync_data()).await;
            let result = match synced {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => {
                    Err(StoreError::Refused(format!("the log could not be brought to the disk: {error}")))
                }
                Err(_) => Err(StoreError::Stopping),
            };
            // Whoever asked may have gone away; it is on the disk all the same.
            group.drain(..).for_each(|waiting| drop(waiting.send(result.clone())));
        }
    });
    Ok(disk)
}

/// One commit for all of them; if that fails, each for itself, so that one that cannot be written hurts
/// only itself. Returns about how many pages were written.
async fn commit_group(
    connection: &mut SqliteConnection,
    commits: Vec<Commit>,
    disk: &mpsc::UnboundedSender<Waiting>,
) -> usize {
    let together = merged(commits.iter().flat_map(|commit| &commit.rows));
    let pages = pages_of(&together);
    match run_transaction(connection, &together).await {
        Ok(stored) => commits.into_iter().for_each(|commit| commit.end(Ok(stored.clone()), disk)),
        Err(error) if commits.len() == 1 => {
            commits.into_iter().for_each(|commit| commit.end(Err(error.clone()), disk));
        }
        Err(_) => {
            for commit in commits {
                let alone = merged(&commit.rows);
                let result = run_transaction(connection, &alone).await;
                commit.end(result, disk);
            }
        }
    }
    pages
}

/// About how many pages these rows fill: a few in any case, and beyond that as many as they are large; those that are only
/// changed lie together for the most part.
fn pages_of(all: &[Rows]) -> usize {
    let (count, bytes) =
        all.iter().fold((0, 0), |(count, bytes), rows| (count + rows.count, bytes + rows.text.len()));
    if count == 0 { 0 } else { 4 + count / 8 + bytes / 2048 }
}

impl Commit {
    fn end(self, result: Result<Stored, StoreError>, disk: &mpsc::UnboundedSender<Waiting>) {
        let failed = result.as_ref().err().cloned();
        (self.after)(result);
        match (self.waiting, failed) {
            // Whoever asked may have gone away.
            (Some(waiting), Some(error)) => drop(waiting.send(Err(error))),
            (Some(waiting), None) => drop(disk.send(waiting)),
            (None, _) => {}
        }
    }
}

/// Rows of the same statement put together: new ones wherever they come, others only with their neighbours,
/// since what changes rows has to keep its order.
fn merged<'a>(all: impl IntoIterator<Item = &'a Rows>) -> Vec<Rows> {
    let mut merged: Vec<Rows> = Vec::new();
    for rows in all.into_iter().filter(|rows| rows.count > 0) {
        let known = match rows.which.is_some() || rows.loose {
            true => merged.iter_mut().find(|known| known.sql == rows.sql),
            false => merged.iter_mut().rfind(|known| !known.loose).filter(|last| last.sql == rows.sql),
        };
        match known {
            Some(known) => {
                known.text.push(',');
                known.text.push_str(&rows.text);
                known.count += rows.count;
            }
            None => merged.push(rows.clone()),
        }
    }
    // New rows first: what others say of them finds them there.
    merged.sort_by_key(|rows| (rows.which.is_none(), !rows.loose));
    merged
}

async fn run_transaction(connection: &mut SqliteConnection, all: &[Rows]) -> Result<Stored, StoreError> {
    if all.is_empty() {
        return Ok(Stored::All);
    }
    let mut text = String::from("BEGIN IMMEDIATE");
    for rows in all {
        text.push_str("; ");
        // Over several statements only placeholders without numbers are filled in their order.
        text.push_str(&rows.sql.replace("?1", "?"));
        if rows.which.is_some() {
            text.push_str("; SELECT changes()");
        }
    }
    text.push_str("; COMMIT");
    let mut query = sqlx::query(AssertSqlSafe(text));
    for rows in all {
        let array = format!("[{}]", rows.text);
        for _ in 1..rows.sql.matches("?1").count() {
            query = query.bind(array.clone());
        }
        query = query.bind(array);
    }
    match query.fetch_all(&mut *connection).await {
        Ok(changes) => stored(connection, all, &changes).await,
        Err(error) => {
            // Fails where the transaction has ended by itself, and then nothing is left to roll back.
            sqlx::query("ROLLBACK").execute(connection).await.ok();
            Err(error.into())
        }
    }
}

async fn stored(
    connection: &mut SqliteConnection,
    all: &[Rows],
    changes: &[SqliteRow],
) -> Result<Stored, StoreError> {
    let mut only = HashSet::new();
    let mut complete = true;
    for (rows, changes) in all.iter().filter(|rows| rows.which.is_some()).zip(changes) {
        complete &= changes.try_get::<i64, _>(0)? == rows.count as i64;
    }
    if complete {
        return Ok(Stored::All);
    }
    for rows in all {
        let Some(which) = rows.which else { continue };
        let keys =
            sqlx::query_scalar(which).bind(format!("[{}]", rows.text)).fetch_all(&mut *connection).await?;
        only.extend::<Vec<i64>>(keys);
    }
    Ok(Stored::Only(Arc::new(only)))
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

fn bind<'q>(query: Query<'q>, cell: &'q Cell) -> Query<'q> {
    match cell {
        Cell::Int(number) => query.bind(*number),
        Cell::Text(text) => query.bind(text.as_str()),
    }
}
