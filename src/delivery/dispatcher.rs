//! The dispatcher: one loop a target that takes what is due, attempts it and settles it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
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
    queue: Arc<Queue>,
    clock: Clock,
    timeline: Timeline,
    stop: CancellationToken,
    loops: Mutex<Loops>,
}

#[derive(Default)]
struct Loops {
    tasks: JoinSet<()>,
    /// The running loop's token, by target.
    by_target: HashMap<Arn, (CancellationToken, Arc<dyn Target>)>,
}

/// How long running attempts may take to end when dropwire stops.
const STOP_MAX: Duration = Duration::from_secs(2);

impl Dispatcher {
    /// A dispatcher without targets.
    pub fn new(queue: Arc<Queue>, clock: Clock, timeline: Timeline) -> Dispatcher {
        Dispatcher { queue, clock, timeline, stop: CancellationToken::new(), loops: Mutex::default() }
    }

    /// From now on these are the targets. What runs for others ends its attempt; what waits keeps waiting.
    pub fn serve(&self, targets: Vec<(Arn, Arc<dyn Target>)>) {
        let mut loops = self.loops.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut old = std::mem::take(&mut loops.by_target);
        while loops.tasks.try_join_next().is_some() {}
        for (arn, target) in targets {
            // A target that is the same keeps its loop, and what runs in it.
            let is_same = old.get(&arn).is_some_and(|(_, known)| Arc::ptr_eq(known, &target));
            if is_same && let Some(kept) = old.remove(&arn) {
                loops.by_target.insert(arn, kept);
                continue;
            }
            let stop = self.stop.child_token();
            loops.by_target.insert(arn.clone(), (stop.clone(), target.clone()));
            let shell = Loop {
                queue: self.queue.clone(),
                clock: self.clock.clone(),
                timeline: self.timeline.clone(),
                arn,
                target,
                running: JoinSet::new(),
            };
            loops.tasks.spawn(shell.run(stop));
        }
        old.into_values().for_each(|(token, _)| token.cancel());
    }

    /// Takes nothing more, and waits for what runs, for a while. What is cut off waits again at the next start.
    pub async fn stop(&self) {
        self.stop.cancel();
        let mut tasks = {
            let mut loops = self.loops.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            std::mem::take(&mut loops.tasks)
        };
        real::within(STOP_MAX, async { while tasks.join_next().await.is_some() {} }).await;
    }
}

/// The loop of one target.
struct Loop {
    queue: Arc<Queue>,
    clock: Clock,
    timeline: Timeline,
    arn: Arn,
    target: Arc<dyn Target>,
    running: JoinSet<()>,
}

impl Loop {
    async fn run(mut self, stop: CancellationToken) {
        let bell = self.queue.bell(&self.arn);
        loop {
            if stop.is_cancelled() {
                break;
            }
            if let Err(error) = self.step().await {
                self.timeline.notice(
                    self.clock.now(),
                    "error",
                    format!("{}: {error}; trying again", self.arn.name()),
                );
                tokio::select! { () = real::sleep(UNWRITTEN_PAUSE) => {}, () = stop.cancelled() => {} }
            }
            if self.queue.write_unwritten().await {
                tokio::select! { () = real::sleep(UNWRITTEN_PAUSE) => {}, () = stop.cancelled() => {} }
                continue;
            }
            let due = self.queue.next_due(&self.arn);
            let alarm = async {
                match due {
                    Some(due) => self.clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = bell.notified() => {}
                Some(_) = self.running.join_next() => {}
                // While all slots are taken, what falls due has to wait for one.
                () = alarm, if self.running.len() < self.target.concurrency() => {}
                () = stop.cancelled() => break,
            }
        }
        // The ring that came last may have been for whoever follows.
        bell.notify_one();
        // What runs on is waited for; its outcome is settled as ever.
        while self.running.join_next().await.is_some() {}
    }

    /// Starts as many attempts as there is work and room for.
    async fn step(&mut self) -> Result<(), StoreError> {
        while self.running.try_join_next().is_some() {}
        self.start_attempts();
        while self.queue.refill(&self.arn).await? {
            self.start_attempts();
        }
        Ok(())
    }

    fn start_attempts(&mut self) {
        while self.running.len() < self.target.concurrency() {
            let Some(parcel) = self.queue.take(&self.arn) else {
                break;
            };
            let (queue, target) = (self.queue.clone(), self.target.clone());
            let (timeline, clock) = (self.timeline.clone(), self.clock.clone());
            self.running.spawn(async move {
                if timeline.is_followed() {
                    timeline.note(clock.now(), started(&parcel));
                }
                let outcome = match too_large(&parcel) {
                    None => target.attempt(&parcel).await,
                    Some(failure) => Outcome::Failed(failure),
                };
                queue.settle(parcel, outcome).await;
            });
        }
    }
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
        function: parcel.wire.target.name().to_owned(),
        wire: parcel.wire.id.clone(),
        batch: parcel.deliveries.len(),
        attempt: parcel.attempt(),
        request_id: parcel.request_id(),
    }
}
