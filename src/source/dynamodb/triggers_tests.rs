//! The triggers in SQLite: what they log replays to what the table holds, whatever wrote it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

use crate::config::{Origin, StreamView, TableSpec};
use crate::source::dynamodb::attribute::{Attribute, Item};
use crate::source::dynamodb::changes::{self, Change, Key, LogRow};
use crate::source::dynamodb::file;
use crate::source::dynamodb::schema::{Lookup, Schema, look_up};

fn spec(keys: &[(&str, crate::config::KeyKind)]) -> TableSpec {
    TableSpec {
        name: "t".into(),
        keys: keys
            .iter()
            .map(|(name, kind)| crate::config::KeySpec { name: (*name).into(), kind: *kind })
            .collect(),
        view: StreamView::NewAndOldImages,
        sqlite: "t.db".into(),
        seed: None,
        origin: Origin::default(),
    }
}

/// A table in memory with our triggers on it, and the state that its log has told so far.
struct Bench {
    connection: SqliteConnection,
    schema: Schema,
    seq: i64,
    told: BTreeMap<Key, Item>,
}

impl Bench {
    async fn new(ddl: &str) -> Bench {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.expect("memory");
        sqlx::raw_sql(AssertSqlSafe(ddl.to_owned())).execute(&mut connection).await.expect(ddl);
        sqlx::raw_sql(super::TABLES).execute(&mut connection).await.expect("our tables");
        let mut bench =
            Bench { schema: found(&mut connection).await, connection, seq: 0, told: BTreeMap::new() };
        bench.install().await;
        bench.told = bench.held().await;
        bench
    }

    async fn install(&mut self) {
        self.schema = found(&mut self.connection).await;
        file::install(&mut self.connection, &self.schema.subject, self.seq).await.expect("installed");
    }

    /// Runs SQL that may fail.
    async fn run(&mut self, sql: &str) -> Result<(), String> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut self.connection)
            .await
            .map(|_| ())
            .map_err(|e| e.to_string())
    }

    async fn changes(&mut self) -> Vec<Change> {
        let sql = "SELECT seq, CAST(old AS BLOB), CAST(new AS BLOB) FROM dropwire_log WHERE seq > ?1 AND tbl = 't' ORDER BY seq";
        let rows = sqlx::query(sql).bind(self.seq).fetch_all(&mut self.connection).await.expect("the log");
        let mut found = Vec::new();
        for row in rows {
            let row = LogRow { seq: row.get(0), old: row.get(1), new: row.get(2) };
            self.seq = row.seq;
            found.extend(changes::read(&row, &self.schema.shape).changes);
        }
        found
    }

    /// What the table holds, read without any of the triggers' SQL.
    async fn held(&mut self) -> BTreeMap<Key, Item> {
        let names = self.schema.subject.columns.clone();
        let columns: Vec<String> = names
            .iter()
            .map(|name| super::identifier(name))
            .map(|name| {
                format!("typeof({name}), CAST(iif(typeof({name}) = 'text', {name}, quote({name})) AS BLOB)")
            })
            .collect();
        let sql = format!("SELECT {} FROM t", columns.join(", "));
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut self.connection).await.expect("the table");
        let value = |row: &sqlx::sqlite::SqliteRow, i: usize| {
            let text = String::from_utf8_lossy(&row.get::<Vec<u8>, _>(2 * i + 1)).into_owned();
            let is_text = row.get::<String, _>(2 * i) == "text";
            if is_text { Attribute::S(text) } else { Attribute::from_literal(&text) }
        };
        let item = |row: &sqlx::sqlite::SqliteRow| -> Item {
            names.iter().enumerate().map(|(i, name)| (name.clone(), value(row, i))).collect()
        };
        let shape = &self.schema.shape;
        // A row whose key is not of the key's type is no item.
        let keyed = |mut item: Item| {
            let mut key = Key::new();
            for spec in &shape.keys {
                let value = changes::as_key(&item[&spec.name], spec.kind)?;
                item.insert(spec.name.clone(), value.clone());
                key.push((spec.name.clone(), value));
            }
            Some((key, item))
        };
        rows.iter().filter_map(|row| keyed(item(row))).collect()
    }

    /// Replays what the log tells: every record must fit the state before it and change something, and in the
    /// end the state must be the table.
    async fn check(&mut self) -> Result<Vec<Change>, String> {
        let found = self.changes().await;
        for change in &found {
            let before = match &change.new {
                Some(new) => self.told.insert(change.key.clone(), new.clone()),
                None => self.told.remove(&change.key),
            };
            if before != change.old {
                return Err(format!("{change:?} came upon {before:?}"));
            }
            if change.old == change.new {
                return Err(format!("{change:?} changes nothing"));
            }
        }
        let held = self.held().await;
        if held != self.told {
            return Err(format!("told {:?}, but the table holds {held:?}", self.told));
        }
        Ok(found)
    }

    async fn rows(&mut self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.connection).await.expect(sql)
    }
}

async fn found(connection: &mut SqliteConnection) -> Schema {
    match look_up(connection, &spec(&[])).await {
        Ok(Lookup::Found(schema)) => *schema,
        Ok(Lookup::Unfit(why)) => panic!("{why}"),
        Ok(Lookup::Missing) => panic!("no table"),
        Err(error) => panic!("{error}"),
    }
}

const BY_ROWID: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT UNIQUE COLLATE NOCASE, n);";
const BY_TEXT: &str =
    "CREATE TABLE t (id TEXT PRIMARY KEY COLLATE NOCASE NOT NULL, email TEXT, n INT, UNIQUE (email, n));";
const BY_PAIR: &str =
    "CREATE TABLE t (id TEXT, n INT DEFAULT 1, email UNIQUE, PRIMARY KEY (id, n)) WITHOUT ROWID;";
const STRICT: &str =
    "CREATE TABLE t (id INT PRIMARY KEY NOT NULL, email TEXT, n ANY, twice TEXT AS (n || n)) STRICT;
    CREATE UNIQUE INDEX by_email ON t (email) WHERE n > 1;";
/// Somebody else's triggers: they change the table in turn, refuse and cascade.
const BUSY: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT UNIQUE, n INT);
    CREATE TABLE audit (what);
    CREATE TRIGGER a AFTER INSERT ON t WHEN coalesce(NEW.n, 0) < 100 BEGIN
        UPDATE t SET n = coalesce(n, 0) + 100 WHERE id = NEW.id; INSERT INTO audit VALUES (NEW.id); END;
    CREATE TRIGGER b AFTER UPDATE OF email ON t BEGIN UPDATE t SET n = n + 1 WHERE id = NEW.id; END;
    CREATE TRIGGER c AFTER DELETE ON t BEGIN DELETE FROM t WHERE id = OLD.id - 3; END;
    CREATE TRIGGER d BEFORE INSERT ON t WHEN NEW.email = 'e1' BEGIN INSERT OR IGNORE INTO t (id, n) VALUES (90, 1); END;
    CREATE TRIGGER e BEFORE DELETE ON t WHEN OLD.id = 2 BEGIN SELECT RAISE(IGNORE); END;
    CREATE TRIGGER f BEFORE UPDATE ON t WHEN NEW.n = 4 BEGIN SELECT RAISE(IGNORE); END;";
const TREE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT UNIQUE,
    n INTEGER REFERENCES t (id) ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED CHECK (n IS NOT id));";

fn value() -> impl Strategy<Value = String> {
    const TEXTS: [&str; 14] =
        ["NULL", "1", "2", "3", "4", "5", "'1'", "'e1'", "'E1'", "'e2'", "'e3'", "1.5", "x'00ff'", "'it''s'"];
    proptest::sample::select(&TEXTS[..]).prop_map(str::to_owned)
}

fn id() -> impl Strategy<Value = String> {
    proptest::sample::select(&["NULL", "1", "2", "3", "4", "5", "6", "-1", "'a'", "'A'", "'b'"][..])
        .prop_map(str::to_owned)
}

fn clause() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(
        &["", "", "OR REPLACE ", "OR REPLACE ", "OR IGNORE ", "OR FAIL ", "OR ABORT ", "OR ROLLBACK "][..],
    )
}

fn condition() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => id().prop_map(|id| format!(" WHERE id = {id}")),
        2 => value().prop_map(|value| format!(" WHERE email > {value}")),
        1 => Just(String::new()),
    ]
}

fn statement() -> impl Strategy<Value = String> {
    let row = || (id(), value(), value()).prop_map(|(id, email, n)| format!("({id}, {email}, {n})"));
    let rows = || proptest::collection::vec(row(), 1..4).prop_map(|rows| rows.join(", "));
    let set = prop_oneof![
        value().prop_map(|v| format!("n = {v}")),
        value().prop_map(|v| format!("email = {v}")),
        id().prop_map(|id| format!("id = {id}")),
        Just("id = id + 1".to_owned()),
        (value(), value()).prop_map(|(a, b)| format!("email = {a}, n = {b}")),
    ];
    let upsert = proptest::sample::select(
        &[
            "DO NOTHING",
            "DO UPDATE SET n = excluded.n",
            "DO UPDATE SET email = excluded.email, id = excluded.id",
        ][..],
    );
    prop_oneof![
        4 => (clause(), rows()).prop_map(|(or, rows)| format!("INSERT {or}INTO t (id, email, n) VALUES {rows}")),
        2 => (rows(), upsert).prop_map(|(rows, then)| format!("INSERT INTO t (id, email, n) VALUES {rows} ON CONFLICT {then}")),
        1 => (clause(), value()).prop_map(|(or, email)| format!("INSERT {or}INTO t (email) VALUES ({email})")),
        4 => (clause(), set, condition()).prop_map(|(or, set, wh)| format!("UPDATE {or}t SET {set}{wh}")),
        2 => condition().prop_map(|wh| format!("DELETE FROM t{wh}")),
        1 => Just("SAVEPOINT s".to_owned()),
        1 => Just("ROLLBACK TO s".to_owned()),
    ]
}

/// Transactions: statements, and whether they are committed.
fn transactions() -> impl Strategy<Value = Vec<(Vec<String>, bool)>> {
    let one = (proptest::collection::vec(statement(), 1..5), proptest::bool::weighted(0.8));
    proptest::collection::vec(one, 1..8)
}

async fn replay(
    ddl: &str,
    recursive: bool,
    transactions: &[(Vec<String>, bool)],
) -> Result<(), TestCaseError> {
    let mut bench = Bench::new(ddl).await;
    bench
        .run(&format!("PRAGMA recursive_triggers = {recursive}; PRAGMA foreign_keys = ON"))
        .await
        .expect("pragmas");
    for (statements, is_committed) in transactions {
        bench.run("BEGIN").await.expect("begun");
        for statement in statements {
            // Most conflict with something: a refused statement must leave no trace either.
            bench.run(statement).await.ok();
        }
        // OR ROLLBACK may have ended it; deferred foreign keys may refuse to.
        let ended = bench.run(if *is_committed { "COMMIT" } else { "ROLLBACK" }).await;
        if ended.is_err() {
            bench.run("ROLLBACK").await.ok();
        }
        let told = bench.check().await;
        prop_assert!(told.is_ok(), "{} after {statements:?}", told.err().unwrap_or_default());
    }
    Ok(())
}

fn law(ddl: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let cases = std::env::vars()
        .find(|(name, _)| name == "PROPTEST_CASES")
        .and_then(|(_, n)| n.parse().ok())
        .unwrap_or(48);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(transactions in transactions(), recursive: bool)| {
        runtime.block_on(replay(ddl, recursive, &transactions))?;
    });
}

#[test]
fn records_replay_to_the_table_by_row_id() {
    law(BY_ROWID);
}

#[test]
fn records_replay_to_the_table_by_text() {
    law(BY_TEXT);
}

#[test]
fn records_replay_to_the_table_by_a_pair_without_row_ids() {
    law(BY_PAIR);
}

#[test]
fn records_replay_to_the_table_in_strict_tables() {
    law(STRICT);
}

#[test]
fn records_replay_to_the_table_beside_other_triggers() {
    law(BUSY);
}

#[test]
fn records_replay_to_the_table_with_foreign_keys() {
    law(TREE);
}

/// Each change as `INSERT 1`, `MODIFY 1`, `REMOVE 1`.
fn shown(changes: &[Change]) -> Vec<String> {
    let name = |change: &Change| match (&change.old, &change.new) {
        (None, _) => "INSERT",
        (_, Some(_)) => "MODIFY",
        _ => "REMOVE",
    };
    let key =
        |change: &Change| change.key.iter().map(|(_, value)| value.shown()).collect::<Vec<_>>().join("/");
    changes.iter().map(|change| format!("{} {}", name(change), key(change))).collect()
}

async fn check_told(ddl: &str, setup: &str, sql: &str, expected: &[&str]) {
    for pragma in ["PRAGMA recursive_triggers = OFF", "PRAGMA recursive_triggers = ON"] {
        let mut bench = Bench::new(ddl).await;
        bench.run(pragma).await.expect(pragma);
        bench.run(setup).await.expect(setup);
        bench.check().await.expect("the setup replays");
        bench.run(sql).await.expect(sql);
        assert_eq!(shown(&bench.check().await.expect("it replays")), expected, "{sql} under {pragma}");
        let left = bench.rows("SELECT count(*) FROM dropwire_stash").await;
        assert!(left <= 2, "{sql} left {left} rows in the stash");
    }
}

#[tokio::test]
async fn each_statement_gives_the_records_that_dynamodb_would() {
    let two = "INSERT INTO t (id, email, n) VALUES (1, 'a', 1), (2, 'b', 2)";
    for (sql, expected) in [
        ("INSERT INTO t (email) VALUES ('c')", &["INSERT 3"][..]),
        ("REPLACE INTO t VALUES (1, 'a', 9)", &["MODIFY 1"]),
        ("REPLACE INTO t VALUES (1, 'a', 1)", &[]),
        ("REPLACE INTO t VALUES (1, 'B', 1)", &["REMOVE 2", "MODIFY 1"]),
        ("REPLACE INTO t (email, n) VALUES ('b', 7)", &["REMOVE 2", "INSERT 3"]),
        ("INSERT OR IGNORE INTO t VALUES (1, 'z', 9)", &[]),
        ("INSERT INTO t VALUES (1, 'z', 9) ON CONFLICT (id) DO UPDATE SET n = 9", &["MODIFY 1"]),
        ("INSERT INTO t VALUES (7, 'a', 9) ON CONFLICT (email) DO UPDATE SET n = 9", &["MODIFY 1"]),
        ("INSERT INTO t VALUES (1, 'z', 9) ON CONFLICT DO NOTHING", &[]),
        ("UPDATE t SET n = n", &[]),
        ("UPDATE t SET n = 5", &["MODIFY 1", "MODIFY 2"]),
        ("UPDATE t SET id = 3 WHERE id = 1", &["REMOVE 1", "INSERT 3"]),
        ("UPDATE OR REPLACE t SET id = 2 WHERE id = 1", &["REMOVE 1", "MODIFY 2"]),
        ("UPDATE OR REPLACE t SET email = 'b' WHERE id = 1", &["REMOVE 2", "MODIFY 1"]),
        ("DELETE FROM t", &["REMOVE 1", "REMOVE 2"]),
        ("DELETE FROM t WHERE id = 7", &[]),
        ("DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 'a', 1)", &["REMOVE 1", "INSERT 1"]),
        ("BEGIN; DELETE FROM t; ROLLBACK", &[]),
        // A row id that is used again is no old row.
        (
            "INSERT OR IGNORE INTO t VALUES (2, 'x', 1); DELETE FROM t WHERE id = 2; INSERT INTO t (email) VALUES ('y')",
            &["REMOVE 2", "INSERT 2"],
        ),
    ] {
        check_told(BY_ROWID, two, sql, expected).await;
    }
    // A key that differs only in case is another key to DynamoDB.
    check_told(
        BY_TEXT,
        "INSERT INTO t VALUES ('a', 'x', 1)",
        "REPLACE INTO t VALUES ('A', 'y', 2)",
        &["REMOVE a", "INSERT A"],
    )
    .await;
    check_told(
        BY_TEXT,
        "INSERT INTO t VALUES ('a', 'x', 1)",
        "UPDATE t SET id = 'A'",
        &["REMOVE a", "INSERT A"],
    )
    .await;
}

#[tokio::test]
async fn the_writer_does_not_notice_the_triggers() {
    let mut bench = Bench::new(BY_ROWID).await;
    bench.run("INSERT INTO t (id, email) VALUES (41, 'a')").await.expect("inserted");
    bench.run("INSERT INTO t (email) VALUES ('b')").await.expect("inserted");
    assert_eq!(bench.rows("SELECT last_insert_rowid()").await, 42);
    assert_eq!(bench.rows("SELECT changes()").await, 1);
    bench.run("UPDATE t SET n = 1").await.expect("updated");
    assert_eq!(bench.rows("SELECT changes()").await, 2);
    bench.run("REPLACE INTO t VALUES (41, 'b', 3)").await.expect("replaced");
    assert_eq!(bench.rows("SELECT changes()").await, 1);
    bench.run("DELETE FROM t").await.expect("deleted");
    assert_eq!(bench.rows("SELECT changes()").await, 1);
    bench.check().await.expect("it replays");
}

#[tokio::test]
async fn a_dropped_column_is_repaired_and_an_added_one_too() {
    let mut bench = Bench::new("CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT, n)").await;
    bench.run("INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)").await.expect("inserted");
    bench.check().await.expect("it replays");
    // None of this knows of us, and our triggers do not know of it yet.
    bench.run("ALTER TABLE t DROP COLUMN n").await.expect("our triggers do not stand in the way");
    bench.run("ALTER TABLE t ADD COLUMN note DEFAULT 'none'").await.expect("added");
    bench.run("UPDATE t SET note = 'x' WHERE id = 1; INSERT INTO t VALUES (3, 'c', 'y'); DELETE FROM t WHERE id = 2").await.expect("written");
    bench
        .run("ALTER TABLE t RENAME COLUMN email TO mail; UPDATE t SET mail = 'z' WHERE id = 3")
        .await
        .expect("written");
    bench.install().await;
    // Old images in between are those of triggers that knew other columns; what counts is where it ends.
    let told = bench.changes().await;
    for change in told {
        match change.new {
            Some(new) => bench.told.insert(change.key, new),
            None => bench.told.remove(&change.key),
        };
    }
    let held = bench.held().await;
    assert_eq!(bench.told, held);
    bench.run("UPDATE t SET note = 'w'").await.expect("updated");
    assert_eq!(shown(&bench.check().await.expect("it replays")), ["MODIFY 1", "MODIFY 3"]);
}

#[tokio::test]
async fn odd_names_and_many_columns_are_no_matter() {
    let mut many: Vec<String> = (0..150).map(|i| format!("c{i} DEFAULT {i}")).collect();
    many.insert(
        0,
        "\"order\"\"id'\" TEXT, \"select\" INT, \"a b\" BLOB, [x.y] REAL, s.replace TEXT"
            .replace("s.replace", "\"s.tbl\""),
    );
    let ddl = format!("CREATE TABLE t ({}, PRIMARY KEY (\"order\"\"id'\", \"select\"))", many.join(", "));
    let mut bench = Bench::new(&ddl).await;
    bench.run("INSERT INTO t (\"order\"\"id'\", \"select\", \"a b\", [x.y]) VALUES ('k''1', 1, x'00', 0.1 + 0.2)").await.expect("inserted");
    bench.run("UPDATE t SET c149 = 'last' || char(0) || 'é\"\\'").await.expect("updated");
    let told = bench.check().await.expect("it replays");
    assert_eq!(shown(&told), ["INSERT k'1/1", "MODIFY k'1/1"]);
    let new = told[1].new.as_ref().expect("a new image");
    assert_eq!(new["c149"], Attribute::S("last\0é\"\\".into()));
    assert_eq!(new["a b"], Attribute::B(vec![0]));
    assert_eq!(new["x.y"].shown(), "0.30000000000000004");
    assert_eq!(new.len(), 155);
}

#[tokio::test]
async fn our_triggers_are_made_anew_when_another_is_younger() {
    let mut bench = Bench::new("CREATE TABLE t (id INTEGER PRIMARY KEY, n)").await;
    bench
        .run("CREATE TRIGGER young AFTER INSERT ON t BEGIN UPDATE t SET n = 7 WHERE id = NEW.id; END")
        .await
        .expect("made");
    bench.install().await;
    let schema = bench.schema.subject.clone();
    assert_eq!(
        file::install(&mut bench.connection, &schema, 0).await.ok(),
        Some(false),
        "nothing more to do"
    );
    bench.run("INSERT INTO t VALUES (1, 1)").await.expect("inserted");
    assert_eq!(shown(&bench.check().await.expect("it replays")), ["INSERT 1", "MODIFY 1"]);
}
