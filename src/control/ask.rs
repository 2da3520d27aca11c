//! What the control API answers to questions.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use super::server::{Refused, listed_wires};
use super::{
    ClockShown, DeadLetter, DeliveryShown, EventListed, EventShown, Listed, LogShown, Status, Why,
    WhyMissing, WireSaid,
};
use crate::app::App;
use crate::event::EventNo;
use crate::history::{self, Choice, Letters, Stored};
use crate::wire::{self, Wire};

type Answer<T> = Result<Json<T>, Refused>;
type Here = State<Arc<App>>;

pub(super) async fn status(State(app): Here) -> Json<Status> {
    Json(app.status().await)
}

#[derive(Deserialize)]
pub(super) struct ListAsked {
    #[serde(default)]
    kind: String,
}

pub(super) async fn list(State(app): Here, Query(asked): Query<ListAsked>) -> Answer<Vec<Listed>> {
    let config = app.config();
    let item = |kind: &str, name: &str, about: String, facts| Listed {
        kind: kind.into(),
        name: name.into(),
        about,
        facts,
    };
    Ok(Json(match asked.kind.as_str() {
        "functions" | "function" => super::functions::listed(&app),
        "wires" | "wire" => listed_wires(&app),
        "buckets" | "bucket" => {
            let buckets = config.buckets.values();
            buckets
                .map(|b| item("bucket", &b.name, b.folder.display().to_string(), json!({"folder": b.folder})))
                .collect()
        }
        "tables" | "table" => {
            let tables = config.tables.values();
            tables
                .map(|t| item("table", &t.name, t.sqlite.display().to_string(), json!({"sqlite": t.sqlite})))
                .collect()
        }
        "topics" | "topic" => {
            config.topics.keys().map(|n| item("topic", n, String::new(), json!({}))).collect()
        }
        "queues" | "queue" => {
            let mut listed = Vec::new();
            for name in config.queues.keys() {
                let letters = history::dead_count(app.queue().store().read(), name).await?;
                listed.push(item(
                    "queue",
                    name,
                    format!("{letters} dead letters"),
                    json!({"letters": letters}),
                ));
            }
            listed
        }
        other => {
            let message = format!("there is no list of `{other}`");
            return Err(Refused::senseless(message, "functions, wires, buckets, tables, topics or queues"));
        }
    }))
}

#[derive(Deserialize)]
pub(super) struct EventsAsked {
    limit: Option<i64>,
    before: Option<String>,
    after: Option<String>,
    source: Option<String>,
    #[serde(rename = "fn")]
    function: Option<String>,
    failed: Option<u8>,
}

const LIST_MAX: i64 = 1000;

pub(super) async fn events(State(app): Here, Query(asked): Query<EventsAsked>) -> Answer<Vec<EventListed>> {
    let pool = app.queue().store().read();
    let choice = Choice {
        limit: asked.limit.unwrap_or(50).clamp(1, LIST_MAX),
        before: asked.before.as_deref().map(number).transpose()?,
        after: asked.after.as_deref().map(number).transpose()?,
        source: asked.source,
        function: asked.function,
        failed: asked.failed.unwrap_or_default() > 0,
    };
    let mut listed = Vec::new();
    let wires = app.queue().wires();
    for stored in history::list(pool, &choice).await? {
        listed.push(history::listed(pool, &stored, &wires).await?);
    }
    Ok(Json(listed))
}

/// The event of `e7k2` or of one of its attempts, `e7k2.1`.
fn number(id: &str) -> Result<EventNo, Refused> {
    let event = id.split('.').next().unwrap_or_default();
    EventNo::parse(event)
        .ok_or_else(|| Refused::senseless(format!("`{id}` is no event id"), "event ids look like e7k2"))
}

pub(super) async fn stored(app: &App, id: &str) -> Result<Stored, Refused> {
    let found = history::one(app.queue().store().read(), number(id)?).await?;
    found.ok_or_else(|| Refused::unknown(format!("there is no event {id}"), "dropwire list events"))
}

async fn deliveries(app: &App, number: EventNo) -> Result<Vec<DeliveryShown>, Refused> {
    Ok(history::deliveries(app.queue().store().read(), number, &app.queue().wires()).await?)
}

pub(super) async fn event(State(app): Here, Path(id): Path<String>) -> Answer<EventShown> {
    let Stored { number, event } = stored(&app, &id).await?;
    Ok(Json(EventShown {
        id: number.to_string(),
        source: event.source.kind().to_owned(),
        name: event.source.name().to_owned(),
        event: event.name.clone(),
        subject: event.subject.clone(),
        at: event.occurred_at.iso_millis(),
        cause: event.cause.clone(),
        record: event.record.value(),
        deliveries: deliveries(&app, number).await?,
    }))
}

pub(super) async fn why(State(app): Here, Path(id): Path<String>) -> Answer<Why> {
    let stored = stored(&app, &id).await?;
    Ok(Json(explained(&app, &stored, None).await?))
}

/// What each wire of its source said of an event; with `function`, only that function's wires.
async fn explained(app: &App, stored: &Stored, function: Option<&str>) -> Result<Why, Refused> {
    let wires = app.queue().wires();
    let shown = deliveries(app, stored.number).await?;
    let from_here = wires.from(&stored.event.source).iter();
    let asked = from_here.filter(|wire| function.is_none_or(|name| wire.leads_to() == name));
    // What only carries something else of this function says nothing of this event.
    let has_to_do = |wire: &&Arc<Wire>| {
        !wire.is_made() || wire::wants(&stored.event, &wire.filter) || shown.iter().any(|d| d.wire == wire.id)
    };
    let said = asked.filter(has_to_do).map(|wire| {
        let findings = wire::explain(&stored.event, &wire.filter);
        WireSaid {
            wire: wire.id.clone(),
            function: wire.leads_to(),
            wanted: wire::wants(&stored.event, &wire.filter),
            findings: findings.into_iter().map(Into::into).collect(),
            delivery: shown.iter().find(|d| d.wire == wire.id).map(in_words),
        }
    });
    let said = said.collect();
    let event = history::listed(app.queue().store().read(), stored, &wires).await?;
    Ok(Why { event, cause: stored.event.cause.clone(), wires: said })
}

/// What became of a delivery, in words.
fn in_words(delivery: &DeliveryShown) -> String {
    let tries = delivery.attempts.iter().map(|attempt| attempt.number).max().unwrap_or_default();
    let of = delivery.attempts_max.map(|max| format!(" of {max}")).unwrap_or_default();
    match (delivery.state.as_str(), &delivery.due) {
        ("done", _) => format!("done at try {tries}"),
        ("waiting", Some(due)) => format!("waiting: try {}{of} is due at {due}", tries + 1),
        ("given up", _) => {
            format!("given up after try {tries}: {}", delivery.reason.as_deref().unwrap_or_default())
        }
        (_, _) if tries > 0 => format!("try {}{of} is next", tries + 1),
        (state, _) => state.to_owned(),
    }
}

/// How many events `why --missing` looks at.
const MISSING_MAX: i64 = 50;

pub(super) async fn why_missing(State(app): Here, Path(function): Path<String>) -> Answer<WhyMissing> {
    if !app.config().functions.contains_key(&function) {
        return Err(Refused::unknown(
            format!("there is no function `{function}`"),
            "dropwire list functions",
        ));
    }
    let pool = app.queue().store().read();
    let last = history::last_called(pool, &function).await?;
    let after = last.map(|(number, _)| number);
    let recent = history::list(pool, &Choice { limit: MISSING_MAX, after, ..Choice::default() }).await?;
    let wires = app.queue().wires();
    let mut events = Vec::new();
    for stored in recent {
        if wires.from(&stored.event.source).iter().any(|wire| wire.leads_to() == function) {
            events.push(explained(&app, &stored, Some(&function)).await?);
        }
    }
    Ok(Json(WhyMissing { function, last_called: last.map(|(_, at)| at.iso_millis()), events }))
}

#[derive(Deserialize)]
pub(super) struct LogsAsked {
    limit: Option<i64>,
}

pub(super) async fn logs(
    State(app): Here,
    Path(function): Path<String>,
    Query(asked): Query<LogsAsked>,
) -> Answer<Vec<LogShown>> {
    let logs =
        history::logs(app.queue().store().read(), &function, asked.limit.unwrap_or(100).clamp(1, LIST_MAX))
            .await?;
    if logs.is_empty() && !app.config().functions.contains_key(&function) {
        return Err(Refused::unknown(
            format!("there is no function `{function}`"),
            "dropwire list functions",
        ));
    }
    Ok(Json(logs))
}

#[derive(Deserialize)]
pub(super) struct DeadAsked {
    queue: Option<String>,
    id: Option<i64>,
    after: Option<i64>,
    limit: Option<i64>,
}

pub(super) async fn dead(State(app): Here, Query(asked): Query<DeadAsked>) -> Answer<Vec<DeadLetter>> {
    let DeadAsked { queue, id, after, limit } = asked;
    let limit = limit.unwrap_or(LIST_MAX).clamp(1, LIST_MAX);
    let which = Letters { queue, id, after: after.unwrap_or_default(), limit };
    let letters = history::dead(app.queue().store().read(), &which).await?;
    if let Some(name) =
        which.queue.filter(|name| letters.is_empty() && !app.config().queues.contains_key(name))
    {
        return Err(Refused::unknown(format!("there is no queue `{name}`"), "dropwire list queues"));
    }
    Ok(Json(letters))
}

pub(super) async fn clock(State(app): Here) -> Json<ClockShown> {
    Json(clock_shown(&app, Vec::new()))
}

pub(super) fn clock_shown(app: &App, passed: Vec<String>) -> ClockShown {
    let clock = app.clock();
    ClockShown {
        time: clock.now().iso_millis(),
        pace: clock.pace().in_words(),
        next_due: clock.next_due().map(|due| due.iso_millis()),
        passed,
    }
}

/// Everything that is told from now on, a JSON object a line. A follower that is too slow is told how much it missed.
pub(super) async fn follow(State(app): Here) -> Response {
    let told = app.timeline().follow();
    let begin = Bytes::from_static(b"{\"kind\":\"following\"}\n");
    let lines = futures_util::stream::unfold((app, told, Some(begin)), |(app, mut told, begin)| async move {
        if let Some(begin) = begin {
            return Some((Ok::<Bytes, std::convert::Infallible>(begin), (app, told, None)));
        }
        let next = tokio::select! { next = told.recv() => next, () = app.until_stopped() => return None };
        let line = match next {
            Ok(moment) => serde_json::to_string(&*moment).unwrap_or_default(),
            Err(RecvError::Lagged(count)) => json!({"kind": "missed", "count": count}).to_string(),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok(Bytes::from(line + "\n")), (app, told, None)))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}
