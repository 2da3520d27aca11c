//! What patterns let through.

use serde_json::{Value, json};

use super::super::Dialect::EventBridge;
use super::read;

/// The values that a pattern for one key lets through and those it does not.
fn check_key(wants: &str, yes: Value, no: Value) {
    let pattern = read(&format!(r#"{{"k":{wants}}}"#), EventBridge);
    for (values, expected) in [(yes, true), (no, false)] {
        for value in values.as_array().expect("a list of values") {
            assert_eq!(pattern.matches(&json!({"k": value})), expected, "{wants} against {value}");
        }
    }
}

fn check_event(pattern: &str, event: Value, expected: bool) {
    assert_eq!(read(pattern, EventBridge).matches(&event), expected, "{pattern} against {event}");
}

#[test]
fn plain_values_match_their_like() {
    check_key(r#"["a"]"#, json!(["a", ["b", "a"], [["a"]]]), json!(["A", "ab", 1, null, [], {"a": 1}]));
    check_key("[true, null]", json!([true, null]), json!([false, "true", "null", "", 0, []]));
    check_key(r#"["\u00e9\n\"\\\/\ud83d\ude00"]"#, json!(["é\n\"\\/😀"]), json!(["é"]));
}

#[test]
fn numbers_match_whatever_their_notation() {
    check_key("[300]", json!([300, 300.0, 3e2]), json!([301, "300", 300.000001]));
    check_key("[3.0e2]", json!([300, 300.0]), json!([30]));
    check_key("[-0]", json!([0, -0.0]), json!(["0"]));
    check_key("[9007199254740993]", json!([9_007_199_254_740_993_u64]), json!([9_007_199_254_740_992_u64]));
    check_key("[18446744073709551615]", json!([u64::MAX]), json!([u64::MAX - 1]));
    check_key("[0.1]", json!([0.1, 1e-1]), json!([0.100001]));
    check_key("[1e300]", json!([1e300]), json!([1e299]));
}

#[test]
fn ranges_have_ends_that_belong_to_them_or_not() {
    check_key(r#"[{"numeric":[">",0,"<=",5]}]"#, json!([0.1, 5, 5.0]), json!([0, 5.1, -1, "3", null]));
    check_key(r#"[{"numeric":["=",3.018e2]}]"#, json!([301.8]), json!([301]));
    check_key(r#"[{"numeric":["<",1e300]}]"#, json!([u64::MAX, -1e301, 0.5]), json!([1e300, 1e301]));
    check_key(r#"[{"numeric":[">=",1.5]}]"#, json!([2, 1.5]), json!([1, -2]));
    check_key(r#"[{"numeric":[">=",-1.5]}]"#, json!([-1, -1.5]), json!([-2, -1e39]));
}

#[test]
fn text_is_matched_by_its_ends_and_in_any_case() {
    check_key(r#"[{"prefix":"ab"}]"#, json!(["ab", "abc"]), json!(["a", "Ab", 1]));
    check_key(r#"[{"suffix":".png"}]"#, json!(["a.png"]), json!(["a.PNG", "png"]));
    check_key(r#"[{"prefix":""}]"#, json!(["", "a"]), json!([1, null]));
    check_key(r#"[{"equals-ignore-case":"STRASSE é"}]"#, json!(["strasse É"]), json!(["strasse e"]));
    check_key(r#"[{"prefix":{"equals-ignore-case":"aB"}}]"#, json!(["Abc", "ab"]), json!(["a", "cab"]));
    check_key(r#"[{"suffix":{"equals-ignore-case":"é.PNG"}}]"#, json!(["CAFÉ.png"]), json!([".png"]));
}

#[test]
fn wildcards_stand_for_any_run() {
    check_key(r#"[{"wildcard":"a*b*"}]"#, json!(["ab", "axxbyy", "aab"]), json!(["a", "ba", "xab"]));
    check_key(r#"[{"wildcard":"\\**\\\\"}]"#, json!(["*\\", "*b\\"]), json!(["a\\", "*b"]));
    check_key(r#"[{"wildcard":""}]"#, json!([""]), json!(["a"]));
    let long = "a".repeat(100_000);
    check_key(r#"[{"wildcard":"*a*a*a*b"}]"#, json!([format!("{long}b")]), json!([long]));
}

#[test]
fn addresses_are_the_same_in_any_notation() {
    check_key(r#"["::a"]"#, json!(["::a", "0:0:0:0:0:0:0:000A"]), json!(["::b", "a"]));
    check_key(
        r#"[{"cidr":"10.0.0.7/24"}]"#,
        json!(["10.0.0.0", "10.0.0.255"]),
        json!(["10.0.1.0", "::a", "x", 1]),
    );
    check_key(r#"[{"cidr":"10.0.0.1/32"}]"#, json!(["10.0.0.1"]), json!(["10.0.0.2"]));
    check_key(r#"[{"cidr":"0.0.0.0/0"}]"#, json!(["255.1.2.3"]), json!(["::1"]));
    check_key(r#"[{"cidr":"2001:db8::/32"}]"#, json!(["2001:DB8:1::"]), json!(["2001:db9::"]));
    check_key(r#"[{"cidr":"::/0"}]"#, json!(["ffff::1"]), json!(["1.2.3.4"]));
}

#[test]
fn anything_but_wants_a_value() {
    check_key(
        r#"[{"anything-but":"a"}]"#,
        json!(["b", 1, null, ["a", "b"]]),
        json!(["a", ["a"], [], {"x": 1}]),
    );
    check_key(r#"[{"anything-but":[1,2]}]"#, json!([3, "1"]), json!([1, 2.0]));
    check_key(r#"[{"anything-but":{"prefix":["a","b"]}}]"#, json!(["c", 1]), json!(["ax", "bx"]));
    check_key(r#"[{"anything-but":{"suffix":"a"}}]"#, json!(["ab"]), json!(["ba"]));
    check_key(r#"[{"anything-but":{"wildcard":"*a*"}}]"#, json!(["b", null]), json!(["bab"]));
    check_key(r#"[{"anything-but":{"equals-ignore-case":["A"]}}]"#, json!(["b"]), json!(["a"]));
    check_event(r#"{"k":[{"anything-but":"a"}]}"#, json!({}), false);
}

#[test]
fn existence_is_that_of_a_value_not_of_an_object() {
    check_key(r#"[{"exists":true}]"#, json!([1, null, "", [1]]), json!([{"a": 1}, [], [[]], {}]));
    check_key(r#"[{"exists":false}]"#, json!([{"a": 1}, [], {}]), json!([1, null, "", [1]]));
    check_event(r#"{"a":{"b":[{"exists":false}]}}"#, json!({"a": [{"b": 1}, {"c": 1}]}), false);
    check_event(r#"{"a":{"b":[{"exists":false}],"c":[1]}}"#, json!({"a": [{"b": 1}, {"c": 1}]}), true);
    check_event(r#"{"a":[{"exists":false}]}"#, json!([]), false);
}

#[test]
fn keys_of_one_object_are_met_by_one_element() {
    let event = json!({"a": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]});
    check_event(r#"{"a":{"x":[1],"y":[2]}}"#, event.clone(), true);
    check_event(r#"{"a":{"x":[1],"y":[4]}}"#, event.clone(), false);
    check_event(r#"{"a.x":[1],"a.y":[4]}"#, event.clone(), false);
    check_event(r#"{"a":{"x":[1]},"$or":[{"a":{"y":[4]}},{"b":[1]}]}"#, event.clone(), false);
    check_event(r#"{"a":{"x":[1]},"$or":[{"a":{"y":[2]}},{"b":[1]}]}"#, event, true);
}

#[test]
fn dots_are_nesting_on_both_sides() {
    check_event(r#"{"a":{"b":[1]}}"#, json!({"a.b": 1}), true);
    check_event(r#"{"a.b":[1]}"#, json!({"a": {"b": 1}}), true);
    check_event(r#"{"a":{"b":{"c":[1]}}}"#, json!({"a.b": {"c": 1}}), true);
    check_event(r#"{"a":{"b":[1],"c":[2]}}"#, json!({"a.b": 1, "a": [{"c": 2}]}), true);
    check_event(r#"{"a":{"b":[1]}}"#, json!({"ab": 1, "a.bc": 1, "a": {"c": 1}}), false);
}

#[test]
fn dotted_keys_beside_an_array_leave_its_elements_whole() {
    let event = json!({"a": [{"x": 1, "y": 2}, {"x": 3, "y": 4}], "a.z": 5});
    check_event(r#"{"a":{"x":[1],"y":[2],"z":[5]}}"#, event.clone(), true);
    check_event(r#"{"a":{"x":[1],"y":[4],"z":[5]}}"#, event, false);
}

#[test]
fn the_last_of_two_equal_keys_counts() {
    check_event(r#"{"a":["x"],"a":["y"]}"#, json!({"a": "x"}), false);
    check_event(r#"{"a":["x"],"a":["y"]}"#, json!({"a": "y"}), true);
    check_event(r#"{"a":["x"],"$or":[{"a":["y"]},{"b":["z"]}]}"#, json!({"a": "y"}), true);
}

#[test]
fn an_or_that_is_none_is_a_key() {
    check_event(r#"{"$or":["x"]}"#, json!({"$or": "x"}), true);
    check_event(r#"{"$or":[{"prefix":"x"},{"prefix":"y"}]}"#, json!({"$or": "yy"}), true);
    check_event(r#"{"$or":{"a":["x"]}}"#, json!({"$or": {"a": "x"}}), true);
}

#[test]
fn deep_events_do_no_harm() {
    let mut event = json!(1);
    for _ in 0..600 {
        event = Value::Array(vec![event]);
    }
    let event = json!({"a": event});
    check_event(r#"{"a":[1]}"#, event.clone(), false);
    check_event(r#"{"a":{"b":[1]}}"#, event.clone(), false);
    assert!(!read(r#"{"a":[1]}"#, EventBridge).explain(&event)[0].held);
}
