//! Wall-clock housekeeping: once a minute the log is folded into the database, and what is long over is removed.

use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::clock::Clock;
use crate::delivery::stream::RETENTION;
use crate::store::{Store, Write};
use serde_json::json;

/// How many events of one sweep are removed, so that none holds the writer for long.
const SWEEP: i64 = 2000;

const OVER: &str = "SELECT no FROM event e WHERE at < ?1
     AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.event = e.no AND d.state < 2)
     AND NOT EXISTS (SELECT 1 FROM delivery d, dead x, json_each(x.deliveries) j WHERE d.event = e.no AND j.value = d.id)
     ORDER BY no LIMIT ?2";
const FORGET_DELIVERIES: &str = "DELETE FROM delivery WHERE event IN (SELECT value FROM json_each(?1))";
const FORGET_EVENTS: &str = "DELETE FROM event WHERE no IN (SELECT value FROM json_each(?1))";
const FORGET_ATTEMPTS: &str = "DELETE FROM attempt WHERE at < (SELECT value FROM json_each(?1)) AND last < coalesce((SELECT min(no) FROM event), 0)";

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
/// their deliveries and attempts. Returns how many.
pub async fn sweep(store: &Store, clock: &Clock) -> Result<usize, crate::store::StoreError> {
    let oldest = clock.now().as_micros() - RETENTION.as_micros() as i64;
    let over: Vec<i64> = sqlx::query_scalar(OVER).bind(oldest).bind(SWEEP).fetch_all(store.read()).await?;
    let rows: Vec<_> = over.iter().map(|no| json!(no)).collect();
    store
        .write(vec![
            Write { sql: FORGET_DELIVERIES, rows: rows.clone() },
            Write { sql: FORGET_EVENTS, rows },
            Write { sql: FORGET_ATTEMPTS, rows: vec![json!(oldest)] },
        ])
        .await?;
    store.checkpoint().await;
    Ok(over.len())
}
