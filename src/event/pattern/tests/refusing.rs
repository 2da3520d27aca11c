//! Which patterns are refused, with which words and at which place.

use super::super::Dialect::{EventBridge, SnsAttributes, SnsBody};
use super::super::{Dialect, Pattern};
use super::read;

/// The complaint about a pattern, and the text that stands where it was noticed.
fn check_refused(dialect: Dialect, pattern: &str, reason: &str, place: &str) {
    let error = Pattern::parse(pattern, dialect).expect_err(pattern);
    assert_eq!(error.reason, reason, "{pattern}");
    assert_eq!(error.to_string(), reason);
    assert!(pattern[error.offset..].starts_with(place), "{pattern}: at {}", &pattern[error.offset..]);
}

fn check_accepted(dialect: Dialect, pattern: &str) {
    assert_eq!(read(pattern, dialect).text(), pattern);
}

#[test]
fn patterns_of_the_wrong_shape() {
    let check = |pattern, reason, place| check_refused(EventBridge, pattern, reason, place);
    check("[]", "Filter is not an object", "[");
    check("{}", "Empty objects are not allowed", "{}");
    check(r#"{"a":{}}"#, "Empty objects are not allowed", "{}");
    check(r#"{"a":[]}"#, "Empty arrays are not allowed", "]");
    check(r#"{"a":"x"}"#, r#""a" must be an object or an array"#, r#""x""#);
    check(r#"{"a":[[1]]}"#, "Match value must be String, number, true, false, or null", "[1]");
    check(r#"{"a":[{}]}"#, "Match expression name not found", "{}");
    check(r#"{"a":[{"EXISTS":true}]}"#, "Unrecognized match type EXISTS", r#""EXISTS""#);
    check(r#"{"a":[{"prefix":"a","x":1}]}"#, "Only one key allowed in match expression", r#""x""#);
    check(r#"{"$or":[{"a":[1]}]}"#, "Unrecognized match type a", r#""a""#);
    let long = format!(r#"{{"a":["{}"]}}"#, "x".repeat(4096));
    check(&long, "Member must have length less than or equal to 4096", "xx");
}

#[test]
fn operators_with_the_wrong_operand() {
    let check = |expression: &str, reason, place| {
        check_refused(EventBridge, &format!(r#"{{"a":[{{{expression}}}]}}"#), reason, place);
    };
    check(r#""prefix":1"#, "prefix match pattern must be a string", "1");
    check(r#""suffix":[1]"#, "suffix match pattern must be a string", "[");
    check(r#""equals-ignore-case":1"#, "equals-ignore-case match pattern must be a string", "1");
    check(r#""wildcard":1"#, "wildcard match pattern must be a string", "1");
    check(r#""wildcard":"abc**d""#, "Consecutive wildcard characters at pos 4", r#""abc"#);
    check(r#""wildcard":"a*c\\d""#, "Invalid escape character at pos 4", r#""a*c"#);
    check(r#""exists":"x""#, "exists match pattern must be either true or false.", r#""x""#);
    check(r#""cidr":1"#, "prefix match pattern must be a string", "1");
    check(r#""cidr":"10.0.0.1""#, "Malformed CIDR, one '/' required", r#""10"#);
    check(r#""cidr":"10.0.0.1/x""#, "Malformed CIDR, mask bits must be an integer", r#""10"#);
    check(r#""cidr":"10.0.0/8""#, "Nonstandard IP address: 10.0.0", r#""10"#);
    let complex = "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a wildcard character";
    check(r#""wildcard":"*:*:*:*:*:event-bus/*""#, complex, r#""*:"#);
}

#[test]
fn things_that_cannot_be_left_out() {
    let check = |operand: &str, reason, place| {
        check_refused(EventBridge, &format!(r#"{{"a":[{{"anything-but":{operand}}}]}}"#), reason, place);
    };
    check("null", "Value of anything-but must be an array or single string/number value.", "null");
    check("[null]", "Inside anything but list, start|null|boolean is not supported.", "null");
    let mixed =
        "Inside anything but list, either all values are number or string, mixed type is not supported";
    check(r#"["x",1]"#, mixed, "[\"x");
    check(r#"{"numeric":1}"#, "Unsupported anything-but pattern: numeric", r#""numeric"#);
    check(r#"{"prefix":1}"#, "prefix/suffix match pattern must be a string", "1");
    check(r#"{"suffix":""}"#, "Null prefix/suffix not allowed", r#""""#);
    let list = "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.";
    check(r#"{"equals-ignore-case":[1]}"#, list, "1");
}

#[test]
fn impossible_ranges() {
    let check = |range: &str, reason, place| {
        check_refused(EventBridge, &format!(r#"{{"a":[{{"numeric":{range}}}]}}"#), reason, place);
    };
    check("5", "Value of numeric must be an array.", "5");
    check("[]", "Invalid member in numeric match: ]", "]");
    check("[5]", "Invalid member in numeric match: 5", "5");
    check(r#"["=="]"#, "Unrecognized numeric range operator: ==", r#""==""#);
    check(r#"["="]"#, "Value of equals must be numeric", "]");
    check(r#"["<","5"]"#, "Value of < must be numeric", r#""5""#);
    check(r#"["=",1,2]"#, "Too many elements in numeric expression", "2");
    check(r#"[">",1,2]"#, "Bad value in numeric range: 2", "2");
    check(r#"[">",1,">",2]"#, "Bad numeric range operator: >", r#"">",2"#);
    check(r#"[">",1,"<",2,3]"#, "Too many terms in numeric range expression", "3");
    check(r#"[">=",2,"<=",2]"#, "Bottom must be less than top", "2]");
    check(r#"["=",1e309]"#, "Value of equals is outside the range of numbers: 1e309", "1e309");
}

#[test]
fn text_that_is_no_json() {
    let check = |pattern, reason, place| check_refused(EventBridge, pattern, reason, place);
    let token = "Unrecognized token 'this': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
    check("this is no JSON", token, "this");
    let comma = "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries";
    check(r#"{"a":[1 2]}"#, comma, "2]");
    let colon =
        "Unexpected character ('[' (code 91)): was expecting a colon to separate field name and value";
    check(r#"{"a" [1]}"#, colon, "[");
    let quote = "Unexpected character ('a' (code 97)): was expecting double-quote to start field name";
    check("{a:1}", quote, "a");
    check(r#"{"a":[1]"#, "Unexpected end-of-input: expected close marker for Object", "");
    check(r#"{"a":["é\d"]}"#, "Unrecognized character escape 'd' (code 100)", r"\d");
    check(r#"{"a":[01]}"#, "Invalid numeric value: Leading zeroes not allowed", "01");
    check(&"[".repeat(2000), "Pattern is nested more than 100 levels deep", "[");
}

#[test]
fn sns_speaks_a_smaller_language() {
    let check = check_refused;
    let nested = "Filter policy scope MessageAttributes does not support nested filter policy";
    check(SnsAttributes, r#"{"a":{"b":[1]}}"#, nested, r#"{"b""#);
    let suffix = "Unsupported anything-but pattern: suffix";
    check(SnsBody, r#"{"a":[{"anything-but":{"suffix":"x"}}]}"#, suffix, r#""suffix"#);
    let prefix = "prefix match pattern must be a string";
    check(SnsBody, r#"{"a":[{"anything-but":{"prefix":1}}]}"#, prefix, "1");
    check(SnsBody, r#"{"a":[{"prefix":{"equals-ignore-case":"x"}}]}"#, prefix, "{");
    check(SnsBody, r#"{"a":[{"wildcard":"x"}]}"#, "Unrecognized match type wildcard", r#""wildcard"#);
    let range = "Value must be between -1.0E9 and 1.0E9, inclusive";
    check(SnsBody, r#"{"a":[{"numeric":["<",1e10]}]}"#, range, "1e10");
    let token = "failed to parse JSON. Unrecognized token 'x': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
    check(SnsBody, "x", token, "x");
}

#[test]
fn sns_accepts_what_it_knows() {
    check_accepted(SnsBody, r#"{"a":{"b":[1]}}"#);
    check_accepted(SnsAttributes, r#"{"$or":[{"a":[1]},{"b":[1]}]}"#);
    check_accepted(SnsAttributes, "{}");
    check_accepted(SnsAttributes, r#"{"a":[{"anything-but":["x",1]}]}"#);
    check_accepted(SnsAttributes, r#"{"a":[{"anything-but":{"prefix":"x"}}]}"#);
}

#[test]
fn too_many_keys_and_combinations() {
    let keys = |n| (0..n).map(|i| format!(r#""k{i}":[1]"#)).collect::<Vec<_>>().join(",");
    check_accepted(SnsBody, &format!("{{{}}}", keys(5)));
    check_refused(
        SnsBody,
        &format!("{{{}}}", keys(6)),
        "Filter policy can not have more than 5 keys",
        r#""k5""#,
    );
    let values = |n: usize| vec!["1"; n].join(",");
    let complex = "Filter policy is too complex";
    check_accepted(SnsBody, &format!(r#"{{"a":[{}]}}"#, values(150)));
    check_refused(SnsBody, &format!(r#"{{"a":[{}]}}"#, values(151)), complex, "{");
    check_refused(SnsBody, &format!(r#"{{"a":{{"b":[{}]}}}}"#, values(76)), complex, "{");
    let or = |n| format!(r#"{{"$or":[{{"a":[{}]}},{{"b":[{}]}}]}}"#, values(n), values(75));
    check_accepted(SnsBody, &or(75));
    check_refused(SnsBody, &or(76), complex, "{");
    let branches = format!("[{}]", vec![r#"{"a":[1]}"#; 32].join(","));
    let wide = format!(r#"{{"$or":{branches},"x":{{"$or":{branches}}}}}"#);
    check_refused(EventBridge, &wide, "Event pattern has more than 1000 combinations", "{");
}
