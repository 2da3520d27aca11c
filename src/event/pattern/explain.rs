//! Says in words which rules of a pattern an event meets and which not. Pure.

use serde_json::Value;

use super::rules::{Leaf, Rule, Rules};
use super::tree::Tree;
use super::{Check, any_holds};

/// At most this many values are spelled out where an event has many for one key.
const SHOWN: usize = 5;
/// A value is cut after this many characters.
const LONG: usize = 80;
/// Arrays nested deeper than this are not looked into.
const MAX_NESTING: usize = 256;

/// One check a rule. All of them hold exactly when the pattern matches: a rule that could be met on its own, but
/// not together with those before it, does not hold.
pub(super) fn checks(rules: &Rules, event: &Value, matched: bool) -> Vec<Check> {
    let mut met: Vec<Rule> = Vec::new();
    let mut checks = Vec::new();
    for rule in &rules.rules {
        let held = matched || {
            met.push(rule.clone());
            let held = holds(rules, &met, event);
            if !held {
                met.pop();
            }
            held
        };
        let mut check = describe(rules, rule, event);
        if check.held && !held {
            check.says.push_str(", but not in the array element that meets the rules before");
        }
        if held && !check.held {
            check.says.push_str(", which an alternative for the same key overrules");
        }
        check.held = held;
        checks.push(check);
    }
    if checks.is_empty() && !matched {
        checks.push(Check { path: String::new(), held: false, says: "is not an object".to_owned() });
    }
    checks
}

fn holds(rules: &Rules, some: &[Rule], event: &Value) -> bool {
    let ways = rules.ways(some).unwrap_or_default();
    let trees: Vec<Tree> = ways.iter().map(|way| Tree::new(&rules.leaves, way)).collect();
    any_holds(&trees, &rules.leaves, event)
}

/// The check of one rule on its own.
fn describe(rules: &Rules, rule: &Rule, event: &Value) -> Check {
    let held = holds(rules, std::slice::from_ref(rule), event);
    match rule {
        Rule::Leaf(leaf) => {
            let leaf = &rules.leaves[*leaf];
            let says = format!("{}, wants {}", found(leaf, event), leaf.wants);
            Check { path: leaf.path.clone(), held, says }
        }
        Rule::Or { path, branches } => {
            let path = path.clone();
            let met = branches.iter().position(|branch| holds(rules, branch, event));
            let says = match met {
                Some(at) => format!("is met by alternative {} of {}", at + 1, branches.len()),
                None => {
                    let whys: Vec<String> =
                        branches.iter().map(|branch| why_not(rules, branch, event)).collect();
                    format!("is met by none of {} alternatives: {}", branches.len(), whys.join("; "))
                }
            };
            Check { path, held, says }
        }
    }
}

/// Why a branch of an alternative is not met: its first rule that fails.
fn why_not(rules: &Rules, branch: &[Rule], event: &Value) -> String {
    let checks = branch.iter().map(|rule| describe(rules, rule, event));
    match checks.into_iter().find(|check| !check.held) {
        Some(check) => format!("{} {}", check.path, check.says),
        None => "its rules are met only by different array elements".to_owned(),
    }
}

/// What the event has where the leaf looks: `is "new"`, `is missing`, `is an object`.
fn found(leaf: &Leaf, event: &Value) -> String {
    let mut values = Vec::new();
    let mut list = false;
    gather(&leaf.path, event, 0, &mut |value, in_array| {
        values.push(value);
        list |= in_array;
    });
    let plain: Vec<&Value> = values.iter().copied().filter(|value| !value.is_object()).collect();
    match plain.as_slice() {
        [] if values.is_empty() => "is missing".to_owned(),
        [] => "is an object".to_owned(),
        [one] if !list => format!("is {}", shown(one)),
        many => {
            let mut words: Vec<String> = many.iter().take(SHOWN).map(|value| shown(value)).collect();
            if many.len() > SHOWN {
                words.push(format!("… {} more", many.len() - SHOWN));
            }
            format!("is [{}]", words.join(","))
        }
    }
}

/// Hands over every value at the path, and whether an array was on the way. An empty array is handed over itself.
fn gather<'e>(path: &str, value: &'e Value, nesting: usize, take: &mut dyn FnMut(&'e Value, bool)) {
    walk(Some(path), (value, false), nesting, take);
}

fn walk<'e>(
    rest: Option<&str>,
    (value, in_array): (&'e Value, bool),
    nesting: usize,
    take: &mut dyn FnMut(&'e Value, bool),
) {
    match (rest, value) {
        (_, Value::Array(items)) if nesting < MAX_NESTING && !items.is_empty() => {
            items.iter().for_each(|item| walk(rest, (item, true), nesting + 1, take));
        }
        (None, value) => take(value, in_array),
        (Some(path), Value::Object(object)) => {
            for (key, value) in object {
                let rest = match path.strip_prefix(key.as_str()) {
                    Some("") => None,
                    Some(rest) if rest.starts_with('.') => Some(&rest[1..]),
                    _ => continue,
                };
                walk(rest, (value, in_array), nesting, take);
            }
        }
        _ => {}
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Array(_) => "[]".to_owned(),
        value => value.to_string(),
    };
    match text.char_indices().nth(LONG) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
