//! Event source mappings become wires, go through their states, and stay when their function goes.

use super::*;
use crate::arn::Arn;
use crate::delivery::policy::DeliveryPolicy;

const MAPPINGS: &str = "/2015-03-31/event-source-mappings";
const STREAM: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2024-11-18T14:36:44.149";
const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";

fn neighbours() -> Neighbours {
    Neighbours {
        tables: [("t".to_owned(), STREAM.to_owned())].into(),
        queues: ["q".to_owned()].into(),
        ..Neighbours::default()
    }
}

async fn service() -> Service {
    let service = Service::new().await;
    service.lambda.surround(neighbours());
    service.create("f").await;
    service
}

fn mapping() -> Value {
    json!({"EventSourceArn": STREAM, "FunctionName": "f", "StartingPosition": "TRIM_HORIZON"})
}

#[tokio::test]
async fn a_mapping_becomes_a_wire() {
    let mut service = service().await;
    let made = service.ok(202, "POST", &format!("{MAPPINGS}/"), mapping()).await;
    let id = made["UUID"].as_str().expect("an id").to_owned();
    let expected = json!({
        "UUID": id,
        "EventSourceMappingArn": format!("arn:aws:lambda:us-east-1:000000000000:event-source-mapping:{id}"),
        "EventSourceArn": STREAM,
        "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 0,
        "ParallelizationFactor": 1,
        "StartingPosition": "TRIM_HORIZON",
        "MaximumRecordAgeInSeconds": -1,
        "MaximumRetryAttempts": -1,
        "BisectBatchOnFunctionError": false,
        "TumblingWindowInSeconds": 0,
        "DestinationConfig": {"OnFailure": {}},
        "FunctionResponseTypes": [],
        "LastModified": 1_764_025_865.0,
        "LastProcessingResult": "No records processed",
        "State": "Creating",
        "StateTransitionReason": "User action",
    });
    assert_eq!(made, expected);
    let path = format!("{MAPPINGS}/{id}");
    service.fails(400, "PUT", &path, json!({"BatchSize": 2})).await;
    service.apply();
    assert_eq!(service.ok(200, "GET", &path, Value::Null).await["State"], "Enabled");
    let asked = json!({
        "BatchSize": 2,
        "MaximumBatchingWindowInSeconds": 3,
        "MaximumRetryAttempts": 4,
        "MaximumRecordAgeInSeconds": 60,
        "BisectBatchOnFunctionError": true,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FilterCriteria": {"Filters": [{"Pattern": "{\"eventName\":[\"INSERT\"]}"}, {"Pattern": "{\"eventName\":[\"REMOVE\"]}"}]},
        "DestinationConfig": {"OnFailure": {"Destination": QUEUE}},
    });
    let updated = service.ok(202, "PUT", &path, asked).await;
    assert_eq!((&updated["State"], &updated["BatchSize"]), (&json!("Updating"), &json!(2)));
    service.again().await;
    service.lambda.surround(neighbours());
    let wires = service.lambda.mappings();
    let [wire] = wires.as_slice() else { panic!("one wire: {wires:?}") };
    assert_eq!(
        (wire.id.as_str(), wire.source.as_str()),
        (format!("esm/{id}").as_str(), "arn:aws:dynamodb:us-east-1:000000000000:table/t")
    );
    assert_eq!(wire.on_failure.as_ref().map(|arn| arn.as_str()), Some(QUEUE));
    let DeliveryPolicy::Stream(policy) = &wire.policy else { panic!("a stream") };
    assert_eq!((policy.batch, policy.retries, policy.bisect), (2, Some(4), true));
    assert_eq!((policy.window.as_secs(), policy.age_max.as_secs()), (3, 60));
    assert!(policy.from_horizon && policy.report_failures);
    assert!(matches!(&wire.filter, crate::wire::Filter::Record(patterns) if patterns.len() == 2));
}

#[tokio::test]
async fn a_mapping_is_disabled_enabled_and_deleted() {
    let service = service().await;
    let made = service.ok(202, "POST", MAPPINGS, with(mapping(), json!({"FunctionName": "f:$LATEST"}))).await;
    assert!(made["FunctionArn"].as_str().is_some_and(|arn| arn.ends_with(":f:$LATEST")));
    let id = made["UUID"].as_str().expect("an id");
    let path = format!("{MAPPINGS}/{id}");
    service.apply();
    let leads_to = || service.lambda.mappings()[0].target.clone();
    let function = Arn::function(&Place::default(), "f");
    assert_eq!(leads_to(), function);
    let state = async || service.ok(200, "GET", &path, Value::Null).await["State"].clone();
    assert_eq!(service.ok(202, "PUT", &path, json!({"Enabled": false})).await["State"], "Disabling");
    // Its records wait.
    assert_eq!((leads_to().unqualified(), leads_to().qualifier()), (function.clone(), Some("$DISABLED")));
    service.apply();
    assert_eq!(state().await, "Disabled");
    assert_eq!(service.ok(202, "PUT", &path, json!({"Enabled": true})).await["State"], "Enabling");
    service.apply();
    assert_eq!(leads_to(), function);
    service.ok(204, "DELETE", &format!("{FUNCTIONS}/f"), Value::Null).await;
    let shown = service.ok(200, "GET", &path, Value::Null).await;
    assert_eq!(shown["LastProcessingResult"], "PROBLEM: Function call failed");
    assert_eq!(service.ok(202, "DELETE", &path, Value::Null).await["State"], "Deleting");
    assert_eq!(state().await, "Deleting");
    assert!(service.lambda.mappings().is_empty());
    service.apply();
    assert_eq!(
        service.fails(404, "GET", &path, Value::Null).await,
        "The resource you requested does not exist."
    );
}

#[tokio::test]
async fn a_mapping_leads_to_the_version_that_it_names() {
    let service = service().await;
    service.ok(201, "POST", &format!("{FUNCTIONS}/f/versions"), json!({})).await;
    service.apply();
    let asked = json!({"FunctionName": "f:01", "MaximumRecordAgeInSeconds": 604_800});
    service.ok(202, "POST", MAPPINGS, with(mapping(), asked)).await;
    let wires = service.lambda.mappings();
    assert_eq!(wires[0].target, Arn::function(&Place::default(), "f").qualified("1"));
    let DeliveryPolicy::Stream(policy) = &wires[0].policy else { panic!("a stream") };
    assert_eq!(policy.age_max, crate::delivery::stream::RETENTION);
}

#[tokio::test]
async fn mappings_are_refused_in_the_words_of_the_service() {
    let service = service().await;
    let made = service.ok(202, "POST", MAPPINGS, mapping()).await;
    let check = async |more: Value, status: u16, words: &str| {
        let text = service.fails(status, "POST", MAPPINGS, with(mapping(), more)).await;
        assert!(text.contains(words), "{text}\n{words}");
    };
    let id = made["UUID"].as_str().expect("an id");
    check(
        json!({}),
        409,
        &format!(
            "The event source arn (\" {STREAM} \") and function (\" f \") provided mapping already exists. Please update or \
             delete the existing mapping with UUID {id}"
        ),
    )
    .await;
    check(json!({"StartingPosition": null}), 400, "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.").await;
    check(
        json!({"StartingPosition": "AT_TIMESTAMP"}),
        400,
        &format!("Unsupported starting position for arn type: {STREAM}"),
    )
    .await;
    check(json!({"EventSourceArn": "arn:aws:s3:::b"}), 400, "Unrecognized event source.").await;
    check(json!({"EventSourceArn": null}), 400, "Unrecognized event source.").await;
    check(json!({"EventSourceArn": format!("{STREAM}0")}), 400, &format!("Stream not found: {STREAM}0"))
        .await;
    check(json!({"FunctionName": "g"}), 400, "Function does not exist").await;
    check(json!({"BatchSize": 0}), 400, "Value '0' at 'batchSize'").await;
    check(json!({"ParallelizationFactor": 2}), 400, "ParallelizationFactor above 1").await;
    check(json!({"TumblingWindowInSeconds": 1}), 400, "no tumbling windows").await;
    check(
        json!({"FilterCriteria": {"Filters": [{"Pattern": "{\"a\":\"b\"}"}]}}),
        400,
        "Invalid filter pattern definition.",
    )
    .await;
    check(
        json!({"DestinationConfig": {"OnFailure": {"Destination": format!("{QUEUE}q")}}}),
        400,
        "is invalid.",
    )
    .await;
    check(
        json!({"EventSourceArn": QUEUE, "BatchSize": 11}),
        400,
        "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
    )
    .await;
    check(json!({"EventSourceArn": QUEUE}), 400, "dropwire does not have SQS queues as event sources yet")
        .await;
    check(
        json!({"EventSourceArn": "arn:aws:kinesis:us-east-1:000000000000:stream/s"}),
        400,
        "Kinesis streams",
    )
    .await;
}

#[tokio::test]
async fn mappings_are_listed_and_tagged() {
    let service = service().await;
    let made = service.ok(202, "POST", MAPPINGS, mapping()).await;
    let list = service.ok(200, "GET", &format!("{MAPPINGS}?FunctionName=f"), Value::Null).await;
    assert_eq!(list["EventSourceMappings"].as_array().map(Vec::len), Some(1));
    let none = service.ok(200, "GET", &format!("{MAPPINGS}?FunctionName=g"), Value::Null).await;
    assert_eq!(none, json!({"EventSourceMappings": []}));
    let tags = format!(
        "/2017-03-31/tags/{}",
        made["EventSourceMappingArn"].as_str().expect("an ARN").replace(':', "%3A")
    );
    service.ok(204, "POST", &tags, json!({"Tags": {"a": "1"}})).await;
    assert_eq!(service.ok(200, "GET", &tags, Value::Null).await, json!({"Tags": {"a": "1"}}));
    service.apply();
    let path = format!("{MAPPINGS}/{}", made["UUID"].as_str().expect("an id"));
    service.ok(202, "DELETE", &path, Value::Null).await;
    // Whoever tags it while it goes does not bring it back.
    service.fails(404, "POST", &tags, json!({"Tags": {"b": "2"}})).await;
    assert!(service.lambda.mappings().is_empty());
}
