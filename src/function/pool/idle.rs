//! Environments that have nothing to do: who gets one, and their end, ten minutes after their last event, in simulated
//! time.

use std::sync::Arc;
use std::time::Duration;

use super::{Pool, State};
use crate::clock::Timestamp;
use crate::function::environment::card::Stage;
use crate::function::environment::{Cause, Environment};

/// After how long without an event an environment ends, in simulated time.
const IDLE_MAX: Duration = Duration::from_secs(600);

impl Pool {
    pub(super) fn now(&self) -> Timestamp {
        self.maker.world.clock.now()
    }

    /// Sees to it that those that are idle end in time, until there are none.
    pub(super) fn watch_idle(self: &Arc<Pool>, state: &mut State) {
        if state.idle_is_watched || state.first_end().is_none() {
            return;
        }
        state.idle_is_watched = true;
        let (pool, clock, over) = (Arc::downgrade(self), self.maker.world.clock.clone(), self.over.clone());
        self.maker.world.spawn(async move {
            let watch = async {
                while let Some(end) = pool.upgrade().and_then(|pool| pool.sweep()) {
                    clock.watch_until(end).await;
                }
            };
            over.run_until_cancelled(watch).await;
        });
    }

    /// Ends the environments that have been idle for long; says when the next one has to end.
    fn sweep(self: &Arc<Pool>) -> Option<Timestamp> {
        let mut state = self.state();
        let now = self.now();
        let (over, mut rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut state.idle).into_iter().partition(|idle| idle.is_over(now));
        // Somebody moved the time back: it counts from there.
        let ahead = rest.iter_mut().filter(|idle| idle.idle_since() > now);
        ahead.for_each(|idle| idle.set_idle_since(now));
        state.idle = rest;
        let next = state.first_end();
        state.idle_is_watched = next.is_some();
        drop(state);
        self.end_all(over);
        next
    }

    /// Ends an environment by the rules, beside everything else if that takes time.
    pub(super) fn end(&self, mut environment: Environment) {
        if environment.has_to_be_told() && !environment.is_interrupted() {
            self.maker.world.spawn(async move {
                environment.end_processes(Cause::Spindown).await;
            });
        }
    }

    pub(super) fn end_all(&self, environments: Vec<Environment>) {
        environments.into_iter().for_each(|environment| self.end(environment));
    }

    /// When the next one has to end.
    #[cfg(test)]
    pub fn next_end(&self) -> Option<Timestamp> {
        self.state().first_end()
    }
}

impl State {
    /// An idle environment that can take an event, the last used first; those that cannot are put into `ended`. For
    /// whom one was `started`, one that died before its first event will do: it tells him why.
    pub(super) fn take_idle(
        &mut self,
        now: Timestamp,
        ended: &mut Vec<Environment>,
        started: bool,
    ) -> Option<Environment> {
        if self.busy >= self.limit {
            return None;
        }
        while let Some(mut environment) = self.idle.pop() {
            let fits = self.reload.serves(environment.version()) && !environment.is_over(now);
            let tells_why = started && environment.is_cold();
            if fits && (environment.is_warm() || environment.is_reset() || tells_why) {
                self.busy += 1;
                if !self.said.is_empty() {
                    environment.tell(&std::mem::take(&mut self.said));
                }
                environment.card().set_stage(Stage::Busy);
                return Some(environment);
            }
            self.provisioned_alive -= usize::from(environment.is_provisioned());
            ended.push(environment);
        }
        None
    }

    /// Lets an environment wait. One that has no processes is used last.
    pub(super) fn rest(&mut self, environment: Environment) {
        if environment.is_reset() {
            self.idle.insert(0, environment);
        } else {
            self.idle.push(environment);
        }
    }

    /// When the first of those that are idle has to end.
    fn first_end(&self) -> Option<Timestamp> {
        self.idle.iter().filter_map(Environment::ends_at).min()
    }
}

impl Environment {
    /// When it ends if it gets no event until then; never if it is provisioned, or nobody is to be hurried.
    fn ends_at(&self) -> Option<Timestamp> {
        let may_stay = self.is_provisioned() || self.is_unhurried();
        (!may_stay).then(|| self.idle_since().plus(IDLE_MAX))
    }

    /// Whether it has been idle for as long as it may.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.ends_at().is_some_and(|end| end <= now)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.over.cancel();
    }
}
