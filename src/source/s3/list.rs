//! Listings: the objects of a bucket in the order of their keys, rolled up at a delimiter, page by page.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Bucket;
use super::event::Sequencer;
use super::index;
use super::object::Object;
use super::order::{broken, kept_version};
use crate::aws::AwsError;

const LIST: &str =
    "SELECT key, size, mtime, inode, etag, sequencer, version, hidden, blob, meta FROM s3_object
     WHERE bucket = ?1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT ?4";
/// From key to key, and from a common prefix to the first key after all that begin with it: each is one step down the
/// index, however many keys there are below the prefix.
const ROLL_UP: &str = "WITH RECURSIVE walk(key) AS (
       SELECT min(key) FROM s3_object WHERE bucket = ?1 AND key >= ?2 AND key < ?3
       UNION ALL
       SELECT (SELECT next.key FROM s3_object AS next WHERE next.bucket = ?1 AND next.key < ?3 AND next.key >=
           CASE instr(substr(walk.key, ?5), ?6) WHEN 0 THEN walk.key || char(0)
           ELSE substr(walk.key, 1, ?5 + instr(substr(walk.key, ?5), ?6) - 2) || ?7 END
         ORDER BY next.key LIMIT 1)
       FROM walk WHERE walk.key IS NOT NULL LIMIT ?4)
     SELECT key, size, mtime, inode, etag, sequencer, version, hidden, blob, meta
     FROM walk JOIN s3_object USING (key) WHERE bucket = ?1 ORDER BY key";
const VERSIONS: &str = "SELECT * FROM (
       SELECT sequencer, version, 0 AS marker, size, etag, blob, meta, key, 1 AS latest, mtime, inode FROM s3_object
       WHERE bucket = ?1 AND key >= ?2 AND key < ?3
       UNION ALL
       SELECT sequencer, version, marker, size, etag, blob, meta, key, 0 AS latest, 0, 0 FROM s3_version
       WHERE bucket = ?1 AND key >= ?2 AND key < ?3
     ) ORDER BY key, latest DESC, sequencer DESC LIMIT ?4";
const SEQUENCER: &str = "SELECT sequencer FROM s3_object WHERE bucket = ?1 AND key = ?2 AND version = ?3
     UNION ALL SELECT sequencer FROM s3_version WHERE bucket = ?1 AND key = ?2 AND version = ?3";
const ANYTHING: &str = "SELECT EXISTS (SELECT 1 FROM s3_object WHERE bucket = ?1),
     EXISTS (SELECT 1 FROM s3_version WHERE bucket = ?1)";

/// How many rows of versions are read at once.
const PAGE: usize = 1000;

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Keys that begin with it.
    pub prefix: String,
    /// Where keys are cut after the prefix; empty for nowhere.
    pub delimiter: String,
    /// Only what comes after this; a common prefix here means after all that begin with it.
    pub after: String,
    /// At most so many keys and common prefixes.
    pub max: usize,
}

/// A page of a listing.
#[derive(Debug, Default)]
pub struct Page {
    /// The objects, in the order of keys.
    pub objects: Vec<Object>,
    /// The common prefixes, in order.
    pub prefixes: Vec<String>,
    /// The last of both, if there is more.
    pub next: Option<Next>,
}

/// Where the next page begins: after this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// The key or common prefix.
    pub key: String,
    /// The version, in a listing of versions.
    pub version: Option<String>,
}

impl Asked {
    /// The part of `key` that it is rolled up into, if any.
    fn rolled<'k>(&self, key: &'k str) -> Option<&'k str> {
        if self.delimiter.is_empty() {
            return None;
        }
        let at = key.get(self.prefix.len()..)?.find(&self.delimiter)?;
        key.get(..self.prefix.len() + at + self.delimiter.len())
    }

    /// The first key that may be listed.
    fn start(&self) -> String {
        if self.after < self.prefix {
            return self.prefix.clone();
        }
        match self.rolled(&self.after) {
            Some(rolled) if rolled == self.after => behind(rolled),
            _ => format!("{}\0", self.after),
        }
    }

    /// The first key that begins otherwise.
    fn end(&self) -> String {
        behind(&self.prefix)
    }
}

/// The first text after all that begin with this one.
fn behind(prefix: &str) -> String {
    let mut letters: Vec<char> = prefix.chars().collect();
    while let Some(last) = letters.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            other => char::from_u32(u32::from(other) + 1),
        };
        if let Some(next) = next {
            letters.push(next);
            return letters.into_iter().collect();
        }
    }
    // No key is as long as the greatest character so many times.
    "\u{10ffff}".repeat(300)
}

impl Bucket {
    /// A page of the objects.
    pub async fn list(&self, asked: &Asked) -> Result<Page, AwsError> {
        let mut page = Page::default();
        if asked.max == 0 {
            return Ok(page);
        }
        let limit = i64::try_from(asked.max + 1).unwrap_or(i64::MAX);
        let (start, end) = (asked.start(), asked.end());
        let pool = self.ground.store.read();
        let rows = if asked.delimiter.is_empty() {
            sqlx::query(LIST).bind(&self.spec.name).bind(start).bind(end).bind(limit).fetch_all(pool).await
        } else {
            let from = i64::try_from(asked.prefix.chars().count() + 1).unwrap_or(1);
            let query = sqlx::query(ROLL_UP).bind(&self.spec.name).bind(start).bind(end).bind(limit);
            query.bind(from).bind(&asked.delimiter).bind(behind(&asked.delimiter)).fetch_all(pool).await
        };
        let rows = rows.map_err(|error| broken(&error))?;
        for row in &rows {
            let known = index::known(row).map_err(|error| broken(&error))?;
            let rolled = asked.rolled(&known.key).map(str::to_owned);
            if page.objects.len() + page.prefixes.len() == asked.max {
                page.next = page.last();
                break;
            }
            match rolled {
                Some(prefix) => page.prefixes.push(prefix),
                None => page.objects.push(self.present(known, None)),
            }
        }
        Ok(page)
    }

    /// A page of all versions and delete markers, after the version `after` of the key `asked.after`.
    pub async fn list_versions(&self, asked: &Asked, after: Option<&str>) -> Result<Page, AwsError> {
        let mut page = Page::default();
        if asked.max == 0 {
            return Ok(page);
        }
        let mut start = match after {
            Some(_) => asked.after.clone().max(asked.prefix.clone()),
            None => asked.start(),
        };
        let mut passed = match after {
            Some(version) => Some((asked.after.clone(), self.sequencer_of(&asked.after, version).await?)),
            None => None,
        };
        let mut latest_of = None;
        loop {
            let rows = self.version_rows(&start, &asked.end()).await?;
            let more = rows.len() == PAGE;
            let mut jump = None;
            for row in &rows {
                let (object, sequencer) =
                    self.version_row(row, &mut latest_of).map_err(|error| broken(&error))?;
                let is_before =
                    passed.as_ref().is_some_and(|(key, last)| *key == object.key && sequencer >= *last);
                let rolled = asked.rolled(&object.key).map(str::to_owned);
                let is_told = rolled.is_some() && rolled == page.prefixes.last().cloned();
                if is_before || is_told {
                    continue;
                }
                if page.objects.len() + page.prefixes.len() == asked.max {
                    page.next = page.last();
                    return Ok(page);
                }
                passed = Some((object.key.clone(), sequencer));
                start.clone_from(&object.key);
                jump = rolled.clone();
                match rolled {
                    Some(prefix) => page.prefixes.push(prefix),
                    None => page.objects.push(object),
                }
            }
            if let Some(prefix) = jump {
                start = behind(&prefix);
            }
            if !more {
                return Ok(page);
            }
        }
    }

    /// Whether it has objects; whether it has older versions or delete markers.
    pub async fn has_any(&self) -> Result<(bool, bool), AwsError> {
        let row = sqlx::query_as(ANYTHING).bind(&self.spec.name).fetch_one(self.ground.store.read()).await;
        row.map_err(|error| broken(&error))
    }

    async fn version_rows(&self, start: &str, end: &str) -> Result<Vec<SqliteRow>, AwsError> {
        let query = sqlx::query(VERSIONS).bind(&self.spec.name).bind(start).bind(end).bind(PAGE as i64);
        query.fetch_all(self.ground.store.read()).await.map_err(|error| broken(&error))
    }

    /// The version of this row. `latest_of` is the key of the row before.
    fn version_row(
        &self,
        row: &SqliteRow,
        latest_of: &mut Option<String>,
    ) -> Result<(Object, Sequencer), sqlx::Error> {
        let (key, older): (String, _) = (row.try_get(7)?, index::older(row)?);
        let sequencer = older.sequencer;
        let first = latest_of.as_deref() != Some(key.as_str());
        let mut object = self.older_object(&key, older, first);
        if object.etag.is_empty() && !object.marker {
            let (mtime, inode): (i64, i64) = (row.try_get(9)?, row.try_get(10)?);
            object.etag = super::object::stamped(object.size, mtime, inode.cast_unsigned());
        }
        *latest_of = Some(key);
        Ok((object, sequencer))
    }

    async fn sequencer_of(&self, key: &str, version: &str) -> Result<Sequencer, AwsError> {
        let query = sqlx::query_scalar(SEQUENCER).bind(&self.spec.name).bind(key).bind(kept_version(version));
        let found: Option<String> =
            query.fetch_optional(self.ground.store.read()).await.map_err(|error| broken(&error))?;
        let unknown = || AwsError::new(400, "InvalidArgument", "Invalid version id specified");
        found.map(|text| Sequencer::read(&text)).ok_or_else(unknown)
    }
}

impl Page {
    /// Where a page that ends here goes on.
    fn last(&self) -> Option<Next> {
        let object = self.objects.last();
        let prefix = self.prefixes.last().cloned().map(|key| Next { key, version: None });
        let object = object.map(|object| Next { key: object.key.clone(), version: object.version.clone() });
        object.into_iter().chain(prefix).max_by(|one, other| one.key.cmp(&other.key))
    }
}
