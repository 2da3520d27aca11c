//! How many invocations run at once of a function that has no environments.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The slots of one function.
pub struct Slots {
    state: Mutex<State>,
    freed: Notify,
}

struct State {
    limit: usize,
    busy: usize,
}

impl Slots {
    /// Lets `limit` invocations run at once.
    pub fn new(limit: usize) -> Slots {
        Slots { state: Mutex::new(State { limit, busy: 0 }), freed: Notify::new() }
    }

    /// Changes how many may run at once. Those that run go on.
    pub fn set_limit(&self, limit: usize) {
        self.state().limit = limit;
        self.freed.notify_waiters();
    }
    /// How many run.
    pub fn busy(&self) -> usize {
        self.state().busy
    }

    /// The right to run one invocation, as soon as there is one; in the order in which they came.
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

    fn try_enter(&self) -> Option<Slot<'_>> {
        let mut state = self.state();
        (state.busy < state.limit).then(|| {
            state.busy += 1;
            Slot(self)
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to run one invocation.
pub struct Slot<'a>(&'a Slots);

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
        let slots = Slots::new(1);
        let first = slots.enter().await;
        let waiting = slots.enter();
        tokio::pin!(waiting);
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        drop(first);
        let second = waiting.await;
        assert_eq!(slots.busy(), 1);
        slots.set_limit(2);
        drop((slots.enter().await, second));
        assert_eq!(slots.busy(), 0);
    }
}
