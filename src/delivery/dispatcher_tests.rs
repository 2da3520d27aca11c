//! Targets that may not run, that are not there, and wires that go while something is on its way.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::dispatcher::Dispatcher;
use super::policy::AsyncPolicy;
use super::queue::Queue;
use super::{Failure, Outcome, Parcel, Target, Throttle};
use crate::arn::{Arn, Place};
use crate::clock::{Clock, Timestamp};
use crate::event::Event;
use crate::store::Store;
use crate::timeline::Timeline;
use crate::wire::Wire;

/// Answers as it is told, after the gate has been opened as often as it is asked.
struct Gated {
    answer: Outcome,
    entered: Notify,
    gate: Notify,
    asked: Mutex<Vec<String>>,
    concurrency: usize,
}

impl Gated {
    fn answering(answer: Outcome, concurrency: usize) -> Arc<Gated> {
        let (entered, gate, asked) = (Notify::new(), Notify::new(), Mutex::default());
        Arc::new(Gated { answer, entered, gate, asked, concurrency })
    }
    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a lock").clone()
    }
}

#[async_trait]
impl Target for Gated {
    async fn attempt(&self, parcel: &Parcel) -> Outcome {
        self.asked.lock().expect("a lock").push(parcel.wire.id.clone());
        self.entered.notify_one();
        self.gate.notified().await;
        self.answer.clone()
    }
    fn concurrency(&self) -> usize {
        self.concurrency
    }
}

struct World {
    _folder: tempfile::TempDir,
    queue: Arc<Queue>,
    dispatcher: Dispatcher,
    store: Store,
}

fn function() -> Arn {
    Arn::function(&Place::default(), "f")
}

fn topic() -> Arn {
    Arn::topic(&Place::default(), "t")
}

/// No retries; failures go to a topic, events to a queue.
fn wire() -> Wire {
    let policy = AsyncPolicy { retries: 0, ..AsyncPolicy::lambda() };
    let dead = Arn::queue(&Place::default(), "dead");
    Wire::asynchronous(function(), policy, Some(dead), Some(topic()), None)
}

async fn world() -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, timeline) = (Clock::frozen_at(Timestamp::from_millis(0)), Timeline::default());
    let store = Store::open(&folder.path().join("state.db")).await.expect("a store");
    let queue = Queue::open(store.clone(), clock.clone(), timeline.clone()).await.expect("a queue");
    queue.rewire(vec![wire()]).await.expect("wires");
    let dispatcher = Dispatcher::new(queue.clone(), clock, timeline);
    World { _folder: folder, queue, dispatcher, store }
}

impl World {
    async fn invoke(&self) {
        let event = Event::invocation(function(), "r1", "{}".into(), Timestamp::from_millis(0));
        self.queue.emit(vec![event], Vec::new()).await.expect("an emit");
    }
    async fn quiet(&self) {
        let quiet = crate::clock::real::within(std::time::Duration::from_secs(20), self.queue.quiet()).await;
        assert!(quiet.is_some(), "it never settles: {}", self.queue.in_words());
    }
    /// Each delivery: its wire, its state, its attempts.
    async fn deliveries(&self) -> Vec<(String, i64, i64)> {
        const ALL: &str = "SELECT w.id, d.state, d.attempts FROM delivery d JOIN wire w ON w.no = d.wire
             ORDER BY d.id";
        sqlx::query_as(ALL).fetch_all(self.store.read()).await.expect("deliveries")
    }
    async fn letter(&self) -> (String, String) {
        const ONE: &str = "SELECT reason, error FROM dead";
        sqlx::query_as(ONE).fetch_one(self.store.read()).await.expect("a letter")
    }
}

const FAILED: i64 = 3;
const DONE: i64 = 2;
const WAITS: i64 = 0;

fn row(wire: &str, state: i64, attempts: i64) -> (String, i64, i64) {
    (wire.to_owned(), state, attempts)
}

#[tokio::test]
async fn a_function_that_may_never_run_is_asked_once_and_given_up() {
    let world = world().await;
    let never = Gated::answering(Outcome::Throttled(Throttle::Zero), 0);
    let board = Gated::answering(Outcome::Done(super::Reply::default()), 1);
    never.gate.notify_one();
    board.gate.notify_one();
    world.dispatcher.serve(vec![(function(), never.clone() as _), (topic(), board.clone() as _)]);
    world.invoke().await;
    world.quiet().await;
    assert_eq!(world.deliveries().await, [row("f/async", FAILED, 0), row("f/on_failure", DONE, 1)]);
    assert_eq!((never.asked().len(), board.asked().len()), (1, 1));
    assert_eq!(world.letter().await.0, "ZeroReservedConcurrency");
}

#[tokio::test]
async fn what_is_for_a_target_that_is_not_there_waits_for_it_and_keeps_nobody_waiting() {
    let world = world().await;
    let works = Gated::answering(Outcome::Done(super::Reply::default()), 1);
    works.gate.notify_one();
    world.dispatcher.serve(Vec::new());
    world.invoke().await;
    world.quiet().await;
    assert_eq!(works.asked().len(), 0);
    world.dispatcher.serve(vec![(function(), works.clone() as _)]);
    works.entered.notified().await;
    world.quiet().await;
    assert_eq!(world.deliveries().await, [row("f/async", DONE, 1)]);
}

#[tokio::test]
async fn what_is_told_when_its_wire_has_gone_waits_for_its_return() {
    let world = world().await;
    let fails = Gated::answering(Outcome::Failed(Failure::default()), 1);
    let board = Gated::answering(Outcome::Done(super::Reply::default()), 1);
    board.gate.notify_one();
    world.dispatcher.serve(vec![(function(), fails.clone() as _), (topic(), board.clone() as _)]);
    world.invoke().await;
    fails.entered.notified().await;
    world.queue.rewire(Vec::new()).await.expect("no wires");
    fails.gate.notify_one();
    // Its end is written down although nobody waits for it.
    while world.deliveries().await.len() < 2 {
        tokio::task::yield_now().await;
    }
    world.quiet().await;
    assert_eq!(world.deliveries().await, [row("f/async", FAILED, 1), row("f/on_failure", WAITS, 0)]);
    world.queue.rewire(vec![wire()]).await.expect("wires");
    board.entered.notified().await;
    world.quiet().await;
    assert_eq!(world.deliveries().await, [row("f/async", FAILED, 1), row("f/on_failure", DONE, 1)]);
    assert_eq!(fails.asked().len(), 1);
}

#[tokio::test]
async fn a_target_that_changes_ends_what_it_runs_and_the_new_one_takes_the_rest() {
    let world = world().await;
    let old = Gated::answering(Outcome::Done(super::Reply::default()), 1);
    let new = Gated::answering(Outcome::Done(super::Reply::default()), 1);
    world.dispatcher.serve(vec![(function(), old.clone() as _)]);
    world.invoke().await;
    old.entered.notified().await;
    world.dispatcher.serve(vec![(function(), new.clone() as _)]);
    let again = Event::invocation(function(), "r2", "{}".into(), Timestamp::from_millis(0));
    world.queue.emit(vec![again], Vec::new()).await.expect("an emit");
    new.entered.notified().await;
    old.gate.notify_one();
    new.gate.notify_one();
    world.quiet().await;
    assert_eq!(world.deliveries().await, [row("f/async", DONE, 1), row("f/async", DONE, 1)]);
    assert_eq!((old.asked().len(), new.asked().len()), (1, 1));
}
