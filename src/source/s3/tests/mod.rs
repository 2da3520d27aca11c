//! Whole buckets on real folders with the real database. Tests wait until something is so, with a deadline.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::Row;
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;
use tokio::task::JoinSet;

use super::*;
use crate::clock::{Timestamp, real};
use crate::config::Origin;
use crate::delivery::queue::Queue;
use crate::source::s3::order::{Act, Versioning};
use crate::timeline::{Moment, Told};

mod blind;
mod deeds;
mod devices;
mod files;
mod flights;
mod folders;
mod lifecycles;
mod listings;
mod load;
mod offline;
mod orders;
mod puts;

/// How long a test waits for anything.
const DEADLINE: Duration = Duration::from_secs(60);

type Running = (Arc<Bucket>, JoinSet<Result<(), SourceError>>);

/// One state directory and one folder, in which buckets come and go.
struct World {
    dir: TempDir,
    clock: Clock,
    store: Store,
    outlet: Outlet,
    timeline: Timeline,
    told: Receiver<Arc<Told>>,
    spec: BucketSpec,
    polled: bool,
    running: Option<Running>,
}

impl World {
    /// A world with an empty folder; nothing runs yet.
    async fn new() -> World {
        World::at(Clock::system()).await
    }

    async fn at(clock: Clock) -> World {
        let dir = TempDir::new().expect("a folder");
        let folder = dir.path().join("project/buckets/inbox");
        std::fs::create_dir_all(&folder).expect("makes the folder");
        let store = Store::open(&dir.path().join("state.db")).await.expect("opens");
        let timeline = Timeline::default();
        let queue = Queue::open(store.clone(), clock.clone(), timeline.clone()).await.expect("opens");
        let spec = BucketSpec {
            name: "inbox".into(),
            folder,
            emit_existing: false,
            ignore: vec!["*.tmp".into(), ".git".into()],
            allow_overlap: false,
            origin: Origin { file: "dropwire.toml".into(), line: 12 },
        };
        let (outlet, told) = (Outlet::into(queue), timeline.follow());
        World { dir, clock, store, outlet, timeline, told, spec, polled: false, running: None }
    }

    /// A world whose bucket is ready.
    async fn running() -> World {
        let mut world = World::new().await;
        world.start().await;
        world
    }

    fn ground(&self) -> Ground {
        Ground {
            place: Place::default(),
            clock: self.clock.clone(),
            random: Random::seeded(1),
            timeline: self.timeline.clone(),
            outlet: self.outlet.clone(),
            store: self.store.clone(),
            event_version: "2.6".into(),
        }
    }

    async fn start(&mut self) {
        let open = if self.polled { Bucket::open_polled } else { Bucket::open };
        let bucket = open(self.spec.clone(), self.ground()).expect("opens");
        let mut tasks = JoinSet::new();
        tasks.spawn(bucket.clone().run(CancellationToken::new()));
        real::within(DEADLINE, bucket.ready()).await.expect("gets ready");
        self.running = Some((bucket, tasks));
    }

    async fn keep_versions(&self, versioning: Versioning) {
        self.order("", Act::KeepVersions(versioning)).await.expect("is kept");
    }

    /// Ends the bucket in the middle of whatever it does.
    async fn kill(&mut self) {
        if let Some((_, mut tasks)) = self.running.take() {
            tasks.shutdown().await;
        }
    }

    fn bucket(&self) -> &Arc<Bucket> {
        &self.running.as_ref().expect("runs").0
    }

    fn path(&self, key: &str) -> PathBuf {
        self.spec.folder.join(key)
    }

    fn write(&self, key: &str, content: &str) {
        std::fs::write(self.path(key), content).expect("writes");
    }

    fn mkdir(&self, key: &str) {
        std::fs::create_dir_all(self.path(key)).expect("makes folders");
    }

    /// Runs a shell command in the folder.
    fn sh(&self, command: &str) {
        let done =
            std::process::Command::new("sh").arg("-ec").arg(command).current_dir(&self.spec.folder).output();
        let done = done.expect("sh runs");
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// All events so far: `Put key` or `Delete key`.
    async fn events(&self) -> Vec<String> {
        let rows =
            sqlx::query("SELECT name, subject FROM event ORDER BY no").fetch_all(self.store.read()).await;
        let rows = rows.expect("reads");
        let word = |name: &str| name.split(':').nth(1).expect("a name in two parts").to_owned();
        rows.iter().map(|row| format!("{} {}", word(row.get(0)), row.get::<&str, _>(1))).collect()
    }

    async fn records(&self, key: &str) -> Vec<serde_json::Value> {
        let sql = "SELECT record FROM event WHERE subject = ?1 ORDER BY no";
        let rows = sqlx::query(sql).bind(key).fetch_all(self.store.read()).await.expect("reads");
        let record = |text: &str| crate::event::Record::element(text.into()).value();
        rows.iter().map(|row| record(row.get::<&str, _>(0))).collect()
    }

    /// Waits until `is_so` of the events.
    async fn until(&self, what: &str, is_so: impl Fn(&[String]) -> bool) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let events = self.events().await;
            if is_so(&events) {
                return events;
            }
            let tail = &events[events.len().saturating_sub(20)..];
            assert!(begun.elapsed() < DEADLINE, "never {what}; {} events, last: {tail:?}", events.len());
            real::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until everything that happened before was told: a file made and removed now has its removal told
    /// after those of all others. Returns the events without that file's, sorted, and clears the table.
    async fn all(&self) -> Vec<String> {
        let fence = format!("fence-{}", self.bucket().ground.random.number());
        let (put, delete) = (format!("Put {fence}"), format!("Delete {fence}"));
        self.write(&fence, "x");
        self.until(&put, |events| events.contains(&put)).await;
        std::fs::remove_file(self.path(&fence)).expect("removes");
        let mut events = self.until(&delete, |events| events.contains(&delete)).await;
        events.retain(|event| !event.contains("fence-"));
        events.sort();
        events
    }

    /// Checks that these events came, each so often, and no others.
    async fn check(&self, expected: &[&str]) {
        let mut expected: Vec<&str> = expected.to_vec();
        expected.sort_unstable();
        let count =
            |all: &mut dyn Iterator<Item = &str>, event: &str| all.filter(|seen| *seen == event).count();
        let wanted = |events: &[String]| {
            expected.iter().all(|event| {
                count(&mut events.iter().map(String::as_str), event)
                    >= count(&mut expected.iter().copied(), event)
            })
        };
        self.until(&format!("{expected:?}"), wanted).await;
        assert_eq!(self.all().await, expected);
    }

    /// Waits for a notice that contains `word` and returns it.
    async fn notice(&mut self, word: &str) -> String {
        let told = &mut self.told;
        let found = async {
            loop {
                if let Moment::Notice { text, .. } = &told.recv().await.expect("the timeline goes on").moment
                    && text.contains(word)
                {
                    return text.clone();
                }
            }
        };
        real::within(DEADLINE, found).await.unwrap_or_else(|| panic!("no notice says {word}"))
    }
}

fn etag_of(content: &str) -> String {
    use md5::Digest;
    hex::encode(md5::Md5::digest(content))
}
