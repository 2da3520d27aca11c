//! What each moment looks like, in each look.

use super::samples::{emitted, failed, started, succeeded, told, unwanted};
use super::*;

fn check(columns: usize, moments: &[Moment], expected: &[&str]) {
    let page = Page { look: Look::Pretty, columns: Some(columns) };
    let mut story = Story::new(page, Detail::Chain);
    let text: String = moments.iter().map(|moment| story.tell(&told(moment.clone()))).collect();
    let shown = anstream::adapter::strip_str(&text).to_string();
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
}

fn check_plain(detail: Detail, moment: Moment, expected: &str) {
    let page = Page { look: Look::Plain, columns: None };
    assert_eq!(Story::new(page, detail).tell(&told(moment)), expected);
}

#[test]
fn an_event_and_what_it_causes_are_indented() {
    check(
        90,
        &[
            emitted("e7k2", None),
            started("e7k2.1", "thumbnail"),
            succeeded("e7k2.1"),
            unwanted("e7k3", Some("e7k2.1")),
            failed("e7k3.1"),
        ],
        &[
            "00:00:01.402  s3     uploads/incoming/cat.png  ObjectCreated:Put  47.1 kB             e7k2",
            "00:00:01.402  └─ ✓   thumbnail  212 ms (start 94 ms)                                e7k2.1",
            "00:00:01.402     └─  s3  uploads/incoming/cat.png  ObjectCreated:Put  47.1 kB         e7k3",
            "                     no wire wants it: prefix is `thumbs/`",
            "00:00:01.402        └─ ✗   notify  try 1/4  exit 1: Timeout   next try in 1 s       e7k3.1",
        ],
    );
}

#[test]
fn narrow_screens_lose_the_ids_first_and_then_the_subjects_end() {
    check(71, &[succeeded("e7k2.1")], &["00:00:01.402  └─ ✓   thumbnail  212 ms (start 94 ms)"]);
    check(60, &[emitted("e7k2", None)], &["00:00:01.402  s3     uploads/in…  ObjectCreated:Put  47.1 kB"]);
}

#[test]
fn a_failed_attempt_shows_its_last_lines() {
    let line =
        |text: &str| Moment::Line { id: Some("e7k2.1".into()), function: "notify".into(), text: text.into() };
    let mut moments = vec![started("e7k2.1", "notify")];
    moments.extend(["1", "2", "3", "4", "5", "6\u{1b}[2J"].map(line));
    moments.push(failed("e7k2.1"));
    check(
        60,
        &moments,
        &[
            "00:00:01.402  └─ ✗   notify  try 1/4  exit 1:…   next try in 1 s",
            "                     │ 2",
            "                     │ 3",
            "                     │ 4",
            "                     │ 5",
            "                     │ 6 [2J",
        ],
    );
}

#[test]
fn plain_lines_are_facts_with_their_cause() {
    check_plain(
        Detail::Chain,
        emitted("e7k3", Some("e7k2.1")),
        "1970-01-01T00:00:01.402Z emitted id=e7k3 cause=e7k2.1 source=s3 name=uploads \
         event=ObjectCreated:Put subject=incoming/cat.png size=47104 wanted_by=thumbnail\n",
    );
    check_plain(
        Detail::Failures,
        failed("e7k3.1"),
        "1970-01-01T00:00:01.402Z ended id=e7k3.1 function=notify wire=notify/paid attempt=1 attempts_max=4 \
         ok=false duration_ms=12.0 error=\"exit 1: Timeout\" retry_at=1970-01-01T00:00:02.402Z cause=e7k3\n",
    );
    check_plain(Detail::Failures, succeeded("e7k3.1"), "");
}

#[test]
fn json_lines_carry_version_number_times_kind_id_and_cause() {
    let page = Page { look: Look::Json, columns: None };
    let text = Story::new(page, Detail::Chain).tell(&told(succeeded("e7k3.1")));
    let line: serde_json::Value = serde_json::from_str(&text).expect("each line is JSON");
    for key in ["v", "seq", "at", "wall", "kind", "id", "cause"] {
        assert!(line.get(key).is_some(), "{key} is missing in {text}");
    }
}

#[test]
fn functions_of_one_event_share_attempt_ids_but_not_lines() {
    let line = Moment::Line { id: Some("e7k2.1".into()), function: "thumbnail".into(), text: "mine".into() };
    check(
        60,
        &[started("e7k2.1", "thumbnail"), line, failed("e7k2.1")],
        &["00:00:01.402  └─ ✗   notify  try 1/4  exit 1:…   next try in 1 s"],
    );
}
