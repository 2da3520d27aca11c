//! Reads a table's change log and turns it into events: each once, in the order of the commits.

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlx::{Connection, SqliteConnection};

use super::Ground;
use super::changes;
use super::event::{Mark, Stream};
use super::file::{self, Owner};
use super::log::{self, Page};
use super::position::Position;
use super::schema::Schema;
use super::table::schema_version;
use super::trouble::{explained, is_busy, is_missing_table, sqlite_trouble, trouble};
use crate::arn::Arn;
use crate::config::TableSpec;
use crate::delivery::queue::StoreError;
use crate::event::Event;
use crate::identity::identity;
use crate::source::SourceError;

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Everything that was there, if anything was.
    Through,
    /// Somebody else holds the file: look again soon.
    Busy,
    /// No file, or none that can be read: look again now and then.
    Absent,
    /// Our log was taken out of the file: there is nothing more to look at.
    Detached,
}

/// What has been forgotten of what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trimmed {
    /// All of it.
    All,
    /// Some; there is more.
    Some,
    /// Nothing: somebody else holds the file.
    Not,
}

/// Why a look failed.
pub(super) enum Failure {
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
    pub(super) spec: Arc<TableSpec>,
    pub(super) ground: Ground,
    pub(super) source: Arn,
    pub(super) owner: Owner,
    pub(super) open: Option<Open>,
    /// What was already said, so that it is said once.
    pub(super) said: BTreeSet<String>,
}

/// An open file.
pub(super) struct Open {
    pub(super) connection: SqliteConnection,
    /// Device and inode: another file under this name has others.
    pub(super) identity: (u64, u64),
    pub(super) schema: Schema,
    pub(super) schema_version: i64,
    pub(super) position: Position,
    pub(super) is_table_there: bool,
    /// How many rows were read and are still to be forgotten; at least 1 after the start, when nobody knows.
    pub(super) untrimmed: usize,
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
            let has_more = page.has_more;
            self.emit(page).await?;
            if !has_more {
                break;
            }
        }
        Ok(Seen::Through)
    }

    pub(super) fn identity(&self) -> Option<(u64, u64)> {
        std::fs::metadata(&self.spec.sqlite).ok().map(|found| identity(&found))
    }

    async fn page(&mut self) -> Result<Page, sqlx::Error> {
        match &mut self.open {
            Some(open) => log::page(&mut open.connection, &self.spec.name, open.position.seq).await,
            None => Ok(Page::default()),
        }
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

    /// The ARN of the stream; the table's own while there is no file.
    pub(super) fn stream_arn(&self) -> String {
        let label = self.open.as_ref().map(|open| &open.position.label);
        label.map_or(self.source.to_string(), |label| format!("{}/stream/{label}", self.source))
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
        let (name, at) = (position.log(), self.ground.clock.now());
        let mut events: Vec<Event> = Vec::new();
        let mut unfit = BTreeSet::new();
        for (row, nonce) in &page.rows {
            let told = changes::read(row, &open.schema.shape);
            unfit.extend(told.unfit);
            for change in &told.changes {
                position.ordinal += 1;
                events.push(stream.event(change, Mark { log: &name, ordinal: position.ordinal, at }));
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

    /// Forgets in the file some of what has been read.
    pub async fn trim(&mut self) -> Trimmed {
        let Some(open) = self.open.as_mut().filter(|open| open.untrimmed > 0) else { return Trimmed::All };
        match file::trim(&mut open.connection, &self.spec.name, open.position.seq).await {
            Ok(true) => {
                open.untrimmed = open.untrimmed.saturating_sub(file::TRIM_ROWS as usize).max(1);
                Trimmed::Some
            }
            Ok(false) => {
                open.untrimmed = 0;
                Trimmed::All
            }
            // No harm: the rows are read already, and take no more than room until somebody lets us write.
            Err(_) => Trimmed::Not,
        }
    }

    /// Whether so much is to be forgotten that it cannot wait for a quiet moment, which may never come.
    pub fn is_overdue(&self) -> bool {
        const UNTRIMMED_MAX: usize = 20_000;
        self.open.as_ref().is_some_and(|open| open.untrimmed > UNTRIMMED_MAX)
    }

    /// Closes the file.
    pub async fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.connection.close().await.ok();
        }
    }

    /// Tells it on the timeline, once until things change.
    pub(super) fn say(&mut self, level: &'static str, text: String) {
        if self.said.insert(text.clone()) {
            self.ground.timeline.notice(self.ground.clock.now(), level, text);
        }
    }
}
