//! Streams: which deliveries form the next batch, and what an attempt at a batch means. Pure.
//!
//! A stream's batches go strictly one after another, so the order of each item's changes is kept. A batch
//! that fails is tried again as it was until it succeeds, its retries are used or its records are too old.
//! With `bisect` it is cut in halves instead, the first half first, which uses up no retries.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

use super::policy::{is_too_old, refusal_delay};
use super::{Delivery, DeliveryId, Outcome, Parcel, Reason, Settle};
use crate::clock::Timestamp;

/// How a stream's wire delivers (event source mappings).
#[derive(Clone, Debug, PartialEq)]
pub struct StreamPolicy {
    /// The first time, begin with what the stream still keeps.
    pub from_horizon: bool,
    /// At most so many records in a batch.
    pub batch: usize,
    /// How long to gather a batch that is not full.
    pub window: Duration,
    /// Retries after the first try; none means until the records are too old.
    pub retries: Option<u32>,
    /// Records older than this are given up.
    pub age_max: Duration,
    /// Cut a failing batch in halves.
    pub bisect: bool,
    /// The function may answer with the records that failed.
    pub report_failures: bool,
    /// The delay before each retry, the last one repeating; empty takes one second, doubling to a minute.
    pub backoff: Vec<Duration>,
}

/// A stream keeps its records for 24 hours.
pub const RETENTION: Duration = Duration::from_secs(86_400);

/// The payload of a batch is at most this long, in bytes.
pub const PAYLOAD_MAX: usize = 6 * 1024 * 1024;

impl Default for StreamPolicy {
    fn default() -> StreamPolicy {
        StreamPolicy {
            from_horizon: false,
            batch: 100,
            window: Duration::ZERO,
            retries: None,
            age_max: RETENTION,
            bisect: false,
            report_failures: false,
            backoff: Vec::new(),
        }
    }
}

/// A delivery that is next in line, with the time since which it is there.
#[derive(Clone, Debug)]
pub struct InLine {
    /// The delivery.
    pub delivery: Delivery,
    /// Simulated time at which it came into the line.
    pub since: Timestamp,
    /// It waits until then, after a failure.
    pub not_before: Timestamp,
}

/// What can be done with a line now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing is in it.
    Empty,
    /// The first so many are a batch.
    Batch(usize),
    /// Nothing before this time.
    Wait(Timestamp),
}

/// The next batch of a line, which is in the stream's order.
pub fn next<'a>(policy: &StreamPolicy, mut line: impl Iterator<Item = &'a InLine>, now: Timestamp) -> Next {
    let Some(head) = line.next() else {
        return Next::Empty;
    };
    if head.not_before > now {
        return Next::Wait(head.not_before);
    }
    // What is too old at the head is given up by itself, and holds up nobody.
    let is_over = |next: &InLine| is_too_old(&next.delivery, policy.age_max, now);
    if is_over(head) {
        return Next::Batch(1 + line.take_while(|next| is_over(next)).take(policy.batch - 1).count());
    }
    let mut size = head.delivery.event.record.text().len();
    let fits = |next: &&InLine| {
        size += next.delivery.event.record.text().len() + 1;
        next.delivery.cohort == head.delivery.cohort && size < PAYLOAD_MAX - 64
    };
    if head.delivery.cohort.is_some() {
        return Next::Batch(1 + line.take_while(fits).count());
    }
    // One more is looked at, to tell a batch that is cut short from one that still grows.
    let rest: Vec<&InLine> = line.take(policy.batch.saturating_sub(1)).collect();
    let gathered = 1 + rest.iter().copied().take_while(fits).count();
    let complete = gathered >= policy.batch || gathered <= rest.len();
    let closes = head.since.plus(policy.window);
    if complete || closes <= now { Next::Batch(gathered) } else { Next::Wait(closes) }
}

/// What this outcome means for each delivery of a batch.
pub fn settle(
    policy: &StreamPolicy,
    parcel: &Parcel,
    outcome: &Outcome,
    now: Timestamp,
) -> Vec<(DeliveryId, Settle)> {
    let batch = &parcel.deliveries;
    match outcome {
        Outcome::Done(reply) if policy.report_failures => match first_failure(&reply.payload, batch) {
            Reported::Nothing => all(batch, &Settle::Delivered),
            // The records before the lowest one reported are done; from there on all are tried again.
            Reported::From(index) => {
                let mut settled = all(&batch[..index], &Settle::Delivered);
                settled.extend(failed(policy, &batch[index..], index == 0 && policy.bisect, now));
                settled
            }
            Reported::Everything => failed(policy, batch, policy.bisect, now),
        },
        Outcome::Done(_) => all(batch, &Settle::Delivered),
        Outcome::Failed(_) => failed(policy, batch, policy.bisect, now),
        Outcome::Throttled(_) | Outcome::Unavailable(_) | Outcome::Over(_) => {
            let then = now.plus(refusal_delay(parcel.first().refusals));
            batch.iter().map(|d| (d.id, if_young(policy, d, then, Settle::PutBack(then)))).collect()
        }
    }
}

fn all(batch: &[Delivery], settle: &Settle) -> Vec<(DeliveryId, Settle)> {
    batch.iter().map(|d| (d.id, settle.clone())).collect()
}

fn failed(
    policy: &StreamPolicy,
    batch: &[Delivery],
    bisect: bool,
    now: Timestamp,
) -> Vec<(DeliveryId, Settle)> {
    if bisect && batch.len() > 1 {
        let (left, right) = batch.split_at(batch.len() / 2);
        let half = |half: &[Delivery]| {
            let cohort = half[0].id.0;
            half.iter()
                .map(|d| (d.id, if_young(policy, d, now, Settle::RetryApart(now, cohort))))
                .collect::<Vec<_>>()
        };
        return [half(left), half(right)].concat();
    }
    let attempts = batch.iter().map(|d| d.attempts).max().unwrap_or_default();
    if policy.retries.is_some_and(|retries| attempts >= retries) {
        return all(batch, &Settle::GiveUp(Reason::RetriesExhausted));
    }
    let then = now.plus(retry_delay(policy, attempts));
    batch.iter().map(|d| (d.id, if_young(policy, d, then, Settle::RetryAt(then)))).collect()
}

fn if_young(policy: &StreamPolicy, delivery: &Delivery, then: Timestamp, settle: Settle) -> Settle {
    let too_old = then.since(delivery.event.occurred_at) > policy.age_max;
    if too_old { Settle::GiveUp(Reason::EventAgeExceeded) } else { settle }
}

fn retry_delay(policy: &StreamPolicy, attempts: u32) -> Duration {
    match policy.backoff.as_slice() {
        [] => Duration::from_secs(1 << attempts.min(6)).min(Duration::from_secs(60)),
        delays => delays[(attempts as usize).min(delays.len() - 1)],
    }
}

#[derive(Debug, PartialEq)]
enum Reported {
    Nothing,
    From(usize),
    Everything,
}

/// Reads `{"batchItemFailures":[{"itemIdentifier":"…"}]}` (semantics: ReportBatchItemFailures, as recorded).
fn first_failure(answer: &[u8], batch: &[Delivery]) -> Reported {
    let answer: Value = serde_json::from_slice(answer).unwrap_or(Value::Null);
    let failures = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return Reported::Nothing,
        Some(Value::Array(failures)) => failures,
        Some(_) => return Reported::Everything,
    };
    let numbered = batch.iter().enumerate().filter_map(|(i, delivery)| Some((sequence_number(delivery)?, i)));
    let positions: HashMap<String, usize> =
        if failures.is_empty() { HashMap::new() } else { numbered.collect() };
    let mut lowest = None;
    for failure in failures {
        let named = failure.get("itemIdentifier").and_then(Value::as_str);
        let position = named.and_then(|id| positions.get(id).copied());
        let Some(position) = position else {
            return Reported::Everything;
        };
        lowest = Some(lowest.map_or(position, |low: usize| low.min(position)));
    }
    lowest.map_or(Reported::Nothing, Reported::From)
}

/// The sequence number that a stream's record carries.
pub fn sequence_number(delivery: &Delivery) -> Option<String> {
    let record = delivery.event.record.value();
    record["dynamodb"]["SequenceNumber"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::tests::parcel_of;
    use super::super::{Failure, Reply};
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn line(cohorts: &[Option<i64>]) -> Vec<InLine> {
        let parcel = parcel_of(cohorts.len());
        let with_cohort = parcel.deliveries.into_iter().zip(cohorts);
        with_cohort
            .map(|(mut delivery, cohort)| {
                delivery.cohort = *cohort;
                InLine { delivery, since: at(0), not_before: at(0) }
            })
            .collect()
    }

    fn check_next(batch: usize, window_ms: u64, cohorts: &[Option<i64>], now: i64, expected: Next) {
        let policy =
            StreamPolicy { batch, window: Duration::from_millis(window_ms), ..StreamPolicy::default() };
        assert_eq!(next(&policy, line(cohorts).iter(), at(now)), expected);
    }

    #[test]
    fn records_that_are_too_old_go_by_themselves() {
        // Records are of time 0, so all of them are too old at once but the one sent again.
        let age_max = Duration::from_secs(1);
        let policy = StreamPolicy { batch: 10, age_max, ..StreamPolicy::default() };
        let mut line = line(&[None; 4]);
        assert_eq!(next(&policy, line.iter(), at(1000)), Next::Batch(4));
        line[2].delivery.redriven = 1;
        assert_eq!(next(&policy, line.iter(), at(1001)), Next::Batch(2));
        assert_eq!(next(&policy, line[2..].iter(), at(1001)), Next::Batch(2));
    }

    #[test]
    fn a_batch_goes_when_it_is_full_or_its_window_is_over() {
        check_next(10, 0, &[], 0, Next::Empty);
        check_next(10, 0, &[None; 3], 0, Next::Batch(3));
        check_next(2, 500, &[None; 3], 0, Next::Batch(2));
        check_next(10, 500, &[None; 3], 499, Next::Wait(at(500)));
        check_next(10, 500, &[None; 3], 500, Next::Batch(3));
        check_next(1, 500, &[None], 0, Next::Batch(1));
    }

    #[test]
    fn what_failed_together_is_tried_together() {
        check_next(10, 500, &[Some(1), Some(1), None], 0, Next::Batch(2));
        check_next(10, 500, &[Some(1), Some(2), None], 0, Next::Batch(1));
        check_next(10, 0, &[None, Some(2)], 0, Next::Batch(1));
    }

    #[test]
    fn a_failed_head_blocks_the_line() {
        let mut line = line(&[Some(1), None]);
        line[0].not_before = at(1000);
        assert_eq!(next(&StreamPolicy::default(), line.iter(), at(999)), Next::Wait(at(1000)));
        assert_eq!(next(&StreamPolicy::default(), line.iter(), at(1000)), Next::Batch(1));
    }

    /// One word a record: `done`, `+Ns` (retry), `cN` (in the half that begins with N), or the reason.
    fn check_settle(policy: &StreamPolicy, size: usize, attempts: u32, outcome: &Outcome, expected: &str) {
        let mut parcel = parcel_of(size);
        parcel.deliveries.iter_mut().for_each(|d| d.attempts = attempts);
        let settled = settle(policy, &parcel, outcome, at(0));
        let words: Vec<String> = settled
            .iter()
            .map(|(_, settle)| match settle {
                Settle::Delivered => "done".into(),
                Settle::RetryAt(then) | Settle::PutBack(then) => format!("+{}s", then.since(at(0)).as_secs()),
                Settle::RetryApart(_, cohort) => format!("c{cohort}"),
                Settle::GiveUp(reason) => reason.as_str().into(),
            })
            .collect();
        assert_eq!(words.join(" "), expected);
    }

    fn answered(json: &str) -> Outcome {
        Outcome::Done(Reply { payload: json.to_owned().into(), ..Reply::default() })
    }

    #[test]
    fn a_failing_batch_is_retried_until_its_retries_are_used() {
        let failed = Outcome::Failed(Failure::default());
        let twice = StreamPolicy { retries: Some(2), ..StreamPolicy::default() };
        check_settle(&twice, 2, 0, &failed, "+1s +1s");
        check_settle(&twice, 2, 1, &failed, "+2s +2s");
        check_settle(&twice, 2, 2, &failed, "RetriesExhausted RetriesExhausted");
        check_settle(&StreamPolicy::default(), 1, 1000, &failed, "+60s");
    }

    #[test]
    fn bisecting_halves_a_batch_without_using_retries() {
        let policy = StreamPolicy { bisect: true, retries: Some(0), ..StreamPolicy::default() };
        let failed = Outcome::Failed(Failure::default());
        check_settle(&policy, 5, 0, &failed, "c1 c1 c3 c3 c3");
        check_settle(&policy, 1, 0, &failed, "RetriesExhausted");
    }

    #[test]
    fn records_are_given_up_at_their_age() {
        let policy = StreamPolicy { age_max: Duration::from_millis(500), ..StreamPolicy::default() };
        check_settle(&policy, 1, 0, &Outcome::Failed(Failure::default()), "EventAgeExceeded");
    }

    #[test]
    fn an_answer_may_name_the_records_that_failed() {
        let policy = StreamPolicy { report_failures: true, ..StreamPolicy::default() };
        let check = |answer: &str, expected: &str| check_settle(&policy, 3, 0, &answered(answer), expected);
        for success in
            ["[]", "null", "{}", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#, r#""""#]
        {
            check(success, "done done done");
        }
        for failure in [
            r#"{"itemIdentifier":"nobody"}"#,
            r#"{"itemIdentifier":""}"#,
            r#"{"itemIdentifier":null}"#,
            r#"{"foo":1}"#,
            r#"{"itemIdentifier":2}"#,
        ] {
            check(&format!(r#"{{"batchItemFailures":[{failure}]}}"#), "+1s +1s +1s");
        }
        check(r#"{"batchItemFailures":[{"itemIdentifier":"3"},{"itemIdentifier":"2"}]}"#, "done +1s +1s");
        check_settle(
            &StreamPolicy::default(),
            2,
            0,
            &answered(r#"{"batchItemFailures":[{"foo":1}]}"#),
            "done done",
        );
    }
}
