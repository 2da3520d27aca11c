//! What is told of the end of a delivery: what a wire says, what a function says of all its wires, what AWS refuses.

use super::project;
use super::refusals::{check, check_function, check_wire};
use crate::arn::Arn;
use crate::config::{Config, resolve};
use crate::delivery::policy::DeliveryPolicy;
use crate::wire::Occasion;

const WIRING: &str = r#"
    [function.other]
    exec = "sh"
    [function.f]
    exec = "sh"
    on = "topic:news"
    retries = 1
    age = "1h"
    dlq = "dead"
    on_failure = "topic:alarms"
    on_success = "function:other"
    [function.f.wire.own]
    bucket = "abc"
    retries = 5
    on_failure = "s3:records"
    dlq = "queue:dead"
    on_success = "queue:done"
    [function.f.wire.stream]
    table = "orders"
    on_failure = "topic:alarms"
    [table.orders]
    key = "id:S"
    [queue.dead]
    [queue.done]
    [bucket.records]
    [bucket.abc]
    [topic.alarms]
    [topic.news]
    "#;

/// Retries, age in seconds, and where success, failure and the event itself go to.
fn check_wired(id: &str, policy: (Option<u32>, u64), to: [&str; 3]) {
    let config = Config::parse(project().path(), "t.toml", WIRING).expect("nothing is wrong with it");
    let wires = resolve::wires(&config);
    let wire = wires.iter().find(|wire| wire.id == id).expect("the wire");
    let (retries, age) = match &wire.policy {
        DeliveryPolicy::Async(policy) => (Some(policy.retries), policy.age_max),
        DeliveryPolicy::Stream(policy) => (policy.retries, policy.age_max),
    };
    let named = |to: &Arn| format!("{} {}", to.kind(), to.name());
    let told = Occasion::ALL.map(|occasion| wire.destination(occasion).map(named).unwrap_or_default());
    assert_eq!(((retries, age.as_secs()), told), (policy, to.map(str::to_owned)), "{id}");
}

#[test]
fn a_wire_is_heeded_before_its_function() {
    let of_function = ["function other", "topic alarms", "queue dead"];
    check_wired("f/async", (Some(1), 3600), of_function);
    check_wired("f/on", (Some(1), 3600), of_function);
    check_wired("f/own", (Some(5), 3600), ["queue done", "s3 records", "queue dead"]);
    check_wired("f/stream", (None, 86_400), ["", "topic alarms", ""]);
    check_wired("other/async", (Some(2), 21_600), ["", "", ""]);
}

#[test]
fn what_aws_would_not_take_as_a_destination_is_refused() {
    check_function("exec = \"sh\"\non_failure = \"bucket:abc\"", "W213", "\"bucket:abc\"");
    check_function("exec = \"sh\"\ndlq = \"s3:abc\"", "W213", "abc");
    check_function("exec = \"sh\"\ndlq = \"function:g\"", "W213", "g");
    check_function("exec = \"sh\"\non_success = \"s3:abc\"", "W213", "abc");
    check_function("exec = \"sh\"\non_failure = \"function:f\"", "W213", "f");
    check_wire("table = \"orders\"\non_failure = \"function:g\"", "W213", "g");
    check_wire("table = \"orders\"\non_success = \"topic:t\"", "W207", "on_success");
    check_wire("bucket = \"abc\"\non_success = \"bus:b\"", "W902", "\"bus:b\"");
}

#[test]
fn a_destination_that_is_not_there_is_refused() {
    check_function("exec = \"sh\"\ndlq = \"dead\"", "W206", "dead");
    check_function("exec = \"sh\"\non_success = \"function:g\"", "W202", "g");
    check_wire("topic = \"t\"\non_failure = \"function:g\"", "W202", "g");
    check("[function.f]\nexec = \"sh\"\ndlq = \"topic:alarm\"\n[topic.alarms]\n", "W201", "alarm");
    check_function("exec = \"sh\"\non_failure = \"topic:a b\"", "W105", "a b");
}

#[test]
fn what_lambda_limits_is_limited() {
    check_function("exec = \"sh\"\nretries = 3", "W102", "3");
    check_function("exec = \"sh\"\nage = \"7h\"", "W102", "\"7h\"");
    check_function("exec = \"sh\"\nage = \"59s\"", "W102", "\"59s\"");
    check_wire("topic = \"t\"\n[function.f.wire.async]\ntopic = \"u\"", "W105", "async");
}

#[test]
fn a_topic_or_bucket_that_is_only_a_destination_is_made() {
    let text = "[function.f]\nexec = \"sh\"\ndlq = \"topic:dead\"\non_failure = \"s3:records\"\n";
    let config = Config::parse(project().path(), "t.toml", text).expect("nothing is wrong with it");
    assert!(config.topics.contains_key("dead") && config.buckets.contains_key("records"));
    assert_eq!(config.remarks.len(), 2, "{:?}", config.remarks);
}
