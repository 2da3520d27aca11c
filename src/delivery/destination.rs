//! The records that tell of a failure, as AWS sends them to failure destinations. Pure.

use serde_json::{Value, json};

use super::policy::DeliveryPolicy;
use super::{Outcome, Parcel, Reason, stream};
use crate::clock::Timestamp;

/// The failure record of what was given up (semantics: asynchronous invocation; event source mappings).
pub fn failure_record(lost: &Parcel, outcome: &Outcome, reason: Reason, at: Timestamp) -> String {
    let record = match lost.wire.policy {
        DeliveryPolicy::Async(_) => asynchronous(lost, outcome, reason, at),
        DeliveryPolicy::Stream(_) => batch(lost, outcome, reason, at),
    };
    record.to_string()
}

fn asynchronous(lost: &Parcel, outcome: &Outcome, reason: Reason, at: Timestamp) -> Value {
    let mut record = json!({
        "version": "1.0",
        "timestamp": at.iso_millis(),
        "requestContext": {
            "requestId": lost.request_id(),
            "functionArn": format!("{}:$LATEST", lost.wire.target),
            "condition": reason.as_str(),
            "approximateInvokeCount": invocations(lost, outcome),
        },
        "requestPayload": parsed(&lost.payload()),
    });
    if let Outcome::Failed(failure) = outcome {
        record["responseContext"] =
            json!({"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"});
        record["responsePayload"] = parsed(&failure.payload);
    }
    record
}

fn batch(lost: &Parcel, outcome: &Outcome, reason: Reason, at: Timestamp) -> Value {
    let (first, last) = (lost.first(), &lost.deliveries[lost.deliveries.len() - 1]);
    let condition = match reason {
        Reason::RetriesExhausted => "RetryAttemptsExhausted",
        Reason::EventAgeExceeded => "RecordAgeExceeded",
    };
    let mut record = json!({
        "requestContext": {
            "requestId": lost.request_id(),
            "functionArn": lost.wire.target.as_str(),
            "condition": condition,
            "approximateInvokeCount": invocations(lost, outcome),
        },
    });
    if reason == Reason::RetriesExhausted {
        // Recorded: null when the function named the failures itself, Unhandled when it failed.
        let function_error =
            if matches!(outcome, Outcome::Done(_)) { Value::Null } else { json!("Unhandled") };
        record["responseContext"] =
            json!({"statusCode": 200, "executedVersion": "$LATEST", "functionError": function_error});
    }
    record["version"] = json!("1.0");
    record["timestamp"] = json!(at.iso_millis());
    record["DDBStreamBatchInfo"] = json!({
        "shardId": SHARD_ID,
        "startSequenceNumber": stream::sequence_number(first),
        "endSequenceNumber": stream::sequence_number(last),
        "approximateArrivalOfFirstRecord": first.event.occurred_at.iso_seconds(),
        "approximateArrivalOfLastRecord": last.event.occurred_at.iso_seconds(),
        "batchSize": lost.deliveries.len(),
        "streamArn": first.event.record.value()["eventSourceARN"],
    });
    record
}

/// Each table's stream has this one shard.
const SHARD_ID: &str = "shardId-00000000000000000000-00000000";

fn invocations(lost: &Parcel, outcome: &Outcome) -> u32 {
    let ran = matches!(outcome, Outcome::Done(_) | Outcome::Failed(_));
    lost.first().attempts + u32::from(ran)
}

fn parsed(payload: &[u8]) -> Value {
    serde_json::from_slice(payload).unwrap_or_else(|_| json!(String::from_utf8_lossy(payload)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::parcel_of;
    use super::super::{Failure, Reply};
    use super::stream::StreamPolicy;
    use super::*;
    use std::sync::Arc;

    /// The paths of all members in their order, with the kind of each value.
    fn shape(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(name, v)| shape(v, &format!("{path}.{name}"), found))
            }
            Value::Null => found.push(format!("{path} null")),
            Value::Number(_) => found.push(format!("{path} number")),
            _ => found.push(format!("{path} text")),
        }
    }

    fn shape_of(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        shape(&serde_json::from_str(text).expect("JSON"), "", &mut found);
        found
    }

    fn stream_parcel() -> Parcel {
        let mut parcel = parcel_of(1);
        let wire = Wire { policy: DeliveryPolicy::Stream(StreamPolicy::default()), ..(*parcel.wire).clone() };
        parcel.wire = Arc::new(wire);
        let record = r#"{"dynamodb":{"SequenceNumber":"1"},"eventSourceARN":"arn:stream"}"#;
        let mut event = (*parcel.deliveries[0].event).clone();
        event.record = crate::event::Record::element(record.into());
        parcel.deliveries[0].event = Arc::new(event);
        parcel
    }

    use crate::wire::Wire;

    #[test]
    fn a_given_up_batch_is_described_as_recorded() {
        let failed = Outcome::Failed(Failure::default());
        let ours =
            failure_record(&stream_parcel(), &failed, Reason::RetriesExhausted, Timestamp::from_millis(0));
        assert_eq!(shape_of(&ours), shape_of(include_str!("golden/dynamodb_sqs.json")));
        let named = Outcome::Done(Reply::default());
        let ours =
            failure_record(&stream_parcel(), &named, Reason::RetriesExhausted, Timestamp::from_millis(0));
        assert_eq!(shape_of(&ours), shape_of(include_str!("golden/dynamodb_partial_batch_failure.json")));
    }

    #[test]
    fn a_given_up_event_is_described_as_recorded() {
        let mut parcel = parcel_of(1);
        parcel.deliveries[0].attempts = 2;
        let failure = Failure { payload: r#"{"errorType":"E"}"#.into(), ..Failure::default() };
        let ours = failure_record(
            &parcel,
            &Outcome::Failed(failure),
            Reason::RetriesExhausted,
            Timestamp::from_millis(0),
        );
        let ours: Value = serde_json::from_str(&ours).expect("JSON");
        let recorded: Value =
            serde_json::from_str(include_str!("golden/on_failure_retries_exhausted.json")).expect("JSON");
        let names = |value: &Value| value.as_object().map(|m| m.keys().cloned().collect::<Vec<_>>());
        assert_eq!(names(&ours), names(&recorded));
        assert_eq!(names(&ours["requestContext"]), names(&recorded["requestContext"]));
        assert_eq!(ours["requestContext"]["approximateInvokeCount"], 3);
        assert_eq!(ours["requestContext"]["condition"], "RetriesExhausted");
    }
}
