//! Publishing, retrying, giving up, redriving: what becomes of an event whatever its function does.

use dropwire::timeline::Moment;
use serde_json::json;

use crate::simulator::Project;

#[tokio::test]
async fn a_published_message_runs_a_function() {
    let project = Project::new(
        r#"
        [function.hello]
        builtin = "echo"
        on = "topic:news"
        "#,
    );
    let mut simulator = project.start().await;
    let fire = json!({"kind": "topic", "topic": "news", "body": "hi", "subject": null, "attributes": []});
    let (status, fired) = simulator.post("fire", fire).await;
    assert_eq!(status, 200, "{fired}");
    assert_eq!(simulator.until_ended("hello", 1).await, (true, None));
    let event = simulator.get("events/e1").await;
    let attempt = &event["deliveries"][0]["attempts"][0];
    let payload: serde_json::Value =
        serde_json::from_str(attempt["result"].as_str().expect("a result")).expect("JSON");
    assert_eq!(payload["Records"][0]["Sns"]["MessageId"], fired["message_id"]);
    assert_eq!(payload["Records"][0]["Sns"]["Message"], "hi");
    simulator.stop().await;
}

#[tokio::test]
async fn a_message_that_keeps_failing_ends_in_the_dead_letters_and_can_be_sent_again() {
    let project = Project::new(
        r#"
        [sim]
        clock = "2026-01-05T09:00:00Z"
        [function.notify]
        builtin = "flaky"
        args = { fail_first = 4, error = "Timeout" }
        [function.notify.wire.paid]
        topic = "orders"
        dlq = "notify-dead"
        [queue.notify-dead]
        "#,
    );
    let mut simulator = project.start().await;
    let fire = json!({"kind": "topic", "topic": "orders", "body": "{}", "subject": null, "attributes": []});
    simulator.post("fire", fire).await;
    simulator.until_ended("notify", 1).await;
    let (_, clock) = simulator.post("clock", json!({"do": "advance", "millis": 10_000})).await;
    // Four tries in all: the retries fall due one, three and seven seconds after the first.
    assert_eq!(
        clock["passed"],
        json!(["2026-01-05T09:00:01.000Z", "2026-01-05T09:00:03.000Z", "2026-01-05T09:00:07.000Z"])
    );
    let gave_up = simulator.until("the end", |moment| match moment {
        Moment::Ended { gave_up: Some(gave_up), attempt: 4, .. } => Some(gave_up.clone()),
        _ => None,
    });
    assert_eq!(gave_up.await, "RetriesExhausted: dead letters notify-dead");
    let dead = simulator.get("dead").await;
    assert_eq!(dead[0]["body"]["Records"][0]["Sns"]["Message"], "{}");
    let event = simulator.get("events/e1").await;
    let attempts = event["deliveries"][0]["attempts"].as_array().expect("attempts").clone();
    assert_eq!(attempts.len(), 4);
    assert!(
        attempts.iter().all(|attempt| attempt["request_id"] == attempts[0]["request_id"]),
        "{attempts:?}"
    );
    let (_, redriven) = simulator.post("dead/redrive", json!({"queue": "notify-dead", "ids": []})).await;
    assert_eq!(redriven["letters"], 1);
    simulator.until_ended("notify", 1).await;
    assert_eq!(simulator.get("dead").await, json!([]));
    simulator.stop().await;
}

#[tokio::test]
async fn what_was_not_delivered_when_dropwire_ended_is_delivered_at_the_next_start() {
    let wiring = r#"
        [sim]
        clock = "2026-01-05T09:00:00Z"
        [function.slow]
        builtin = "sleep"
        args = { for = "15m" }
        concurrency = 1
        on = "topic:news"
        "#;
    let project = Project::new(wiring);
    let simulator = project.start().await;
    for body in ["a", "b", "c"] {
        let fire = json!({"kind": "topic", "topic": "news", "body": body, "subject": null, "attributes": []});
        simulator.post("fire", fire).await;
    }
    let before = simulator.get("events/e1").await;
    simulator.stop().await;
    project.write(
        "dropwire.toml",
        &wiring.replace("\"sleep\"", "\"echo\"").replace("args = { for = \"15m\" }", ""),
    );
    let simulator = project.start().await;
    simulator.app.quiet().await;
    for number in ["e1", "e2", "e3"] {
        let event = simulator.get(&format!("events/{number}")).await;
        assert_eq!(event["deliveries"][0]["state"], "done", "{event}");
        assert_eq!(event["deliveries"][0]["attempts"].as_array().map(Vec::len), Some(1));
    }
    assert_eq!(simulator.get("events/e1").await["record"], before["record"]);
    simulator.stop().await;
}

#[tokio::test]
async fn many_more_events_than_fit_in_memory_are_each_delivered_once() {
    let project =
        Project::new("[function.hello]\nbuiltin = \"sink\"\nconcurrency = 4\non = \"topic:news\"\n");
    let simulator = project.start().await;
    let topic = simulator.app.topic("news").expect("the topic");
    let mut publishers = tokio::task::JoinSet::new();
    for publisher in 0..32 {
        let topic = topic.clone();
        publishers.spawn(async move {
            for i in 0..100 {
                let message =
                    dropwire::source::sns::Message { body: format!("{publisher}/{i}"), ..Default::default() };
                topic.publish(&message).await.expect("published");
            }
        });
    }
    publishers.join_all().await;
    simulator.app.quiet().await;
    let pool = simulator.app.queue().store().read();
    let attempts: (i64, i64, i64) =
        sqlx::query_as("SELECT count(*), count(DISTINCT first), (SELECT count(*) FROM delivery WHERE state = 2) FROM attempt")
            .fetch_one(pool)
            .await
            .expect("counts");
    assert_eq!(attempts, (3200, 3200, 3200));
    simulator.stop().await;
}
