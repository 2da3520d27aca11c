//! A topic: what is published to it, and how SNS says so to a function. `describe` is pure.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{Outlet, SourceError};
use crate::arn::{Arn, Place};
use crate::clock::{Clock, Timestamp};
use crate::delivery::destination::Publish;
use crate::delivery::{Failure, Outcome, Parcel, Reply, Report, Target};
use crate::event::{Event, EventId, EventNo, Record};
use crate::random::{self, Random};

/// A topic.
pub struct Topic {
    name: String,
    arn: Arn,
    place: Place,
    clock: Clock,
    random: Random,
    outlet: Outlet,
}

/// What is published.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// UTF-8 text, not empty.
    pub body: String,
    /// At most 100 characters of ASCII.
    pub subject: Option<String>,
    /// Attributes by name.
    pub attributes: Vec<Attribute>,
}

/// A message attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// `String`, `Number`, `Binary` or `String.Array`, perhaps with a suffix.
    pub kind: String,
    /// Text; base64 for binary ones.
    pub value: String,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// A UUID.
    pub message_id: String,
    /// The event's number.
    pub number: EventNo,
}

/// Body and attributes together, in bytes (semantics: SNS errors).
const MESSAGE_MAX: usize = 262_144;

impl Topic {
    /// The topic of this name.
    pub fn new(name: &str, place: &Place, clock: Clock, random: Random, outlet: Outlet) -> Arc<Topic> {
        let (arn, place) = (Arn::topic(place, name), place.clone());
        Arc::new(Topic { name: name.into(), arn, place, clock, random, outlet })
    }
    /// Its ARN: what wires start at.
    pub fn arn(&self) -> &Arn {
        &self.arn
    }
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Publishes a message; it is stored when this returns. Refuses what SNS refuses, in its words.
    pub async fn publish(&self, message: &Message) -> Result<Published, SourceError> {
        check(message)
            .map_err(|why| SourceError(format!("cannot publish to topic `{}`: {why}", self.name)))?;
        let message_id = self.random.uuid(5);
        let event = self.describe(message, &message_id, self.clock.now());
        let number = self.outlet.emit_numbered(event).await?;
        Ok(Published { message_id, number })
    }

    fn natural_id(&self, message_id: &str, at: Timestamp) -> EventId {
        EventId::in_order(at.as_micros().unsigned_abs(), &[self.arn.as_str(), message_id])
    }

    /// How SNS tells a function of this message (event samples: SNS → Lambda).
    fn describe(&self, message: &Message, message_id: &str, now: Timestamp) -> Event {
        let Place { region, .. } = &self.place;
        let certificate = &random::uuid_of(&[b"certificate", region.as_bytes()], 4).replace('-', "");
        let attributes: Map<String, Value> = message
            .attributes
            .iter()
            .map(|a| (a.name.clone(), json!({"Type": a.kind, "Value": a.value})))
            .collect();
        let slot = Record::slot("subscription");
        // Written out, so that the slots stand outside of everything that the user wrote.
        let text = format!(
            r#"{{"EventSource":"aws:sns","EventVersion":"1.0","EventSubscriptionArn":"{slot}","Sns":{{"Type":"Notification","MessageId":"{message_id}","TopicArn":"{arn}","Subject":{subject},"Message":{body},"Timestamp":"{at}","SignatureVersion":"1","Signature":"{signature}","SigningCertUrl":"https://sns.{region}.amazonaws.com/SimpleNotificationService-{certificate}.pem","UnsubscribeUrl":"https://sns.{region}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={slot}","MessageAttributes":{attributes}}}}}"#,
            arn = self.arn,
            subject = json!(message.subject),
            body = json!(message.body),
            at = now.iso_millis(),
            signature = signature(message_id),
            attributes = Value::Object(attributes),
        );
        Event {
            id: self.natural_id(message_id, now),
            source: self.arn.clone(),
            name: "Notification".into(),
            subject: first_words(&message.body),
            occurred_at: now,
            lane: None,
            cause: None,
            record: Record::element(text),
        }
    }
}

/// What is sent to the topic because it is somebody's destination is published like any other message. The message's
/// id follows from the parcel, so that a second attempt after a crash publishes nothing new.
#[async_trait]
impl Target for Topic {
    async fn attempt(&self, parcel: &Parcel) -> Outcome {
        let sent = Publish::of(&parcel.first().event).map(Message::from);
        let Some(message) = sent.or_else(|| of_bucket(parcel)) else {
            return refused("Invalid parameter: Empty message".into());
        };
        if let Err(why) = check(&message) {
            return refused(why);
        }
        let message_id = random::uuid_of(&[b"message", parcel.request_id().as_bytes()], 5);
        let sent_at = parcel.first().event.occurred_at;
        let event = Event {
            id: self.natural_id(&message_id, sent_at),
            cause: Some(parcel.shown_id()),
            ..self.describe(&message, &message_id, self.clock.now())
        };
        match self.outlet.emit(event).await {
            Ok(()) => {
                let payload = json!({"MessageId": message_id}).to_string().into();
                Outcome::Done(Reply { payload, report: Report::default() })
            }
            Err(error) => Outcome::Unavailable(format!("cannot publish to topic `{}`: {error}", self.name)),
        }
    }

    fn concurrency(&self) -> usize {
        HANDOVERS
    }
}

/// What a bucket publishes: the same text as a function gets, under a subject of its own.
fn of_bucket(parcel: &Parcel) -> Option<Message> {
    let body = String::from_utf8(parcel.payload().to_vec()).ok()?;
    let subject = Some(OF_BUCKETS.to_owned());
    (parcel.first().event.source.kind() == "s3").then_some(Message { body, subject, attributes: Vec::new() })
}

/// The subject of all that S3 publishes.
pub const OF_BUCKETS: &str = "Amazon S3 Notification";

/// How many messages are published at once.
const HANDOVERS: usize = 8;

impl From<Publish> for Message {
    fn from(publish: Publish) -> Message {
        let attributes = publish.attributes.into_iter();
        Message {
            body: publish.message,
            subject: None,
            attributes: attributes.map(|(name, kind, value)| Attribute { name, kind, value }).collect(),
        }
    }
}

/// What SNS would refuse whenever it is asked.
fn refused(why: String) -> Outcome {
    let payload = json!({"errorType": "InvalidParameter", "errorMessage": why}).to_string().into();
    Outcome::Failed(Failure { summary: why, payload, report: Report::default() })
}

/// 256 bytes that look like a signature: nothing local could check a real one.
fn signature(message_id: &str) -> String {
    use base64::Engine;
    let bytes: Vec<u8> =
        (0..8u8).flat_map(|i| random::digest(&[b"signature", message_id.as_bytes(), &[i]])).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn first_words(body: &str) -> String {
    const SHOWN_MAX: usize = 120;
    match body.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &body[..end]),
        None => body.to_owned(),
    }
}

/// What SNS refuses, in its words (semantics: SNS errors).
fn check(message: &Message) -> Result<(), String> {
    if message.body.is_empty() {
        return Err("Invalid parameter: Empty message".into());
    }
    let attributes: usize =
        message.attributes.iter().map(|a| a.name.len() + a.kind.len() + a.value.len()).sum();
    if message.body.len() + attributes > MESSAGE_MAX {
        return Err(format!(
            "Invalid parameter: Message too long (at most {MESSAGE_MAX} bytes with its attributes)"
        ));
    }
    if message.subject.as_deref().is_some_and(|subject| !is_subject(subject)) {
        return Err("Invalid parameter: Subject (1 to 100 printable ASCII characters, no line breaks)".into());
    }
    message.attributes.iter().try_for_each(check_attribute)
}

fn is_subject(subject: &str) -> bool {
    let begins_well = subject.chars().next().is_some_and(|c| c.is_ascii_graphic());
    begins_well && subject.len() <= 100 && subject.bytes().all(|b| (b' '..=b'~').contains(&b))
}

fn check_attribute(attribute: &Attribute) -> Result<(), String> {
    let Attribute { name, kind, value } = attribute;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 256 || !name.chars().all(plain) {
        return Err(format!(
            "the message attribute name `{name}` can only have letters, digits, `-`, `_` and `.`"
        ));
    }
    if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return Err(format!(
            "the message attribute name `{name}` must not begin or end with `.` or have two in a row"
        ));
    }
    if !["Binary", "Number", "String"]
        .iter()
        .any(|known| kind == known || kind.starts_with(&format!("{known}.")))
    {
        return Err(format!(
            "The message attribute '{name}' has an invalid message attribute type, the set of supported type \
             prefixes is Binary, Number, and String."
        ));
    }
    if value.is_empty() {
        return Err(format!(
            "The message attribute '{name}' must contain non-empty message attribute value for message attribute \
             type '{kind}'."
        ));
    }
    if kind.starts_with("Number") && value.trim().parse::<f64>().is_err() {
        return Err(format!("the message attribute `{name}` is of type Number, and `{value}` is none"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(name: &str, kind: &str, value: &str) -> Attribute {
        Attribute { name: name.into(), kind: kind.into(), value: value.into() }
    }

    fn check_refused(message: Message, words: &str) {
        let refusal = check(&message).expect_err("this message is refused");
        assert!(refusal.contains(words), "{refusal}");
    }

    #[test]
    fn a_message_is_refused_as_sns_refuses_it() {
        let body = || Message { body: "b".into(), ..Message::default() };
        check_refused(Message::default(), "Empty message");
        check_refused(Message { body: "x".repeat(MESSAGE_MAX + 1), ..body() }, "Message too long");
        for subject in ["", " x", "a\u{a}b", &"x".repeat(101), "ü"] {
            check_refused(Message { subject: Some(subject.into()), ..body() }, "Subject");
        }
        let with = |a| Message { attributes: vec![a], ..body() };
        check_refused(with(attribute("a", "Text", "v")), "invalid message attribute type");
        check_refused(with(attribute("a", "String", "")), "non-empty message attribute value");
        check_refused(with(attribute(".a", "String", "v")), "must not begin");
        check_refused(with(attribute("a^", "String", "v")), "can only have");
        check_refused(with(attribute("a", "Number", "x")), "is none");
        assert_eq!(check(&with(attribute("a.b", "Number.int", "-1.5"))), Ok(()));
    }
}
