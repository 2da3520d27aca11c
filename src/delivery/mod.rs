//! Deliveries: each is one event on its way to one target.
//!
//! ```text
//!            emit                    settle: Delivered
//!   (event) ──────▶ waiting ──claim──▶ claimed ─────────▶ done
//!                      ▲                 │ │
//!                      └── RetryAt ──────┘ └─ GiveUp ───▶ given up
//! ```
//!
//! Where a delivery ends, its wire's destinations are told, in the same transaction: a queue by a letter in it, a
//! topic, a bucket or a function by an event of its own with a delivery to it. So a crash neither loses what they
//! are told nor tells it twice, and what cannot be told at once is tried again like any other delivery.
//!
//! What was claimed when the process died is waiting again when it starts: its ids and its count of attempts
//! are those it had, since an attempt counts when it is settled. So a target may see an event twice after a
//! crash, and never fewer times than once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::clock::Timestamp;
use crate::event::{self, Event, EventNo};
use crate::random;
use crate::wire::Wire;

pub mod destination;
pub mod dispatcher;
#[cfg(test)]
mod dispatcher_tests;
pub mod policy;
pub mod queue;
pub mod settlement;
#[cfg(test)]
mod simulation;
pub mod stream;

/// The number of a delivery's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub i64);

/// One event on its way to one target.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its row.
    pub id: DeliveryId,
    /// The event's number.
    pub number: EventNo,
    /// The event.
    pub event: Arc<Event>,
    /// How many attempts have been settled.
    pub attempts: u32,
    /// Throttled or unavailable attempts in a row, which do not count as attempts.
    pub refusals: u32,
    /// Deliveries of a stream that failed together are tried together again.
    pub cohort: Option<i64>,
    /// How often it was sent again from the dead letters.
    pub redriven: u32,
}

/// What one attempt carries: one delivery, or a batch of one stream.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The wire that takes it.
    pub wire: Arc<Wire>,
    /// Never empty; in the stream's order.
    pub deliveries: Vec<Delivery>,
}

impl Outcome {
    /// Whether the target ran: only then it was an attempt.
    pub fn ran(&self) -> bool {
        self.report().is_some()
    }
    /// What was measured, if the target ran.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Outcome::Done(reply) => Some(&reply.report),
            Outcome::Failed(failure) => Some(&failure.report),
            Outcome::Throttled(_) | Outcome::Unavailable(_) | Outcome::Over(_) => None,
        }
    }
    /// The same, of this version of the function.
    pub fn by_version(mut self, version: &str) -> Outcome {
        let report = match &mut self {
            Outcome::Done(reply) => Some(&mut reply.report),
            Outcome::Failed(failure) => Some(&mut failure.report),
            Outcome::Throttled(_) | Outcome::Unavailable(_) | Outcome::Over(_) => None,
        };
        if let Some(report) = report {
            report.version = Some(version.to_owned());
        }
        self
    }
}

impl Parcel {
    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.first().attempts + 1
    }
    /// The request id: an invocation brings its own; else it follows from the first delivery. It stays over retries
    /// and restarts.
    pub fn request_id(&self) -> String {
        let first = self.first();
        if let Some(id) = first.event.request_id() {
            return id.to_owned();
        }
        random::uuid_of(
            &[b"request", self.wire.id.as_bytes(), &first.event.id.0, &first.id.0.to_le_bytes()],
            4,
        )
    }
    /// The id that people see: `e7k2.1`, the event and the attempt.
    pub fn shown_id(&self) -> String {
        format!("{}.{}", self.first().number, self.attempt())
    }
    /// What the target gets.
    pub fn payload(&self) -> Bytes {
        let records: Vec<&event::Record> = self.deliveries.iter().map(|d| &d.event.record).collect();
        Bytes::from(event::payload(&records, &|slot| self.wire.word(slot)))
    }
    /// The first delivery.
    pub fn first(&self) -> &Delivery {
        &self.deliveries[0]
    }
}

/// What became of an attempt.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The target took it.
    Done(Reply),
    /// The target ran and failed.
    Failed(Failure),
    /// The target is at its limit; this was no attempt.
    Throttled(Throttle),
    /// There is no such target, or it cannot be started; this was no attempt. In words.
    Unavailable(String),
    /// The target has ended or ends, as dropwire does, maybe in the middle of it; this counts as no attempt. In words.
    Over(String),
}

/// Which limit a target is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttle {
    /// The function's own: as many run as may (`ReservedFunctionConcurrentInvocationLimitExceeded`).
    Reserved,
    /// That of all functions without a limit of their own (`ConcurrentInvocationLimitExceeded`).
    Account,
    /// None may run: it makes no sense to wait (`ZeroReservedConcurrency`).
    Zero,
}

/// A target's answer.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// What the function returned: JSON text.
    pub payload: Bytes,
    /// What was measured.
    pub report: Report,
}

/// A target's failure.
#[derive(Clone, Debug, Default)]
pub struct Failure {
    /// In short, for people: `Timeout`, `exit 1`, `ValueError: no`.
    pub summary: String,
    /// What a caller would get: JSON text, as recorded for each cause.
    pub payload: Bytes,
    /// What was measured.
    pub report: Report,
}

/// What was measured of one invocation.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Real time from handing over the event to the answer.
    pub duration: Duration,
    /// Real time that the environment took to start, if it was cold.
    pub init: Option<Duration>,
    /// What the function wrote, with START, END and REPORT lines.
    pub log: String,
    /// The version that an alias led to.
    pub version: Option<String>,
}

/// What deliveries go to.
#[async_trait]
pub trait Target: Send + Sync {
    /// Tries once. Retrying is the policy's.
    async fn attempt(&self, parcel: &Parcel) -> Outcome;
    /// How many attempts may run at once.
    fn concurrency(&self) -> usize;
}

/// What a settled attempt means for one delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum Settle {
    /// It is done.
    Delivered,
    /// It waits until then. The attempt counts.
    RetryAt(Timestamp),
    /// It waits until then, as part of this half of its batch. The attempt does not count.
    RetryApart(Timestamp, i64),
    /// It waits until then; the target did not run, so this was no attempt.
    PutBack(Timestamp),
    /// It is not tried again.
    GiveUp(Reason),
}

/// Why a delivery is given up: AWS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// All retries are used.
    RetriesExhausted,
    /// It is too old.
    EventAgeExceeded,
    /// The function may never run.
    ZeroReservedConcurrency,
}

impl Reason {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::RetriesExhausted => "RetriesExhausted",
            Reason::EventAgeExceeded => "EventAgeExceeded",
            Reason::ZeroReservedConcurrency => "ZeroReservedConcurrency",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arn::{Arn, Place};
    use crate::event::{EventId, Record};
    use crate::wire::Filter;
    use policy::{AsyncPolicy, DeliveryPolicy};

    /// A parcel of `count` stream records numbered from 1, all of time 0.
    pub(super) fn parcel_of(count: usize) -> Parcel {
        let wire = Wire {
            id: "f/on".into(),
            source: Arn::table(&Place::default(), "t"),
            filter: Filter::All,
            target: Arn::function(&Place::default(), "f"),
            policy: DeliveryPolicy::Async(AsyncPolicy::lambda()),
            dead_letters: None,
            on_failure: None,
            on_success: None,
            declared_at: String::new(),
        };
        let deliveries = (1..=count as i64).map(delivery).collect();
        Parcel { wire: Arc::new(wire), deliveries }
    }

    fn delivery(number: i64) -> Delivery {
        let event = Event {
            id: EventId::of(&[&number.to_string()]),
            source: Arn::table(&Place::default(), "t"),
            name: "INSERT".into(),
            subject: format!("{number}"),
            occurred_at: Timestamp::from_millis(0),
            lane: None,
            cause: None,
            record: Record::element(format!(r#"{{"dynamodb":{{"SequenceNumber":"{number}"}}}}"#)),
        };
        let event = Arc::new(event);
        Delivery {
            id: DeliveryId(number),
            number: EventNo(number),
            event,
            attempts: 0,
            refusals: 0,
            cohort: None,
            redriven: 0,
        }
    }

    #[test]
    fn a_request_keeps_its_id_over_attempts() {
        let mut parcel = parcel_of(2);
        let first = parcel.request_id();
        parcel.deliveries.iter_mut().for_each(|d| d.attempts = 2);
        assert_eq!((parcel.request_id(), parcel.attempt(), parcel.shown_id()), (first, 3, "e1.3".into()));
    }

    #[test]
    fn a_batch_travels_in_one_envelope() {
        let payload = parcel_of(2).payload();
        assert_eq!(
            payload,
            r#"{"Records":[{"dynamodb":{"SequenceNumber":"1"}},{"dynamodb":{"SequenceNumber":"2"}}]}"#
        );
    }
}
