//! Listings of objects: those of a bucket in the order of their keys, rolled up at a delimiter, page by page.

use super::Bucket;
use super::event::Sequencer;
use super::index;
use super::object::Object;
use super::order::broken;
use crate::aws::AwsError;

const LIST: &str =
    "SELECT key, size, mtime, inode, etag, sequencer, version, hidden, blob, meta FROM s3_object
     WHERE bucket = ?1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT ?4";
/// From key to key, and from a common prefix to the first key after all that begin with it: each is one step down the
/// index, however many keys there are below the prefix. CROSS keeps the planner from walking along all objects instead.
const ROLL_UP: &str = "WITH RECURSIVE walk(key) AS (
       SELECT min(key) FROM s3_object WHERE bucket = ?1 AND key >= ?2 AND key < ?3
       UNION ALL
       SELECT (SELECT next.key FROM s3_object AS next WHERE next.bucket = ?1 AND next.key < ?3 AND next.key >=
           CASE instr(substr(walk.key, ?5), ?6) WHEN 0 THEN walk.key || char(0)
           ELSE substr(walk.key, 1, ?5 + instr(substr(walk.key, ?5), ?6) - 2) || ?7 END
         ORDER BY next.key LIMIT 1)
       FROM walk WHERE walk.key IS NOT NULL LIMIT ?4)
     SELECT key, size, mtime, inode, etag, sequencer, version, hidden, blob, meta
     FROM walk CROSS JOIN s3_object USING (key) WHERE bucket = ?1 ORDER BY key";
const ANYTHING: &str = "SELECT EXISTS (SELECT 1 FROM s3_object WHERE bucket = ?1),
     EXISTS (SELECT 1 FROM s3_version WHERE bucket = ?1)";

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
    /// Its sequencer; None behind a common prefix, which stands for all of it.
    pub sequencer: Option<Sequencer>,
}

impl Asked {
    /// The part of `key` that it is rolled up into, if any.
    pub(super) fn rolled<'k>(&self, key: &'k str) -> Option<&'k str> {
        if self.delimiter.is_empty() {
            return None;
        }
        let at = key.get(self.prefix.len()..)?.find(&self.delimiter)?;
        key.get(..self.prefix.len() + at + self.delimiter.len())
    }

    /// The first key that may be listed.
    pub(super) fn start(&self) -> String {
        if self.after < self.prefix {
            return self.prefix.clone();
        }
        match self.rolled(&self.after) {
            Some(rolled) if rolled == self.after => behind(rolled),
            _ => format!("{}\0", self.after),
        }
    }

    /// The first key that begins otherwise.
    pub(super) fn end(&self) -> String {
        behind(&self.prefix)
    }
}

/// The first text after all that begin with this one.
pub(super) fn behind(prefix: &str) -> String {
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

    /// Whether it has objects; whether it has older versions or delete markers.
    pub async fn has_any(&self) -> Result<(bool, bool), AwsError> {
        let row = sqlx::query_as(ANYTHING).bind(&self.spec.name).fetch_one(self.ground.store.read()).await;
        row.map_err(|error| broken(&error))
    }
}

impl Page {
    /// Where a page that ends here goes on.
    pub(super) fn last(&self) -> Option<Next> {
        let object = self.objects.last().map(|object| Next {
            key: object.key.clone(),
            version: object.version.clone(),
            sequencer: Some(object.sequencer),
        });
        let prefix = self.prefixes.last().cloned();
        let prefix = prefix.map(|key| Next { key, version: None, sequencer: None });
        object.into_iter().chain(prefix).max_by(|one, other| one.key.cmp(&other.key))
    }
}
