//! Reads a table's change log and turns it into events: each once, in the order of the commits.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::{Connection, Row, SqliteConnection};

use super::changes::{self, LogRow};
use super::event::{Mark, Stream, label};
use super::file::{self, Owner, Prepared};
use super::position::Position;
use super::schema::{Lookup, Schema, look_up};
use super::table::schema_version;
use super::trouble::{explained, is_busy, is_missing_table, sqlite_trouble, trouble};
use super::{Ground, QUIET};
use crate::arn::Arn;
use crate::config::TableSpec;
use crate::delivery::queue::StoreError;
use crate::event::Event;
use crate::source::SourceError;

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// So many changes; 0 for none.
    Changes(usize),
    /// Somebody else holds the file: look again soon.
    Busy,
    /// No file, or none that can be read: look again now and then.
    Absent,
    /// Our log was taken out of the file: there is nothing more to look at.
    Detached,
}

/// Why a look failed.
enum Failure {
    Sqlite(sqlx::Error),
    Store(StoreError),
    Words(String),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Failure {
        Failure::Sqlite(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

/// The one reader of a table's log.
pub struct Reader {
    spec: Arc<TableSpec>,
    ground: Ground,
    source: Arn,
    owner: Owner,
    open: Option<Open>,
    /// What was already said, so that it is said once.
    said: BTreeSet<String>,
}

/// An open file.
struct Open {
    connection: SqliteConnection,
    /// Device and inode: another file under this name has others.
    identity: (u64, u64),
    schema: Schema,
    schema_version: i64,
    position: Position,
    is_table_there: bool,
    /// How many rows were read and are still to be forgotten; at least 1 after the start, when nobody knows.
    untrimmed: usize,
}

/// How many log rows become events in one transaction, and how many bytes of them.
const PAGE_ROWS: i64 = 500;
const PAGE_BYTES: usize = 4 << 20;

/// The schema's version is read in the same snapshot as the rows: what the triggers of an older schema wrote is
/// not read before it is repaired. The last row read comes along, as proof that this is the log that we know.
const PAGE: &str = "SELECT seq, nonce, done, (SELECT schema_version FROM pragma_schema_version), \
                    CASE WHEN seq > ?2 THEN CAST(old AS BLOB) END, CASE WHEN seq > ?2 THEN CAST(new AS BLOB) END \
                    FROM dropwire_log WHERE tbl = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3";

#[derive(Default)]
struct Page {
    schema_version: Option<i64>,
    /// The nonce of the row at the cursor, if it is there.
    nonce: Option<i64>,
    rows: Vec<(LogRow, i64)>,
    has_more: bool,
}

impl Reader {
    /// Opens the file, which must have the table, and takes up its log where it was left.
    pub async fn open(spec: Arc<TableSpec>, ground: Ground, owner: Owner) -> Result<Reader, SourceError> {
        let source = Arn::table(&ground.place, &spec.name);
        let mut reader = Reader { spec, ground, source, owner, open: None, said: BTreeSet::new() };
        let mut patience = file::Patience::new();
        let opened = loop {
            match reader.open_file().await {
                Err(Failure::Sqlite(error)) if patience.allows(Some(&error)).await => {}
                opened => break opened,
            }
        };
        match opened {
            Ok(true) => Ok(reader),
            Ok(false) => Err(trouble(&reader.spec, "attach", "it has just gone")),
            Err(Failure::Sqlite(error)) => Err(sqlite_trouble(&reader.spec, "attach", &error)),
            Err(Failure::Store(error)) => Err(error.into()),
            Err(Failure::Words(why)) => Err(trouble(&reader.spec, "attach", &why)),
        }
    }

    /// Emits whatever is new.
    pub async fn look(&mut self) -> Result<Seen, SourceError> {
        match self.try_look().await {
            Ok(seen) => Ok(seen),
            Err(Failure::Sqlite(error)) if is_busy(&error) => Ok(Seen::Busy),
            Err(Failure::Store(StoreError::Stopping)) => Err(StoreError::Stopping.into()),
            Err(failure) => {
                let why = match failure {
                    Failure::Sqlite(error) => explained(&self.spec.sqlite, &error),
                    Failure::Store(error) => error.to_string(),
                    Failure::Words(why) => why,
                };
                // Whatever it was, the position in the state database is what holds: read it again.
                self.close().await;
                self.say(
                    "error",
                    format!(
                        "{}; trying again until it works",
                        trouble(&self.spec, "read the changes of", &why)
                    ),
                );
                Ok(Seen::Absent)
            }
        }
    }

    async fn try_look(&mut self) -> Result<Seen, Failure> {
        let Some(identity) = self.identity() else {
            self.close().await;
            self.say(
                "warning",
                format!(
                    "{} is gone; table `{}` waits until it is back",
                    self.spec.sqlite.display(),
                    self.spec.name
                ),
            );
            return Ok(Seen::Absent);
        };
        if self.open.as_ref().is_some_and(|open| open.identity != identity) {
            self.close().await;
            self.say("info", format!("{} was replaced by another file", self.spec.sqlite.display()));
        }
        if self.open.is_none() && !self.open_file().await? {
            return Ok(Seen::Absent);
        }
        let mut count = 0;
        loop {
            let page = match self.page().await {
                Err(error) if is_missing_table(&error) => return Ok(self.detached().await),
                page => page?,
            };
            if self.is_of_another_schema(&page).await? {
                self.refresh().await?;
                continue;
            }
            if !self.continues(&page) {
                self.begin_again().await?;
                continue;
            }
            if page.rows.is_empty() {
                break;
            }
            count += page.rows.len();
            let has_more = page.has_more;
            self.emit(page).await?;
            if !has_more {
                break;
            }
        }
        Ok(Seen::Changes(count))
    }

    fn identity(&self) -> Option<(u64, u64)> {
        let found = std::fs::metadata(&self.spec.sqlite).ok()?;
        Some((found.dev(), found.ino()))
    }

    /// Opens the file and sees to our tables and triggers in it. False if the table is not there.
    async fn open_file(&mut self) -> Result<bool, Failure> {
        let Some(identity) = self.identity() else { return Ok(false) };
        let mut connection = file::connect(&self.spec.sqlite, Duration::ZERO).await?;
        let schema = match look_up(&mut connection, &self.spec).await? {
            Lookup::Found(schema) => schema,
            Lookup::Unfit(why) => return Err(Failure::Words(why)),
            Lookup::Missing => {
                self.say(
                    "warning",
                    format!(
                        "{} has no table `{}`; it is taken up when it is there",
                        self.spec.sqlite.display(),
                        self.spec.name
                    ),
                );
                return Ok(false);
            }
        };
        let prepared = self.prepare(&mut connection).await?;
        let position = self.position(&prepared.token).await?;
        self.install(&mut connection, &schema, position.seq).await?;
        let schema_version = schema_version(&mut connection).await?;
        let untrimmed = usize::from(position.seq > 0);
        self.said.clear();
        self.open = Some(Open {
            connection,
            identity,
            schema,
            schema_version,
            position,
            is_table_there: true,
            untrimmed,
        });
        Ok(true)
    }

    async fn prepare(&mut self, connection: &mut SqliteConnection) -> Result<Prepared, Failure> {
        let token = hex::encode(&self.ground.random.bytes()[..16]);
        let prepared = file::prepare(connection, &self.owner, &token).await.map_err(|refusal| match refusal {
            file::Refusal::Sqlite(error) => Failure::Sqlite(error),
            file::Refusal::Owned(other) => Failure::Words(format!(
                "its changes are read by the dropwire whose state is {}; use that one, or stop it and run \
                 `dropwire table detach {}`",
                other.state,
                self.spec.sqlite.display()
            )),
        })?;
        if let Some(other) = &prepared.taken_over_from {
            let file = self.spec.sqlite.display();
            self.say(
                "info",
                format!(
                    "the changes in {file} were read into the state {}, which is no more; now they are ours",
                    other.state
                ),
            );
        }
        Ok(prepared)
    }

    async fn position(&self, token: &str) -> Result<Position, StoreError> {
        let names = (self.source.as_str(), self.spec.name.as_str());
        let position =
            Position::load(&self.ground.store, names, token, &label(self.ground.clock.now())).await?;
        self.ground.outlet.emit_with(Vec::new(), position.writes()).await?;
        Ok(position)
    }

    async fn install(
        &mut self,
        connection: &mut SqliteConnection,
        schema: &Schema,
        read_to: i64,
    ) -> Result<bool, sqlx::Error> {
        for remark in &schema.remarks {
            self.say("warning", remark.clone());
        }
        file::install(connection, &schema.subject, read_to).await
    }

    /// The next rows of the log.
    async fn page(&mut self) -> Result<Page, sqlx::Error> {
        let mut page = Page::default();
        let Some(open) = &mut self.open else { return Ok(page) };
        let cursor = open.position.seq;
        let mut bytes = 0;
        let query = sqlx::query(PAGE).bind(&self.spec.name).bind(cursor).bind(PAGE_ROWS + 1);
        let mut rows = query.fetch(&mut open.connection);
        while let Some(row) = rows.try_next().await? {
            let (seq, nonce, done): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            page.schema_version = Some(row.try_get(3)?);
            if seq == cursor {
                page.nonce = Some(nonce);
            } else if done == 0 {
                let (old, new): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.try_get(4)?, row.try_get(5)?);
                bytes += [&old, &new].into_iter().flatten().map(Vec::len).sum::<usize>();
                let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
                page.rows.push((LogRow { seq, old: old.map(text), new: new.map(text) }, nonce));
            }
            if page.rows.len() as i64 >= PAGE_ROWS || bytes > PAGE_BYTES {
                page.has_more = true;
                break;
            }
        }
        Ok(page)
    }

    async fn is_of_another_schema(&mut self, page: &Page) -> Result<bool, sqlx::Error> {
        let Some(open) = &mut self.open else { return Ok(false) };
        let version = match page.schema_version {
            Some(version) => version,
            // No row brought it along, so there is none that must wait for a repair either.
            None => schema_version(&mut open.connection).await?,
        };
        Ok(version != open.schema_version)
    }

    /// Whether the log goes on from where we were.
    fn continues(&self, page: &Page) -> bool {
        self.open
            .as_ref()
            .is_none_or(|open| open.position.seq == 0 || page.nonce == Some(open.position.nonce))
    }

    /// The schema changed: sees whether the table is there and its triggers are those it needs.
    async fn refresh(&mut self) -> Result<(), Failure> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let version = schema_version(&mut open.connection).await?;
        let (file, name) = (self.spec.sqlite.display().to_string(), self.spec.name.clone());
        match look_up(&mut open.connection, &self.spec).await? {
            Lookup::Found(schema) => {
                let is_back = !open.is_table_there;
                let changed = self.install(&mut open.connection, &schema, open.position.seq).await?;
                if is_back {
                    self.say(
                        "info",
                        format!(
                            "table `{name}` is in {file} again; what happened to it before this was not seen"
                        ),
                    );
                } else if changed && open.schema != schema {
                    self.say("info", format!("the columns or indexes of table `{name}` in {file} changed; its triggers were made anew"));
                } else if changed {
                    self.say("info", format!("the triggers of table `{name}` in {file} were made anew"));
                }
                open.is_table_there = true;
                open.schema = schema;
                open.schema_version = schema_version(&mut open.connection).await?;
                self.said.clear();
            }
            unusable => {
                if open.is_table_there {
                    let why = match unusable {
                        Lookup::Unfit(why) => {
                            format!("table `{name}` in {file} cannot be watched any more: {why}")
                        }
                        _ => format!(
                            "table `{name}` in {file} was dropped or renamed; it is taken up again when it is back"
                        ),
                    };
                    self.say("warning", why);
                    file::remove_triggers(&mut open.connection, &name).await?;
                }
                open.is_table_there = false;
                open.schema_version = schema_version(&mut open.connection).await?.max(version);
            }
        }
        self.open = Some(open);
        Ok(())
    }

    /// The log does not go on from where we were: an older copy of the file, or it was made anew.
    async fn begin_again(&mut self) -> Result<(), Failure> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if file::token(&mut open.connection).await? != Some(open.position.file.clone()) {
            // Another file's content under the same inode.
            self.close().await;
            self.open_file().await?;
            return Ok(());
        }
        open.position.begin_again();
        self.ground.outlet.emit_with(Vec::new(), open.position.writes()).await?;
        let file = self.spec.sqlite.display();
        let text = format!(
            "{file} is not as it was left, but an earlier copy of it; going on with the changes that are in its log"
        );
        self.say("warning", text);
        Ok(())
    }

    /// Stores what the rows tell, and that they have been read.
    async fn emit(&mut self, page: Page) -> Result<(), Failure> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let mut position = open.position.clone();
        let stream = Stream {
            place: self.ground.place.clone(),
            table: self.source.clone(),
            label: position.label.clone(),
            view: self.spec.view,
        };
        let (log, at) = (position.log(), self.ground.clock.now());
        let mut events: Vec<Event> = Vec::new();
        let mut unfit = BTreeSet::new();
        for (row, nonce) in &page.rows {
            let told = changes::read(row, &open.schema.shape);
            unfit.extend(told.unfit);
            for change in &told.changes {
                position.ordinal += 1;
                events.push(stream.event(change, Mark { log: &log, ordinal: position.ordinal, at }));
            }
            (position.seq, position.nonce) = (row.seq, *nonce);
        }
        let stored = self.ground.outlet.emit_with(events, position.writes()).await;
        if let Err(error) = stored {
            return Err(error.into());
        }
        open.position = position;
        open.untrimmed += page.rows.len();
        for why in unfit {
            self.say("warning", format!("a row of table `{}` gave no record: {why}", self.spec.name));
        }
        Ok(())
    }

    /// Forgets in the file what has been read. Returns when to go on; None when there is nothing more to forget.
    pub async fn trim(&mut self) -> Option<Duration> {
        const PAUSE: Duration = Duration::from_millis(20);
        let open = self.open.as_mut().filter(|open| open.untrimmed > 0)?;
        match file::trim(&mut open.connection, &self.spec.name, open.position.seq).await {
            Ok(true) => {
                open.untrimmed = open.untrimmed.saturating_sub(file::TRIM_ROWS as usize).max(1);
                Some(PAUSE)
            }
            Ok(false) => {
                open.untrimmed = 0;
                None
            }
            // No harm: the rows are read already, and take no more than room until somebody lets us write.
            Err(_) => Some(QUIET),
        }
    }

    /// Whether so much is to be forgotten that it cannot wait for a quiet moment, which may never come.
    pub fn is_overdue(&self) -> bool {
        const UNTRIMMED_MAX: usize = 20_000;
        self.open.as_ref().is_some_and(|open| open.untrimmed > UNTRIMMED_MAX)
    }

    async fn detached(&mut self) -> Seen {
        self.close().await;
        let text = format!(
            "our change log was taken out of {}; changes of table `{}` are no longer seen until dropwire is started again",
            self.spec.sqlite.display(),
            self.spec.name
        );
        self.say("warning", text);
        Seen::Detached
    }

    /// Closes the file.
    pub async fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.connection.close().await.ok();
        }
    }

    /// Tells it on the timeline, once until things change.
    fn say(&mut self, level: &'static str, text: String) {
        if self.said.insert(text.clone()) {
            self.ground.timeline.notice(self.ground.clock.now(), level, text);
        }
    }
}
