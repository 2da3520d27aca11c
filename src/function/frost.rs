//! Processes are stopped while they wait for an event, and go on with the next: so background work, timers and
//! sockets of a function rest between two invocations, as they do on AWS.
//!
//! An environment is stopped a few milliseconds after it has nothing to do, so that a function which is called
//! all the time is never stopped. One task does it for all, and sleeps while there is nothing to stop.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::desk::Desk;
use super::environment::card::Card;
use super::process::Group;
use super::world::World;
use crate::clock::real;

/// How long an environment has nothing to do before it is stopped.
const PAUSE: Duration = Duration::from_millis(5);

/// What stops environments, for all of them.
#[derive(Default)]
pub struct Freezer {
    queue: Mutex<VecDeque<Weak<Frost>>>,
    bell: Notify,
    running: OnceLock<()>,
}

impl Freezer {
    /// Begins to work, once.
    fn begin(&self, world: &Arc<World>) {
        self.running.get_or_init(|| {
            let (weak, ending) = (Arc::downgrade(world), world.ending.clone());
            world.spawn(async move {
                let work = async {
                    while let Some(world) = weak.upgrade() {
                        world.freezer.work().await;
                    }
                };
                ending.run_until_cancelled(work).await;
            });
        });
    }

    /// Looks at the one that has waited the longest.
    async fn work(&self) {
        let rung = self.bell.notified();
        let first = self.queue().pop_front();
        let Some(frost) = first else { return rung.await };
        let Some(frost) = frost.upgrade() else { return };
        let left =
            frost.state().quiet_since.map_or(Duration::ZERO, |since| PAUSE.saturating_sub(since.elapsed()));
        if !left.is_zero() {
            real::sleep(left).await;
        }
        if frost.freeze() {
            self.queue().push_back(Arc::downgrade(&frost));
        }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Weak<Frost>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the processes of one environment are stopped.
pub struct Frost {
    world: Arc<World>,
    card: Arc<Card>,
    desk: OnceLock<Weak<Desk>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    groups: Vec<Group>,
    /// Since when there has been nothing to do.
    quiet_since: Option<Instant>,
    /// There is an event, or is about to be one.
    held: bool,
    frozen: bool,
    /// It is in the queue of the freezer.
    queued: bool,
}

impl Frost {
    /// Of an environment whose processes are about to be started: it is held.
    pub fn new(world: &Arc<World>, card: &Arc<Card>) -> Arc<Frost> {
        world.freezer.begin(world);
        let state = State { held: true, ..State::default() };
        let (world, card) = (Arc::clone(world), Arc::clone(card));
        Arc::new(Frost { world, card, desk: OnceLock::new(), state: Mutex::new(state) })
    }

    /// Says at which desk its processes wait, and which they are.
    pub fn attend(&self, desk: &Arc<Desk>, groups: Vec<Group>) {
        self.desk.get_or_init(|| Arc::downgrade(desk));
        self.state().groups = groups;
    }

    /// There is going to be something to do: the processes go on, and are not stopped until [`Frost::release`].
    pub fn hold(&self) {
        let mut state = self.state();
        state.held = true;
        if std::mem::take(&mut state.frozen) {
            self.card.set_frozen(false);
            state.groups.iter().for_each(Group::go_on);
        }
    }

    /// It is done, as far as we are concerned.
    pub fn release(self: &Arc<Frost>) {
        self.state().held = false;
        if self.is_quiet() {
            self.rest();
        }
    }

    /// There is nothing to do: it may be stopped soon.
    pub fn rest(self: &Arc<Frost>) {
        let mut state = self.state();
        state.quiet_since = Some(Instant::now());
        if state.held || state.queued || self.world.is_unhurried() {
            return;
        }
        state.queued = true;
        drop(state);
        self.world.freezer.queue().push_back(Arc::downgrade(self));
        self.world.freezer.bell.notify_one();
    }

    /// Stops the processes if there has been nothing to do for long enough. True if that may be so soon.
    fn freeze(&self) -> bool {
        let mut state = self.state();
        state.queued = !state.held && self.is_quiet();
        if !state.queued {
            return false;
        }
        if state.quiet_since.is_some_and(|since| since.elapsed() < PAUSE) {
            return true;
        }
        state.groups.iter().for_each(Group::stop);
        (state.frozen, state.queued) = (true, false);
        self.card.set_frozen(true);
        false
    }

    fn is_quiet(&self) -> bool {
        self.desk.get().and_then(Weak::upgrade).is_some_and(|desk| desk.is_quiet())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
