//! What is to be looked at again, and when. Pure: the time is handed in.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::folder::{EMPTY_QUIET, Hint, QUIET, Reason, Stamp};

/// How long something must be gone to count as removed: an editor that saves by renaming is faster.
const GRACE: Duration = Duration::from_millis(50);
/// After so many looks it is open for sure.
const SURE: u32 = 5;
/// How long after a file was made we look at it, if nobody told that it was closed.
const MADE: Duration = Duration::from_millis(10);

/// Why and until when a key waits.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// When to look again.
    pub due: Instant,
    /// When we first saw this reason.
    pub since: Instant,
    /// Why.
    pub reason: Reason,
    /// The strongest hint so far.
    pub hint: Hint,
    /// How often we looked for this reason.
    pub tries: u32,
}

impl Wait {
    /// Whether it was gone for long enough.
    pub fn gone_before(&self, now: Instant) -> bool {
        self.reason == Reason::Gone && now >= self.due
    }
    /// The stamp that it has had for a quiet time.
    pub fn settled(&self, now: Instant) -> Option<Stamp> {
        match self.reason {
            Reason::Unsettled(stamp) if now.saturating_duration_since(self.since) >= QUIET => Some(stamp),
            _ => None,
        }
    }
}

/// Keys that wait, each once.
#[derive(Default)]
pub struct Later {
    waits: HashMap<String, Wait>,
    order: BTreeSet<(Instant, String)>,
    gone: usize,
}

impl Later {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.waits.len()
    }
    /// How many of them wait because they are gone.
    pub fn gone(&self) -> usize {
        self.gone
    }
    /// Whether one of them seemed to be gone at this time already, or open though it had been closed: both are known
    /// for sure a moment later.
    pub fn unsure_since(&self, time: Instant) -> bool {
        let is_unsure = |wait: &Wait| match wait.reason {
            Reason::Gone => true,
            Reason::Busy => wait.hint == Hint::Finished && wait.tries < SURE,
            Reason::Unsettled(_) | Reason::Refused => false,
        };
        let soon = self.order.iter().take_while(|(due, _)| *due <= time + 2 * GRACE);
        let mut soon = soon.filter_map(|(_, key)| self.waits.get(key));
        soon.any(|wait| wait.since <= time && is_unsure(wait))
    }
    /// When the next one is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.order.first().map(|(due, _)| *due)
    }
    /// Whether this key waits.
    pub fn waits(&self, key: &str) -> bool {
        self.waits.contains_key(key)
    }
    /// Takes a key off the list, if it is there.
    pub fn take(&mut self, key: &str) -> Option<Wait> {
        let wait = self.waits.remove(key)?;
        self.order.remove(&(wait.due, key.to_owned()));
        self.gone -= usize::from(wait.reason == Reason::Gone);
        Some(wait)
    }
    /// Takes what is due off the list, `max` at most.
    pub fn take_due(&mut self, now: Instant, max: usize) -> Vec<(String, Wait)> {
        let keys: Vec<String> = self
            .order
            .iter()
            .take_while(|(due, _)| *due <= now)
            .take(max)
            .map(|(_, key)| key.clone())
            .collect();
        keys.into_iter().filter_map(|key| self.take(&key).map(|wait| (key, wait))).collect()
    }
    /// Lists a file that was just made, unless it is listed.
    pub fn made(&mut self, key: String, now: Instant) {
        if !self.waits.contains_key(&key) {
            self.list(
                key,
                Wait { due: now + MADE, since: now, reason: Reason::Busy, hint: Hint::Found, tries: 0 },
            );
        }
    }
    /// Lists a key for this reason. `before` is how it waited until now.
    pub fn again(&mut self, key: String, (reason, hint): (Reason, Hint), before: Option<Wait>, now: Instant) {
        let same = before.filter(|before| before.reason == reason);
        let (since, tries) = same.map_or((now, 0), |before| (before.since, before.tries + 1));
        let due = match reason {
            // The time that it may be gone runs from the first time we saw it so.
            Reason::Gone => since + GRACE,
            Reason::Busy => now + doubled(Duration::from_millis(1), tries, Duration::from_secs(1)),
            Reason::Unsettled(_) => now + EMPTY_QUIET,
            Reason::Refused => now + doubled(Duration::from_secs(1), tries, Duration::from_secs(10)),
        };
        self.list(key, Wait { due, since, reason, hint, tries });
    }
    fn list(&mut self, key: String, wait: Wait) {
        self.take(&key);
        self.order.insert((wait.due, key.clone()));
        self.gone += usize::from(wait.reason == Reason::Gone);
        self.waits.insert(key, wait);
    }
}

/// `first`, twice that, four times …, at most `max`.
fn doubled(first: Duration, times: u32, max: Duration) -> Duration {
    first.saturating_mul(1 << times.min(16)).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { size: 1, mtime: 2, inode: 3 };

    fn after(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn what_is_gone_has_its_time_from_the_first_look() {
        let (mut later, start) = (Later::default(), Instant::now());
        later.again("k".into(), (Reason::Gone, Hint::Found), None, start);
        let before = later.take("k").expect("it waits");
        assert!(!before.gone_before(after(start, 40)));
        later.again("k".into(), (Reason::Gone, Hint::Found), Some(before), after(start, 40));
        assert!(later.take_due(after(start, 49), 9).is_empty());
        let due = later.take_due(after(start, 50), 9);
        assert!(due[0].1.gone_before(after(start, 50)));
        assert_eq!((later.len(), later.gone(), later.next_due()), (0, 0, None));
    }

    #[test]
    fn a_busy_file_is_looked_at_less_and_less_often() {
        let (mut later, mut now) = (Later::default(), Instant::now());
        let (mut before, mut waits) = (None, Vec::new());
        for _ in 0..12 {
            later.again("k".into(), (Reason::Busy, Hint::Finished), before, now);
            let due = later.next_due().expect("it waits");
            waits.push((due - now).as_millis());
            now = due;
            before = later.take_due(now, 1).pop().map(|(_, wait)| wait);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000]);
        assert_eq!(before.map(|wait| wait.hint), Some(Hint::Finished));
    }

    #[test]
    fn a_file_has_settled_when_its_stamp_stayed_for_the_quiet_time() {
        let (mut later, start) = (Later::default(), Instant::now());
        let unsettled = (Reason::Unsettled(STAMP), Hint::Found);
        later.again("k".into(), unsettled, None, start);
        let before = later.take("k");
        later.again("k".into(), unsettled, before, after(start, 1_000));
        let wait = later.take("k").expect("it waits");
        assert_eq!(wait.settled(after(start, 1_999)), None);
        assert_eq!(wait.settled(after(start, 2_000)), Some(STAMP));
        let other = (Reason::Unsettled(Stamp { size: 9, ..STAMP }), Hint::Found);
        later.again("k".into(), other, Some(wait), after(start, 2_000));
        assert_eq!(later.take("k").and_then(|wait| wait.settled(after(start, 3_000))), None);
    }

    #[test]
    fn a_made_file_does_not_push_away_what_waits() {
        let (mut later, start) = (Later::default(), Instant::now());
        later.again("k".into(), (Reason::Gone, Hint::Found), None, start);
        later.made("k".into(), after(start, 45));
        assert_eq!(later.next_due(), Some(after(start, 50)));
        later.made("l".into(), start);
        assert_eq!(later.take_due(after(start, 60), 1).len(), 1);
        assert_eq!(later.len(), 1);
    }

    #[test]
    fn what_seemed_to_be_gone_before_is_waited_for_and_nothing_else() {
        let (mut later, start) = (Later::default(), Instant::now());
        let unsure = |reason, hint, tries, since: u64, at: u64| {
            let mut later = Later::default();
            let mut before = None;
            for _ in 0..=tries {
                later.again("k".into(), (reason, hint), before, after(start, since));
                before = later.waits.get("k").copied();
            }
            later.unsure_since(after(start, at))
        };
        assert!(!later.unsure_since(start));
        assert!(unsure(Reason::Gone, Hint::Found, 0, 10, 10) && unsure(Reason::Gone, Hint::Found, 0, 10, 30));
        assert!(!unsure(Reason::Gone, Hint::Found, 0, 10, 9));
        assert!(unsure(Reason::Busy, Hint::Finished, 0, 10, 10));
        assert!(!unsure(Reason::Busy, Hint::Finished, 9, 10, 10));
        assert!(!unsure(Reason::Busy, Hint::Found, 0, 10, 10));
        assert!(!unsure(Reason::Unsettled(STAMP), Hint::Finished, 0, 10, 10));
        // Others that wait do not hide it.
        for key in ["a", "b", "z"] {
            later.again(key.into(), (Reason::Refused, Hint::Found), None, start);
        }
        later.again("k".into(), (Reason::Gone, Hint::Found), None, after(start, 1));
        assert!(later.unsure_since(after(start, 1)) && !later.unsure_since(start));
    }
}
