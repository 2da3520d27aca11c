//! What a wire's destinations are told when its deliveries end, and how it gets there. Pure.
//!
//! ```text
//!   done ──────▶ on_success: the record of the success    ┌─ a queue: a letter in it
//!   given up ─┬▶ on_failure: the record of the failure  ──┼─ a topic, a bucket, a bus: an event of the function,
//!             └▶ dlq: the event itself                    │     with a delivery over a wire made for it
//!                                                         └─ a function: an asynchronous invocation like any other
//! ```
//!
//! Functions that are destinations of each other keep invoking each other, as they do on AWS: each invocation is an
//! event of its own that is caused by an attempt of the one before, and nothing here counts how long that chain is.

use serde_json::{Value, json};

use super::policy::DeliveryPolicy;
use super::settlement::Settlement;
use super::{Delivery, DeliveryId, Parcel, Reason, Settle};
use crate::clock::Timestamp;
use crate::event::{Event, EventId};
use crate::random;
use crate::wire::{Occasion, Wire};

mod call;
mod record;

pub use call::{Publish, PutObject, bus_event};

/// What one destination is told.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Why.
    pub occasion: Occasion,
    /// The deliveries that ended, and their wire.
    pub about: Parcel,
    /// `Success`, or why they were given up.
    pub reason: &'static str,
    /// The last error, in short.
    pub error: String,
    /// The record, or the event itself.
    pub body: String,
    /// The message attributes of a dead letter, by name.
    pub attributes: Option<Value>,
    /// When.
    pub at: Timestamp,
}

/// What is to be told of this settlement, and to whom.
pub fn sendings(settlement: &Settlement) -> Vec<Sending> {
    let wire = &settlement.parcel.wire;
    let mut all = Vec::new();
    if wire.on_success.is_some() && matches!(wire.policy, DeliveryPolicy::Async(_)) {
        for done in ended(settlement, |settle| *settle == Settle::Delivered) {
            all.extend(sending(settlement, Occasion::Success, vec![done.clone()], "Success"));
        }
    }
    if let Some(reason) = settlement.reason() {
        let lost: Vec<Delivery> =
            ended(settlement, |settle| matches!(settle, Settle::GiveUp(_))).cloned().collect();
        for occasion in [Occasion::DeadLetter, Occasion::Failure] {
            all.extend(sending(settlement, occasion, lost.clone(), reason.as_str()));
        }
    }
    all
}

fn ended(settlement: &Settlement, how: impl Fn(&Settle) -> bool) -> impl Iterator<Item = &Delivery> {
    let both = settlement.parcel.deliveries.iter().zip(&settlement.verdicts);
    both.filter(move |(_, (_, settle))| how(settle)).map(|(delivery, _)| delivery)
}

fn sending(
    settlement: &Settlement,
    occasion: Occasion,
    deliveries: Vec<Delivery>,
    reason: &'static str,
) -> Option<Sending> {
    let about = Parcel { wire: settlement.parcel.wire.clone(), deliveries };
    let to = about.wire.destination(occasion)?.clone();
    let (outcome, at) = (&settlement.outcome, settlement.at);
    let body = match occasion {
        Occasion::DeadLetter => String::from_utf8_lossy(&about.payload()).into_owned(),
        Occasion::Success => record::of_success(&about, outcome, at),
        Occasion::Failure => {
            let reason = settlement.reason().unwrap_or(Reason::RetriesExhausted);
            record::of_failure(&about, outcome, reason, (at, to.kind() == "s3"))
        }
    };
    let error = settlement.error().unwrap_or_default();
    let attributes =
        (occasion == Occasion::DeadLetter).then(|| record::letter_attributes(&about, outcome, &error));
    Some(Sending { occasion, about, reason, error, body, attributes, at })
}

impl Sending {
    /// The wire it goes over, and the event that it is; none for a queue.
    pub fn event(&self) -> Option<(Event, Wire)> {
        let wire = self.about.wire.to_destination(self.occasion)?;
        let cause = Some(self.about.shown_id());
        if wire.target.kind() == "function" {
            let request_id = random::uuid_of(&[b"destination", &self.natural_id().0], 4);
            let event = Event::invocation(wire.target.clone(), &request_id, self.body.clone(), self.at);
            return Some((Event { cause, ..event }, wire));
        }
        let event = Event {
            id: self.natural_id(),
            source: wire.source.clone(),
            name: self.occasion.event_name().into(),
            subject: self.about.request_id(),
            occurred_at: self.at,
            lane: None,
            cause,
            record: call::record(self, &wire),
        };
        Some((event, wire))
    }

    /// The row of a letter, for the wire of this number: `[queue, wire, deliveries, first, at, reason, error, body,
    /// attributes]`. None for what goes over a wire.
    pub fn letter(&self, wire: i64) -> Option<Value> {
        let queue = self.about.wire.destination(self.occasion).filter(|to| to.kind() == "queue")?;
        let ids: Vec<i64> = self.about.deliveries.iter().map(|d| d.id.0).collect();
        let (first, at) = (self.about.first().number.0, self.at.as_micros());
        let attributes = self.attributes.as_ref().map(Value::to_string);
        let (reason, error, body) = (self.reason, &self.error, &self.body);
        Some(json!([queue.name(), wire, json!(ids).to_string(), first, at, reason, error, body, attributes]))
    }

    /// The same delivery ends once, unless it is sent again.
    fn natural_id(&self) -> EventId {
        let Delivery { id: DeliveryId(id), redriven, .. } = self.about.first();
        let order = self.at.as_micros().unsigned_abs();
        let about = format!("{}/{id}/{redriven}", self.about.wire.id);
        EventId::in_order(order, &["destination", self.occasion.word(), &about])
    }
}

#[cfg(test)]
mod tests;
