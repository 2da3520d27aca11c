//! The durable queue: events and deliveries as rows, and the short line of each wire that is held in memory.
//!
//! The rows are the truth. A line holds the next deliveries of one wire, claimed in the same transaction that
//! stored them, so that an event usually goes from its commit straight to its target without being read back.
//! When a line is full the rest stays in the database and is claimed in pages.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use tokio::sync::{Notify, oneshot};

pub use crate::store::StoreError;

use super::policy::DeliveryPolicy;
use super::settlement::Settlement;
use super::stream::{self, InLine, Next};
use super::{Delivery, DeliveryId, Outcome, Parcel, Settle};
use crate::arn::Arn;
use crate::clock::{Clock, Timestamp};
use crate::event::{Event, EventId, EventNo, Form, Record};
use crate::store::{After, Cell, Insert, Statement, Store, Write};
use crate::timeline::{Moment, Timeline};
use crate::wire::{self, Wire, WiresBySource, Wiring};

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
    /// Attempts that are made but could not be written down yet.
    unwritten: Vec<Settlement>,
    /// Emits on their way to the disk.
    emitting: usize,
}

/// What of one wire's deliveries is in memory.
struct Line {
    wire: Arc<Wire>,
    /// The wire's row.
    no: i64,
    ready: VecDeque<InLine>,
    /// Places promised to emits on their way to the disk.
    reserved: usize,
    /// More is waiting in the database, due now.
    behind: bool,
    refilling: bool,
    /// When the next of those in the database is due.
    next_due: Option<Timestamp>,
    running: usize,
}

/// How many deliveries of a wire are held in memory, unless its batches are larger.
const LINE_MAX: usize = 512;
/// A line shorter than this is filled up.
const LINE_LOW: usize = 128;
/// How many deliveries are claimed at once.
const PAGE: i64 = 256;
/// How many bytes of records are claimed at once.
const PAGE_BYTES: i64 = 4 * 1024 * 1024;

const INSERT_EVENT: Insert = Insert {
    head: "INSERT INTO event (no, natural, source, name, subject, at, lane, cause, form, record)",
    columns: 10,
    tail: "ON CONFLICT (natural) DO NOTHING RETURNING no",
};
const INSERT_DELIVERY: Insert = Insert {
    head: "INSERT INTO delivery (id, event, wire, state, due) SELECT column1, column2, column3, column4, column5 FROM (",
    columns: 5,
    tail: ") WHERE EXISTS (SELECT 1 FROM event WHERE no = column2)",
};
const RECOVER: &str = "UPDATE delivery SET state = 0 WHERE state = 1";
const HIGHEST: &str =
    "SELECT coalesce((SELECT max(no) FROM event), 0), coalesce((SELECT max(id) FROM delivery), 0)";
const ADD_WIRES: &str =
    "INSERT INTO wire (id, since) SELECT value ->> 0, value ->> 1 FROM json_each(?1) WHERE true
     ON CONFLICT (id) DO NOTHING";
const WIRES: &str = "SELECT no, id, since FROM wire";
const NEXT_PAGE: &str = "SELECT * FROM (
       SELECT d.id, d.event, d.attempts, d.refusals, d.cohort, d.not_before, e.natural, e.source, e.name, e.subject,
              e.at, e.lane, e.cause, e.form, e.record,
              sum(length(e.record)) OVER (ORDER BY d.due, d.id) - length(e.record) AS before
       FROM (SELECT * FROM delivery WHERE wire = ?1 AND state = 0 AND due <= ?2 ORDER BY due, id LIMIT ?3) d
       JOIN event e ON e.no = d.event ORDER BY d.due, d.id)
     WHERE before < ?4";
const CLAIM: &str = "UPDATE delivery SET state = 1 WHERE id IN (SELECT value FROM json_each(?1))";
const PUT_BACK: &str = "UPDATE delivery SET state = 0 WHERE id IN (SELECT value FROM json_each(?1))";
const NEXT_DUE: &str = "SELECT min(due) FROM delivery WHERE wire = ?1 AND state = 0 AND due > ?2";
const WAITING: &str = "SELECT EXISTS (SELECT 1 FROM delivery WHERE wire = ?1 AND state = 0 AND due <= ?2)";
const FROM_HORIZON: &str = "SELECT no AS event, natural, source, name, subject, at, lane, cause, form, record
     FROM event WHERE source = ?1 AND no > ?2 AND at >= ?3 ORDER BY no LIMIT 500";
const REVIVE: &str = "UPDATE delivery SET state = 0, due = 0, attempts = 0, refusals = 0, cohort = NULL,
     not_before = 0, reason = NULL WHERE state = 3 AND id IN (SELECT value FROM json_each(?1))";
const BURY: &str = "DELETE FROM dead WHERE id IN (SELECT value FROM json_each(?1))";

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
        Ok(Arc::new(Queue {
            store,
            clock,
            timeline,
            wiring,
            state,
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
    /// The bell of this target: rung when there may be something for it.
    pub fn bell(&self, target: &Arn) -> Arc<Notify> {
        self.state().bells.entry(target.clone()).or_default().clone()
    }

    // ── wires ───────────────────────────────────────────────────────────────────────────────────────────

    /// From now on these wires are in force. What waits for one that is gone keeps waiting for its return.
    pub async fn rewire(&self, wires: Vec<Wire>) -> Result<(), StoreError> {
        let since = self.state().next_event;
        let rows = wires.iter().map(|wire| json!([wire.id, since])).collect();
        self.store.write(vec![Write { sql: ADD_WIRES, rows }]).await?;
        let mut known = HashMap::new();
        for row in self.store.query(WIRES, Vec::new()).await? {
            known.insert(
                row.get::<String, _>("id"),
                (row.get::<i64, _>("no"), row.get::<i64, _>("since")),
            );
        }
        self.state().wire_numbers = known.iter().map(|(id, (no, _))| (id.clone(), *no)).collect();
        self.wiring.replace(wires);
        let in_force = self.wiring.now();
        let orphans = self.exchange_lines(&in_force, &known);
        if !orphans.is_empty() {
            self.store
                .write(vec![Write {
                    sql: PUT_BACK,
                    rows: orphans,
                }])
                .await?;
        }
        for wire in in_force.all() {
            // A wire seen for the first time may begin with what its stream still keeps.
            let new = known.get(&wire.id).is_some_and(|(_, first)| *first == since);
            if new && matches!(&wire.policy, DeliveryPolicy::Stream(policy) if policy.from_horizon) {
                self.deliver_from_horizon(wire, known[&wire.id].0, since).await?;
            }
        }
        self.ring_all();
        Ok(())
    }

    /// Makes the lines fit the wires; returns the deliveries that were in lines which are gone.
    fn exchange_lines(&self, wires: &WiresBySource, known: &HashMap<String, (i64, i64)>) -> Vec<Value> {
        let mut state = self.state();
        let mut old = std::mem::take(&mut state.lines);
        for wire in wires.all() {
            let Some((no, _)) = known.get(&wire.id) else {
                continue;
            };
            let line = match old.remove(&wire.id) {
                Some(line) => Line {
                    wire: wire.clone(),
                    ..line
                },
                None => Line::new(wire.clone(), *no),
            };
            state.lines.insert(wire.id.clone(), line);
        }
        // Attempts still running on a wire that is gone settle in the database alone.
        old.into_values()
            .flat_map(|line| line.ready)
            .map(|in_line| json!(in_line.delivery.id.0))
            .collect()
    }

    async fn deliver_from_horizon(&self, wire: &Arc<Wire>, no: i64, until: i64) -> Result<(), StoreError> {
        let oldest = self.clock.now().as_micros() - stream::RETENTION.as_micros() as i64;
        let mut after = 0;
        loop {
            let page = sqlx::query(FROM_HORIZON)
                .bind(wire.source.as_str())
                .bind(after)
                .bind(oldest);
            let events: Vec<(i64, Event)> = page
                .fetch_all(self.store.read())
                .await?
                .iter()
                .map(|row| (row.get("event"), event_of(row)))
                .collect();
            let Some((last, _)) = events.last() else { break };
            after = *last;
            let wanted = events
                .iter()
                .filter(|(no, event)| *no < until && wire::wants(event, &wire.filter));
            let mut cells = Vec::new();
            {
                let mut state = self.state();
                for (event, _) in wanted {
                    cells.extend([state.next_delivery, *event, no, 0, 0].map(Cell::Int));
                    state.next_delivery += 1;
                }
            }
            self.commit(vec![Statement::Insert(INSERT_DELIVERY, cells)])
                .await?;
        }
        if let Some(line) = self.state().lines.get_mut(&wire.id) {
            line.behind = true;
        }
        Ok(())
    }

    // ── emit ────────────────────────────────────────────────────────────────────────────────────────────

    /// Stores events in this order, a delivery for each wire that wants one, and the source's own rows: all
    /// of it or nothing. Durable when it returns. An event whose natural id is known is not stored again.
    pub async fn emit(
        self: &Arc<Self>,
        events: Vec<Event>,
        writes: Vec<Write>,
    ) -> Result<Vec<EventNo>, StoreError> {
        let wires = self.wires();
        self.emit_to(events, writes, &|event, found| {
            found.extend(
                wires
                    .from(&event.source)
                    .iter()
                    .filter(|wire| wire::wants(event, &wire.filter))
                    .cloned(),
            );
        })
        .await
    }

    /// The same for the wires that `choose` names for each event.
    pub async fn emit_to(
        self: &Arc<Self>,
        events: Vec<Event>,
        writes: Vec<Write>,
        choose: &(dyn Fn(&Event, &mut Vec<Arc<Wire>>) + Sync),
    ) -> Result<Vec<EventNo>, StoreError> {
        let (statements, emission) = self.plan(events, choose);
        let numbers = emission.events.iter().map(|(number, _)| *number).collect();
        let (sender, done) = oneshot::channel();
        let queue = self.clone();
        let after: After = Box::new(move |result| {
            let outcome = result.as_ref().map(|_| ()).map_err(Clone::clone);
            queue.emitted(emission, result.ok());
            // Whoever asked may have gone away; the event is stored all the same.
            sender.send(outcome).ok();
        });
        let statements = statements
            .into_iter()
            .chain(writes.into_iter().map(Statement::Each))
            .collect();
        self.store.commit(statements, after).await?;
        done.await.map_err(|_| StoreError::Stopping)??;
        Ok(numbers)
    }

    /// Numbers the events and deliveries, and promises places in the lines.
    fn plan(
        &self,
        events: Vec<Event>,
        choose: &dyn Fn(&Event, &mut Vec<Arc<Wire>>),
    ) -> (Vec<Statement>, Emission) {
        let mut chosen: Vec<(Event, Vec<Arc<Wire>>)> = Vec::with_capacity(events.len());
        for event in events {
            let mut wires = Vec::new();
            choose(&event, &mut wires);
            chosen.push((event, wires));
        }
        let mut emission = Emission::default();
        let (mut event_cells, mut delivery_cells) = (Vec::new(), Vec::new());
        let now = self.clock.now();
        let mut guard = self.state();
        let state = &mut *guard;
        state.emitting += 1;
        for (event, wires) in chosen {
            let number = EventNo(state.next_event);
            state.next_event += 1;
            let event = Arc::new(event);
            event_cells.extend(cells_of(number, &event));
            for wire in wires {
                let Some(line) = state.lines.get_mut(&wire.id) else {
                    continue;
                };
                let id = DeliveryId(state.next_delivery);
                state.next_delivery += 1;
                let held = line.has_room();
                let due = if line.is_stream() { 0 } else { now.as_micros() };
                delivery_cells.extend([id.0, number.0, line.no, i64::from(held), due].map(Cell::Int));
                if held {
                    line.reserved += 1;
                    let delivery = Delivery {
                        id,
                        number,
                        event: event.clone(),
                        attempts: 0,
                        refusals: 0,
                        cohort: None,
                    };
                    emission.held.push((wire.id.clone(), delivery));
                } else {
                    line.behind = true;
                    emission.left_behind.push(wire.id.clone());
                }
                emission.wanted.push((number, wire));
            }
            emission.events.push((number, event));
        }
        let statements = vec![
            Statement::Insert(INSERT_EVENT, event_cells),
            Statement::Insert(INSERT_DELIVERY, delivery_cells),
        ];
        (statements, emission)
    }

    /// The events are on disk, or (without `stored`) could not be written.
    fn emitted(&self, emission: Emission, stored: Option<crate::store::Returned>) {
        let is_stored = |number: &EventNo| stored.as_ref().is_some_and(|stored| stored.contains(&number.0));
        if self.timeline.is_followed() {
            let stored = emission.events.iter().filter(|(number, _)| is_stored(number));
            stored.for_each(|(number, event)| self.tell(*number, event, &emission.wanted));
        }
        let now = self.clock.now();
        let mut guard = self.state();
        let state = &mut *guard;
        state.emitting -= 1;
        let mut targets: Vec<Arn> = Vec::new();
        for (wire, delivery) in emission.held {
            let Some(line) = state.lines.get_mut(&wire) else {
                continue;
            };
            line.reserved -= 1;
            if is_stored(&delivery.number) {
                line.ready.push_back(InLine {
                    delivery,
                    since: now,
                    not_before: now,
                });
                targets.push(line.wire.target.clone());
            }
        }
        for wire in emission.left_behind {
            if let Some(line) = state.lines.get_mut(&wire) {
                line.behind = true;
                targets.push(line.wire.target.clone());
            }
        }
        targets.dedup();
        targets
            .iter()
            .filter_map(|target| state.bells.get(target))
            .for_each(|bell| bell.notify_one());
        drop(guard);
        self.settled.notify_waiters();
    }

    fn tell(&self, number: EventNo, event: &Event, wanted: &[(EventNo, Arc<Wire>)]) {
        let mut wanted_by: Vec<String> = wanted
            .iter()
            .filter(|(no, _)| *no == number)
            .map(|(_, wire)| wire.target.name().to_owned())
            .collect();
        wanted_by.dedup();
        let unwanted = wanted_by.is_empty().then(|| self.first_reason(event));
        let record = event.record.value();
        let size = record["s3"]["object"]["size"]
            .as_u64()
            .or(record["Sns"]["Message"].as_str().map(|m| m.len() as u64));
        let moment = Moment::Emitted {
            id: number.to_string(),
            cause: event.cause.clone(),
            source: event.source.kind().to_owned(),
            name: event.source.name().to_owned(),
            event: event.name.clone(),
            subject: event.subject.clone(),
            size,
            wanted_by,
            unwanted,
        };
        self.timeline.note(event.occurred_at, moment);
    }

    /// Why nobody wants an event: the first rule that did not hold.
    fn first_reason(&self, event: &Event) -> String {
        let wires = self.wires();
        let reasons = wires.from(&event.source).iter().filter_map(|wire| {
            let findings = wire::explain(event, &wire.filter);
            let failed = findings.into_iter().find(|finding| !finding.held)?;
            Some(format!("{}: {} {}", wire.target.name(), failed.rule, failed.says))
        });
        reasons
            .into_iter()
            .next()
            .unwrap_or_else(|| "no wire starts here".into())
    }

    // ── take and settle ─────────────────────────────────────────────────────────────────────────────────

    /// The next parcel for this target, if one is due.
    pub fn take(&self, target: &Arn) -> Option<Parcel> {
        let now = self.clock.now();
        let mut state = self.state();
        let lines = state
            .lines
            .values_mut()
            .filter(|line| line.wire.target == *target);
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
        let deliveries = line
            .ready
            .drain(..count)
            .map(|in_line| in_line.delivery)
            .collect();
        Some(Parcel {
            wire: line.wire.clone(),
            deliveries,
        })
    }

    /// When this target should look again if nobody rings: the next retry, the end of a window.
    pub fn next_due(&self, target: &Arn) -> Option<Timestamp> {
        let now = self.clock.now();
        let state = self.state();
        let lines = state.lines.values().filter(|line| line.wire.target == *target);
        lines
            .filter_map(|line| [line.next_due, line.opens_at(now)].into_iter().flatten().min())
            .min()
    }

    /// Writes down what an attempt meant. Returns once the writer has it; the line moves on when it is on disk.
    pub async fn settle(self: &Arc<Self>, parcel: Parcel, outcome: Outcome) {
        let at = self.clock.now();
        let verdicts = parcel.wire.policy.settle(&parcel, &outcome, at);
        self.write_down(Settlement {
            parcel,
            outcome,
            verdicts,
            at,
        })
        .await;
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

    async fn write_down(self: &Arc<Self>, settlement: Settlement) {
        let (number, in_force) = {
            let (state, id) = (self.state(), &settlement.parcel.wire.id);
            (
                state.wire_numbers.get(id).copied().unwrap_or_default(),
                state.lines.contains_key(id),
            )
        };
        let statements = settlement.statements(number, in_force);
        let queue = self.clone();
        let after: After = Box::new(move |result| match result {
            Ok(_) => queue.settled(&settlement),
            Err(error) => {
                queue
                    .timeline
                    .notice(settlement.at, "error", format!("{error}; trying again"));
                queue.state().unwritten.push(settlement);
            }
        });
        // A stopped writer means that dropwire is going down: the delivery is still claimed, and waits again at the next start.
        self.store.commit(statements, after).await.ok();
    }

    /// The settlement is on disk: the line moves on.
    fn settled(&self, settlement: &Settlement) {
        self.timeline
            .is_followed()
            .then(|| self.timeline.note(settlement.at, settlement.moment()));
        let mut guard = self.state();
        let state = &mut *guard;
        if let Some(line) = state.lines.get_mut(&settlement.parcel.wire.id) {
            line.running = line.running.saturating_sub(1);
            line.take_back(settlement);
            if let Some(bell) = state.bells.get(&settlement.parcel.wire.target) {
                bell.notify_one();
            }
        }
        drop(guard);
        self.settled.notify_waiters();
    }

    /// Fills the lines of this target from the database where they run low.
    pub async fn refill(&self, target: &Arn) -> Result<(), StoreError> {
        let now = self.clock.now();
        let low: Vec<(String, i64, bool)> = {
            let mut state = self.state();
            let lines = state
                .lines
                .iter_mut()
                .filter(|(_, line)| line.wire.target == *target && line.runs_low(now));
            lines
                .map(|(id, line)| {
                    (line.refilling, line.behind, line.next_due) = (true, false, None);
                    (id.clone(), line.no, line.is_stream())
                })
                .collect()
        };
        for (id, no, is_stream) in low {
            let filled = self.refill_line(&id, no, now, is_stream).await;
            let mut state = self.state();
            if let Some(line) = state.lines.get_mut(&id) {
                line.refilling = false;
                line.behind |= filled.is_err();
            }
            drop(state);
            filled?;
        }
        Ok(())
    }

    async fn refill_line(
        &self,
        id: &str,
        no: i64,
        now: Timestamp,
        is_stream: bool,
    ) -> Result<(), StoreError> {
        let page = sqlx::query(NEXT_PAGE)
            .bind(no)
            .bind(now.as_micros())
            .bind(PAGE)
            .bind(PAGE_BYTES);
        let claimed: Vec<InLine> = page
            .fetch_all(self.store.read())
            .await?
            .iter()
            .map(|row| in_line_of(row, now))
            .collect();
        if !claimed.is_empty() {
            let rows = claimed
                .iter()
                .map(|in_line| json!(in_line.delivery.id.0))
                .collect();
            self.store.write(vec![Write { sql: CLAIM, rows }]).await?;
        }
        let more: bool = sqlx::query(WAITING)
            .bind(no)
            .bind(now.as_micros())
            .fetch_one(self.store.read())
            .await?
            .get(0);
        let next: Option<i64> = sqlx::query(NEXT_DUE)
            .bind(no)
            .bind(now.as_micros())
            .fetch_one(self.store.read())
            .await?
            .get(0);
        let mut state = self.state();
        if let Some(line) = state.lines.get_mut(id) {
            line.behind |= more;
            line.wake_at(next.map(Timestamp::from_micros));
            line.ready.extend(claimed);
            if is_stream {
                line.ready
                    .make_contiguous()
                    .sort_by_key(|in_line| in_line.delivery.id);
            }
        }
        Ok(())
    }

    // ── dead letters ────────────────────────────────────────────────────────────────────────────────────

    /// Sends dead letters again: their deliveries wait anew with no attempt counted, the letters are gone.
    pub async fn redrive(&self, letters: Vec<i64>, deliveries: Vec<i64>) -> Result<(), StoreError> {
        let rows = |ids: Vec<i64>| ids.into_iter().map(Value::from).collect();
        let writes = vec![
            Write {
                sql: REVIVE,
                rows: rows(deliveries),
            },
            Write {
                sql: BURY,
                rows: rows(letters),
            },
        ];
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
        lines.fold((0, 0), |(running, ready), line| {
            (running + line.running, ready + line.ready.len())
        })
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

    async fn commit(&self, statements: Vec<Statement>) -> Result<(), StoreError> {
        let (sender, done) = oneshot::channel();
        let after: After = Box::new(move |result| {
            sender.send(result.map(|_| ())).ok();
        });
        self.store.commit(statements, after).await?;
        done.await.map_err(|_| StoreError::Stopping)?
    }

    fn ring_all(&self) {
        self.state().bells.values().for_each(|bell| bell.notify_one());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// An emit on its way to the disk.
#[derive(Default)]
struct Emission {
    events: Vec<(EventNo, Arc<Event>)>,
    wanted: Vec<(EventNo, Arc<Wire>)>,
    held: Vec<(String, Delivery)>,
    left_behind: Vec<String>,
}

impl Line {
    fn new(wire: Arc<Wire>, no: i64) -> Line {
        // What an earlier process left is found by the first refill.
        Line {
            wire,
            no,
            ready: VecDeque::new(),
            reserved: 0,
            behind: true,
            refilling: false,
            next_due: None,
            running: 0,
        }
    }
    fn is_stream(&self) -> bool {
        matches!(self.wire.policy, DeliveryPolicy::Stream(_))
    }
    fn length_max(&self) -> usize {
        match &self.wire.policy {
            DeliveryPolicy::Async(_) => LINE_MAX,
            DeliveryPolicy::Stream(policy) => LINE_MAX.max(policy.batch + LINE_LOW),
        }
    }
    /// Room for a new delivery; none while older ones are in the database, which go first.
    fn has_room(&self) -> bool {
        !self.behind && !self.refilling && self.ready.len() + self.reserved < self.length_max()
    }
    fn runs_low(&self, now: Timestamp) -> bool {
        let due = self.behind || self.next_due.is_some_and(|due| due <= now);
        due && !self.refilling && self.ready.len() < self.length_max() - LINE_MAX + LINE_LOW
    }
    /// A batch of a stream goes only when none is on its way.
    fn can_go(&self, now: Timestamp) -> bool {
        match &self.wire.policy {
            DeliveryPolicy::Async(_) => !self.ready.is_empty(),
            DeliveryPolicy::Stream(policy) => {
                self.running == 0 && matches!(stream::next(policy, self.ready.iter(), now), Next::Batch(_))
            }
        }
    }
    /// When a stream's line that waits can go on.
    fn opens_at(&self, now: Timestamp) -> Option<Timestamp> {
        let DeliveryPolicy::Stream(policy) = &self.wire.policy else {
            return None;
        };
        match stream::next(policy, self.ready.iter(), now) {
            Next::Wait(then) if self.running == 0 => Some(then),
            _ => None,
        }
    }
    fn wake_at(&mut self, then: Option<Timestamp>) {
        self.next_due = [self.next_due, then].into_iter().flatten().min();
    }
    /// What is to be tried again: a stream keeps it at the head of its line, others leave it to the database.
    fn take_back(&mut self, settlement: &Settlement) {
        let mut back = Vec::new();
        for (delivery, (_, settle)) in settlement.parcel.deliveries.iter().zip(&settlement.verdicts) {
            let (then, cohort, attempts, refusals) = match settle {
                Settle::Delivered | Settle::GiveUp(_) => continue,
                Settle::RetryAt(then) => (*then, delivery.cohort, delivery.attempts + 1, 0),
                Settle::RetryApart(then, cohort) => (*then, Some(*cohort), delivery.attempts, 0),
                Settle::PutBack(then) => (*then, delivery.cohort, delivery.attempts, delivery.refusals + 1),
            };
            if self.is_stream() {
                let cohort = cohort.or(Some(settlement.parcel.first().id.0));
                let delivery = Delivery {
                    attempts,
                    refusals,
                    cohort,
                    ..delivery.clone()
                };
                back.push(InLine {
                    delivery,
                    since: settlement.at,
                    not_before: then,
                });
            } else {
                self.wake_at(Some(then));
            }
        }
        back.into_iter()
            .rev()
            .for_each(|in_line| self.ready.push_front(in_line));
    }
}

fn cells_of(number: EventNo, event: &Event) -> [Cell; 10] {
    let whole = i64::from(event.record.form() == Form::Whole);
    [
        Cell::Int(number.0),
        Cell::Blob(event.id.0.to_vec()),
        Cell::Text(event.source.to_string()),
        Cell::Text(event.name.clone()),
        Cell::Text(event.subject.clone()),
        Cell::Int(event.occurred_at.as_micros()),
        event.lane.clone().into(),
        event.cause.clone().into(),
        Cell::Int(whole),
        Cell::Text(event.record.text().to_owned()),
    ]
}

/// The event of a row that has its columns.
pub(super) fn event_of(row: &SqliteRow) -> Event {
    let mut id = [0; 16];
    let natural: &[u8] = row.get("natural");
    id.iter_mut().zip(natural).for_each(|(to, from)| *to = *from);
    let (source, record): (String, String) = (row.get("source"), row.get("record"));
    Event {
        id: EventId(id),
        source: Arn::parse(&source).unwrap_or_else(|| Arn::bucket(&source)),
        name: row.get("name"),
        subject: row.get("subject"),
        occurred_at: Timestamp::from_micros(row.get("at")),
        lane: row.get("lane"),
        cause: row.get("cause"),
        record: if row.get::<i64, _>("form") == 1 {
            Record::whole(record)
        } else {
            Record::element(record)
        },
    }
}

fn in_line_of(row: &SqliteRow, now: Timestamp) -> InLine {
    let delivery = Delivery {
        id: DeliveryId(row.get("id")),
        number: EventNo(row.get("event")),
        event: Arc::new(event_of(row)),
        attempts: row.get::<i64, _>("attempts") as u32,
        refusals: row.get::<i64, _>("refusals") as u32,
        cohort: row.get("cohort"),
    };
    InLine {
        delivery,
        since: now,
        not_before: Timestamp::from_micros(row.get("not_before")),
    }
}

/// How long a target waits before it tries again to write down what could not be written.
pub const UNWRITTEN_PAUSE: Duration = Duration::from_secs(1);
