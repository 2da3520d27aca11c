//! Those who wait for an environment, and when one more is started for them.

use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::starts::Facts;
use super::{Lease, Pool, Refusal, State};
use crate::clock::real;

/// How many environments a line that lasts gets for each processor, however fast it moves; and in all.
const PER_PROCESSOR: usize = 2;
const LASTING_MAX: usize = 8;

/// Where an invocation that waits gets its environment.
pub type Waiter = oneshot::Sender<Result<Lease, Refusal>>;

/// Those who wait, in the order in which they came.
#[derive(Default)]
pub struct Line {
    waiting: VecDeque<(Waiter, Instant)>,
    /// Since when there has been somebody in line without a break.
    since: Option<Instant>,
    /// Whether somebody looks after it.
    is_watched: bool,
}

impl Line {
    /// One more waits: it hears by this.
    pub fn join(&mut self) -> oneshot::Receiver<Result<Lease, Refusal>> {
        let ((sender, receiver), now) = (oneshot::channel(), Instant::now());
        self.since.get_or_insert(now);
        self.waiting.push_back((sender, now));
        receiver
    }

    /// The first one who still waits leaves the line.
    pub fn leave(&mut self) -> Option<Waiter> {
        let first = std::iter::from_fn(|| self.waiting.pop_front()).find(|(waiter, _)| !waiter.is_closed());
        if self.waiting.is_empty() {
            self.since = None;
        }
        first.map(|(waiter, _)| waiter)
    }

    /// Those who went away count no more.
    fn forget_the_gone(&mut self) {
        self.waiting.retain(|(waiter, _)| !waiter.is_closed());
        if self.waiting.is_empty() {
            self.since = None;
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }
    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
    /// How long the first one has waited.
    fn waited(&self) -> Duration {
        self.waiting.front().map_or(Duration::ZERO, |(_, since)| since.elapsed())
    }
    /// How long there has been a line without a break.
    fn lasts(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl Pool {
    /// Sees to it that the line gets what it needs, until there is no line.
    pub(super) fn watch_line(self: &Arc<Pool>, state: &mut State) {
        if std::mem::replace(&mut state.line.is_watched, true) {
            // Whoever looks after it sleeps while there is a start for everybody; now there is none for this one.
            if state.line.len() == state.starting + 1 {
                self.changed.notify_waiters();
            }
            return;
        }
        let (pool, ending) = (Arc::clone(self), self.maker.world.ending.clone());
        self.maker.world.spawn(async move {
            if ending.run_until_cancelled(pool.until_no_line()).await.is_none() {
                pool.give_up_line();
            }
        });
    }

    async fn until_no_line(self: &Arc<Pool>) {
        loop {
            let changed = self.changed.notified();
            let wait = {
                let mut state = self.state();
                state.line.forget_the_gone();
                if state.line.is_empty() {
                    state.line.is_watched = false;
                    return;
                }
                match state.next_start() {
                    Some(wait) if wait.is_zero() => {
                        self.start(&mut state, false);
                        continue;
                    }
                    wait => wait,
                }
            };
            match wait {
                None => changed.await,
                Some(wait) => drop(real::within(wait, changed).await),
            }
        }
    }

    /// Everything ends: nobody who waits gets an environment any more.
    pub(super) fn give_up_line(&self) {
        let waiting: Vec<Waiter> = {
            let mut state = self.state();
            std::iter::from_fn(|| state.line.leave()).collect()
        };
        for waiter in waiting {
            let text = format!("function {}: dropwire is stopping", self.maker.spec.name);
            waiter.send(Err(Refusal::Over(text))).ok();
        }
    }

    /// Gives idle environments to those who wait in line, in their order.
    pub(super) fn serve_line(self: &Arc<Pool>, mut state: MutexGuard<'_, State>) {
        let (mut ended, mut served) = (Vec::new(), Vec::new());
        // While new code is being started its events wait for it.
        while !state.reload.is_under_way() && !state.line.is_empty() {
            let Some(environment) = state.take_idle(self.now(), &mut ended, true) else { break };
            served.push((state.line.leave(), Lease::new(environment, self)));
        }
        // Those that could not take an event may have been all that the line waited for.
        if !ended.is_empty() {
            self.changed.notify_waiters();
        }
        if !state.line.is_empty() && !state.line.is_watched {
            self.watch_line(&mut state);
        }
        drop(state);
        for (waiter, lease) in served {
            // One who went away gives it back by dropping it, and it comes to the next.
            if let Some(waiter) = waiter {
                drop(waiter.send(Ok(lease)));
            }
        }
        self.end_all(ended);
    }
}

impl State {
    pub(super) fn may_start(&self) -> bool {
        self.busy + self.starting < self.limit
    }

    /// How long until another environment is to be started for the line; none as long as nothing changes.
    fn next_start(&self) -> Option<Duration> {
        let facts = Facts {
            limit: self.limit,
            busy: self.busy,
            starting: self.starting,
            reloads: self.reload.is_under_way(),
            line: self.line.len(),
            waited: self.line.waited(),
            lasts: self.line.lasts(),
            last_start: self.last_start,
            settled: self.started_at.map_or(Duration::MAX, |at| at.elapsed()),
            enough: enough(),
        };
        facts.next_start()
    }
}

/// How many environments are enough for a line that moves fast.
fn enough() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        (processors * PER_PROCESSOR).min(LASTING_MAX)
    })
}
