//! The objects we have told of, in the state database.

use serde_json::{Value, json};
use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::event::Sequencer;
use super::folder::{Known, Stamp};
use crate::store::Write;

/// How many objects are read at once.
pub const PAGE: usize = 1000;

const BUCKET: &str = "SELECT folder, seen, floor FROM s3_bucket WHERE bucket = ?1";
const FETCH: &str = "SELECT key, size, mtime, inode, etag, sequencer FROM s3_object
     WHERE bucket = ?1 AND key IN (SELECT value FROM json_each(?2))";
const NEXT_PAGE: &str = "SELECT key, size, mtime, inode, etag, sequencer FROM s3_object
     WHERE bucket = ?1 AND key > ?2 AND key < ?3 ORDER BY key LIMIT ?4";
const PUT: &str = "INSERT INTO s3_object (bucket, key, size, mtime, inode, etag, sequencer)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
     FROM json_each(?1) WHERE true
     ON CONFLICT (bucket, key) DO UPDATE SET size = excluded.size, mtime = excluded.mtime,
       inode = excluded.inode, etag = excluded.etag, sequencer = excluded.sequencer";
const DROP: &str = "DELETE FROM s3_object WHERE (bucket, key) IN
     (SELECT value ->> 0, value ->> 1 FROM json_each(?1))";
const RAISE_FLOOR: &str = "UPDATE s3_bucket SET floor = max(s3_bucket.floor, new.floor)
     FROM (SELECT value ->> 0 AS bucket, max(value ->> 1) AS floor FROM json_each(?1) GROUP BY 1) AS new
     WHERE s3_bucket.bucket = new.bucket";
const FORGET: &str = "DELETE FROM s3_object WHERE bucket IN (SELECT value ->> 0 FROM json_each(?1))";
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
    sqlx::query(FETCH).bind(bucket).bind(keys).fetch_all(pool).await?.iter().map(known).collect()
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
    query.fetch_all(pool).await?.iter().map(known).collect()
}

fn known(row: &SqliteRow) -> Result<Known, sqlx::Error> {
    let (size, inode): (i64, i64) = (row.try_get(1)?, row.try_get(3)?);
    let stamp = Stamp { size: size.cast_unsigned(), mtime: row.try_get(2)?, inode: inode.cast_unsigned() };
    let sequencer: &str = row.try_get(5)?;
    Ok(Known { key: row.try_get(0)?, stamp, etag: row.try_get(4)?, sequencer: Sequencer::read(sequencer) })
}

/// Rows to write in one transaction with the events.
#[derive(Debug, Default)]
pub struct Rows {
    put: Vec<Value>,
    dropped: Vec<Value>,
    floors: Vec<Value>,
}

impl Rows {
    /// The object is now so.
    pub fn put(&mut self, bucket: &str, object: &Known) {
        let Stamp { size, mtime, inode } = object.stamp;
        let (size, inode) = (size.cast_signed(), inode.cast_signed());
        self.put.push(json!([bucket, object.key, size, mtime, inode, object.etag, object.sequencer.text()]));
    }
    /// The object is gone; its removal had this sequencer.
    pub fn drop(&mut self, bucket: &str, key: &str, sequencer: Sequencer) {
        self.dropped.push(json!([bucket, key]));
        self.floors.push(json!([bucket, sequencer.text()]));
    }
    /// The statements.
    pub fn writes(self) -> Vec<Write> {
        let statements = [(PUT, self.put), (DROP, self.dropped), (RAISE_FLOOR, self.floors)];
        statements
            .into_iter()
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(sql, rows)| Write { sql, rows })
            .collect()
    }
}

/// Begins anew: the bucket's objects are those of this folder, and none is known yet.
pub fn begin(bucket: &str, folder: &str) -> Vec<Write> {
    let start = Sequencer::default().text();
    vec![
        Write { sql: FORGET, rows: vec![json!([bucket])] },
        Write { sql: BEGIN, rows: vec![json!([bucket, folder, start])] },
    ]
}

/// The folder was surveyed to its end.
pub fn seen(bucket: &str) -> Vec<Write> {
    vec![Write { sql: SEEN, rows: vec![json!([bucket])] }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::store::Store;

    fn object(key: &str, seconds: i64) -> Known {
        let stamp = Stamp { size: 7, mtime: -1, inode: u64::MAX - 1 };
        let sequencer = Sequencer::at(Timestamp::from_millis(seconds * 1000));
        Known { key: key.into(), stamp, etag: "e".into(), sequencer }
    }

    #[tokio::test]
    async fn rows_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("state.db")).await.expect("opens");
        store.write(begin("b", "/f")).await.expect("writes");
        let keys = ["a", "a!", "a/b", "a/ü", "a0", "A%+ \n'"];
        let mut rows = Rows::default();
        // After the year 2038 a sequencer is larger than a signed number.
        keys.iter().for_each(|key| rows.put("b", &object(key, 3_000_000_000)));
        rows.put("other", &object("a/z", 1));
        store.write(rows.writes()).await.expect("writes");
        let fetched = fetch(store.read(), "b", &["A%+ \n'", "a/b", "nothing"]).await.expect("reads");
        assert_eq!(fetched.len(), 2);
        assert!(fetched.contains(&object("a/b", 3_000_000_000)), "{fetched:?}");
        let listed = async |prefix: &str, after: &str| -> Vec<String> {
            let page = page(store.read(), "b", prefix, after).await.expect("reads");
            page.into_iter().map(|known| known.key).collect()
        };
        assert_eq!(listed("", "").await, ["A%+ \n'", "a", "a!", "a/b", "a/ü", "a0"]);
        assert_eq!(listed("", "a/b").await, ["a/ü", "a0"]);
        assert_eq!(listed("a/", "").await, ["a/b", "a/ü"]);
        let mut rows = Rows::default();
        rows.drop("b", "a/b", Sequencer::at(Timestamp::from_millis(5000)));
        rows.drop("b", "a/ü", Sequencer::at(Timestamp::from_millis(4000)));
        store.write(rows.writes()).await.expect("writes");
        store.write(seen("b")).await.expect("writes");
        assert!(listed("a/", "").await.is_empty());
        let floor = Sequencer::at(Timestamp::from_millis(5000));
        let expected = Remembered { folder: "/f".into(), seen: true, floor };
        assert_eq!(remembered(store.read(), "b").await.expect("reads"), Some(expected));
        store.write(begin("b", "/g")).await.expect("writes");
        assert!(listed("", "").await.is_empty());
        let begun = remembered(store.read(), "b").await.expect("reads").expect("a row");
        assert_eq!((begun.seen, begun.floor), (false, floor));
    }
}
