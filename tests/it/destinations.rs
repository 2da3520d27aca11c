//! What is told of the end of asynchronous invocations: to topics, functions, buckets and queues, over restarts.

use dropwire::arn::{Arn, Place};
use dropwire::event::Event;
use serde_json::{Value, json};

use crate::program::{Up, until};
use crate::simulator::{Project, Simulator};

/// Invokes a function as a caller would who does not wait.
async fn invoke(simulator: &Simulator, function: &str, request_id: &str, payload: &str) {
    let arn = Arn::function(&Place::default(), function);
    let now = simulator.app.clock().now();
    let event = Event::invocation(arn, request_id, payload.into(), now);
    simulator.app.queue().emit(vec![event], Vec::new()).await.expect("emitted");
}

async fn advance(simulator: &Simulator, seconds: u64) -> Value {
    let (status, clock) = simulator.post("clock", json!({"do": "advance", "millis": seconds * 1000})).await;
    assert_eq!(status, 200, "{clock}");
    clock["passed"].clone()
}

/// The one message that a function was told of.
fn message(taken: &Value) -> Value {
    let text = taken["Records"][0]["Sns"]["Message"].as_str().expect("a message");
    serde_json::from_str(text).expect("a record")
}

const FAILS: &str = r#"
    [sim]
    clock = "2026-01-05T09:00:00Z"
    [function.broken]
    builtin = "fail"
    args = { error = "Refused" }
    on_failure = "topic:alarms"
    [function.alarm]
    builtin = "echo"
    on = "topic:alarms"
    [topic.alarms]
    "#;

#[tokio::test]
async fn a_failure_is_told_to_a_topic_once_over_every_restart() {
    let project = Project::new(FAILS);
    let simulator = project.start().await;
    invoke(&simulator, "broken", "6a5b7c2e-0000-4000-8000-000000000001", r#"{"order": 7}"#).await;
    simulator.app.quiet().await;
    simulator.stop().await;
    let simulator = project.start().await;
    assert_eq!(advance(&simulator, 60).await, json!(["2026-01-05T09:01:00.000Z"]));
    simulator.stop().await;
    let simulator = project.start().await;
    // The clock of this wiring begins anew with every start.
    assert_eq!(advance(&simulator, 179).await, json!([]));
    assert_eq!(advance(&simulator, 1).await, json!(["2026-01-05T09:03:00.000Z"]));
    let taken = simulator.taken("alarm").await;
    assert_eq!(taken.len(), 1, "{taken:?}");
    let record = message(&taken[0]);
    let context = &record["requestContext"];
    assert_eq!(context["requestId"], "6a5b7c2e-0000-4000-8000-000000000001");
    assert_eq!(context["functionArn"], "arn:aws:lambda:us-east-1:000000000000:function:broken:$LATEST");
    assert_eq!(
        (&context["condition"], &context["approximateInvokeCount"]),
        (&json!("RetriesExhausted"), &json!(3))
    );
    assert_eq!(
        (&record["timestamp"], &record["requestPayload"]),
        (&json!("2026-01-05T09:03:00.000Z"), &json!({"order": 7}))
    );
    let attempts = simulator.attempts("broken").await;
    let ids: Vec<&str> = attempts.iter().map(|attempt| attempt.request_id.as_str()).collect();
    assert_eq!(ids, ["6a5b7c2e-0000-4000-8000-000000000001"; 3]);
    simulator.stop().await;
}

#[tokio::test]
async fn people_see_what_a_failure_led_to() {
    let project = Project::new(FAILS);
    let simulator = project.start().await;
    invoke(&simulator, "broken", "r1", "{}").await;
    advance(&simulator, 180).await;
    let why = simulator.get("why/e1").await;
    assert_eq!(why["wires"].as_array().map(Vec::len), Some(1), "{why}");
    assert_eq!(why["wires"][0]["wire"], "broken/async");
    let (invoked, sent, published) = (
        simulator.get("events/e1").await,
        simulator.get("events/e2").await,
        simulator.get("events/e3").await,
    );
    assert_eq!(
        (&invoked["source"], &invoked["name"], &invoked["event"]),
        (&json!("function"), &json!("broken"), &json!("Invoke"))
    );
    assert_eq!(
        (&invoked["subject"], &invoked["deliveries"][0]["reason"]),
        (&json!("r1"), &json!("RetriesExhausted"))
    );
    assert_eq!(
        (&sent["event"], &sent["cause"], &sent["subject"]),
        (&json!("OnFailure"), &json!("e1.3"), &json!("r1"))
    );
    assert_eq!(sent["deliveries"][0]["function"], "topic alarms");
    assert_eq!((&published["source"], &published["cause"]), (&json!("topic"), &json!("e2.1")));
    let why = simulator.get("why/e2").await;
    assert_eq!(why["wires"][0]["wire"], "broken/on_failure");
    assert_eq!(why["wires"][0]["delivery"], "done at try 1", "{why}");
    // The same failure told again is another message.
    let (_, replayed) = simulator.post("replay", json!({"id": "e2", "to": null})).await;
    assert_eq!(replayed["events"], json!(["e4"]));
    simulator.app.quiet().await;
    assert_eq!(simulator.taken("alarm").await.len(), 2);
    // And the same payload again is another request.
    let (_, replayed) = simulator.post("replay", json!({"id": "e1", "to": null})).await;
    let again = simulator.get(&format!("events/{}", replayed["events"][0].as_str().expect("an id"))).await;
    assert_ne!(again["subject"], "r1");
    assert_eq!((&again["record"], &again["cause"]), (&json!({}), &json!("replay of e1")));
    simulator.stop().await;
}

#[tokio::test]
async fn success_and_failure_go_to_functions_buckets_and_queues() {
    let project = Project::new(
        r#"
        [sim]
        clock = "2026-01-05T09:00:00Z"
        [function.works]
        builtin = "echo"
        on_success = "function:next"
        [function.next]
        builtin = "echo"
        on_success = "queue:done"
        [function.broken]
        builtin = "fail"
        args = { error = "Refused" }
        retries = 0
        dlq = "dead"
        on_failure = "s3:records"
        [queue.dead]
        [queue.done]
        [bucket.records]
        folder = "records"
        "#,
    );
    std::fs::create_dir_all(project.path("records")).expect("a folder");
    let simulator = project.start().await;
    invoke(&simulator, "works", "r1", r#"{"a":1}"#).await;
    invoke(&simulator, "broken", "r2", r#"{"raise_error": 1}"#).await;
    simulator.app.quiet().await;
    let taken = simulator.taken("next").await;
    assert_eq!(
        (&taken[0]["requestContext"]["condition"], &taken[0]["responsePayload"]),
        (&json!("Success"), &json!({"a": 1}))
    );
    let letters = simulator.get("dead").await;
    let by_queue = |queue: &str| {
        let letters = letters.as_array().expect("letters");
        letters.iter().find(|letter| letter["queue"] == queue).cloned().unwrap_or_default()
    };
    let dead = by_queue("dead");
    assert_eq!((&dead["body"], &dead["reason"]), (&json!({"raise_error": 1}), &json!("RetriesExhausted")));
    assert_eq!(dead["attributes"]["RequestID"], json!({"DataType": "String", "StringValue": "r2"}));
    assert_eq!(dead["attributes"]["ErrorCode"], json!({"DataType": "Number", "StringValue": "200"}));
    let done = by_queue("done");
    assert_eq!(
        (&done["reason"], &done["body"]["requestContext"]["condition"]),
        (&json!("Success"), &json!("Success"))
    );
    let day = project.path("records/aws/lambda/async/broken/2026/01/05");
    let object = std::fs::read_dir(day).expect("the day").next().expect("an object").expect("an object");
    assert!(object.file_name().to_string_lossy().starts_with("2026-01-05T09.00.00-"), "{object:?}");
    let record: Value =
        serde_json::from_slice(&std::fs::read(object.path()).expect("bytes")).expect("a record");
    assert_eq!(record["requestContext"]["requestId"], "r2");
    // A success is nothing that could be delivered again.
    let (status, refused) = simulator.post("dead/redrive", json!({"queue": null, "ids": [done["id"]]})).await;
    assert_eq!(status, 400, "{refused}");
    simulator.stop().await;
}

#[tokio::test]
async fn a_stream_that_gives_up_tells_a_topic_and_leaves_the_records_in_a_bucket() {
    let project = Project::new(
        r#"
        [sim]
        clock = "2026-01-05T09:00:00Z"
        [table.orders]
        key = "id:S"
        [function.broken]
        builtin = "fail"
        args = { error = "Refused" }
        [function.broken.wire.told]
        table = "orders"
        retries = 0
        on_failure = "topic:alarms"
        [function.other]
        builtin = "fail"
        args = { error = "Refused" }
        [function.other.wire.kept]
        table = "orders"
        retries = 0
        on_failure = "s3:records"
        [function.alarm]
        builtin = "echo"
        on = "topic:alarms"
        "#,
    );
    let simulator = project.start().await;
    let fire = json!({"kind": "table", "table": "orders", "put": {"id": "o-1"}, "delete": null});
    let (status, fired) = simulator.post("fire", fire).await;
    assert_eq!(status, 200, "{fired}");
    let taken = simulator.until_taken("alarm", 1).await;
    let record = message(&taken[0]);
    assert_eq!(record["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert!(record["DDBStreamBatchInfo"]["batchSize"] == 1 && record.get("payload").is_none(), "{record}");
    simulator.app.quiet().await;
    let folder = project.path("buckets/records/aws/lambda");
    let mapping = std::fs::read_dir(&folder).expect("a folder").next().expect("one").expect("one").path();
    let day = mapping.join("shardId-00000000000000000000-00000000/2026/01/05");
    let object = std::fs::read_dir(&day).expect("the day").next().expect("an object").expect("an object");
    let kept: Value =
        serde_json::from_slice(&std::fs::read(object.path()).expect("bytes")).expect("a record");
    assert_eq!(kept["payload"]["Records"][0]["dynamodb"]["Keys"], json!({"id": {"S": "o-1"}}));
    simulator.stop().await;
}

/// Functions that are each other's destination keep invoking each other, as on AWS. Here each round takes the time
/// of the retries, so a clock that stands ends it.
#[tokio::test]
async fn functions_that_name_each_other_go_on_for_ever() {
    let project = Project::new(
        r#"
        [sim]
        clock = "2026-01-05T09:00:00Z"
        [function.ping]
        builtin = "fail"
        args = { error = "Refused" }
        on_failure = "function:pong"
        [function.pong]
        builtin = "fail"
        args = { error = "Refused" }
        retries = 1
        on_failure = "function:ping"
        "#,
    );
    let simulator = project.start().await;
    invoke(&simulator, "ping", "r1", "{}").await;
    advance(&simulator, 180).await;
    let tries = async |function: &str| simulator.attempts(function).await.len();
    assert_eq!((tries("ping").await, tries("pong").await), (3, 1));
    advance(&simulator, 60).await;
    assert_eq!((tries("ping").await, tries("pong").await), (4, 2));
    advance(&simulator, 240).await;
    assert_eq!((tries("ping").await, tries("pong").await), (7, 4));
    let event = simulator.get("events/e2").await;
    assert_eq!((&event["name"], &event["cause"]), (&json!("pong"), &json!("e1.3")));
    simulator.stop().await;
}

#[tokio::test]
async fn an_event_that_waited_too_long_is_given_up_untried_and_a_letter_gets_one_try() {
    let project = Project::new(
        r#"
        [sim]
        clock = "2026-01-05T09:00:00Z"
        [function.slow]
        builtin = "flaky"
        args = { fail_first = 1 }
        concurrency = 1
        age = "60s"
        dlq = "dead"
        on_failure = "failed"
        [queue.dead]
        [queue.failed]
        "#,
    );
    let simulator = project.start().await;
    let slow = Arn::function(&Place::default(), "slow");
    let event = Event::invocation(slow, "r1", "{}".into(), simulator.app.clock().now());
    let old = Event { occurred_at: dropwire::clock::Timestamp::from_millis(0), ..event };
    simulator.app.queue().emit(vec![old], Vec::new()).await.expect("emitted");
    simulator.app.quiet().await;
    let failed = simulator.get("dead?queue=failed").await;
    let context = &failed[0]["body"]["requestContext"];
    assert_eq!(
        (&context["condition"], &context["approximateInvokeCount"]),
        (&json!("EventAgeExceeded"), &json!(0))
    );
    assert!(failed[0]["body"].get("responseContext").is_none(), "{failed}");
    let dead = simulator.get("dead?queue=dead").await;
    assert!(dead[0]["error"].as_str().expect("an error").starts_with("not tried: it waited since"), "{dead}");
    // Sent again it is tried once; that fails, and its age is over.
    simulator.post("dead/redrive", json!({"queue": "dead", "ids": []})).await;
    simulator.app.quiet().await;
    let failed = simulator.get("dead?queue=failed").await;
    let context = &failed[1]["body"]["requestContext"];
    assert_eq!(
        (&context["condition"], &context["approximateInvokeCount"]),
        (&json!("EventAgeExceeded"), &json!(1))
    );
    assert_eq!(failed[1]["body"]["responseContext"]["functionError"], "Unhandled");
    simulator.stop().await;
}

#[tokio::test]
async fn letters_are_read_in_pages() {
    let project = Project::new(
        r#"
        [sim]
        clock = "2026-01-05T09:00:00Z"
        [function.broken]
        builtin = "fail"
        args = { error = "Refused" }
        retries = 0
        dlq = "dead"
        [queue.dead]
        "#,
    );
    let simulator = project.start().await;
    for number in 0..7 {
        invoke(&simulator, "broken", &format!("r{number}"), "{}").await;
    }
    simulator.app.quiet().await;
    let page = async |query: &str| {
        let letters = simulator.get(&format!("dead?{query}")).await;
        letters
            .as_array()
            .expect("letters")
            .iter()
            .filter_map(|letter| letter["id"].as_i64())
            .collect::<Vec<_>>()
    };
    assert_eq!(page("limit=3").await, [1, 2, 3]);
    assert_eq!(page("limit=3&after=3&queue=dead").await, [4, 5, 6]);
    assert_eq!(page("after=6").await, [7]);
    assert_eq!(page("id=5").await, [5]);
    let (_, dropped) = simulator.post("dead/drop", json!({"queue": "dead", "ids": []})).await;
    assert_eq!(dropped["letters"], 7);
    simulator.stop().await;
}

/// A function's tries, over everything that kills dropwire.
fn tries(up: &Up, function: &str) -> usize {
    up.ask(&["logs", function]).as_array().map_or(0, Vec::len)
}

#[test]
fn being_killed_between_tries_neither_loses_nor_doubles_what_is_told() {
    let project = Project::new(&FAILS.replace("on_failure", "on = \"topic:orders\"\n    on_failure"));
    let up = Up::start(project.root());
    up.ask(&["fire", "topic", "orders", "hi"]);
    until("the first try", || (tries(&up, "broken") == 1).then_some(()));
    up.kill();
    let up = Up::start(project.root());
    up.ask(&["clock", "advance", "3s"]);
    assert_eq!((tries(&up, "broken"), tries(&up, "alarm")), (3, 0));
    up.kill();
    let up = Up::start(project.root());
    up.ask(&["clock", "advance", "10s"]);
    assert_eq!((tries(&up, "broken"), tries(&up, "alarm")), (4, 1));
    up.kill();
    let up = Up::start(project.root());
    up.ask(&["clock", "advance", "1h"]);
    assert_eq!((tries(&up, "broken"), tries(&up, "alarm")), (4, 1));
    up.down();
}
