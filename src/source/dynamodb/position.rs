//! How far a table's log has been read, in the state database: moved together with the events it became.

use serde_json::json;
use sqlx::Row;

use crate::store::{Store, StoreError, Write};

/// The place in one log, and in the stream that it feeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The table's ARN: whose stream it is.
    pub source: String,
    /// The stream's label.
    pub label: String,
    /// How many records the stream has had.
    pub ordinal: i64,
    /// The file's token.
    pub file: String,
    /// The name that log rows carry.
    pub tag: String,
    /// How often the file turned out to be another copy of itself.
    pub epoch: i64,
    /// The last row read; 0 for none.
    pub seq: i64,
    /// The nonce of that row.
    pub nonce: i64,
}

const OWNER: &str = "INSERT INTO dynamodb_owner (one, token) SELECT 1, value ->> 0 FROM json_each(?1) WHERE true \
                     ON CONFLICT (one) DO NOTHING";
const STREAM: &str = "INSERT INTO dynamodb_stream (source, label, ordinal) \
                      SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1) WHERE true \
                      ON CONFLICT (source) DO UPDATE SET ordinal = excluded.ordinal";
const CURSOR: &str = "INSERT INTO dynamodb_cursor (file, tbl, epoch, seq, nonce) \
                      SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1) WHERE true \
                      ON CONFLICT (file, tbl) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq, nonce = excluded.nonce";

/// The statement that gives this state its token, if it has none yet.
pub fn own(token: &str) -> Write {
    Write { sql: OWNER, rows: vec![json!([token])] }
}

/// The token of this state.
pub async fn owner(store: &Store) -> Result<Option<String>, StoreError> {
    let row = sqlx::query("SELECT token FROM dynamodb_owner").fetch_optional(store.read()).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

impl Position {
    /// Reads where this table is in this file; at the beginning if it was never read. `label` is for a new stream.
    pub async fn load(
        store: &Store,
        (source, tag): (&str, &str),
        file: &str,
        label: &str,
    ) -> Result<Position, StoreError> {
        let mut position = Position {
            source: source.to_owned(),
            label: label.to_owned(),
            ordinal: 0,
            file: file.to_owned(),
            tag: tag.to_owned(),
            epoch: 0,
            seq: 0,
            nonce: 0,
        };
        let stream = sqlx::query("SELECT label, ordinal FROM dynamodb_stream WHERE source = ?1").bind(source);
        if let Some(row) = stream.fetch_optional(store.read()).await? {
            (position.label, position.ordinal) = (row.try_get(0)?, row.try_get(1)?);
        }
        let cursor = "SELECT epoch, seq, nonce FROM dynamodb_cursor WHERE file = ?1 AND tbl = ?2";
        if let Some(row) = sqlx::query(cursor).bind(file).bind(tag).fetch_optional(store.read()).await? {
            (position.epoch, position.seq, position.nonce) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        }
        Ok(position)
    }

    /// The statements that make this the position.
    pub fn writes(&self) -> Vec<Write> {
        vec![
            Write { sql: STREAM, rows: vec![json!([self.source, self.label, self.ordinal])] },
            Write { sql: CURSOR, rows: vec![json!([self.file, self.tag, self.epoch, self.seq, self.nonce])] },
        ]
    }

    /// What names this log among all: part of every event's id.
    pub fn log(&self) -> String {
        format!("{}.{}", self.file, self.epoch)
    }

    /// The file is another copy: everything in its log is unread.
    pub fn begin_again(&mut self) {
        self.epoch += 1;
        (self.seq, self.nonce) = (0, 0);
    }
}
