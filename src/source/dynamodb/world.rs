//! A folder with a state database and tables, for tests.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use sqlx::{AssertSqlSafe, Row};
use tokio::task::JoinSet;

use super::*;
use crate::clock::Timestamp;
use crate::config::{KeyKind, KeySpec, Origin, StreamView};
use crate::delivery::queue::Queue;
use crate::timeline::{Moment, Told};

pub const DEADLINE: Duration = Duration::from_secs(30);

/// A folder with a state database and tables.
pub struct World {
    pub folder: tempfile::TempDir,
    pub ground: Ground,
    pub told: tokio::sync::broadcast::Receiver<Arc<Told>>,
    pub notices: Vec<String>,
}

/// A table that is being watched.
pub struct Running {
    pub table: Arc<Table>,
    pub tasks: JoinSet<Result<(), SourceError>>,
    pub stop: CancellationToken,
}

impl World {
    pub async fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let ground = ground(&folder.path().join("state.db")).await;
        World { told: ground.timeline.follow(), folder, ground, notices: Vec::new() }
    }

    /// The state as another process of dropwire would find it.
    pub async fn restart(&mut self) {
        self.ground = ground(&self.folder.path().join("state.db")).await;
        self.told = self.ground.timeline.follow();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn spec(&self, name: &str, keys: &[(&str, KeyKind)]) -> TableSpec {
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

    pub fn orders(&self) -> TableSpec {
        self.spec("orders", &[("orderId", KeyKind::S)])
    }

    pub async fn start(&self, spec: TableSpec) -> Running {
        let table = Table::open(spec, self.ground.clone()).await.expect("the table opens");
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        tasks.spawn(table.clone().run(stop.clone()));
        assert!(real::within(DEADLINE, table.ready()).await.is_some(), "ready in time");
        Running { table, tasks, stop }
    }

    pub async fn refused(&self, spec: TableSpec) -> String {
        match Table::open(spec, self.ground.clone()).await {
            Ok(_) => panic!("it opened"),
            Err(error) => error.to_string(),
        }
    }

    /// Runs SQL on the file as another program would.
    pub async fn sql(&self, sql: &str) {
        let options =
            sqlx::sqlite::SqliteConnectOptions::new().filename(self.path("shop.db")).create_if_missing(true);
        let mut other = options.busy_timeout(Duration::from_secs(10)).connect().await.expect("connected");
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut other).await.expect(sql);
        other.close().await.expect("closed");
    }

    pub async fn count(&self, sql: &str) -> i64 {
        let mut other =
            file::connect(&self.path("shop.db"), Duration::from_secs(10)).await.expect("connected");
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut other).await.expect(sql)
    }

    /// The records stored so far, in order.
    pub async fn records(&self) -> Vec<Value> {
        let rows =
            sqlx::query("SELECT record FROM event ORDER BY no").fetch_all(self.ground.store.read()).await;
        let parse = |row: &sqlx::sqlite::SqliteRow| {
            serde_json::from_str(row.get("record")).expect("a record is JSON")
        };
        rows.expect("events").iter().map(parse).collect()
    }

    /// The records as `INSERT {"orderId":{"S":"o-1"}}`.
    pub async fn shown(&self) -> Vec<String> {
        let show = |record: &Value| {
            format!("{} {}", record["eventName"].as_str().unwrap_or("?"), record["dynamodb"]["Keys"])
        };
        self.records().await.iter().map(show).collect()
    }

    /// Waits until this many records are there, and returns them.
    pub async fn until(&self, count: usize) -> Vec<Value> {
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
    pub async fn until_said(&mut self, words: &str) {
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

    pub async fn until_log_is_short(&self) {
        let wait = async {
            while self.count("SELECT count(*) FROM dropwire_log WHERE done = 0").await > 0 {
                real::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(real::within(DEADLINE, wait).await.is_some(), "the log is trimmed in time");
    }
}

pub async fn ground(state: &Path) -> Ground {
    let clock = Clock::frozen_at(Timestamp::from_millis(1_617_403_023_187));
    let timeline = Timeline::default();
    let store = Store::open(state).await.expect("a store");
    let queue = Queue::open(store.clone(), clock.clone(), timeline.clone()).await.expect("a queue");
    let random = Random::from_entropy();
    Ground { place: Place::default(), clock, random, timeline, outlet: Outlet::into(queue), store }
}

impl Running {
    pub async fn stop(mut self) {
        self.stop.cancel();
        assert!(real::within(DEADLINE, self.tasks.join_next()).await.is_some(), "stops in time");
    }
    /// As a kill would end it: at whatever await it is.
    pub async fn kill(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Whether `sqlite3` is there; says so if not.
pub fn has_shell() -> bool {
    let found = Command::new("sqlite3").arg("--version").output().is_ok_and(|out| out.status.success());
    if !found {
        // Past the test harness, which would keep it to itself.
        let said =
            writeln!(std::io::stderr(), "skipped: a test needs the sqlite3 program, which is not there");
        said.expect("stderr is open");
    }
    found
}

pub fn shell(file: &Path, sql: &str) {
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
pub fn replay(records: &[Value]) -> BTreeMap<String, Value> {
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
pub fn check_numbering(records: &[Value]) {
    let ids: std::collections::BTreeSet<String> =
        records.iter().map(|record| record["eventID"].to_string()).collect();
    assert_eq!(ids.len(), records.len(), "each record has its own id");
    let number =
        |record: &Value| record["dynamodb"]["SequenceNumber"].as_str().and_then(|n| n.parse::<u128>().ok());
    assert!(records.windows(2).all(|pair| number(&pair[0]) < number(&pair[1])), "sequence numbers grow");
}
