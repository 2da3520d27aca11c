//! The durable queue: events and deliveries as rows, and the short line of each wire that is held in memory.
//!
//! The rows are the truth. A line holds the next deliveries of one wire, claimed in the same transaction that
//! stored them, so that an event usually goes from its commit straight to its target without being read back.
//! When a line is full the rest stays in the database and is claimed in pages. A wire that has nothing to do has no
//! line, and its target nobody who attends to it: thousands of wires cost nothing but their names.

mod attend;
mod emit;
mod line;
mod lines;
mod refill;
mod rewire;
mod rows;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Row;
use tokio::sync::Notify;

pub use crate::store::StoreError;
pub(crate) use rows::{at_once, event_of};

use emit::{Chosen, Emission};
pub use emit::{Own, Sent, Until};
use line::Line;
use lines::Lines;
use rows::*;

use super::destination::{self, Sending};
use super::policy::DeliveryPolicy;
use super::settlement::Settlement;
use super::stream::{self, Next};
use super::{Outcome, Parcel};
use crate::arn::Arn;
use crate::clock::{Clock, Timestamp};
use crate::store::{After, Rows, Store, Write};
use crate::timeline::Timeline;
use crate::wire::{WiresBySource, Wiring};

/// The queue of all deliveries.
pub struct Queue {
    store: Store,
    clock: Clock,
    timeline: Timeline,
    wiring: Wiring,
    state: Mutex<State>,
    /// One rewiring at a time.
    rewiring: tokio::sync::Mutex<()>,
    /// Rung when something was settled, so that whoever waits for quiet looks again.
    settled: Notify,
}

#[derive(Default)]
struct State {
    next_event: i64,
    next_delivery: i64,
    /// The wires in force, as the lines know them.
    wires: Arc<WiresBySource>,
    /// The row of every wire that ever was, by wire id.
    known: HashMap<String, Known>,
    lines: Lines,
    /// One a target that is attended to: rung when there may be something for it.
    bells: HashMap<Arn, Arc<Notify>>,
    /// Targets for which there may be something, and to which nobody attends.
    unattended: HashSet<Arn>,
    /// Claimed deliveries of wires that have gone meanwhile: they wait in the database for their return.
    orphans: Vec<i64>,
    /// Attempts that are made but could not be written down yet.
    unwritten: Vec<Settlement>,
    /// Rung when one comes in there.
    door: Arc<Notify>,
    /// Targets with something to do that are not there: what waits for one waits for its return.
    missing: HashSet<Arn>,
    /// Emits on their way to the disk.
    emitting: usize,
    /// Sources that do what fell due.
    occupied: usize,
}

/// What is known of a wire's row.
#[derive(Clone, Copy)]
struct Known {
    no: i64,
    /// It has what its stream kept before it was declared.
    reached: bool,
}

impl State {
    /// The line of a wire in force; a new one if it had nothing to do.
    fn line(&mut self, id: &str) -> Option<&mut Line> {
        let (wire, known) = (self.wires.get(id)?, self.known.get(id)?);
        Some(self.lines.at(wire, known.no))
    }
    /// There may be something for this target.
    fn ring(&mut self, target: &Arn) {
        match self.bells.get(target) {
            Some(bell) => bell.notify_one(),
            None => {
                self.unattended.insert(target.clone());
                self.door.notify_one();
            }
        }
    }
}

impl Queue {
    /// Opens the queue in this database: what was claimed when the last process ended waits again.
    pub async fn open(store: Store, clock: Clock, timeline: Timeline) -> Result<Arc<Queue>, StoreError> {
        store.query(RECOVER, Vec::new()).await?;
        let row = sqlx::query(HIGHEST).fetch_one(store.read()).await?;
        let mut known = HashMap::new();
        for row in sqlx::query(WIRES).fetch_all(store.read()).await? {
            known.insert(row.get("id"), known_of(&row));
        }
        let state = State {
            next_event: row.get::<i64, _>(0) + 1,
            next_delivery: row.get::<i64, _>(1) + 1,
            known,
            ..State::default()
        };
        Ok(Arc::new(Queue {
            store,
            clock,
            timeline,
            wiring: Wiring::default(),
            state: Mutex::new(state),
            rewiring: tokio::sync::Mutex::new(()),
            settled: Notify::new(),
        }))
    }

    /// The state database.
    pub fn store(&self) -> &Store {
        &self.store
    }
    /// The wires in force.
    pub fn wires(&self) -> Arc<WiresBySource> {
        self.wiring.now()
    }

    // ── take and settle ─────────────────────────────────────────────────────────────────────────────────

    /// The next parcel for this target, if one is due.
    pub fn take(&self, target: &Arn) -> Option<Parcel> {
        let now = self.clock.now();
        let mut state = self.state();
        // The line whose head has waited longest comes first, so that no wire starves another.
        let ready = state.lines.of_mut(target).iter_mut().filter(|line| line.can_go(now));
        let line = ready.min_by_key(|line| line.ready.front().map(|head| head.since))?;
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
        let lines = state.lines.of(target).iter();
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
            let in_force = state.wires.get(&wire.id).is_some();
            settlement.keeps_place = in_force && matches!(wire.policy, DeliveryPolicy::Stream(_));
            state.known.get(&wire.id).map_or(0, |known| known.no)
        };
        let sendings = destination::sendings(&settlement);
        let mut rows = settlement.rows(number, &sendings);
        let sent = self.plan_sendings(&sendings).map(|(more, sent)| {
            rows.extend(more);
            sent
        });
        let queue = self.clone();
        let after: After = Box::new(move |result| {
            match &result {
                Ok(_) => queue.settled(&settlement),
                Err(error) => queue.not_written(settlement, error),
            }
            if let Some(sent) = sent {
                queue.emitted(sent, result.ok());
            }
        });
        // A stopped writer means that dropwire is going down: what is claimed waits again at the next start.
        self.store.commit_soon(rows, after).await.ok();
    }

    /// What is sent to destinations that are no queues becomes events, in the same transaction.
    fn plan_sendings(&self, sendings: &[Sending]) -> Option<(Vec<Rows>, Emission)> {
        let events = sendings.iter().filter_map(Sending::event);
        let chosen: Vec<Chosen> =
            events.map(|(event, wire)| Chosen { event, wires: vec![Arc::new(wire)], waits: true }).collect();
        (!chosen.is_empty()).then(|| self.plan(chosen))
    }

    fn not_written(&self, settlement: Settlement, error: &StoreError) {
        self.timeline.notice(settlement.at, "error", format!("{error}; trying again"));
        let target = settlement.parcel.wire.target.clone();
        let mut state = self.state();
        state.unwritten.push(settlement);
        state.ring(&target);
    }

    /// The settlement is committed: the line moves on.
    fn settled(&self, settlement: &Settlement) {
        self.timeline.is_followed().then(|| self.timeline.note(settlement.at, settlement.moment()));
        let mut guard = self.state();
        let state = &mut *guard;
        let mut target = settlement.parcel.wire.target.clone();
        match state.line(&settlement.parcel.wire.id) {
            Some(line) => {
                line.running = line.running.saturating_sub(1);
                line.take_back(settlement);
                target = line.wire.target.clone();
            }
            // It was to keep its place in a line that has gone meanwhile.
            None if settlement.keeps_place => state.orphans.extend(settlement.kept()),
            None => {}
        }
        if !state.lines.drop_idle(&target) || state.bells.contains_key(&target) {
            state.ring(&target);
        }
        drop(guard);
        self.settled.notify_waiters();
    }

    // ── dead letters ────────────────────────────────────────────────────────────────────────────────────

    /// Sends dead letters again: their deliveries wait anew with no attempt counted, the letters are gone.
    pub async fn redrive(
        self: &Arc<Self>,
        letters: Vec<i64>,
        deliveries: Vec<i64>,
    ) -> Result<(), StoreError> {
        let rows = |ids: Vec<i64>| ids.into_iter().map(Value::from).collect();
        let wires = self.wires_of(json!(deliveries)).await?;
        let writes =
            [Write { sql: REVIVE, rows: rows(deliveries) }, Write { sql: BURY, rows: rows(letters) }];
        let queue = self.clone();
        // Whoever asked may go away before it is written; then it is done all the same, and to its end.
        let after: After = Box::new(move |written| {
            if written.is_ok() {
                queue.look_again(&wires);
            }
        });
        let written = self.store.commit(writes.map(Rows::from).into(), after).await?;
        written.await.map_err(|_| StoreError::Stopping)?
    }

    /// The ids of the wires of these deliveries.
    async fn wires_of(&self, deliveries: Value) -> Result<Vec<String>, StoreError> {
        let wires = sqlx::query_scalar(WIRES_OF).bind(deliveries.to_string());
        Ok(wires.fetch_all(self.store.read()).await?)
    }

    /// Something waits in the database for these wires.
    fn look_again(&self, wires: &[String]) {
        let mut state = self.state();
        for wire in wires {
            let Some(line) = state.line(wire) else { continue };
            line.behind = true;
            let target = line.wire.target.clone();
            state.ring(&target);
        }
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
        let there = state.lines.all().filter(|line| !state.missing.contains(&line.wire.target));
        let dues = there.flat_map(|line| [line.next_due, line.opens_at(now)]);
        dues.flatten().min()
    }

    // ── quiet ───────────────────────────────────────────────────────────────────────────────────────────

    /// It is not quiet while what is returned lives: a source does what fell due, and events may come of it.
    pub fn occupy(self: &Arc<Self>) -> Occupied {
        self.state().occupied += 1;
        Occupied(self.clone())
    }

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
        let lines = state.lines.all();
        lines.fold((0, 0), |(running, ready), line| (running + line.running, ready + line.ready.len()))
    }

    /// What is under way, in words: for whoever waits in vain.
    pub fn in_words(&self) -> String {
        let (now, state) = (self.clock.now(), self.state());
        let lines = state.lines.all().map(|line| line.in_words(now)).collect::<Vec<_>>().join("; ");
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
        let mut there = state.lines.all().filter(|line| !state.missing.contains(&line.wire.target));
        state.emitting + state.occupied == 0 && state.unwritten.is_empty() && !there.any(busy)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Somebody does what fell due.
pub struct Occupied(Arc<Queue>);

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.state().occupied -= 1;
        self.0.settled.notify_waiters();
    }
}

fn known_of(row: &sqlx::sqlite::SqliteRow) -> Known {
    Known { no: row.get("no"), reached: row.get::<i64, _>("horizon") > 0 }
}

/// How long a target waits before it tries again to write down what could not be written.
pub const UNWRITTEN_PAUSE: Duration = Duration::from_secs(1);
