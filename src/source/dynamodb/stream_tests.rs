//! Tables and their streams as people meet them: real files, written by other connections and by `sqlite3`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use sqlx::{AssertSqlSafe, Row};
use tokio::task::JoinSet;

use super::*;
use crate::clock::Timestamp;
use crate::config::{KeyKind, KeySpec, Origin, StreamView};
use crate::delivery::queue::Queue;
use crate::timeline::{Moment, Told};

const DEADLINE: Duration = Duration::from_secs(30);

/// A folder with a state database and tables.
struct World {
    folder: tempfile::TempDir,
    ground: Ground,
    told: tokio::sync::broadcast::Receiver<Arc<Told>>,
    notices: Vec<String>,
}

/// A table that is being watched.
struct Running {
    table: Arc<Table>,
    tasks: JoinSet<Result<(), SourceError>>,
    stop: CancellationToken,
}

impl World {
    async fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let ground = ground(&folder.path().join("state.db")).await;
        World { told: ground.timeline.follow(), folder, ground, notices: Vec::new() }
    }

    /// The state as another process of dropwire would find it.
    async fn restart(&mut self) {
        self.ground = ground(&self.folder.path().join("state.db")).await;
        self.told = self.ground.timeline.follow();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn spec(&self, name: &str, keys: &[(&str, KeyKind)]) -> TableSpec {
        let keys = keys.iter().map(|(name, kind)| KeySpec { name: (*name).into(), kind: *kind });
        TableSpec {
            name: name.into(),
            keys: keys.collect(),
            view: StreamView::NewAndOldImages,
            sqlite: self.path("shop.db"),
            seed: None,
            origin: Origin { file: "dropwire.toml".into(), line: 12 },
        }
    }

    fn orders(&self) -> TableSpec {
        self.spec("orders", &[("orderId", KeyKind::S)])
    }

    async fn start(&self, spec: TableSpec) -> Running {
        let table = Table::open(spec, self.ground.clone()).await.expect("the table opens");
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        tasks.spawn(table.clone().run(stop.clone()));
        assert!(real::within(DEADLINE, table.ready()).await.is_some(), "ready in time");
        Running { table, tasks, stop }
    }

    async fn refused(&self, spec: TableSpec) -> String {
        match Table::open(spec, self.ground.clone()).await {
            Ok(_) => panic!("it opened"),
            Err(error) => error.to_string(),
        }
    }

    /// Runs SQL on the file as another program would.
    async fn sql(&self, sql: &str) {
        let options =
            sqlx::sqlite::SqliteConnectOptions::new().filename(self.path("shop.db")).create_if_missing(true);
        let mut other = options.busy_timeout(Duration::from_secs(10)).connect().await.expect("connected");
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut other).await.expect(sql);
        other.close().await.expect("closed");
    }

    async fn count(&self, sql: &str) -> i64 {
        let mut other =
            file::connect(&self.path("shop.db"), Duration::from_secs(10)).await.expect("connected");
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut other).await.expect(sql)
    }

    /// The records stored so far, in order.
    async fn records(&self) -> Vec<Value> {
        let rows =
            sqlx::query("SELECT record FROM event ORDER BY no").fetch_all(self.ground.store.read()).await;
        let parse = |row: &sqlx::sqlite::SqliteRow| {
            serde_json::from_str(row.get("record")).expect("a record is JSON")
        };
        rows.expect("events").iter().map(parse).collect()
    }

    /// The records as `INSERT {"orderId":{"S":"o-1"}}`.
    async fn shown(&self) -> Vec<String> {
        let show = |record: &Value| {
            format!("{} {}", record["eventName"].as_str().unwrap_or("?"), record["dynamodb"]["Keys"])
        };
        self.records().await.iter().map(show).collect()
    }

    /// Waits until this many records are there, and returns them.
    async fn until(&self, count: usize) -> Vec<Value> {
        let wait = async {
            loop {
                let records = self.records().await;
                if records.len() >= count {
                    return records;
                }
                real::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = real::within(DEADLINE, wait).await;
        let Some(records) = found else {
            panic!("{count} records in time, there are {:?}", self.shown().await)
        };
        assert_eq!(records.len(), count, "{:?}", self.shown().await);
        records
    }

    /// Waits until a notice says this.
    async fn until_said(&mut self, words: &str) {
        while !self.notices.iter().any(|notice| notice.contains(words)) {
            let told = real::within(DEADLINE, self.told.recv()).await;
            match told {
                Some(Ok(told)) => {
                    if let Moment::Notice { text, .. } = &told.moment {
                        self.notices.push(text.clone());
                    }
                }
                other => panic!("nothing said {words:?} ({other:?}), only {:#?}", self.notices),
            }
        }
    }

    async fn until_log_is_short(&self) {
        let wait = async {
            while self.count("SELECT count(*) FROM dropwire_log WHERE done = 0").await > 0 {
                real::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(real::within(DEADLINE, wait).await.is_some(), "the log is trimmed in time");
    }
}

async fn ground(state: &Path) -> Ground {
    let clock = Clock::frozen_at(Timestamp::from_millis(1_617_403_023_187));
    let timeline = Timeline::default();
    let store = Store::open(state).await.expect("a store");
    let queue = Queue::open(store.clone(), clock.clone(), timeline.clone()).await.expect("a queue");
    let random = Random::from_entropy();
    Ground { place: Place::default(), clock, random, timeline, outlet: Outlet::into(queue), store }
}

impl Running {
    async fn stop(mut self) {
        self.stop.cancel();
        assert!(real::within(DEADLINE, self.tasks.join_next()).await.is_some(), "stops in time");
    }
    /// As a kill would end it: at whatever await it is.
    async fn kill(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Whether `sqlite3` is there; says so if not.
fn has_shell() -> bool {
    let found = Command::new("sqlite3").arg("--version").output().is_ok_and(|out| out.status.success());
    if !found {
        eprintln!("skipped: there is no sqlite3 program");
    }
    found
}

fn shell(file: &Path, sql: &str) {
    let out = Command::new("sqlite3")
        .arg("-cmd")
        .arg(".timeout 10000")
        .arg(file)
        .arg(sql)
        .output()
        .expect("sqlite3 runs");
    assert!(out.status.success(), "{sql}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Replays records into a map from key to image, and checks that each fits what was before.
fn replay(records: &[Value]) -> BTreeMap<String, Value> {
    let mut state: BTreeMap<String, Value> = BTreeMap::new();
    for record in records {
        let body = &record["dynamodb"];
        let key = body["Keys"].to_string();
        let before = match body.get("NewImage") {
            Some(new) => state.insert(key, new.clone()),
            None => state.remove(&key),
        };
        assert_eq!(before.as_ref(), body.get("OldImage"), "{record}");
        assert_ne!(body.get("NewImage"), body.get("OldImage"), "{record}");
    }
    state
}

/// Ids are all different, and sequence numbers grow.
fn check_numbering(records: &[Value]) {
    let ids: std::collections::BTreeSet<String> =
        records.iter().map(|record| record["eventID"].to_string()).collect();
    assert_eq!(ids.len(), records.len(), "each record has its own id");
    let number =
        |record: &Value| record["dynamodb"]["SequenceNumber"].as_str().and_then(|n| n.parse::<u128>().ok());
    assert!(records.windows(2).all(|pair| number(&pair[0]) < number(&pair[1])), "sequence numbers grow");
}

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
    shell(&file, "ALTER TABLE orders DROP COLUMN note; DELETE FROM orders");
    let records = world.until(6).await;
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
