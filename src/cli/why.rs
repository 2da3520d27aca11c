//! `dropwire why`: why an event reached what it reached, or why a function was not called.

use crate::control::{FindingSaid, Why, WhyMissing, WireSaid};

use super::client::{Client, encoded, event_id};
use super::failure::Done;
use super::page::{Page, Tone, aligned, fact};
use super::story;
use super::voice::Voice;
use super::words;

/// About what.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  dropwire why e7k3
  dropwire why --missing notify       (why was notify NOT called?)")]
pub struct Args {
    /// The event
    #[arg(required_unless_present = "missing", conflicts_with = "missing")]
    id: Option<String>,
    /// Why this function was not called
    #[arg(long, value_name = "FUNCTION")]
    missing: Option<String>,
}

/// Says why.
pub async fn run(voice: &Voice, args: Args) -> Done {
    let client = Client::find(&voice.dir).await?;
    match (&args.missing, &args.id) {
        (Some(function), _) => {
            let missing: WhyMissing = client.get(&format!("why-missing/{}", encoded(function))).await?;
            voice.answer(&missing, |page| missing_text(&missing, page))
        }
        (None, id) => {
            let id = event_id(id.as_deref().unwrap_or_default());
            let why: Why = client.get(&format!("why/{}", encoded(id))).await?;
            voice.answer(
                &why,
                |page| if page.is_pretty() { event_text(&why, page) } else { event_facts(&why) },
            )
        }
    }
}

fn event_text(why: &Why, page: Page) -> String {
    let event = &why.event;
    let place = story::place(&event.source, &event.name, &words::harmless(&event.subject));
    let cause =
        why.cause.as_ref().map_or(String::new(), |cause| format!("     {}", story::cause_words(cause)));
    let mut text = format!("{}  {} {}  {place}{cause}\n\n", page.name(&event.id), event.source, event.event);
    let mut rows = Vec::new();
    for wire in &why.wires {
        // What decided comes first.
        let (held, failed): (Vec<_>, Vec<_>) = wire.findings.iter().partition(|finding| finding.held);
        let mut label = format!("  {}", wire.wire.replace('/', " / "));
        for finding in failed.into_iter().chain(held) {
            rows.push(finding_row(std::mem::take(&mut label), finding, page));
        }
        if let Some(delivery) = &wire.delivery {
            let tone = if wire.wanted { Tone::Body } else { Tone::Aside };
            rows.push(vec![std::mem::take(&mut label), page.tone(tone, "→"), page.tone(tone, delivery)]);
        }
        if !label.is_empty() {
            let sign = if wire.wanted { page.good("✓ takes") } else { page.bad("✗") };
            rows.push(vec![label, sign, "everything of this source".into()]);
        }
    }
    text.push_str(&aligned(&rows));
    text.push_str(&format!("{}{}\n", if rows.is_empty() { "" } else { "\n" }, verdict(why)));
    text
}

fn finding_row(label: String, finding: &FindingSaid, page: Page) -> Vec<String> {
    let sign = if finding.held { page.good("✓") } else { page.bad("✗") };
    vec![label, format!("{sign} {}", finding.rule), words::harmless(&finding.says)]
}

/// The answer in a sentence.
fn verdict(why: &Why) -> String {
    let mut reached: Vec<&str> =
        why.wires.iter().filter(|wire| wire.delivery.is_some()).map(|wire| wire.function.as_str()).collect();
    reached.dedup();
    let wanted = why.wires.iter().filter(|wire| wire.wanted && wire.delivery.is_none());
    let since: Vec<&str> = wanted.map(|wire| wire.wire.as_str()).collect();
    let name = &why.event.name;
    match (reached.is_empty(), why.wires.is_empty()) {
        (_, true) => format!("Reached no function: no wire begins at {} {name}.", why.event.source),
        (false, _) => format!("Went to {}.", reached.join(", ")),
        (true, _) if !since.is_empty() => {
            let id = &why.event.id;
            format!(
                "Reached no function then; {} would take it now: `dropwire replay {id}`.",
                since.join(", ")
            )
        }
        (true, _) => "Reached no function.".into(),
    }
}

fn event_facts(why: &Why) -> String {
    let id = fact("id", &why.event.id);
    let mut text = String::new();
    for wire in &why.wires {
        let named = fact("wire", &wire.wire);
        for finding in &wire.findings {
            let (rule, says) = (fact("rule", &finding.rule), fact("says", &finding.says));
            text.push_str(&format!("finding {id} {named} {rule} held={} {says}\n", finding.held));
        }
        let delivery =
            wire.delivery.as_ref().map_or(String::new(), |words| format!(" {}", fact("delivery", words)));
        text.push_str(&format!(
            "wire {id} {named} {} wanted={}{delivery}\n",
            fact("function", &wire.function),
            wire.wanted
        ));
    }
    text.push_str(&format!("verdict {id} {}\n", fact("says", &verdict(why))));
    text
}

fn missing_text(missing: &WhyMissing, page: Page) -> String {
    let function = &missing.function;
    let came = words::count(missing.events.len(), "event");
    let to = "to the sources it listens to";
    let mut text = match &missing.last_called {
        Some(at) => {
            format!("{function} was last called at {}. Since then {came} came {to}", words::time_of_day(at))
        }
        None => format!("{function} was never called. {came} came {to}"),
    };
    text.push_str(if missing.events.is_empty() { ".\n" } else { ":\n" });
    let mut rows = Vec::new();
    for why in &missing.events {
        let mut label = format!("  {}", page.name(&why.event.id));
        for wire in &why.wires {
            let mut row = vec![std::mem::take(&mut label)];
            row.extend(missing_reason(wire, page));
            rows.push(row);
        }
    }
    text.push_str(&aligned(&rows));
    text
}

/// What kept this wire from calling its function: the first rule that failed, or how far the delivery is.
fn missing_reason(wire: &WireSaid, page: Page) -> [String; 2] {
    let failed = wire.findings.iter().find(|finding| !finding.held);
    match (failed, &wire.delivery) {
        (_, Some(delivery)) => ["…".into(), words::harmless(delivery)],
        (Some(finding), None) => {
            [format!("{} {}", page.bad("✗"), finding.rule), words::harmless(&finding.says)]
        }
        (None, None) => ["?".into(), "it would be delivered now; the wire is younger than the event".into()],
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::Look;
    use super::*;
    use crate::control::EventListed;

    fn wire(id: &str, findings: &[(&str, bool, &str)], delivery: Option<&str>) -> WireSaid {
        let said = |(rule, held, says): &(&str, bool, &str)| FindingSaid {
            rule: (*rule).into(),
            held: *held,
            says: (*says).into(),
        };
        WireSaid {
            wire: id.into(),
            function: id.split('/').next().unwrap_or(id).into(),
            wanted: findings.iter().all(|(_, held, _)| *held),
            findings: findings.iter().map(said).collect(),
            delivery: delivery.map(str::to_owned),
        }
    }

    fn why(wires: Vec<WireSaid>) -> Why {
        let event = EventListed {
            id: "e7k3".into(),
            source: "s3".into(),
            name: "uploads".into(),
            event: "ObjectCreated:Put".into(),
            subject: "thumbs/cat.png".into(),
            at: "2026-01-05T09:00:00.000Z".into(),
            deliveries: Vec::new(),
        };
        Why { event, cause: Some("e7k2.1".into()), wires }
    }

    fn check(text: &str, expected: &[&str]) {
        let text = anstream::adapter::strip_str(text).to_string();
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    const PRETTY: Page = Page { look: Look::Pretty, columns: None };

    #[test]
    fn why_names_the_rule_that_decided_first() {
        let rules = [
            ("event", true, "ObjectCreated:Put is in ObjectCreated:*"),
            ("prefix", false, "not `incoming/`"),
        ];
        let told =
            why(vec![wire("thumbnail/on", &rules, None), wire("audit/on", &[], Some("done at the 2nd try"))]);
        check(
            &event_text(&told, PRETTY),
            &[
                "e7k3  s3 ObjectCreated:Put  uploads/thumbs/cat.png     caused by e7k2.1",
                "",
                "  thumbnail / on  ✗ prefix  not `incoming/`",
                "                  ✓ event   ObjectCreated:Put is in ObjectCreated:*",
                "  audit / on      →         done at the 2nd try",
                "",
                "Went to audit.",
            ],
        );
    }

    #[test]
    fn missing_says_what_kept_each_event_away() {
        let told = WhyMissing {
            function: "notify".into(),
            last_called: Some("2026-01-05T14:02:22.000Z".into()),
            events: vec![
                why(vec![wire("notify/on", &[("filter", false, "status is \"new\"")], None)]),
                why(vec![wire("notify/on", &[], Some("waiting: try 2 of 4"))]),
            ],
        };
        check(
            &missing_text(&told, PRETTY),
            &[
                "notify was last called at 14:02:22.000. Since then 2 events came to the sources it listens to:",
                "  e7k3  ✗ filter  status is \"new\"",
                "  e7k3  …         waiting: try 2 of 4",
            ],
        );
    }
}
