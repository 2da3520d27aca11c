//! The objects we have told of, in the state database.

use std::collections::HashSet;

use serde_json::{Value, json};
use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::event::Sequencer;
use super::folder::{Extra, Known, Stamp};
use super::parts;
use crate::store::Write;

/// How many objects are read at once.
pub const PAGE: usize = 1000;

const BUCKET: &str = "SELECT folder, seen, floor FROM s3_bucket WHERE bucket = ?1";
const FETCH: &str =
    "SELECT key, size, mtime, inode, etag, sequencer, version, hidden, blob, meta, parts FROM s3_object
     WHERE bucket = ?1 AND key IN (SELECT value FROM json_each(?2))";
const NEXT_PAGE: &str = "SELECT key, size, mtime, inode, etag, sequencer FROM s3_object
     WHERE bucket = ?1 AND key > ?2 AND key < ?3 AND NOT hidden ORDER BY key LIMIT ?4";
const PUT: &str =
    "INSERT INTO s3_object (bucket, key, size, mtime, inode, etag, sequencer, version, hidden, blob, meta, parts)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
       value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11
     FROM json_each(?1) WHERE true
     ON CONFLICT (bucket, key) DO UPDATE SET size = excluded.size, mtime = excluded.mtime,
       inode = excluded.inode, etag = excluded.etag, sequencer = excluded.sequencer,
       version = excluded.version, hidden = excluded.hidden, blob = excluded.blob, meta = excluded.meta,
       parts = excluded.parts";
const ARCHIVE: &str =
    "INSERT OR REPLACE INTO s3_version (bucket, key, sequencer, version, marker, size, etag, blob, meta, parts)
     SELECT bucket, key, sequencer, version, 0, size, etag, blob, meta, parts FROM s3_object
     WHERE (bucket, key) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1))";
const DROP_VERSION: &str = "DELETE FROM s3_version WHERE (bucket, key, sequencer) IN
     (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1))";
const MARK: &str = "INSERT OR REPLACE INTO s3_version (bucket, key, sequencer, version, marker, size, etag)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, 1, 0, '' FROM json_each(?1)";
const PUT_VERSION: &str =
    "INSERT OR REPLACE INTO s3_version (bucket, key, sequencer, version, marker, size, etag, blob, meta, parts)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
       value ->> 7, value ->> 8, value ->> 9 FROM json_each(?1)";
const BLOBS: &str = "SELECT blob FROM s3_object WHERE bucket = ?1 AND blob IS NOT NULL
     UNION ALL SELECT blob FROM s3_version WHERE bucket = ?1 AND blob IS NOT NULL
     UNION ALL SELECT blob FROM s3_part WHERE upload IN (SELECT upload FROM s3_upload WHERE bucket = ?1)";
const SET: &str = "INSERT OR REPLACE INTO s3_setting (bucket, name, body)
     SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1)";
const UNSET: &str = "DELETE FROM s3_setting WHERE (bucket, name) IN
     (SELECT value ->> 0, value ->> 1 FROM json_each(?1))";
const GET: &str = "SELECT body FROM s3_setting WHERE bucket = ?1 AND name = ?2";
const INTEND: &str = "INSERT INTO s3_deed (bucket, id, deed)
     SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1)";
const DONE: &str = "DELETE FROM s3_deed WHERE (bucket, id) IN
     (SELECT value ->> 0, value ->> 1 FROM json_each(?1))";
const VERSION: &str = "SELECT sequencer, version, marker, size, etag, blob, meta, parts FROM s3_version
     WHERE bucket = ?1 AND key = ?2 AND version = ?3";
const NEWEST: &str = "SELECT sequencer, version, marker, size, etag, blob, meta, parts FROM s3_version
     WHERE bucket = ?1 AND key = ?2 ORDER BY sequencer DESC LIMIT 2";
const DEEDS: &str = "SELECT id, deed FROM s3_deed WHERE bucket = ?1 ORDER BY id";
const DROP: &str = "DELETE FROM s3_object WHERE (bucket, key) IN
     (SELECT value ->> 0, value ->> 1 FROM json_each(?1))";
const RAISE_FLOOR: &str = "UPDATE s3_bucket SET floor = max(s3_bucket.floor, new.floor)
     FROM (SELECT value ->> 0 AS bucket, max(value ->> 1) AS floor FROM json_each(?1) GROUP BY 1) AS new
     WHERE s3_bucket.bucket = new.bucket";
const FORGET: &str = "DELETE FROM s3_object WHERE bucket IN (SELECT value ->> 0 FROM json_each(?1))";
const FORGET_VERSIONS: &str =
    "DELETE FROM s3_version WHERE bucket IN (SELECT value ->> 0 FROM json_each(?1))";
const BEGIN: &str = "INSERT INTO s3_bucket (bucket, folder, seen, floor)
     SELECT value ->> 0, value ->> 1, 0, value ->> 2 FROM json_each(?1) WHERE true
     ON CONFLICT (bucket) DO UPDATE SET folder = excluded.folder, seen = 0";
const SEEN: &str = "UPDATE s3_bucket SET seen = 1 WHERE bucket IN (SELECT value ->> 0 FROM json_each(?1))";

/// What we remember of a bucket as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Its folder.
    pub folder: String,
    /// Whether the folder was surveyed to its end once.
    pub seen: bool,
    /// The highest sequencer of an object that was removed.
    pub floor: Sequencer,
}

/// What we remember of this bucket; None if it is new.
pub async fn remembered(pool: &SqlitePool, bucket: &str) -> Result<Option<Remembered>, sqlx::Error> {
    let row = sqlx::query(BUCKET).bind(bucket).fetch_optional(pool).await?;
    row.map(|row| {
        let (folder, seen, floor): (String, bool, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(Remembered { folder, seen, floor: Sequencer::read(&floor) })
    })
    .transpose()
}

/// Those of these keys that we know, in no order.
pub async fn fetch(pool: &SqlitePool, bucket: &str, keys: &[&str]) -> Result<Vec<Known>, sqlx::Error> {
    let keys = Value::from(keys.to_vec()).to_string();
    sqlx::query(FETCH).bind(bucket).bind(keys).fetch_all(pool).await?.iter().map(whole_known).collect()
}

/// The next page of the objects whose keys begin with `prefix`, which is empty or ends with `/`.
/// `after` is the last key of the page before, or empty.
pub async fn page(
    pool: &SqlitePool,
    bucket: &str,
    prefix: &str,
    after: &str,
) -> Result<Vec<Known>, sqlx::Error> {
    // `0` follows `/`; and no key is as long as the greatest character so many times.
    let end = match prefix.strip_suffix('/') {
        Some(folder) => format!("{folder}0"),
        None => "\u{10ffff}".repeat(300),
    };
    let query = sqlx::query(NEXT_PAGE).bind(bucket).bind(after.max(prefix)).bind(end).bind(PAGE as i64);
    query.fetch_all(pool).await?.iter().map(bare).collect()
}

/// What is to be done with files of this bucket, in order: each with its number, as JSON.
pub async fn deeds(pool: &SqlitePool, bucket: &str) -> Result<Vec<(i64, String)>, sqlx::Error> {
    sqlx::query_as(DEEDS).bind(bucket).fetch_all(pool).await
}

/// A version of an object that is not the present one, or a delete marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Older {
    /// The sequencer of its write.
    pub sequencer: Sequencer,
    /// Its id; empty is the null version.
    pub version: String,
    /// Whether it is a delete marker.
    pub marker: bool,
    /// Bytes.
    pub size: u64,
    /// Its eTag.
    pub etag: String,
    /// Where its content lies in the state folder.
    pub blob: Option<String>,
    /// Headers, metadata, tags and checksums as JSON.
    pub meta: Option<String>,
}

/// The version of this id, if it is not the present one; empty is the null version.
pub async fn version(
    pool: &SqlitePool,
    bucket: &str,
    (key, version): (&str, &str),
) -> Result<Option<Older>, sqlx::Error> {
    let row = sqlx::query(VERSION).bind(bucket).bind(key).bind(version).fetch_optional(pool).await?;
    row.as_ref().map(whole).transpose()
}

/// The two latest versions of this key that are not the present one, the latest first.
pub async fn newest(pool: &SqlitePool, bucket: &str, key: &str) -> Result<Vec<Older>, sqlx::Error> {
    sqlx::query(NEWEST).bind(bucket).bind(key).fetch_all(pool).await?.iter().map(whole).collect()
}

/// A row of `sequencer, version, marker, size, etag, blob, meta, parts`.
fn whole(row: &SqliteRow) -> Result<Older, sqlx::Error> {
    let older = older(row)?;
    Ok(Older { meta: parts::together(older.meta, row.try_get(7)?), ..older })
}

/// A row that begins with `sequencer, version, marker, size, etag, blob, meta`, without its parts.
pub fn older(row: &SqliteRow) -> Result<Older, sqlx::Error> {
    let (sequencer, size): (&str, i64) = (row.try_get(0)?, row.try_get(3)?);
    Ok(Older {
        sequencer: Sequencer::read(sequencer),
        version: row.try_get(1)?,
        marker: row.try_get(2)?,
        size: size.cast_unsigned(),
        etag: row.try_get(4)?,
        blob: row.try_get(5)?,
        meta: row.try_get(6)?,
    })
}

/// A row of `key, size, mtime, inode, etag, sequencer, version, hidden, blob, meta, parts`.
fn whole_known(row: &SqliteRow) -> Result<Known, sqlx::Error> {
    let mut known = known(row)?;
    known.extra.meta = parts::together(known.extra.meta.take(), row.try_get(10)?);
    Ok(known)
}

/// A row that begins with `key, size, mtime, inode, etag, sequencer, version, hidden, blob, meta`, without its parts.
pub fn known(row: &SqliteRow) -> Result<Known, sqlx::Error> {
    let extra = Extra {
        version: row.try_get(6)?,
        hidden: row.try_get(7)?,
        blob: row.try_get(8)?,
        meta: row.try_get(9)?,
    };
    Ok(Known { extra, ..bare(row)? })
}

fn bare(row: &SqliteRow) -> Result<Known, sqlx::Error> {
    let (size, inode): (i64, i64) = (row.try_get(1)?, row.try_get(3)?);
    let stamp = Stamp { size: size.cast_unsigned(), mtime: row.try_get(2)?, inode: inode.cast_unsigned() };
    let sequencer: &str = row.try_get(5)?;
    let (sequencer, extra) = (Sequencer::read(sequencer), Extra::default());
    Ok(Known { key: row.try_get(0)?, stamp, etag: row.try_get(4)?, sequencer, extra })
}

/// Rows to write in one transaction with the events. What is superseded or dropped is archived first.
#[derive(Debug, Default)]
pub struct Rows {
    archived: Vec<Value>,
    versions_dropped: Vec<Value>,
    refreshed: Vec<Value>,
    put: Vec<Value>,
    dropped: Vec<Value>,
    restored: Vec<Value>,
    versions: Vec<Value>,
    marked: Vec<Value>,
    floors: Vec<Value>,
    intended: Vec<Value>,
    done: Vec<Value>,
}

impl Rows {
    /// The object is now so.
    pub fn put(&mut self, bucket: &str, object: &Known) {
        self.put.push(Rows::row(bucket, object));
    }
    /// The object was so before anything else happens to it.
    pub fn refresh(&mut self, bucket: &str, object: &Known) {
        self.refreshed.push(Rows::row(bucket, object));
    }
    fn row(bucket: &str, object: &Known) -> Value {
        let Stamp { size, mtime, inode } = object.stamp;
        let (size, inode) = (size.cast_signed(), inode.cast_signed());
        let (sequencer, Extra { version, hidden, blob, meta }) = (object.sequencer.text(), &object.extra);
        let (hidden, (meta, parts), etag) = (i64::from(*hidden), parts::apart(meta.as_deref()), &object.etag);
        json!([bucket, object.key, size, mtime, inode, etag, sequencer, version, hidden, blob, meta, parts])
    }
    /// The object is gone; its removal had this sequencer.
    pub fn drop(&mut self, bucket: &str, key: &str, sequencer: Sequencer) {
        self.dropped.push(json!([bucket, key]));
        self.floors.push(json!([bucket, sequencer.text()]));
    }
    /// Changes to keys that are not known are later than this one.
    pub fn raise_floor(&mut self, bucket: &str, sequencer: Sequencer) {
        self.floors.push(json!([bucket, sequencer.text()]));
    }
    /// An older version becomes the object again, after the present one is gone.
    pub fn restore(&mut self, bucket: &str, object: &Known) {
        self.restored.push(Rows::row(bucket, object));
    }
    /// This older version is now so.
    pub fn put_version(&mut self, bucket: &str, key: &str, older: &Older) {
        let Older { sequencer, version, marker, size, etag, blob, meta } = older;
        let (sequencer, marker) = (sequencer.text(), i64::from(*marker));
        let (meta, parts) = parts::apart(meta.as_deref());
        self.versions.push(json!([bucket, key, sequencer, version, marker, size, etag, blob, meta, parts]));
    }
    /// The present object becomes an older version of its key.
    pub fn archive(&mut self, bucket: &str, key: &str) {
        self.archived.push(json!([bucket, key]));
    }
    /// This older version, or delete marker, is gone.
    pub fn drop_version(&mut self, bucket: &str, key: &str, sequencer: Sequencer) {
        self.versions_dropped.push(json!([bucket, key, sequencer.text()]));
    }
    /// A delete marker is the key's latest version.
    pub fn mark(&mut self, bucket: &str, key: &str, (sequencer, version): (Sequencer, &str)) {
        self.marked.push(json!([bucket, key, sequencer.text(), version]));
    }
    /// This is to be done with files.
    pub fn intend(&mut self, bucket: &str, id: i64, deed: &str) {
        self.intended.push(json!([bucket, id, deed]));
    }
    /// These are done.
    pub fn done(&mut self, bucket: &str, ids: Vec<i64>) {
        self.done.extend(ids.into_iter().map(|id| json!([bucket, id])));
    }
    /// These as well.
    pub fn append(&mut self, more: Rows) {
        self.archived.extend(more.archived);
        self.versions_dropped.extend(more.versions_dropped);
        self.refreshed.extend(more.refreshed);
        self.put.extend(more.put);
        self.dropped.extend(more.dropped);
        self.restored.extend(more.restored);
        self.versions.extend(more.versions);
        self.marked.extend(more.marked);
        self.floors.extend(more.floors);
        self.intended.extend(more.intended);
        self.done.extend(more.done);
    }
    /// The statements.
    pub fn writes(self) -> Vec<Write> {
        let statements = [
            (DONE, self.done),
            (PUT, self.refreshed),
            (ARCHIVE, self.archived),
            (DROP_VERSION, self.versions_dropped),
            (PUT, self.put),
            (DROP, self.dropped),
            (PUT, self.restored),
            (PUT_VERSION, self.versions),
            (MARK, self.marked),
            (RAISE_FLOOR, self.floors),
            (INTEND, self.intended),
        ];
        statements
            .into_iter()
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(sql, rows)| Write { sql, rows })
            .collect()
    }
}

/// The contents in the state folder that something of this bucket stands for.
pub async fn blobs(pool: &SqlitePool, bucket: &str) -> Result<HashSet<String>, sqlx::Error> {
    let all: Vec<String> = sqlx::query_scalar(BLOBS).bind(bucket).fetch_all(pool).await?;
    Ok(all.into_iter().collect())
}

/// What was set of a bucket under this name, as JSON.
pub async fn set(pool: &SqlitePool, bucket: &str, name: &str) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(GET).bind(bucket).bind(name).fetch_optional(pool).await
}

/// Sets something of a bucket, or takes it back.
pub fn setting(
    bucket: &str,
    name: &str,
    value: Option<&impl serde::Serialize>,
) -> Result<Vec<Write>, serde_json::Error> {
    let write = match value {
        Some(value) => {
            let body = serde_json::to_string(value)?;
            Write { sql: SET, rows: vec![json!([bucket, name, body])] }
        }
        None => Write { sql: UNSET, rows: vec![json!([bucket, name])] },
    };
    Ok(vec![write])
}

/// Begins anew: the bucket's objects are those of this folder, and none is known yet.
pub fn begin(bucket: &str, folder: &str) -> Vec<Write> {
    let start = Sequencer::default().text();
    vec![
        Write { sql: FORGET, rows: vec![json!([bucket])] },
        Write { sql: FORGET_VERSIONS, rows: vec![json!([bucket])] },
        Write { sql: BEGIN, rows: vec![json!([bucket, folder, start])] },
    ]
}

/// The folder was surveyed to its end.
pub fn seen(bucket: &str) -> Vec<Write> {
    vec![Write { sql: SEEN, rows: vec![json!([bucket])] }]
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
