//! Emitting: events become rows, and deliveries take their places in the lines.

use std::sync::{Arc, MutexGuard};

use tokio::sync::oneshot;

use super::rows::*;
use super::{Queue, State, StoreError};
use crate::arn::Arn;
use crate::delivery::stream::InLine;
use crate::delivery::{Delivery, DeliveryId};
use crate::event::{Event, EventNo};
use crate::store::{After, Rows, Stored, Write};
use crate::timeline::Moment;
use crate::wire::{self, Wire, WiresBySource};

/// An event that is to be stored, and the wires that take it.
pub(super) struct Chosen {
    pub(super) event: Event,
    pub(super) wires: Vec<Arc<Wire>>,
    /// If a wire has gone meanwhile, its delivery waits for its return; else it has none.
    pub(super) waits: bool,
}

/// What a source writes together with its events.
#[derive(Default)]
pub struct Own {
    /// Its rows.
    pub writes: Vec<Write>,
    /// What it does once all of it is committed, before anyone hears of the events: answering those who asked for it, for
    /// instance. It must not wait.
    pub then: Option<Box<dyn FnOnce() + Send>>,
    /// What its answer waits for.
    pub until: Until,
}

/// What an emit waits for. Either outlives the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Until {
    /// The system has it.
    Committed,
    /// The disk has it: it outlives the machine's going down.
    #[default]
    OnDisk,
}

impl From<Vec<Write>> for Own {
    fn from(writes: Vec<Write>) -> Own {
        Own { writes, then: None, until: Until::default() }
    }
}

/// Events and rows that were handed over to be stored. Nothing is taken back if nobody waits for them.
#[derive(Debug)]
pub struct Sent {
    numbers: Vec<EventNo>,
    written: oneshot::Receiver<Result<(), StoreError>>,
}

impl Sent {
    /// Returns when they are stored as was asked for, or could not be. Whoever gives up waiting can wait again, until it
    /// was told once.
    pub async fn stored(&mut self) -> Result<(), StoreError> {
        (&mut self.written).await.map_err(|_| StoreError::Stopping)?
    }
}

/// An emit on its way to the disk.
#[derive(Default)]
pub(super) struct Emission {
    events: Vec<(EventNo, Arc<Event>)>,
    wanted: Vec<(EventNo, Arc<Wire>)>,
    held: Vec<(String, Delivery)>,
    left_behind: Vec<String>,
}

impl Queue {
    /// Stores events in this order, a delivery for each wire that wants one, and the source's own rows: all
    /// of it or nothing. Returns as soon as `own` says. An event whose natural id is known is not stored again.
    pub async fn emit(
        self: &Arc<Self>,
        events: Vec<Event>,
        own: impl Into<Own>,
    ) -> Result<Vec<EventNo>, StoreError> {
        self.emit_to(events, own.into(), &whoever_wants_it).await
    }

    /// The same for the wires that `choose` names for each event.
    pub async fn emit_to(
        self: &Arc<Self>,
        events: Vec<Event>,
        own: Own,
        choose: &Choice<'_>,
    ) -> Result<Vec<EventNo>, StoreError> {
        let mut sent = self.send_to(events, own, choose).await?;
        sent.stored().await?;
        Ok(sent.numbers)
    }

    /// Hands events and rows over to be stored, as [`Queue::emit`] does, and returns when they are on their way: after
    /// those that were sent before, and before those that will be.
    pub async fn send(self: &Arc<Self>, events: Vec<Event>, own: impl Into<Own>) -> Result<Sent, StoreError> {
        self.send_to(events, own.into(), &whoever_wants_it).await
    }

    async fn send_to(
        self: &Arc<Self>,
        events: Vec<Event>,
        own: Own,
        choose: &Choice<'_>,
    ) -> Result<Sent, StoreError> {
        // From here to the hand-over nothing waits, so nobody who goes away can leave a plan without its end.
        let place = self.store.place().await?;
        let chosen = events.into_iter().map(|event| Chosen { event, wires: Vec::new(), waits: false });
        let (rows, emission) = self.choose_and_plan(chosen.collect(), choose);
        let numbers = emission.events.iter().map(|(number, _)| *number).collect();
        let rows = rows.into_iter().chain(own.writes.into_iter().map(Rows::from)).collect();
        let (queue, then) = (self.clone(), own.then);
        let emitted = move |result: Result<Stored, StoreError>| {
            if let (Ok(_), Some(then)) = (&result, then) {
                then();
            }
            queue.emitted(emission, result.ok());
        };
        let written = match own.until {
            Until::OnDisk => place.commit(rows, Box::new(emitted)),
            Until::Committed => {
                let (committed, written) = oneshot::channel();
                let after: After = Box::new(move |result| {
                    let written = result.as_ref().map(drop).map_err(StoreError::clone);
                    emitted(result);
                    // Whoever asked may have gone away.
                    committed.send(written).ok();
                });
                place.commit_soon(rows, after);
                written
            }
        };
        Ok(Sent { numbers, written })
    }

    /// The plan for the wires that are in force when the events get their numbers: those that come later begin with later
    /// numbers.
    fn choose_and_plan(&self, mut chosen: Vec<Chosen>, choose: &Choice<'_>) -> (Vec<Rows>, Emission) {
        loop {
            let wires = self.state().wires.clone();
            for one in &mut chosen {
                one.wires.clear();
                choose(&wires, &one.event, &mut one.wires);
            }
            let guard = self.state();
            if Arc::ptr_eq(&guard.wires, &wires) {
                return plan(guard, chosen);
            }
        }
    }

    /// Numbers the events and deliveries, and promises places in the lines.
    pub(super) fn plan(&self, chosen: Vec<Chosen>) -> (Vec<Rows>, Emission) {
        plan(self.state(), chosen)
    }
    /// The events are on disk, or (without `stored`) could not be written.
    pub(super) fn emitted(&self, emission: Emission, stored: Option<Stored>) {
        let is_stored = |number: &EventNo| stored.as_ref().is_some_and(|stored| stored.has(number.0));
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
            let stored = is_stored(&delivery.number);
            match state.line(&wire) {
                Some(line) => {
                    line.reserved = line.reserved.saturating_sub(1);
                    if stored {
                        line.push(InLine { delivery, since: now, not_before: now });
                    }
                    targets.push(line.wire.target.clone());
                }
                // The wire has gone meanwhile: its delivery waits in the database for its return.
                None if stored => state.orphans.push(delivery.id.0),
                None => {}
            }
        }
        for wire in emission.left_behind {
            if let Some(line) = state.line(&wire) {
                line.behind = true;
                targets.push(line.wire.target.clone());
            }
        }
        targets.dedup();
        targets.iter().for_each(|target| state.ring(target));
        drop(guard);
        self.settled.notify_waiters();
    }

    fn tell(&self, number: EventNo, event: &Event, wanted: &[(EventNo, Arc<Wire>)]) {
        let mut wanted_by: Vec<String> =
            wanted.iter().filter(|(no, _)| *no == number).map(|(_, wire)| wire.leads_to()).collect();
        wanted_by.dedup();
        let unwanted = wanted_by.is_empty().then(|| self.first_reason(event));
        let record = event.record.value();
        let size = record["s3"]["object"]["size"]
            .as_u64()
            .or(record["Sns"]["Message"].as_str().map(|m| m.len() as u64))
            .or(event.request_id().map(|_| event.record.text().len() as u64));
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
        reasons.into_iter().next().unwrap_or_else(|| "no wire starts here".into())
    }
}

/// Which wires take an event, of those in force.
pub type Choice<'a> = dyn Fn(&WiresBySource, &Event, &mut Vec<Arc<Wire>>) + Sync + 'a;

fn whoever_wants_it(wires: &WiresBySource, event: &Event, found: &mut Vec<Arc<Wire>>) {
    let wires = wires.from(&event.source).iter();
    found.extend(wires.filter(|wire| wire::wants(event, &wire.filter)).cloned());
}

fn plan(mut guard: MutexGuard<'_, State>, chosen: Vec<Chosen>) -> (Vec<Rows>, Emission) {
    let mut emission = Emission::default();
    let (mut event_rows, mut delivery_rows) =
        (Rows::new_ones_of(INSERT_EVENT, STORED_EVENTS), Rows::anywhere_of(INSERT_DELIVERY));
    let state = &mut *guard;
    state.emitting += 1;
    for Chosen { event, wires, waits } in chosen {
        let number = EventNo(state.next_event);
        state.next_event += 1;
        let event = Arc::new(event);
        for wire in wires {
            let id = DeliveryId(state.next_delivery);
            let mut row = |no: i64, held: bool| {
                delivery_rows.push(&[id.0, number.0, no, i64::from(held), at_once(number)])
            };
            let Some(line) = state.line(&wire.id) else {
                if let Some(known) = state.known.get(&wire.id).filter(|_| waits) {
                    row(known.no, false);
                    state.next_delivery += 1;
                }
                continue;
            };
            let held = line.has_room();
            row(line.no, held);
            if held {
                line.reserved += 1;
                let event = event.clone();
                let delivery =
                    Delivery { id, number, event, attempts: 0, refusals: 0, cohort: None, redriven: 0 };
                emission.held.push((wire.id.clone(), delivery));
            } else {
                line.behind = true;
                emission.left_behind.push(wire.id.clone());
            }
            state.next_delivery += 1;
            emission.wanted.push((number, wire));
        }
        emission.events.push((number, event));
    }
    drop(guard);
    // Texts are made outside of the lock.
    emission.events.iter().for_each(|(number, event)| event_rows.push(&row_of(*number, event)));
    (vec![event_rows, delivery_rows], emission)
}
