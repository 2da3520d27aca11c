//! Reads the elements of a pattern's arrays: plain values and match expressions like `{"prefix":"a"}`. Pure.

use super::json::{Kind, Member, Node};
use super::matcher::Matcher;
use super::number::{Number, Range};
use super::text::{AnyCase, Block, Wildcard};
use super::{Dialect, PatternError};

/// The names that make an object a match expression.
pub(super) const OPERATORS: [&str; 9] = [
    "exactly",
    "prefix",
    "suffix",
    "equals-ignore-case",
    "anything-but",
    "numeric",
    "cidr",
    "exists",
    "wildcard",
];

const ONE_KEY: &str = "Only one key allowed in match expression";
const TOO_MANY: &str = "Too many elements in numeric expression";
const TEXT_AFFIX: &str = "prefix/suffix match pattern must be a string";

/// SNS compares numbers only up to this size, either side of zero.
const SNS_LIMIT: i128 = 1_000_000_000;

/// Reads one element of a key's array.
pub(super) fn read(node: &Node, dialect: Dialect) -> Result<Matcher, PatternError> {
    match &node.kind {
        Kind::Text(text) => Ok(Matcher::literal(text.clone())),
        Kind::Number(text) => Ok(Number::read(text).map_or(Matcher::Never, Matcher::Number)),
        Kind::True => Ok(Matcher::Bool(true)),
        Kind::False => Ok(Matcher::Bool(false)),
        Kind::Null => Ok(Matcher::Null),
        Kind::Array(_) => refuse(node.at, "Match value must be String, number, true, false, or null"),
        Kind::Object(members) => {
            let Some(first) = members.first() else {
                return refuse(node.at, "Match expression name not found");
            };
            expression(first, members.get(1), dialect)
        }
    }
}

/// Reads `first` as an operator and its operand; `second` is the key that should not be there.
fn expression(first: &Member, second: Option<&Member>, dialect: Dialect) -> Result<Matcher, PatternError> {
    let eventbridge = dialect == Dialect::EventBridge;
    let value = &first.value;
    let (matcher, crowded) = match first.key.as_str() {
        "exactly" if eventbridge => {
            (Matcher::Text(text(value, "exact match pattern must be a string")?), ONE_KEY)
        }
        "prefix" => (affix(first, dialect, Matcher::Prefix, Matcher::AnyCasePrefix)?, ONE_KEY),
        "suffix" => (affix(first, dialect, Matcher::Suffix, Matcher::AnyCaseSuffix)?, ONE_KEY),
        "equals-ignore-case" => {
            let wanted = text(value, "equals-ignore-case match pattern must be a string")?;
            (Matcher::AnyCase(AnyCase::new(&wanted)), ONE_KEY)
        }
        "wildcard" if eventbridge => {
            let wanted = text(value, "wildcard match pattern must be a string")?;
            (Matcher::Wildcard(at(value, Wildcard::read(&wanted))?), ONE_KEY)
        }
        "cidr" => {
            let wanted = text(value, "prefix match pattern must be a string")?;
            (Matcher::Block(at(value, Block::read(&wanted))?), ONE_KEY)
        }
        "exists" => match value.kind {
            Kind::True => (Matcher::Exists, ONE_KEY),
            Kind::False => (Matcher::Missing, ONE_KEY),
            _ => return refuse(value.at, "exists match pattern must be either true or false."),
        },
        "numeric" => (Matcher::Numeric(numeric(value, dialect)?), TOO_MANY),
        "anything-but" => anything_but(value, dialect)?,
        other => return refuse(first.at, &format!("Unrecognized match type {other}")),
    };
    match second {
        Some(second) => refuse(second.at, crowded),
        None => Ok(matcher),
    }
}

/// `{"prefix":"a"}`, and for EventBridge also `{"prefix":{"equals-ignore-case":"a"}}`.
fn affix(
    member: &Member,
    dialect: Dialect,
    exact: fn(String) -> Matcher,
    any_case: fn(AnyCase) -> Matcher,
) -> Result<Matcher, PatternError> {
    let wrong = format!("{} match pattern must be a string", member.key);
    let members = match &member.value.kind {
        Kind::Object(members) if dialect == Dialect::EventBridge => members,
        _ => return Ok(exact(text(&member.value, &wrong)?)),
    };
    match members.as_slice() {
        [] => refuse(member.value.at, &wrong),
        [first, ..] if first.key != "equals-ignore-case" => {
            refuse(first.at, &format!("Unsupported {} pattern: {}", member.key, first.key))
        }
        [first] => {
            let wanted = text(&first.value, "equals-ignore-case match pattern must be a string")?;
            Ok(any_case(AnyCase::new(&wanted)))
        }
        [_, second, ..] => refuse(second.at, ONE_KEY),
    }
}

/// The operand of `anything-but`, and the complaint if another key follows it.
fn anything_but(value: &Node, dialect: Dialect) -> Result<(Matcher, &'static str), PatternError> {
    let these = match &value.kind {
        Kind::Object(members) => {
            let matchers = anything_but_expression(value, members, dialect)?;
            return Ok((Matcher::AnythingBut(matchers), ONE_KEY));
        }
        Kind::Array(items) => {
            let matchers = items.iter().map(plain).collect::<Result<Vec<_>, _>>()?;
            let numbers = items.iter().filter(|item| matches!(item.kind, Kind::Number(_))).count();
            let mixed = numbers != 0 && numbers != items.len() && dialect == Dialect::EventBridge;
            if mixed || items.is_empty() {
                let reason = "Inside anything but list, either all values are number or string, mixed type is not supported";
                return refuse(value.at, reason);
            }
            matchers
        }
        Kind::Text(_) | Kind::Number(_) => vec![plain(value)?],
        _ => {
            return refuse(value.at, "Value of anything-but must be an array or single string/number value.");
        }
    };
    Ok((Matcher::AnythingBut(these), TOO_MANY))
}

/// A string or number to leave out. A string stays text here even when it is an IP address.
fn plain(node: &Node) -> Result<Matcher, PatternError> {
    match &node.kind {
        Kind::Text(text) => Ok(Matcher::Text(text.clone())),
        Kind::Number(text) => Ok(Number::read(text).map_or(Matcher::Never, Matcher::Number)),
        _ => refuse(node.at, "Inside anything but list, start|null|boolean is not supported."),
    }
}

/// `{"anything-but":{"prefix":…}}` and its kin.
fn anything_but_expression(
    object: &Node,
    members: &[Member],
    dialect: Dialect,
) -> Result<Vec<Matcher>, PatternError> {
    let Some(first) = members.first() else {
        return refuse(object.at, "Anything-But expression name not found");
    };
    let known: &[&str] = match dialect {
        Dialect::EventBridge => &["prefix", "suffix", "equals-ignore-case", "wildcard"],
        Dialect::SnsAttributes | Dialect::SnsBody => &["prefix"],
    };
    if !known.contains(&first.key.as_str()) {
        return refuse(first.at, &format!("Unsupported anything-but pattern: {}", first.key));
    }
    let texts = match &first.value.kind {
        Kind::Array(items) if dialect == Dialect::EventBridge && !items.is_empty() => items.as_slice(),
        _ => std::slice::from_ref(&first.value),
    };
    let wrong = wrong_in_list(&first.key, &first.value, dialect);
    let matchers = texts.iter().map(|node| excluded(&first.key, node, &wrong)).collect();
    match members.get(1) {
        Some(second) => refuse(second.at, ONE_KEY),
        None => matchers,
    }
}

fn wrong_in_list(operator: &str, value: &Node, dialect: Dialect) -> String {
    match operator {
        "prefix" if dialect != Dialect::EventBridge => "prefix match pattern must be a string".to_owned(),
        "prefix" | "suffix" if !matches!(value.kind, Kind::Array(_)) => TEXT_AFFIX.to_owned(),
        "wildcard" if !matches!(value.kind, Kind::Array(_)) => {
            "wildcard match pattern must be a string".to_owned()
        }
        _ => format!("Inside anything-but/{operator} list, number|start|null|boolean is not supported."),
    }
}

fn excluded(operator: &str, node: &Node, wrong: &str) -> Result<Matcher, PatternError> {
    let text = text(node, wrong)?;
    if text.is_empty() && matches!(operator, "prefix" | "suffix") {
        return refuse(node.at, "Null prefix/suffix not allowed");
    }
    Ok(match operator {
        "prefix" => Matcher::Prefix(text),
        "suffix" => Matcher::Suffix(text),
        "wildcard" => Matcher::Wildcard(at(node, Wildcard::read(&text))?),
        _ => Matcher::AnyCase(AnyCase::new(&text)),
    })
}

/// `["=",1]`, `[">",0]` or `[">",0,"<=",5]`.
fn numeric(value: &Node, dialect: Dialect) -> Result<Range, PatternError> {
    let Kind::Array(items) = &value.kind else {
        return refuse(value.at, "Value of numeric must be an array.");
    };
    let end = value.end.saturating_sub(1);
    let operator = match items.first() {
        Some(Node { kind: Kind::Text(operator), .. }) => operator.as_str(),
        Some(other) => {
            return refuse(other.at, &format!("Invalid member in numeric match: {}", shown(other)));
        }
        None => return refuse(end, "Invalid member in numeric match: ]"),
    };
    if !matches!(operator, "=" | "<" | "<=" | ">" | ">=") {
        return refuse(items[0].at, &format!("Unrecognized numeric range operator: {operator}"));
    }
    let bound = bound(operator, items.get(1), end, dialect)?;
    let (bottom, top) = match operator {
        "=" => (Some((bound, true)), Some((bound, true))),
        "<" | "<=" => (None, Some((bound, operator == "<="))),
        _ => return upward(items, (bound, operator == ">="), end, dialect),
    };
    match items.get(2) {
        Some(third) => refuse(third.at, TOO_MANY),
        None => Ok(Range { bottom, top }),
    }
}

/// The rest of a range that began with a lower bound.
fn upward(
    items: &[Node],
    bottom: (Number, bool),
    end: usize,
    dialect: Dialect,
) -> Result<Range, PatternError> {
    let operator = match items.get(2) {
        None => {
            return Ok(Range { bottom: Some(bottom), top: None });
        }
        Some(Node { kind: Kind::Text(operator), .. }) => operator.as_str(),
        Some(other) => return refuse(other.at, &format!("Bad value in numeric range: {}", shown(other))),
    };
    if !matches!(operator, "<" | "<=") {
        return refuse(items[2].at, &format!("Bad numeric range operator: {operator}"));
    }
    let top = bound(operator, items.get(3), end, dialect)?;
    if let Some(fifth) = items.get(4) {
        return refuse(fifth.at, "Too many terms in numeric range expression");
    }
    if bottom.0.compare(top).is_ge() {
        return refuse(items[3].at, "Bottom must be less than top");
    }
    Ok(Range { bottom: Some(bottom), top: Some((top, operator == "<=")) })
}

fn bound(operator: &str, node: Option<&Node>, end: usize, dialect: Dialect) -> Result<Number, PatternError> {
    let name = if operator == "=" { "equals" } else { operator };
    let offset = node.map_or(end, |node| node.at);
    let Some(Node { kind: Kind::Number(text), .. }) = node else {
        return refuse(offset, &format!("Value of {name} must be numeric"));
    };
    let Some(number) = Number::read(text) else {
        return refuse(offset, &format!("Value of {name} is outside the range of numbers: {text}"));
    };
    let within = |n: Number| {
        n.compare(Number::Whole(-SNS_LIMIT)).is_ge() && n.compare(Number::Whole(SNS_LIMIT)).is_le()
    };
    if dialect != Dialect::EventBridge && !within(number) {
        return refuse(offset, "Value must be between -1.0E9 and 1.0E9, inclusive");
    }
    Ok(number)
}

fn text(node: &Node, otherwise: &str) -> Result<String, PatternError> {
    match &node.kind {
        Kind::Text(text) => Ok(text.clone()),
        _ => refuse(node.at, otherwise),
    }
}

/// How AWS's complaints name a value that should not be there.
fn shown(node: &Node) -> &str {
    match &node.kind {
        Kind::Text(text) | Kind::Number(text) => text,
        Kind::True => "true",
        Kind::False => "false",
        Kind::Null => "null",
        Kind::Object(_) => "{",
        Kind::Array(_) => "[",
    }
}

fn at<T>(node: &Node, outcome: Result<T, String>) -> Result<T, PatternError> {
    outcome.map_err(|reason| PatternError { reason, offset: node.at })
}

fn refuse<T>(offset: usize, reason: &str) -> Result<T, PatternError> {
    Err(PatternError { reason: reason.to_owned(), offset })
}
