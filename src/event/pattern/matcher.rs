//! One element of a pattern's array, ready to be held against a single value of an event. Pure.

use serde_json::Value;

use super::number::{Number, Range};
use super::text::{AnyCase, Block, Wildcard, address};

/// One alternative for a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Matcher {
    /// This text.
    Text(String),
    /// This IP address, in whatever notation: `::a` is `0:0:0:0:0:0:0:a`.
    Address(std::net::IpAddr),
    Number(Number),
    Bool(bool),
    Null,
    /// A number that no event can hold.
    Never,
    Prefix(String),
    Suffix(String),
    AnyCase(AnyCase),
    AnyCasePrefix(AnyCase),
    AnyCaseSuffix(AnyCase),
    Wildcard(Wildcard),
    Numeric(Range),
    Block(Block),
    /// Any value at all.
    Exists,
    /// No value at all; the one matcher that wants the key to be missing.
    Missing,
    /// Any value that none of these take.
    AnythingBut(Vec<Matcher>),
}

impl Matcher {
    /// The matcher of a string that stands for itself.
    pub fn literal(text: String) -> Matcher {
        address(&text).map_or(Matcher::Text(text), Matcher::Address)
    }

    /// Whether this value, which is no object and no array, is one it takes.
    pub fn takes(&self, value: &Value) -> bool {
        match (self, value) {
            (Matcher::Exists, _) => true,
            (Matcher::AnythingBut(these), value) => !these.iter().any(|matcher| matcher.takes(value)),
            (Matcher::Null, Value::Null) => true,
            (Matcher::Bool(wanted), Value::Bool(value)) => wanted == value,
            (_, Value::String(text)) => self.takes_text(text),
            (Matcher::Number(wanted), Value::Number(number)) => Number::of(number) == Some(*wanted),
            (Matcher::Numeric(range), Value::Number(number)) => {
                Number::of(number).is_some_and(|n| range.contains(n))
            }
            _ => false,
        }
    }

    fn takes_text(&self, text: &str) -> bool {
        match self {
            Matcher::Text(wanted) => wanted == text,
            Matcher::Address(wanted) => address(text) == Some(*wanted),
            Matcher::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Matcher::Suffix(suffix) => text.ends_with(suffix.as_str()),
            Matcher::AnyCase(wanted) => wanted.equals(text),
            Matcher::AnyCasePrefix(prefix) => prefix.starts(text),
            Matcher::AnyCaseSuffix(suffix) => suffix.ends(text),
            Matcher::Wildcard(wildcard) => wildcard.fits(text),
            Matcher::Block(block) => address(text).is_some_and(|a| block.contains(a)),
            _ => false,
        }
    }
}
