//! How S3 tells of an object written or removed: the record, byte for byte in AWS's key order. Pure.

use base64::Engine;

use crate::arn::{Arn, Place};
use crate::clock::Timestamp;
use crate::event::{Event, EventId, Record};
use crate::random;

/// What happened to one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// It was written: a new object or a new content.
    Written {
        /// Bytes.
        size: u64,
        /// MD5 of the content, lower-case hex.
        etag: &'a str,
    },
    /// It is gone.
    Removed,
}

impl Change<'_> {
    /// AWS's word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Change::Written { .. } => "ObjectCreated:Put",
            Change::Removed => "ObjectRemoved:Delete",
        }
    }
}

/// Orders the writes to one key. AWS writes it as `00`, eight hex digits of seconds and eight of the
/// second's binary fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Sequencer(u64);

impl Sequencer {
    /// The sequencer of a write at this time.
    pub fn at(time: Timestamp) -> Sequencer {
        let seconds = u64::try_from(time.as_seconds()).unwrap_or(0).min(u64::from(u32::MAX));
        let micros = u64::try_from(time.as_micros().rem_euclid(1_000_000)).unwrap_or(0);
        Sequencer(seconds << 32 | ((micros << 32) / 1_000_000))
    }
    /// The smallest one after this.
    pub fn next(self) -> Sequencer {
        Sequencer(self.0.saturating_add(1))
    }
    /// Eighteen upper-case hex digits.
    pub fn text(self) -> String {
        format!("00{:016X}", self.0)
    }
    /// Reads what [`Sequencer::text`] wrote; zero if it is something else.
    pub fn read(text: &str) -> Sequencer {
        Sequencer(u64::from_str_radix(text, 16).unwrap_or(0))
    }
}

/// How one bucket tells of its objects: all that is the same in every record, made once.
#[derive(Clone)]
pub struct Voice {
    arn: Arn,
    salt: [u8; 32],
    /// Up to the event's time.
    start: String,
    /// Between the event's name and the request's id.
    requester: String,
    /// Between the response's ids and the object.
    bucket: String,
}

impl Voice {
    /// The voice of bucket `name`. `event_version` is what records carry as `eventVersion`; the requests' ids
    /// follow from `salt` and the event.
    pub fn new(place: &Place, name: &str, event_version: &str, salt: [u8; 32]) -> Voice {
        let arn = Arn::bucket(name);
        let principal = |what: &str| {
            letters(&random::digest(&[what.as_bytes(), place.account.as_bytes(), name.as_bytes()]))
        };
        let (user, owner) = (principal("user"), principal("owner"));
        let start = format!(
            r#"{{"eventVersion":{},"eventSource":"aws:s3","awsRegion":{},"eventTime":""#,
            json(event_version),
            json(&place.region)
        );
        let requester = format!(
            r#"","userIdentity":{{"principalId":"AWS:AIDA{user}"}},"requestParameters":{{"sourceIPAddress":"127.0.0.1"}},"responseElements":{{"x-amz-request-id":""#
        );
        let bucket = format!(
            r#""}},"s3":{{"s3SchemaVersion":"1.0","configurationId":"{}","bucket":{{"name":{},"ownerIdentity":{{"principalId":"A{}"}},"arn":{}}},"object":{{"key":""#,
            Record::slot("wire"),
            json(name),
            &owner[..13],
            json(arn.as_str())
        );
        Voice { arn, salt, start, requester, bucket }
    }

    /// The bucket's ARN.
    pub fn arn(&self) -> &Arn {
        &self.arn
    }

    /// The event of this change to the object `key`.
    pub fn describe(&self, key: &str, change: Change<'_>, sequencer: Sequencer, at: Timestamp) -> Event {
        let (name, sequencer) = (change.name(), sequencer.text());
        // Its last sixteen digits are a time, and fit.
        let order =
            sequencer.get(2..).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default();
        let id = EventId::in_order(order, &[self.arn.as_str(), key, name, &sequencer]);
        Event {
            id,
            source: self.arn.clone(),
            name: name.to_owned(),
            subject: key.to_owned(),
            occurred_at: at,
            lane: None,
            cause: None,
            record: Record::element(self.record(key, change, &sequencer, (id, at))),
        }
    }

    fn record(
        &self,
        key: &str,
        change: Change<'_>,
        sequencer: &str,
        (id, at): (EventId, Timestamp),
    ) -> String {
        let mut text = String::with_capacity(700 + 3 * key.len());
        text.push_str(&self.start);
        text.push_str(&at.iso_millis());
        text.push_str("\",\"eventName\":\"");
        text.push_str(change.name());
        text.push_str(&self.requester);
        self.push_request_ids(&mut text, id);
        text.push_str(&self.bucket);
        push_encoded(&mut text, key);
        if let Change::Written { size, etag } = change {
            text.push_str(&format!("\",\"size\":{size},\"eTag\":\"{etag}"));
        }
        text.push_str("\",\"sequencer\":\"");
        text.push_str(sequencer);
        text.push_str("\"}}}");
        text
    }

    /// `C3D13FE58DE4C810","x-amz-id-2":"FMyU…`: they follow from the event, so that the order in which
    /// events are noticed does not change them.
    fn push_request_ids(&self, text: &mut String, id: EventId) {
        let (one, two) =
            (random::digest(&[&self.salt, &id.0, b"1"]), random::digest(&[&self.salt, &id.0, b"2"]));
        text.push_str(&letters(&one)[..16]);
        text.push_str("\",\"x-amz-id-2\":\"");
        let mut long = [0; 57];
        long[..32].copy_from_slice(&two);
        long[32..].copy_from_slice(&one[7..]);
        base64::engine::general_purpose::STANDARD.encode_string(long, text);
    }
}

/// The JSON text of a string.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Upper-case letters and digits, one for each byte from the first to the 17th.
fn letters(bytes: &[u8; 32]) -> String {
    let letter = |byte: &u8| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[usize::from(*byte) % 36]);
    bytes[..17].iter().map(letter).collect()
}

/// Keys are form-url-encoded, with `/` as it is: a space becomes `+`.
fn push_encoded(text: &mut String, key: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in key.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
                text.push(char::from(byte))
            }
            b' ' => text.push('+'),
            other => {
                text.push('%');
                text.push(char::from(HEX[usize::from(other >> 4)]));
                text.push(char::from(HEX[usize::from(other & 15)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn voice() -> Voice {
        Voice::new(&Place::default(), "resource-1", "2.1", [7; 32])
    }

    fn event(key: &str, change: Change<'_>) -> Event {
        let at = Timestamp::from_micros(1_681_332_218_021_999);
        voice().describe(key, change, Sequencer::at(at), at)
    }

    /// The value with every volatile leaf replaced by its form.
    fn shape(value: &Value) -> String {
        fn form(text: &str) -> String {
            let class = |c: char| match c {
                'A'..='Z' | 'a'..='z' | '0'..='9' | '+' | '=' => 'x',
                other => other,
            };
            text.chars().map(class).collect()
        }
        match value {
            Value::Object(map) => map
                .iter()
                .map(|(name, value)| match name.as_str() {
                    "x-amz-id-2" | "configurationId" | "sourceIPAddress" | "principalId" => {
                        format!("{name}:…;")
                    }
                    "eventTime" | "x-amz-request-id" | "sequencer" => {
                        format!("{name}:{};", form(value.as_str().expect("a text")))
                    }
                    _ => format!("{name}:{{{}}};", shape(value)),
                })
                .collect(),
            other => other.to_string(),
        }
    }

    fn check_golden(golden: &str, key: &str, change: Change<'_>) {
        let golden: Value = serde_json::from_str(golden).expect("the golden file is JSON");
        let record = event(key, change).record.value();
        assert_eq!(shape(&record), shape(&golden["Records"][0]));
    }

    const NINE: Change<'_> = Change::Written { size: 9, etag: "437b930db84b8079c2dd804a71936b5f" };

    #[test]
    fn records_have_the_recorded_shape() {
        check_golden(include_str!("golden/object_created_put.json"), "my_key_0", NINE);
        check_golden(include_str!("golden/key_encoding.json"), "a@b", NINE);
        check_golden(include_str!("golden/object_removed_delete.json"), "my-key-2", Change::Removed);
    }

    #[test]
    fn the_volatile_values_have_their_recorded_forms() {
        let record = event("k", NINE).record.value();
        assert_eq!(record["eventTime"], "2023-04-12T20:43:38.021Z");
        let all =
            |value: &Value, test: fn(char) -> bool| value.as_str().is_some_and(|text| text.chars().all(test));
        let ids = &record["responseElements"];
        assert!(all(&ids["x-amz-request-id"], |c| c.is_ascii_uppercase() || c.is_ascii_digit()), "{ids}");
        assert_eq!(ids["x-amz-request-id"].as_str().map(str::len), Some(16));
        assert_eq!(ids["x-amz-id-2"].as_str().map(str::len), Some(76));
        let owner = &record["s3"]["bucket"]["ownerIdentity"]["principalId"];
        assert!(owner.as_str().is_some_and(|text| text.len() == 14 && text.starts_with('A')), "{owner}");
        let user = record["userIdentity"]["principalId"].as_str().expect("a text");
        assert!(user.starts_with("AWS:AIDA") && user.len() == 25, "{user}");
    }

    #[test]
    fn the_official_type_reads_every_record() {
        for change in [NINE, Change::Removed] {
            let event = event("a b/ü.txt", change);
            let payload = crate::event::payload(&[&event.record], &|_| "wire-1".to_owned());
            let read: aws_lambda_events::s3::S3Event = serde_json::from_str(&payload).expect("an S3 event");
            let record = &read.records[0];
            assert_eq!(record.event_name.as_deref(), Some(change.name()));
            assert_eq!(record.s3.configuration_id.as_deref(), Some("wire-1"));
            assert_eq!(record.s3.object.key.as_deref(), Some("a+b/%C3%BC.txt"));
            assert_eq!(record.s3.object.size, matches!(change, Change::Written { .. }).then_some(9));
        }
    }

    fn check_encoded(key: &str, expected: &str) {
        let mut text = String::new();
        push_encoded(&mut text, key);
        assert_eq!(text, expected, "{key:?}");
    }

    #[test]
    fn keys_are_encoded_as_a_form_is() {
        check_encoded("a b/c-d_e.f*", "a+b/c-d_e.f*");
        check_encoded("a+b@c:d=e", "a%2Bb%40c%3Ad%3De");
        check_encoded("~%\n\"\\", "%7E%25%0A%22%5C");
        check_encoded("Grüße/日本", "Gr%C3%BC%C3%9Fe/%E6%97%A5%E6%9C%AC");
    }

    #[test]
    fn sequencers_are_seconds_and_a_binary_fraction() {
        let at = |micros| Sequencer::at(Timestamp::from_micros(micros));
        assert_eq!(at(1_681_332_217_971_562).text(), "00643717F9F8B84988");
        assert_eq!(at(1_500_000).text(), "000000000180000000");
        assert_eq!(Sequencer::read(&at(1_500_000).text()), at(1_500_000));
        assert!(at(2) < at(2).next() && at(2).next() < at(3));
        assert!(at(1_999_999).text() < at(2_000_000).text());
    }

    #[test]
    fn the_same_change_tells_the_same_whoever_notices_first() {
        assert_eq!(event("k", NINE), event("k", NINE));
        assert_ne!(event("k", NINE).record, event("l", NINE).record);
        assert_eq!(event("k", NINE).record.text().matches(&Record::slot("wire")).count(), 1);
    }
}
