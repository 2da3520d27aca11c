//! The stream record that AWS would send of a change. Pure.

use super::attribute::{self, Attribute, Item, quoted};
use super::changes::{Change, Key};
use crate::arn::{Arn, Place};
use crate::clock::Timestamp;
use crate::config::StreamView;
use crate::event::{Event, EventId, Record};

/// A table's stream.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Where it lies.
    pub place: Place,
    /// The table's ARN.
    pub table: Arn,
    /// When it was made, as its ARN says it: `2021-04-02T22:37:03.187`.
    pub label: String,
    /// What its records carry.
    pub view: StreamView,
}

/// What makes a record this one and no other.
#[derive(Clone, Copy, Debug)]
pub struct Mark<'a> {
    /// The log that told the change: the file's token, and how often it was found to be another one.
    pub log: &'a str,
    /// The record's number in the stream, from 1.
    pub ordinal: i64,
    /// When it was noticed, in the simulated world.
    pub at: Timestamp,
}

impl Stream {
    /// `arn:aws:dynamodb:R:A:table/T/stream/2021-04-02T22:37:03.187`.
    pub fn arn(&self) -> String {
        format!("{}/stream/{}", self.table, self.label)
    }

    /// The event of a change.
    pub fn event(&self, change: &Change, mark: Mark<'_>) -> Event {
        let (seq, part) = (change.seq.to_string(), change.part.to_string());
        let (arn, order) = (self.arn(), change.seq.unsigned_abs());
        let parts = [arn.as_str(), mark.log, &seq, &part];
        let name = match (&change.old, &change.new) {
            (None, _) => "INSERT",
            (Some(_), Some(_)) => "MODIFY",
            (Some(_), None) => "REMOVE",
        };
        Event {
            id: EventId::in_order(order, &parts),
            source: self.table.clone(),
            name: name.to_owned(),
            subject: plain_key(&change.key),
            occurred_at: mark.at,
            lane: Some(lane(&change.key)),
            cause: None,
            record: Record::element(self.record(change, (EventId::of(&parts), name), mark)),
        }
    }

    /// The record's text, in the order in which AWS writes it. The id that it shows lies in no order, as AWS's.
    fn record(&self, change: &Change, (id, name): (EventId, &str), mark: Mark<'_>) -> String {
        let mut out = format!(
            r#"{{"eventID":"{}","eventName":"{name}","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":{},"#,
            hex::encode(id.0),
            quoted(&self.place.region),
        );
        out.push_str(&format!(
            r#""dynamodb":{{"ApproximateCreationDateTime":{},"Keys":"#,
            mark.at.as_seconds()
        ));
        attribute::write_item(&mut out, change.key.iter().map(|(name, value)| (name, value)));
        let mut size = attribute::size(change.key.iter().map(|(name, value)| (name, value)));
        let (old, new) = self.images(change);
        for (name, image) in [("NewImage", new), ("OldImage", old)] {
            if let Some(image) = image {
                out.push_str(&format!(r#","{name}":"#));
                attribute::write_item(&mut out, image.iter());
                size += attribute::size(image.iter());
            }
        }
        out.push_str(&format!(
            r#","SequenceNumber":"{}","SizeBytes":{size},"StreamViewType":"{}"}},"eventSourceARN":{}}}"#,
            sequence_number(mark.ordinal),
            view_name(self.view),
            quoted(&self.arn()),
        ));
        out
    }

    /// The old and the new image, as far as the view shows them.
    fn images<'a>(&self, change: &'a Change) -> (Option<&'a Item>, Option<&'a Item>) {
        let (old, new) = (change.old.as_ref(), change.new.as_ref());
        match self.view {
            StreamView::KeysOnly => (None, None),
            StreamView::NewImage => (None, new),
            StreamView::OldImage => (old, None),
            StreamView::NewAndOldImages => (old, new),
        }
    }
}

/// The stream label of this time: milliseconds, no zone.
pub fn label(at: Timestamp) -> String {
    at.iso_millis().trim_end_matches('Z').to_owned()
}

/// As AWS's look: an ordinal, then a counter of 20 digits. Both grow with every record of the stream; readers
/// compare them as numbers.
fn sequence_number(ordinal: i64) -> String {
    /// Where recorded counters stand; nothing depends on it.
    const COUNTER_START: i64 = 3_218_256_367;
    format!("{ordinal}{:020}", COUNTER_START.saturating_add(ordinal))
}

fn view_name(view: StreamView) -> &'static str {
    match view {
        StreamView::KeysOnly => "KEYS_ONLY",
        StreamView::NewImage => "NEW_IMAGE",
        StreamView::OldImage => "OLD_IMAGE",
        StreamView::NewAndOldImages => "NEW_AND_OLD_IMAGES",
    }
}

/// The key as compact plain JSON: `{"orderId":"o-1"}`.
fn plain_key(key: &Key) -> String {
    let member = |(name, value): &(String, Attribute)| match value {
        Attribute::N(number) => format!("{}:{}", quoted(name), number.as_str()),
        Attribute::B(_) => {
            let mut typed = String::new();
            value.write(&mut typed);
            format!("{}:{typed}", quoted(name))
        }
        other => format!("{}:{}", quoted(name), quoted(&other.shown())),
    };
    format!("{{{}}}", key.iter().map(member).collect::<Vec<_>>().join(","))
}

/// The lane of an item: its key's text. Two parts are written as a JSON array, so that none can be mistaken for another.
fn lane(key: &Key) -> String {
    match key.as_slice() {
        [(_, only)] => only.shown(),
        parts => serde_json::Value::from_iter(parts.iter().map(|(_, value)| value.shown())).to_string(),
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
