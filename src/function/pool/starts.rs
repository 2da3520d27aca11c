//! When one more environment is started for those who wait in line: decided by facts alone, without a clock.

use std::time::Duration;

/// How long somebody waits in line at the least before another environment is started for him.
const PATIENCE_MIN: Duration = Duration::from_millis(1);
/// How long the line waits for the first start before it starts as many as it needs: that function is a slow one.
const PATIENCE_MAX: Duration = Duration::from_millis(250);
/// How long there is a line without a break, at the least, before the processors get something to do in any case.
const LASTING_MIN: Duration = Duration::from_millis(10);

/// What there is at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// How many environments there may be at once.
    pub limit: usize,
    /// How many have an event.
    pub busy: usize,
    /// How many start.
    pub starting: usize,
    /// Whether new code is being started, for which everybody waits.
    pub reloads: bool,
    /// How many wait in line.
    pub line: usize,
    /// How long the first of them has waited.
    pub waited: Duration,
    /// How long there has been a line without a break.
    pub lasts: Duration,
    /// How long the last start took; none if none is over yet.
    pub last_start: Option<Duration>,
    /// How long ago it was over.
    pub settled: Duration,
    /// How many environments are enough for a line that moves fast.
    pub enough: usize,
}

impl Facts {
    /// How long until another environment is to be started for the line; none as long as nothing changes.
    pub fn next_start(&self) -> Option<Duration> {
        let may_start = self.busy + self.starting < self.limit;
        if !may_start || self.starting >= self.line || self.reloads {
            return None;
        }
        let waited = self.waited;
        let Some(last) = self.last_start else {
            // Nobody knows yet how long a start takes.
            let is_first = self.busy + self.starting == 0;
            return Some(if is_first { Duration::ZERO } else { PATIENCE_MAX.saturating_sub(waited) });
        };
        if self.starting >= self.busy.max(1) && waited < PATIENCE_MAX {
            return Some(PATIENCE_MAX.saturating_sub(waited));
        }
        if self.busy + self.starting == 0 {
            return Some(Duration::ZERO);
        }
        let patience = last.clamp(PATIENCE_MIN, PATIENCE_MAX);
        // A start that was over a moment ago may be all that was missing.
        let by_waiting = patience.saturating_sub(waited.min(self.settled));
        if self.starting > 0 || self.busy >= self.enough {
            return Some(by_waiting);
        }
        let by_lasting = patience.max(LASTING_MIN).saturating_sub(self.lasts.min(self.settled));
        Some(by_waiting.min(by_lasting))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Two environments have an event, one waits since this moment, and a start takes 40 ms.
    const FACTS: Facts = Facts {
        limit: 1000,
        busy: 2,
        starting: 0,
        reloads: false,
        line: 1,
        waited: Duration::ZERO,
        lasts: Duration::ZERO,
        last_start: Some(ms(40)),
        settled: ms(60_000),
        enough: 4,
    };

    #[test]
    fn facts_and_what_follows_from_them() {
        let table = [
            ("nobody waits", Facts { line: 0, ..FACTS }, None),
            ("there may be no more", Facts { limit: 2, ..FACTS }, None),
            ("there may be no more, one starts", Facts { limit: 3, starting: 1, line: 2, ..FACTS }, None),
            ("there is a start for everybody", Facts { starting: 3, line: 3, busy: 9, ..FACTS }, None),
            ("new code starts", Facts { reloads: true, ..FACTS }, None),
            ("the very first", Facts { busy: 0, last_start: None, ..FACTS }, Some(ms(0))),
            ("nothing is there any more", Facts { busy: 0, ..FACTS }, Some(ms(0))),
            (
                "the first start is not over",
                Facts { busy: 0, starting: 1, line: 5, last_start: None, waited: ms(50), ..FACTS },
                Some(ms(200)),
            ),
            (
                "the first start takes long",
                Facts { busy: 0, starting: 1, line: 5, last_start: None, waited: ms(250), ..FACTS },
                Some(ms(0)),
            ),
            ("as long as a start takes", FACTS, Some(ms(40))),
            ("some of it is over", Facts { waited: ms(15), ..FACTS }, Some(ms(25))),
            ("it is over", Facts { waited: ms(41), ..FACTS }, Some(ms(0))),
            ("a start was over just now", Facts { waited: ms(41), settled: ms(1), ..FACTS }, Some(ms(39))),
            (
                "a start takes no time",
                Facts { last_start: Some(ms(0)), busy: 9, ..FACTS },
                Some(PATIENCE_MIN),
            ),
            ("a start takes long", Facts { last_start: Some(ms(9000)), ..FACTS }, Some(PATIENCE_MAX)),
            ("the line lasts", Facts { waited: ms(1), lasts: ms(40), ..FACTS }, Some(ms(0))),
            (
                "it lasts, but they are enough",
                Facts { waited: ms(1), lasts: ms(40), busy: 4, ..FACTS },
                Some(ms(39)),
            ),
            (
                "it lasts, but one starts",
                Facts { waited: ms(1), lasts: ms(40), starting: 1, line: 9, ..FACTS },
                Some(ms(39)),
            ),
            (
                "it lasts for a moment only",
                Facts { waited: ms(0), lasts: ms(3), last_start: Some(ms(2)), ..FACTS },
                Some(ms(2)),
            ),
            (
                "as many start as have an event",
                Facts { waited: ms(41), starting: 2, line: 9, ..FACTS },
                Some(ms(209)),
            ),
            ("they take too long", Facts { waited: ms(250), starting: 2, line: 9, ..FACTS }, Some(ms(0))),
        ];
        for (what, facts, expected) in table {
            assert_eq!(facts.next_start(), expected, "{what}: {facts:?}");
        }
    }

    /// What happens in a pool whose time is counted here.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    enum Step {
        Started,
        Answered,
    }

    /// So many clients invoke a function, each as soon as it has its answer, for `lasts` in all; an answer and a
    /// start take this long. Returns how many environments were started.
    fn started(clients: usize, answer: Duration, start: Duration, lasts: Duration) -> usize {
        let (mut now, mut count, mut idle) = (Duration::ZERO, 0, 0);
        let mut facts = Facts { busy: 0, line: 0, last_start: None, ..FACTS };
        let mut line: VecDeque<Duration> = (0..clients).map(|_| now).collect();
        let (mut since, mut settled_at) = (now, None);
        let mut ahead: BTreeMap<(Duration, usize), Step> = BTreeMap::new();
        for number in 0.. {
            while idle > 0 && line.pop_front().is_some() {
                (idle, facts.busy) = (idle - 1, facts.busy + 1);
                ahead.insert((now + answer, clients * number + line.len()), Step::Answered);
            }
            facts.line = line.len();
            facts.waited = line.front().map_or(Duration::ZERO, |came| now - *came);
            facts.lasts = if line.is_empty() { Duration::ZERO } else { now - since };
            facts.settled = settled_at.map_or(Duration::MAX, |at| now - at);
            let next = ahead.first_key_value().map(|((at, _), _)| *at);
            match facts.next_start() {
                Some(wait) if next.is_none_or(|next| now + wait < next) => {
                    now += wait;
                    if wait.is_zero() {
                        (facts.starting, count) = (facts.starting + 1, count + 1);
                        ahead.insert((now + start, clients * number + clients - 1), Step::Started);
                    }
                    continue;
                }
                _ => {}
            }
            let Some(((at, _), step)) = ahead.pop_first() else { break };
            if at > lasts {
                break;
            }
            now = at;
            idle += 1;
            if step == Step::Started {
                facts.starting -= 1;
                (facts.last_start, settled_at) = (Some(start), Some(now));
            } else {
                facts.busy -= 1;
                if line.is_empty() {
                    since = now;
                }
                line.push_back(now);
            }
        }
        count
    }

    #[test]
    fn many_clients_of_a_quick_function_share_few() {
        for clients in [8, 32, 128] {
            let count = started(clients, Duration::from_micros(200), ms(40), ms(5000));
            assert!((1..=FACTS.enough + 2).contains(&count), "{count} for {clients} clients");
        }
        assert_eq!(started(1, Duration::from_micros(200), ms(40), ms(5000)), 1);
    }

    #[test]
    fn clients_of_a_slow_function_get_one_each() {
        for clients in [1, 8, 32] {
            assert_eq!(started(clients, ms(2000), ms(40), ms(8000)), clients);
        }
        assert_eq!(started(16, ms(2000), ms(900), ms(8000)), 16, "and so do those of one that starts slowly");
    }
}
