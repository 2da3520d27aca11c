//! Wires: who wants which event, and how it is delivered. `wants` is pure, and `why` prints what it says.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use crate::arn::Arn;
use crate::delivery::policy::DeliveryPolicy;
use crate::event::Event;
use crate::event::pattern::{Check, Pattern};
use crate::random;

/// From a source, through a filter, to a target, under a delivery policy.
#[derive(Clone, Debug)]
pub struct Wire {
    /// `FUNCTION/NAME`, unique.
    pub id: String,
    /// Where it starts.
    pub source: Arn,
    /// What it lets pass.
    pub filter: Filter,
    /// Where it leads.
    pub target: Arn,
    /// How it delivers, retries and gives up.
    pub policy: DeliveryPolicy,
    /// The queue that gets an event given up, as it is.
    pub dead_letters: Option<Arn>,
    /// The queue that gets the record of a failure.
    pub on_failure: Option<Arn>,
    /// What gets the record of each success (asynchronous invocation only).
    pub on_success: Option<Arn>,
    /// Where it is declared, as `dropwire.toml:12`; empty if nowhere.
    pub declared_at: String,
}

impl Wire {
    /// What fills the slots of a record that this wire takes.
    pub fn word(&self, slot: &str) -> String {
        match slot {
            "subscription" => self.subscription(),
            // Wire ids are made of names that need no JSON escape.
            _ => self.id.clone(),
        }
    }
    /// The ARN that SNS would give this subscription: the topic's, and an id that follows from the wire's.
    pub fn subscription(&self) -> String {
        format!("{}:{}", self.source, random::uuid_of(&[b"subscription", self.id.as_bytes()], 4))
    }
}

/// What a wire lets pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Everything.
    All,
    /// By the event's name and the object's key (S3).
    Keys {
        /// Names, with `*` at the end for any: `ObjectCreated:*`. One must match.
        events: Vec<String>,
        /// The key begins with it.
        prefix: String,
        /// The key ends with it.
        suffix: String,
    },
    /// By the record; one of the patterns must match (event source mappings).
    Record(Vec<Pattern>),
    /// By an SNS message's attributes.
    Attributes(Pattern),
    /// By an SNS message's body.
    Body(Pattern),
}

/// One rule of a wire, put to one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule: `event`, `prefix`, `suffix`, `filter`, or the path of a pattern.
    pub rule: String,
    /// Whether it held.
    pub held: bool,
    /// In words: "`thumbs/cat.png` does not start with `incoming/`".
    pub says: String,
}

/// Whether this wire wants this event. Agrees with [`explain`] always.
pub fn wants(event: &Event, filter: &Filter) -> bool {
    match filter {
        Filter::All => true,
        Filter::Keys { events, prefix, suffix } => {
            names_match(events, &event.name)
                && event.subject.starts_with(prefix.as_str())
                && event.subject.ends_with(suffix.as_str())
        }
        Filter::Record(patterns) => {
            let record = event.record.value();
            patterns.iter().any(|pattern| pattern.matches(&record))
        }
        Filter::Attributes(policy) => {
            policy.matches_attributes(&event.record.value()["Sns"]["MessageAttributes"])
        }
        Filter::Body(policy) => message_body(event).is_some_and(|body| policy.matches(&body)),
    }
}

/// The same rule by rule, in words: what `why` prints.
pub fn explain(event: &Event, filter: &Filter) -> Vec<Finding> {
    match filter {
        Filter::All => {
            vec![Finding { rule: "all".into(), held: true, says: "this wire has no filter".into() }]
        }
        Filter::Keys { events, prefix, suffix } => explain_keys(event, events, prefix, suffix),
        Filter::Record(patterns) => {
            let record = event.record.value();
            // Any one pattern is enough: show the one that held, or else the first.
            let chosen = patterns.iter().find(|pattern| pattern.matches(&record)).or(patterns.first());
            chosen.map(|pattern| findings(pattern.explain(&record))).unwrap_or_default()
        }
        Filter::Attributes(policy) => {
            let record = event.record.value();
            let mut found = findings(policy.explain_attributes(&record["Sns"]["MessageAttributes"]));
            hint_at_body(event, &mut found);
            found
        }
        Filter::Body(policy) => match message_body(event) {
            Some(body) => findings(policy.explain(&body)),
            None => vec![Finding {
                rule: "filter".into(),
                held: false,
                says: "the message body is no JSON object, and the filter reads the body".into(),
            }],
        },
    }
}

fn names_match(wanted: &[String], name: &str) -> bool {
    wanted.iter().any(|wanted| match wanted.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == wanted,
    })
}

fn explain_keys(event: &Event, events: &[String], prefix: &str, suffix: &str) -> Vec<Finding> {
    let (key, name) = (&event.subject, &event.name);
    let named = names_match(events, name);
    let mut found = vec![Finding {
        rule: "event".into(),
        held: named,
        says: format!("{name} is {}in {}", if named { "" } else { "not " }, events.join(", ")),
    }];
    if !prefix.is_empty() {
        let held = key.starts_with(prefix);
        let verb = if held { "starts" } else { "does not start" };
        found.push(Finding { rule: "prefix".into(), held, says: format!("`{key}` {verb} with `{prefix}`") });
    }
    if !suffix.is_empty() {
        let held = key.ends_with(suffix);
        let verb = if held { "ends" } else { "does not end" };
        found.push(Finding { rule: "suffix".into(), held, says: format!("`{key}` {verb} with `{suffix}`") });
    }
    found
}

fn findings(checks: Vec<Check>) -> Vec<Finding> {
    checks.into_iter().map(|c| Finding { rule: c.path, held: c.held, says: c.says }).collect()
}

/// The message body of an SNS record, if it is a JSON object.
fn message_body(event: &Event) -> Option<serde_json::Value> {
    let record = event.record.value();
    let body: serde_json::Value = serde_json::from_str(record["Sns"]["Message"].as_str()?).ok()?;
    body.is_object().then_some(body)
}

/// A failed attribute that the body has is the most common mistake: say so.
fn hint_at_body(event: &Event, found: &mut [Finding]) {
    let Some(body) = message_body(event) else { return };
    for finding in found.iter_mut().filter(|finding| !finding.held && body.get(&finding.rule).is_some()) {
        finding.says.push_str(" (the body has one; the filter reads the attributes)");
    }
}

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

impl Wiring {
    /// The wires in force now.
    pub fn now(&self) -> Arc<WiresBySource> {
        self.wires.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
    /// From now on these wires are in force.
    pub fn replace(&self, wires: Vec<Wire>) {
        let mut new = WiresBySource::default();
        for wire in wires.into_iter().map(Arc::new) {
            new.by_source.entry(wire.source.clone()).or_default().push(wire.clone());
            new.by_id.insert(wire.id.clone(), wire);
        }
        *self.wires.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Arc::new(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::event::pattern::Dialect;
    use crate::event::{EventId, Record};

    fn event(name: &str, subject: &str, record: &str) -> Event {
        Event {
            id: EventId::of(&[name, subject]),
            source: Arn::bucket("b"),
            name: name.into(),
            subject: subject.into(),
            occurred_at: Timestamp::from_millis(0),
            lane: None,
            cause: None,
            record: Record::element(record.into()),
        }
    }

    fn check_keys(rule: (&[&str], &str, &str), name: &str, key: &str, expected: &[(&str, bool)]) {
        let events = rule.0.iter().map(|e| (*e).to_owned()).collect();
        let filter = Filter::Keys { events, prefix: rule.1.into(), suffix: rule.2.into() };
        let event = event(name, key, "{}");
        let found = explain(&event, &filter);
        let said: Vec<(&str, bool)> = found.iter().map(|f| (f.rule.as_str(), f.held)).collect();
        assert_eq!(said, expected);
        assert_eq!(wants(&event, &filter), expected.iter().all(|(_, held)| *held));
    }

    #[test]
    fn a_bucket_wire_asks_for_event_prefix_and_suffix() {
        let png = (&["ObjectCreated:*"][..], "in/", ".png");
        check_keys(
            png,
            "ObjectCreated:Put",
            "in/a.png",
            &[("event", true), ("prefix", true), ("suffix", true)],
        );
        check_keys(
            png,
            "ObjectCreated:Put",
            "out/a.png",
            &[("event", true), ("prefix", false), ("suffix", true)],
        );
        check_keys(
            png,
            "ObjectRemoved:Delete",
            "in/a",
            &[("event", false), ("prefix", true), ("suffix", false)],
        );
        check_keys((&["ObjectRemoved:Delete"], "", ""), "ObjectRemoved:Delete", "x", &[("event", true)]);
        check_keys((&["ObjectCreated:Put"], "", ""), "ObjectCreated:PutX", "x", &[("event", false)]);
    }

    #[test]
    fn a_topic_wire_reads_attributes_or_body() {
        let message = r#"{"Sns":{"Message":"{\"status\":\"paid\"}","MessageAttributes":{"kind":{"Type":"String","Value":"o"}}}}"#;
        let event = event("Notification", "m", message);
        let policy = |text: &str, dialect| Pattern::parse(text, dialect).expect("a good policy");
        let body = Filter::Body(policy(r#"{"status":["paid"]}"#, Dialect::SnsBody));
        let attributes = Filter::Attributes(policy(r#"{"status":["paid"]}"#, Dialect::SnsAttributes));
        assert!(wants(&event, &body));
        assert!(!wants(&event, &attributes));
        assert!(explain(&event, &attributes)[0].says.ends_with("the filter reads the attributes)"));
        assert!(wants(&event, &Filter::Attributes(policy(r#"{"kind":["o"]}"#, Dialect::SnsAttributes))));
    }
}
