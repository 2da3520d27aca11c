//! What patterns accept, refuse and say, one story each.

use serde_json::{Value, json};

use super::Dialect::{EventBridge, SnsAttributes};
use super::{Check, Dialect, Pattern};

mod matching;
mod refusing;

fn read(pattern: &str, dialect: Dialect) -> Pattern {
    Pattern::parse(pattern, dialect).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

fn check_attributes(policy: &str, attributes: Value, expected: bool) {
    let policy = read(policy, SnsAttributes);
    assert_eq!(policy.matches_attributes(&attributes), expected, "{} against {attributes}", policy.text());
    let checks = policy.explain_attributes(&attributes);
    assert_eq!(checks.iter().all(|check| check.held), expected, "{checks:?}");
}

/// Each check as `path: says`, with a dash before those that failed.
fn check_explained(pattern: &str, event: Value, expected: &[&str]) {
    let checks = read(pattern, EventBridge).explain(&event);
    let line = |check: Check| format!("{}{} {}", if check.held { "" } else { "- " }, check.path, check.says);
    assert_eq!(checks.into_iter().map(line).collect::<Vec<_>>(), expected);
}

#[test]
fn attributes_are_compared_by_their_type() {
    let text = |kind: &str, value: &str| json!({"a": {"Type": kind, "Value": value}});
    check_attributes(r#"{"a":["x"]}"#, text("String", "x"), true);
    check_attributes(r#"{"a":["x"]}"#, text("String.custom", "x"), true);
    check_attributes(r#"{"a":["x"]}"#, text("Binary", "x"), false);
    check_attributes(r#"{"a":[{"exists":false}]}"#, text("Binary", "x"), true);
    check_attributes(r#"{"a":[100]}"#, text("Number", "1e2"), true);
    check_attributes(r#"{"a":[100]}"#, text("Number.int", "+0100.0"), true);
    check_attributes(r#"{"a":[100]}"#, text("String", "100"), false);
    check_attributes(r#"{"a":["100"]}"#, text("Number", "100"), false);
    check_attributes(r#"{"a":[{"numeric":[">",1,"<",2]}]}"#, text("Number", "1.5"), true);
    check_attributes(r#"{"a":["y"]}"#, text("String.Array", r#"["x","y"]"#), true);
    check_attributes(r#"{"a":[{"anything-but":"x"}]}"#, text("String.Array", r#"["x"]"#), false);
    check_attributes(r#"{"a":["x"]}"#, text("String.Array", "no array"), false);
    check_attributes(r#"{"a.b":["x"]}"#, json!({"a.b": {"Type": "String", "Value": "x"}}), true);
    check_attributes("{}", json!({}), true);
}

#[test]
fn an_explanation_names_what_is_and_what_is_wanted() {
    let pattern = r#"{"status": [ "paid" ], "order": {"total": [{"numeric": [">", 5]}]}}"#;
    let wants = r#"wants [{"numeric":[">",5]}]"#;
    check_explained(
        pattern,
        json!({"status": "new"}),
        &[r#"- status is "new", wants ["paid"]"#, &format!("- order.total is missing, {wants}")],
    );
    check_explained(
        pattern,
        json!({"status": "paid", "order": [{"total": 1}, {"total": 7}]}),
        &[r#"status is "paid", wants ["paid"]"#, &format!("order.total is [1,7], {wants}")],
    );
    check_explained(
        pattern,
        json!({"status": "new", "order": {"total": 7}}),
        &[r#"- status is "new", wants ["paid"]"#, &format!("order.total is 7, {wants}")],
    );
    check_explained(r#"{"a":[1]}"#, json!({"a": {"b": 1}}), &["- a is an object, wants [1]"]);
    check_explained(r#"{"a":[1]}"#, json!({"a": []}), &["- a is [], wants [1]"]);
    check_explained(
        r#"{"a":[1]}"#,
        json!({"a": [2, 3, 4, 5, 6, 7, 8]}),
        &["- a is [2,3,4,5,6,… 2 more], wants [1]"],
    );
    check_explained(r#"{"a":["\\\" x"]}"#, json!({}), &[r#"- a is missing, wants ["\\\" x"]"#]);
}

#[test]
fn an_explanation_tells_elements_apart() {
    check_explained(
        r#"{"a":{"x":[1],"y":[4]}}"#,
        json!({"a": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}),
        &[
            "a.x is [1,3], wants [1]",
            "- a.y is [2,4], wants [4], but not in the array element that meets the rules before",
        ],
    );
}

#[test]
fn an_explanation_tells_alternatives_apart() {
    let either = r#"{"d":{"$or":[{"a":[1]},{"b":[2]}]}}"#;
    check_explained(either, json!({"d": {"b": 2}}), &["d.$or is met by alternative 2 of 2"]);
    let neither = "- d.$or is met by none of 2 alternatives: d.a is 3, wants [1]; d.b is missing, wants [2]";
    check_explained(either, json!({"d": {"a": 3}}), &[neither]);
    check_explained(
        r#"{"a":[1],"$or":[{"a":[2]},{"b":[2]}]}"#,
        json!({"a": 2}),
        &[
            "a is 2, wants [1], which an alternative for the same key overrules",
            "$or is met by alternative 1 of 2",
        ],
    );
}

#[test]
fn an_explanation_of_an_empty_policy_wants_an_object() {
    let checks = read("{}", super::Dialect::SnsBody).explain(&json!("text"));
    assert_eq!(checks, [Check { path: String::new(), held: false, says: "is not an object".to_owned() }]);
}
