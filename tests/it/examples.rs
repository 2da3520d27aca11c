//! Each example starts and does what its story says.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::program::{has, sh};
use crate::simulator::{Project, Simulator};

/// A copy of an example, with nothing in it that a run left behind.
fn copy_of(example: &str) -> Project {
    let project = Project::new("");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
    for name in ["dropwire.toml", "functions"] {
        let status =
            Command::new("cp").arg("-R").arg(from.join(name)).arg(project.root()).status().expect("cp");
        assert!(status.success(), "{name} of {example}");
    }
    project
}

/// The first attempt of this function's that was well.
async fn until_well(simulator: &Simulator, function: &str) -> (Value, String) {
    simulator
        .until_so(&format!("a good attempt of {function}"), async || {
            let attempts = simulator.attempts(function).await;
            match attempts.iter().find(|attempt| attempt.error.is_none()) {
                Some(attempt) => {
                    Ok((serde_json::from_str(&attempt.result).expect("JSON"), attempt.log.clone()))
                }
                None => Err(format!("{attempts:#?}")),
            }
        })
        .await
}

#[tokio::test]
async fn hello_greets_a_dropped_file_and_says_goodbye_to_a_removed_one() {
    let project = copy_of("hello");
    let simulator = project.start().await;
    project.write("buckets/inbox/cat.txt", "meow");
    let (answer, log) = until_well(&simulator, "hello").await;
    assert_eq!(answer, serde_json::json!({"hello": "cat.txt", "bytes": 4}));
    assert!(log.contains("cat.txt has arrived"), "{log}");
    std::fs::remove_file(project.path("buckets/inbox/cat.txt")).expect("removed");
    let (answer, _) = until_well(&simulator, "goodbye").await;
    assert_eq!(answer["Records"][0]["eventName"], "ObjectRemoved:Delete");
    simulator.stop().await;
}

#[tokio::test]
async fn orders_audits_rows_and_announces_paid_orders() {
    if !has("node") || !has("sqlite3") {
        return;
    }
    let project = copy_of("orders");
    let simulator = project.start().await;
    let sql = |statement: &str| {
        let status =
            Command::new("sqlite3").arg(project.path("shop.db")).arg(statement).status().expect("sqlite3");
        assert!(status.success(), "{statement}");
    };
    sql("insert into orders values ('o-1', '{\"status\":\"new\"}')");
    let (answer, log) = until_well(&simulator, "audit").await;
    assert_eq!(answer["audited"], 1);
    assert!(log.contains("INSERT o-1: – → new"), "{log}");
    let paid = |body: &str| {
        serde_json::json!({"kind": "topic", "topic": "order-events", "body": body, "subject": null,
                           "attributes": [["status", "String", "paid"]]})
    };
    simulator.post("fire", paid("{\"orderId\":\"o-1\",\"customer\":\"c-1\"}")).await;
    let (answer, _) = until_well(&simulator, "notify").await;
    assert_eq!(answer["told"], "c-1");
    // What is not paid is announced to nobody.
    simulator.publish("order-events", "{}").await;
    simulator.app.quiet().await;
    assert_eq!(simulator.attempts("notify").await.len(), 1);
    simulator.stop().await;
}

#[tokio::test]
async fn orders_keeps_what_it_cannot_announce() {
    if !has("node") {
        return;
    }
    let project = copy_of("orders");
    let wiring = std::fs::read_to_string(project.path("dropwire.toml")).expect("the wiring");
    project.write("dropwire.toml", &format!("{wiring}\n[sim]\nclock = \"2026-01-05T09:00:00Z\"\n"));
    let mut simulator = project.start().await;
    let fire = serde_json::json!({"kind": "topic", "topic": "order-events", "body": "{\"orderId\":\"o-2\"}",
                                  "subject": null, "attributes": [["status", "String", "paid"]]});
    simulator.post("fire", fire).await;
    simulator.until_ended("notify", 1).await;
    simulator.post("clock", serde_json::json!({"do": "advance", "millis": 10_000})).await;
    let dead = simulator.get("dead?queue=notify-dead").await;
    assert_eq!(dead.as_array().map(Vec::len), Some(1), "{dead:#}");
    assert!(
        dead[0]["error"].as_str().is_some_and(|error| error.contains("order o-2 has no customer")),
        "{dead:#}"
    );
    assert_eq!(simulator.attempts("notify").await.len(), 4);
    simulator.stop().await;
}

#[tokio::test]
async fn thumbnails_makes_a_picture_small_and_hears_of_its_own() {
    if !has("python3") {
        return;
    }
    let project = copy_of("thumbnails");
    let simulator = project.start().await;
    sh(
        project.root(),
        "mkdir -p buckets/uploads/incoming; printf 'P6 8 8 255\\n%0192d' 0 > buckets/uploads/incoming/grey.ppm",
    );
    let (answer, log) = until_well(&simulator, "thumbnail").await;
    assert_eq!(answer["thumbnail"], "grey.ppm");
    assert!(log.contains("resized incoming/grey.ppm from 8x8"), "{log}");
    let (answer, _) = until_well(&simulator, "gallery").await;
    assert_eq!(answer["pictures"], 1);
    let small = std::fs::read(project.path("buckets/thumbs/grey.ppm")).expect("the thumbnail");
    assert_eq!(small, b"P6 2 2 255\n000000000000");
    simulator.stop().await;
}

#[test]
fn every_example_has_its_story_and_its_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("examples")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .map(|path| {
            assert!(path.join("README.md").exists(), "{} has no story", path.display());
            path.file_name().expect("a name").to_string_lossy().into_owned()
        })
        .collect();
    names.sort();
    assert_eq!(names, ["hello", "orders", "thumbnails"], "a new example needs a test in this file");
}
