//! From the wires as they are declared to the wires as they deliver. Pure.

use std::time::Duration;

use super::{Asynchronous, Config, Destination, From, FunctionSpec, WireSpec, function_key};
use crate::arn::{Arn, Place};
use crate::delivery::policy::{AsyncPolicy, DeliveryPolicy};
use crate::delivery::stream::StreamPolicy;
use crate::event::pattern::{Dialect, Pattern, PatternError};
use crate::wire::{Filter, Wire};

/// All wires of this configuration, and one for the asynchronous invocations of each function. A filter that is none
/// leaves its wire out; reading the file has complained of it.
pub fn wires(config: &Config) -> Vec<Wire> {
    let place = &config.sim.place;
    let none = Asynchronous::default();
    let of = |name: &str| config.functions.get(name).map_or(&none, |function| &function.asynchronous);
    let declared = config.wires.iter().filter_map(|spec| wire(spec, of(&spec.function), place).ok());
    let invocations = config.functions.values().map(|function| invocations(function, place));
    declared.chain(invocations).collect()
}

/// The wire of a function's asynchronous invocations.
pub fn invocations(function: &FunctionSpec, place: &Place) -> Wire {
    let arn = Arn::function(place, &function_key(&function.name, &function.version));
    let said = &function.asynchronous;
    let by_default = AsyncPolicy::lambda();
    let policy = AsyncPolicy {
        retries: said.retries.unwrap_or(by_default.retries),
        age_max: said.age_max.unwrap_or(by_default.age_max),
        ..by_default
    };
    let to = |destination: &Option<Destination>| destination.as_ref().map(|to| to.arn(place));
    Wire::asynchronous(arn, policy, to(&said.dlq), to(&said.on_failure), to(&said.on_success))
}

fn wire(spec: &WireSpec, said: &Asynchronous, place: &Place) -> Result<Wire, PatternError> {
    let asynchronous = |by_default| DeliveryPolicy::Async(asynchronous(spec, said, by_default));
    // What a function says of its asynchronous invocations is not said of its streams.
    let is_stream = matches!(spec.from, From::Table { .. });
    let to = |own: &Option<Destination>, of_function: &Option<Destination>| {
        let inherited = of_function.as_ref().filter(|_| !is_stream);
        own.as_ref().or(inherited).map(|to| to.arn(place))
    };
    let (source, filter, policy) = match &spec.from {
        From::Bucket { bucket, events, prefix, suffix } => {
            let (events, prefix, suffix) = (events.clone(), prefix.clone(), suffix.clone());
            let filter = Filter::Keys { events, prefix, suffix };
            (Arn::bucket(bucket), filter, asynchronous(AsyncPolicy::lambda()))
        }
        From::Table { table, filter, .. } => {
            let patterns: Result<Vec<Pattern>, _> =
                filter.iter().map(|text| Pattern::parse(text, Dialect::EventBridge)).collect();
            let patterns = patterns?;
            let filter = if patterns.is_empty() { Filter::All } else { Filter::Record(patterns) };
            (Arn::table(place, table), filter, DeliveryPolicy::Stream(stream(spec)))
        }
        From::Topic { topic, filter, body_scope } => {
            let filter = match filter {
                None => Filter::All,
                Some(text) if *body_scope => Filter::Body(Pattern::parse(text, Dialect::SnsBody)?),
                Some(text) => Filter::Attributes(Pattern::parse(text, Dialect::SnsAttributes)?),
            };
            (Arn::topic(place, topic), filter, asynchronous(AsyncPolicy::sns()))
        }
    };
    Ok(Wire {
        id: spec.id.clone(),
        source,
        filter,
        target: Arn::function(place, &spec.function),
        policy,
        dead_letters: to(&spec.dlq, &said.dlq),
        on_failure: to(&spec.on_failure, &said.on_failure),
        on_success: to(&spec.on_success, &said.on_success),
        declared_at: match spec.origin.line {
            0 => String::new(),
            line => format!("{}:{line}", spec.origin.file),
        },
    })
}

fn asynchronous(spec: &WireSpec, said: &Asynchronous, by_default: AsyncPolicy) -> AsyncPolicy {
    AsyncPolicy {
        retries: spec.retries.or(said.retries).unwrap_or(by_default.retries),
        backoff: spec.backoff.clone().unwrap_or(by_default.backoff),
        age_max: spec.age_max.or(said.age_max).unwrap_or(by_default.age_max),
    }
}

fn stream(spec: &WireSpec) -> StreamPolicy {
    let by_default = StreamPolicy::default();
    let From::Table { batch, window, from_horizon, bisect, report_failures, .. } = &spec.from else {
        return by_default;
    };
    StreamPolicy {
        from_horizon: *from_horizon,
        batch: *batch,
        window: *window,
        retries: spec.retries,
        age_max: spec.age_max.unwrap_or(by_default.age_max),
        bisect: *bisect,
        report_failures: *report_failures,
        backoff: spec.backoff.clone().unwrap_or_default(),
    }
}

/// A wire in words, as the banner and `list wires` show it: `s3  uploads/incoming/*.png  → thumbnail`.
pub fn in_words(wire: &Wire) -> String {
    let from = match &wire.filter {
        Filter::All => wire.source.name().to_owned(),
        Filter::Keys { events, prefix, suffix } => {
            let glob = match (prefix.as_str(), suffix.as_str()) {
                ("", "") => String::new(),
                (prefix, suffix) => format!("/{prefix}*{suffix}"),
            };
            let created = events.len() == 1 && events[0] == "ObjectCreated:*";
            let events = if created { String::new() } else { format!("  {}", events.join(", ")) };
            format!("{}{glob}{events}", wire.source.name())
        }
        Filter::Record(patterns) => format!("{}  {}", wire.source.name(), texts(patterns)),
        Filter::Attributes(policy) => format!("{}  {}", wire.source.name(), policy.text().trim()),
        Filter::Body(policy) => format!("{}  body {}", wire.source.name(), policy.text().trim()),
        Filter::Invocations => format!("{}  Invoke", wire.source.name()),
        Filter::Sent(_) => format!("{}  destination", wire.source.name()),
        Filter::Nothing(why) => format!("{}  nothing, since {why}", wire.source.name()),
    };
    format!("{}  {from}  → {}{}", wire.source.kind(), wire.leads_to(), terms(wire))
}

fn retries_in_words(retries: u32) -> String {
    match retries {
        0 => "no retry".into(),
        1 => "1 retry".into(),
        more => format!("{more} retries"),
    }
}

fn texts(patterns: &[Pattern]) -> String {
    patterns.iter().map(|pattern| pattern.text().trim()).collect::<Vec<_>>().join(" or ")
}

fn terms(wire: &Wire) -> String {
    let mut terms = Vec::new();
    match &wire.policy {
        DeliveryPolicy::Async(policy) => terms.push(retries_in_words(policy.retries)),
        DeliveryPolicy::Stream(policy) => {
            terms.push(format!("batch {}", policy.batch));
            if policy.window > Duration::ZERO {
                terms.push(format!("window {} ms", policy.window.as_millis()));
            }
            terms.push(match policy.retries {
                Some(retries) => retries_in_words(retries),
                None => "retried until it succeeds".into(),
            });
        }
    }
    let named = |to: &Arn| match to.kind() {
        "queue" => to.name().to_owned(),
        kind => format!("{kind} {}", to.name()),
    };
    terms.extend(wire.dead_letters.iter().map(|to| format!("then dead letters {}", named(to))));
    terms.extend(wire.on_failure.iter().map(|to| format!("failure record to {}", named(to))));
    terms.extend(wire.on_success.iter().map(|to| format!("success record to {}", named(to))));
    format!("   {}", terms.join(", "))
}
