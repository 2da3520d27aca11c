//! What thousands of wires cost: to wire them, to wire one more, to start again, in memory, and while they deliver.
//!
//! Run with `cargo bench --bench wires`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use dropwire::arn::{Arn, Place};
use dropwire::clock::Clock;
use dropwire::delivery::dispatcher::Dispatcher;
use dropwire::delivery::policy::AsyncPolicy;
use dropwire::delivery::queue::Queue;
use dropwire::delivery::{Outcome, Parcel, Reply, Target};
use dropwire::event::Event;
use dropwire::store::Store;
use dropwire::timeline::Timeline;
use dropwire::wire::Wire;

/// Takes everything at once.
struct Sink(AtomicU64);

#[async_trait]
impl Target for Sink {
    async fn attempt(&self, _parcel: &Parcel) -> Outcome {
        self.0.fetch_add(1, Ordering::Relaxed);
        Outcome::Done(Reply::default())
    }
    fn concurrency(&self) -> usize {
        10
    }
}

fn function(number: usize) -> Arn {
    Arn::function(&Place::default(), &format!("function-{number:04}"))
}

/// The asynchronous wires of so many functions; `to` is where their failures go.
fn wires(count: usize, to: &Arn) -> Vec<Wire> {
    let queue = Some(Arn::queue(&Place::default(), "dead"));
    let topic = Some(to.clone());
    let wire = |n| Wire::asynchronous(function(n), AsyncPolicy::lambda(), queue.clone(), topic.clone(), None);
    (0..count).map(wire).collect()
}

/// Resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

struct World {
    queue: Arc<Queue>,
    dispatcher: Dispatcher,
    sink: Arc<Sink>,
    store: Store,
}

async fn open(folder: &std::path::Path) -> World {
    let (clock, timeline) = (Clock::system(), Timeline::default());
    let store = Store::open(&folder.join("state.db")).await.expect("a store");
    let queue = Queue::open(store.clone(), clock.clone(), timeline.clone()).await.expect("a queue");
    let dispatcher = Dispatcher::new(queue.clone(), clock, timeline);
    World { queue, dispatcher, sink: Arc::new(Sink(AtomicU64::new(0))), store }
}

impl World {
    fn serve(&self, count: usize) {
        let target = |n| (function(n), self.sink.clone() as Arc<dyn Target>);
        self.dispatcher.serve((0..count).map(target).collect());
    }
    /// Invokes as many functions in turn, by 64 callers; the time until all is delivered.
    async fn invoke(&self, functions: usize, times: usize) -> Duration {
        let begun = Instant::now();
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..64 {
            let queue = self.queue.clone();
            callers.spawn(async move {
                for i in 0..times / 64 {
                    let now = Clock::system().now();
                    let (to, id) = (function((caller * 31 + i) % functions), format!("{caller}/{i}"));
                    let event = Event::invocation(to, &id, format!("\"{}\"", "x".repeat(400)), now);
                    queue.emit(vec![event], Vec::new()).await.expect("an emit");
                }
            });
        }
        callers.join_all().await;
        self.queue.quiet().await;
        begun.elapsed()
    }
}

async fn measured(count: usize, to: &Arn) {
    const TIMES: usize = 20_032;
    let folder = tempfile::tempdir().expect("a folder");
    let before = resident();
    let world = open(folder.path()).await;
    let begun = Instant::now();
    world.queue.rewire(wires(count, to)).await.expect("wires");
    world.serve(count);
    let first = begun.elapsed();
    let memory = resident().saturating_sub(before);
    let (more, mut rewired) = (wires(count + 20, to), Vec::new());
    for added in 1..=20 {
        let next = more[..count + added].to_vec();
        let begun = Instant::now();
        world.queue.rewire(next).await.expect("wires");
        rewired.push(begun.elapsed());
    }
    rewired.sort();
    world.serve(count);
    let took = world.invoke(count, TIMES).await;
    assert_eq!(world.sink.0.load(Ordering::Relaxed), TIMES as u64);
    let busy = resident().saturating_sub(before);
    world.dispatcher.stop().await;
    world.store.close().await;
    let begun = Instant::now();
    let again = open(folder.path()).await;
    again.queue.rewire(wires(count, to)).await.expect("wires");
    again.serve(count);
    let restart = begun.elapsed();
    println!(
        "{count:>5} functions, {:>5} wires: first wired in {first:.1?}, a start {restart:.1?}, \
         one more {:.2?} (at most {:.2?}), {memory} KiB idle, {busy} KiB after {TIMES} invocations at {:.0}/s",
        again.queue.wires().all().count(),
        rewired[10],
        rewired[19],
        TIMES as f64 / took.as_secs_f64(),
    );
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let (queue, topic) = (Arn::queue(&Place::default(), "q"), Arn::topic(&Place::default(), "t"));
        for count in [1, 10, 1000, 10_000] {
            measured(count, &queue).await;
        }
        measured(1000, &topic).await;
    });
}
