//! The Telemetry API (and the Logs API before it): extensions get what the platform and the function write, in
//! batches, over HTTP or TCP.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::happening::Happening;
use super::subscription::{Buffering, Destination, Subscription, local};
use super::world::World;
use crate::clock::{Timestamp, real};

/// How many records of a start are kept for those who subscribe late.
const BACKLOG_MAX: usize = 1000;
/// How many records wait for a subscriber at the most.
const WAITING_MAX: usize = 10_000;

/// What is told in one environment, and to whom.
pub struct Telemetry {
    world: Arc<World>,
    state: Mutex<State>,
    /// Whether there is anybody who gets it, or may get it later: asked for every line.
    heard: AtomicBool,
}

#[derive(Default)]
struct State {
    subscribers: Vec<Subscriber>,
    /// What was told before anybody could subscribe; none any more when nobody can.
    backlog: Option<Vec<(&'static str, Value)>>,
}

struct Subscriber {
    /// Whose it is, and what it asked for.
    name: String,
    wanted: Subscription,
    to: mpsc::Sender<Value>,
    dropped: Arc<(AtomicU64, AtomicU64)>,
}

impl Telemetry {
    /// Nobody has subscribed yet; who does before [`Telemetry::close`] gets what was told until then as well.
    pub fn new(world: &Arc<World>) -> Telemetry {
        let state = Mutex::new(State { subscribers: Vec::new(), backlog: Some(Vec::new()) });
        Telemetry { world: Arc::clone(world), state, heard: AtomicBool::new(true) }
    }

    /// Nobody can subscribe any more.
    pub fn close(&self) {
        let mut state = self.state();
        state.backlog = None;
        self.heard.store(!state.subscribers.is_empty(), Ordering::Relaxed);
    }

    /// Whether anybody listens.
    pub fn is_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// From now on what the extension of this name asks for goes to its destination. Asking for the same again changes
    /// nothing, and asking for something else takes its place.
    pub fn subscribe(&self, name: &str, subscription: &Subscription) {
        let mut state = self.state();
        if state.subscribers.iter().any(|one| one.name == name && one.wanted == *subscription) {
            return;
        }
        let before = state.subscribers.len();
        state.subscribers.retain(|one| one.name != name);
        let is_new = state.subscribers.len() == before;
        let (to, records) = mpsc::channel(WAITING_MAX);
        let dropped = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
        let sender = Sender {
            world: Arc::clone(&self.world),
            buffering: subscription.buffering.clone(),
            destination: subscription.destination.clone(),
            dropped: Arc::clone(&dropped),
            stream: None,
        };
        let ending = self.world.ending.clone();
        self.world.spawn(async move {
            ending.run_until_cancelled(sender.run(records)).await;
        });
        let subscriber = Subscriber { name: name.to_owned(), wanted: subscription.clone(), to, dropped };
        // Whoever had another subscription was told of the start by that.
        let backlog = state.backlog.iter().flatten().filter(|_| is_new);
        backlog.for_each(|(kind, record)| subscriber.send(kind, record));
        state.subscribers.push(subscriber);
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Tells what the platform does.
    pub fn tell(&self, happening: &Happening) {
        self.tell_at(happening, real::now());
    }

    /// Tells what the platform did then, in real time.
    pub fn tell_at(&self, happening: &Happening, at: Timestamp) {
        if self.is_heard() {
            self.send("platform", happening.json(at));
        }
    }

    /// Tells a line: of the `function`, or of an `extension`.
    pub fn tell_line(&self, kind: &'static str, line: &str) {
        if self.is_heard() {
            // A line that is JSON by itself is told as that.
            let record = serde_json::from_str::<Value>(line).ok().filter(Value::is_object);
            let record = record.unwrap_or_else(|| Value::from(line));
            self.send(kind, json!({ "time": real::now().to_string(), "type": kind, "record": record }));
        }
    }

    fn send(&self, kind: &'static str, record: Value) {
        let mut state = self.state();
        state.subscribers.iter().for_each(|one| one.send(kind, &record));
        if let Some(backlog) = state.backlog.as_mut().filter(|backlog| backlog.len() < BACKLOG_MAX) {
            backlog.push((kind, record));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber {
    fn send(&self, kind: &str, record: &Value) {
        if self.wanted.types.iter().any(|wanted| wanted == kind) && self.to.try_send(record.clone()).is_err()
        {
            self.dropped.0.fetch_add(1, Ordering::Relaxed);
            let bytes = record.to_string().len();
            self.dropped.1.fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
        }
    }
}

/// Brings records to one subscriber.
struct Sender {
    world: Arc<World>,
    buffering: Buffering,
    destination: Destination,
    dropped: Arc<(AtomicU64, AtomicU64)>,
    stream: Option<TcpStream>,
}

impl Sender {
    /// Until there is nobody who could tell more.
    async fn run(mut self, mut records: mpsc::Receiver<Value>) {
        while let Some(first) = records.recv().await {
            let due = Instant::now() + Duration::from_millis(self.buffering.timeout_ms);
            let mut batch = vec![first.to_string()];
            let mut bytes = batch[0].len();
            while batch.len() < self.buffering.max_items && bytes < self.buffering.max_bytes {
                let left = due.saturating_duration_since(Instant::now());
                let Some(Some(record)) = real::within(left, records.recv()).await else { break };
                let text = record.to_string();
                bytes += text.len();
                batch.push(text);
            }
            let lost = (self.dropped.0.swap(0, Ordering::Relaxed), self.dropped.1.swap(0, Ordering::Relaxed));
            if lost.0 > 0 {
                let dropped = Happening::LogsDropped { records: lost.0, bytes: lost.1 };
                batch.push(dropped.json(real::now()).to_string());
            }
            // Who does not take them loses them, as on AWS.
            self.deliver(&batch).await.ok();
        }
    }

    async fn deliver(&mut self, batch: &[String]) -> std::io::Result<()> {
        if let Some(uri) = self.destination.uri.as_deref().and_then(local) {
            let body = Full::new(Bytes::from(format!("[{}]", batch.join(","))));
            let request = Request::post(uri).header(header::CONTENT_TYPE, "application/json").body(body);
            let request = request.map_err(std::io::Error::other)?;
            let answer = self.world.post_client().request(request).await.map_err(std::io::Error::other)?;
            return answer.into_body().collect().await.map(drop).map_err(std::io::Error::other);
        }
        let mut text = batch.join("\n");
        text.push('\n');
        let port = self.destination.port.unwrap_or_default();
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(("127.0.0.1", port)).await?,
        };
        stream.write_all(text.as_bytes()).await?;
        self.stream = Some(stream);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio::io::{AsyncBufReadExt, BufReader, Lines};
    use tokio::net::TcpListener;

    use super::*;
    use crate::arn::Place;
    use crate::clock::Clock;
    use crate::random::Random;
    use crate::timeline::Timeline;

    fn world(folder: &Path) -> Arc<World> {
        let (clock, timeline) = (Clock::system(), Timeline::default());
        let named = (&Random::seeded(1), folder.to_owned());
        Arc::new(World::new(Place::default(), clock, timeline, named).expect("a world"))
    }

    /// Telemetry of which a listener gets function lines over TCP.
    async fn over_tcp(folder: &Path) -> (Telemetry, TcpListener) {
        let telemetry = Telemetry::new(&world(folder));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let wanted = json!({
            "types": ["function"], "buffering": {"timeoutMs": 25}, "destination": {"protocol": "TCP", "port": port},
        });
        let subscription: Subscription = serde_json::from_value(wanted).expect("a subscription");
        subscription.check().expect("it can be kept");
        telemetry.tell_line("function", "before");
        // Asked for twice, it comes once.
        telemetry.subscribe("watcher", &subscription);
        telemetry.subscribe("watcher", &subscription);
        assert_eq!(telemetry.state().subscribers.len(), 1);
        telemetry.close();
        (telemetry, listener)
    }

    /// The next record that comes.
    async fn next(lines: &mut Lines<BufReader<TcpStream>>) -> Value {
        let line = lines.next_line().await.expect("a connection").expect("a line");
        serde_json::from_str(&line).expect("JSON")
    }

    async fn accepted(listener: &TcpListener) -> Lines<BufReader<TcpStream>> {
        BufReader::new(listener.accept().await.expect("a connection").0).lines()
    }

    #[tokio::test]
    async fn tcp_brings_a_record_a_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let (telemetry, listener) = over_tcp(folder.path()).await;
        telemetry.tell_line("extension", "not asked for");
        telemetry.tell_line("function", "two\nlines");
        telemetry.tell_line("function", r#"{"level":"INFO"}"#);
        let mut lines = accepted(&listener).await;
        for expected in [json!("before"), json!("two\nlines"), json!({"level": "INFO"})] {
            let record = next(&mut lines).await;
            assert_eq!((&record["type"], &record["record"]), (&json!("function"), &expected));
            assert!(record["time"].as_str().and_then(Timestamp::parse).is_some(), "{record}");
        }
        // The same connection goes on.
        telemetry.tell_line("function", "later");
        assert_eq!(next(&mut lines).await["record"], "later");
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_is_opened_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mut sender = Sender {
            world: world(folder.path()),
            buffering: Buffering::default(),
            destination: Destination { protocol: "TCP".to_owned(), uri: None, port: Some(port) },
            dropped: Arc::default(),
            stream: None,
        };
        sender.deliver(&["1".to_owned()]).await.expect("delivered");
        let mut lines = accepted(&listener).await;
        assert_eq!(next(&mut lines).await, 1);
        drop(lines);
        // What is on its way before anybody can know is lost.
        while sender.deliver(&["2".to_owned()]).await.is_ok() {}
        sender.deliver(&["3".to_owned(), "4".to_owned()]).await.expect("delivered");
        let mut lines = accepted(&listener).await;
        assert_eq!([next(&mut lines).await, next(&mut lines).await], [3, 4]);
    }

    #[tokio::test]
    async fn a_subscriber_that_is_too_slow_hears_what_it_has_missed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (telemetry, listener) = over_tcp(folder.path()).await;
        // Nobody takes anything meanwhile: this test has the only thread. One more waits already.
        for _ in 1..WAITING_MAX + 3 {
            telemetry.tell_line("function", "seven b");
        }
        let mut lines = accepted(&listener).await;
        let (mut taken, mut dropped) = (0, Value::Null);
        while taken < WAITING_MAX || dropped.is_null() {
            let record = next(&mut lines).await;
            match record["type"].as_str() {
                Some("platform.logsDropped") => dropped = record["record"].clone(),
                _ => taken += 1,
            }
        }
        let record = json!({"time": real::now().to_string(), "type": "function", "record": "seven b"});
        assert_eq!((taken, &dropped["droppedRecords"]), (WAITING_MAX, &json!(3)));
        assert_eq!(dropped["droppedBytes"], 3 * record.to_string().len());
        assert_eq!(keys(&dropped), ["droppedBytes", "droppedRecords", "reason"]);
        telemetry.tell_line("function", "after");
        assert_eq!(next(&mut lines).await["record"], "after", "it is told once");
    }

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
    }
}
