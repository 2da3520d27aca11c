//! Rewiring: lines come and go with their wires, and nothing that waits goes with them.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::json;
use sqlx::Row;

use super::line::Line;
use super::rows::*;
use super::{Known, Queue, StoreError, known_of};
use crate::delivery::policy::DeliveryPolicy;
use crate::delivery::stream;
use crate::event::{Event, EventNo};
use crate::store::{Cell, Rows, Write};
use crate::wire::{self, Wire, WiresBySource};

/// Whether this wire is still to get what its stream kept before it was declared.
fn begins_at_horizon(wire: &Wire, known: Known) -> bool {
    !known.reached && matches!(&wire.policy, DeliveryPolicy::Stream(policy) if policy.from_horizon)
}

/// What an exchange of wires leaves to be done.
struct Exchanged {
    /// Events before this number went by the old wires.
    until: i64,
    /// The wires that were not in force before, with their rows.
    new: Vec<(i64, Arc<Wire>)>,
}

impl Queue {
    /// From now on these wires are in force, with those that follow from them. What waits for one that is gone keeps
    /// waiting for its return.
    pub async fn rewire(&self, wires: Vec<Wire>) -> Result<(), StoreError> {
        let _alone = self.rewiring.lock().await;
        let wires = Arc::new(WiresBySource::of(wires));
        let fresh: Vec<Arc<Wire>> = {
            let old = self.wiring.now();
            wires.all().filter(|wire| old.get(&wire.id).is_none()).cloned().collect()
        };
        self.learn(&fresh).await?;
        let Exchanged { until, new } = self.exchange(wires, fresh);
        self.put_orphans_back().await?;
        self.open_lines(&new).await;
        for (no, wire) in new {
            let known = self.state().known.get(&wire.id).copied();
            if known.is_some_and(|known| begins_at_horizon(&wire, known)) {
                self.deliver_from_horizon(&wire, no, until).await?;
            }
        }
        Ok(())
    }

    /// Gives a row to each wire that has none.
    async fn learn(&self, wires: &[Arc<Wire>]) -> Result<(), StoreError> {
        let unknown: Vec<&str> = {
            let state = self.state();
            let unknown = wires.iter().filter(|wire| !state.known.contains_key(&wire.id));
            unknown.map(|wire| wire.id.as_str()).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let rows = self.store.query(ADD_WIRES, vec![Cell::Text(json!(unknown).to_string())]).await?;
        let mut state = self.state();
        for row in &rows {
            state.known.insert(row.get("id"), known_of(row));
        }
        Ok(())
    }

    /// The wires take the place of the old ones, and the lines fit them.
    fn exchange(&self, wires: Arc<WiresBySource>, fresh: Vec<Arc<Wire>>) -> Exchanged {
        let mut guard = self.state();
        let state = &mut *guard;
        let old_wires = std::mem::replace(&mut state.wires, wires.clone());
        self.wiring.replace(wires.clone());
        for line in state.lines.take_all() {
            let target = line.wire.target.clone();
            match wires.get(&line.wire.id) {
                Some(wire) => {
                    state.lines.insert(Line { wire: wire.clone(), ..line });
                    state.ring(&wire.target);
                }
                // Attempts still running on a wire that is gone settle in the database alone.
                None => state.orphans.extend(line.ready.iter().map(|in_line| in_line.delivery.id.0)),
            }
            state.ring(&target);
        }
        // One that was in force may be told only now to begin with what its stream keeps.
        let begins = |wire: &&Arc<Wire>| {
            state.known.get(&wire.id).is_some_and(|known| begins_at_horizon(wire, *known))
        };
        let streams = wires.all().filter(|wire| matches!(wire.policy, DeliveryPolicy::Stream(_)));
        let begun: Vec<Arc<Wire>> = streams.filter(begins).cloned().collect();
        let again = begun.into_iter().filter(|wire| old_wires.get(&wire.id).is_some());
        let mut new = Vec::new();
        for wire in fresh.into_iter().chain(again) {
            let Some(known) = state.known.get(&wire.id).copied() else { continue };
            if matches!(wire.policy, DeliveryPolicy::Stream(_)) {
                state.lines.at(&wire, known.no).closed = true;
            }
            new.push((known.no, wire));
        }
        let until = state.next_event;
        drop(guard);
        // Many wires take a while to let go of.
        drop(old_wires);
        Exchanged { until, new }
    }

    /// One question says for which of the new wires something waits; only those get to work.
    async fn open_lines(&self, new: &[(i64, Arc<Wire>)]) {
        if new.is_empty() {
            return;
        }
        let all: Vec<i64> = new.iter().map(|(no, _)| *no).collect();
        let asked = sqlx::query_scalar(AWAITED).bind(json!(all).to_string()).fetch_all(self.store.read());
        // Who gets no answer has each of them look for itself.
        let awaited: HashSet<i64> = asked.await.unwrap_or(all).into_iter().collect();
        let mut guard = self.state();
        let state = &mut *guard;
        for (no, wire) in new {
            let is_stream = matches!(wire.policy, DeliveryPolicy::Stream(_));
            if !awaited.contains(no) && !is_stream {
                continue;
            }
            let at_horizon = state.known.get(&wire.id).is_some_and(|known| begins_at_horizon(wire, *known));
            let Some(line) = state.line(&wire.id) else { continue };
            line.behind |= awaited.contains(no);
            line.closed = at_horizon;
            let target = line.wire.target.clone();
            if !state.lines.drop_idle(&target) {
                state.ring(&target);
            }
        }
    }

    /// Lets go of what was claimed for wires that are gone.
    pub(super) async fn put_orphans_back(&self) -> Result<(), StoreError> {
        let orphans = std::mem::take(&mut self.state().orphans);
        if orphans.is_empty() {
            return Ok(());
        }
        let rows = orphans.iter().map(|id| json!(id)).collect();
        let putting_back = async {
            let wires = self.wires_of(json!(orphans)).await?;
            self.store.write(vec![Write { sql: PUT_BACK, rows }]).await?;
            Ok(wires)
        };
        match putting_back.await {
            // Their wire may have come back meanwhile, and have found them claimed.
            Ok(wires) => self.look_again(&wires),
            Err(error) => {
                self.state().orphans.extend(orphans);
                return Err(error);
            }
        }
        Ok(())
    }

    /// A wire seen for the first time begins with what its stream still keeps. Broken off, it begins again, and
    /// what it has already is not given to it twice.
    async fn deliver_from_horizon(&self, wire: &Arc<Wire>, no: i64, until: i64) -> Result<(), StoreError> {
        // What was on its way when the wires were exchanged is stored after this.
        self.store.write(vec![Write { sql: PUT_BACK, rows: vec![json!(0)] }]).await?;
        let oldest = self.clock.now().as_micros() - stream::RETENTION.as_micros() as i64;
        let mut after = 0;
        loop {
            let page = sqlx::query(FROM_HORIZON).bind(wire.source.as_str()).bind(after).bind(oldest);
            let page = page.fetch_all(self.store.read()).await?;
            let events: Vec<(i64, Event)> =
                page.iter().map(|row| (row.get("event"), event_of(row))).collect();
            let Some((last, _)) = events.last() else { break };
            after = *last;
            let wanted = events.iter().filter(|(no, event)| *no < until && wire::wants(event, &wire.filter));
            let mut rows = Rows::of(INSERT_MISSING);
            {
                let mut state = self.state();
                for (event, _) in wanted {
                    rows.push(&[state.next_delivery, *event, no, 0, at_once(EventNo(*event))]);
                    state.next_delivery += 1;
                }
            }
            self.store
                .commit(vec![rows], Box::new(|_| ()))
                .await?
                .await
                .map_err(|_| StoreError::Stopping)??;
        }
        self.store.write(vec![Write { sql: HORIZON_REACHED, rows: vec![json!(no)] }]).await?;
        if let Some(known) = self.state().known.get_mut(&wire.id) {
            known.reached = true;
        }
        if let Some(line) = self.state().line(&wire.id) {
            line.closed = false;
        }
        self.look_again(std::slice::from_ref(&wire.id));
        Ok(())
    }
}
