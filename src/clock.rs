//! The time of the simulated world, which may be frozen, moved or sped up, and the few waits on real time.
//!
//! Everything that AWS would date or schedule asks [`Clock`]. Real time (see [`real`]) is only for child
//! processes, sockets and file systems, which live on this machine's own time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point `micros` microseconds after the epoch.
    pub const fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros)
    }
    /// The point `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis * 1000)
    }
    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }
    /// Whole milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }
    /// Whole seconds since the epoch.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
    /// This point and `by` more.
    pub fn plus(self, by: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
    /// How long after `earlier` this is; nothing if it is before it.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
    /// `2023-04-12T20:43:38.021Z`: three digits always, as AWS writes its event times.
    pub fn iso_millis(self) -> String {
        let (date, second, micros) = self.parts();
        format!("{date}T{second}.{:03}Z", micros / 1000)
    }
    /// `2023-04-12T20:43:38Z`.
    pub fn iso_seconds(self) -> String {
        let (date, second, _) = self.parts();
        format!("{date}T{second}Z")
    }
    /// Reads an RFC 3339 time such as `2026-01-05T09:00:00Z`. None if it is none.
    pub fn parse(text: &str) -> Option<Timestamp> {
        let stamp: jiff::Timestamp = text.parse().ok()?;
        Some(Timestamp(stamp.as_microsecond()))
    }

    fn parts(self) -> (String, String, i64) {
        let micros = self.0.rem_euclid(1_000_000);
        let seconds = self.0.div_euclid(1_000_000);
        let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let (h, m, s) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        (format!("{year:04}-{month:02}-{day:02}"), format!("{h:02}:{m:02}:{s:02}"), micros)
    }
}

/// The proleptic Gregorian date of a day number since the epoch.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso_millis())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso_millis())
    }
}

/// How the simulated clock runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// With the machine's own time, `offset` microseconds ahead of it.
    Running {
        /// Microseconds between the machine's time and ours.
        offset: i64,
    },
    /// Standing still; it moves only when somebody moves it.
    Frozen {
        /// Where it stands.
        at: Timestamp,
    },
    /// Faster or slower than the machine's time.
    Scaled {
        /// The machine's time when this pace began.
        from_wall: Timestamp,
        /// Our time then.
        from: Timestamp,
        /// Simulated seconds in a real one.
        rate: f64,
    },
}

/// The simulated world's clock. Clones share one time.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// Rung when the pace changed or the time was moved, so that sleepers look again.
    moved: Notify,
}

struct State {
    pace: Pace,
    /// When sleepers are due, with how many wait for each time: what `advance` steps through.
    sleepers: BTreeMap<Timestamp, usize>,
}

impl Clock {
    /// A clock that shows the machine's own time.
    pub fn system() -> Clock {
        Clock::at_pace(Pace::Running { offset: 0 })
    }
    /// A clock that stands at `at` until it is moved.
    pub fn frozen_at(at: Timestamp) -> Clock {
        Clock::at_pace(Pace::Frozen { at })
    }
    /// A clock that shows `at` now and runs on from there with real time.
    pub fn starting_at(at: Timestamp) -> Clock {
        Clock::at_pace(Pace::Running { offset: at.0 - real::now().0 })
    }
    /// A clock that shows the machine's time now and runs on at `rate` simulated seconds in a real one.
    pub fn scaled(rate: f64) -> Clock {
        let wall = real::now();
        Clock::at_pace(Pace::Scaled { from_wall: wall, from: wall, rate })
    }
    /// A clock at this pace.
    pub fn at_pace(pace: Pace) -> Clock {
        let state = State { pace, sleepers: BTreeMap::new() };
        Clock(Arc::new(Inner { state: Mutex::new(state), moved: Notify::new() }))
    }

    /// What time it is in the simulated world.
    pub fn now(&self) -> Timestamp {
        self.state().pace.now()
    }
    /// How it runs at present.
    pub fn pace(&self) -> Pace {
        self.state().pace
    }
    /// Runs from now on at this pace; whoever sleeps looks again.
    pub fn set_pace(&self, pace: Pace) {
        self.state().pace = pace;
        self.0.moved.notify_waiters();
    }
    /// Stands still from now on.
    pub fn freeze(&self) {
        let now = self.now();
        self.set_pace(Pace::Frozen { at: now });
    }
    /// Runs on with real time from where it is.
    pub fn resume(&self) {
        let now = self.now();
        self.set_pace(Pace::Running { offset: now.0 - real::now().0 });
    }

    /// Shows `at` from now on, whether that is earlier or later, and goes on as it went.
    pub fn set_to(&self, at: Timestamp) {
        self.set_pace(self.pace().from(at));
    }

    /// Waits until it is `then` or later. Returns at once if it is already.
    pub async fn sleep_until(&self, then: Timestamp) {
        self.sleep_until_then(then, || ()).await;
    }

    /// The same, and this is done before anybody who moves the time can see that the sleep is over.
    pub async fn sleep_until_then<T>(&self, then: Timestamp, begin: impl FnOnce() -> T) -> T {
        let _listed = Sleeper::list(self, then);
        self.watch(then, None).await;
        begin()
    }

    /// Waits until it is `then` or later, or earlier than it was when this was called: somebody moved the time back.
    /// Nobody who moves the time stops for `then`.
    pub async fn watch_until(&self, then: Timestamp) {
        self.watch(then, Some(self.now())).await;
    }

    async fn watch(&self, then: Timestamp, from: Option<Timestamp>) {
        loop {
            // Listen before looking: a move between the two must not be missed.
            let moved = self.0.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            let pace = self.pace();
            if from.is_some_and(|from| pace.now() < from) {
                return;
            }
            match pace.real_time_until(then) {
                Some(wait) if wait.is_zero() => return,
                Some(wait) => {
                    tokio::select! { () = real::sleep(wait) => {}, () = moved => {} }
                }
                None => moved.await,
            }
        }
    }

    /// The time at which the next sleeper is due, if anyone sleeps.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.state().sleepers.keys().next().copied()
    }

    /// Moves the time to `to` in the order in which things fall due: each due time is shown for itself, and
    /// `settled` is awaited after each, so that what falls due runs at *its* time. `ahead` names the next due
    /// time of those who are not asleep at this moment. Never moves backwards. Returns the due times that were
    /// passed. A frozen clock stays frozen; another runs on from `to`.
    pub async fn advance_to<S, F>(
        &self,
        to: Timestamp,
        settled: S,
        ahead: impl Fn() -> Option<Timestamp>,
    ) -> Vec<Timestamp>
    where
        S: Fn() -> F,
        F: Future<Output = ()>,
    {
        let mut passed = Vec::new();
        let pace = Resume { clock: self, pace: self.pace() };
        self.freeze();
        settled().await;
        let next = || [self.next_due(), ahead()].into_iter().flatten().min();
        while let Some(due) = next().filter(|due| *due <= to) {
            let at = due.max(self.now());
            self.set_pace(Pace::Frozen { at });
            passed.push(due);
            self.wait_for_wakeup(due).await;
            settled().await;
        }
        self.set_to(to.max(self.now()));
        drop(pace);
        settled().await;
        passed
    }

    /// Waits until nobody is listed as sleeping for `due` any more.
    async fn wait_for_wakeup(&self, due: Timestamp) {
        while self.state().sleepers.contains_key(&due) {
            tokio::task::yield_now().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Pace {
    /// `real`, `frozen`, `x60`, or `moved` for one that runs, but not at the machine's time.
    pub fn in_words(&self) -> String {
        match self {
            Pace::Running { offset: 0 } => "real".into(),
            Pace::Running { .. } => "moved".into(),
            Pace::Frozen { .. } => "frozen".into(),
            Pace::Scaled { rate, .. } => format!("x{rate}"),
        }
    }

    /// The simulated time at this pace.
    fn now(&self) -> Timestamp {
        match *self {
            Pace::Running { offset } => Timestamp(real::now().0 + offset),
            Pace::Frozen { at } => at,
            Pace::Scaled { from_wall, from, rate } => {
                let real_micros = (real::now().0 - from_wall.0) as f64;
                Timestamp(from.0 + (real_micros * rate) as i64)
            }
        }
    }

    /// The same pace, from this time on.
    fn from(self, at: Timestamp) -> Pace {
        let wall = real::now();
        match self {
            Pace::Frozen { .. } => Pace::Frozen { at },
            Pace::Running { .. } => Pace::Running { offset: at.0 - wall.0 },
            Pace::Scaled { rate, .. } => Pace::Scaled { from_wall: wall, from: at, rate },
        }
    }

    /// How long to wait in real time until it is `then`; None if that time never comes by itself.
    fn real_time_until(&self, then: Timestamp) -> Option<Duration> {
        let ahead = then.since(self.now());
        match *self {
            Pace::Running { .. } => Some(ahead),
            Pace::Frozen { .. } => ahead.is_zero().then_some(ahead),
            Pace::Scaled { rate, .. } => {
                Some(if ahead.is_zero() { ahead } else { ahead.div_f64(rate).max(Duration::from_micros(1)) })
            }
        }
    }
}

/// Gives a clock that was stopped its pace back, from wherever it is, even if whoever stopped it goes away.
struct Resume<'a> {
    clock: &'a Clock,
    pace: Pace,
}

impl Drop for Resume<'_> {
    fn drop(&mut self) {
        let now = self.clock.now();
        self.clock.set_pace(self.pace.from(now));
    }
}

/// Somebody who sleeps, listed while it does.
struct Sleeper<'a> {
    clock: &'a Clock,
    due: Timestamp,
}

impl<'a> Sleeper<'a> {
    fn list(clock: &'a Clock, due: Timestamp) -> Sleeper<'a> {
        *clock.state().sleepers.entry(due).or_insert(0) += 1;
        Sleeper { clock, due }
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        let mut state = self.clock.state();
        if let Some(waiting) = state.sleepers.get_mut(&self.due) {
            *waiting -= 1;
            if *waiting == 0 {
                state.sleepers.remove(&self.due);
            }
        }
    }
}

/// The machine's own time, for child processes, sockets and file systems.
pub mod real {
    use super::Timestamp;
    use std::future::Future;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    /// What the machine's clock shows.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
    pub fn now() -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }
    /// Waits in real time.
    #[expect(clippy::disallowed_methods, reason = "the one place that waits for real time to pass")]
    pub async fn sleep(wait: Duration) {
        tokio::time::sleep(wait).await;
    }
    /// The future's result, or None if it took longer than `limit` of real time.
    pub async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
        tokio::time::timeout(limit, future).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_iso(micros: i64, expected: &str) {
        assert_eq!(Timestamp::from_micros(micros).iso_millis(), expected);
        assert_eq!(Timestamp::parse(expected).map(|t| t.as_millis()), Some(micros.div_euclid(1000)));
    }

    #[test]
    fn times_are_written_as_aws_writes_them() {
        check_iso(0, "1970-01-01T00:00:00.000Z");
        check_iso(1_681_332_218_021_999, "2023-04-12T20:43:38.021Z");
        check_iso(1_709_164_800_000_000, "2024-02-29T00:00:00.000Z");
        check_iso(4_107_542_399_999_000, "2100-02-28T23:59:59.999Z");
        check_iso(-1_000, "1969-12-31T23:59:59.999Z");
    }

    #[tokio::test]
    async fn advancing_shows_each_due_time_for_itself() {
        let clock = Clock::frozen_at(Timestamp::from_millis(0));
        let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let mut sleepers = tokio::task::JoinSet::new();
        for due in [3_000, 1_000, 2_000, 9_000] {
            let (clock, sender) = (clock.clone(), sender.clone());
            sleepers.spawn(async move {
                clock.sleep_until(Timestamp::from_millis(due)).await;
                sender.send((due, clock.now().as_millis())).ok();
            });
        }
        while clock.state().sleepers.len() < 4 {
            tokio::task::yield_now().await;
        }
        let passed = clock.advance_to(Timestamp::from_millis(5_000), tokio::task::yield_now, || None).await;
        assert_eq!(passed.len(), 3);
        for expected in [1_000, 2_000, 3_000] {
            assert_eq!(seen.recv().await, Some((expected, expected)));
        }
        assert_eq!(clock.now().as_millis(), 5_000);
        assert_eq!(clock.next_due(), Some(Timestamp::from_millis(9_000)));
    }

    #[tokio::test]
    async fn a_frozen_clock_wakes_nobody_until_it_is_moved() {
        let clock = Clock::frozen_at(Timestamp::from_millis(0));
        let mut sleeper = tokio::task::JoinSet::new();
        sleeper.spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(Timestamp::from_millis(10)).await }
        });
        while clock.next_due().is_none() {
            tokio::task::yield_now().await;
        }
        assert!(sleeper.try_join_next().is_none());
        clock.set_pace(Pace::Frozen { at: Timestamp::from_millis(10) });
        sleeper.join_next().await.expect("one sleeper").expect("it wakes");
    }
}
