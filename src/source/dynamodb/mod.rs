//! DynamoDB: tables that are SQLite tables, and the streams of their changes.
//!
//! Any program may write the table, `sqlite3 FILE "update …"` included: triggers in the file write each change
//! to a log within the transaction that makes it, and a reader turns the log into stream records, each once and
//! in the order of the commits. How far it has read is stored in one transaction with the events.
//!
//! **Tables of ours** (made when the file has none of this name) have the key's columns and a column `item` with
//! all other attributes as plain JSON, see [`attribute`]. A key of type N is kept as SQLite keeps numbers: an
//! integer of 64 bits, or a double.
//!
//! **Tables of yours** are attached as they are. Every column is an attribute: INTEGER and REAL are `N`, TEXT is
//! `S`, BLOB is `B`, NULL is `{"NULL":true}`. The key is what `key` says, or else the primary key. Columns added
//! to a table of ours are attributes in the same way.
//!
//! What SQLite holds and DynamoDB cannot is given as near as can be: an infinite number as the string
//! `Infinity`, text that is no UTF-8 with replacement characters, what is nested deeper than 32 levels as its
//! JSON text. Items larger than 400 KB give records all the same. A row whose key is NULL is no item and gives
//! none; the timeline says so.
//!
//! **Limits.** `total_changes()` of whoever writes counts our log's rows too (`changes()` and
//! `last_insert_rowid()` do not). A row that REPLACE removes because of a row id that is no column, or of a
//! unique index over an expression, gives no REMOVE. Where a row refers to itself by a foreign key with an
//! ON UPDATE action, or another's BEFORE trigger writes the very row that the statement is about, the last
//! record is right and one before it may not be. What happens to a table between being made again (`DROP`,
//! `CREATE`) and our noticing is not seen. Tables of ours cannot be written by SQLite before 3.41 with
//! `trusted_schema` off: their CHECK uses JSON functions. Times are those of noticing, in the simulated world.
//! The triggers stay in the file when a table leaves the wiring; [`detach`] takes them out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::Value;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::{Mutex, Notify, watch as channel};
use tokio_util::sync::CancellationToken;

use crate::arn::{Arn, Place};
use crate::clock::{Clock, real};
use crate::config::TableSpec;
use crate::random::Random;
use crate::source::{EventSource, Outlet, SourceError};
use crate::store::Store;
use crate::timeline::Timeline;

mod attach;
mod attribute;
mod changes;
mod event;
mod file;
mod image;
mod log;
mod number;
mod position;
mod reader;
mod schema;
mod table;
mod triggers;
mod trouble;
mod watch;

pub use file::detach;

use file::Owner;
use reader::{Reader, Seen, Trimmed};
use schema::Lookup;
use trouble::{sqlite_trouble, trouble};
use watch::{Looks, POLL_EVERY, Watch};

/// What a source stands on: the simulated world, and where its events and rows go.
#[derive(Clone)]
pub struct Ground {
    /// Region and account.
    pub place: Place,
    /// The simulated time.
    pub clock: Clock,
    /// Where new tokens come from.
    pub random: Random,
    /// Where notices go.
    pub timeline: Timeline,
    /// Where events go.
    pub outlet: Outlet,
    /// The state database.
    pub store: Store,
}

/// A table and its stream.
pub struct Table {
    spec: Arc<TableSpec>,
    ground: Ground,
    arn: Arn,
    stream_arn: String,
    bell: Arc<Notify>,
    ready: channel::Sender<bool>,
    /// Taken by `run`, and given back when it ends.
    reader: Mutex<Reader>,
}

/// How long the file must have been left alone before rows that were read are forgotten: forgetting writes, and
/// whoever writes without patience at the same moment would be refused.
const QUIET: Duration = Duration::from_secs(2);

/// How often a file is tried again that somebody holds for long.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

impl Table {
    /// Opens (or makes) the file and the table, and installs or refreshes the triggers.
    ///
    /// Errors name the table, the file and the place in the wiring: no SQLite database, damaged, read-only, a
    /// view, a key that is missing or not unique, a log that another dropwire reads, a seed that cannot be put.
    pub async fn open(spec: TableSpec, ground: Ground) -> Result<Arc<Table>, SourceError> {
        let mut spec = spec;
        make(&spec, &ground).await?;
        // What the kernel tells, and where the journals lie, goes by the file itself.
        spec.sqlite = spec.sqlite.canonicalize().unwrap_or(spec.sqlite);
        let spec = Arc::new(spec);
        let owner = owner(&ground).await?;
        let reader = Reader::open(spec.clone(), ground.clone(), owner).await?;
        let arn = Arn::table(&ground.place, &spec.name);
        let (bell, ready) = (Arc::new(Notify::new()), channel::Sender::new(false));
        let stream_arn = reader.stream_arn();
        Ok(Arc::new(Table { spec, ground, arn, stream_arn, bell, ready, reader: Mutex::new(reader) }))
    }

    /// Waits until the file is watched and earlier changes have been emitted.
    pub async fn ready(&self) {
        // The sender is ours: it cannot go away.
        self.ready.subscribe().wait_for(|ready| *ready).await.ok();
    }

    /// The table's ARN: what wires start at.
    pub fn arn(&self) -> &Arn {
        &self.arn
    }

    /// The ARN of its stream, with the label.
    pub fn stream_arn(&self) -> &str {
        &self.stream_arn
    }

    /// Puts an item of plain JSON, `{"orderId":"o-1"}`: it replaces the one of the same key as a whole.
    pub async fn put(&self, item: &Value) -> Result<(), SourceError> {
        let tried = "put an item into";
        let mut connection = self.connect(tried).await?;
        let result = table::put(&mut connection, &self.spec, item).await;
        self.wrote(connection).await;
        result.map_err(|refusal| refused(&self.spec, tried, refusal))
    }

    /// Deletes the item of this key; none is fine.
    pub async fn delete(&self, key: &Value) -> Result<(), SourceError> {
        let tried = "delete an item of";
        let mut connection = self.connect(tried).await?;
        let result = table::delete(&mut connection, &self.spec, key).await;
        self.wrote(connection).await;
        result.map_err(|refusal| refused(&self.spec, tried, refusal))
    }

    /// A connection for one write, to the file that has the name now.
    async fn connect(&self, tried: &str) -> Result<SqliteConnection, SourceError> {
        let patience = Duration::from_secs(5);
        let connection = file::connect(&self.spec.sqlite, patience).await;
        connection.map_err(|error| sqlite_trouble(&self.spec, tried, &error))
    }

    async fn wrote(&self, connection: SqliteConnection) {
        self.bell.notify_one();
        connection.close().await.ok();
    }

    /// Looks now, and again as long as the kernel may have told of something not yet visible.
    async fn look_out(&self, reader: &mut Reader, stop: &CancellationToken) -> Result<Seen, SourceError> {
        let mut looks = Looks::begin();
        loop {
            let seen = reader.look().await?;
            if reader.is_overdue() {
                reader.trim().await;
            }
            let pause = match (seen, looks.next()) {
                (Seen::Absent | Seen::Detached, _) | (Seen::Through, None) => return Ok(seen),
                (_, Some(pause)) => pause,
                // Nothing tells when they let go.
                (Seen::Busy, None) => BUSY_PAUSE,
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(seen),
                () = self.bell.notified() => looks = Looks::begin(),
                () = pause_for(pause) => {}
            }
        }
    }
}

impl Table {
    /// Forgets in the file what has been read, in steps between which others can write and are heard. Returns
    /// when to try again, if somebody was in the way.
    async fn trim(
        &self,
        reader: &mut Reader,
        stop: &CancellationToken,
    ) -> Result<Option<Duration>, SourceError> {
        const PAUSE: Duration = Duration::from_millis(20);
        loop {
            match reader.trim().await {
                Trimmed::All => return Ok(None),
                Trimmed::Not => return Ok(Some(QUIET)),
                Trimmed::Some => {}
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = real::sleep(PAUSE) => {}
            }
            reader.look().await?;
        }
    }
}

/// Waits, or only lets others run.
async fn pause_for(pause: Duration) {
    if pause.is_zero() {
        tokio::task::yield_now().await;
    } else {
        real::sleep(pause).await;
    }
}

#[async_trait]
impl EventSource for Table {
    async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), SourceError> {
        let mut reader = self.reader.lock().await;
        let mut watch = Watch::start(&self.spec.sqlite, self.bell.clone());
        if let Some(why) = &watch.polled_because {
            let text = format!(
                "{} is looked at twice a second, since nothing tells when it changes: {why}",
                self.spec.sqlite.display()
            );
            self.ground.timeline.notice(self.ground.clock.now(), "warning", text);
        }
        let mut trim_at = Some(Instant::now() + QUIET);
        let first = reader.look().await;
        // Whoever waits must not wait for ever, however it went.
        self.ready.send_replace(true);
        let mut seen = first?;
        // What the look at the start could not yet see.
        self.bell.notify_one();
        while !stop.is_cancelled() && seen != Seen::Detached {
            let is_absent = seen == Seen::Absent;
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.bell.notified() => {
                    seen = self.look_out(&mut reader, &stop).await?;
                    trim_at = Some(Instant::now() + QUIET);
                }
                () = real::sleep(POLL_EVERY), if is_absent || watch.polled_because.is_some() => {
                    seen = reader.look().await?;
                    if is_absent && seen != Seen::Absent {
                        // The folder may be another one than the one that was watched.
                        watch = Watch::start(&self.spec.sqlite, self.bell.clone());
                        self.bell.notify_one();
                    }
                }
                () = until(trim_at), if trim_at.is_some() => {
                    trim_at = self.trim(&mut reader, &stop).await?.map(|pause| Instant::now() + pause);
                }
            }
        }
        stop.cancelled().await;
        reader.close().await;
        Ok(())
    }
}

async fn until(then: Option<Instant>) {
    if let Some(then) = then {
        real::sleep(then.saturating_duration_since(Instant::now())).await;
    }
}

fn refused(spec: &TableSpec, tried: &str, refusal: table::Refusal) -> SourceError {
    match refusal {
        table::Refusal::Sqlite(error) => sqlite_trouble(spec, tried, &error),
        table::Refusal::Words(why) => trouble(spec, tried, &why),
    }
}

/// Makes the file and the table if they are missing and the wiring says the key.
async fn make(spec: &TableSpec, ground: &Ground) -> Result<(), SourceError> {
    let failed = |error: sqlx::Error| sqlite_trouble(spec, "open", &error);
    let is_new = !spec.sqlite.exists();
    if is_new && spec.keys.is_empty() {
        return Err(trouble(
            spec,
            "attach",
            "there is no such file; name the right one, or say the key to have one made: key = \"id:S\"",
        ));
    }
    if is_new && let Some(folder) = spec.sqlite.parent() {
        std::fs::create_dir_all(folder).map_err(|error| trouble(spec, "make", &error.to_string()))?;
    }
    let mut options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(&spec.sqlite).create_if_missing(is_new);
    if is_new {
        options = options.journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
    }
    let mut connection = options.busy_timeout(Duration::from_secs(10)).connect().await.map_err(failed)?;
    let found = schema::look_up(&mut connection, spec).await.map_err(failed)?;
    match found {
        Lookup::Found(_) => {}
        Lookup::Unfit(why) => return Err(trouble(spec, "attach", &why)),
        Lookup::Missing if spec.keys.is_empty() => {
            let names = table_names(&mut connection).await.map_err(failed)?;
            return Err(trouble(
                spec,
                "attach",
                &format!(
                    "the file has no such table, only {names}; say the key to have it made: key = \"id:S\""
                ),
            ));
        }
        Lookup::Missing => {
            let seed = spec
                .seed
                .as_deref()
                .map(table::read_seed)
                .transpose()
                .map_err(|why| trouble(spec, "make", &why))?;
            let seed = seed.unwrap_or_default();
            let mut patience = file::Patience::new();
            while let Err(refusal) = table::make(&mut connection, spec, &seed).await {
                if !patience.allows(refusal.sqlite()).await {
                    return Err(refused(spec, "make", refusal));
                }
            }
            let text =
                format!("made table `{}` in {}, with {} items", spec.name, spec.sqlite.display(), seed.len());
            ground.timeline.notice(ground.clock.now(), "info", text);
        }
    }
    connection.close().await.map_err(failed)
}

async fn table_names(connection: &mut SqliteConnection) -> Result<String, sqlx::Error> {
    let sql = "SELECT coalesce(group_concat(name, ', '), 'nothing') FROM sqlite_schema \
               WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' AND name NOT LIKE 'dropwire!_%' ESCAPE '!'";
    sqlx::query_scalar(sql).fetch_one(connection).await
}

/// What names our state in the files whose log it reads.
async fn owner(ground: &Ground) -> Result<Owner, SourceError> {
    let token = hex::encode(&Random::from_entropy().bytes()[..16]);
    ground.outlet.emit_with(Vec::new(), vec![position::own(&token)]).await?;
    let token = position::owner(&ground.store).await?.unwrap_or(token);
    let path = ground.store.path();
    let state: PathBuf = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    Ok(Owner { state: state.display().to_string(), token })
}

#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod upkeep_tests;
#[cfg(test)]
mod world;
