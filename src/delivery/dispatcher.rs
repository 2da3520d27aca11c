//! The dispatcher: it has what is due attempted and settled, by one loop a target.
//!
//! A target that has nothing to do has no loop. When something comes for it, the queue rings at the door; its keeper
//! starts a loop, which ends when there is nothing left to do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::policy::DeliveryPolicy;
use super::queue::{Queue, StoreError, UNWRITTEN_PAUSE};
use super::{Failure, Outcome, Parcel, Report, Target};
use crate::arn::Arn;
use crate::clock::{Clock, real};
use crate::timeline::{Moment, Timeline};

/// Runs the deliveries of all targets.
pub struct Dispatcher {
    ground: Ground,
    targets: Arc<Mutex<Targets>>,
    stop: CancellationToken,
    keeper: Mutex<JoinSet<()>>,
}

/// What a loop needs from the world.
#[derive(Clone)]
struct Ground {
    queue: Arc<Queue>,
    clock: Clock,
    timeline: Timeline,
    /// Cancelled when what still runs is cut off.
    cut: CancellationToken,
}

type Targets = HashMap<Arn, Arc<dyn Target>>;

/// How long running attempts may take to end when dropwire stops.
const STOP_MAX: Duration = Duration::from_secs(2);

/// How long a loop that has nothing to do stays, in real time.
const LINGER: Duration = Duration::from_millis(100);

impl Dispatcher {
    /// A dispatcher without targets.
    pub fn new(queue: Arc<Queue>, clock: Clock, timeline: Timeline) -> Dispatcher {
        Dispatcher {
            ground: Ground { queue, clock, timeline, cut: CancellationToken::new() },
            targets: Arc::default(),
            stop: CancellationToken::new(),
            keeper: Mutex::default(),
        }
    }

    /// From now on these are the targets. What runs for others ends its attempt; what waits keeps waiting.
    pub fn serve(&self, targets: Vec<(Arn, Arc<dyn Target>)>) {
        *locked(&self.targets) = targets.into_iter().collect();
        let queue = &self.ground.queue;
        queue.none_is_missing();
        let mut keeper = locked(&self.keeper);
        if keeper.is_empty() && !self.stop.is_cancelled() {
            let door = queue.door();
            let (ground, targets) = (self.ground.clone(), self.targets.clone());
            let loops = JoinSet::new();
            let shell = Keeper { ground, targets, stop: self.stop.clone(), loops, running: HashMap::new() };
            keeper.spawn(shell.run(door));
        }
        queue.door().notify_one();
    }

    /// Takes nothing more, and waits for what runs, for a while. What is cut off waits again at the next start.
    pub async fn stop(&self) {
        self.stop.cancel();
        let mut keeper = std::mem::take(&mut *locked(&self.keeper));
        let ended = async { while keeper.join_next().await.is_some() {} };
        tokio::pin!(ended);
        if real::within(STOP_MAX, &mut ended).await.is_none() {
            self.ground.cut.cancel();
            ended.await;
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Starts the loops, and ends those of targets that have changed.
struct Keeper {
    ground: Ground,
    targets: Arc<Mutex<Targets>>,
    stop: CancellationToken,
    loops: JoinSet<()>,
    /// The loops that were started and not told to end; some have ended by themselves.
    running: HashMap<Arn, (CancellationToken, Arc<dyn Target>)>,
}

impl Keeper {
    async fn run(mut self, door: Arc<Notify>) {
        loop {
            self.step();
            tokio::select! {
                () = door.notified() => {}
                Some(_) = self.loops.join_next() => {}
                () = self.stop.cancelled() => break,
            }
        }
        while self.loops.join_next().await.is_some() {}
    }

    fn step(&mut self) {
        while self.loops.try_join_next().is_some() {}
        let queue = self.ground.queue.clone();
        let changed: Vec<Arn> = {
            let targets = locked(&self.targets);
            let is_same = |arn: &Arn, old: &Arc<dyn Target>| {
                targets.get(arn).is_some_and(|target| Arc::ptr_eq(target, old))
            };
            self.running
                .iter()
                .filter(|(arn, (_, old))| !is_same(arn, old))
                .map(|(arn, _)| arn.clone())
                .collect()
        };
        for arn in changed {
            if let Some((token, _)) = self.running.remove(&arn) {
                token.cancel();
            }
            // Whoever follows is rung for at the door.
            queue.forsake(&arn);
        }
        // Who left has no bell, so what came after that has rung here.
        let rung = queue.unattended();
        self.running.retain(|arn, _| queue.is_attended(arn));
        let waiting = queue.targets_in_line().into_iter().filter(|arn| !rung.contains(arn));
        let waiting: Vec<Arn> = waiting.filter(|arn| !self.running.contains_key(arn)).collect();
        for arn in rung.into_iter().chain(waiting) {
            if self.running.contains_key(&arn) {
                continue;
            }
            let target = locked(&self.targets).get(&arn).cloned();
            match target {
                Some(target) => self.start(arn, target),
                None => queue.is_missing(&arn),
            }
        }
    }

    fn start(&mut self, arn: Arn, target: Arc<dyn Target>) {
        let stop = self.stop.child_token();
        let bell = self.ground.queue.attend(&arn);
        self.running.insert(arn.clone(), (stop.clone(), target.clone()));
        let shell = Loop { ground: self.ground.clone(), arn, target, running: JoinSet::new() };
        self.loops.spawn(shell.run(bell, stop));
    }
}

/// The loop of one target.
struct Loop {
    ground: Ground,
    arn: Arn,
    target: Arc<dyn Target>,
    running: JoinSet<()>,
}

impl Loop {
    async fn run(mut self, bell: Arc<Notify>, stop: CancellationToken) {
        let Ground { queue, clock, timeline, .. } = self.ground.clone();
        let pause = async || {
            tokio::select! { () = real::sleep(UNWRITTEN_PAUSE) => {}, () = stop.cancelled() => {} }
        };
        loop {
            if stop.is_cancelled() {
                break;
            }
            if let Err(error) = self.step().await {
                let text = format!("{}: {error}; trying again", self.arn.name());
                timeline.notice(clock.now(), "error", text);
                pause().await;
            }
            if queue.write_unwritten().await {
                pause().await;
                continue;
            }
            let due = queue.next_due(&self.arn);
            // Events mostly come in swarms.
            let is_idle = self.running.is_empty() && due.is_none();
            let alarm = async {
                match due {
                    Some(due) => clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = bell.notified() => {}
                Some(_) = self.running.join_next() => {}
                // While all slots are taken, what falls due has to wait for one.
                () = alarm, if self.running.len() < self.slots() => {}
                () = real::sleep(LINGER), if is_idle => {
                    if queue.leave(&self.arn, &bell) {
                        return;
                    }
                }
                () = stop.cancelled() => break,
            }
        }
        // What runs on is waited for; its outcome is settled as ever.
        while self.running.join_next().await.is_some() {}
    }

    /// A target that may run nothing is asked all the same: it says so.
    fn slots(&self) -> usize {
        self.target.concurrency().max(1)
    }

    /// Starts as many attempts as there is work and room for.
    async fn step(&mut self) -> Result<(), StoreError> {
        while self.running.try_join_next().is_some() {}
        self.start_attempts();
        while self.ground.queue.refill(&self.arn).await? {
            self.start_attempts();
        }
        Ok(())
    }

    fn start_attempts(&mut self) {
        while self.running.len() < self.slots() {
            let Some(parcel) = self.ground.queue.take(&self.arn) else {
                break;
            };
            let (ground, target) = (self.ground.clone(), self.target.clone());
            self.running.spawn(async move {
                let Ground { queue, clock, timeline, cut } = ground;
                let outcome = match refusal(&parcel, &clock) {
                    Some(outcome) => Some(outcome),
                    None => {
                        timeline.is_followed().then(|| timeline.note(clock.now(), started(&parcel)));
                        cut.run_until_cancelled(target.attempt(&parcel)).await
                    }
                };
                if let Some(outcome) = outcome {
                    queue.settle(parcel, outcome).await;
                }
            });
        }
    }
}

/// What becomes of a parcel that its target does not get to see.
fn refusal(parcel: &Parcel, clock: &Clock) -> Option<Outcome> {
    if parcel.wire.policy.is_too_old(parcel, clock.now()) {
        let born = parcel.first().event.occurred_at;
        return Some(Outcome::Unavailable(format!(
            "not tried: it waited since {born}, too long for this wire"
        )));
    }
    too_large(parcel).map(Outcome::Failed)
}

/// The largest payload of an asynchronous invocation, and of a batch, in bytes (semantics: limits).
const ASYNC_PAYLOAD_MAX: usize = 1024 * 1024;
const BATCH_PAYLOAD_MAX: usize = 6 * 1024 * 1024;

/// What Lambda says instead of running a function with more than it takes.
fn too_large(parcel: &Parcel) -> Option<Failure> {
    let most = match parcel.wire.policy {
        DeliveryPolicy::Async(_) => ASYNC_PAYLOAD_MAX,
        DeliveryPolicy::Stream(_) => BATCH_PAYLOAD_MAX,
    };
    // Records are at least as long as their texts, so most parcels need not be put together to be measured.
    let least: usize = parcel.deliveries.iter().map(|d| d.event.record.text().len()).sum();
    let size = if least + 1024 * parcel.deliveries.len() < most { least } else { parcel.payload().len() };
    (size > most).then(|| {
        let says = format!("the event is too large: {size} bytes, and Lambda takes at most {most}");
        let payload =
            json!({"errorType": "RequestTooLargeException", "errorMessage": says}).to_string().into();
        Failure { summary: says, payload, report: Report::default() }
    })
}

fn started(parcel: &Parcel) -> Moment {
    Moment::Started {
        id: parcel.shown_id(),
        function: parcel.wire.leads_to(),
        wire: parcel.wire.id.clone(),
        batch: parcel.deliveries.len(),
        attempt: parcel.attempt(),
        request_id: parcel.request_id(),
    }
}
