//! How many invocations of a function run at once, and the warm environments that wait for the next.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::environment::Environment;

/// After how long without an event an environment ends, real time.
const IDLE_MAX: Duration = Duration::from_secs(600);

/// The environments of one function.
pub struct Pool {
    state: Mutex<State>,
    freed: Notify,
}

struct State {
    limit: usize,
    busy: usize,
    /// The one used last is used next: the others come to their end.
    idle: Vec<Environment>,
    retired: bool,
}

impl Pool {
    /// A pool that lets `limit` invocations run at once.
    pub fn new(limit: usize) -> Pool {
        let state = State { limit, busy: 0, idle: Vec::new(), retired: false };
        Pool { state: Mutex::new(state), freed: Notify::new() }
    }

    /// How many invocations may run at once.
    pub fn limit(&self) -> usize {
        self.state().limit
    }
    /// Changes how many may run at once. Those that run go on.
    pub fn set_limit(&self, limit: usize) {
        self.state().limit = limit;
        self.freed.notify_waiters();
    }
    /// How many environments wait, and how many invocations run.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.idle.len(), state.busy)
    }

    /// The right to run one invocation, if the limit is not reached.
    pub fn try_enter(&self) -> Option<Slot<'_>> {
        let mut state = self.state();
        (state.busy < state.limit).then(|| {
            state.busy += 1;
            Slot(self)
        })
    }

    /// The right to run one invocation, as soon as there is one.
    pub async fn enter(&self) -> Slot<'_> {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(slot) = self.try_enter() {
                return slot;
            }
            freed.await;
        }
    }

    /// A warm environment with this version of the code. Those with another, and those that have died, end.
    pub fn take_warm(&self, version: u64) -> Option<Environment> {
        let mut unfit = Vec::new();
        let mut state = self.state();
        while let Some(environment) = state.idle.pop() {
            if environment.is_fit(version) {
                drop(state);
                return Some(environment);
            }
            unfit.push(environment);
        }
        drop(state);
        None
    }

    /// Takes an environment back after its event.
    pub fn put_back(&self, environment: Environment) {
        let mut state = self.state();
        let ended = if state.retired {
            Some(environment)
        } else {
            state.idle.push(environment);
            None
        };
        // Ending one is a system call, for which nobody has to wait.
        drop(state);
        drop(ended);
    }

    /// Ends the environments that have waited for long.
    pub fn sweep(&self) {
        let mut state = self.state();
        let (old, fresh) =
            std::mem::take(&mut state.idle).into_iter().partition(|idle| idle.idle_for() > IDLE_MAX);
        state.idle = fresh;
        drop(state);
        drop::<Vec<Environment>>(old);
    }

    /// Ends the environments that wait, and the others after their event.
    pub fn retire(&self) {
        let mut state = self.state();
        state.retired = true;
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        drop(idle);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to run one invocation.
pub struct Slot<'a>(&'a Pool);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.state().busy -= 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_run_than_may() {
        let pool = Pool::new(1);
        let first = pool.try_enter();
        assert!(first.is_some() && pool.try_enter().is_none());
        let waiting = pool.enter();
        tokio::pin!(waiting);
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        drop(first);
        let second = waiting.await;
        assert_eq!(pool.counts(), (0, 1));
        pool.set_limit(2);
        assert!(pool.try_enter().is_some());
        drop(second);
        assert_eq!(pool.counts(), (0, 0));
    }
}
