//! The rows of events and deliveries: the statements of the queue, and rows from and to values.

use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::arn::Arn;
use crate::clock::Timestamp;
use crate::delivery::stream::InLine;
use crate::delivery::{Delivery, DeliveryId};
use crate::event::{Event, EventId, EventNo, Form, Record};

/// `[no, natural in hex, source, name, subject, at, lane, cause, form, record]`
pub(super) const INSERT_EVENT: &str =
    "INSERT INTO event (no, natural, source, name, subject, at, lane, cause, form, record)
     SELECT value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
            value ->> 7, value ->> 8, value ->> 9
     FROM json_each(?1) WHERE true ON CONFLICT (natural) DO NOTHING";
pub(super) const STORED_EVENTS: &str =
    "SELECT e.no FROM json_each(?1) j JOIN event e ON e.no = j.value ->> 0";
/// `[id, event, wire, state, due]`; none for an event that was known already.
pub(super) const INSERT_DELIVERY: &str = "INSERT INTO delivery (id, event, wire, state, due)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1)
     WHERE EXISTS (SELECT 1 FROM event WHERE no = value ->> 1)";
/// When an event is due that is due at once: before the time that any clock shows, in the order of the numbers.
pub(crate) fn at_once(number: EventNo) -> i64 {
    number.0 - (1 << 62)
}

pub(super) const RECOVER: &str =
    "UPDATE delivery SET state = 0, due = event - 4611686018427387904 WHERE state = 1";
pub(super) const HIGHEST: &str = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0),
       coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'delivery'), 0)";
pub(super) const ADD_WIRES: &str = "INSERT INTO wire (id) SELECT value FROM json_each(?1) WHERE true
     ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING no, id, horizon";
/// Which of these wires something waits for.
pub(super) const AWAITED: &str = "SELECT j.value FROM json_each(?1) j
     WHERE EXISTS (SELECT 1 FROM delivery WHERE wire = j.value AND state = 0)";
pub(super) const WIRES: &str = "SELECT no, id, horizon FROM wire";
pub(super) const NEXT_PAGE: &str = "SELECT * FROM (
       SELECT d.id, d.event, d.attempts, d.refusals, d.cohort, d.not_before, d.redriven, e.natural, e.source, e.name, e.subject,
              e.at, e.lane, e.cause, e.form, e.record,
              sum(length(e.record)) OVER (ORDER BY d.due, d.id) - length(e.record) AS before
       FROM (SELECT * FROM delivery WHERE wire = ?1 AND state = 0 AND due <= ?2 ORDER BY due, id LIMIT ?3) d
       JOIN event e ON e.no = d.event ORDER BY d.due, d.id)
     WHERE before < ?4";
pub(super) const CLAIM: &str = "UPDATE delivery SET state = 1 WHERE id IN (SELECT value FROM json_each(?1))";
pub(super) const PUT_BACK: &str =
    "UPDATE delivery SET state = 0 WHERE id IN (SELECT value FROM json_each(?1))";
pub(super) const NEXT_DUE: &str = "SELECT min(due) FROM delivery WHERE wire = ?1 AND state = 0 AND due > ?2";
pub(super) const WAITING: &str =
    "SELECT EXISTS (SELECT 1 FROM delivery WHERE wire = ?1 AND state = 0 AND due <= ?2)";
pub(super) const FROM_HORIZON: &str =
    "SELECT no AS event, natural, source, name, subject, at, lane, cause, form, record
     FROM event WHERE source = ?1 AND no > ?2 AND at >= ?3 ORDER BY no LIMIT 100";
/// `[id, event, wire, state, due]`; none for an event that this wire has already, or that was swept away meanwhile.
pub(super) const INSERT_MISSING: &str = "INSERT INTO delivery (id, event, wire, state, due)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1)
     WHERE NOT EXISTS (SELECT 1 FROM delivery d WHERE d.event = value ->> 1 AND d.wire = value ->> 2)
       AND EXISTS (SELECT 1 FROM event WHERE no = value ->> 1)";
pub(super) const HORIZON_REACHED: &str =
    "UPDATE wire SET horizon = 1 WHERE no IN (SELECT value FROM json_each(?1))";
pub(super) const REVIVE: &str =
    "UPDATE delivery SET state = 0, due = event - 4611686018427387904, attempts = 0, refusals = 0, cohort = NULL,
     not_before = 0, reason = NULL, redriven = redriven + 1 WHERE state = 3 AND id IN (SELECT value FROM json_each(?1))";
/// The wires of these deliveries.
pub(super) const WIRES_OF: &str =
    "SELECT DISTINCT w.id FROM json_each(?1) j JOIN delivery d ON d.id = j.value
     JOIN wire w ON w.no = d.wire";
pub(super) const BURY: &str = "DELETE FROM dead WHERE id IN (SELECT value FROM json_each(?1))";

/// The row of [`INSERT_EVENT`].
pub(super) fn row_of(number: EventNo, event: &Event) -> impl serde::Serialize + '_ {
    let whole = i64::from(event.record.form() == Form::Whole);
    (
        number.0,
        hex::encode(event.id.0),
        event.source.as_str(),
        &event.name,
        &event.subject,
        event.occurred_at.as_micros(),
        &event.lane,
        &event.cause,
        whole,
        event.record.text(),
    )
}

/// The event of a row that has its columns.
pub(crate) fn event_of(row: &SqliteRow) -> Event {
    let mut id = [0; 16];
    let natural: &[u8] = row.get("natural");
    id.iter_mut().zip(natural).for_each(|(to, from)| *to = *from);
    let (source, record): (String, String) = (row.get("source"), row.get("record"));
    Event {
        id: EventId(id),
        source: Arn::parse(&source).unwrap_or_else(|| Arn::bucket(&source)),
        name: row.get("name"),
        subject: row.get("subject"),
        occurred_at: Timestamp::from_micros(row.get("at")),
        lane: row.get("lane"),
        cause: row.get("cause"),
        record: if row.get::<i64, _>("form") == 1 { Record::whole(record) } else { Record::element(record) },
    }
}

pub(super) fn in_line_of(row: &SqliteRow, now: Timestamp) -> InLine {
    let delivery = Delivery {
        id: DeliveryId(row.get("id")),
        number: EventNo(row.get("event")),
        event: Arc::new(event_of(row)),
        attempts: row.get::<i64, _>("attempts") as u32,
        refusals: row.get::<i64, _>("refusals") as u32,
        cohort: row.get("cohort"),
        redriven: row.get::<i64, _>("redriven") as u32,
    };
    InLine { delivery, since: now, not_before: Timestamp::from_micros(row.get("not_before")) }
}
