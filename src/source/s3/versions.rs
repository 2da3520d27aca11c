//! Listings of versions: all that there is of each key, the latest first, page by page.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Bucket;
use super::event::Sequencer;
use super::index;
use super::list::{Asked, Page, behind};
use super::object::{Object, stamped};
use super::order::{broken, kept_version};
use super::version_id;
use crate::aws::AwsError;

/// What is left of the key inside which the place is, and the first of all keys behind it. Each arm reads no more than
/// is wanted; the order of the whole is that of few rows.
const VERSIONS: &str = "SELECT * FROM (
       SELECT sequencer, version, 0 AS marker, size, etag, NULL AS blob, meta, key, 1 AS latest, mtime, inode
       FROM s3_object WHERE bucket = ?1 AND key = ?5 AND sequencer < ?6
       UNION ALL SELECT * FROM (
         SELECT sequencer, version, 0, size, etag, NULL, meta, key, 1, mtime, inode
         FROM s3_object WHERE bucket = ?1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT ?4)
       UNION ALL SELECT * FROM (
         SELECT sequencer, version, marker, size, etag, NULL, meta, key, 0, 0, 0
         FROM s3_version WHERE bucket = ?1 AND key = ?5 AND sequencer < ?6 ORDER BY sequencer DESC LIMIT ?4)
       UNION ALL SELECT * FROM (
         SELECT sequencer, version, marker, size, etag, NULL, meta, key, 0, 0, 0
         FROM s3_version WHERE bucket = ?1 AND key >= ?2 AND key < ?3 ORDER BY key, sequencer DESC LIMIT ?4)
     ) ORDER BY key, latest DESC, sequencer DESC LIMIT ?4";
const ABOVE: &str = "SELECT EXISTS (SELECT 1 FROM s3_object WHERE bucket = ?1 AND key = ?2)
     OR EXISTS (SELECT 1 FROM s3_version WHERE bucket = ?1 AND key = ?2 AND sequencer >= ?3)";
const SEQUENCER: &str = "SELECT sequencer FROM s3_object WHERE bucket = ?1 AND key = ?2 AND version = ?3
     UNION ALL SELECT sequencer FROM s3_version WHERE bucket = ?1 AND key = ?2 AND version = ?3";

/// From the first key here to the first behind its common prefix, and so on: each is one step down both indexes, however
/// much there is below the prefixes. It ends at a key that has none.
const PREFIXES: &str = "WITH RECURSIVE walk(key) AS (
       SELECT min(
         ifnull((SELECT key FROM s3_object WHERE bucket = ?1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT 1), ?3),
         ifnull((SELECT key FROM s3_version WHERE bucket = ?1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT 1), ?3))
       UNION ALL
       SELECT min(
         ifnull((SELECT next.key FROM s3_object AS next WHERE next.bucket = ?1 AND next.key < ?3 AND next.key >=
             substr(walk.key, 1, ?5 + instr(substr(walk.key, ?5), ?6) - 2) || ?7 ORDER BY next.key LIMIT 1), ?3),
         ifnull((SELECT next.key FROM s3_version AS next WHERE next.bucket = ?1 AND next.key < ?3 AND next.key >=
             substr(walk.key, 1, ?5 + instr(substr(walk.key, ?5), ?6) - 2) || ?7 ORDER BY next.key LIMIT 1), ?3))
       FROM walk WHERE walk.key < ?3 AND instr(substr(walk.key, ?5), ?6) > 0 LIMIT ?4)
     SELECT key FROM walk WHERE key < ?3";

/// How many rows are read at once, at most.
const ROWS_MAX: usize = 1000;
/// How many are read behind a common prefix: the next key may begin the next one.
const ROWS_MIN: usize = 2;

/// Where a listing goes on.
struct Place {
    /// From this key on.
    key: String,
    /// And before it what is older than this version of this key.
    inside: Option<(String, Sequencer)>,
}

impl Place {
    /// Where a listing begins.
    fn first(asked: &Asked, after: Option<Sequencer>) -> Place {
        match after.filter(|_| asked.after.starts_with(&asked.prefix)) {
            Some(after) => Place::after(&asked.after, after),
            None => Place::at(asked.start()),
        }
    }
    fn at(key: String) -> Place {
        Place { key, inside: None }
    }
    /// Behind this version.
    fn after(key: &str, sequencer: Sequencer) -> Place {
        Place { key: format!("{key}\0"), inside: Some((key.to_owned(), sequencer)) }
    }
}

impl Bucket {
    /// A page of all versions and delete markers: those of the key `asked.after` that are older than `after`, if that
    /// is said, and those of the keys after it.
    pub async fn list_versions(&self, asked: &Asked, after: Option<Sequencer>) -> Result<Page, AwsError> {
        let mut page = Page::default();
        if asked.max == 0 {
            return Ok(page);
        }
        let (mut place, end) = (Place::first(asked, after), asked.end());
        let mut key = self.key_above(&place).await?;
        let (mut limit, mut is_rolling) = (ROWS_MAX.min(asked.max.saturating_add(1)), false);
        loop {
            if is_rolling {
                match self.roll_on(asked, &place.key, &mut page).await? {
                    Some(key) => place = Place::at(key),
                    None => return Ok(page),
                }
            }
            let (rows, mut next_limit) = (self.version_rows(&place, &end, limit).await?, limit);
            for row in &rows {
                let object = self.version_row(row, &mut key).map_err(|error| broken(&error))?;
                let rolled = asked.rolled(&object.key);
                if rolled.is_some() && rolled == page.prefixes.last().map(String::as_str) {
                    continue;
                }
                if page.objects.len() + page.prefixes.len() == asked.max {
                    page.next = page.last();
                    return Ok(page);
                }
                is_rolling = rolled.is_some();
                if let Some(prefix) = rolled.map(str::to_owned) {
                    (place, next_limit) = (Place::at(behind(&prefix)), ROWS_MIN);
                    page.prefixes.push(prefix);
                } else {
                    (place, next_limit) = (Place::after(&object.key, object.sequencer), 4 * limit);
                    page.objects.push(object);
                }
            }
            if rows.len() < limit {
                return Ok(page);
            }
            limit = next_limit.min(ROWS_MAX);
        }
    }

    /// The sequencer of this version, by which a listing goes on behind it, even if it is gone by then. None if this
    /// is no id.
    pub async fn sequencer_of(&self, key: &str, version: &str) -> Result<Option<Sequencer>, AwsError> {
        let query = sqlx::query_scalar(SEQUENCER).bind(&self.spec.name).bind(key).bind(kept_version(version));
        let found: Option<String> =
            query.fetch_optional(self.ground.store.read()).await.map_err(|error| broken(&error))?;
        Ok(match found {
            Some(text) => Some(Sequencer::read(&text)),
            // Nothing says where the null version was: all that is there of its key comes, rather than too little.
            None if version == "null" => Some(Sequencer::LAST),
            None => version_id::sequencer(version),
        })
    }

    /// Goes from common prefix to common prefix as long as there is nothing between them, and says at which key that
    /// ends. None if the page is full or there is nothing more.
    async fn roll_on(&self, asked: &Asked, from: &str, page: &mut Page) -> Result<Option<String>, AwsError> {
        let room = asked.max - (page.objects.len() + page.prefixes.len());
        let keys: Vec<String> = sqlx::query_scalar(PREFIXES)
            .bind(&self.spec.name)
            .bind(from)
            .bind(asked.end())
            .bind(i64::try_from(room + 1).unwrap_or(i64::MAX))
            .bind(i64::try_from(asked.prefix.chars().count() + 1).unwrap_or(1))
            .bind(&asked.delimiter)
            .bind(behind(&asked.delimiter))
            .fetch_all(self.ground.store.read())
            .await
            .map_err(|error| broken(&error))?;
        for (nth, key) in keys.into_iter().enumerate() {
            if nth == room {
                page.next = page.last();
                return Ok(None);
            }
            match asked.rolled(&key).map(str::to_owned) {
                Some(prefix) => page.prefixes.push(prefix),
                None => return Ok(Some(key)),
            }
        }
        Ok(None)
    }

    async fn version_rows(&self, place: &Place, end: &str, limit: usize) -> Result<Vec<SqliteRow>, AwsError> {
        let inside = place.inside.as_ref();
        let query = sqlx::query(VERSIONS)
            .bind(&self.spec.name)
            .bind(&place.key)
            .bind(end)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .bind(inside.map(|(key, _)| key))
            .bind(inside.map(|(_, sequencer)| sequencer.text()));
        query.fetch_all(self.ground.store.read()).await.map_err(|error| broken(&error))
    }

    /// The key inside which the place is, if something of it is newer: what follows is not its latest version.
    async fn key_above(&self, place: &Place) -> Result<Option<String>, AwsError> {
        let Some((key, sequencer)) = &place.inside else { return Ok(None) };
        let query = sqlx::query_scalar(ABOVE).bind(&self.spec.name).bind(key).bind(sequencer.text());
        let is_above: bool =
            query.fetch_one(self.ground.store.read()).await.map_err(|error| broken(&error))?;
        Ok(is_above.then(|| key.clone()))
    }

    /// The version of this row. `before` is the key of the row before.
    fn version_row(&self, row: &SqliteRow, before: &mut Option<String>) -> Result<Object, sqlx::Error> {
        let (key, is_object): (String, bool) = (row.try_get(7)?, row.try_get(8)?);
        let is_first = before.as_deref() != Some(key.as_str());
        let mut object = self.older_object(&key, index::older(row)?, is_object || is_first);
        if object.etag.is_empty() && !object.marker {
            let (mtime, inode): (i64, i64) = (row.try_get(9)?, row.try_get(10)?);
            object.etag = stamped(object.size, mtime, inode.cast_unsigned());
        }
        *before = Some(key);
        Ok(object)
    }
}
