//! Runs every recorded case of the event-ruler tests.

use serde_json::Value;

use super::{Dialect, Pattern};

const RECORDED: &str = include_str!("cases/event-ruler-cases.jsonl");

/// Cases we answer differently on purpose: the line (from 1), its source, and why.
const DIFFERENT: [(usize, &str, &str); 0] = [];

#[test]
fn every_recorded_case_is_answered_as_recorded() {
    let mut wrong = Vec::new();
    for (i, line) in RECORDED.lines().enumerate() {
        let case: Value = serde_json::from_str(line).expect("a case is JSON");
        let word = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
        if answer(&word("pattern"), &word("event"), &word("expect")) != word("expect") {
            wrong.push((i + 1, word("src"), word("pattern"), word("event"), word("expect")));
        }
    }
    assert_eq!(RECORDED.lines().count(), 1546);
    for (line, source, pattern, event, expect) in &wrong {
        let known = DIFFERENT.iter().any(|(l, s, _)| l == line && s == source);
        assert!(known, "line {line}, {source}: not {expect}\n{pattern}\n{event}");
    }
    assert_eq!(wrong.len(), DIFFERENT.len(), "a case listed as different is answered as recorded");
}

/// Our answer in the words of the record.
fn answer(pattern: &str, event: &str, expected: &str) -> &'static str {
    let Ok(pattern) = Pattern::parse(pattern, Dialect::EventBridge) else {
        return "error";
    };
    if expected == "valid" {
        return "valid";
    }
    let event = serde_json::from_str(event).expect("the event is JSON");
    if pattern.matches(&event) { "true" } else { "false" }
}
