//! Dead letters, as the control API shows them and lets them be chosen.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET dead?queue=NAME&id=12&after=12&limit=100`: an array of these, oldest first, 1000 at the most.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its number, shown as `d12`.
    pub id: i64,
    /// The queue.
    pub queue: String,
    /// The wire that gave up.
    pub wire: String,
    /// The first event in it.
    pub event: String,
    /// How many events are in it.
    pub count: usize,
    /// Simulated time.
    pub at: String,
    /// `RetriesExhausted`, `EventAgeExceeded`, `ZeroReservedConcurrency`; `Success` for the record of one.
    pub reason: String,
    /// The last error, in short.
    pub error: String,
    /// The message attributes of an event that was given up: as SQS shows them; null for records.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub attributes: Value,
    /// The event as it was delivered, or the record of a failure or a success.
    pub body: Value,
}

/// `POST dead/redrive` and `POST dead/drop`: of one queue, or only these; answers `{"letters":N}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadChosen {
    /// The queue; none for all queues.
    pub queue: Option<String>,
    /// Only these letters; empty for all of the queue.
    pub ids: Vec<i64>,
}
