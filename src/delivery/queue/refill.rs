//! Filling the lines from the database, a page at a time.

use serde_json::json;
use sqlx::Row;

use super::rows::*;
use super::{Queue, StoreError};
use crate::arn::Arn;
use crate::clock::Timestamp;
use crate::delivery::stream::InLine;
use crate::store::Write;

/// How many deliveries are claimed at once.
const PAGE: i64 = 256;
/// How many bytes of records are claimed at once.
const PAGE_BYTES: i64 = 4 * 1024 * 1024;

impl Queue {
    /// Fills the lines of this target from the database where they run low. True if more may be to be had.
    pub async fn refill(&self, target: &Arn) -> Result<bool, StoreError> {
        self.put_orphans_back().await?;
        let now = self.clock.now();
        let low: Vec<(String, i64)> = {
            let mut state = self.state();
            let low = state.lines.of_mut(target).iter_mut().filter(|line| line.runs_low(now));
            low.map(|line| {
                (line.refilling, line.behind, line.next_due) = (true, false, None);
                (line.wire.id.clone(), line.no)
            })
            .collect()
        };
        let mut filled_all = Ok(!low.is_empty());
        for (id, no) in low {
            let filled = self.refill_line(&id, no, now).await;
            if let Some(line) = self.state().line(&id) {
                line.refilling = false;
                line.behind |= filled.is_err();
            }
            // Whoever waits for quiet may have waited for this.
            self.settled.notify_waiters();
            if let Err(error) = filled {
                filled_all = Err(error);
            }
        }
        filled_all
    }

    async fn refill_line(&self, id: &str, no: i64, now: Timestamp) -> Result<(), StoreError> {
        let page = sqlx::query(NEXT_PAGE).bind(no).bind(now.as_micros()).bind(PAGE).bind(PAGE_BYTES);
        let claimed: Vec<InLine> =
            page.fetch_all(self.store.read()).await?.iter().map(|row| in_line_of(row, now)).collect();
        if !claimed.is_empty() {
            let rows = claimed.iter().map(|in_line| json!(in_line.delivery.id.0)).collect();
            self.store.write_soon(vec![Write { sql: CLAIM, rows }]).await?;
        }
        let claimed = self.take_claimed(id, claimed);
        self.state().orphans.extend(claimed);
        let read = self.store.read();
        let more: bool = sqlx::query(WAITING).bind(no).bind(now.as_micros()).fetch_one(read).await?.get(0);
        let next: Option<i64> =
            sqlx::query(NEXT_DUE).bind(no).bind(now.as_micros()).fetch_one(read).await?.get(0);
        if let Some(line) = self.state().line(id) {
            line.behind |= more;
            line.wake_at(next.map(Timestamp::from_micros));
        }
        Ok(())
    }

    /// Puts what was claimed into its line; if that has gone meanwhile, these deliveries have no place.
    fn take_claimed(&self, id: &str, claimed: Vec<InLine>) -> Vec<i64> {
        match self.state().line(id) {
            Some(line) => {
                claimed.into_iter().for_each(|in_line| line.push(in_line));
                Vec::new()
            }
            None => claimed.iter().map(|in_line| in_line.delivery.id.0).collect(),
        }
    }
}
