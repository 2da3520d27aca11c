//! Reading back what happened: events, their deliveries, attempts and dead letters, as the control API shows them.

use serde_json::{Value, json};
use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use crate::clock::Timestamp;
use crate::control::functions::InvocationShown;
use crate::control::{AttemptShown, DeadLetter, DeliveryShown, EventListed, LogShown};
use crate::delivery::queue::{StoreError, event_of};
use crate::event::{Event, EventNo};
use crate::timeline::millis;
use crate::wire::WiresBySource;

/// One stored event with its number.
pub struct Stored {
    /// Its number.
    pub number: EventNo,
    /// The event.
    pub event: Event,
}

/// Which events to list.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// At most so many, the newest.
    pub limit: i64,
    /// Only those before this one.
    pub before: Option<EventNo>,
    /// Only those after this one.
    pub after: Option<EventNo>,
    /// Only from sources of this kind (`s3`) or name.
    pub source: Option<String>,
    /// Only those that went, or are to go, to this function.
    pub function: Option<String>,
    /// Only those with a failed attempt.
    pub failed: bool,
}

const ONE: &str = "SELECT no AS event, * FROM event WHERE no = ?1";
const LIST: &str = "SELECT no AS event, * FROM event e
     WHERE no < ?1 AND no > ?2
       AND (?3 IS NULL OR instr(source, ?3) > 0)
       AND (?4 IS NULL OR EXISTS (SELECT 1 FROM delivery d JOIN wire w ON w.no = d.wire
                                  WHERE d.event = e.no AND substr(w.id, 1, length(?4) + 1) IN (?4 || '/', ?4 || ':')))
       AND (?5 = 0 OR EXISTS (SELECT 1 FROM delivery d WHERE d.event = e.no AND (d.state = 3 OR d.attempts > 1
                                  OR (d.attempts = 1 AND d.state < 2))))
     ORDER BY no DESC LIMIT ?6";
const DELIVERIES: &str =
    "SELECT d.id, d.state, d.due, d.not_before, d.attempts, d.reason, w.id AS wire, w.no AS number
     FROM delivery d JOIN wire w ON w.no = d.wire WHERE d.event = ?1 ORDER BY d.id";
const ATTEMPTS: &str =
    "SELECT * FROM attempt WHERE wire = ?1 AND last >= ?2 AND first <= ?2 ORDER BY id LIMIT 200";
const LOGS: &str = "SELECT * FROM attempt WHERE function = ?1 ORDER BY id DESC LIMIT ?2";
const LAST_CALLED: &str =
    "SELECT first, last, at FROM attempt WHERE function = ?1 AND wire > 0 ORDER BY id DESC LIMIT 1";
const INVOCATION: &str =
    "SELECT * FROM attempt WHERE wire = 0 AND request_id >= ?1 AND request_id < ?1 || 'g'
     ORDER BY id DESC LIMIT 1";
const DEAD: &str = "SELECT d.*, w.id AS wire_id FROM dead d JOIN wire w ON w.no = d.wire
     WHERE (?1 IS NULL OR d.queue = ?1) AND (?2 IS NULL OR d.id = ?2) AND d.id > ?3 ORDER BY d.id LIMIT ?4";
const DEAD_NAMED: &str = "SELECT id, deliveries, reason FROM dead WHERE ?1 IS NULL OR queue = ?1 ORDER BY id";
const DEAD_THESE: &str =
    "SELECT d.id, d.deliveries, d.reason FROM json_each(?2) j CROSS JOIN dead d ON d.id = j.value
     WHERE ?1 IS NULL OR d.queue = ?1 ORDER BY d.id";
const DEAD_COUNT: &str = "SELECT count(*) FROM dead WHERE queue = ?1";
const COUNTS: &str = "SELECT (SELECT coalesce(max(no), 0) FROM event),
     (SELECT count(*) FROM delivery WHERE state = 0), (SELECT count(*) FROM delivery WHERE state = 1),
     (SELECT count(*) FROM dead)";

const GIVEN_UP: &str = "SELECT count(*) FROM delivery WHERE state = 3";

/// The event of this number.
pub async fn one(pool: &SqlitePool, number: EventNo) -> Result<Option<Stored>, StoreError> {
    let row = sqlx::query(ONE).bind(number.0).fetch_optional(pool).await?;
    Ok(row.map(|row| stored(&row)))
}

/// The chosen events, oldest first.
pub async fn list(pool: &SqlitePool, choice: &Choice) -> Result<Vec<Stored>, StoreError> {
    let rows = sqlx::query(LIST)
        .bind(choice.before.map_or(i64::MAX, |e| e.0))
        .bind(choice.after.map_or(0, |e| e.0))
        .bind(choice.source.as_deref().map(source_part))
        .bind(choice.function.as_deref())
        .bind(choice.failed)
        .bind(choice.limit)
        .fetch_all(pool)
        .await?;
    Ok(rows.iter().rev().map(stored).collect())
}

/// A source's kind is found by its service in the ARN; anything else is part of its name.
fn source_part(asked: &str) -> String {
    match asked {
        "s3" | "bucket" => ":s3:".into(),
        "table" => ":dynamodb:".into(),
        "topic" | "sns" => ":sns:".into(),
        "function" => ":lambda:".into(),
        name => name.to_owned(),
    }
}

/// An event's deliveries with their attempts. What runs now is known to the queue alone, so `running` says which do.
pub async fn deliveries(
    pool: &SqlitePool,
    number: EventNo,
    wires: &WiresBySource,
) -> Result<Vec<DeliveryShown>, StoreError> {
    let mut shown = Vec::new();
    for row in sqlx::query(DELIVERIES).bind(number.0).fetch_all(pool).await? {
        let wire: String = row.get("wire");
        let rows =
            sqlx::query(ATTEMPTS).bind(row.get::<i64, _>("number")).bind(number.0).fetch_all(pool).await?;
        let attempts: Vec<AttemptShown> = rows.iter().map(attempt).collect();
        let state = match row.get::<i64, _>("state") {
            0 => "waiting",
            1 => "running",
            2 => "done",
            _ => "given up",
        };
        let due = row.get::<i64, _>("due").max(row.get("not_before"));
        shown.push(DeliveryShown {
            function: leads_to(&wire, wires),
            state: state.into(),
            due: (state == "waiting" && due > 0).then(|| Timestamp::from_micros(due).iso_millis()),
            reason: row.get("reason"),
            attempts_max: wires.get(&wire).and_then(|wire| wire.policy.attempts_max()),
            attempts,
            wire,
        });
    }
    Ok(shown)
}

/// What a wire leads to: of one that is gone the function whose it was.
fn leads_to(wire: &str, wires: &WiresBySource) -> String {
    let function = || wire.split(['/', ':']).next().unwrap_or_default().to_owned();
    wires.get(wire).map_or_else(function, |wire| wire.leads_to())
}

/// An event in one line.
pub async fn listed(
    pool: &SqlitePool,
    stored: &Stored,
    wires: &WiresBySource,
) -> Result<EventListed, StoreError> {
    let Stored { number, event } = stored;
    let rows = sqlx::query(DELIVERIES).bind(number.0).fetch_all(pool).await?;
    let said = rows.iter().map(|row| {
        let function = leads_to(row.get("wire"), wires);
        match (row.get::<i64, _>("state"), row.get::<i64, _>("attempts")) {
            (2, _) => format!("{function} ✓"),
            (3, tries) => format!("{function} ✗ after {tries}"),
            (1, _) => format!("{function} running"),
            (_, 0) => format!("{function} waiting"),
            (_, tries) => format!("{function} waiting after {tries}"),
        }
    });
    Ok(EventListed {
        id: number.to_string(),
        source: event.source.kind().to_owned(),
        name: event.source.name().to_owned(),
        event: event.name.clone(),
        subject: event.subject.clone(),
        at: event.occurred_at.iso_millis(),
        deliveries: said.collect(),
    })
}

/// What a function wrote in its last attempts, oldest first.
pub async fn logs(pool: &SqlitePool, function: &str, limit: i64) -> Result<Vec<LogShown>, StoreError> {
    let rows = sqlx::query(LOGS).bind(function).bind(limit).fetch_all(pool).await?;
    let shown = rows.iter().rev().map(|row| LogShown {
        id: match row.get::<i64, _>("first") {
            // A direct invocation belongs to no event.
            0 => row.get::<&str, _>("request_id").split('-').next().unwrap_or_default().to_owned(),
            first => format!("{}.{}", EventNo(first), row.get::<i64, _>("number")),
        },
        at: Timestamp::from_micros(row.get("at")).iso_millis(),
        log: row.get("log"),
    });
    Ok(shown.collect())
}

/// A direct invocation by its request id, or the first digits of that.
pub async fn invocation(pool: &SqlitePool, id: &str) -> Result<Option<InvocationShown>, StoreError> {
    let row = sqlx::query(INVOCATION).bind(id).fetch_optional(pool).await?;
    Ok(row.map(|row| InvocationShown { function: row.get("function"), attempt: attempt(&row) }))
}

/// The last event that a function was called with, and when.
pub async fn last_called(
    pool: &SqlitePool,
    function: &str,
) -> Result<Option<(EventNo, Timestamp)>, StoreError> {
    let row = sqlx::query(LAST_CALLED).bind(function).fetch_optional(pool).await?;
    Ok(row.map(|row| (EventNo(row.get("last")), Timestamp::from_micros(row.get("at")))))
}

/// Which dead letters.
#[derive(Clone, Debug, Default)]
pub struct Letters {
    /// Only of this queue.
    pub queue: Option<String>,
    /// Only this one.
    pub id: Option<i64>,
    /// Only those after this one.
    pub after: i64,
    /// At most so many.
    pub limit: i64,
}

/// These dead letters, oldest first.
pub async fn dead(pool: &SqlitePool, which: &Letters) -> Result<Vec<DeadLetter>, StoreError> {
    // One that is named is found at its place, not by going through all of them.
    let (after, limit) = which.id.map_or((which.after, which.limit), |id| (id.saturating_sub(1), 1));
    let asked = sqlx::query(DEAD).bind(which.queue.as_deref()).bind(which.id);
    let rows = asked.bind(after).bind(limit).fetch_all(pool).await?;
    Ok(rows.iter().map(dead_letter).collect())
}

/// A dead letter without its body.
pub struct Named {
    /// Its number.
    pub id: i64,
    /// The deliveries that it stands for.
    pub deliveries: Vec<i64>,
    /// It tells of a success: there is nothing to deliver again.
    pub is_success: bool,
}

/// The dead letters of this queue, or of all, without their bodies; only these, unless `ids` is empty.
pub async fn dead_named(
    pool: &SqlitePool,
    queue: Option<&str>,
    ids: &[i64],
) -> Result<Vec<Named>, StoreError> {
    let rows = match ids {
        [] => sqlx::query(DEAD_NAMED).bind(queue).fetch_all(pool).await?,
        ids => sqlx::query(DEAD_THESE).bind(queue).bind(json!(ids).to_string()).fetch_all(pool).await?,
    };
    let named = rows.iter().map(|row| Named {
        id: row.get("id"),
        deliveries: serde_json::from_str(row.get("deliveries")).unwrap_or_default(),
        is_success: row.get::<&str, _>("reason") == "Success",
    });
    Ok(named.collect())
}

/// How many dead letters a queue holds.
pub async fn dead_count(pool: &SqlitePool, queue: &str) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(DEAD_COUNT).bind(queue).fetch_one(pool).await?)
}

/// Events stored, deliveries that wait, deliveries claimed, dead letters.
pub async fn counts(pool: &SqlitePool) -> Result<[i64; 4], StoreError> {
    let row = sqlx::query(COUNTS).fetch_one(pool).await?;
    Ok([row.get(0), row.get(1), row.get(2), row.get(3)])
}

/// Deliveries that were given up.
pub async fn given_up(pool: &SqlitePool) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(GIVEN_UP).fetch_one(pool).await?)
}

fn stored(row: &SqliteRow) -> Stored {
    Stored { number: EventNo(row.get("event")), event: event_of(row) }
}

fn attempt(row: &SqliteRow) -> AttemptShown {
    let micros = |number: i64| millis(std::time::Duration::from_micros(number.unsigned_abs()));
    AttemptShown {
        number: row.get::<i64, _>("number") as u32,
        at: Timestamp::from_micros(row.get("at")).iso_millis(),
        duration_ms: micros(row.get("duration")),
        init_ms: row.get::<Option<i64>, _>("init").map(micros),
        error: row.get("error"),
        retry_at: row.get::<Option<i64>, _>("retry_at").map(|t| Timestamp::from_micros(t).iso_millis()),
        request_id: row.get("request_id"),
        result: row.get("result"),
        log: row.get("log"),
    }
}

fn dead_letter(row: &SqliteRow) -> DeadLetter {
    let deliveries: Vec<i64> = serde_json::from_str(row.get("deliveries")).unwrap_or_default();
    let body: String = row.get("body");
    let attributes: Option<&str> = row.get("attributes");
    DeadLetter {
        id: row.get("id"),
        queue: row.get("queue"),
        wire: row.get("wire_id"),
        event: EventNo(row.get("first")).to_string(),
        count: deliveries.len(),
        at: Timestamp::from_micros(row.get("at")).iso_millis(),
        reason: row.get("reason"),
        error: row.get("error"),
        attributes: attributes.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default(),
        body: serde_json::from_str(&body).unwrap_or_else(|_| json!(Value::from(body))),
    }
}
