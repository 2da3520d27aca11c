//! Whether a wire wants an event, and why: rule by rule. Pure.

use super::Filter;
use crate::event::Event;
use crate::event::pattern::Check;

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
        Filter::Invocations => event.request_id().is_some(),
        Filter::Sent(wire) => sent_over(event).is_some_and(|over| over == *wire),
        Filter::Nothing(_) => false,
    }
}

/// The member of a sending's record that names the wire it goes over.
pub const WIRE_MEMBER: &str = "Wire";

/// The wire that the sending to a destination goes over; none if this event is no such thing.
pub fn sent_over(event: &Event) -> Option<String> {
    let is_sending = event.source.service() == "lambda" && event.request_id().is_none();
    is_sending.then(|| event.record.value()[WIRE_MEMBER].as_str().map(str::to_owned)).flatten()
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
        Filter::Invocations => {
            let held = wants(event, filter);
            let verb = if held { "is" } else { "is not" };
            let says = format!("{} {verb} an asynchronous invocation", event.name);
            vec![Finding { rule: "invocation".into(), held, says }]
        }
        Filter::Sent(wire) => {
            let held = wants(event, filter);
            let says = match sent_over(event) {
                Some(_) if held => "it was sent to this destination".into(),
                Some(other) => format!("it was sent over `{other}`, and this is `{wire}`"),
                None => format!("{} is not sent to a destination", event.name),
            };
            vec![Finding { rule: "destination".into(), held, says }]
        }
        Filter::Nothing(why) => vec![Finding { rule: "permission".into(), held: false, says: why.clone() }],
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arn::Arn;
    use crate::clock::Timestamp;
    use crate::event::pattern::{Dialect, Pattern};
    use crate::event::{self, EventId, Record};

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

    #[test]
    fn a_wire_that_carries_nothing_says_why() {
        let (event, shut) =
            (event("ObjectCreated:Put", "k", "{}"), Filter::Nothing("nobody lets it in".into()));
        assert!(!wants(&event, &shut));
        let findings = explain(&event, &shut);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(
            (findings[0].rule.as_str(), findings[0].held, findings[0].says.as_str()),
            ("permission", false, "nobody lets it in")
        );
    }

    fn function(name: &str) -> Arn {
        Arn::function(&crate::arn::Place::default(), name)
    }

    #[test]
    fn what_is_sent_to_a_destination_goes_over_its_own_wire_only() {
        let sent = Event {
            source: function("f"),
            name: event::ON_FAILURE.into(),
            record: Record::whole(r#"{"Wire":"f/on_failure"}"#.into()),
            ..event("x", "r", "{}")
        };
        assert!(wants(&sent, &Filter::Sent("f/on_failure".into())));
        assert!(!wants(&sent, &Filter::Sent("f/paid/on_failure".into())));
        assert!(!wants(&sent, &Filter::Invocations));
        let findings = explain(&sent, &Filter::Sent("f/paid/on_failure".into()));
        assert_eq!(findings[0].says, "it was sent over `f/on_failure`, and this is `f/paid/on_failure`");
    }
}
