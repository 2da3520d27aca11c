//! Rows that other programs change, and the functions that get their stream records.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::program::{has, run};
use crate::simulator::{Project, Simulator};

/// A table of ours and a function that hears of all its changes, at a time that stands still.
const ORDERS: &str = r#"
    [sim]
    clock = "2026-01-05T09:00:00Z"
    [table.orders]
    key = "orderId:S"
    sqlite = "shop.db"
    [function.audit]
    builtin = "echo"
    [function.audit.wire.all]
    table = "orders"
    batch = 100
    "#;

/// Runs statements with the `sqlite3` shell, as a person would; they must succeed.
fn sql(file: &Path, statements: &str) {
    let mut shell = Command::new("sqlite3");
    shell.arg("-bail").args(["-cmd", ".timeout 10000"]).arg(file).arg(statements);
    let output = shell.output().expect("sqlite3");
    assert!(output.status.success(), "{statements}: {}", String::from_utf8_lossy(&output.stderr));
}

/// `INSERT o-1`, with what has changed in it.
fn in_words(record: &Value) -> String {
    let change = &record["dynamodb"];
    let status = |image: &str| change[image]["status"]["S"].as_str().unwrap_or("-").to_owned();
    let key = change["Keys"]["orderId"]["S"].as_str().unwrap_or("?");
    let name = record["eventName"].as_str().unwrap_or("?");
    format!("{name} {key} {}>{}", status("OldImage"), status("NewImage"))
}

/// Every record this function has had, batch after batch, once there are so many.
async fn until_records(simulator: &Simulator, function: &str, count: usize) -> Vec<String> {
    simulator
        .until_so(&format!("{count} records"), async || {
            let batches = simulator.taken(function).await;
            let records =
                batches.iter().flat_map(|batch| batch["Records"].as_array().cloned().unwrap_or_default());
            let records: Vec<String> = records.map(|record| in_words(&record)).collect();
            if records.len() >= count { Ok(records) } else { Err(format!("{records:#?}")) }
        })
        .await
}

/// How many records came in each batch that was taken well.
async fn batches(simulator: &Simulator, function: &str) -> Vec<usize> {
    let taken = simulator.taken(function).await;
    taken.iter().filter_map(|batch| batch["Records"].as_array().map(Vec::len)).collect()
}

/// Runs each script in a shell of its own on an empty table of orders, and compares the records.
async fn check(scripts: &[&str], expected: &[&str]) {
    if !has("sqlite3") {
        return;
    }
    let project = Project::new(ORDERS);
    let simulator = project.start().await;
    let file = project.path("shop.db");
    for script in scripts {
        sql(&file, script);
    }
    sql(&file, "INSERT INTO orders VALUES ('the-end', '{}')");
    let mut records = until_records(&simulator, "audit", expected.len() + 1).await;
    assert_eq!(records.pop().as_deref(), Some("INSERT the-end ->-"), "{records:?}");
    assert_eq!(records, expected, "{scripts:?}");
    simulator.stop().await;
}

const NEW: &str = r#"INSERT INTO orders VALUES ('o-1', '{"status":"new"}')"#;
const PAY: &str = "UPDATE orders SET item = json_set(item, '$.status', 'paid') WHERE orderId = 'o-1'";

#[tokio::test]
async fn a_row_that_is_inserted_updated_and_deleted_is_three_records() {
    let scripts = [NEW, PAY, "DELETE FROM orders WHERE orderId = 'o-1'"];
    check(&scripts, &["INSERT o-1 ->new", "MODIFY o-1 new>paid", "REMOVE o-1 paid>-"]).await;
}

#[tokio::test]
async fn a_write_that_changes_nothing_is_no_record() {
    check(&[NEW, "UPDATE orders SET item = item", PAY, PAY], &["INSERT o-1 ->new", "MODIFY o-1 new>paid"])
        .await;
}

#[tokio::test]
async fn replacing_a_row_is_one_change_with_its_old_image() {
    let replace = r#"REPLACE INTO orders VALUES ('o-1', '{"status":"paid"}')"#;
    let upsert = r#"INSERT INTO orders VALUES ('o-1', '{"status":"sent"}')
                    ON CONFLICT DO UPDATE SET item = excluded.item"#;
    let expected = ["INSERT o-1 ->new", "MODIFY o-1 new>paid", "MODIFY o-1 paid>sent"];
    check(&[NEW, replace, upsert], &expected).await;
}

#[tokio::test]
async fn what_is_rolled_back_has_not_happened() {
    check(&[&format!("BEGIN; {NEW}; ROLLBACK"), NEW], &["INSERT o-1 ->new"]).await;
    let partly = format!("BEGIN; {NEW}; SAVEPOINT s; {PAY}; ROLLBACK TO s; COMMIT");
    check(&[&partly], &["INSERT o-1 ->new"]).await;
}

#[tokio::test]
async fn the_rows_of_a_transaction_come_in_the_order_of_its_statements() {
    let script = r#"BEGIN;
        INSERT INTO orders VALUES ('o-1', '{"status":"new"}'), ('o-2', '{"status":"new"}');
        UPDATE orders SET item = '{"status":"paid"}' WHERE orderId = 'o-2';
        DELETE FROM orders;
        INSERT INTO orders VALUES ('o-3', '{}');
        COMMIT"#;
    let expected = [
        "INSERT o-1 ->new",
        "INSERT o-2 ->new",
        "MODIFY o-2 new>paid",
        "REMOVE o-1 new>-",
        "REMOVE o-2 paid>-",
        "INSERT o-3 ->-",
    ];
    check(&[script], &expected).await;
}

#[tokio::test]
async fn a_batch_goes_when_it_is_full_or_when_its_window_is_over() {
    if !has("sqlite3") {
        return;
    }
    let wiring = ORDERS.replace("batch = 100", "batch = 3\n    window = \"10s\"");
    let project = Project::new(&wiring);
    let simulator = project.start().await;
    let file = project.path("shop.db");
    let insert = |from: usize, to: usize| {
        let rows: Vec<String> = (from..=to).map(|i| format!("('o-{i}', '{{}}')")).collect();
        sql(&file, &format!("INSERT INTO orders VALUES {}", rows.join(", ")));
    };
    insert(1, 4);
    assert_eq!(until_records(&simulator, "audit", 3).await.len(), 3, "the fourth waits for more");
    simulator.post("clock", json!({"do": "advance", "millis": 9_000})).await;
    assert_eq!(batches(&simulator, "audit").await, [3]);
    simulator.post("clock", json!({"do": "advance", "millis": 2_000})).await;
    until_records(&simulator, "audit", 4).await;
    assert_eq!(batches(&simulator, "audit").await, [3, 1]);
    insert(5, 7);
    until_records(&simulator, "audit", 7).await;
    assert_eq!(batches(&simulator, "audit").await, [3, 1, 3]);
    simulator.stop().await;
}

#[tokio::test]
async fn a_batch_that_fails_is_tried_until_it_succeeds_and_holds_up_what_follows() {
    if !has("sqlite3") {
        return;
    }
    let flaky = "builtin = \"flaky\"\n    args = { fail_first = 5 }";
    let project = Project::new(
        &ORDERS
            .replace("builtin = \"echo\"", flaky)
            .replace("batch = 100", "batch = 1")
            .replace("clock = \"2026-01-05T09:00:00Z\"", "clock = \"x10000\""),
    );
    let simulator = project.start().await;
    sql(&project.path("shop.db"), NEW);
    sql(&project.path("shop.db"), PAY);
    assert_eq!(until_records(&simulator, "audit", 2).await, ["INSERT o-1 ->new", "MODIFY o-1 new>paid"]);
    let attempts = simulator.attempts("audit").await;
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6]);
    simulator.stop().await;
}

#[tokio::test]
async fn rows_changed_while_dropwire_was_off_are_told_once_at_the_next_start() {
    if !has("sqlite3") {
        return;
    }
    let project = Project::new(ORDERS);
    let file = project.path("shop.db");
    let simulator = project.start().await;
    sql(&file, NEW);
    until_records(&simulator, "audit", 1).await;
    simulator.stop().await;
    sql(&file, PAY);
    for _ in 0..2 {
        let simulator = project.start().await;
        let records = until_records(&simulator, "audit", 2).await;
        simulator.app.quiet().await;
        assert_eq!(records, ["INSERT o-1 ->new", "MODIFY o-1 new>paid"]);
        simulator.stop().await;
    }
}

#[tokio::test]
async fn a_new_wire_starts_where_it_is_told_to() {
    if !has("sqlite3") {
        return;
    }
    let project = Project::new(ORDERS);
    let simulator = project.start().await;
    sql(&project.path("shop.db"), NEW);
    until_records(&simulator, "audit", 1).await;
    simulator.stop().await;
    let more = r#"
    [function.old]
    builtin = "echo"
    [function.old.wire.all]
    table = "orders"
    start = "trim-horizon"
    [function.young]
    builtin = "echo"
    [function.young.wire.all]
    table = "orders"
    start = "latest"
    "#;
    project.write("dropwire.toml", &format!("{ORDERS}{more}"));
    let simulator = project.start().await;
    sql(&project.path("shop.db"), PAY);
    assert_eq!(until_records(&simulator, "old", 2).await, ["INSERT o-1 ->new", "MODIFY o-1 new>paid"]);
    assert_eq!(until_records(&simulator, "young", 1).await, ["MODIFY o-1 new>paid"]);
    assert_eq!(until_records(&simulator, "audit", 2).await.len(), 2);
    simulator.stop().await;
}

#[tokio::test]
async fn a_table_of_ones_own_is_attached_as_it_is_and_left_as_it_was() {
    if !has("sqlite3") {
        return;
    }
    let project = Project::new(
        r#"
        [table.people]
        sqlite = "own.db"
        [function.hear]
        builtin = "echo"
        on = "table:people"
        "#,
    );
    let file = project.path("own.db");
    sql(&file, "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, height REAL, photo BLOB, note)");
    sql(&file, "INSERT INTO people VALUES (1, 'Ada', 1.65, x'00ff', NULL)");
    // SQLite keeps its own tables, which nobody can drop.
    let schema = "SELECT group_concat(sql, ';') FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'";
    let read = |statement: &str| {
        let output = Command::new("sqlite3").arg(&file).arg(statement).output().expect("sqlite3");
        String::from_utf8(output.stdout).expect("text")
    };
    let before = read(schema);
    let simulator = project.start().await;
    sql(&file, "UPDATE people SET height = 1.7 WHERE id = 1");
    let batch = simulator.until_taken("hear", 1).await.remove(0);
    let change = &batch["Records"][0]["dynamodb"];
    assert_eq!(change["Keys"], json!({"id": {"N": "1"}}));
    let image = json!({
        "id": {"N": "1"}, "name": {"S": "Ada"}, "height": {"N": "1.7"}, "photo": {"B": "AP8="},
        "note": {"NULL": true},
    });
    assert_eq!(change["NewImage"], image);
    assert_eq!(change["OldImage"]["height"], json!({"N": "1.65"}));
    simulator.stop().await;
    assert_ne!(read(schema), before);
    let (code, said, errors) = run(project.root(), &["table", "detach", "own.db"]);
    assert_eq!(code, 0, "{said}{errors}");
    assert_eq!(read(schema), before);
    assert_eq!(read("SELECT height FROM people"), "1.7\n");
}

#[tokio::test]
async fn a_batch_that_keeps_failing_is_halved_until_the_bad_record_is_alone() {
    if !has("sqlite3") {
        return;
    }
    let wiring = r#"
        [sim]
        clock = "2026-01-05T09:00:00Z"
        [table.orders]
        key = "orderId:S"
        sqlite = "shop.db"
        [queue.bad]
        [queue.records]
        [function.picky]
        exec = "sh picky.sh"
        [function.picky.wire.all]
        table = "orders"
        batch = 10
        window = "1s"
        retries = 0
        bisect = true
        dlq = "bad"
        on_failure = "queue:records"
        "#;
    let project = Project::new(wiring);
    // Fails if one of its records is the poisonous one, else answers with its event.
    project
        .write("picky.sh", "event=$(cat); case $event in *poison*) exit 1;; esac; printf '%s' \"$event\"\n");
    let simulator = project.start().await;
    let row = |key: &str| format!("('{key}', '{{}}')");
    let rows = ["a", "b", "poison", "c"].map(row).join(", ");
    sql(&project.path("shop.db"), &format!("INSERT INTO orders VALUES {rows}"));
    simulator
        .until_so("the records", async || {
            let events = simulator.get("events").await.as_array().map_or(0, Vec::len);
            if events == 4 { Ok(()) } else { Err(format!("{events} events")) }
        })
        .await;
    simulator.post("clock", json!({"do": "advance", "millis": 3_600_000})).await;
    assert_eq!(until_records(&simulator, "picky", 3).await, ["INSERT a ->-", "INSERT b ->-", "INSERT c ->-"]);
    let dead = simulator.get("dead?queue=bad").await;
    assert_eq!(dead.as_array().map(Vec::len), Some(1), "{dead:#}");
    assert_eq!(dead[0]["body"]["Records"][0]["dynamodb"]["Keys"]["orderId"]["S"], "poison");
    let record = simulator.get("dead?queue=records").await;
    assert_eq!(record[0]["body"]["requestContext"]["condition"], "RetryAttemptsExhausted", "{record:#}");
    assert_eq!(record[0]["body"]["DDBStreamBatchInfo"]["batchSize"], 1, "{record:#}");
    simulator.stop().await;
}

#[tokio::test]
async fn an_item_put_with_fire_is_a_record_like_any_other() {
    let project = Project::new(ORDERS);
    let simulator = project.start().await;
    let put = json!({"kind": "table", "table": "orders", "put": {"orderId": "o-1", "status": "new"}, "delete": null});
    let (status, fired) = simulator.post("fire", put).await;
    assert_eq!((status, fired["events"].as_array().map(Vec::len)), (200, Some(1)), "{fired}");
    assert_eq!(until_records(&simulator, "audit", 1).await, ["INSERT o-1 ->new"]);
    let delete = json!({"kind": "table", "table": "orders", "put": null, "delete": {"orderId": "o-1"}});
    simulator.post("fire", delete).await;
    assert_eq!(until_records(&simulator, "audit", 2).await[1], "REMOVE o-1 new>-");
    simulator.stop().await;
}

#[tokio::test]
async fn a_filter_lets_only_some_records_through() {
    if !has("sqlite3") {
        return;
    }
    let filter = r#"batch = 100
    filter = '{ "eventName": ["MODIFY"], "dynamodb": { "NewImage": { "status": { "S": ["paid"] } } } }'"#;
    let project = Project::new(&ORDERS.replace("batch = 100", filter));
    let simulator = project.start().await;
    sql(
        &project.path("shop.db"),
        &format!("{NEW}; UPDATE orders SET item = '{{\"status\":\"sent\"}}'; {PAY}"),
    );
    assert_eq!(until_records(&simulator, "audit", 1).await, ["MODIFY o-1 sent>paid"]);
    simulator.stop().await;
}

#[tokio::test]
async fn a_damaged_file_is_one_problem_and_the_rest_goes_on() {
    let project =
        Project::new(&format!("{ORDERS}\n[function.hello]\nbuiltin = \"echo\"\non = \"topic:news\"\n"));
    project.write("shop.db", "this is no SQLite database, however long one looks at it");
    let simulator = project.start().await;
    let problems = simulator.problems().await;
    assert!(problems.contains("shop.db") && problems.contains("dropwire.toml:"), "{problems}");
    simulator.publish("news", "hi").await;
    simulator.until_taken("hello", 1).await;
    simulator.stop().await;
}
