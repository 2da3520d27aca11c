//! Rewiring: lines come and go with their wires, and nothing that waits goes with them.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;
use sqlx::Row;

use super::line::Line;
use super::rows::*;
use super::{Queue, StoreError};
use crate::delivery::policy::DeliveryPolicy;
use crate::delivery::stream;
use crate::event::{Event, EventNo};
use crate::store::{Rows, Write};
use crate::wire::{self, Wire, WiresBySource};

impl Queue {
    /// From now on these wires are in force. What waits for one that is gone keeps waiting for its return.
    pub async fn rewire(&self, wires: Vec<Wire>) -> Result<(), StoreError> {
        let rows = wires.iter().map(|wire| json!(wire.id)).collect();
        self.store.write(vec![Write { sql: ADD_WIRES, rows }]).await?;
        let mut known = HashMap::new();
        for row in self.store.query(WIRES, Vec::new()).await? {
            known.insert(
                row.get::<String, _>("id"),
                (row.get::<i64, _>("no"), row.get::<i64, _>("horizon") > 0),
            );
        }
        self.wiring.replace(wires);
        let in_force = self.wiring.now();
        let until = self.exchange_lines(&in_force, &known);
        self.put_orphans_back().await?;
        for wire in in_force.all() {
            let Some((no, reached)) = known.get(&wire.id) else { continue };
            if !reached && matches!(&wire.policy, DeliveryPolicy::Stream(policy) if policy.from_horizon) {
                self.deliver_from_horizon(wire, *no, until).await?;
            }
        }
        self.ring_all();
        Ok(())
    }

    /// Makes the lines fit the wires. Events before the number returned went by the old ones.
    fn exchange_lines(&self, wires: &WiresBySource, known: &HashMap<String, (i64, bool)>) -> i64 {
        let mut state = self.state();
        state.wire_numbers = known.iter().map(|(id, (no, _))| (id.clone(), *no)).collect();
        let mut old = std::mem::take(&mut state.lines);
        for wire in wires.all() {
            let Some((no, reached)) = known.get(&wire.id) else { continue };
            let mut line = match old.remove(&wire.id) {
                Some(line) => Line { wire: wire.clone(), ..line },
                None => Line::new(wire.clone(), *no),
            };
            line.closed |=
                !reached && matches!(&wire.policy, DeliveryPolicy::Stream(policy) if policy.from_horizon);
            state.lines.insert(wire.id.clone(), line);
        }
        // Attempts still running on a wire that is gone settle in the database alone.
        let left = old.into_values().flat_map(|line| line.ready).map(|in_line| in_line.delivery.id.0);
        state.orphans.extend(left);
        state.next_event
    }

    /// Lets go of what was claimed for wires that are gone.
    pub(super) async fn put_orphans_back(&self) -> Result<(), StoreError> {
        let orphans = std::mem::take(&mut self.state().orphans);
        if orphans.is_empty() {
            return Ok(());
        }
        let rows = orphans.iter().map(|id| json!(id)).collect();
        let put_back = self.store.write(vec![Write { sql: PUT_BACK, rows }]).await;
        if put_back.is_err() {
            self.state().orphans.extend(orphans);
        }
        put_back
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
        if let Some(line) = self.state().lines.get_mut(&wire.id) {
            (line.behind, line.closed) = (true, false);
        }
        Ok(())
    }
}
