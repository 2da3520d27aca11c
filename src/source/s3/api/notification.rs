//! Notification configurations: who hears of which events, and which of them S3 refuses (semantics: F1, F2). Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::errors;
use super::xml::read::{Element, document};
use super::xml::write::Document;
use crate::aws::AwsError;
use crate::clock::Timestamp;
use crate::config::s3_events;

const ID_MAX: usize = 255;
/// Bytes in a filter's value.
const VALUE_MAX: usize = 1024;

/// What a notification goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A topic.
    Topic,
    /// A queue.
    Queue,
    /// A function.
    Function,
}

/// In the order in which S3 tells them.
const KINDS: [Kind; 3] = [Kind::Topic, Kind::Queue, Kind::Function];

impl Kind {
    /// The element around it, the element with the ARN, the service of the ARN.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Kind::Topic => ("TopicConfiguration", "Topic", "sns"),
            Kind::Queue => ("QueueConfiguration", "Queue", "sqs"),
            Kind::Function => ("CloudFunctionConfiguration", "CloudFunction", "lambda"),
        }
    }
}

/// A bucket's notifications.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Configuration {
    /// Topics first, then queues, then functions.
    pub notifications: Vec<Notification>,
    /// Whether EventBridge hears of everything.
    pub event_bridge: bool,
}

/// One target and what it wants to hear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// What records carry as `configurationId`.
    pub id: String,
    /// What the target is.
    pub kind: Kind,
    /// The target's ARN.
    pub arn: String,
    /// With `s3:`.
    pub events: Vec<String>,
    /// The filter; its order is the caller's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<FilterRule>,
}

/// One rule of a filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterRule {
    /// `Prefix` or `Suffix`.
    pub name: String,
    /// What keys begin or end with.
    pub value: String,
}

impl Notification {
    /// What keys must begin with; empty if that does not matter.
    pub fn prefix(&self) -> &str {
        self.rule("Prefix")
    }
    /// What keys must end with.
    pub fn suffix(&self) -> &str {
        self.rule("Suffix")
    }
    /// The events without `s3:`.
    pub fn plain_events(&self) -> Vec<String> {
        self.events.iter().filter_map(|event| event.strip_prefix("s3:").map(str::to_owned)).collect()
    }
    fn rule(&self, name: &str) -> &str {
        self.filter.iter().find(|rule| rule.name == name).map_or("", |rule| rule.value.as_str())
    }
}

impl Configuration {
    /// Reads a NotificationConfiguration; `make_id` names what its caller did not name.
    pub fn read(body: &[u8], mut make_id: impl FnMut() -> String) -> Result<Configuration, AwsError> {
        let root = document(body, "NotificationConfiguration")?;
        let mut notifications = Vec::new();
        for kind in KINDS {
            for element in root.all(kind.names().0) {
                notifications.push(notification(element, kind, &mut make_id)?);
            }
        }
        let mut ids = BTreeSet::new();
        if notifications.iter().any(|one| !ids.insert(one.id.as_str())) {
            return Err(errors::bad_argument("Same ID used for multiple configurations. IDs must be unique"));
        }
        for (at, one) in notifications.iter().enumerate() {
            if let Some(other) = notifications[..at].iter().find(|other| overlap(one, other)) {
                let message = match one.filter.is_empty() && other.filter.is_empty() {
                    true => {
                        "Configurations overlap. Configurations on the same bucket cannot share a common event type."
                    }
                    false => {
                        "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the \
                         prefixes are overlapping for the same event type."
                    }
                };
                return Err(errors::bad_argument(message));
            }
        }
        Ok(Configuration { notifications, event_bridge: root.child("EventBridgeConfiguration").is_some() })
    }

    /// The ARNs of the topics that are notified, each once.
    pub fn topics(&self) -> BTreeSet<&str> {
        let topics = self.notifications.iter().filter(|one| one.kind == Kind::Topic);
        topics.map(|one| one.arn.as_str()).collect()
    }

    /// The document.
    pub fn document(&self) -> String {
        Document::of("NotificationConfiguration", |xml| {
            for kind in KINDS {
                let (outer, inner, _) = kind.names();
                for one in self.notifications.iter().filter(|one| one.kind == kind) {
                    xml.within(outer, |xml| {
                        xml.text("Id", &one.id);
                        xml.text(inner, &one.arn);
                        one.events.iter().for_each(|event| xml.text("Event", event));
                        one.write_filter(xml);
                    });
                }
            }
            if self.event_bridge {
                xml.within("EventBridgeConfiguration", |_| {});
            }
        })
    }
}

/// What a topic hears when it is set as a target (semantics: TestEvent).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TestEvent<'a> {
    service: &'static str,
    event: &'static str,
    time: String,
    bucket: &'a str,
    request_id: &'a str,
    host_id: &'a str,
}

impl<'a> TestEvent<'a> {
    /// That of the call that set it: what its answer has as `x-amz-request-id` and `x-amz-id-2`.
    pub fn new(bucket: &'a str, at: Timestamp, (request_id, host_id): (&'a str, &'a str)) -> TestEvent<'a> {
        let (service, event) = ("Amazon S3", "s3:TestEvent");
        TestEvent { service, event, time: at.iso_millis(), bucket, request_id, host_id }
    }
}

impl Notification {
    fn write_filter(&self, xml: &mut Document) {
        if self.filter.is_empty() {
            return;
        }
        xml.within("Filter", |xml| {
            xml.within("S3Key", |xml| {
                for rule in &self.filter {
                    xml.within("FilterRule", |xml| {
                        xml.text("Name", &rule.name);
                        xml.text("Value", &rule.value);
                    });
                }
            });
        });
    }
}

fn notification(
    element: &Element,
    kind: Kind,
    make_id: &mut impl FnMut() -> String,
) -> Result<Notification, AwsError> {
    let (_, name, service) = kind.names();
    let arn = element.needed(name)?;
    if !is_arn(arn, service) {
        return Err(errors::invalid_argument("The ARN could not be parsed", name, arn));
    }
    if kind != Kind::Function && arn.ends_with(".fifo") {
        return Err(unvalidated(arn, "FIFO queues and topics are not supported as destinations"));
    }
    let events = element.texts("Event");
    if events.is_empty() {
        return Err(errors::malformed_xml());
    }
    if let Some(event) = events.iter().find(|event| !is_event(event)) {
        let message = "A specified event is not supported for notifications.";
        return Err(errors::invalid_argument(message, "Event", event.as_str()));
    }
    let id = match element.text_of("Id")? {
        None | Some("") => make_id(),
        Some(id) if id.chars().count() <= ID_MAX => id.to_owned(),
        Some(id) => {
            return Err(errors::invalid_argument(
                "ID length should not exceed allowed limit of 255",
                "Id",
                id,
            ));
        }
    };
    let filter = match element.one("Filter")? {
        Some(filter) => read_filter(filter)?,
        None => Vec::new(),
    };
    Ok(Notification { id, kind, arn: arn.to_owned(), events, filter })
}

fn read_filter(element: &Element) -> Result<Vec<FilterRule>, AwsError> {
    let Some(key) = element.one("S3Key")? else { return Ok(Vec::new()) };
    let mut rules: Vec<FilterRule> = Vec::new();
    for rule in key.all("FilterRule") {
        let (name, value) = (rule.needed("Name")?, rule.needed("Value")?);
        let name = match name.to_ascii_lowercase().as_str() {
            "prefix" => "Prefix",
            "suffix" => "Suffix",
            _ => {
                let message = "filter rule name must be either prefix or suffix";
                return Err(errors::invalid_argument(message, "FilterRule.Name", name));
            }
        };
        if rules.iter().any(|known| known.name == name) {
            let message =
                format!("Cannot specify more than one {} rule in a filter.", name.to_ascii_lowercase());
            return Err(errors::invalid_argument(message, "FilterRule.Name", name.to_ascii_lowercase()));
        }
        if value.len() > VALUE_MAX {
            let message = "Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation";
            return Err(errors::invalid_argument(message, "FilterRule.Value", value));
        }
        rules.push(FilterRule { name: name.to_owned(), value: value.to_owned() });
    }
    Ok(rules)
}

/// 400: the target is not there, or may not be used, which `why` says.
pub fn unvalidated(arn: &str, why: &str) -> AwsError {
    errors::bad_argument("Unable to validate the following destination configurations")
        .member("ArgumentName1", format!("{arn}, null"))
        .member("ArgumentValue1", why)
}

fn is_event(event: &str) -> bool {
    event.strip_prefix("s3:").is_some_and(s3_events::known)
}

fn is_arn(arn: &str, service: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    let is_number = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    match parts.as_slice() {
        ["arn", partition, named, region, account, rest @ ..] => {
            let is_complete = match (service, rest) {
                ("lambda", ["function", name]) => !name.is_empty(),
                ("lambda", ["function", name, qualifier]) => !name.is_empty() && !qualifier.is_empty(),
                ("sns" | "sqs", [name]) => !name.is_empty(),
                _ => false,
            };
            partition.starts_with("aws")
                && *named == service
                && !region.is_empty()
                && is_number(account)
                && is_complete
        }
        _ => false,
    }
}

/// The rule of S3: both hear of one event, and both prefixes and suffixes overlap.
fn overlap(one: &Notification, other: &Notification) -> bool {
    let (events, others) = (one.plain_events(), other.plain_events());
    s3_events::overlap((&events, one.prefix(), one.suffix()), (&others, other.prefix(), other.suffix()))
}

#[cfg(test)]
#[path = "notification_tests.rs"]
mod tests;
