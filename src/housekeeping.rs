//! Wall-clock housekeeping: once a minute the log is folded into the database, and what is long over is removed.

use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::clock::Clock;
use crate::delivery::stream::RETENTION;
use crate::store::{Store, Write};
use serde_json::json;

/// How many events of one sweep are removed, so that none holds the writer for long.
const SWEEP: i64 = 2000;

/// Numbers grow with time, so the first event that is young enough ends the search.
const OVER: &str = "WITH kept AS MATERIALIZED (SELECT j.value AS id FROM dead x, json_each(x.deliveries) j)
     SELECT no FROM event e
     WHERE no < coalesce((SELECT no FROM event WHERE at >= ?1 ORDER BY no LIMIT 1), 9223372036854775807)
       AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.event = e.no
                       AND (d.state < 2 OR (d.state = 3 AND d.id IN (SELECT id FROM kept))))
     ORDER BY no LIMIT ?2";
const FORGET_DELIVERIES: &str = "DELETE FROM delivery WHERE event IN (SELECT value FROM json_each(?1))";
const FORGET_EVENTS: &str = "DELETE FROM event WHERE no IN (SELECT value FROM json_each(?1))";
/// `[oldest, how many]`
const FORGET_ATTEMPTS: &str = "DELETE FROM attempt WHERE id IN (
       SELECT a.id FROM json_each(?1) v, attempt a WHERE a.id IN (
         SELECT id FROM attempt ORDER BY id LIMIT (SELECT value ->> 1 FROM json_each(?1)))
       AND a.at < v.value ->> 0)";

/// Keeps house until it is stopped.
pub struct Housekeeping {
    scheduler: JobScheduler,
}

impl Housekeeping {
    /// Begins: a sweep every minute of real time.
    pub async fn start(store: Store, clock: Clock) -> Result<Housekeeping, JobSchedulerError> {
        let scheduler = JobScheduler::new().await?;
        let sweep = Job::new_async("17 * * * * *", move |_, _| {
            let (store, clock) = (store.clone(), clock.clone());
            Box::pin(async move {
                if let Err(error) = sweep(&store, &clock).await {
                    tracing::warn!("cannot remove old events: {error}; trying again in a minute");
                }
            })
        })?;
        scheduler.add(sweep).await?;
        scheduler.start().await?;
        Ok(Housekeeping { scheduler })
    }

    /// Ends it.
    pub async fn stop(&mut self) {
        self.scheduler.shutdown().await.ok();
    }
}

/// Removes events that are older than a stream keeps its records, once nothing waits for them any more, with
/// their deliveries, and attempts of that age. Returns how many events.
pub async fn sweep(store: &Store, clock: &Clock) -> Result<usize, crate::store::StoreError> {
    let oldest = clock.now().as_micros() - RETENTION.as_micros() as i64;
    let mut removed = 0;
    loop {
        let over: Vec<i64> =
            sqlx::query_scalar(OVER).bind(oldest).bind(SWEEP).fetch_all(store.read()).await?;
        let rows: Vec<_> = over.iter().map(|no| json!(no)).collect();
        let writes = vec![
            Write { sql: FORGET_DELIVERIES, rows: rows.clone() },
            Write { sql: FORGET_EVENTS, rows },
            Write { sql: FORGET_ATTEMPTS, rows: vec![json!([oldest, SWEEP * 2])] },
        ];
        store.write(writes).await?;
        removed += over.len();
        if (over.len() as i64) < SWEEP {
            break;
        }
    }
    store.checkpoint().await;
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arn::{Arn, Place};
    use crate::clock::Timestamp;
    use crate::delivery::queue::Queue;
    use crate::event::{Event, EventId, EventNo, Record};
    use crate::timeline::Timeline;
    use std::time::Duration;

    fn event(number: u64, at: Timestamp) -> Event {
        Event {
            id: EventId::in_order(number, &[]),
            source: Arn::topic(&Place::default(), "t"),
            name: "Notification".into(),
            subject: number.to_string(),
            occurred_at: at,
            lane: None,
            cause: None,
            record: Record::element("{}".into()),
        }
    }

    #[tokio::test]
    async fn what_is_long_over_goes_and_its_number_is_not_given_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("state.db")).await.expect("a store");
        let clock = Clock::frozen_at(Timestamp::from_millis(0));
        let queue = Queue::open(store.clone(), clock.clone(), Timeline::default()).await.expect("a queue");
        let emit = async |from: u64, count: u64| {
            let events = (from..from + count).map(|i| event(i, clock.now())).collect();
            queue.emit(events, Vec::new()).await.expect("an emit")
        };
        emit(0, 4500).await;
        clock.set_to(clock.now().plus(RETENTION + Duration::from_secs(1)));
        emit(5000, 3).await;
        assert_eq!(sweep(&store, &clock).await.expect("a sweep"), 4500);
        clock.set_to(clock.now().plus(RETENTION + Duration::from_secs(1)));
        assert_eq!(sweep(&store, &clock).await.expect("a sweep"), 3);
        let queue = Queue::open(store.clone(), clock.clone(), Timeline::default()).await.expect("a queue");
        let next = queue.emit(vec![event(9000, clock.now())], Vec::new()).await.expect("an emit");
        assert_eq!(next, [EventNo(4504)]);
    }
}
