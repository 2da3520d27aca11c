//! The records of successes and failures, as AWS sends them. Pure.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::policy::DeliveryPolicy;
use super::super::{Outcome, Parcel, Reason, Throttle, stream};
use crate::clock::Timestamp;

/// The record of an asynchronous invocation that ended (semantics: asynchronous invocation).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invoked {
    version: &'static str,
    timestamp: String,
    request_context: RequestContext,
    request_payload: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_context: Option<ResponseContext>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_payload: Option<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    request_id: String,
    function_arn: String,
    condition: &'static str,
    approximate_invoke_count: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext {
    status_code: u16,
    executed_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_error: Option<Value>,
}

/// The record of a batch of a stream that was given up (semantics: event source mappings).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    request_context: RequestContext,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_context: Option<ResponseContext>,
    version: &'static str,
    timestamp: String,
    #[serde(rename = "DDBStreamBatchInfo")]
    batch: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
}

/// The record of a success.
pub(super) fn of_success(done: &Parcel, outcome: &Outcome, at: Timestamp) -> String {
    text(&invoked(done, outcome, "Success", at))
}

/// The record of what was given up. One for a bucket (`for_bucket`) holds a batch's records as well.
pub(super) fn of_failure(
    lost: &Parcel,
    outcome: &Outcome,
    reason: Reason,
    (at, for_bucket): (Timestamp, bool),
) -> String {
    match lost.wire.policy {
        DeliveryPolicy::Async(_) => text(&invoked(lost, outcome, reason.as_str(), at)),
        DeliveryPolicy::Stream(_) => {
            let payload = for_bucket.then(|| raw(&lost.payload()));
            text(&Batch { payload, ..batch(lost, outcome, reason, at) })
        }
    }
}

fn invoked(ended: &Parcel, outcome: &Outcome, condition: &'static str, at: Timestamp) -> Invoked {
    let (function_error, response) = match outcome {
        Outcome::Done(reply) => (None, Some(&reply.payload)),
        Outcome::Failed(failure) => (Some(json!("Unhandled")), Some(&failure.payload)),
        Outcome::Throttled(_) | Outcome::Unavailable(_) | Outcome::Over(_) => (None, None),
    };
    let target = &ended.wire.target;
    let qualified = target.qualified(target.qualifier().unwrap_or(LATEST));
    Invoked {
        version: "1.0",
        timestamp: at.iso_millis(),
        request_context: RequestContext {
            request_id: ended.request_id(),
            function_arn: qualified.as_str().to_owned(),
            condition,
            approximate_invoke_count: invocations(ended, outcome),
        },
        request_payload: raw(&ended.payload()),
        // Both are missing when the function never ran.
        response_context: response.map(|_| response_context(ended, outcome, function_error)),
        response_payload: response.map(|payload| raw(payload)),
    }
}

fn batch(lost: &Parcel, outcome: &Outcome, reason: Reason, at: Timestamp) -> Batch {
    let (first, last) = (lost.first(), lost.deliveries.last().unwrap_or(lost.first()));
    let is_aged = reason == Reason::EventAgeExceeded;
    let condition = if is_aged { "RecordAgeExceeded" } else { "RetryAttemptsExhausted" };
    // Recorded: null when the function named the failures itself, Unhandled when it failed.
    let function_error = if matches!(outcome, Outcome::Done(_)) { Value::Null } else { json!("Unhandled") };
    // Recorded: one for records that were too old before anybody read them.
    let count = invocations(lost, outcome).max(1);
    Batch {
        request_context: RequestContext {
            request_id: lost.request_id(),
            function_arn: lost.wire.target.as_str().to_owned(),
            condition,
            approximate_invoke_count: count,
        },
        response_context: (!is_aged).then(|| response_context(lost, outcome, Some(function_error))),
        version: "1.0",
        timestamp: at.iso_millis(),
        batch: json!({
            "shardId": SHARD_ID,
            "startSequenceNumber": stream::sequence_number(first),
            "endSequenceNumber": stream::sequence_number(last),
            "approximateArrivalOfFirstRecord": first.event.occurred_at.iso_seconds(),
            "approximateArrivalOfLastRecord": last.event.occurred_at.iso_seconds(),
            "batchSize": lost.deliveries.len(),
            "streamArn": first.event.record.value()["eventSourceARN"],
        }),
        payload: None,
    }
}

/// Each table's stream has this one shard.
pub(super) const SHARD_ID: &str = "shardId-00000000000000000000-00000000";

const LATEST: &str = "$LATEST";

fn response_context(ended: &Parcel, outcome: &Outcome, function_error: Option<Value>) -> ResponseContext {
    // A version is its own number; which one an alias led to is told with the outcome.
    let number = |qualifier: &&str| qualifier.bytes().all(|b| b.is_ascii_digit());
    let led_to = outcome.report().and_then(|report| report.version.as_deref());
    let version = led_to.or(ended.wire.target.qualifier().filter(number)).unwrap_or(LATEST);
    ResponseContext { status_code: 200, executed_version: version.to_owned(), function_error }
}

fn invocations(ended: &Parcel, outcome: &Outcome) -> u32 {
    ended.first().attempts + u32::from(outcome.ran())
}

/// How much of an error's message a dead letter carries, in bytes.
const MESSAGE_MAX: usize = 1024;

/// The message attributes of a dead letter: as recorded, and a status that is no 200 where the function did not run.
pub(super) fn letter_attributes(lost: &Parcel, outcome: &Outcome, error: &str) -> Value {
    let (code, said) = match outcome {
        Outcome::Done(reply) => ("200", &reply.payload[..]),
        Outcome::Failed(failure) => ("200", &failure.payload[..]),
        Outcome::Throttled(Throttle::Reserved | Throttle::Account | Throttle::Zero) => ("429", &b""[..]),
        Outcome::Unavailable(_) | Outcome::Over(_) => ("500", &b""[..]),
    };
    let said: Value = serde_json::from_slice(said).unwrap_or(Value::Null);
    let message = said["errorMessage"].as_str().unwrap_or(error);
    let message = &message[..message.floor_char_boundary(MESSAGE_MAX.min(message.len()))];
    let mut attributes = json!({
        "RequestID": {"DataType": "String", "StringValue": lost.request_id()},
        "ErrorCode": {"DataType": "Number", "StringValue": code},
    });
    // An attribute without a value would be refused.
    if !message.is_empty() {
        attributes["ErrorMessage"] = json!({"DataType": "String", "StringValue": message});
    }
    attributes
}

/// JSON as it is written; anything else as a JSON text. Nothing is null.
fn raw(payload: &[u8]) -> Box<RawValue> {
    let said = match payload {
        b"" => "null".into(),
        payload => String::from_utf8_lossy(payload),
    };
    let quoted = || serde_json::value::to_raw_value(&said).unwrap_or_else(|_| RawValue::NULL.to_owned());
    RawValue::from_string(said.clone().into_owned()).unwrap_or_else(|_| quoted())
}

fn text(record: &impl Serialize) -> String {
    // Plain values always become JSON.
    serde_json::to_string(record).unwrap_or_default()
}
