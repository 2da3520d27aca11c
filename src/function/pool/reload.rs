//! Changed code: the next event gets the new code, and where that does not start the old one goes on.
//!
//! The first event after a change starts one environment with the new code, and it and those that come after wait
//! for it. Once its start has succeeded the old environments end. If it fails they serve on, until the next change.
//!
//! Where nobody is to be hurried, those that are idle end first: their debugger has the port that the next one needs.

use std::sync::Arc;

use super::{Environment, Pool, State};

/// Which versions of the code there are.
#[derive(Debug, Default)]
pub struct Reload {
    /// That of the environments which take events; 0 before the first.
    serving: u64,
    /// That of the environment which is being started to replace them.
    coming: Option<u64>,
    /// One that did not start.
    refused: Option<u64>,
    /// The newest one that anybody has heard of, maybe while another one was being started.
    heard: u64,
}

impl Reload {
    /// The version that a new environment is to have.
    pub fn wanted(&self) -> u64 {
        self.coming.unwrap_or(self.serving)
    }
    /// Whether environments of this version may take events.
    pub fn serves(&self, version: u64) -> bool {
        version == self.serving
    }
    /// Whether new code is being started.
    pub fn is_under_way(&self) -> bool {
        self.coming.is_some()
    }

    /// Hears which version the code has now, and whether there are environments of the last one that could go on.
    /// True if an environment of the new version has to be started first.
    fn hear(&mut self, version: u64, old_ones: bool) -> bool {
        self.heard = self.heard.max(version);
        if self.coming.is_some() || version <= self.serving || self.refused == Some(version) && old_ones {
            return false;
        }
        if self.serving == 0 || !old_ones {
            self.serving = version;
            self.refused = None;
            return false;
        }
        self.coming = Some(version);
        true
    }

    /// A start of this version is over. False if the old version goes on instead.
    fn conclude(&mut self, version: u64, ok: bool, old_ones: bool) -> bool {
        if self.coming != Some(version) {
            return true;
        }
        self.coming = None;
        if !ok && old_ones {
            self.refused = Some(version);
            return false;
        }
        self.serving = version;
        self.refused = None;
        true
    }
}

impl Pool {
    /// Hears which version the code has now. True if the event has to wait for an environment with new code.
    pub(super) fn begin_reload(self: &Arc<Pool>, state: &mut State, version: u64) -> bool {
        let (is_unhurried, count) = (self.maker.world.is_unhurried(), state.busy + state.starting);
        if is_unhurried && count >= state.limit {
            // One that sits in a debugger may hold the port that new code needs: that begins when it is given back.
            return state.reload.is_under_way();
        }
        let make_way = is_unhurried && count == 0;
        let old_ones = state.can_go_on() && !make_way;
        if state.reload.hear(version, old_ones) {
            self.start(state, false);
        }
        state.reload.is_under_way()
    }

    /// A start of this version is over; `failed` is what was said if it failed. False if the environments of the
    /// version before go on instead of the one that was started.
    pub(super) fn finish_reload(&self, state: &mut State, version: u64, failed: Option<&str>) -> bool {
        let old_ones = state.can_go_on();
        if state.reload.conclude(version, failed.is_none(), old_ones) {
            return true;
        }
        let text = format!(
            "function {}: its changed code does not start, so the code from before goes on; correct it\n{}",
            self.maker.spec.name,
            failed.unwrap_or_default().trim_end()
        );
        let world = &self.maker.world;
        state.said = format!("{text}\n");
        world.timeline.notice(world.clock.now(), "error", text);
        false
    }

    /// After a start is over: what has changed meanwhile is started for those who wait, and the environments of
    /// another version than that which serves now are to end.
    pub(super) fn follow_reload(self: &Arc<Pool>, state: &mut State) -> Vec<Environment> {
        if !state.line.is_empty() {
            self.begin_reload(state, state.reload.heard);
        }
        let (serving, old): (Vec<_>, Vec<_>) =
            std::mem::take(&mut state.idle).into_iter().partition(|idle| state.reload.serves(idle.version()));
        state.idle = serving;
        state.provisioned_alive -= old.iter().filter(|old| old.is_provisioned()).count();
        self.replenish(state);
        old
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_code_is_tried_once_and_replaces_the_old_when_it_starts() {
        let mut reload = Reload::default();
        assert!(!reload.hear(1, false) && reload.serves(1), "the first code there is");
        assert!(!reload.hear(1, true));
        assert!(reload.hear(2, true) && reload.is_under_way() && reload.wanted() == 2);
        assert!(!reload.hear(2, true), "it is being started already");
        assert!(!reload.conclude(2, false, true) && reload.serves(1), "it does not start");
        assert!(!reload.hear(2, true), "and is not tried again");
        assert!(reload.hear(3, true), "until the next change");
        assert!(reload.conclude(3, true, true) && reload.serves(3));
    }

    #[test]
    fn what_changes_while_new_code_is_started_is_not_forgotten() {
        let mut reload = Reload::default();
        reload.hear(1, false);
        assert!(reload.hear(2, true) && !reload.hear(3, true) && reload.wanted() == 2);
        assert!(reload.conclude(2, true, true));
        assert!(reload.hear(reload.heard, true) && reload.wanted() == 3);
        assert!(reload.conclude(3, true, true) && !reload.hear(2, true), "who looked before that is late");
        assert!(reload.serves(3));
    }

    #[test]
    fn code_that_does_not_start_is_all_there_is_when_nothing_else_runs() {
        let mut reload = Reload::default();
        reload.hear(1, false);
        assert!(!reload.hear(2, false) && reload.serves(2));
        reload.hear(3, true);
        assert!(reload.conclude(3, false, false) && reload.serves(3), "the old ones have gone meanwhile");
    }
}
