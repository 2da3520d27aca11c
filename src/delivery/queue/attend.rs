//! Who attends to which target: a bell for each that is attended to, and a door where all others ring.

use std::sync::Arc;

use tokio::sync::Notify;

use super::Queue;
use crate::arn::Arn;

impl Queue {
    /// Rung when something is there for a target to which nobody attends: see [`Queue::unattended`].
    pub fn door(&self) -> Arc<Notify> {
        self.state().door.clone()
    }
    /// The targets for which something came while nobody attended to them.
    pub fn unattended(&self) -> Vec<Arn> {
        self.state().unattended.drain().collect()
    }
    /// There is no such target. Nobody who waits for quiet waits for what is missing.
    pub fn is_missing(&self, target: &Arn) {
        self.state().missing.insert(target.clone());
        self.settled.notify_waiters();
    }
    /// There are other targets: which ones are missing will be seen.
    pub fn none_is_missing(&self) {
        self.state().missing.clear();
    }
    /// The targets for which something waits or runs.
    pub fn targets_in_line(&self) -> Vec<Arn> {
        self.state().lines.targets()
    }
    /// From now on somebody attends to this target: the bell is rung when there may be something for it.
    pub fn attend(&self, target: &Arn) -> Arc<Notify> {
        let mut guard = self.state();
        let state = &mut *guard;
        // It is there, and looks for itself.
        state.unattended.remove(target);
        state.missing.remove(target);
        state.bells.entry(target.clone()).or_default().clone()
    }
    /// Whether somebody attends to it.
    pub fn is_attended(&self, target: &Arn) -> bool {
        self.state().bells.contains_key(target)
    }
    /// Whoever attends to it with this bell does so no more, if it has nothing to do: only then true. What comes next
    /// rings at the door.
    pub fn leave(&self, target: &Arn, bell: &Arc<Notify>) -> bool {
        let mut state = self.state();
        let is_attending = state.bells.get(target).is_some_and(|own| Arc::ptr_eq(own, bell));
        let leaves = is_attending && state.lines.drop_idle(target);
        if leaves {
            state.bells.remove(target);
        }
        leaves
    }
    /// Nobody attends to it any more, whatever it has to do.
    pub fn forsake(&self, target: &Arn) {
        self.state().bells.remove(target);
    }
}
