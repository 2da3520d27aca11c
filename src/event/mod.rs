//! One thing that happened, and the record that AWS would send of it.

use std::fmt;

use serde_json::Value;

use crate::arn::Arn;
use crate::clock::Timestamp;
use crate::random;

pub mod pattern;

/// The natural id of an event: it follows from what happened, so that noticing it twice gives the same id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub [u8; 16]);

impl EventId {
    /// The id of what these parts describe (source, key, name, sequencer …), each as text, which happened at
    /// `order` in its source's own count (a time, a sequence number). Ids of one source lie in that order, so that
    /// storing the next one touches what the last one touched.
    pub fn in_order(order: u64, parts: &[&str]) -> EventId {
        let mut id = EventId::of(parts);
        id.0[..8].copy_from_slice(&order.to_be_bytes());
        id
    }

    /// The id of what these parts describe, in no order.
    pub fn of(parts: &[&str]) -> EventId {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        let digest = random::digest(&parts);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        EventId(id)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The number that an event got when it was stored; people see it as `e7k2` (base 36 after an `e`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventNo(pub i64);

impl EventNo {
    /// Reads `e7k2`; None if it is no event number.
    pub fn parse(text: &str) -> Option<EventNo> {
        let digits = text.strip_prefix('e')?;
        let plain =
            !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
        plain.then(|| i64::from_str_radix(digits, 36).ok().map(EventNo)).flatten()
    }
}

impl fmt::Display for EventNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut rest, mut digits) = (self.0.unsigned_abs(), Vec::new());
        loop {
            digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize]);
            rest /= 36;
            if rest == 0 {
                break;
            }
        }
        write!(f, "e{}", digits.iter().rev().map(|d| char::from(*d)).collect::<String>())
    }
}

impl fmt::Debug for EventNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// One thing that happened in a source.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What happened, not when we noticed.
    pub id: EventId,
    /// Where it happened.
    pub source: Arn,
    /// What happened, in AWS's word: `ObjectCreated:Put`, `INSERT`, `Notification`.
    pub name: String,
    /// To what: the object's key (not encoded), the item's key as JSON, the message's first words.
    pub subject: String,
    /// When, in the simulated world.
    pub occurred_at: Timestamp,
    /// Things on one lane are delivered one after another, by a wire that keeps order (the item's key).
    pub lane: Option<String>,
    /// The attempt that made it happen, as `e7k2.1`, if a function did.
    pub cause: Option<String>,
    /// What AWS would say.
    pub record: Record,
}

/// The name of an event that is an asynchronous invocation of a function: its source is the function, its subject
/// the request id that the caller was given.
pub const INVOKE: &str = "Invoke";

/// What a function's destinations are sent is an event of the function, by one of these names: the record of a
/// success, that of a failure, and the event itself that was given up.
pub const ON_SUCCESS: &str = "OnSuccess";
/// See [`ON_SUCCESS`].
pub const ON_FAILURE: &str = "OnFailure";
/// See [`ON_SUCCESS`].
pub const DEAD_LETTER: &str = "DeadLetter";

impl Event {
    /// An asynchronous invocation of a function, perhaps of one version or alias: `payload` is JSON text, and
    /// `request_id` the id that the caller is given. The same id again is the same event.
    pub fn invocation(function: Arn, request_id: &str, payload: String, now: Timestamp) -> Event {
        Event {
            id: EventId::in_order(now.as_micros().unsigned_abs(), &[function.as_str(), request_id]),
            source: function,
            name: INVOKE.into(),
            subject: request_id.to_owned(),
            occurred_at: now,
            lane: None,
            cause: None,
            record: Record::whole(payload),
        }
    }

    /// The request id that an asynchronous invocation brings.
    pub fn request_id(&self) -> Option<&str> {
        (self.name == INVOKE && self.source.service() == "lambda").then_some(self.subject.as_str())
    }
}

/// What AWS would say of one event: JSON, serialised once.
///
/// A few words of it are known only when a wire takes it to its target (the subscription, the configuration
/// id). Where they go stands a slot: a control character, which no JSON text can hold unescaped, around the
/// slot's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    text: String,
    form: Form,
}

/// How records travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As an element of `{"Records":[…]}`, alone or with others.
    Records,
    /// As it is.
    Whole,
}

const SLOT: char = '\u{1a}';

impl Record {
    /// A record that travels in `{"Records":[…]}`. `text` is the element: a JSON object without the envelope.
    pub fn element(text: String) -> Record {
        Record { text, form: Form::Records }
    }
    /// A record that travels as it is.
    pub fn whole(text: String) -> Record {
        Record { text, form: Form::Whole }
    }
    /// The mark to write where the word `name` of the wire shall stand: `wire` or `subscription`.
    pub fn slot(name: &str) -> String {
        format!("{SLOT}{name}{SLOT}")
    }
    /// The stored text, slots unfilled.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// How it travels.
    pub fn form(&self) -> Form {
        self.form
    }
    /// The text with its slots filled by what `word` gives for their names.
    pub fn filled(&self, word: &dyn Fn(&str) -> String) -> String {
        if !self.text.contains(SLOT) {
            return self.text.clone();
        }
        let parts = self.text.split(SLOT).enumerate();
        parts.map(|(i, part)| if i % 2 == 0 { part.to_owned() } else { word(part) }).collect()
    }
    /// The record as a value, for a filter to read; slots empty. Null if it is no JSON.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.filled(&|_| String::new())).unwrap_or(Value::Null)
    }
}

/// The payload of several records that travel together, slots filled by `word`. One `Whole` record is its own payload.
pub fn payload(records: &[&Record], word: &dyn Fn(&str) -> String) -> String {
    match records {
        [only] if only.form == Form::Whole => only.filled(word),
        _ => {
            let mut text = String::from("{\"Records\":[");
            for (i, record) in records.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                text.push_str(&record.filled(word));
            }
            text.push_str("]}");
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_numbers_are_short_and_read_back() {
        for (number, text) in
            [(1, "e1"), (35, "ez"), (36, "e10"), (351_938, "e7jk2"), (i64::MAX, "e1y2p0ij32e8e7")]
        {
            assert_eq!(EventNo(number).to_string(), text);
            assert_eq!(EventNo::parse(text), Some(EventNo(number)));
        }
        for text in ["", "e", "7k2", "e-1", "eA", "e1.1", "ezzzzzzzzzzzzzzzzz"] {
            assert_eq!(EventNo::parse(text), None, "{text}");
        }
    }

    #[test]
    fn slots_are_filled_when_a_wire_takes_the_record() {
        let record = Record::element(format!(r#"{{"id":"{}","x":"a"}}"#, Record::slot("wire")));
        assert_eq!(record.value()["id"], "");
        let payload = payload(&[&record, &record], &|name| format!("<{name}>"));
        assert_eq!(payload, r#"{"Records":[{"id":"<wire>","x":"a"},{"id":"<wire>","x":"a"}]}"#);
    }

    #[test]
    fn an_invocation_keeps_the_id_and_the_payload_that_its_caller_gave() {
        let function = Arn::function(&crate::arn::Place::default(), "f").qualified("prod");
        let event = |id: &str, at| {
            Event::invocation(function.clone(), id, "{ \"a\":1}".into(), Timestamp::from_millis(at))
        };
        assert_eq!(event("r1", 5).request_id(), Some("r1"));
        assert_eq!((event("r1", 5).record.text(), event("r1", 5).source), ("{ \"a\":1}", function.clone()));
        assert_eq!(event("r1", 5).id, event("r1", 5).id);
        assert!(event("r1", 5).id < event("r0", 6).id, "ids lie in the order of time");
    }

    #[test]
    fn the_same_happening_has_the_same_id() {
        assert_eq!(EventId::of(&["b", "k", "Put"]), EventId::of(&["b", "k", "Put"]));
        assert_ne!(EventId::of(&["b", "kP", "ut"]), EventId::of(&["b", "k", "Put"]));
    }
}
