//! What is written down after an attempt: the rows, the letters, and the moment that is told. Pure.

use serde_json::{Value, json};

use super::destination::Sending;
use super::policy::DeliveryPolicy;
use super::queue::at_once;
use super::{Outcome, Parcel, Reason, Settle, Throttle};
use crate::clock::Timestamp;
use crate::store::Rows;
use crate::timeline::{Moment, millis};
use crate::wire::Occasion;

/// An attempt that was made, and what it means.
pub struct Settlement {
    /// What was carried.
    pub parcel: Parcel,
    /// What became of it.
    pub outcome: Outcome,
    /// What that means for each delivery.
    pub verdicts: Vec<(super::DeliveryId, Settle)>,
    /// Simulated time of the end.
    pub at: Timestamp,
    /// What a stream tries again stays claimed, at its place in the line.
    pub keeps_place: bool,
}

/// `[wire, first, last, number, request_id, function, at, duration, init, error, retry_at, result, log]`
const INSERT_ATTEMPT: &str = "INSERT INTO attempt
       (wire, first, last, number, request_id, function, at, duration, init, error, retry_at, result, log)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
            value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12 FROM json_each(?1)";
/// `[queue, wire, deliveries, first, at, reason, error, body, attributes]`
const INSERT_DEAD: &str = "INSERT INTO dead (queue, wire, deliveries, first, at, reason, error, body, attributes)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
            value ->> 8 FROM json_each(?1)";
const DELIVERED: &str =
    "UPDATE delivery SET state = 2, attempts = attempts + 1 WHERE id IN (SELECT value FROM json_each(?1))";
/// `[id, state, due, attempts, refusals, cohort, not_before, reason]`
const MOVED: &str =
    "UPDATE delivery SET state = v.value ->> 1, due = v.value ->> 2, attempts = v.value ->> 3,
       refusals = v.value ->> 4, cohort = v.value ->> 5, not_before = v.value ->> 6, reason = v.value ->> 7
     FROM json_each(?1) AS v WHERE delivery.id = v.value ->> 0";

/// How much of a function's answer is kept, in bytes.
const RESULT_MAX: usize = 16 * 1024;

impl Settlement {
    /// The rows to write, for the wire of this number, with the letters among what is sent to destinations.
    pub fn rows(&self, wire: i64, sendings: &[Sending]) -> Vec<Rows> {
        let (mut delivered, mut moved) = (Rows::anywhere_of(DELIVERED), Rows::of(MOVED));
        for (delivery, (id, settle)) in self.parcel.deliveries.iter().zip(&self.verdicts) {
            match settle {
                Settle::Delivered => delivered.push(&id.0),
                other => moved.push(&self.moved_row(delivery, other)),
            }
        }
        let (mut attempt, mut dead) = (Rows::anywhere_of(INSERT_ATTEMPT), Rows::anywhere_of(INSERT_DEAD));
        attempt.push(&self.attempt_row(wire));
        sendings.iter().filter_map(|sending| sending.letter(wire)).for_each(|row| dead.push(&row));
        vec![attempt, delivered, moved, dead]
    }

    /// The deliveries that are tried again.
    pub fn kept(&self) -> Vec<i64> {
        let again = |settle: &Settle| !matches!(settle, Settle::Delivered | Settle::GiveUp(_));
        self.verdicts.iter().filter(|(_, settle)| again(settle)).map(|(id, _)| id.0).collect()
    }

    /// What followers are told.
    pub fn moment(&self) -> Moment {
        let (parcel, report) = (&self.parcel, self.outcome.report());
        Moment::Ended {
            id: parcel.shown_id(),
            function: parcel.wire.leads_to(),
            wire: parcel.wire.id.clone(),
            attempt: parcel.attempt(),
            attempts_max: parcel.wire.policy.attempts_max(),
            ok: matches!(self.outcome, Outcome::Done(_)),
            duration_ms: report.map(|r| millis(r.duration)).unwrap_or_default(),
            init_ms: report.and_then(|r| r.init).map(millis),
            error: self.error(),
            retry_at: self.retry_at(),
            gave_up: self.reason().map(|reason| self.end_of(reason)),
        }
    }

    /// In words: where a delivery that was given up has gone.
    fn end_of(&self, reason: Reason) -> String {
        let told = [(Occasion::DeadLetter, "dead letters"), (Occasion::Failure, "failure record")];
        let told = told.into_iter().filter_map(|(occasion, what)| {
            let to = self.parcel.wire.destination(occasion)?;
            Some(match (occasion, to.kind()) {
                (Occasion::DeadLetter, "queue") => format!("{what} {}", to.name()),
                (_, "queue") => format!("{what} in {}", to.name()),
                (_, kind) => format!("{what} to {kind} {}", to.name()),
            })
        });
        match told.collect::<Vec<_>>().join(", ") {
            told if told.is_empty() => format!("{}: this wire names no dlq", reason.as_str()),
            told => format!("{}: {told}", reason.as_str()),
        }
    }

    /// Why it failed, in short.
    pub fn error(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Done(_) => None,
            Outcome::Failed(failure) => Some(failure.summary.clone()),
            Outcome::Throttled(Throttle::Zero) => {
                Some("throttled: the reserved concurrency is 0, so it never runs".into())
            }
            Outcome::Throttled(_) => Some("throttled: the function is at its concurrency".into()),
            Outcome::Unavailable(why) | Outcome::Over(why) => Some(why.clone()),
        }
    }

    fn retry_at(&self) -> Option<Timestamp> {
        self.verdicts.iter().find_map(|(_, settle)| match settle {
            Settle::RetryAt(then) | Settle::PutBack(then) | Settle::RetryApart(then, _) => Some(*then),
            Settle::Delivered | Settle::GiveUp(_) => None,
        })
    }

    /// Why deliveries were given up, if any were.
    pub fn reason(&self) -> Option<Reason> {
        self.verdicts.iter().find_map(|(_, settle)| match settle {
            Settle::GiveUp(reason) => Some(*reason),
            _ => None,
        })
    }

    fn moved_row(&self, delivery: &super::Delivery, settle: &Settle) -> Value {
        let is_stream = matches!(self.parcel.wire.policy, DeliveryPolicy::Stream(_));
        let first = self.parcel.first().id.0;
        let together = delivery.cohort.or(is_stream.then_some(first));
        let (id, attempts) = (delivery.id.0, delivery.attempts);
        // A stream's rows go by number, so they are never due later; until when they wait is noted apart.
        let place = |then: &Timestamp| {
            (i64::from(self.keeps_place), if is_stream { at_once(delivery.number) } else { then.as_micros() })
        };
        match settle {
            Settle::RetryAt(then) => {
                let (state, due) = place(then);
                json!([id, state, due, attempts + 1, 0, together, then.as_micros(), null])
            }
            Settle::RetryApart(then, cohort) => {
                let (state, due) = place(then);
                json!([id, state, due, attempts, 0, cohort, then.as_micros(), null])
            }
            Settle::PutBack(then) => {
                let (state, due) = place(then);
                json!([id, state, due, attempts, delivery.refusals + 1, together, then.as_micros(), null])
            }
            Settle::GiveUp(reason) => {
                let attempts = attempts + u32::from(self.outcome.ran());
                json!([id, 3, 0, attempts, 0, null, 0, reason.as_str()])
            }
            Settle::Delivered => json!([id, 2, 0, attempts + 1, 0, null, 0, null]),
        }
    }

    fn attempt_row(&self, wire: i64) -> Value {
        let (parcel, report) = (&self.parcel, self.outcome.report());
        let last = parcel.deliveries.last().unwrap_or(parcel.first());
        let micros = |d: std::time::Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
        json!([
            wire,
            parcel.first().number.0,
            last.number.0,
            parcel.attempt(),
            parcel.request_id(),
            parcel.wire.leads_to(),
            self.at.as_micros(),
            report.map(|r| micros(r.duration)).unwrap_or_default(),
            report.and_then(|r| r.init).map(micros),
            self.error(),
            self.retry_at().map(Timestamp::as_micros),
            self.result(),
            report.map(|r| r.log.as_str()).unwrap_or_default(),
        ])
    }

    fn result(&self) -> Option<String> {
        let payload = match &self.outcome {
            Outcome::Done(reply) => &reply.payload,
            Outcome::Failed(failure) => &failure.payload,
            Outcome::Throttled(_) | Outcome::Unavailable(_) | Outcome::Over(_) => return None,
        };
        Some(String::from_utf8_lossy(&payload[..payload.len().min(RESULT_MAX)]).into_owned())
    }
}
