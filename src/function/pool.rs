//! The environments of one version of a function: who has one, who waits for one, and when there is to be another.
//!
//! ```text
//! an invocation ──▶ idle environment? ──yes──▶ takes it
//!                        │ no
//!                        ▼
//!                      line (first come, first served) ◀── an environment is freed, or has started
//!                        └── the first has waited for about as long as a start takes ──▶ another is started
//! ```
//!
//! So many clients of a quick function share few processes, and a slow function gets more of them: with each
//! start that it takes, at most twice as many as there are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::environment::card::{Card, EnvironmentState};
use super::environment::{Cause, Environment, INIT_MAX, InitFailure, Phase};
use super::maker::Maker;

mod idle;
mod lease;
mod line;
mod reload;
mod starts;

pub use lease::Lease;
use line::Line;
use reload::Reload;

/// The environments of one version of a function.
pub struct Pool {
    maker: Arc<Maker>,
    state: Mutex<State>,
    /// Rung when a start is over, or the limit is another one.
    changed: Notify,
    /// Cancelled when it is no more, or everything is to end.
    over: CancellationToken,
}

struct State {
    /// How many environments there may be at once.
    limit: usize,
    /// How many have an event.
    busy: usize,
    /// How many start.
    starting: usize,
    /// The one used last is used next: the others come to their end.
    idle: Vec<Environment>,
    /// Whether somebody waits for those that are idle to have been so for long.
    idle_is_watched: bool,
    line: Line,
    /// How long the last start took.
    last_start: Option<Duration>,
    /// When the last start was over.
    started_at: Option<Instant>,
    reload: Reload,
    /// How many are to be there ahead of any event, and how many of those there are.
    provisioned: usize,
    provisioned_alive: usize,
    cards: Vec<Weak<Card>>,
    /// What the log of the next invocation begins with.
    said: String,
    cold_starts: u64,
    retired: bool,
}

/// Why somebody gets no environment, in words.
pub enum Refusal {
    /// None can be started.
    CannotStart(String),
    /// The function has ended, or dropwire is stopping.
    Over(String),
}

/// What came of asking for an environment.
enum Taken {
    Now(Lease),
    Later(oneshot::Receiver<Result<Lease, Refusal>>),
}

impl Pool {
    /// A pool that lets `limit` environments be at once.
    pub fn new(maker: Arc<Maker>, limit: usize) -> Pool {
        let state = State {
            limit,
            busy: 0,
            starting: 0,
            idle: Vec::new(),
            idle_is_watched: false,
            line: Line::default(),
            last_start: None,
            started_at: None,
            reload: Reload::default(),
            provisioned: 0,
            provisioned_alive: 0,
            cards: Vec::new(),
            said: String::new(),
            cold_starts: 0,
            retired: false,
        };
        let over = maker.world.ending.child_token();
        Pool { maker, state: Mutex::new(state), changed: Notify::new(), over }
    }

    /// How many environments may be at once.
    pub fn limit(&self) -> usize {
        self.state().limit
    }
    /// Changes how many may be at once. Those that run go on.
    pub fn set_limit(&self, limit: usize) {
        self.state().limit = limit;
        self.changed.notify_waiters();
    }
    /// How many environments wait, and how many have an event.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.idle.iter().filter(|idle| !idle.is_reset()).count(), state.busy)
    }
    /// How many environments were started.
    pub fn cold_starts(&self) -> u64 {
        self.state().cold_starts
    }
    /// What there is.
    pub fn shown(&self) -> Vec<EnvironmentState> {
        let mut state = self.state();
        state.cards.retain(|card| card.strong_count() > 0);
        state.cards.iter().filter_map(Weak::upgrade).map(|card| card.shown()).collect()
    }

    /// An environment with the code as it is now, as soon as there is one. Errors say why none can be started.
    pub async fn take(self: &Arc<Pool>) -> Result<Lease, Refusal> {
        let version = self.maker.code_version();
        match self.ask(version) {
            Taken::Now(lease) => Ok(lease),
            Taken::Later(receiver) => {
                let gone = || Refusal::Over(format!("function {} ends", self.maker.spec.name));
                receiver.await.unwrap_or_else(|_| Err(gone()))
            }
        }
    }

    fn ask(self: &Arc<Pool>, version: u64) -> Taken {
        let mut ended = Vec::new();
        let mut state = self.state();
        let has_to_wait = self.begin_reload(&mut state, version) || !state.line.is_empty();
        let idle = if has_to_wait { None } else { state.take_idle(self.now(), &mut ended, false) };
        let taken = match idle {
            Some(environment) => Taken::Now(Lease::new(environment, self)),
            None => {
                let receiver = state.line.join();
                if state.may_start() && state.busy + state.starting == 0 {
                    // In a debugger those that end may hold the port that the next one needs.
                    let before = std::mem::take(&mut ended);
                    self.start_after(&mut state, false, before);
                } else {
                    self.watch_line(&mut state);
                }
                Taken::Later(receiver)
            }
        };
        drop(state);
        self.end_all(ended);
        taken
    }

    /// Starts one more environment beside everything else.
    fn start(self: &Arc<Pool>, state: &mut State, provisioned: bool) {
        self.start_after(state, provisioned, Vec::new());
    }

    /// The same; where nobody is to be hurried, once these have ended.
    fn start_after(self: &Arc<Pool>, state: &mut State, provisioned: bool, mut before: Vec<Environment>) {
        if !self.maker.world.is_unhurried() {
            self.end_all(std::mem::take(&mut before));
        }
        state.starting += 1;
        state.cold_starts += 1;
        state.provisioned_alive += usize::from(provisioned);
        let version = state.reload.wanted();
        let environment = Environment::new(&self.maker, version, provisioned);
        state.cards.retain(|card| card.strong_count() > 0);
        state.cards.push(Arc::downgrade(environment.card()));
        let (pool, ending) = (Arc::clone(self), self.maker.world.ending.clone());
        self.maker.world.spawn(async move {
            // What is starting when everything ends is dropped, and killed with that.
            let up = async {
                for mut old in before {
                    old.end_processes(Cause::Spindown).await;
                }
                pool.bring_up(environment, version).await;
            };
            if ending.run_until_cancelled(up).await.is_none() {
                pool.give_up_line();
            }
        });
    }

    async fn bring_up(self: &Arc<Pool>, mut environment: Environment, version: u64) {
        let begun = Instant::now();
        let limit = self.maker.world.limit(INIT_MAX);
        let began = match self.maker.ensure_built(version).await {
            Ok(()) => environment.init(Phase::Init, version, limit).await,
            Err(text) => Err(InitFailure::CannotStart(text)),
        };
        let mut state = self.state();
        state.starting -= 1;
        match began {
            Ok(()) => {
                state.last_start = Some(begun.elapsed());
                state.started_at = Some(Instant::now());
            }
            // It starts once more as a part of the event that it gets.
            Err(InitFailure::Failed(_)) => {}
            Err(InitFailure::CannotStart(text)) => {
                state.provisioned_alive -= usize::from(environment.is_provisioned());
                return self.refuse(state, version, &text);
            }
        }
        let failed = environment.is_reset().then(|| environment.log().to_owned());
        self.finish_reload(&mut state, version, failed.as_deref());
        let mut ended = Vec::new();
        let is_late = state.retired && state.line.is_empty();
        if is_late || !state.reload.serves(version) || state.is_one_too_many(&environment) {
            state.provisioned_alive -= usize::from(environment.is_provisioned());
            ended.push(environment);
        } else {
            if environment.is_provisioned() {
                self.watch_life(&environment);
            }
            environment.rest();
            state.rest(environment);
            self.watch_idle(&mut state);
        }
        ended.append(&mut self.follow_reload(&mut state));
        self.serve_line(state);
        self.changed.notify_waiters();
        self.end_all(ended);
    }

    /// No environment can be started: who waits hears why, if there is no other to wait for.
    fn refuse(self: &Arc<Pool>, mut state: MutexGuard<'_, State>, version: u64, text: &str) {
        let mut refused = Vec::new();
        // Who waits for newer code is not told what was wrong with the old.
        if self.finish_reload(&mut state, version, Some(text)) && state.reload.serves(version) {
            let count = if state.busy == 0 { state.line.len() } else { 1 };
            refused.extend((0..count).filter_map(|_| state.line.leave()));
        }
        let ended = self.follow_reload(&mut state);
        self.serve_line(state);
        for waiter in refused {
            waiter.send(Err(Refusal::CannotStart(text.to_owned()))).ok();
        }
        self.changed.notify_waiters();
        self.end_all(ended);
    }

    /// A provisioned environment that dies is replaced.
    fn watch_life(self: &Arc<Pool>, environment: &Environment) {
        let Some(exit) = environment.until_exit() else { return };
        let pool = Arc::downgrade(self);
        self.maker.world.spawn(async move {
            exit.await;
            let Some(pool) = pool.upgrade() else { return };
            let mut state = pool.state();
            let (alive, dead): (Vec<_>, Vec<_>) = std::mem::take(&mut state.idle)
                .into_iter()
                .partition(|idle| idle.is_warm() || idle.is_reset());
            state.idle = alive;
            state.provisioned_alive -= dead.iter().filter(|dead| dead.is_provisioned()).count();
            pool.replenish(&mut state);
        });
    }

    /// Takes an environment back from who had it.
    fn give_back(self: &Arc<Pool>, mut environment: Environment) {
        environment.rest();
        // Whoever sits in a debugger gets new code when nothing runs any more.
        let changed = self.maker.world.is_unhurried().then(|| self.maker.code_version());
        let mut state = self.state();
        state.busy -= 1;
        if let Some(version) = changed {
            self.begin_reload(&mut state, version);
        }
        let is_dead = !environment.is_warm() && (!environment.is_reset() || environment.is_provisioned());
        let is_old = !state.reload.serves(environment.version());
        let is_of_no_use = is_dead || is_old || environment.is_interrupted();
        if is_of_no_use || state.retired || state.is_one_too_many(&environment) {
            state.provisioned_alive -= usize::from(environment.is_provisioned());
            self.replenish(&mut state);
            self.changed.notify_waiters();
            if changed.is_some()
                && !state.line.is_empty()
                && state.busy + state.starting == 0
                && !state.retired
            {
                return self.start_after(&mut state, false, vec![environment]);
            }
            self.serve_line(state);
            return self.end(environment);
        }
        state.rest(environment);
        self.watch_idle(&mut state);
        if state.line.is_empty() {
            return;
        }
        self.serve_line(state);
    }

    /// Ends the environments that wait, and the others after their event.
    pub fn retire(self: &Arc<Pool>) {
        let mut state = self.state();
        state.retired = true;
        state.provisioned = 0;
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        self.end_all(idle);
    }

    /// How many environments are to be there ahead of any event.
    pub fn provision(self: &Arc<Pool>, count: usize) {
        // Asked for the code of functions alone that are to have some: nobody else's is looked at.
        let version = (count > 0).then(|| self.maker.code_version());
        let mut state = self.state();
        state.provisioned = count;
        if let Some(version) = version {
            self.begin_reload(&mut state, version);
        }
        self.replenish(&mut state);
        let mut ended = Vec::new();
        while state.provisioned_alive > count
            && let Some(at) = state.idle.iter().position(|idle| idle.is_provisioned())
        {
            ended.push(state.idle.remove(at));
            state.provisioned_alive -= 1;
        }
        drop(state);
        self.end_all(ended);
    }

    /// How many provisioned environments are ready for an event or have one, and how many have one.
    pub fn provisioned(&self) -> (u32, u32) {
        let state = self.state();
        let cards = state.cards.iter().filter_map(Weak::upgrade).filter(|card| card.provisioned);
        let states: Vec<&str> = cards.map(|card| card.shown().state).collect();
        let count = |wanted: &[&str]| states.iter().filter(|state| wanted.contains(state)).count();
        let (ready, in_use) = (count(&["idle", "frozen", "busy"]), count(&["busy"]));
        (u32::try_from(ready).unwrap_or(u32::MAX), u32::try_from(in_use).unwrap_or(u32::MAX))
    }

    fn replenish(self: &Arc<Pool>, state: &mut State) {
        while !state.retired && state.provisioned_alive < state.provisioned {
            self.start(state, true);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether this provisioned environment is more than there are to be.
    fn is_one_too_many(&self, environment: &Environment) -> bool {
        environment.is_provisioned() && self.provisioned_alive > self.provisioned
    }

    /// Whether there are environments that go on without another start.
    fn can_go_on(&self) -> bool {
        let serves = |idle: &Environment| idle.is_warm() && self.reload.serves(idle.version());
        self.busy > 0 || self.idle.iter().any(serves)
    }
}
