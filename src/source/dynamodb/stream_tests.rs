//! Tables and their streams as people meet them: real files, written by other connections and by `sqlite3`.

use serde_json::json;
use sqlx::{AssertSqlSafe, Row};
use tokio::task::JoinSet;

use super::world::{DEADLINE, World, check_numbering, has_shell, replay, shell};
use super::*;
use crate::config::KeyKind;
use crate::timeline::Moment;

#[tokio::test]
async fn whoever_writes_a_table_makes_a_record() {
    let world = World::new().await;
    let orders = world.start(world.orders()).await;
    orders
        .table
        .put(&json!({"orderId": "o-1", "status": "new", "tags": {"SS": ["b", "a"]}, "n": 1.50}))
        .await
        .expect("put");
    world.sql("UPDATE orders SET item = json_set(item, '$.status', 'paid') WHERE orderId = 'o-1'").await;
    world.until(2).await;
    orders
        .table
        .put(&json!({"orderId": "o-1", "status": "paid", "n": 1.5, "tags": {"SS": ["a", "b"]}}))
        .await
        .expect("the same");
    orders.table.delete(&json!({"orderId": "o-1"})).await.expect("deleted");
    orders.table.delete(&json!({"orderId": "o-1"})).await.expect("nothing is fine");
    let records = world.until(3).await;
    replay(&records);
    check_numbering(&records);
    assert_eq!(
        records[1],
        json!({
            "eventID": records[1]["eventID"], "eventName": "MODIFY", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_617_403_023,
                "Keys": {"orderId": {"S": "o-1"}},
                "NewImage": {"orderId": {"S": "o-1"}, "n": {"N": "1.5"}, "status": {"S": "paid"}, "tags": {"SS": ["a", "b"]}},
                "OldImage": {"orderId": {"S": "o-1"}, "n": {"N": "1.5"}, "status": {"S": "new"}, "tags": {"SS": ["a", "b"]}},
                "SequenceNumber": "200000000003218256369",
                "SizeBytes": 10 + (10 + 4 + 10 + 6) + (10 + 4 + 9 + 6),
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
            "eventSourceARN": "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2021-04-02T22:37:03.187",
        })
    );
    assert_eq!(records[2]["eventName"], "REMOVE");
    orders.stop().await;
}

#[tokio::test]
async fn the_sqlite3_program_is_heard() {
    if !has_shell() {
        return;
    }
    let world = World::new().await;
    shell(
        &world.path("shop.db"),
        "PRAGMA journal_mode = WAL; CREATE TABLE orders (orderId TEXT PRIMARY KEY, status, note)",
    );
    let orders = world.start(world.spec("orders", &[])).await;
    let file = world.path("shop.db");
    shell(&file, "INSERT INTO orders VALUES ('o-1', 'new', 'a' || char(0) || 'b'), ('o-2', x'00ff', 2.5)");
    shell(&file, "UPDATE orders SET status = 'paid' WHERE orderId = 'o-1'");
    shell(&file, "BEGIN; DELETE FROM orders; ROLLBACK");
    shell(&file, "PRAGMA recursive_triggers = 1; REPLACE INTO orders VALUES ('o-1', 'sent', NULL)");
    let attached = format!(
        "PRAGMA trusted_schema = 0; ATTACH '{}' AS shop; DELETE FROM shop.orders WHERE orderId = 'o-2'",
        file.display()
    );
    shell(&world.path("other.db"), &attached);
    shell(
        &file,
        "ALTER TABLE orders DROP COLUMN note; UPDATE orders SET status = 'seen'; DELETE FROM orders",
    );
    let records = world.until(7).await;
    assert_eq!(
        records[0]["dynamodb"]["NewImage"],
        json!({"orderId": {"S": "o-1"}, "status": {"S": "new"}, "note": {"S": "a\0b"}})
    );
    assert_eq!(
        records[1]["dynamodb"]["NewImage"],
        json!({"orderId": {"S": "o-2"}, "status": {"B": "AP8="}, "note": {"N": "2.5"}})
    );
    assert_eq!(records[3]["eventName"], "MODIFY");
    assert_eq!(records[3]["dynamodb"]["NewImage"]["note"], json!({"NULL": true}));
    check_numbering(&records);
    orders.stop().await;
}

#[tokio::test]
async fn what_happened_while_dropwire_was_off_is_told_at_the_next_start() {
    let mut world = World::new().await;
    let orders = world.start(world.orders()).await;
    world.sql("INSERT INTO orders (orderId) VALUES ('a')").await;
    world.until(1).await;
    orders.stop().await;
    // More than two pages, in one transaction.
    world.sql("WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) INSERT INTO orders (orderId) SELECT 'n' || i FROM n; DELETE FROM orders WHERE orderId = 'a'").await;
    world.restart().await;
    let orders = world.start(world.orders()).await;
    let records = world.until(1202).await;
    assert_eq!(replay(&records).len(), 1200);
    check_numbering(&records);
    let arn = &records[0]["eventSourceARN"];
    assert!(records.iter().all(|record| record["eventSourceARN"] == *arn), "it stays one stream");
    // Nothing is told again, trimmed or not.
    world.until_log_is_short().await;
    assert_eq!(world.count("SELECT count(*) FROM dropwire_log").await, 1);
    orders.stop().await;
    world.restart().await;
    let orders = world.start(world.orders()).await;
    world.sql("DELETE FROM orders WHERE orderId = 'n7'").await;
    world.until(1203).await;
    orders.stop().await;
}

#[tokio::test]
async fn each_change_is_told_once_however_often_dropwire_is_killed() {
    let mut world = World::new().await;
    world.start(world.orders()).await.stop().await;
    let file = world.path("shop.db");
    let mut writer = JoinSet::new();
    writer.spawn(async move {
        let mut other = file::connect(&file, Duration::from_secs(20)).await.expect("connected");
        for i in 0..600 {
            let sql = format!(
                "INSERT OR REPLACE INTO orders (orderId, item) VALUES ('o-{}', json_object('i', {i}))",
                i % 7
            );
            sqlx::query(AssertSqlSafe(sql)).execute(&mut other).await.expect("written");
        }
    });
    let random = Random::seeded(11);
    while !writer.is_empty() {
        let orders = world.start(world.orders()).await;
        real::sleep(Duration::from_micros(random.number() % 30_000)).await;
        orders.kill().await;
        if random.number().is_multiple_of(3) {
            world.restart().await;
        }
        while let Some(done) = writer.try_join_next() {
            done.expect("the writer is well");
        }
    }
    let orders = world.start(world.orders()).await;
    let records = world.until(600).await;
    assert_eq!(replay(&records).len(), 7);
    check_numbering(&records);
    // Not only because events of the same id are stored once.
    let sql = "SELECT c.seq, s.ordinal FROM dynamodb_cursor AS c, dynamodb_stream AS s";
    let row = sqlx::query(sql).fetch_one(world.ground.store.read()).await.expect("a position");
    let last = world.count("SELECT max(seq) FROM dropwire_log").await;
    assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1)), (last, 600));
    orders.stop().await;
}

#[tokio::test]
async fn two_tables_in_one_file_keep_their_own_streams() {
    let world = World::new().await;
    let orders = world.start(world.orders()).await;
    let items = world.start(world.spec("it-ems.2", &[("item", KeyKind::N), ("at", KeyKind::B)])).await;
    let write = "BEGIN; INSERT INTO orders (orderId) VALUES ('a'), ('b'); INSERT INTO \"it-ems.2\" (item, at) VALUES (1, x'00'), (2.5, x''); COMMIT";
    world.sql(write).await;
    let records = world.until(4).await;
    let of = |name: &str| -> Vec<Value> {
        let is_of = |record: &&Value| {
            record["eventSourceARN"].as_str().is_some_and(|arn| arn.contains(&format!("table/{name}/")))
        };
        records.iter().filter(is_of).cloned().collect()
    };
    check_numbering(&of("orders"));
    check_numbering(&of("it-ems.2"));
    assert_eq!(of("it-ems.2")[1]["dynamodb"]["Keys"], json!({"item": {"N": "2.5"}, "at": {"B": ""}}));
    world.until_log_is_short().await;
    items
        .table
        .put(&json!({"item": 7, "at": {"B": "AA=="}, "attributes": {"S": "x"}, "x": [1, {"M": {"S": 1}}]}))
        .await
        .expect("put");
    let last = world.until(5).await.pop().expect("a record");
    assert_eq!(
        last["dynamodb"]["NewImage"],
        json!({
            "item": {"N": "7"}, "at": {"B": "AA=="}, "attributes": {"S": "x"}, "x": {"L": [{"N": "1"}, {"M": {"S": {"N": "1"}}}]},
        })
    );
    orders.stop().await;
    items.stop().await;
}

#[tokio::test]
async fn each_journal_mode_is_captured_and_left_alone() {
    for mode in ["delete", "truncate", "persist", "wal"] {
        let world = World::new().await;
        world
            .sql(&format!("PRAGMA journal_mode = {mode}; CREATE TABLE orders (id INTEGER PRIMARY KEY, n)"))
            .await;
        let orders = world.start(world.spec("orders", &[])).await;
        for i in 1..=3 {
            world.sql(&format!("PRAGMA journal_mode = {mode}; INSERT INTO orders (n) VALUES ({i})")).await;
            world.until(i).await;
        }
        orders.stop().await;
        let mut other = file::connect(&world.path("shop.db"), DEADLINE).await.expect("connected");
        let is: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut other).await.expect("a mode");
        // Of the others only WAL is kept in the file.
        assert_eq!(is == "wal", mode == "wal", "{mode}");
    }
}

#[tokio::test]
async fn items_that_do_not_fit_are_refused_in_words() {
    let world = World::new().await;
    world
        .sql("CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT NOT NULL DEFAULT 'new', data BLOB)")
        .await;
    let orders = world.start(world.spec("orders", &[])).await;
    for (item, expected) in [
        (json!([1]), "an item is a JSON object"),
        (json!({"status": "x"}), "no key `id` (N)"),
        (json!({"id": "one"}), "must be of type N"),
        (json!({"id": 1, "colour": "red"}), "no column for the attribute `colour`; it has id, status, data"),
        (json!({"id": 1, "status": null}), "NOT NULL constraint failed"),
    ] {
        let refusal = orders.table.put(&item).await.expect_err("refused").to_string();
        assert!(refusal.contains(expected), "{refusal} should say {expected}");
    }
    orders.table.put(&json!({"id": 1, "status": "paid", "data": {"B": "AAE="}})).await.expect("put");
    // It replaces the item as a whole: the status is the default again.
    orders.table.put(&json!({"id": 1})).await.expect("put");
    let records = world.until(2).await;
    assert_eq!(
        records[0]["dynamodb"]["NewImage"],
        json!({"id": {"N": "1"}, "status": {"S": "paid"}, "data": {"B": "AAE="}})
    );
    assert_eq!(
        records[1]["dynamodb"]["NewImage"],
        json!({"id": {"N": "1"}, "status": {"S": "new"}, "data": {"NULL": true}})
    );
    orders.stop().await;
}

#[tokio::test]
async fn whoever_holds_the_file_is_waited_for() {
    let world = World::new().await;
    world.sql("CREATE TABLE orders (id INTEGER PRIMARY KEY, n)").await;
    let mut other = file::connect(&world.path("shop.db"), DEADLINE).await.expect("connected");
    sqlx::raw_sql("BEGIN EXCLUSIVE; INSERT INTO orders (n) VALUES (1)")
        .execute(&mut other)
        .await
        .expect("held");
    let mut tasks = JoinSet::new();
    tasks.spawn(Table::open(world.spec("orders", &[]), world.ground.clone()));
    assert!(real::within(Duration::from_millis(100), tasks.join_next()).await.is_none(), "it waits");
    sqlx::raw_sql("COMMIT").execute(&mut other).await.expect("let go");
    assert!(matches!(real::within(DEADLINE, tasks.join_next()).await, Some(Some(Ok(Ok(_))))), "it opens");
    // A reader that finds the file held looks again.
    let orders = world.start(world.spec("orders", &[])).await;
    sqlx::raw_sql("BEGIN EXCLUSIVE; INSERT INTO orders (n) VALUES (2)")
        .execute(&mut other)
        .await
        .expect("held");
    orders.table.bell.notify_one();
    real::sleep(Duration::from_millis(50)).await;
    sqlx::raw_sql("COMMIT").execute(&mut other).await.expect("let go");
    world.until(1).await;
    orders.stop().await;
}

/// How long from another program's commit to the stored event. Not a test: prints figures.
#[tokio::test]
#[ignore = "measures"]
async fn measure_the_latency() {
    for synchronous in ["NORMAL", "FULL"] {
        let mut world = World::new().await;
        let orders = world.start(world.orders()).await;
        let mut other = file::connect(&world.path("shop.db"), DEADLINE).await.expect("connected");
        sqlx::raw_sql(AssertSqlSafe(format!("PRAGMA synchronous = {synchronous}")))
            .execute(&mut other)
            .await
            .expect("set");
        let mut micros: Vec<u128> = Vec::new();
        for i in 0..300 {
            let sql = format!("INSERT INTO orders (orderId) VALUES ('{i}')");
            sqlx::query(AssertSqlSafe(sql)).execute(&mut other).await.expect("written");
            let committed = Instant::now();
            while !matches!(
                world.told.recv().await.map(|told| told.moment.clone()),
                Ok(Moment::Emitted { .. })
            ) {}
            micros.push(committed.elapsed().as_micros());
            real::sleep(Duration::from_millis(5)).await;
        }
        micros.sort_unstable();
        eprintln!(
            "{synchronous}: commit to stored event, µs: p50 {} p90 {} p99 {}",
            micros[150], micros[270], micros[297]
        );
        orders.stop().await;
    }
}

/// What the triggers cost who writes, how fast a backlog is told, and what an idle table takes. Prints figures.
#[tokio::test]
#[ignore = "measures"]
async fn measure_the_cost() {
    const ROWS: usize = 20_000;
    let fill = format!(
        "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) \
         INSERT INTO orders SELECT i, 'a status', i * 1.5, 'some text that is a little longer' FROM n"
    );
    let world = World::new().await;
    world
        .sql("PRAGMA journal_mode = WAL; CREATE TABLE orders (id INTEGER PRIMARY KEY, status, price, note)")
        .await;
    let each = async |what: &str, sql: &str| {
        let began = Instant::now();
        world.sql(sql).await;
        eprintln!("{what}: {:.1} µs a row", began.elapsed().as_secs_f64() * 1e6 / ROWS as f64);
    };
    each("INSERT, bare", &fill).await;
    each("UPDATE, bare", "UPDATE orders SET status = 'paid'").await;
    each("DELETE, bare", "DELETE FROM orders WHERE id > 0").await;
    let orders = world.start(world.spec("orders", &[])).await;
    orders.stop().await;
    each("INSERT, captured", &fill).await;
    each("UPDATE, captured", "UPDATE orders SET status = 'paid'").await;
    each("DELETE, captured", "DELETE FROM orders WHERE id > 0").await;
    let began = Instant::now();
    let orders = world.start(world.spec("orders", &[])).await;
    let rate = 3.0 * ROWS as f64 / began.elapsed().as_secs_f64();
    eprintln!("backlog: {rate:.0} records/s");
    assert_eq!(world.until(3 * ROWS).await.len(), 3 * ROWS);
    world.until_log_is_short().await;
    real::sleep(Duration::from_secs(6)).await;
    let ticks = || {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // User and system time are the 12th and 13th field after the program's name.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>()
    };
    let before = ticks();
    real::sleep(Duration::from_secs(10)).await;
    eprintln!("idle: {} ticks of 10 ms in 10 s", ticks() - before);
    orders.stop().await;
}
