//! The engine under a random life: events come, targets succeed, fail and refuse, destinations are told, the process
//! dies and comes back, the clock moves on. All of it follows from one seed. Then nothing waits, nothing is lost, and
//! nothing was delivered or told twice unless the process died.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::dispatcher::Dispatcher;
use super::policy::{AsyncPolicy, DeliveryPolicy};
use super::queue::Queue;
use super::stream::StreamPolicy;
use super::{Failure, Outcome, Parcel, Reply, Target};
use crate::arn::{Arn, Place};
use crate::clock::{Clock, Timestamp};
use crate::event::{Event, EventId, Record};
use crate::random;
use crate::store::Store;
use crate::timeline::Timeline;
use crate::wire::{Filter, Wire};

/// Wire, subjects, attempt, success.
type Called = (String, Vec<String>, u32, bool);

/// A target whose answer follows from the seed, the wire, the event and the attempt.
struct Moody {
    seed: u64,
    /// What it was given and what it answered, in order: wire, subjects, attempt, success.
    calls: Mutex<Vec<Called>>,
    refusals: Mutex<BTreeMap<String, u32>>,
}

#[async_trait]
impl Target for Moody {
    async fn attempt(&self, parcel: &Parcel) -> Outcome {
        let subjects: Vec<String> = parcel.deliveries.iter().map(|d| d.event.subject.clone()).collect();
        let about = format!("{}{}{subjects:?}{}", self.seed, parcel.wire.id, parcel.attempt());
        let mood = random::digest(&[about.as_bytes()])[0];
        tokio::task::yield_now().await;
        // A refusal passes, or the same mood would refuse for ever.
        let refused =
            *self.refusals.lock().expect("a lock").entry(about.clone()).and_modify(|n| *n += 1).or_insert(0);
        if mood < 40 && refused < 2 {
            return Outcome::Throttled(super::Throttle::Reserved);
        }
        let ok = mood >= 100;
        self.calls.lock().expect("a lock").push((parcel.wire.id.clone(), subjects, parcel.attempt(), ok));
        if ok { Outcome::Done(Reply::default()) } else { Outcome::Failed(Failure::default()) }
    }
    fn concurrency(&self) -> usize {
        3
    }
}

/// A destination: it takes what it is told, at the third time of asking at the latest.
struct Told {
    seed: u64,
    /// What it took: wire and request id.
    taken: Mutex<Vec<(String, String)>>,
    refusals: Mutex<BTreeMap<String, u32>>,
}

#[async_trait]
impl Target for Told {
    async fn attempt(&self, parcel: &Parcel) -> Outcome {
        let id = parcel.request_id();
        let mood = random::digest(&[&self.seed.to_le_bytes(), id.as_bytes()])[0];
        tokio::task::yield_now().await;
        let mut refusals = self.refusals.lock().expect("a lock");
        let refused = *refusals.entry(id.clone()).and_modify(|n| *n += 1).or_insert(0);
        if refused < u32::from(mood % 3) {
            return Outcome::Unavailable("not now".into());
        }
        self.taken.lock().expect("a lock").push((parcel.wire.id.clone(), id));
        Outcome::Done(Reply::default())
    }
    fn concurrency(&self) -> usize {
        2
    }
}

struct World {
    folder: tempfile::TempDir,
    clock: Clock,
    target: Arc<Moody>,
    told: Arc<Told>,
    queue: Arc<Queue>,
    dispatcher: Dispatcher,
    store: Store,
}

/// A function with a topic and a table, which tell a topic and a bucket of failures, and another function of successes.
fn wires() -> Vec<Wire> {
    let place = Place::default();
    let (f, g) = (Arn::function(&place, "f"), Arn::function(&place, "g"));
    let (dead, alarms) = (Arn::queue(&place, "dead"), Arn::topic(&place, "alarms"));
    let next =
        Wire::asynchronous(g.clone(), AsyncPolicy::lambda(), Some(Arn::queue(&place, "last")), None, None);
    let wire = |id: &str, source: Arn, policy, on_failure, on_success| Wire {
        id: id.into(),
        source,
        filter: Filter::All,
        target: f.clone(),
        policy,
        dead_letters: Some(dead.clone()),
        on_failure: Some(on_failure),
        on_success,
        declared_at: String::new(),
    };
    let stream = StreamPolicy { batch: 4, retries: Some(5), bisect: true, ..StreamPolicy::default() };
    let (asynchronous, stream) = (DeliveryPolicy::Async(AsyncPolicy::sns()), DeliveryPolicy::Stream(stream));
    vec![
        wire("f/async", Arn::topic(&place, "t"), asynchronous, alarms, Some(g)),
        wire("f/stream", Arn::table(&place, "t"), stream, Arn::bucket("records"), None),
        next,
    ]
}

impl World {
    async fn begin(folder: tempfile::TempDir, clock: Clock, target: Arc<Moody>, told: Arc<Told>) -> World {
        let place = Place::default();
        let timeline = Timeline::default();
        let store = Store::open(&folder.path().join("state.db")).await.expect("a store");
        let queue = Queue::open(store.clone(), clock.clone(), timeline.clone()).await.expect("a queue");
        queue.rewire(wires()).await.expect("wires");
        let dispatcher = Dispatcher::new(queue.clone(), clock.clone(), timeline);
        dispatcher.serve(vec![
            (Arn::function(&place, "f"), target.clone() as Arc<dyn Target>),
            (Arn::function(&place, "g"), target.clone() as _),
            (Arn::topic(&place, "alarms"), told.clone() as _),
            (Arn::bucket("records"), told.clone() as _),
        ]);
        World { folder, clock, target, told, queue, dispatcher, store }
    }

    /// The process dies: whatever runs is cut off, what is claimed stays so.
    async fn die_and_come_back(self) -> World {
        let World { folder, clock, target, told, queue, dispatcher, store } = self;
        drop((dispatcher, queue));
        store.close().await;
        World::begin(folder, clock, target, told).await
    }

    async fn emit(&self, from: usize, count: usize, source: &Arn) {
        let events = (from..from + count).map(|i| event(source, i, self.clock.now()));
        self.queue.emit(events.collect(), Vec::new()).await.expect("an emit");
    }

    async fn advance(&self, by: Duration) {
        let to = self.clock.now().plus(by);
        let advance = self.clock.advance_to(to, || self.queue.quiet(), || self.queue.next_due_of_all());
        let done = crate::clock::real::within(Duration::from_secs(20), advance).await;
        assert!(done.is_some(), "seed {}: it never settles: {}", self.target.seed, self.queue.in_words());
    }
}

fn event(source: &Arn, number: usize, at: Timestamp) -> Event {
    let subject = format!("{number:04}");
    Event {
        id: EventId::of(&[source.as_str(), &subject]),
        source: source.clone(),
        name: "INSERT".into(),
        subject,
        occurred_at: at,
        lane: None,
        cause: None,
        record: Record::element("{}".into()),
    }
}

async fn live(seed: u64, dies: bool) {
    let place = Place::default();
    let (topic, table) = (Arn::topic(&place, "t"), Arn::table(&place, "t"));
    let chance = random::Random::seeded(seed);
    let target = Arc::new(Moody { seed, calls: Mutex::default(), refusals: Mutex::default() });
    let told = Arc::new(Told { seed, taken: Mutex::default(), refusals: Mutex::default() });
    let clock = Clock::frozen_at(Timestamp::from_millis(0));
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::begin(folder, clock, target.clone(), told).await;
    let mut emitted = 0;
    for _ in 0..25 {
        match chance.number() % 4 {
            0 | 1 => {
                let count = (chance.number() % 9) as usize;
                world.emit(emitted, count, &topic).await;
                world.emit(emitted, count, &table).await;
                emitted += count;
            }
            2 => world.advance(Duration::from_millis(chance.number() % 5000)).await,
            _ if dies => world = world.die_and_come_back().await,
            _ => {
                // The same happening noticed again is not stored again.
                world.emit(0, emitted.min(3), &topic).await;
            }
        }
    }
    world.advance(Duration::from_secs(20_000)).await;
    check_nothing_is_lost(&world, &target, emitted, dies).await;
    check_everything_is_told(&world, dies).await;
}

async fn check_nothing_is_lost(world: &World, target: &Moody, emitted: usize, dies: bool) {
    const STATES: &str = "SELECT w.id, e.subject, d.state, d.attempts FROM delivery d
         JOIN wire w ON w.no = d.wire JOIN event e ON e.no = d.event
         WHERE w.id IN ('f/async', 'f/stream') ORDER BY d.id";
    let rows: Vec<(String, String, i64, i64)> =
        sqlx::query_as(STATES).fetch_all(world.store.read()).await.expect("deliveries");
    assert_eq!(rows.len(), emitted * 2, "seed {}: each event has one delivery a wire", target.seed);
    let calls = target.calls.lock().expect("a lock").clone();
    for (wire, subject, state, attempts) in &rows {
        let mine = calls.iter().filter(|(w, subjects, ..)| w == wire && subjects.contains(subject));
        let succeeded = mine.clone().filter(|(.., ok)| *ok).count();
        let story = format!("seed {}, {wire} {subject}: state {state}, {attempts} attempts", target.seed);
        match state {
            2 => assert!(succeeded == 1 || (dies && succeeded > 1), "{story}: {succeeded} successes"),
            3 => assert!(succeeded == 0 && *attempts >= 4, "{story}: given up too early"),
            _ => panic!("{story}: it still waits"),
        }
    }
    let streamed = calls.iter().filter(|(wire, .., ok)| wire == "f/stream" && *ok);
    let order: Vec<&String> = streamed.flat_map(|(_, subjects, ..)| subjects).collect();
    if !dies {
        assert!(order.is_sorted(), "seed {}: the stream keeps its order: {order:?}", target.seed);
    }
    let given_up = rows.iter().filter(|(_, _, state, _)| *state == 3).count() as i64;
    let letters = "SELECT coalesce(sum(json_array_length(deliveries)), 0) FROM dead WHERE queue = 'dead'";
    let letters: i64 = sqlx::query_scalar(letters).fetch_one(world.store.read()).await.expect("letters");
    assert_eq!(letters, given_up, "seed {}: what is given up has a letter", target.seed);
}

/// Each end has its one event, and that has been taken: failures by the topic and the bucket, successes by the other
/// function, whose own failures are in its queue.
async fn check_everything_is_told(world: &World, dies: bool) {
    let seed = world.target.seed;
    let count = async |sql: &'static str| -> i64 {
        sqlx::query_scalar(sql).fetch_one(world.store.read()).await.expect("a count")
    };
    const WAITING: &str = "SELECT count(*) FROM delivery WHERE state < 2";
    assert_eq!(count(WAITING).await, 0, "seed {seed}: it still waits");
    const LOST: &str = "SELECT count(*) FROM delivery d JOIN wire w ON w.no = d.wire
         WHERE w.id = 'f/async' AND d.state = 3";
    const DONE: &str = "SELECT count(*) FROM delivery d JOIN wire w ON w.no = d.wire
         WHERE w.id = 'f/async' AND d.state = 2";
    const LOST_RECORDS: &str = "SELECT count(*) FROM delivery d JOIN wire w ON w.no = d.wire
         WHERE w.id = 'f/stream' AND d.state = 3";
    const ALARMS: &str =
        "SELECT count(*) FROM event WHERE name = 'OnFailure' AND record ->> 'TopicArn' IS NOT NULL";
    const OBJECTS: &str =
        "SELECT coalesce(sum(record ->> 'Body' ->> '$.DDBStreamBatchInfo.batchSize'), 0) FROM event
         WHERE name = 'OnFailure' AND record ->> 'Bucket' IS NOT NULL";
    const INVOKED: &str = "SELECT count(*) FROM event WHERE name = 'Invoke'";
    assert_eq!(count(ALARMS).await, count(LOST).await, "seed {seed}: a failure is an alarm");
    assert_eq!(
        count(OBJECTS).await,
        count(LOST_RECORDS).await,
        "seed {seed}: what a stream lost is in objects"
    );
    assert_eq!(count(INVOKED).await, count(DONE).await, "seed {seed}: a success is an invocation");
    const LAST: &str = "SELECT count(*) FROM dead WHERE queue = 'last'";
    const LOST_NEXT: &str = "SELECT count(*) FROM delivery d JOIN wire w ON w.no = d.wire
         WHERE w.id = 'g/async' AND d.state = 3";
    assert_eq!(
        count(LAST).await,
        count(LOST_NEXT).await,
        "seed {seed}: the next one's failures have letters"
    );
    const SENT: &str = "SELECT count(*) FROM delivery d JOIN wire w ON w.no = d.wire
         WHERE w.id IN ('f/on_failure', 'f/stream/on_failure') AND d.state = 2";
    const SENDINGS: &str = "SELECT count(*) FROM event WHERE name = 'OnFailure'";
    assert_eq!(count(SENT).await, count(SENDINGS).await, "seed {seed}: what is sent arrives");
    let taken = world.told.taken.lock().expect("a lock").clone();
    let distinct: std::collections::BTreeSet<_> = taken.iter().collect();
    assert_eq!(distinct.len() as i64, count(SENDINGS).await, "seed {seed}: each is taken");
    assert!(dies || distinct.len() == taken.len(), "seed {seed}: none is taken twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_life_loses_an_event_or_delivers_it_twice() {
    for seed in 0..12 {
        live(seed, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_death_loses_an_event() {
    for seed in 100..112 {
        live(seed, true).await;
    }
}
