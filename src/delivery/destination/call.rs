//! What a destination that is no queue is sent: the call that Lambda makes, as the record of an event. Pure.

use serde_json::{Value, json};

use super::super::policy::DeliveryPolicy;
use super::Sending;
use super::record::SHARD_ID;
use crate::arn::Arn;
use crate::clock::Timestamp;
use crate::event::{Event, Record};
use crate::random;
use crate::wire::{Occasion, WIRE_MEMBER, Wire};

/// A message for a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Its body.
    pub message: String,
    /// Name, type and value of each attribute.
    pub attributes: Vec<(String, String, String)>,
}

/// An object for a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutObject {
    /// Its key.
    pub key: String,
    /// What it holds.
    pub body: String,
}

impl Publish {
    /// What this event asks a topic to publish; none if it asks for no such thing.
    pub fn of(event: &Event) -> Option<Publish> {
        let call = event.record.value();
        let attributes = call["MessageAttributes"].as_object().map(|all| all.iter().collect::<Vec<_>>());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let attributes = attributes.unwrap_or_default().into_iter();
        Some(Publish {
            message: call["Message"].as_str()?.to_owned(),
            attributes: attributes
                .map(|(name, value)| (name.clone(), text(&value["DataType"]), text(&value["StringValue"])))
                .collect(),
        })
    }
}

impl PutObject {
    /// What this event asks a bucket to hold; none if it asks for no such thing.
    pub fn of(event: &Event) -> Option<PutObject> {
        let call = event.record.value();
        Some(PutObject { key: call["Key"].as_str()?.to_owned(), body: call["Body"].as_str()?.to_owned() })
    }
}

/// The record of the event that carries this sending over this wire.
pub(super) fn record(sending: &Sending, wire: &Wire) -> Record {
    let (to, body) = (&wire.target, &sending.body);
    let call = match to.kind() {
        "s3" => {
            json!({WIRE_MEMBER: wire.id, "Bucket": to.name(), "Key": object_key(sending), "Body": body})
        }
        "bus" => json!({WIRE_MEMBER: wire.id, "Event": bus_event(sending.occasion, body, (to, sending.at))}),
        _ => {
            let mut call = json!({WIRE_MEMBER: wire.id, "TopicArn": to.as_str(), "Message": body});
            if let Some(attributes) = &sending.attributes {
                call["MessageAttributes"] = attributes.clone();
            }
            call
        }
    };
    Record::whole(call.to_string())
}

/// Where the record goes in a bucket: `aws/lambda/async/NAME/…`, and for a stream's batch
/// `aws/lambda/MAPPING/SHARD/…`; then the day, and the time with an id.
fn object_key(sending: &Sending) -> String {
    let wire = &sending.about.wire;
    let place = match wire.policy {
        DeliveryPolicy::Async(_) => format!("async/{}", wire.target.name()),
        DeliveryPolicy::Stream(_) => format!("{}/{SHARD_ID}", wire.mapping_id()),
    };
    let at = sending.at.iso_seconds();
    let (day, time) = at.trim_end_matches('Z').split_once('T').unwrap_or((&at, ""));
    let id = random::uuid_of(&[b"object", &sending.natural_id().0], 4);
    format!("aws/lambda/{place}/{}/{day}T{}-{id}", day.replace('-', "/"), time.replace(':', "."))
}

/// The event that a bus gets of a record.
pub fn bus_event(occasion: Occasion, record: &str, (bus, at): (&Arn, Timestamp)) -> Value {
    let detail: Value = serde_json::from_str(record).unwrap_or(Value::Null);
    let context = &detail["requestContext"];
    let word = if occasion == Occasion::Success { "Success" } else { "Failure" };
    let id = random::uuid_of(&[b"bus event", word.as_bytes(), context.to_string().as_bytes()], 4);
    json!({
        "version": "0",
        "id": id,
        "detail-type": format!("Lambda Function Invocation Result - {word}"),
        "source": "lambda",
        "account": bus.account(),
        "time": at.iso_seconds(),
        "region": bus.region(),
        "resources": [bus.as_str(), context["functionArn"]],
        "detail": detail,
    })
}
