//! The durable queue: events and deliveries as rows, and the short line of each wire that is held in memory.
//!
//! The rows are the truth. A line holds the next deliveries of one wire, claimed in the same transaction that
//! stored them, so that an event usually goes from its commit straight to its target without being read back.
//! When a line is full the rest stays in the database and is claimed in pages.

mod emit;
mod line;
mod rewire;
mod rows;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Row;
use tokio::sync::Notify;

pub use crate::store::StoreError;
pub(crate) use rows::{at_once, event_of};

use line::Line;
use rows::*;

use super::policy::DeliveryPolicy;
use super::settlement::Settlement;
use super::stream::{self, InLine, Next};
use super::{Outcome, Parcel};
use crate::arn::Arn;
use crate::clock::{Clock, Timestamp};
use crate::store::{After, Store, Write};
use crate::timeline::Timeline;
use crate::wire::{WiresBySource, Wiring};

/// The queue of all deliveries.
pub struct Queue {
    store: Store,
    clock: Clock,
    timeline: Timeline,
    wiring: Wiring,
    state: Mutex<State>,
    /// Rung when something was settled, so that whoever waits for quiet looks again.
    settled: Notify,
}

#[derive(Default)]
struct State {
    next_event: i64,
    next_delivery: i64,
    /// By wire id.
    lines: HashMap<String, Line>,
    /// The row of every wire that ever was, by wire id.
    wire_numbers: HashMap<String, i64>,
    /// One a target: rung when there may be something for it.
    bells: HashMap<Arn, Arc<Notify>>,
    /// Claimed deliveries of wires that have gone meanwhile: they wait in the database for their return.
    orphans: Vec<i64>,
    /// Attempts that are made but could not be written down yet.
    unwritten: Vec<Settlement>,
    /// Emits on their way to the disk.
    emitting: usize,
}

/// How many deliveries are claimed at once.
const PAGE: i64 = 256;
/// How many bytes of records are claimed at once.
const PAGE_BYTES: i64 = 4 * 1024 * 1024;

impl Queue {
    /// Opens the queue in this database: what was claimed when the last process ended waits again.
    pub async fn open(store: Store, clock: Clock, timeline: Timeline) -> Result<Arc<Queue>, StoreError> {
        store.query(RECOVER, Vec::new()).await?;
        let row = sqlx::query(HIGHEST).fetch_one(store.read()).await?;
        let state = State {
            next_event: row.get::<i64, _>(0) + 1,
            next_delivery: row.get::<i64, _>(1) + 1,
            ..State::default()
        };
        let (wiring, state) = (Wiring::default(), Mutex::new(state));
        Ok(Arc::new(Queue { store, clock, timeline, wiring, state, settled: Notify::new() }))
    }

    /// The state database.
    pub fn store(&self) -> &Store {
        &self.store
    }
    /// The wires in force.
    pub fn wires(&self) -> Arc<WiresBySource> {
        self.wiring.now()
    }
    /// The bell of this target: rung when there may be something for it.
    pub fn bell(&self, target: &Arn) -> Arc<Notify> {
        self.state().bells.entry(target.clone()).or_default().clone()
    }

    // ── take and settle ─────────────────────────────────────────────────────────────────────────────────

    /// The next parcel for this target, if one is due.
    pub fn take(&self, target: &Arn) -> Option<Parcel> {
        let now = self.clock.now();
        let mut state = self.state();
        let lines = state.lines.values_mut().filter(|line| line.wire.target == *target);
        // The line whose head has waited longest comes first, so that no wire starves another.
        let mut ready: Vec<&mut Line> = lines.filter(|line| line.can_go(now)).collect();
        ready.sort_by_key(|line| line.ready.front().map(|head| head.since));
        let line = ready.into_iter().next()?;
        let count = match &line.wire.policy {
            DeliveryPolicy::Async(_) => 1,
            DeliveryPolicy::Stream(policy) => match stream::next(policy, line.ready.iter(), now) {
                Next::Batch(count) => count,
                Next::Empty | Next::Wait(_) => return None,
            },
        };
        line.running += 1;
        Some(Parcel { wire: line.wire.clone(), deliveries: line.take(count) })
    }

    /// When this target should look again if nobody rings: the next retry, the end of a window.
    pub fn next_due(&self, target: &Arn) -> Option<Timestamp> {
        let now = self.clock.now();
        let state = self.state();
        let lines = state.lines.values().filter(|line| line.wire.target == *target);
        lines.filter_map(|line| [line.next_due, line.opens_at(now)].into_iter().flatten().min()).min()
    }

    /// Writes down what an attempt meant. Returns once the writer has it; the line moves on when it is on disk.
    pub async fn settle(self: &Arc<Self>, parcel: Parcel, outcome: Outcome) {
        let at = self.clock.now();
        let verdicts = parcel.wire.policy.settle(&parcel, &outcome, at);
        self.write_down(Settlement { parcel, outcome, verdicts, at, keeps_place: false }).await;
    }

    /// Tries again to write down what could not be written. True if there was something.
    pub async fn write_unwritten(self: &Arc<Self>) -> bool {
        let unwritten = std::mem::take(&mut self.state().unwritten);
        let some = !unwritten.is_empty();
        for settlement in unwritten {
            self.write_down(settlement).await;
        }
        some
    }

    async fn write_down(self: &Arc<Self>, mut settlement: Settlement) {
        let number = {
            let (state, wire) = (self.state(), &settlement.parcel.wire);
            let in_force = state.lines.contains_key(&wire.id);
            settlement.keeps_place = in_force && matches!(wire.policy, DeliveryPolicy::Stream(_));
            state.wire_numbers.get(&wire.id).copied().unwrap_or_default()
        };
        let rows = settlement.rows(number);
        let queue = self.clone();
        let after: After = Box::new(move |result| match result {
            Ok(_) => queue.settled(&settlement),
            Err(error) => {
                queue.timeline.notice(settlement.at, "error", format!("{error}; trying again"));
                let bell = queue.bell(&settlement.parcel.wire.target);
                queue.state().unwritten.push(settlement);
                bell.notify_one();
            }
        });
        // A stopped writer means that dropwire is going down: what is claimed waits again at the next start.
        self.store.commit_soon(rows, after).await.ok();
    }

    /// The settlement is committed: the line moves on.
    fn settled(&self, settlement: &Settlement) {
        self.timeline.is_followed().then(|| self.timeline.note(settlement.at, settlement.moment()));
        let mut guard = self.state();
        let state = &mut *guard;
        match state.lines.get_mut(&settlement.parcel.wire.id) {
            Some(line) => {
                line.running = line.running.saturating_sub(1);
                line.take_back(settlement);
            }
            // It was to keep its place in a line that has gone meanwhile.
            None if settlement.keeps_place => state.orphans.extend(settlement.kept()),
            None => {}
        }
        if let Some(bell) = state.bells.get(&settlement.parcel.wire.target) {
            bell.notify_one();
        }
        drop(guard);
        self.settled.notify_waiters();
    }

    /// Fills the lines of this target from the database where they run low. True if more may be to be had.
    pub async fn refill(&self, target: &Arn) -> Result<bool, StoreError> {
        self.put_orphans_back().await?;
        let now = self.clock.now();
        let low: Vec<(String, i64)> = {
            let mut state = self.state();
            let lines = state.lines.iter_mut().filter(|(_, line)| line.wire.target == *target);
            let low = lines.filter(|(_, line)| line.runs_low(now));
            low.map(|(id, line)| {
                (line.refilling, line.behind, line.next_due) = (true, false, None);
                (id.clone(), line.no)
            })
            .collect()
        };
        let mut filled_all = Ok(!low.is_empty());
        for (id, no) in low {
            let filled = self.refill_line(&id, no, now).await;
            if let Some(line) = self.state().lines.get_mut(&id) {
                line.refilling = false;
                line.behind |= filled.is_err();
            }
            // Whoever waits for quiet may have waited for this.
            self.settled.notify_waiters();
            if let Err(error) = filled {
                filled_all = Err(error);
            }
        }
        filled_all
    }

    async fn refill_line(&self, id: &str, no: i64, now: Timestamp) -> Result<(), StoreError> {
        let page = sqlx::query(NEXT_PAGE).bind(no).bind(now.as_micros()).bind(PAGE).bind(PAGE_BYTES);
        let claimed: Vec<InLine> =
            page.fetch_all(self.store.read()).await?.iter().map(|row| in_line_of(row, now)).collect();
        if !claimed.is_empty() {
            let rows = claimed.iter().map(|in_line| json!(in_line.delivery.id.0)).collect();
            self.store.write_soon(vec![Write { sql: CLAIM, rows }]).await?;
        }
        let claimed = self.take_claimed(id, claimed);
        self.state().orphans.extend(claimed);
        let read = self.store.read();
        let more: bool = sqlx::query(WAITING).bind(no).bind(now.as_micros()).fetch_one(read).await?.get(0);
        let next: Option<i64> =
            sqlx::query(NEXT_DUE).bind(no).bind(now.as_micros()).fetch_one(read).await?.get(0);
        if let Some(line) = self.state().lines.get_mut(id) {
            line.behind |= more;
            line.wake_at(next.map(Timestamp::from_micros));
        }
        Ok(())
    }

    /// Puts what was claimed into its line; if that has gone meanwhile, these deliveries have no place.
    fn take_claimed(&self, id: &str, claimed: Vec<InLine>) -> Vec<i64> {
        match self.state().lines.get_mut(id) {
            Some(line) => {
                claimed.into_iter().for_each(|in_line| line.push(in_line));
                Vec::new()
            }
            None => claimed.iter().map(|in_line| in_line.delivery.id.0).collect(),
        }
    }

    // ── dead letters ────────────────────────────────────────────────────────────────────────────────────

    /// Sends dead letters again: their deliveries wait anew with no attempt counted, the letters are gone.
    pub async fn redrive(&self, letters: Vec<i64>, deliveries: Vec<i64>) -> Result<(), StoreError> {
        let rows = |ids: Vec<i64>| ids.into_iter().map(Value::from).collect();
        let writes =
            vec![Write { sql: REVIVE, rows: rows(deliveries) }, Write { sql: BURY, rows: rows(letters) }];
        self.store.write(writes).await?;
        for line in self.state().lines.values_mut() {
            line.behind = true;
        }
        self.ring_all();
        Ok(())
    }

    /// Removes dead letters for good.
    pub async fn drop_letters(&self, letters: Vec<i64>) -> Result<(), StoreError> {
        let rows = letters.into_iter().map(Value::from).collect();
        self.store.write(vec![Write { sql: BURY, rows }]).await
    }

    /// When the next delivery of any target falls due.
    pub fn next_due_of_all(&self) -> Option<Timestamp> {
        let now = self.clock.now();
        let state = self.state();
        let dues = state.lines.values().flat_map(|line| [line.next_due, line.opens_at(now)]);
        dues.flatten().min()
    }

    // ── quiet ───────────────────────────────────────────────────────────────────────────────────────────

    /// Waits until nothing runs and nothing is due now.
    pub async fn quiet(&self) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if self.is_quiet() {
                return;
            }
            settled.await;
        }
    }

    /// How many deliveries are running, and how many are ready in memory.
    pub fn load(&self) -> (usize, usize) {
        let state = self.state();
        let lines = state.lines.values();
        lines.fold((0, 0), |(running, ready), line| (running + line.running, ready + line.ready.len()))
    }

    /// What is under way, in words: for whoever waits in vain.
    pub fn in_words(&self) -> String {
        let (now, state) = (self.clock.now(), self.state());
        let lines = state.lines.values().map(|line| line.in_words(now)).collect::<Vec<_>>().join("; ");
        format!("at {now}: {} emitting, {} unwritten; {lines}", state.emitting, state.unwritten.len())
    }

    fn is_quiet(&self) -> bool {
        let now = self.clock.now();
        let state = self.state();
        let busy = |line: &Line| {
            line.running > 0
                || line.reserved > 0
                || line.behind
                || line.refilling
                || line.can_go(now)
                || line.next_due.is_some_and(|due| due <= now)
        };
        state.emitting == 0 && state.unwritten.is_empty() && !state.lines.values().any(busy)
    }

    fn ring_all(&self) {
        self.state().bells.values().for_each(|bell| bell.notify_one());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// How long a target waits before it tries again to write down what could not be written.
pub const UNWRITTEN_PAUSE: Duration = Duration::from_secs(1);
