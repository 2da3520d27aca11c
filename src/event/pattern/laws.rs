//! Laws of patterns over random patterns and events, with a slow and plain matcher to compare with.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Dialect, Pattern};

/// A value of an event, where it stands, and which element of which array it is in.
struct Field<'e> {
    path: String,
    value: &'e Value,
    within: Vec<(usize, usize)>,
}

/// All keys of one way to satisfy a pattern, and what each wants.
type Way = BTreeMap<String, Vec<Value>>;

/// The plain matcher: flattens the event, spells out every `$or`, and tries every choice of a field for every key.
fn plainly_matches(pattern: &Value, event: &Value) -> bool {
    let mut flattener = Flattener::default();
    flattener.add(event, "");
    ways(pattern, "", vec![Way::new()]).iter().any(|way| {
        let wants: Vec<_> = way.iter().collect();
        choose(&wants, &flattener.fields, &mut Vec::new(), &mut Vec::new())
    })
}

/// Takes an event apart into its fields.
#[derive(Default)]
struct Flattener<'e> {
    within: Vec<(usize, usize)>,
    arrays: usize,
    fields: Vec<Field<'e>>,
}

impl<'e> Flattener<'e> {
    fn add(&mut self, value: &'e Value, path: &str) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.add(value, &path);
                }
            }
            Value::Array(items) => {
                self.arrays += 1;
                let array = self.arrays;
                for (i, item) in items.iter().enumerate() {
                    // Only what has an inside of its own ties other keys to the element.
                    let ties = item.is_object() || item.is_array();
                    self.within.extend(ties.then_some((array, i)));
                    self.add(item, path);
                    if ties {
                        self.within.pop();
                    }
                }
            }
            value => self.fields.push(Field { path: path.to_owned(), value, within: self.within.clone() }),
        }
    }
}

fn ways(pattern: &Value, prefix: &str, mut ways_so_far: Vec<Way>) -> Vec<Way> {
    for (key, value) in pattern.as_object().into_iter().flatten() {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Array(branches) if key == "$or" => {
                let all = branches.iter().flat_map(|branch| ways(branch, prefix, ways_so_far.clone()));
                ways_so_far = all.collect();
            }
            Value::Array(wants) => {
                for way in &mut ways_so_far {
                    way.insert(path.clone(), wants.clone());
                }
            }
            nested => ways_so_far = ways(nested, &path, ways_so_far),
        }
    }
    ways_so_far
}

fn agree(a: &[(usize, usize)], b: &[(usize, usize)]) -> bool {
    a.iter().all(|(array, i)| b.iter().all(|(other, j)| array != other || i == j))
}

fn choose(
    wants: &[(&String, &Vec<Value>)],
    fields: &[Field],
    within: &mut Vec<(usize, usize)>,
    missing: &mut Vec<String>,
) -> bool {
    let Some(((path, any), rest)) = wants.split_first() else {
        return missing
            .iter()
            .all(|path| !fields.iter().any(|f| f.path == *path && agree(&f.within, within)));
    };
    for field in fields.iter().filter(|f| f.path == **path) {
        if agree(&field.within, within) && any.iter().any(|want| wanted(want, field.value)) {
            let before = within.len();
            within.extend(&field.within);
            if choose(rest, fields, within, missing) {
                return true;
            }
            within.truncate(before);
        }
    }
    if any.contains(&json!({"exists": false})) {
        missing.push((*path).clone());
        if choose(rest, fields, within, missing) {
            return true;
        }
        missing.pop();
    }
    false
}

fn wanted(want: &Value, value: &Value) -> bool {
    let Some((operator, operand)) = want.as_object().and_then(|o| o.iter().next()) else {
        return want == value || want.is_number() && want.as_f64() == value.as_f64();
    };
    let texts = operand.as_str().zip(value.as_str());
    match operator.as_str() {
        "exists" => operand == &json!(true),
        "prefix" => texts.is_some_and(|(o, v)| v.len() >= o.len() && v[..o.len()] == *o),
        "suffix" => texts.is_some_and(|(o, v)| v.len() >= o.len() && v[v.len() - o.len()..] == *o),
        "equals-ignore-case" => texts.is_some_and(|(o, v)| o.to_uppercase() == v.to_uppercase()),
        "wildcard" => texts.is_some_and(|(o, v)| fits(o.as_bytes(), v.as_bytes())),
        "anything-but" => match operand {
            Value::Object(_) => !wanted(operand, value),
            Value::Array(items) => !items.iter().any(|item| wanted(item, value)),
            one => !wanted(one, value),
        },
        _ => value.as_f64().is_some_and(|v| {
            let ends = operand.as_array().expect("the operand of numeric is an array");
            ends.chunks(2).all(|end| match (end[0].as_str(), end[1].as_f64()) {
                (Some("="), Some(bound)) => v == bound,
                (Some(">"), Some(bound)) => v > bound,
                (Some("<="), Some(bound)) => v <= bound,
                _ => false,
            })
        }),
    }
}

/// Wildcards by the book: a run takes nothing, or one byte and goes on.
fn fits(wildcard: &[u8], text: &[u8]) -> bool {
    match (wildcard.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), None) => fits(rest, text),
        (Some((b'*', rest)), Some((_, tail))) => fits(rest, text) || fits(wildcard, tail),
        (Some((wanted, rest)), Some((byte, tail))) => wanted == byte && fits(rest, tail),
        _ => false,
    }
}

fn object(members: Vec<(&'static str, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

fn events(keys: &'static [&'static str], arrays: bool) -> impl Strategy<Value = Value> {
    let scalars = json!([1, 1.0, 2, 2.5, "x", "xy", "X", "yx", "", null, true]);
    let scalar = proptest::sample::select(scalars.as_array().cloned().unwrap_or_default());
    let value = scalar.prop_recursive(5, 40, 4, move |inner| {
        let objects =
            proptest::collection::vec((proptest::sample::select(keys), inner.clone()), 0..4).prop_map(object);
        let lists = proptest::collection::vec(inner, 0..4).prop_map(Value::Array);
        if arrays { prop_oneof![1 => lists, 1 => objects].boxed() } else { objects.boxed() }
    });
    proptest::collection::vec((proptest::sample::select(keys), value), 0..4).prop_map(object)
}

fn patterns() -> impl Strategy<Value = Value> {
    let wants = json!([
        1, 2.0, "x", "X", null, true,
        {"exists": true}, {"exists": false}, {"exists": false},
        {"prefix": "x"}, {"suffix": "x"}, {"equals-ignore-case": "xY"}, {"wildcard": "*x*"}, {"wildcard": "x*y"},
        {"numeric": ["=", 1]}, {"numeric": [">", 1, "<=", 2]},
        {"anything-but": "x"}, {"anything-but": ["x", "xy"]}, {"anything-but": [1]}, {"anything-but": {"prefix": "x"}},
    ]);
    let want = proptest::sample::select(wants.as_array().cloned().unwrap_or_default());
    let leaf = proptest::collection::vec(want, 1..3).prop_map(Value::Array);
    let keys = proptest::sample::select(&["a", "b", "c", "a.b"]);
    let node = leaf.prop_recursive(3, 12, 3, move |inner| {
        proptest::collection::vec((keys.clone(), inner), 1..3).prop_map(object)
    });
    let keys = proptest::sample::select(&["a", "b", "c", "b.a"]);
    let plain = proptest::collection::vec((keys, node), 1..3).prop_map(object);
    let branches = proptest::collection::vec(plain.clone(), 2..4).prop_map(Value::Array);
    (plain, proptest::option::of(branches)).prop_map(|(mut pattern, branches)| {
        if let (Some(object), Some(branches)) = (pattern.as_object_mut(), branches) {
            object.insert("$or".to_owned(), branches);
        }
        pattern
    })
}

/// Whether a pattern wants both a value and an inside of one key. Within arrays of arrays the two are then
/// looked for each on its own, which the plain matcher does not do.
fn doubles(pattern: &Value) -> bool {
    let inside =
        |a: &String, b: &String| a.strip_prefix(b.as_str()).is_some_and(|rest| rest.starts_with('.'));
    ways(pattern, "", vec![Way::new()]).iter().any(|way| way.keys().any(|a| way.keys().any(|b| inside(a, b))))
}

fn read(pattern: &Value) -> Pattern {
    Pattern::parse(&pattern.to_string(), Dialect::EventBridge).expect("the pattern is valid")
}

fn explains_itself(pattern: &Pattern, event: &Value) -> bool {
    pattern.matches(event) == pattern.explain(event).iter().all(|check| check.held)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn it_matches_what_the_plain_matcher_matches(pattern in patterns(), event in events(&["a", "b", "c"], true)) {
        let told_apart = !doubles(&pattern);
        prop_assert!(!told_apart || read(&pattern).matches(&event) == plainly_matches(&pattern, &event));
    }

    #[test]
    fn dots_in_an_events_keys_are_nesting(
        pattern in patterns(),
        event in events(&["a", "b", "c", "a.b", "b.a", "a.a.b"], false),
    ) {
        prop_assert_eq!(read(&pattern).matches(&event), plainly_matches(&pattern, &event));
    }

    #[test]
    fn the_explanation_never_disagrees(pattern in patterns(), event in events(&["a", "b", "c", "a.b"], true)) {
        let pattern = read(&pattern);
        prop_assert!(explains_itself(&pattern, &event), "{:?}", pattern.explain(&event));
        prop_assert!(explains_itself(&pattern, &json!([event])));
    }

    #[test]
    fn no_text_makes_it_panic(pattern in patterns(), at in 0..200usize, patch in "[{}\\[\\]\",:a0.e\\\\u-]{0,3}") {
        let mut text: Vec<char> = pattern.to_string().chars().collect();
        let at = at.min(text.len());
        text.splice(at..(at + 1).min(text.len()), patch.chars());
        let text: String = text.into_iter().collect();
        for dialect in [Dialect::EventBridge, Dialect::SnsBody, Dialect::SnsAttributes] {
            if let Err(error) = Pattern::parse(&text, dialect) {
                prop_assert!(error.offset <= text.len());
            }
        }
        let json = serde_json::from_str::<Value>(&text).is_ok();
        prop_assert!(json || Pattern::parse(&text, Dialect::EventBridge).is_err(), "no JSON, but accepted: {}", text);
    }

    #[test]
    fn wildcards_fit_as_by_the_book(wildcard in "(\\*?[ab]{1,2}){0,4}\\*?", text in "[ab]{0,10}") {
        let pattern = read(&json!({"a": [{"wildcard": wildcard}]}));
        prop_assert_eq!(pattern.matches(&json!({"a": text})), fits(wildcard.as_bytes(), text.as_bytes()));
    }
}
