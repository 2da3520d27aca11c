//! The change log in a user's file, page by page.

use futures_util::TryStreamExt;
use sqlx::{Row, SqliteConnection};

use super::changes::LogRow;

/// How many rows become events in one transaction, and how many bytes of them.
const PAGE_ROWS: usize = 500;
const PAGE_BYTES: usize = 4 << 20;

/// The schema's version is read in the same snapshot as the rows: what the triggers of an older schema wrote is
/// not read before it is repaired. The last row read comes along, as proof that this is the log that we know.
const PAGE: &str = "SELECT seq, nonce, done, (SELECT schema_version FROM pragma_schema_version), \
                    CASE WHEN seq > ?2 THEN CAST(old AS BLOB) END, CASE WHEN seq > ?2 THEN CAST(new AS BLOB) END \
                    FROM dropwire_log WHERE tbl = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3";

/// The next rows of a table's log.
#[derive(Debug, Default)]
pub struct Page {
    /// None if there was not even one row.
    pub schema_version: Option<i64>,
    /// The nonce of the last row read before, if it is still there.
    pub nonce: Option<i64>,
    /// Each with its nonce.
    pub rows: Vec<(LogRow, i64)>,
    /// Whether the page ended before the log.
    pub has_more: bool,
}

/// Reads what follows the row `cursor`, until the page is full.
pub async fn page(connection: &mut SqliteConnection, tag: &str, cursor: i64) -> Result<Page, sqlx::Error> {
    let mut page = Page::default();
    let mut bytes = 0;
    let mut rows = sqlx::query(PAGE).bind(tag).bind(cursor).bind(PAGE_ROWS as i64 + 2).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let (seq, nonce, done): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        page.schema_version = Some(row.try_get(3)?);
        if seq == cursor {
            page.nonce = Some(nonce);
        } else if done == 0 {
            let (old, new): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.try_get(4)?, row.try_get(5)?);
            bytes += [&old, &new].into_iter().flatten().map(Vec::len).sum::<usize>();
            page.rows.push((LogRow { seq, old, new }, nonce));
        }
        if page.rows.len() >= PAGE_ROWS || bytes > PAGE_BYTES {
            page.has_more = true;
            break;
        }
    }
    Ok(page)
}
