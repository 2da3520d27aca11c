//! The wires with a name: `[function.NAME.wire.NAME]`, its source and its options.

use std::collections::BTreeSet;
use std::time::Duration;

use super::check::filter_problem;
use super::complaint::{Complaint, Span};
use super::destination::{Destinations, value};
use super::parse::DraftWire;
use super::reader::{Placed, Reader, Section, Setting};
use super::{From, WireSpec, names, wires};
use crate::event::pattern::Dialect;

const SOURCES: &[&str] = &["bucket", "table", "topic"];
const BUCKET_KEYS: &[&str] = &["events", "prefix", "suffix", "glob"];
const TABLE_KEYS: &[&str] = &["filter", "batch", "window", "start", "bisect", "report_failures"];
const TOPIC_KEYS: &[&str] = &["filter", "scope"];
const POLICY_KEYS: &[&str] = &["retries", "backoff", "age", "dlq", "on_failure", "on_success"];
/// Sources of a later version, with how a sentence names them.
const LATER: &[(&str, &str)] = &[
    ("mail", "inbound mail"),
    ("logs", "log groups"),
    ("api", "HTTP APIs"),
    ("http", "HTTP APIs"),
    ("schedule", "schedules"),
    ("cron", "schedules"),
    ("queue", "queues that start functions"),
    ("bus", "event buses"),
    ("parallel", "parallel lanes of a stream"),
    ("tumbling", "tumbling windows"),
];

/// Reads one named wire.
pub(super) fn wire(reader: &mut Reader, function: &str, setting: &Setting) -> Option<DraftWire> {
    let name = setting.key;
    if let Some(rule) = names::broken_rule("wire", name) {
        let title = format!("a wire cannot be called `{name}`");
        reader.complain(Complaint::new("W105", title).at(&setting.key_span, rule));
    }
    let section = reader.section(setting, format!("wire `{name}` of function `{function}`"))?;
    if !known_keys(reader, &section) {
        return None;
    }
    let source = only_source(reader, &section)?;
    fitting_keys(reader, &section, source.key);
    let source_name = reader.text_like(&source, &format!("the name of a {}", source.key));
    let policy = policy(reader, &section, source.key);
    let source_name = source_name?;
    let from = match source.key {
        "bucket" => bucket(reader, &section, &source_name.value),
        "table" => table(reader, &section, &source_name.value),
        _ => topic(reader, &section, &source_name.value),
    };
    let destinations = Destinations::read(reader, &section, function, source.key == "table");
    let spec = WireSpec {
        id: format!("{function}/{name}"),
        function: function.to_owned(),
        from,
        dlq: value(&destinations.dlq),
        on_failure: value(&destinations.on_failure),
        on_success: value(&destinations.on_success),
        retries: policy.retries,
        backoff: policy.backoff,
        age_max: policy.age_max,
        origin: reader.origin(&section.span),
    };
    let source = reader.inside(&source_name, 0, source_name.value.len());
    Some(DraftWire { spec, place: section.span.clone(), source, destinations: destinations.all() })
}

struct Policy {
    retries: Option<u32>,
    backoff: Option<Vec<Duration>>,
    age_max: Option<Duration>,
}

fn policy(reader: &mut Reader, section: &Section, source: &str) -> Policy {
    let stream = source == "table";
    let retries =
        section.get("retries").and_then(|s| reader.integer(&s, 0..=if stream { 10_000 } else { 100 }));
    let age_most = Duration::from_hours(if stream { 7 * 24 } else { 6 });
    Policy {
        retries: retries.and_then(|count| u32::try_from(count).ok()),
        backoff: section.get("backoff").and_then(|setting| backoff(reader, &setting)),
        age_max: section.get("age").and_then(|s| reader.duration(&s, Duration::from_secs(60)..=age_most)),
    }
}

fn bucket(reader: &mut Reader, section: &Section, name: &str) -> From {
    let mut events = Vec::new();
    if let Some(setting) = section.get("events") {
        for text in reader.texts(&setting, "an event name or an array of them").unwrap_or_default() {
            events.extend(wires::event(reader, &text.value, &text.span));
        }
        if setting.item.as_array().is_some_and(|array| array.is_empty()) {
            reader.wrong(&setting, "at least one event name");
        }
    } else {
        events.push("ObjectCreated:*".to_owned());
    }
    let (mut prefix, mut suffix) = (affix(reader, section, "prefix"), affix(reader, section, "suffix"));
    if let Some(setting) = section.get("glob") {
        let other = section.get("prefix").or_else(|| section.get("suffix"));
        if let Some(other) = other {
            let title = format!("{} filters keys in two ways", section.what);
            reader.complain(
                Complaint::new("W205", title)
                    .at(&setting.key_span, "`glob` here")
                    .beside(&other.key_span, format!("and `{}` here", other.key))
                    .help("keep `glob`, or `prefix` and `suffix`"),
            );
        } else if let Some(glob) = reader.text(&setting) {
            match wires::prefix_and_suffix(&glob.value) {
                Ok(parts) => (prefix, suffix) = (parts.0.to_owned(), parts.1.to_owned()),
                Err(reason) => wires::complain_of_glob(reader, &glob.value, &glob.span, &reason),
            }
        }
    }
    From::Bucket { bucket: name.to_owned(), events, prefix, suffix }
}

/// `prefix` or `suffix`: plain text to S3, so a `*` in it is a mistake.
fn affix(reader: &mut Reader, section: &Section, key: &str) -> String {
    let text = section.get(key).and_then(|setting| reader.text(&setting));
    let Some(text) = text else {
        return String::new();
    };
    let reason = match text.value.as_str() {
        starred if starred.contains('*') => Some(format!("`*` is no wildcard in a {key}; `glob` has one")),
        long if long.len() > 1024 => Some("more than 1024 bytes".to_owned()),
        _ => None,
    };
    if let Some(reason) = reason {
        wires::complain_of_glob(reader, &text.value, &text.span, &reason);
    }
    text.value
}

fn table(reader: &mut Reader, section: &Section, name: &str) -> From {
    let mut filter = Vec::new();
    if let Some(setting) = section.get("filter") {
        let patterns =
            reader.texts(&setting, "a pattern in quotes, or an array of patterns").unwrap_or_default();
        if patterns.len() > 10 {
            reader.wrong(&setting, "10 patterns at the most, as on AWS");
        }
        for pattern in patterns {
            check_filter(reader, &pattern, Dialect::EventBridge);
            filter.push(pattern.value);
        }
    }
    let mut truth = |key: &str| section.get(key).and_then(|setting| reader.truth(&setting)).unwrap_or(false);
    let (bisect, report_failures) = (truth("bisect"), truth("report_failures"));
    let batch = section.get("batch").and_then(|setting| reader.integer(&setting, 1..=10_000));
    let window = section.get("window");
    let window =
        window.and_then(|setting| reader.duration(&setting, Duration::ZERO..=Duration::from_secs(300)));
    let start = section.get("start").and_then(|setting| reader.choice(&setting, &["latest", "trim-horizon"]));
    From::Table {
        table: name.to_owned(),
        filter,
        batch: batch.and_then(|batch| usize::try_from(batch).ok()).unwrap_or(100),
        window: window.unwrap_or_default(),
        from_horizon: start == Some(1),
        bisect,
        report_failures,
    }
}

fn topic(reader: &mut Reader, section: &Section, name: &str) -> From {
    let scope = section.get("scope").and_then(|setting| reader.choice(&setting, &["attributes", "body"]));
    let body_scope = scope == Some(1);
    let filter =
        section.get("filter").and_then(|setting| reader.text_like(&setting, "a filter policy in quotes"));
    if let Some(policy) = &filter {
        check_filter(reader, policy, if body_scope { Dialect::SnsBody } else { Dialect::SnsAttributes });
    }
    From::Topic { topic: name.to_owned(), filter: filter.map(|policy| policy.value), body_scope }
}

/// W211 where the pattern stops making sense.
fn check_filter(reader: &mut Reader, filter: &Placed<String>, dialect: Dialect) {
    let Some((reason, offset)) = filter_problem(&filter.value, dialect) else {
        return;
    };
    let offset = filter.value.floor_char_boundary(offset);
    let length = filter.value[offset..].chars().next().map_or(0, char::len_utf8);
    let span = reader.inside(filter, offset, length);
    reader.complain(Complaint::new("W211", "this filter is no pattern that AWS takes").at(&span, reason));
}

/// One delay or an array of them; the last one repeats.
fn backoff(reader: &mut Reader, setting: &Setting) -> Option<Vec<Duration>> {
    let most = Duration::from_hours(6);
    let expected = "times such as [\"1s\", \"2s\", \"4s\"], each 6h at the most, 100 of them at the most";
    let delays: Option<Vec<Duration>> = match setting.item.as_array() {
        None => {
            return reader.duration(setting, Duration::ZERO..=most).map(|delay| vec![delay]);
        }
        Some(array) => array.iter().map(|value| delay(value).filter(|delay| *delay <= most)).collect(),
    };
    let delays = delays.filter(|delays| (1..=100).contains(&delays.len()));
    if delays.is_none() {
        reader.wrong(setting, expected);
    }
    delays
}

fn delay(value: &toml_edit::Value) -> Option<Duration> {
    match value.as_integer() {
        Some(seconds) => u64::try_from(seconds).ok().map(Duration::from_secs),
        None => super::units::duration_text(value.as_str()?),
    }
}

/// W101 and W902; whether the wire's source can still be told.
fn known_keys(reader: &mut Reader, section: &Section) -> bool {
    let mut source_is_known = true;
    let mut known: Vec<&str> = [SOURCES, BUCKET_KEYS, TABLE_KEYS, TOPIC_KEYS, POLICY_KEYS].concat();
    known = known.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    for (key, what) in LATER {
        if let Some(setting) = section.get(key) {
            reader.not_yet(&setting.key_span, what, None);
            source_is_known = false;
        }
    }
    known.extend(LATER.iter().map(|(key, _)| *key));
    reader.only(section, &known);
    source_is_known
}

/// The one source of the wire; W210 if there is none, or more than one.
fn only_source<'a>(reader: &mut Reader, section: &Section<'a>) -> Option<Setting<'a>> {
    let mut sources: Vec<Setting<'a>> = SOURCES.iter().filter_map(|key| section.get(key)).collect();
    sources.sort_by_key(|source| source.key_span.start);
    let place: Span = section.span.clone();
    match sources.as_slice() {
        [] => {
            let complaint = Complaint::new("W210", format!("{} starts nowhere", section.what));
            let help = "add `bucket = \"NAME\"`, `table = \"NAME\"` or `topic = \"NAME\"`";
            reader.complain(complaint.at(&place, "no source").help(help));
            return None;
        }
        [_] => {}
        [first, second, ..] => {
            let complaint = Complaint::new("W210", format!("{} starts at two sources", section.what))
                .at(&second.key_span, format!("and `{}` here", second.key))
                .beside(&first.key_span, format!("`{}` here", first.key))
                .help("make two wires of it");
            reader.complain(complaint);
            return None;
        }
    }
    sources.pop()
}

/// W207 for each option that belongs to another kind of source.
fn fitting_keys(reader: &mut Reader, section: &Section, source: &str) {
    let fitting = match source {
        "bucket" => BUCKET_KEYS,
        "table" => TABLE_KEYS,
        _ => TOPIC_KEYS,
    };
    for setting in section.settings() {
        let key = setting.key;
        // A batch that fails holds up its stream, so a stream retries without waiting; and nobody is told of successes.
        let not_of_tables = ["backoff", "on_success"].contains(&key);
        let policy = POLICY_KEYS.contains(&key) && !(not_of_tables && source == "table");
        let homes = [("buckets", BUCKET_KEYS), ("tables", TABLE_KEYS), ("topics", TOPIC_KEYS)];
        let mut homes: Vec<&str> =
            homes.iter().filter(|(_, keys)| keys.contains(&key)).map(|(home, _)| *home).collect();
        if not_of_tables {
            homes = vec!["buckets", "topics"];
        }
        if fitting.contains(&key) || policy || homes.is_empty() {
            continue;
        }
        let title = format!("`{key}` is for {}; this wire starts at a {source}", homes.join(" and "));
        reader.complain(Complaint::new("W207", title).at(&setting.key_span, "take it away"));
    }
}
