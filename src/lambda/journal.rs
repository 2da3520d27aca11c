//! What direct invocations did and wrote, kept for `logs` and `show`: written beside them, in groups, so that no
//! caller waits for it.
//!
//! Deliveries are written down with their settlement. A direct invocation has its answer instead, and nothing depends
//! on its line here; of very many at once only the last ones of each function are kept.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::{Timestamp, real};
use crate::delivery::{Outcome, Report};
use crate::store::{Store, Write};

/// How many invocations of a function are written down at once; of more, the last ones.
const PENDING_MAX: usize = 50;
/// How long lines gather before they are written, real time.
const GATHER: Duration = Duration::from_millis(200);
/// How much of an answer is kept, in bytes.
const RESULT_MAX: usize = 16 * 1024;

/// `[request_id, function, at, duration, init, error, result, log]`
const INSERT_DIRECT: &str =
    "INSERT INTO attempt (wire, first, last, number, request_id, function, at, duration, init, error, result, log)
     SELECT 0, 0, 0, 1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
            value ->> 7 FROM json_each(?1)";

/// The journal. Clones share it.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

struct Inner {
    store: Store,
    pending: Mutex<HashMap<String, VecDeque<Entry>>>,
    bell: Notify,
}

/// One invocation that has ended.
struct Entry {
    request_id: String,
    at: Timestamp,
    error: Option<String>,
    result: String,
    report: Report,
}

impl Journal {
    /// An empty journal in this database.
    pub fn new(store: Store) -> Journal {
        Journal(Arc::new(Inner { store, pending: Mutex::default(), bell: Notify::new() }))
    }

    /// Takes down how an invocation ended. Those that did not run leave no line.
    pub fn note(&self, function: &str, request_id: &str, (at, outcome): (Timestamp, &Outcome)) {
        let (error, payload, report) = match outcome {
            Outcome::Done(reply) => (None, &reply.payload, &reply.report),
            Outcome::Failed(failure) => (Some(failure.summary.clone()), &failure.payload, &failure.report),
            Outcome::Throttled(_) | Outcome::Unavailable(_) | Outcome::Over(_) => return,
        };
        let result = String::from_utf8_lossy(&payload[..payload.len().min(RESULT_MAX)]).into_owned();
        let entry = Entry { request_id: request_id.to_owned(), at, error, result, report: report.clone() };
        let mut pending = self.pending();
        let lines = match pending.get_mut(function) {
            Some(lines) => lines,
            None => pending.entry(function.to_owned()).or_default(),
        };
        if lines.len() >= PENDING_MAX {
            lines.pop_front();
        }
        lines.push_back(entry);
        drop(pending);
        self.0.bell.notify_one();
    }

    /// Writes down what comes, until `stop`, and then the rest.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let ended = stop.run_until_cancelled(self.0.bell.notified()).await.is_none();
            if !ended {
                stop.run_until_cancelled(real::sleep(GATHER)).await;
            }
            self.write().await;
            if ended {
                return;
            }
        }
    }

    /// Writes down what has come until now.
    pub async fn write(&self) {
        let pending = std::mem::take(&mut *self.pending());
        let mut entries: Vec<(String, Entry)> = Vec::new();
        for (function, lines) in pending {
            entries.extend(lines.into_iter().map(|entry| (function.clone(), entry)));
        }
        entries.sort_by_key(|(_, entry)| entry.at);
        let rows: Vec<Value> = entries.iter().map(|(function, entry)| row(function, entry)).collect();
        if !rows.is_empty()
            && let Err(error) = self.0.store.write_soon(vec![Write { sql: INSERT_DIRECT, rows }]).await
        {
            tracing::warn!("cannot write down what direct invocations did: {error}");
        }
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<String, VecDeque<Entry>>> {
        self.0.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn row(function: &str, entry: &Entry) -> Value {
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    json!([
        entry.request_id,
        function,
        entry.at.as_micros(),
        micros(entry.report.duration),
        entry.report.init.map(micros),
        entry.error,
        entry.result,
        entry.report.log,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Reply;

    #[tokio::test]
    async fn the_last_invocations_of_each_function_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("state.db")).await.expect("a store");
        let journal = Journal::new(store.clone());
        for number in 0..PENDING_MAX + 5 {
            let outcome = Outcome::Done(Reply { payload: "1".into(), report: Report::default() });
            let at = Timestamp::from_millis(number as i64);
            journal.note("f", &format!("r{number}"), (at, &outcome));
        }
        journal.note("g", "other", (Timestamp::from_millis(1), &Outcome::Unavailable("no".into())));
        journal.write().await;
        let ids: Vec<String> =
            sqlx::query_scalar("SELECT request_id FROM attempt WHERE function = 'f' ORDER BY id")
                .fetch_all(store.read())
                .await
                .expect("rows");
        assert_eq!(ids.len(), PENDING_MAX);
        assert_eq!((ids[0].as_str(), ids[PENDING_MAX - 1].as_str()), ("r5", "r54"));
    }
}
