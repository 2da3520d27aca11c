//! What becomes of files: altered, replaced, claimed by another, detached, and never fit in the first place.

use std::path::Path;

use serde_json::json;

use super::world::{DEADLINE, World, check_numbering};
use super::*;
use crate::config::KeyKind;

#[tokio::test]
async fn a_change_of_the_schema_is_followed() {
    let mut world = World::new().await;
    let orders = world.start(world.orders()).await;
    world.sql("ALTER TABLE orders ADD COLUMN note; UPDATE orders SET note = 1; INSERT INTO orders (orderId, note) VALUES ('a', 'x')").await;
    world.until_said("changed; its triggers were made anew").await;
    world.sql("UPDATE orders SET note = 'y'").await;
    let replayed = || async { replay_to_the_end(&world.records().await) };
    let wait = async {
        while replayed().await != json!({"orderId": {"S": "a"}, "note": {"S": "y"}}) {
            real::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(real::within(DEADLINE, wait).await.is_some(), "{:?}", world.records().await);
    let told = world.records().await.len();
    world.sql("DROP TABLE orders").await;
    world.until_said("was dropped or renamed").await;
    world.sql("CREATE TABLE orders (orderId TEXT PRIMARY KEY, other)").await;
    world.until_said("again; what happened to it before").await;
    world.sql("INSERT INTO orders VALUES ('b', 1)").await;
    let last = world.until(told + 1).await.pop().expect("a record");
    assert_eq!(last["dynamodb"]["NewImage"], json!({"orderId": {"S": "b"}, "other": {"N": "1"}}));
    orders.stop().await;
}

/// The last image told.
fn replay_to_the_end(records: &[Value]) -> Value {
    records.last().map(|record| record["dynamodb"]["NewImage"].clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_replaced_file_is_taken_up_with_what_is_in_it() {
    let mut world = World::new().await;
    let orders = world.start(world.orders()).await;
    world.sql("INSERT INTO orders (orderId) VALUES ('a')").await;
    world.until(1).await;
    world.until_log_is_short().await;
    // A backup, and changes after it.
    world.sql(&format!("VACUUM INTO '{}'", world.path("backup.db").display())).await;
    world.sql("INSERT INTO orders (orderId) VALUES ('b'), ('c')").await;
    world.until(3).await;
    std::fs::rename(world.path("backup.db"), world.path("shop.db")).expect("restored");
    remove_journals(&world);
    world.until_said("was replaced by another file").await;
    world.until_said("an earlier copy of it").await;
    world.sql("INSERT INTO orders (orderId) VALUES ('b')").await;
    let records = world.until(4).await;
    check_numbering(&records);
    assert_eq!(records[3]["dynamodb"]["Keys"], json!({"orderId": {"S": "b"}}));
    // Gone, and made anew by somebody else.
    std::fs::remove_file(world.path("shop.db")).expect("removed");
    remove_journals(&world);
    world.until_said("is gone").await;
    let ddl = "CREATE TABLE orders (orderId TEXT PRIMARY KEY, n)";
    world.sql(ddl).await;
    let wait = async {
        while world.count("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'").await < 6 {
            real::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(real::within(DEADLINE, wait).await.is_some(), "the triggers are made in time");
    world.sql("INSERT INTO orders VALUES ('z', 1)").await;
    check_numbering(&world.until(5).await);
    orders.stop().await;
}

fn remove_journals(world: &World) {
    for name in ["shop.db-wal", "shop.db-shm"] {
        std::fs::remove_file(world.path(name)).ok();
    }
}

#[tokio::test]
async fn one_dropwire_at_a_time_reads_a_log() {
    let world = World::new().await;
    let first = world.start(world.orders()).await;
    world.sql("INSERT INTO orders (orderId) VALUES ('a')").await;
    world.until(1).await;
    first.stop().await;
    let mut second = World::new().await;
    let refusal = second.refused(world.orders()).await;
    assert!(
        refusal.contains("read by the dropwire whose state is") && refusal.contains("dropwire table detach"),
        "{refusal}"
    );
    // The first one's state is deleted: its log goes to the next who asks.
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        std::fs::remove_file(world.path(name)).ok();
    }
    let taken = second.start(world.orders()).await;
    second.until_said("which is no more; now they are ours").await;
    world.sql("INSERT INTO orders (orderId) VALUES ('b')").await;
    second.until(2).await;
    taken.stop().await;
}

#[tokio::test]
async fn detaching_leaves_nothing_of_ours() {
    let mut world = World::new().await;
    let orders = world.start(world.orders()).await;
    world.sql("INSERT INTO orders (orderId) VALUES ('a')").await;
    world.until(1).await;
    let removed = detach(&world.path("shop.db")).await.expect("detached");
    assert_eq!(
        removed.iter().filter(|line| line.starts_with("trigger dropwire_orders_")).count(),
        6,
        "{removed:?}"
    );
    assert_eq!(removed.len(), 9, "{removed:?}");
    world.until_said("was taken out of").await;
    assert_eq!(world.count("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'dropwire%'").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM orders").await, 1);
    world.sql("INSERT INTO orders (orderId) VALUES ('unseen')").await;
    orders.stop().await;
    assert_eq!(detach(&world.path("shop.db")).await.ok(), Some(vec![]));
    let error = detach(&world.path("nothing.db")).await.expect_err("there is no such file");
    assert!(error.to_string().contains("no such file"), "{error}");
    // Attached again, it is still known as a table of ours.
    let orders = world.start(world.orders()).await;
    orders.table.put(&json!({"orderId": "b", "x": 1})).await.expect("put");
    let records = world.until(2).await;
    assert_eq!(records[1]["dynamodb"]["NewImage"], json!({"orderId": {"S": "b"}, "x": {"N": "1"}}));
    orders.stop().await;
}

#[tokio::test]
async fn a_seed_is_what_a_new_table_begins_with() {
    let mut world = World::new().await;
    let mut spec = world.orders();
    spec.seed = Some(world.path("seed.jsonl"));
    std::fs::write(world.path("seed.jsonl"), "{\"orderId\":\"a\",\"n\":1}\n\n{\"order\":\"b\"}\n")
        .expect("a seed");
    let refusal = world.refused(spec.clone()).await;
    assert!(
        refusal.contains("line 3") && refusal.contains("seed.jsonl") && refusal.contains("no key `orderId`"),
        "{refusal}"
    );
    std::fs::write(world.path("seed.jsonl"), "{\"orderId\":\"a\",\"n\":1}\n{\"orderId\":").expect("a seed");
    let refusal = world.refused(spec.clone()).await;
    assert!(refusal.contains("line 2") && refusal.contains("no JSON"), "{refusal}");
    assert_eq!(world.count("SELECT count(*) FROM sqlite_schema").await, 0, "all or nothing");
    std::fs::write(world.path("seed.jsonl"), "{\"orderId\":\"a\",\"n\":1}\n").expect("a seed");
    let orders = world.start(spec.clone()).await;
    world.until_said("made table `orders`").await;
    world.sql("DELETE FROM orders").await;
    let records = world.until(1).await;
    assert_eq!(records[0]["dynamodb"]["OldImage"], json!({"orderId": {"S": "a"}, "n": {"N": "1"}}));
    orders.stop().await;
    // Not put again at later starts.
    world.start(spec).await.stop().await;
    assert_eq!(world.count("SELECT count(*) FROM orders").await, 0);
}

async fn check_refusal(ddl: &str, keys: &[(&str, KeyKind)], expected: &str) {
    let world = World::new().await;
    if !ddl.is_empty() {
        world.sql(ddl).await;
    }
    let refusal = world.refused(world.spec("orders", keys)).await;
    assert!(refusal.starts_with("[table.orders] (dropwire.toml:12): cannot "), "{refusal}");
    assert!(refusal.contains("shop.db") && refusal.contains(expected), "{refusal} should say {expected}");
}

#[tokio::test]
async fn what_cannot_be_a_table_is_refused_in_words() {
    let s = [("id", KeyKind::S)];
    check_refusal("", &[], "there is no such file").await;
    check_refusal("CREATE TABLE other (x)", &[], "no such table, only other").await;
    check_refusal("CREATE TABLE orders (x)", &[], "no primary key; say which column").await;
    check_refusal("CREATE TABLE orders (a, b, c, PRIMARY KEY (a, b, c))", &[], "primary key has 3 columns")
        .await;
    check_refusal("CREATE TABLE orders (x PRIMARY KEY, y)", &s, "no column `id` to be its key; it has x, y")
        .await;
    check_refusal(
        "CREATE TABLE orders (x PRIMARY KEY, id)",
        &s,
        "CREATE UNIQUE INDEX \"orders_key\" ON \"orders\" (\"id\")",
    )
    .await;
    check_refusal("CREATE VIEW orders AS SELECT 1 AS id", &s, "it is a view").await;
    check_refusal("CREATE VIRTUAL TABLE orders USING fts5(id)", &s, "it is a virtual table").await;
    check_refusal("PRAGMA encoding = 'UTF-16le'; CREATE TABLE orders (id PRIMARY KEY)", &s, "UTF-16le").await;
}

#[tokio::test]
async fn what_is_no_database_is_refused_in_words() {
    let world = World::new().await;
    std::fs::write(world.path("shop.db"), "this is a text, and long enough to be seen as one ".repeat(40))
        .expect("a file");
    let refusal = world.refused(world.orders()).await;
    assert!(refusal.contains("this is no SQLite database; name another file"), "{refusal}");
    std::fs::remove_file(world.path("shop.db")).expect("removed");
    std::fs::create_dir(world.path("shop.db")).expect("a folder");
    let refusal = world.refused(world.orders()).await;
    assert!(refusal.contains("this is a folder; name a file"), "{refusal}");
    let world = World::new().await;
    world.sql("CREATE TABLE orders (orderId TEXT PRIMARY KEY); CREATE INDEX i ON orders (orderId)").await;
    damage(&world.path("shop.db"));
    let refusal = world.refused(world.orders()).await;
    assert!(refusal.contains("the file is damaged"), "{refusal}");
}

/// Overwrites the schema's page, all but the file's header.
fn damage(file: &Path) {
    let mut bytes = std::fs::read(file).expect("the file");
    bytes[100..4000].fill(0x5a);
    std::fs::write(file, bytes).expect("damaged");
}
