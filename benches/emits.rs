//! Durable emits a second with 64 producers, beside a bare batched SQLite insert of the same bytes.
//!
//! Run with `cargo bench --bench emits`. Prints the median of five runs of each, taken in turn.

use std::time::{Duration, Instant};

use dropwire::arn::Arn;
use dropwire::clock::Clock;
use dropwire::delivery::queue::Queue;
use dropwire::event::{Event, EventId, Record};
use dropwire::source::Outlet;
use dropwire::store::Store;
use dropwire::timeline::Timeline;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection};

const EVENTS: usize = 20_000;
const PRODUCERS: usize = 64;
/// What a bare writer puts into one transaction: as many as the producers have under way.
const BATCH: usize = PRODUCERS;
const BODY: usize = 400;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        ours.push(EVENTS as f64 / runtime.block_on(emits()).as_secs_f64());
        bare.push(EVENTS as f64 / runtime.block_on(inserts()).as_secs_f64());
    }
    let (ours, bare) = (median(ours), median(bare));
    println!("durable emits        {ours:>9.0}/s   ({PRODUCERS} producers, {BODY}-byte records)");
    println!(
        "bare batched inserts {bare:>9.0}/s   ({BATCH} rows a transaction, same bytes, same durability)"
    );
    println!("share                {:>9.2}", ours / bare);
}

async fn emits() -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&folder.path().join("state.db")).await.expect("a store");
    let queue = Queue::open(store.clone(), Clock::system(), Timeline::default()).await.expect("a queue");
    let outlet = Outlet::into(queue);
    let begun = Instant::now();
    let mut producers = tokio::task::JoinSet::new();
    for producer in 0..PRODUCERS {
        let outlet = outlet.clone();
        producers.spawn(async move {
            for i in 0..EVENTS / PRODUCERS {
                outlet.emit(event(i, &format!("{producer}/{i}"))).await.expect("an emit");
            }
        });
    }
    producers.join_all().await;
    let took = begun.elapsed();
    store.close().await;
    took
}

fn event(order: usize, key: &str) -> Event {
    Event {
        id: EventId::in_order(order as u64, &[key]),
        source: Arn::bucket("uploads"),
        name: "ObjectCreated:Put".into(),
        subject: key.into(),
        occurred_at: Clock::system().now(),
        lane: None,
        cause: None,
        record: Record::element(format!("{{\"body\":\"{}\"}}", "x".repeat(BODY))),
    }
}

async fn inserts() -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("bare.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = SqliteConnection::connect_with(&options).await.expect("a database");
    let create = "CREATE TABLE event (no INTEGER PRIMARY KEY, natural BLOB, source TEXT, name TEXT, subject TEXT, record TEXT)";
    sqlx::query(create).execute(&mut connection).await.expect("a table");
    let rows = vec!["(?,?,?,?,?)"; BATCH].join(",");
    let sql = format!("INSERT INTO event (natural, source, name, subject, record) VALUES {rows}");
    let begun = Instant::now();
    for batch in 0..EVENTS / BATCH {
        let events: Vec<Event> = (0..BATCH).map(|i| event(batch, &format!("{batch}/{i}"))).collect();
        let mut transaction = connection.begin().await.expect("a transaction");
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql.clone()));
        for event in &events {
            query = query.bind(event.id.0.to_vec()).bind(event.source.as_str()).bind(event.name.as_str());
            query = query.bind(event.subject.as_str()).bind(event.record.text());
        }
        query.execute(&mut *transaction).await.expect("an insert");
        transaction.commit().await.expect("a commit");
    }
    begun.elapsed()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
