//! The records against what was recorded, key by key and in order.

use std::sync::Arc;

use serde_json::Value;

use super::*;
use crate::arn::{Arn, Place};
use crate::delivery::stream::StreamPolicy;
use crate::delivery::tests::parcel_of;
use crate::delivery::{Failure, Outcome, Reply, Throttle};
use crate::event::{self, EventNo, Record};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn function() -> Arn {
    Arn::parse("arn:aws:lambda:us-east-1:111111111111:function:resource-1").expect("an ARN")
}

/// A function with all three destinations of one kind.
fn wire(function: Arn, to: impl Fn(&str) -> Arn) -> Wire {
    let policy = crate::delivery::policy::AsyncPolicy::lambda();
    Wire::asynchronous(function, policy, Some(to("dead")), Some(to("failed")), Some(to("done")))
}

fn queue(name: &str) -> Arn {
    Arn::queue(&Place::default(), name)
}

/// The end of one asynchronous invocation: as many attempts before this one, this outcome, this verdict.
fn ended(
    wire: Wire,
    (request_id, payload): (&str, &str),
    attempts: u32,
    how: (Outcome, Settle),
) -> Settlement {
    let at = Timestamp::from_millis(0);
    let event = Event::invocation(wire.source.clone(), request_id, payload.into(), at);
    let mut parcel = parcel_of(1);
    parcel.deliveries[0] =
        Delivery { event: Arc::new(event), attempts, number: EventNo(7), ..parcel.deliveries[0].clone() };
    parcel.wire = Arc::new(wire);
    let verdicts = vec![(parcel.deliveries[0].id, how.1)];
    Settlement { parcel, outcome: how.0, verdicts, at, keeps_place: false }
}

fn failed(payload: &Value) -> Outcome {
    Outcome::Failed(Failure { payload: payload.to_string().into(), ..Failure::default() })
}

fn body_of(settlement: &Settlement, occasion: Occasion) -> String {
    let mut all = sendings(settlement);
    all.retain(|sending| sending.occasion == occasion);
    all.remove(0).body
}

/// Tells the life that a recorded document is the end of, and compares what we say of it, byte by byte.
fn check_recorded(recorded: &str, attempts: u32, settle: Settle) {
    let recorded = parsed(recorded);
    let context = &recorded["requestContext"];
    let qualified = Arn::parse(context["functionArn"].as_str().expect("an ARN")).expect("an ARN");
    let outcome = match &recorded["responsePayload"] {
        Value::Null => Outcome::Throttled(Throttle::Zero),
        payload if recorded["responseContext"].get("functionError").is_none() => {
            Outcome::Done(Reply { payload: payload.to_string().into(), ..Reply::default() })
        }
        payload => failed(payload),
    };
    let occasion = if settle == Settle::Delivered { Occasion::Success } else { Occasion::Failure };
    let about = (context["requestId"].as_str().expect("an id"), recorded["requestPayload"].to_string());
    let wire = wire(qualified.unqualified(), queue);
    let mut settlement = ended(wire, (about.0, &about.1), attempts, (outcome, settle));
    settlement.at = Timestamp::parse(recorded["timestamp"].as_str().expect("a time")).expect("a time");
    assert_eq!(body_of(&settlement, occasion), recorded.to_string());
}

#[test]
fn an_invocation_that_ended_is_described_as_recorded() {
    let exhausted = || Settle::GiveUp(Reason::RetriesExhausted);
    let aged = || Settle::GiveUp(Reason::EventAgeExceeded);
    check_recorded(include_str!("../golden/on_success.json"), 0, Settle::Delivered);
    check_recorded(include_str!("../golden/on_failure_retries_exhausted.json"), 2, exhausted());
    check_recorded(include_str!("../golden/on_failure_no_retries.json"), 0, exhausted());
    check_recorded(include_str!("../golden/on_failure_event_age_exceeded.json"), 0, aged());
    check_recorded(include_str!("../golden/on_failure_event_age_exceeded_after_retry.json"), 1, aged());
    let zero = Settle::GiveUp(Reason::ZeroReservedConcurrency);
    check_recorded(include_str!("../golden/on_failure_zero_reserved_concurrency.json"), 0, zero);
}

#[test]
fn what_was_never_tried_has_no_response() {
    let aged = (Outcome::Unavailable("too old".into()), Settle::GiveUp(Reason::EventAgeExceeded));
    let record = parsed(&body_of(&ended(wire(function(), queue), ("r", "{}"), 0, aged), Occasion::Failure));
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
    assert!(record.get("responseContext").is_none() && record.get("responsePayload").is_none());
}

#[test]
fn a_function_is_always_named_with_a_qualifier() {
    let check = |function: Arn, arn: &str, version: &str| {
        let done = (Outcome::Done(Reply::default()), Settle::Delivered);
        let settlement = ended(wire(function, queue), ("r", "{}"), 0, done);
        let record = parsed(&body_of(&settlement, Occasion::Success));
        let said =
            record["requestContext"]["functionArn"].as_str().and_then(|arn| arn.split(":function:").nth(1));
        assert_eq!((said, record["responseContext"]["executedVersion"].as_str()), (Some(arn), Some(version)));
        assert_eq!(record["responsePayload"], Value::Null);
    };
    check(function(), "resource-1:$LATEST", "$LATEST");
    check(function().qualified("3"), "resource-1:3", "3");
    check(function().qualified("prod"), "resource-1:prod", "$LATEST");
}

#[test]
fn a_dead_letter_is_the_event_as_it_was_with_three_attributes() {
    let recorded = parsed(include_str!("../golden/dlq_sqs_message.json"));
    let attributes = &recorded["MessageAttributes"];
    let text = |name: &str| attributes[name]["StringValue"].as_str().expect("a text");
    let body = recorded["Body"].as_str().expect("a body");
    let failure = failed(&json!({"errorMessage": text("ErrorMessage"), "errorType": "Exception"}));
    let end = (failure, Settle::GiveUp(Reason::RetriesExhausted));
    let settlement = ended(wire(function(), queue), (text("RequestID"), body), 2, end);
    let letter = &sendings(&settlement)[0];
    assert_eq!((letter.body.as_str(), letter.attributes.as_ref()), (body, Some(attributes)));
    let row = letter.letter(4).expect("a letter");
    assert_eq!((&row[0], &row[1], &row[6]), (&json!("dead"), &json!(4), &json!("")));
}

#[test]
fn a_dead_letter_names_at_most_a_kilobyte_of_the_error() {
    let check = |outcome: Outcome, expected: (&str, Option<usize>)| {
        let end = (outcome, Settle::GiveUp(Reason::RetriesExhausted));
        let sent = sendings(&ended(wire(function(), queue), ("r", "{}"), 0, end));
        let attributes = sent[0].attributes.clone().unwrap_or_default();
        let message = attributes["ErrorMessage"]["StringValue"].as_str().map(str::len);
        assert_eq!(
            (attributes["ErrorCode"]["StringValue"].as_str(), message),
            (Some(expected.0), expected.1)
        );
    };
    check(failed(&json!({"errorMessage": "x".repeat(3000)})), ("200", Some(1024)));
    check(failed(&json!({"errorMessage": "é".repeat(3000)})), ("200", Some(1024)));
    check(failed(&json!({"errorMessage": format!("x{}", "é".repeat(3000))})), ("200", Some(1023)));
    check(failed(&json!({})), ("200", None));
    check(Outcome::Unavailable("gone".into()), ("500", Some(4)));
}

/// Numbers that no computer's own hold, and texts that are no JSON, are passed on as they are.
#[test]
fn payloads_are_passed_on_as_they_are() {
    let big = r#"{"n":123456789012345678901234567890.5}"#;
    let done = |payload: &str| {
        (Outcome::Done(Reply { payload: payload.to_owned().into(), ..Reply::default() }), Settle::Delivered)
    };
    let body = |payload: &str| {
        body_of(&ended(wire(function(), queue), ("r", big), 0, done(payload)), Occasion::Success)
    };
    assert!(body(big).contains(&format!(r#""requestPayload":{big}"#)), "{}", body(big));
    assert!(body(big).ends_with(&format!(r#""responsePayload":{big}}}"#)));
    assert!(body("no JSON").ends_with(r#""responsePayload":"no JSON"}"#));
}

#[test]
fn both_destinations_of_a_failure_are_told_and_that_of_a_success_is_not() {
    let told = |how: (Outcome, Settle)| {
        let told = sendings(&ended(wire(function(), queue), ("r", "{}"), 0, how));
        told.iter().map(|sending| (sending.occasion, sending.reason)).collect::<Vec<_>>()
    };
    let failure = || Outcome::Failed(Failure::default());
    assert_eq!(
        told((failure(), Settle::GiveUp(Reason::RetriesExhausted))),
        [(Occasion::DeadLetter, "RetriesExhausted"), (Occasion::Failure, "RetriesExhausted")]
    );
    assert_eq!(told((failure(), Settle::RetryAt(Timestamp::from_millis(1)))), []);
    assert_eq!(told((Outcome::Done(Reply::default()), Settle::Delivered)), [(Occasion::Success, "Success")]);
}

fn event_for(to: impl Fn(&str) -> Arn, occasion: Occasion) -> Option<(Event, Wire)> {
    let how = match occasion {
        Occasion::Success => (Outcome::Done(Reply::default()), Settle::Delivered),
        _ => (failed(&json!({"errorMessage": "no"})), Settle::GiveUp(Reason::RetriesExhausted)),
    };
    let settlement = ended(wire(function(), to), ("r1", r#"{"a": 1}"#), 2, how);
    sendings(&settlement).iter().find(|sending| sending.occasion == occasion).and_then(Sending::event)
}

#[test]
fn a_queue_needs_no_event() {
    assert!(event_for(queue, Occasion::Failure).is_none());
}

#[test]
fn a_topic_is_sent_the_record_as_a_message() {
    let topic = |name: &str| Arn::topic(&Place::default(), name);
    let (event, wire) = event_for(topic, Occasion::Failure).expect("an event");
    assert_eq!((event.name.as_str(), event.subject.as_str()), (event::ON_FAILURE, "r1"));
    assert_eq!((&event.source, event.cause.as_deref()), (&function(), Some("e7.3")));
    assert_eq!((wire.id.as_str(), &wire.target), ("resource-1/on_failure", &topic("failed")));
    let publish = Publish::of(&event).expect("a message");
    assert_eq!(parsed(&publish.message)["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(publish.attributes, []);
    let (event, wire) = event_for(topic, Occasion::DeadLetter).expect("an event");
    assert_eq!((event.name.as_str(), wire.id.as_str()), (event::DEAD_LETTER, "resource-1/dlq"));
    let publish = Publish::of(&event).expect("a message");
    assert_eq!(publish.message, r#"{"a": 1}"#);
    let names: Vec<&str> = publish.attributes.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["RequestID", "ErrorCode", "ErrorMessage"]);
}

#[test]
fn a_function_is_invoked_with_the_record() {
    let other = |name: &str| Arn::function(&Place::default(), name);
    let (event, wire) = event_for(other, Occasion::Success).expect("an event");
    assert_eq!((wire.id.as_str(), &event.source), ("done/async", &other("done")));
    assert_eq!((event.name.as_str(), event.cause.as_deref()), (event::INVOKE, Some("e7.3")));
    assert_eq!(parsed(event.record.text())["requestContext"]["condition"], "Success");
    let (again, _) = event_for(other, Occasion::Success).expect("an event");
    assert_eq!((event.id, event.subject), (again.id, again.subject), "the same end is the same event");
}

#[test]
fn a_bucket_is_sent_an_object_named_by_function_and_time() {
    let (event, wire) = event_for(|_| Arn::bucket("records"), Occasion::Failure).expect("an event");
    let PutObject { key, body } = PutObject::of(&event).expect("an object");
    let (place, id) = key.split_at(key.len() - 36);
    assert_eq!(place, "aws/lambda/async/resource-1/1970/01/01/1970-01-01T00.00.00-");
    assert_eq!(id.matches('-').count(), 4);
    assert_eq!(parsed(&body)["requestContext"]["requestId"], "r1");
    assert_eq!(wire.target, Arn::bucket("records"));
}

/// The event that a recorded one came from, and ours of the same record.
fn check_bus_event(recorded: &str, occasion: Occasion) {
    let recorded = parsed(recorded);
    let bus = Arn::parse(recorded["resources"][0].as_str().expect("an ARN")).expect("an ARN");
    let at = Timestamp::parse(recorded["time"].as_str().expect("a time")).expect("a time");
    let mut ours = bus_event(occasion, &recorded["detail"].to_string(), (&bus, at));
    assert_eq!(ours["id"].as_str().map(str::len), Some(36));
    ours["id"] = recorded["id"].clone();
    assert_eq!(ours.to_string(), recorded.to_string());
}

#[test]
fn a_bus_gets_the_event_that_was_recorded() {
    check_bus_event(include_str!("../golden/eventbridge_success.json"), Occasion::Success);
    check_bus_event(include_str!("../golden/eventbridge_failure.json"), Occasion::Failure);
}

// ── streams ─────────────────────────────────────────────────────────────────────────────────────────────

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
    shape(&parsed(text), "", &mut found);
    found
}

fn batch_ended(record: &str, to: Arn, how: (Outcome, Reason)) -> Settlement {
    let mut parcel = parcel_of(1);
    let policy = DeliveryPolicy::Stream(StreamPolicy::default());
    parcel.wire = Arc::new(Wire { policy, on_failure: Some(to), ..(*parcel.wire).clone() });
    let mut event = (*parcel.deliveries[0].event).clone();
    event.record = Record::element(record.into());
    parcel.deliveries[0].event = Arc::new(event);
    let verdicts = vec![(parcel.deliveries[0].id, Settle::GiveUp(how.1))];
    Settlement { parcel, outcome: how.0, verdicts, at: Timestamp::from_millis(0), keeps_place: true }
}

const RECORD: &str = r#"{"dynamodb":{"SequenceNumber":"1"},"eventSourceARN":"arn:stream"}"#;

#[test]
fn a_given_up_batch_is_described_as_recorded() {
    let check = |outcome: Outcome, recorded: &str| {
        let settlement = batch_ended(RECORD, queue("q"), (outcome, Reason::RetriesExhausted));
        assert_eq!(shape_of(&body_of(&settlement, Occasion::Failure)), shape_of(recorded));
    };
    check(Outcome::Failed(Failure::default()), include_str!("../golden/dynamodb_sqs.json"));
    check(Outcome::Done(Reply::default()), include_str!("../golden/dynamodb_partial_batch_failure.json"));
    // Recorded of another kind of stream: nothing is said of a response, and one invocation is counted.
    let aged = (Outcome::Unavailable("too old".into()), Reason::EventAgeExceeded);
    let record = parsed(&body_of(&batch_ended(RECORD, queue("q"), aged), Occasion::Failure));
    assert!(record.get("responseContext").is_none());
    assert_eq!(record["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 1);
}

#[test]
fn a_bucket_gets_the_records_of_a_batch_as_well() {
    let recorded = parsed(include_str!("../golden/dynamodb_s3_with_payload.json"));
    let lost = recorded["payload"]["Records"][0].to_string();
    let end = (Outcome::Failed(Failure::default()), Reason::RetriesExhausted);
    let settlement = batch_ended(&lost, Arn::bucket("records"), end);
    let ours = parsed(&body_of(&settlement, Occasion::Failure));
    let names = |value: &Value| value.as_object().map(|m| m.keys().cloned().collect::<Vec<_>>());
    assert_eq!(names(&ours), names(&recorded));
    assert_eq!(ours["payload"].to_string(), recorded["payload"].to_string());
    let (event, wire) = sendings(&settlement)[0].event().expect("an event");
    let mapping = settlement.parcel.wire.mapping_id();
    let key = PutObject::of(&event).expect("an object").key;
    let start =
        format!("aws/lambda/{mapping}/shardId-00000000000000000000-00000000/1970/01/01/1970-01-01T00.00.00-");
    assert!(key.starts_with(&start), "{key}");
    assert_eq!(wire.id, "f/on/on_failure");
}
