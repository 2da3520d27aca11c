//! The wires in force: by their ids, and by the sources where they start.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use super::{Occasion, Wire};
use crate::arn::Arn;

/// The wires in force. Replaced as a whole when the wiring file is edited.
#[derive(Default)]
pub struct Wiring {
    wires: RwLock<Arc<WiresBySource>>,
}

/// All wires, by id and by the source where they start.
#[derive(Default)]
pub struct WiresBySource {
    by_source: HashMap<Arn, Vec<Arc<Wire>>>,
    by_id: HashMap<String, Arc<Wire>>,
}

impl WiresBySource {
    /// The wires that start at this source.
    pub fn from(&self, source: &Arn) -> &[Arc<Wire>] {
        self.by_source.get(source).map(Vec::as_slice).unwrap_or_default()
    }
    /// The wire of this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Wire>> {
        self.by_id.get(id)
    }
    /// All of them, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Wire>> {
        self.by_id.values()
    }
}

impl WiresBySource {
    /// These wires, and those that follow from them: one to each destination that is no queue, and one for the
    /// asynchronous invocations of each function that is a destination.
    pub fn of(declared: Vec<Wire>) -> WiresBySource {
        let count = declared.len();
        let mut all = WiresBySource {
            by_source: HashMap::with_capacity(count),
            by_id: HashMap::with_capacity(2 * count),
        };
        let mut made = Vec::with_capacity(count);
        for wire in declared {
            made.extend(Occasion::ALL.into_iter().filter_map(|occasion| wire.to_destination(occasion)));
            all.add(wire);
        }
        for wire in made {
            // The asynchronous wire of a function is mostly declared with the function.
            if !all.by_id.contains_key(&wire.id) {
                all.add(wire);
            }
        }
        all
    }

    fn add(&mut self, wire: Wire) {
        let wire = Arc::new(wire);
        match self.by_source.get_mut(&wire.source) {
            Some(wires) => wires.push(wire.clone()),
            None => drop(self.by_source.insert(wire.source.clone(), vec![wire.clone()])),
        }
        self.by_id.insert(wire.id.clone(), wire);
    }
}

impl Wiring {
    /// The wires in force now.
    pub fn now(&self) -> Arc<WiresBySource> {
        self.wires.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
    /// From now on these wires are in force.
    pub fn replace(&self, wires: Arc<WiresBySource>) {
        *self.wires.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = wires;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::delivery::policy::AsyncPolicy;
    use crate::event::{Event, EventId, Record};
    use crate::wire::{Filter, wants};

    fn function(name: &str) -> Arn {
        Arn::function(&crate::arn::Place::default(), name)
    }

    fn wire_of(function_name: &str, on_failure: Option<Arn>) -> Wire {
        Wire::asynchronous(function(function_name), AsyncPolicy::lambda(), None, on_failure, None)
    }

    #[test]
    fn an_invocation_goes_over_the_wire_of_exactly_the_function_it_names() {
        let wires = WiresBySource::of(vec![wire_of("f", None), wire_of("f:prod", None)]);
        let check = |source: &str, expected: &[&str]| {
            let event = Event::invocation(function(source), "r", "{}".into(), Timestamp::from_millis(0));
            let from_here = wires.from(&event.source).iter().filter(|wire| wants(&event, &wire.filter));
            let taken: Vec<&str> = from_here.map(|wire| wire.id.as_str()).collect();
            assert_eq!(taken, expected, "{source}");
        };
        check("f", &["f/async"]);
        check("f:prod", &["f:prod/async"]);
        check("f:test", &[]);
        check("g", &[]);
        let other = Event {
            id: EventId::of(&["k"]),
            source: Arn::bucket("b"),
            record: Record::element("{}".into()),
            ..Event::invocation(function("f"), "r", String::new(), Timestamp::from_millis(0))
        };
        assert!(!wants(&other, &Filter::Invocations) && !wants(&other, &Filter::Sent("f/dlq".into())));
    }

    fn check_made(on_failure: Arn, expected: &[&str]) {
        let wires = WiresBySource::of(vec![wire_of("f", Some(on_failure))]);
        let mut ids: Vec<String> =
            wires.all().map(|wire| format!("{} → {}", wire.id, wire.leads_to())).collect();
        ids.sort();
        assert_eq!(ids, expected);
    }

    #[test]
    fn a_destination_that_is_no_queue_has_a_wire() {
        let place = crate::arn::Place::default();
        check_made(Arn::queue(&place, "q"), &["f/async → f"]);
        check_made(Arn::topic(&place, "t"), &["f/async → f", "f/on_failure → topic t"]);
        check_made(Arn::bucket("b"), &["f/async → f", "f/on_failure → s3 b"]);
        check_made(function("g"), &["f/async → f", "g/async → g"]);
        check_made(function("f"), &["f/async → f"]);
    }
}
