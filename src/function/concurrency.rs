//! How many invocations may be in flight: the limit of the account, and what functions have reserved of it.
//!
//! An invocation is in flight from the moment it is let in until its outcome, whether it runs or waits in line,
//! whoever made it. What a function has reserved is shared by all its versions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::delivery::Throttle;

/// How many invocations of all functions may be in flight together.
pub const ACCOUNT_MAX: u32 = 1000;

/// No reservation, in a [`Gauge`].
const NONE: u32 = u32::MAX;

/// The account's concurrency.
#[derive(Debug)]
pub struct Account {
    state: Mutex<State>,
    /// What is left for functions that have reserved nothing.
    unreserved: AtomicU32,
    /// How many invocations of those are in flight.
    in_flight: AtomicU32,
}

#[derive(Debug, Default)]
struct State {
    reserved: BTreeMap<String, u32>,
    gauges: BTreeMap<String, Arc<Gauge>>,
}

/// The invocations of one function, all versions together.
#[derive(Debug)]
pub struct Gauge {
    reserved: AtomicU32,
    in_flight: AtomicU32,
}

impl Default for Account {
    fn default() -> Account {
        let (unreserved, in_flight) = (AtomicU32::new(ACCOUNT_MAX), AtomicU32::new(0));
        Account { state: Mutex::default(), unreserved, in_flight }
    }
}

impl Account {
    /// The gauge of the function of this name.
    pub fn gauge(&self, name: &str) -> Arc<Gauge> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let reserved = state.reserved.get(name).copied().unwrap_or(NONE);
        let gauge = state.gauges.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(Gauge { reserved: AtomicU32::new(reserved), in_flight: AtomicU32::new(0) })
        });
        Arc::clone(gauge)
    }

    /// Makes the reservations be these, by function name. Invocations that are in flight go on.
    pub fn reserve(&self, reserved: BTreeMap<String, u32>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody asks any more for what nobody else holds.
        state.gauges.retain(|_, gauge| Arc::strong_count(gauge) > 1);
        for (name, gauge) in &state.gauges {
            gauge.reserved.store(reserved.get(name).copied().unwrap_or(NONE), Ordering::Relaxed);
        }
        let sum = reserved.values().fold(0u32, |sum, one| sum.saturating_add(*one));
        self.unreserved.store(ACCOUNT_MAX.saturating_sub(sum), Ordering::Relaxed);
        state.reserved = reserved;
    }

    /// How many invocations may be in flight of functions that have reserved nothing.
    pub fn unreserved(&self) -> u32 {
        self.unreserved.load(Ordering::Relaxed)
    }

    /// Lets one invocation in, or says which limit it would go over.
    pub fn admit<'a>(&'a self, gauge: &'a Gauge) -> Result<Ticket<'a>, Throttle> {
        let reserved = gauge.reserved.load(Ordering::Relaxed);
        match reserved {
            0 => return Err(Throttle::Zero),
            NONE => enter(&self.in_flight, self.unreserved()).ok_or(Throttle::Account)?,
            most => {
                enter(&gauge.in_flight, most).ok_or(Throttle::Reserved)?;
                return Ok(Ticket { own: &gauge.in_flight, shared: None });
            }
        }
        gauge.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(Ticket { own: &gauge.in_flight, shared: Some(&self.in_flight) })
    }
}

/// Counts one more unless there are `most`.
fn enter(count: &AtomicU32, most: u32) -> Option<()> {
    let more = |now: u32| (now < most).then_some(now + 1);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(drop)
}

/// One invocation in flight. Dropping it ends that.
#[derive(Debug)]
pub struct Ticket<'a> {
    own: &'a AtomicU32,
    shared: Option<&'a AtomicU32>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.own.fetch_sub(1, Ordering::Relaxed);
        if let Some(shared) = self.shared {
            shared.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets in as many as come, and says how many that were and what the next one met.
    fn check(reserved: &[(&str, u32)], name: &str, expected: (u32, Throttle)) {
        let account = Account::default();
        account.reserve(reserved.iter().map(|(name, most)| ((*name).to_owned(), *most)).collect());
        let gauge = account.gauge(name);
        let mut tickets = Vec::new();
        let refused = loop {
            match account.admit(&gauge) {
                Ok(ticket) => tickets.push(ticket),
                Err(throttle) => break throttle,
            }
        };
        assert_eq!((u32::try_from(tickets.len()).expect("few"), refused), expected, "{reserved:?} {name}");
        drop(tickets.pop());
        assert_eq!(account.admit(&gauge).is_ok(), expected.0 > 0, "one goes, one comes");
    }

    #[test]
    fn each_limit_is_met_by_its_own_functions() {
        check(&[], "f", (1000, Throttle::Account));
        check(&[("f", 3)], "f", (3, Throttle::Reserved));
        check(&[("f", 3), ("g", 97)], "h", (900, Throttle::Account));
        check(&[("f", 0)], "f", (0, Throttle::Zero));
        check(&[("f", 0)], "h", (1000, Throttle::Account));
    }

    #[test]
    fn what_is_reserved_later_counts_what_is_in_flight_already() {
        let account = Account::default();
        let gauge = account.gauge("f");
        let ticket = account.admit(&gauge).expect("let in");
        account.reserve(BTreeMap::from([("f".to_owned(), 1)]));
        assert_eq!((account.admit(&gauge).err(), account.unreserved()), (Some(Throttle::Reserved), 999));
        drop(ticket);
        assert!(account.admit(&gauge).is_ok());
    }
}
