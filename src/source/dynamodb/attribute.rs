//! Attribute values: from plain JSON and from what SQLite holds, to DynamoDB's typed JSON and its sizes. Pure.
//!
//! Plain JSON is what people write: a string is an `S`, a number an `N`, an array an `L`, an object an `M`.
//! What plain JSON cannot say is an object with exactly one member that is named like a DynamoDB type and
//! holds a value fit for it: `{"SS":["a","b"]}`, `{"B":"AAE="}`, `{"N":"1e40"}`; `{"M":{…}}` is always a map,
//! and so carries a map that would look like a typed value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::number::Number;

/// An item, or a map within one. DynamoDB keeps no order of attributes; we write them by name.
pub type Item = BTreeMap<String, Attribute>;

/// One attribute value. Equality is DynamoDB's: numbers by value, sets and maps without order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribute {
    /// A string.
    S(String),
    /// A number.
    N(Number),
    /// Bytes.
    B(Vec<u8>),
    /// A boolean.
    Bool(bool),
    /// The value null.
    Null,
    /// A list.
    L(Vec<Attribute>),
    /// A map.
    M(Item),
    /// A set of strings.
    Ss(BTreeSet<String>),
    /// A set of numbers.
    Ns(BTreeSet<Number>),
    /// A set of bytes.
    Bs(BTreeSet<Vec<u8>>),
}

/// How deep lists and maps may nest, as in DynamoDB; what lies deeper is taken as its JSON text.
const DEPTH_MAX: usize = 32;

impl Attribute {
    /// Reads plain JSON with typed values in it. Errors if the text is no JSON.
    pub fn from_plain(json: &str) -> Result<Attribute, serde_json::Error> {
        Ok(plain(serde_json::from_str::<&RawValue>(json)?.get(), 0))
    }

    /// Reads the SQL literal that `quote()` makes of what is no TEXT. An infinite REAL, which DynamoDB has not,
    /// becomes a string.
    pub fn from_literal(literal: &str) -> Attribute {
        if literal == "NULL" {
            return Attribute::Null;
        }
        let hex = literal.strip_prefix("X'").and_then(|rest| rest.strip_suffix('\''));
        if let Some(bytes) = hex.and_then(|hex| hex::decode(hex).ok()) {
            return Attribute::B(bytes);
        }
        if literal.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
            return number_or_text(literal);
        }
        // A REAL: `quote()` writes up to 20 digits, where the shortest that tell the double are meant.
        let double = literal.parse::<f64>().unwrap_or(f64::NAN);
        let shown = if double > 0.0 { "Infinity" } else { "-Infinity" };
        Number::of_double(double).map_or_else(|| Attribute::S(shown.to_owned()), Attribute::N)
    }

    /// Its size in bytes, without its name, as DynamoDB counts.
    pub fn size(&self) -> usize {
        match self {
            Attribute::S(text) => text.len(),
            Attribute::N(number) => number.size(),
            Attribute::B(bytes) => bytes.len(),
            Attribute::Bool(_) | Attribute::Null => 1,
            Attribute::L(list) => 3 + list.iter().map(|value| 1 + value.size()).sum::<usize>(),
            Attribute::M(map) => {
                3 + map.iter().map(|(name, value)| 1 + name.len() + value.size()).sum::<usize>()
            }
            Attribute::Ss(set) => set.iter().map(String::len).sum(),
            Attribute::Ns(set) => set.iter().map(Number::size).sum(),
            Attribute::Bs(set) => set.iter().map(Vec::len).sum(),
        }
    }

    /// Appends DynamoDB's typed JSON: `{"S":"o-1"}`.
    pub fn write(&self, out: &mut String) {
        out.push_str("{\"");
        out.push_str(self.kind());
        out.push_str("\":");
        match self {
            Attribute::S(text) => out.push_str(&quoted(text)),
            Attribute::N(number) => out.push_str(&quoted(number.as_str())),
            Attribute::B(bytes) => out.push_str(&quoted(&BASE64.encode(bytes))),
            Attribute::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Attribute::Null => out.push_str("true"),
            Attribute::L(list) => write_list(out, list.iter(), |out, value| value.write(out)),
            Attribute::M(map) => write_item(out, map.iter()),
            Attribute::Ss(set) => write_list(out, set.iter(), |out, text| out.push_str(&quoted(text))),
            Attribute::Ns(set) => write_list(out, set.iter(), |out, n| out.push_str(&quoted(n.as_str()))),
            Attribute::Bs(set) => {
                write_list(out, set.iter(), |out, b| out.push_str(&quoted(&BASE64.encode(b))))
            }
        }
        out.push('}');
    }

    /// What DynamoDB calls its type.
    pub fn kind(&self) -> &'static str {
        match self {
            Attribute::S(_) => "S",
            Attribute::N(_) => "N",
            Attribute::B(_) => "B",
            Attribute::Bool(_) => "BOOL",
            Attribute::Null => "NULL",
            Attribute::L(_) => "L",
            Attribute::M(_) => "M",
            Attribute::Ss(_) => "SS",
            Attribute::Ns(_) => "NS",
            Attribute::Bs(_) => "BS",
        }
    }

    /// A key's value as people write it: text as it is, numbers in digits, bytes in base64.
    pub fn shown(&self) -> String {
        match self {
            Attribute::S(text) => text.clone(),
            Attribute::N(number) => number.as_str().to_owned(),
            Attribute::B(bytes) => BASE64.encode(bytes),
            other => {
                let mut text = String::new();
                other.write(&mut text);
                text
            }
        }
    }
}

/// The members of a JSON object, values unread; the last of equal names counts. None if it is no object.
pub fn members(json: &str) -> Option<BTreeMap<String, &RawValue>> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = BTreeMap<String, &'de RawValue>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = BTreeMap::new();
            while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                found.insert(name, value);
            }
            Ok(found)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(json);
    let found = reader.deserialize_map(Members).ok()?;
    reader.end().is_ok().then_some(found)
}

/// The attributes that a JSON object holds. None if it is none.
pub fn item(json: &str) -> Option<Item> {
    Some(members(json)?.into_iter().map(|(name, value)| (name, plain(value.get(), 1))).collect())
}

/// Appends a map of attributes: `{"orderId":{"S":"o-1"}}`.
pub fn write_item<'a>(out: &mut String, attributes: impl Iterator<Item = (&'a String, &'a Attribute)>) {
    out.push('{');
    for (i, (name, value)) in attributes.enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str(&quoted(name));
        out.push(':');
        value.write(out);
    }
    out.push('}');
}

/// The size of an item or key: names and values.
pub fn size<'a>(attributes: impl Iterator<Item = (&'a String, &'a Attribute)>) -> usize {
    attributes.map(|(name, value)| name.len() + value.size()).sum()
}

/// The text as a JSON string.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn write_list<T>(out: &mut String, values: impl Iterator<Item = T>, write: impl Fn(&mut String, T)) {
    out.push('[');
    for (i, value) in values.enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(out, value);
    }
    out.push(']');
}

fn number_or_text(text: &str) -> Attribute {
    Number::parse(text).map_or_else(|| Attribute::S(text.to_owned()), Attribute::N)
}

fn plain(json: &str, depth: usize) -> Attribute {
    let as_text = || Attribute::S(json.to_owned());
    match json.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<String>(json) {
            Ok(text) => Attribute::S(text),
            // Half a surrogate pair, which SQLite lets pass and UTF-8 cannot hold: keep the escapes.
            Err(_) => Attribute::S(json[1..json.len() - 1].to_owned()),
        },
        Some(b't') => Attribute::Bool(true),
        Some(b'f') => Attribute::Bool(false),
        Some(b'n') => Attribute::Null,
        Some(b'[' | b'{') if depth > DEPTH_MAX => as_text(),
        Some(b'[') => list(json, depth).map_or_else(as_text, Attribute::L),
        Some(b'{') => match members(json) {
            Some(members) => typed(&members, depth).unwrap_or_else(|| Attribute::M(map(&members, depth))),
            None => as_text(),
        },
        _ => number_or_text(json),
    }
}

fn list(json: &str, depth: usize) -> Option<Vec<Attribute>> {
    let values: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    Some(values.into_iter().map(|value| plain(value.get(), depth + 1)).collect())
}

fn map(members: &BTreeMap<String, &RawValue>, depth: usize) -> Item {
    members.iter().map(|(name, value)| (name.clone(), plain(value.get(), depth + 1))).collect()
}

/// The typed value that these members write, if they do.
fn typed(found: &BTreeMap<String, &RawValue>, depth: usize) -> Option<Attribute> {
    let (name, value) = found.first_key_value().filter(|_| found.len() == 1)?;
    let value = value.get();
    match name.as_str() {
        "S" => serde_json::from_str(value).ok().map(Attribute::S),
        "N" => Number::parse(&serde_json::from_str::<String>(value).ok()?).map(Attribute::N),
        "B" => BASE64.decode(serde_json::from_str::<String>(value).ok()?).ok().map(Attribute::B),
        "BOOL" => serde_json::from_str(value).ok().map(Attribute::Bool),
        "NULL" => (value == "true").then_some(Attribute::Null),
        "L" => list(value, depth).map(Attribute::L),
        "M" => members(value).map(|inner| Attribute::M(map(&inner, depth))),
        "SS" => set(value, Some).map(Attribute::Ss),
        "NS" => set(value, |text| Number::parse(&text)).map(Attribute::Ns),
        "BS" => set(value, |text| BASE64.decode(text).ok()).map(Attribute::Bs),
        _ => None,
    }
}

/// A set is an array of strings, neither empty nor with the same member twice.
fn set<T: Ord>(json: &str, read: impl Fn(String) -> Option<T>) -> Option<BTreeSet<T>> {
    let texts: Vec<String> = serde_json::from_str(json).ok()?;
    let count = texts.len();
    let set: BTreeSet<T> = texts.into_iter().map(read).collect::<Option<_>>()?;
    (count > 0 && set.len() == count).then_some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_plain(json: &str, expected: &str) {
        let mut out = String::new();
        Attribute::from_plain(json).expect("it is JSON").write(&mut out);
        assert_eq!(out, expected, "{json}");
    }

    #[test]
    fn plain_json_becomes_what_it_looks_like() {
        check_plain(r#""a\"b""#, r#"{"S":"a\"b"}"#);
        check_plain("12345678901234567890.10", r#"{"N":"12345678901234567890.1"}"#);
        check_plain("true", r#"{"BOOL":true}"#);
        check_plain("null", r#"{"NULL":true}"#);
        check_plain(r#"[1,"x",[]]"#, r#"{"L":[{"N":"1"},{"S":"x"},{"L":[]}]}"#);
        check_plain(r#"{"b":1, "a":{}}"#, r#"{"M":{"a":{"M":{}},"b":{"N":"1"}}}"#);
        check_plain(r#""\ud800x""#, r#"{"S":"\\ud800x"}"#);
        check_plain("1e999", r#"{"S":"1e999"}"#);
    }

    #[test]
    fn an_object_named_like_a_type_is_a_typed_value_if_it_fits() {
        check_plain(r#"{"N":"1e40"}"#, &format!(r#"{{"N":"1{}"}}"#, "0".repeat(40)));
        check_plain(r#"{"B":"AAE="}"#, r#"{"B":"AAE="}"#);
        check_plain(r#"{"SS":["b","a"]}"#, r#"{"SS":["a","b"]}"#);
        check_plain(r#"{"NS":["2","1.0"]}"#, r#"{"NS":["1","2"]}"#);
        check_plain(r#"{"BS":["AAE="]}"#, r#"{"BS":["AAE="]}"#);
        check_plain(r#"{"L":[{"S":"x"},1]}"#, r#"{"L":[{"S":"x"},{"N":"1"}]}"#);
        check_plain(r#"{"M":{"S":"x"}}"#, r#"{"M":{"S":{"S":"x"}}}"#);
        check_plain(r#"{"BOOL":false}"#, r#"{"BOOL":false}"#);
        check_plain(r#"{"NULL":true}"#, r#"{"NULL":true}"#);
        // None of these fits.
        check_plain(r#"{"N":12}"#, r#"{"M":{"N":{"N":"12"}}}"#);
        check_plain(r#"{"N":"twelve"}"#, r#"{"M":{"N":{"S":"twelve"}}}"#);
        check_plain(r#"{"NULL":false}"#, r#"{"M":{"NULL":{"BOOL":false}}}"#);
        check_plain(r#"{"SS":[]}"#, r#"{"M":{"SS":{"L":[]}}}"#);
        check_plain(r#"{"SS":["a","a"]}"#, r#"{"M":{"SS":{"L":[{"S":"a"},{"S":"a"}]}}}"#);
        check_plain(r#"{"S":"x","T":1}"#, r#"{"M":{"S":{"S":"x"},"T":{"N":"1"}}}"#);
        check_plain(r#"{"B":"no base64"}"#, r#"{"M":{"B":{"S":"no base64"}}}"#);
    }

    #[test]
    fn what_is_nested_too_deep_is_text() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let Ok(mut at) = Attribute::from_plain(&deep) else { panic!("it is JSON") };
        let mut depth = 0;
        while let Attribute::L(mut inner) = at {
            at = inner.remove(0);
            depth += 1;
        }
        assert_eq!((depth, at.kind()), (33, "S"));
    }

    #[test]
    fn sqlite_literals_keep_their_type() {
        for (literal, expected) in [
            ("NULL", Attribute::Null),
            ("X'00FF'", Attribute::B(vec![0, 255])),
            ("X''", Attribute::B(vec![])),
            ("Inf", Attribute::S("Infinity".into())),
            ("-9.0e+999", Attribute::S("-Infinity".into())),
        ] {
            assert_eq!(Attribute::from_literal(literal), expected);
        }
        for (literal, number) in [
            ("-9223372036854775808", "-9223372036854775808"),
            ("1.0", "1"),
            ("3.00000000000000044408e-01", "0.30000000000000004"),
            ("1.0e+30", "1000000000000000000000000000000"),
        ] {
            assert_eq!(Some(Attribute::from_literal(literal)), Number::parse(number).map(Attribute::N));
        }
    }

    #[test]
    fn sizes_are_those_of_dynamodb() {
        for (json, size) in [
            (r#""é""#, 2),
            ("true", 1),
            ("null", 1),
            ("[]", 3),
            (r#"["ab",1]"#, 3 + 3 + 3),
            ("{}", 3),
            (r#"{"k":"ab"}"#, 3 + 1 + 1 + 2),
            (r#"{"SS":["a","bc"]}"#, 3),
            (r#"{"NS":["1","-1"]}"#, 5),
            (r#"{"BS":["AAE="]}"#, 2),
        ] {
            assert_eq!(Attribute::from_plain(json).map(|value| value.size()).ok(), Some(size), "{json}");
        }
    }
}
