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
        /// By which call.
        how: How,
        /// Bytes.
        size: u64,
        /// Its eTag, without quotes.
        etag: &'a str,
        /// The id of its version; empty without versioning.
        version: &'a str,
    },
    /// It, or this version of it, is gone.
    Removed {
        /// The id of the version; empty without versioning.
        version: &'a str,
        /// Whether it was the lifecycle that removed it.
        expired: bool,
    },
    /// A delete marker is its latest version.
    Marked {
        /// The marker's version.
        version: &'a str,
        /// Whether it was the lifecycle that did it.
        expired: bool,
    },
    /// Its tags or its ACL are others.
    Retouched {
        /// What was done.
        what: Retouch,
        /// Its eTag.
        etag: &'a str,
        /// The id of its version; empty without versioning.
        version: &'a str,
    },
}

/// By which call an object was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// PutObject, or a file that was dropped.
    Put,
    /// A form of a browser.
    Post,
    /// CopyObject.
    Copy,
    /// CompleteMultipartUpload.
    CompleteMultipartUpload,
}

/// What can be done to an object without writing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retouch {
    /// Its tags were set.
    Tagged,
    /// Its tags were removed.
    Untagged,
    /// Its ACL was changed.
    Acl,
}

impl<'a> Change<'a> {
    /// AWS's word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Change::Written { how: How::Put, .. } => "ObjectCreated:Put",
            Change::Written { how: How::Post, .. } => "ObjectCreated:Post",
            Change::Written { how: How::Copy, .. } => "ObjectCreated:Copy",
            Change::Written { how: How::CompleteMultipartUpload, .. } => {
                "ObjectCreated:CompleteMultipartUpload"
            }
            Change::Removed { expired: false, .. } => "ObjectRemoved:Delete",
            Change::Removed { expired: true, .. } => "LifecycleExpiration:Delete",
            Change::Marked { expired: false, .. } => "ObjectRemoved:DeleteMarkerCreated",
            Change::Marked { expired: true, .. } => "LifecycleExpiration:DeleteMarkerCreated",
            Change::Retouched { what: Retouch::Tagged, .. } => "ObjectTagging:Put",
            Change::Retouched { what: Retouch::Untagged, .. } => "ObjectTagging:Delete",
            Change::Retouched { what: Retouch::Acl, .. } => "ObjectAcl:Put",
        }
    }

    /// Records of these kinds were of a version of their own while most were 2.1.
    fn is_later_kind(&self) -> bool {
        match self {
            Change::Written { .. } => false,
            Change::Removed { expired, .. } | Change::Marked { expired, .. } => *expired,
            Change::Retouched { .. } => true,
        }
    }
}

/// Who made a call, as records tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// What the answer has as `x-amz-request-id`.
    pub request_id: String,
    /// What the answer has as `x-amz-id-2`.
    pub host_id: String,
    /// The address it came from.
    pub address: String,
}

impl Caller {
    /// A caller whose ids follow from these bytes.
    pub fn of(seed: &[&[u8]], address: &str) -> Caller {
        let digest = |which: &[u8]| random::digest(&[seed, &[which]].concat());
        let (one, two) = (digest(b"1"), digest(b"2"));
        let mut long = [0; 57];
        long[..32].copy_from_slice(&two);
        long[32..].copy_from_slice(&one[7..]);
        let host_id = base64::engine::general_purpose::STANDARD.encode(long);
        Caller { request_id: letters(&one)[..16].to_owned(), host_id, address: address.to_owned() }
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
    /// The `nth` change of its moment, from 0; moments are microseconds, and hold more than 4,000.
    fn nth(self, nth: u16) -> Sequencer {
        Sequencer(self.0.saturating_add(u64::from(nth % 4096)))
    }
    /// The smallest one after this.
    pub fn next(self) -> Sequencer {
        Sequencer(self.0.saturating_add(1))
    }
    /// The greatest one there is: later than any write.
    pub const LAST: Sequencer = Sequencer(u64::MAX);
    /// It as a number, which orders as it does.
    pub fn number(self) -> u64 {
        self.0
    }
    /// The one of this number.
    pub fn numbered(number: u64) -> Sequencer {
        Sequencer(number)
    }
    /// Eighteen upper-case hex digits.
    pub fn text(self) -> String {
        format!("00{:016X}", self.0)
    }
    /// When it was, to the microsecond.
    pub fn time(self) -> Timestamp {
        let micros = ((self.0 & 0xffff_ffff) * 1_000_000) >> 32;
        let seconds = i64::try_from(self.0 >> 32).unwrap_or_default();
        Timestamp::from_micros(seconds * 1_000_000 + i64::try_from(micros).unwrap_or_default())
    }
    /// Reads what [`Sequencer::text`] wrote; zero if it is something else.
    pub fn read(text: &str) -> Sequencer {
        Sequencer(u64::from_str_radix(text, 16).unwrap_or(0))
    }
}

/// Counts the changes of a moment, which lasts as long as the clock stands: no two of the last 4,096 have one sequencer.
#[derive(Debug, Default)]
pub struct Count {
    moment: Sequencer,
    nth: u16,
}

impl Count {
    /// The sequencer of the next change, at this time.
    pub fn next(&mut self, now: Timestamp) -> Sequencer {
        let moment = Sequencer::at(now);
        let nth = if self.moment == moment { self.nth.wrapping_add(1) } else { 0 };
        *self = Count { moment, nth };
        moment.nth(nth)
    }
}

/// How one bucket tells of its objects: all that is the same in every record, made once.
#[derive(Clone)]
pub struct Voice {
    arn: Arn,
    salt: [u8; 32],
    event_version: String,
    /// From the version up to the event's time.
    start: String,
    /// Between the event's name and the caller's address.
    requester: String,
    /// Between the response's ids and the object.
    bucket: String,
}

/// One change to tell.
pub struct Tale<'a> {
    /// The object.
    pub key: &'a str,
    /// What happened to it.
    pub change: Change<'a>,
    /// Which of all changes to the key it is.
    pub sequencer: Sequencer,
    /// When.
    pub at: Timestamp,
    /// By whose call; None if it was no call.
    pub caller: Option<&'a Caller>,
}

impl Voice {
    /// The voice of bucket `name`. `event_version` is what records carry as `eventVersion`; the ids of requests that
    /// nobody made follow from `salt` and the event.
    pub fn new(place: &Place, name: &str, event_version: &str, salt: [u8; 32]) -> Voice {
        let arn = Arn::bucket(name);
        let principal = |what: &str| {
            letters(&random::digest(&[what.as_bytes(), place.account.as_bytes(), name.as_bytes()]))
        };
        let (user, owner) = (principal("user"), principal("owner"));
        let start = format!(r#","eventSource":"aws:s3","awsRegion":{},"eventTime":""#, json(&place.region));
        let requester = format!(
            r#"","userIdentity":{{"principalId":"AWS:AIDA{user}"}},"requestParameters":{{"sourceIPAddress":"#
        );
        let bucket = format!(
            r#""}},"s3":{{"s3SchemaVersion":"1.0","configurationId":"{}","bucket":{{"name":{},"ownerIdentity":{{"principalId":"A{}"}},"arn":{}}},"object":{{"key":""#,
            Record::slot("wire"),
            json(name),
            &owner[..13],
            json(arn.as_str())
        );
        Voice { arn, salt, event_version: event_version.to_owned(), start, requester, bucket }
    }

    /// The bucket's ARN.
    pub fn arn(&self) -> &Arn {
        &self.arn
    }

    /// The event of this change.
    pub fn describe(&self, tale: &Tale<'_>) -> Event {
        let (name, sequencer) = (tale.change.name(), tale.sequencer.text());
        // Its last sixteen digits are a time, and fit.
        let order =
            sequencer.get(2..).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default();
        // What a call did, it did once, whatever the clock says.
        let call = tale.caller.map_or("", |caller| &caller.request_id);
        let id = EventId::in_order(order, &[self.arn.as_str(), tale.key, name, &sequencer, call]);
        // Ids that follow from the event do not change with the order in which events are noticed.
        let record = match tale.caller {
            Some(caller) => self.record(tale, &sequencer, caller),
            None => self.record(tale, &sequencer, &Caller::of(&[&self.salt, &id.0], "127.0.0.1")),
        };
        Event {
            id,
            source: self.arn.clone(),
            name: name.to_owned(),
            subject: tale.key.to_owned(),
            occurred_at: tale.at,
            lane: None,
            cause: None,
            record: Record::element(record),
        }
    }

    fn record(&self, tale: &Tale<'_>, sequencer: &str, caller: &Caller) -> String {
        let mut text = String::with_capacity(700 + 3 * tale.key.len());
        text.push_str("{\"eventVersion\":");
        let classic = self.event_version == "2.1" && tale.change.is_later_kind();
        text.push_str(&json(if classic { "2.3" } else { &self.event_version }));
        text.push_str(&self.start);
        text.push_str(&tale.at.iso_millis());
        text.push_str("\",\"eventName\":\"");
        text.push_str(tale.change.name());
        text.push_str(&self.requester);
        text.push_str(&json(&caller.address));
        text.push_str("},\"responseElements\":{\"x-amz-request-id\":\"");
        text.push_str(&caller.request_id);
        text.push_str("\",\"x-amz-id-2\":\"");
        text.push_str(&caller.host_id);
        text.push_str(&self.bucket);
        push_encoded(&mut text, tale.key);
        push_object(&mut text, &tale.change);
        if !matches!(tale.change, Change::Retouched { .. }) {
            text.push_str("\",\"sequencer\":\"");
            text.push_str(sequencer);
        }
        text.push_str("\"}}}");
        text
    }
}

/// What a record says of the object between its key and its sequencer.
fn push_object(text: &mut String, change: &Change<'_>) {
    /// What a delete marker has as its eTag: the hash of nothing.
    const NOTHING: &str = "d41d8cd98f00b204e9800998ecf8427e";
    let (size, etag, version) = match change {
        Change::Written { size, etag, version, .. } => (Some(size), Some(*etag), version),
        Change::Removed { version, .. } => (None, None, version),
        Change::Marked { version, .. } => (None, Some(NOTHING), version),
        Change::Retouched { etag, version, .. } => (None, Some(*etag), version),
    };
    if let Some(size) = size {
        text.push_str(&format!("\",\"size\":{size},\"eTag\":\"{}", etag.unwrap_or_default()));
    } else if let Some(etag) = etag {
        text.push_str(&format!("\",\"eTag\":\"{etag}"));
    }
    if !version.is_empty() {
        text.push_str(&format!("\",\"versionId\":\"{version}"));
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
#[path = "event_tests.rs"]
mod tests;
