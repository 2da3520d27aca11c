//! What an attempt means: delivered, tried again at some time, or given up. Pure.

use std::time::Duration;

use super::stream::{self, StreamPolicy};
use super::{Delivery, DeliveryId, Outcome, Parcel, Reason, Settle, Throttle};
use crate::clock::Timestamp;

/// How a wire delivers.
#[derive(Clone, Debug, PartialEq)]
pub enum DeliveryPolicy {
    /// Each event for itself, in no order.
    Async(AsyncPolicy),
    /// In batches, in order.
    Stream(StreamPolicy),
}

/// Asynchronous invocation: an event is retried so often, after such delays, and never past an age.
///
/// The age is looked at before each attempt, and ahead of each delay: an event that waited too long is given up
/// without being tried. One that was sent again from the dead letters gets one try whatever its age; if that fails,
/// it is given up for its age.
#[derive(Clone, Debug, PartialEq)]
pub struct AsyncPolicy {
    /// Retries after the first try.
    pub retries: u32,
    /// The delay before each retry; the last one repeats.
    pub backoff: Vec<Duration>,
    /// Events are given up rather than tried when they would be older.
    pub age_max: Duration,
}

/// Events older than six hours are given up (Lambda's `MaximumEventAgeInSeconds`).
const ASYNC_AGE_MAX: Duration = Duration::from_secs(21_600);

impl AsyncPolicy {
    /// Lambda's own: two retries, after one minute and two.
    pub fn lambda() -> AsyncPolicy {
        let backoff = vec![Duration::from_secs(60), Duration::from_secs(120)];
        AsyncPolicy { retries: 2, backoff, age_max: ASYNC_AGE_MAX }
    }
    /// For messages: three retries, after 1 s, 2 s and 4 s.
    pub fn sns() -> AsyncPolicy {
        let backoff = [1, 2, 4].map(Duration::from_secs).to_vec();
        AsyncPolicy { retries: 3, backoff, age_max: ASYNC_AGE_MAX }
    }
    /// For what destinations are sent: what one refuses for what it is would be refused again, so only one that
    /// cannot be reached is tried again, until the age is reached.
    pub fn destination() -> AsyncPolicy {
        AsyncPolicy { retries: 0, backoff: Vec::new(), age_max: ASYNC_AGE_MAX }
    }
}

impl DeliveryPolicy {
    /// What this outcome means for each delivery of the parcel.
    pub fn settle(&self, parcel: &Parcel, outcome: &Outcome, now: Timestamp) -> Vec<(DeliveryId, Settle)> {
        match self {
            DeliveryPolicy::Stream(policy) => stream::settle(policy, parcel, outcome, now),
            DeliveryPolicy::Async(policy) => {
                parcel.deliveries.iter().map(|d| (d.id, policy.settle_one(d, outcome, now))).collect()
            }
        }
    }

    /// Whether this parcel is too old to be tried at all. Of a stream only records of one such fate travel together.
    pub fn is_too_old(&self, parcel: &Parcel, now: Timestamp) -> bool {
        let age_max = match self {
            DeliveryPolicy::Stream(policy) => policy.age_max,
            DeliveryPolicy::Async(policy) => policy.age_max,
        };
        parcel.deliveries.iter().all(|delivery| is_too_old(delivery, age_max, now))
    }

    /// How many attempts there can be; None if there is no limit.
    pub fn attempts_max(&self) -> Option<u32> {
        match self {
            DeliveryPolicy::Async(policy) => Some(policy.retries + 1),
            DeliveryPolicy::Stream(policy) => policy.retries.map(|retries| retries + 1),
        }
    }
}

impl AsyncPolicy {
    fn settle_one(&self, delivery: &Delivery, outcome: &Outcome, now: Timestamp) -> Settle {
        let born = delivery.event.occurred_at;
        match outcome {
            Outcome::Done(_) => Settle::Delivered,
            Outcome::Throttled(Throttle::Zero) => Settle::GiveUp(Reason::ZeroReservedConcurrency),
            Outcome::Failed(_) if delivery.attempts >= self.retries => {
                Settle::GiveUp(Reason::RetriesExhausted)
            }
            Outcome::Failed(_) => {
                let delay = nth_or_last(&self.backoff, delivery.attempts);
                within_age(born, now.plus(delay), self.age_max).map_or(aged(), Settle::RetryAt)
            }
            Outcome::Throttled(Throttle::Reserved | Throttle::Account)
            | Outcome::Unavailable(_)
            | Outcome::Over(_) => {
                let delay = refusal_delay(delivery.refusals);
                within_age(born, now.plus(delay), self.age_max).map_or(aged(), Settle::PutBack)
            }
        }
    }
}

/// Whether a delivery is too old to be tried.
pub(super) fn is_too_old(delivery: &Delivery, age_max: Duration, now: Timestamp) -> bool {
    let has_its_try = delivery.redriven > 0 && delivery.attempts == 0;
    now.since(delivery.event.occurred_at) > age_max && !has_its_try
}

fn aged() -> Settle {
    Settle::GiveUp(Reason::EventAgeExceeded)
}

/// `then`, unless the event would be too old by then: Lambda looks ahead rather than wait for nothing.
fn within_age(born: Timestamp, then: Timestamp, age_max: Duration) -> Option<Timestamp> {
    (then.since(born) <= age_max).then_some(then)
}

/// Throttles and system errors go back to the queue for 1 s, doubling to 300 s (semantics: asynchronous invocation).
pub(super) fn refusal_delay(refusals: u32) -> Duration {
    Duration::from_secs(1 << refusals.min(9)).min(Duration::from_secs(300))
}

fn nth_or_last(delays: &[Duration], index: u32) -> Duration {
    delays.get(index as usize).or(delays.last()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::tests::parcel_of;
    use super::super::{Failure, Reply};
    use super::*;

    /// Tells the life of one event: `x` fails, `t` is throttled, `z` may never run, `o` succeeds; time moves on to
    /// each retry.
    fn check(policy: &AsyncPolicy, outcomes: &str, expected: &str) {
        check_from(policy, (0, 0), outcomes, expected);
    }

    /// The same for an event that is so many seconds old at first, and was sent again so often.
    fn check_from(policy: &AsyncPolicy, (age, redriven): (i64, u32), outcomes: &str, expected: &str) {
        let policy = DeliveryPolicy::Async(policy.clone());
        let mut parcel = parcel_of(1);
        parcel.deliveries[0].redriven = redriven;
        let (mut now, mut story) = (Timestamp::from_millis(age * 1000), Vec::new());
        for outcome in outcomes.chars() {
            let outcome = match outcome {
                _ if policy.is_too_old(&parcel, now) => Outcome::Unavailable("too old".into()),
                'z' => Outcome::Throttled(Throttle::Zero),
                'x' => Outcome::Failed(Failure::default()),
                't' => Outcome::Throttled(Throttle::Reserved),
                _ => Outcome::Done(Reply::default()),
            };
            let settled = policy.settle(&parcel, &outcome, now);
            let delivery = &mut parcel.deliveries[0];
            match &settled[0].1 {
                Settle::RetryAt(then) => {
                    story.push(format!("+{}s", then.since(now).as_secs()));
                    (now, delivery.attempts) = (*then, delivery.attempts + 1);
                }
                Settle::PutBack(then) => {
                    story.push(format!("~{}s", then.since(now).as_secs()));
                    (now, delivery.refusals) = (*then, delivery.refusals + 1);
                }
                Settle::GiveUp(reason) => story.push(reason.as_str().into()),
                other => story.push(format!("{other:?}")),
            }
        }
        assert_eq!(story.join(" "), expected);
    }

    #[test]
    fn lambda_retries_twice() {
        check(&AsyncPolicy::lambda(), "o", "Delivered");
        check(&AsyncPolicy::lambda(), "xxx", "+60s +120s RetriesExhausted");
        check(&AsyncPolicy::lambda(), "xo", "+60s Delivered");
    }

    #[test]
    fn messages_are_retried_three_times() {
        check(&AsyncPolicy::sns(), "xxxx", "+1s +2s +4s RetriesExhausted");
    }

    #[test]
    fn throttles_wait_longer_and_do_not_count() {
        check(&AsyncPolicy::lambda(), "tttxo", "~1s ~2s ~4s +60s Delivered");
        let long = "~1s ~2s ~4s ~8s ~16s ~32s ~64s ~128s ~256s ~300s ~300s";
        check(&AsyncPolicy::lambda(), "ttttttttttt", long);
    }

    #[test]
    fn nothing_waits_for_an_age_it_cannot_reach() {
        // Recorded: with a maximum age of 60 s there is one attempt, with 90 s there are two.
        let aged = |seconds| AsyncPolicy { age_max: Duration::from_secs(seconds), ..AsyncPolicy::lambda() };
        check(&aged(59), "x", "EventAgeExceeded");
        check(&aged(90), "xx", "+60s EventAgeExceeded");
    }

    #[test]
    fn what_waited_too_long_is_not_even_tried() {
        let hour = AsyncPolicy { age_max: Duration::from_secs(3600), ..AsyncPolicy::lambda() };
        check_from(&hour, (3600, 0), "o", "Delivered");
        check_from(&hour, (3601, 0), "o", "EventAgeExceeded");
    }

    #[test]
    fn a_redriven_letter_gets_one_try_whatever_its_age() {
        let hour = AsyncPolicy { age_max: Duration::from_secs(3600), ..AsyncPolicy::lambda() };
        check_from(&hour, (9999, 1), "o", "Delivered");
        check_from(&hour, (9999, 2), "x", "EventAgeExceeded");
        check_from(&hour, (9999, 1), "t", "EventAgeExceeded");
        check_from(&hour, (10, 1), "xxx", "+60s +120s RetriesExhausted");
    }

    #[test]
    fn a_function_that_may_never_run_is_not_waited_for() {
        check(&AsyncPolicy::lambda(), "z", "ZeroReservedConcurrency");
        check(&AsyncPolicy::lambda(), "xtz", "+60s ~1s ZeroReservedConcurrency");
        check(&AsyncPolicy::sns(), "z", "ZeroReservedConcurrency");
    }

    #[test]
    fn a_destination_that_refuses_is_not_asked_again() {
        check(&AsyncPolicy::destination(), "x", "RetriesExhausted");
        check(&AsyncPolicy::destination(), "tto", "~1s ~2s Delivered");
    }

    #[test]
    fn the_last_delay_repeats() {
        let policy =
            AsyncPolicy { retries: 4, backoff: vec![Duration::from_secs(3)], ..AsyncPolicy::lambda() };
        check(&policy, "xxxxx", "+3s +3s +3s +3s RetriesExhausted");
        check(&AsyncPolicy { retries: 0, ..policy }, "x", "RetriesExhausted");
    }
}
