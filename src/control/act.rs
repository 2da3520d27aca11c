//! What the control API does when it is asked to act.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde_json::{Value, json};
use tokio::sync::broadcast::{self, error::RecvError};

use super::ask::{clock_shown, stored};
use super::server::Refused;
use super::{ClockChange, ClockShown, DeadChosen, Fire, Fired, Invoked, Replay};
use crate::app::App;
use crate::clock::{Pace, Timestamp, real};
use crate::delivery::queue::Own;
use crate::delivery::{Outcome, Report};
use crate::event::{Event, EventId};
use crate::function::Invocation;
use crate::history::{self, Named};
use crate::lambda::names::Target;
use crate::source::SourceError;
use crate::source::s3::Content;
use crate::source::sns::{Attribute, Message};
use crate::timeline::{Moment, Told, millis};
use crate::wire::{self, Wire};

type Answer<T> = Result<Json<T>, Refused>;
type Here = State<Arc<App>>;

impl From<SourceError> for Refused {
    fn from(error: SourceError) -> Refused {
        Refused::senseless(error.to_string(), "")
    }
}

pub(super) async fn fire(State(app): Here, Json(fire): Json<Fire>) -> Answer<Fired> {
    // Listen first: what the source notices must not be missed.
    let mut told = app.timeline().follow();
    let (mut events, mut message_id) = (Vec::new(), None);
    match fire {
        Fire::S3 { target, file, delete } => {
            let (name, key) = target.split_once('/').unwrap_or((&target, ""));
            fire_s3(&app, (name, key), file, delete).await?;
            events.extend(noticed(&mut told, name, Some(key)).await);
        }
        Fire::Table { table, put, delete } => {
            let Some(source) = app.table(&table) else { return Err(no_such("table", &table)) };
            match (put, delete) {
                (Some(item), None) => source.put(&item).await?,
                (None, Some(key)) => source.delete(&key).await?,
                _ => {
                    return Err(Refused::senseless(
                        "say what to put or what to delete".into(),
                        "--put or --delete",
                    ));
                }
            }
            events.extend(noticed(&mut told, &table, None).await);
        }
        Fire::Topic { topic, body, subject, attributes } => {
            let Some(source) = app.topic(&topic) else { return Err(no_such("topic", &topic)) };
            let attributes =
                attributes.into_iter().map(|(name, kind, value)| Attribute { name, kind, value }).collect();
            let published = source.publish(&Message { body, subject, attributes }).await?;
            events.push(published.number.to_string());
            message_id = Some(published.message_id);
        }
    }
    Ok(Json(Fired { events, message_id }))
}

/// How long a source may take to notice what was done to it. Nothing may come: what changes nothing is no event.
const NOTICE_MAX: Duration = Duration::from_secs(1);

/// The event that a source told of since `told` began.
async fn noticed(
    told: &mut broadcast::Receiver<Arc<Told>>,
    name: &str,
    subject: Option<&str>,
) -> Option<String> {
    let search = async {
        loop {
            let moment = match told.recv().await {
                Ok(told) => told,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return None,
            };
            if let Moment::Emitted { id, name: from, subject: about, .. } = &moment.moment
                && from == name
                && subject.is_none_or(|subject| subject == about)
            {
                return Some(id.clone());
            }
        }
    };
    real::within(NOTICE_MAX, search).await.flatten()
}

fn no_such(kind: &str, name: &str) -> Refused {
    Refused::unknown(format!("there is no {kind} `{name}`"), &format!("dropwire list {kind}s"))
}

async fn fire_s3(
    app: &App,
    (name, key): (&str, &str),
    file: Option<String>,
    delete: bool,
) -> Result<(), Refused> {
    let Some(bucket) = app.bucket(name) else {
        return Err(no_such("bucket", name));
    };
    if key.is_empty() {
        return Err(Refused::senseless(
            format!("`{name}` alone names no object"),
            "say BUCKET/KEY, for example uploads/cat.png",
        ));
    }
    if delete {
        return Ok(bucket.delete(key).await?);
    }
    match file {
        Some(file) => Ok(bucket.put(key, Content::File(PathBuf::from(file))).await?),
        None => Ok(bucket.put(key, Content::Bytes(Vec::new())).await?),
    }
}

/// The same bytes again, under a new number.
pub(super) async fn replay(State(app): Here, Json(replay): Json<Replay>) -> Answer<Fired> {
    let mut original = stored(&app, &replay.id).await?;
    if original.event.request_id().is_some() {
        // It is another request.
        original.event.subject = app.random().uuid(4);
    }
    let event = Event {
        id: EventId::in_order(
            app.clock().now().as_micros().unsigned_abs(),
            &[&format!("{:?}", original.event.id), &app.random().uuid(4)],
        ),
        cause: Some(format!("replay of {}", original.number)),
        occurred_at: app.clock().now(),
        ..original.event
    };
    let wires = app.queue().wires();
    let chosen: Vec<Arc<Wire>> = match &replay.to {
        None => {
            let from_here = wires.from(&event.source).iter();
            from_here.filter(|wire| wire::wants(&event, &wire.filter)).cloned().collect()
        }
        Some(function) => {
            let to = wires.all().filter(|wire| wire.leads_to() == *function);
            // A wire from the same source says best how to deliver, then the one of the function's own invocations.
            let best = to.max_by_key(|wire| (wire.source == event.source, wire.is_made())).cloned();
            let message = format!("no wire leads to a function `{function}`");
            vec![best.ok_or_else(|| Refused::unknown(message, "dropwire list wires"))?]
        }
    };
    let numbers = app
        .queue()
        .emit_to(vec![event], Own::default(), &|_, _, found| found.extend(chosen.iter().cloned()))
        .await?;
    Ok(Json(Fired { events: numbers.iter().map(ToString::to_string).collect(), message_id: None }))
}

pub(super) async fn invoke(
    State(app): Here,
    Path(function): Path<String>,
    headers: HeaderMap,
    payload: Bytes,
) -> Answer<Invoked> {
    let given = headers.get("x-dropwire-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let request_id = given.unwrap_or_else(|| app.random().uuid(4));
    // As with Lambda, no payload is an empty object.
    let payload = if payload.is_empty() { Bytes::from_static(b"{}") } else { payload };
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&payload) {
        let message = format!("Could not parse request body into json: {error}");
        return Err(Refused::senseless(message, "the payload has to be JSON"));
    }
    let (name, qualifier) = match function.split_once(':') {
        Some((name, qualifier)) => (name.to_owned(), Some(qualifier.to_owned())),
        None => (function.clone(), None),
    };
    let resolved = app.invoker().ready(&Target { name, qualifier }).await;
    let resolved = resolved.map_err(|_| no_such("function", &function))?;
    let invocation = Invocation {
        arn: Some(resolved.invoked_arn.as_str().to_owned()),
        ..Invocation::of(payload, &request_id)
    };
    let outcome = app.invoker().run(&resolved, invocation).await;
    let (ok, payload, error, report) = match outcome {
        Outcome::Done(reply) => (true, reply.payload, None, reply.report),
        Outcome::Failed(failure) => (false, failure.payload, Some(failure.summary), failure.report),
        Outcome::Throttled(_) => return Err(Refused::failed(format!("`{function}` is at its concurrency"))),
        Outcome::Unavailable(why) | Outcome::Over(why) => return Err(Refused::failed(why)),
    };
    let Report { duration, init, log, .. } = report;
    Ok(Json(Invoked {
        request_id,
        ok,
        payload: String::from_utf8_lossy(&payload).into_owned(),
        error,
        duration_ms: millis(duration),
        init_ms: init.map(millis),
        log,
    }))
}

pub(super) async fn redrive(State(app): Here, Json(chosen): Json<DeadChosen>) -> Answer<Value> {
    let mut letters = choose(&app, &chosen).await?;
    if let Some(success) = letters.iter().find(|letter| letter.is_success && !chosen.ids.is_empty()) {
        let message = format!("d{} tells of a success; there is nothing to deliver again", success.id);
        return Err(Refused::senseless(message, "`dropwire dead drop` removes it"));
    }
    letters.retain(|letter| !letter.is_success);
    for page in letters.chunks(LETTERS_AT_ONCE) {
        let mut deliveries: Vec<i64> = page.iter().flat_map(|letter| letter.deliveries.clone()).collect();
        deliveries.sort_unstable();
        deliveries.dedup();
        app.queue().redrive(ids(page), deliveries).await?;
    }
    Ok(Json(json!({"letters": letters.len()})))
}

pub(super) async fn drop_letters(State(app): Here, Json(chosen): Json<DeadChosen>) -> Answer<Value> {
    let letters = choose(&app, &chosen).await?;
    for page in letters.chunks(LETTERS_AT_ONCE) {
        app.queue().drop_letters(ids(page)).await?;
    }
    Ok(Json(json!({"letters": letters.len()})))
}

/// How many letters are redriven or dropped in one transaction, so that none holds the writer for long.
const LETTERS_AT_ONCE: usize = 5000;

fn ids(letters: &[Named]) -> Vec<i64> {
    letters.iter().map(|letter| letter.id).collect()
}

/// The chosen letters.
async fn choose(app: &App, chosen: &DeadChosen) -> Result<Vec<Named>, Refused> {
    let DeadChosen { queue, ids } = chosen;
    if let Some(name) = queue.as_ref().filter(|name| !app.config().queues.contains_key(*name)) {
        return Err(no_such("queue", name));
    }
    let letters = history::dead_named(app.queue().store().read(), queue.as_deref(), ids).await?;
    if let Some(missing) = ids.iter().find(|id| !letters.iter().any(|letter| letter.id == **id)) {
        return Err(Refused::unknown(format!("there is no dead letter d{missing}"), "dropwire dead list"));
    }
    Ok(letters)
}

pub(super) async fn clock(State(app): Here, Json(change): Json<ClockChange>) -> Answer<ClockShown> {
    let _alone = app.clock_turn().await;
    let (clock, now) = (app.clock(), app.clock().now());
    let mut passed = Vec::new();
    let ahead = || app.queue().next_due_of_all();
    let quiet = || {
        let app = app.clone();
        async move { app.quiet().await }
    };
    match change {
        ClockChange::Freeze => clock.freeze(),
        ClockChange::Run => clock.resume(),
        ClockChange::Rate { rate } if rate.is_finite() && rate > 0.0 => {
            clock.set_pace(Pace::Scaled { from_wall: real::now(), from: now, rate });
        }
        ClockChange::Rate { rate } => {
            return Err(Refused::senseless(
                format!("a clock cannot run at x{rate}"),
                "a rate is above 0, for example x60",
            ));
        }
        ClockChange::Advance { millis } => {
            passed = clock.advance_to(now.plus(Duration::from_millis(millis)), &quiet, ahead).await;
        }
        ClockChange::Next => {
            if let Some(due) = [clock.next_due(), ahead()].into_iter().flatten().min() {
                passed = clock.advance_to(due, &quiet, ahead).await;
            }
        }
        ClockChange::Set { time } => {
            let hint = "times look like 2026-01-05T09:00:00Z";
            let then = Timestamp::parse(&time)
                .ok_or_else(|| Refused::senseless(format!("`{time}` is no time"), hint))?;
            if then >= now {
                passed = clock.advance_to(then, &quiet, ahead).await;
            } else {
                clock.set_to(then);
            }
        }
    }
    Ok(Json(clock_shown(&app, passed.iter().map(|due| due.iso_millis()).collect())))
}

pub(super) async fn stop(State(app): Here) -> Json<Value> {
    app.ask_to_stop();
    Json(json!({"stopping": true}))
}
