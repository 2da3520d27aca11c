//! The errors as we want users to see them, to the letter.

use super::{complaints, project};

/// The rendering with its trailing blanks cut, as documentation shows it.
fn check(text: &str, expected: &str) {
    let rendered = complaints(&project(), text).render(false);
    let rendered: Vec<&str> = rendered.lines().map(str::trim_end).collect();
    assert_eq!(rendered.join("\n"), expected.trim_matches('\n'), "\n{}", rendered.join("\n"));
}

#[test]
fn a_misspelt_setting() {
    check(
        r#"
[function.thumbnail]
runtime = "nodejs20.x"
handler = "index.handler"
timout  = "10s"
"#,
        r#"
error[W101]: function `thumbnail` has no setting called `timout`
 --> bad.toml:5:1
  |
5 | timout  = "10s"
  | ^^^^^^ did you mean `timeout`?
"#,
    );
}

#[test]
fn a_misspelt_bucket() {
    check(
        r#"
[function.thumbnail]
runtime = "nodejs20.x"
handler = "index.handler"
on      = "s3:upload/incoming/*.png"




[bucket.uploads]
"#,
        r#"
error[W201]: no bucket called `upload`
  --> bad.toml:5:15
   |
 5 | on      = "s3:upload/incoming/*.png"
   |               ^^^^^^ did you mean `uploads`?
...
10 | [bucket.uploads]
   | ---------------- `uploads` is declared here
"#,
    );
}

#[test]
fn two_wires_that_overlap() {
    check(
        r#"
[function.f]
exec = "sh x.sh"
on  = ["s3:uploads/incoming/*.jpg", "s3:uploads/incoming/"]
"#,
        r#"
error[W204]: two wires of one bucket overlap
 --> bad.toml:4:37
  |
4 | on  = ["s3:uploads/incoming/*.jpg", "s3:uploads/incoming/"]
  |        ---------------------------  ^^^^^^^^^^^^^^^^^^^^^^ matches the same keys
  |        |
  |        and this one
  |
  = note: Amazon S3 refuses overlapping prefixes for one event type, so this would fail when deployed
  = help: narrow one of them, or set `overlap = "allow"` in `[bucket.uploads]` to try it here only
"#,
    );
}

#[test]
fn two_ways_to_start() {
    check(
        r#"
[function.report]
run     = "./report"
handler = "app.handler"
"#,
        r#"
error[W103]: function `report` says two ways to start it
 --> bad.toml:4:1
  |
3 | run     = "./report"
  | --- `run` here
4 | handler = "app.handler"
  | ^^^^^^^ and `handler` here
  |
  = help: keep one of `handler`, `run`, `exec`, `url`, `attach`, and `builtin`
"#,
    );
}

#[test]
fn a_schedule_has_to_wait_for_a_later_version() {
    check(
        "[schedule.nightly]\ncron = \"0 2 * * *\"\n",
        r#"
error[W902]: dropwire 0.1 has no schedules yet
 --> bad.toml:1:2
  |
1 | [schedule.nightly]
  |  ^^^^^^^^ not supported by this version
"#,
    );
}

#[test]
fn a_dead_letter_queue_that_nobody_declares() {
    check(
        r#"
[function.f.wire.paid]
topic = "orders"
dlq = "queue:f-dead"
[function.f]
exec = "sh x.sh"
"#,
        r#"
error[W206]: no queue called `f-dead`
 --> bad.toml:4:14
  |
4 | dlq = "queue:f-dead"
  |              ^^^^^^ not declared
  |
  = help: add a line that declares it: `[queue.f-dead]`
"#,
    );
}

#[test]
fn a_program_that_is_not_built_yet() {
    let text = "[function.pay]\nrun = \"target/debug/pay\"\n";
    let complaints = complaints(&project(), text);
    let rendered = complaints.to_string();
    assert!(rendered.contains("not built yet; `cargo build --bin pay`?"), "{rendered}");
    assert!(rendered.contains("or let dropwire build it: `build = \"cargo build --bin pay\"`"), "{rendered}");
}

#[test]
fn all_complaints_at_once_in_the_order_of_the_file() {
    let text = r#"
[function.thumbnail]
runtime = "nodejs20.x"
handler = "index.handler"
on      = "s3:upload/incoming/*.png"
timout  = "10s"

[function.f]
exec = "sh x.sh"
on  = ["s3:uploads/incoming/*.jpg", "s3:uploads/incoming/"]

[function.report]
run     = "./report"
handler = "app.handler"

[bucket.uploads]

[schedule.nightly]
cron = "0 2 * * *"
"#;
    let complaints = complaints(&project(), text);
    let places: Vec<_> = complaints.list().iter().map(|one| (one.code, one.line, one.column)).collect();
    let expected = [("W201", 5, 15), ("W101", 6, 1), ("W204", 10, 37), ("W103", 14, 1), ("W902", 18, 2)];
    assert_eq!(places, expected);
    let summary = "bad.toml: 5 errors. Nothing was started. `dropwire explain W201` tells more.";
    assert_eq!(complaints.summary(), summary);
    assert!(complaints.render(true).contains("\u{1b}["), "colours on request");
    assert!(!complaints.render(false).contains("\u{1b}["), "and none without");
}
