//! A request of an operation: what its path names, what its query and body say; and lists in pages. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;

use super::check::Constraints;
use super::errors::invalid;
use super::names::{NameRule, Target, parse_name};
use crate::arn::Place;
use crate::aws::{AwsError, Call, rest_json};

/// A call with its path in parts.
pub struct Request<'a> {
    /// The call.
    pub call: &'a Call,
    /// The parts of its path.
    pub path: Vec<String>,
    /// Where we are.
    pub place: &'a Place,
}

impl<'a> Request<'a> {
    /// The request of this call.
    pub fn of(call: &'a Call, place: &'a Place) -> Request<'a> {
        Request { path: call.segments(), call, place }
    }
    /// A part of the path; empty if it has no such part.
    pub fn part(&self, index: usize) -> &str {
        self.path.get(index).map(String::as_str).unwrap_or_default()
    }
    /// The function that the path names, with the qualifier of its name or of the query.
    pub fn target(&self, rule: NameRule) -> Result<Target, AwsError> {
        parse_name(self.part(2), self.call.query("Qualifier"), rule, self.place)
    }
    /// The function that the path names, for operations that know no qualifier.
    pub fn name(&self) -> Result<Target, AwsError> {
        parse_name(self.part(2), None, NameRule::Function, self.place)
    }
    /// The function that the path names, which must have no qualifier.
    pub fn whole_function(&self) -> Result<String, AwsError> {
        let target = self.name()?;
        match target.qualifier {
            None => Ok(target.name),
            Some(_) => Err(invalid(
                "This operation is permitted on Lambda functions only. Aliases and versions do not support this \
                 operation. Please specify either a function name or an unqualified function ARN.",
            )),
        }
    }
    /// The members of the body.
    pub fn members<T: DeserializeOwned>(&self) -> Result<T, AwsError> {
        rest_json::members(self.call)
    }
    /// Which page of a list is asked for.
    pub fn page(&self, most: i64) -> Result<Page, AwsError> {
        let mut constraints = Constraints::new();
        let given = match self.call.query("MaxItems") {
            None => None,
            Some(text) => Some(text.parse::<i64>().map_err(|_| {
                AwsError::new(
                    400,
                    "SerializationException",
                    format!("'{text}' can not be converted to an Integer"),
                )
            })?),
        };
        constraints.range("maxItems", given, 1, most);
        constraints.finish()?;
        let size = given.and_then(|given| usize::try_from(given).ok()).unwrap_or(PAGE_MAX).min(PAGE_MAX);
        let after = match self.call.query("Marker").filter(|marker| !marker.is_empty()) {
            None => None,
            Some(marker) => {
                let bytes = STANDARD.decode(marker).ok();
                let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
                Some(text.ok_or_else(|| invalid("The marker is none that this operation gave."))?)
            }
        };
        Ok(Page { size, after })
    }
}

/// A page has at most so many entries.
pub const PAGE_MAX: usize = 50;

/// Which page of a list is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    size: usize,
    after: Option<String>,
}

impl Page {
    /// The entries of this page, which have texts that order them, and the marker of the next one.
    pub fn of<T>(&self, entries: impl IntoIterator<Item = (String, T)>) -> (Vec<T>, Option<String>) {
        let later = |(key, _): &(String, T)| self.after.as_ref().is_none_or(|after| key > after);
        let mut rest = entries.into_iter().filter(later);
        let (mut page, mut last) = (Vec::new(), String::new());
        for (key, entry) in rest.by_ref().take(self.size) {
            page.push(entry);
            last = key;
        }
        let more = rest.next().is_some();
        (page, more.then(|| STANDARD.encode(last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_in_pages() {
        let entries = || (0..120).map(|number| (format!("{number:03}"), number));
        let first = Page { size: 50, after: None };
        let (page, marker) = first.of(entries());
        assert_eq!((page.len(), page[49]), (50, 49));
        let after = STANDARD.decode(marker.expect("more")).expect("base64");
        let second = Page { size: 100, after: String::from_utf8(after).ok() };
        let (page, marker) = second.of(entries());
        assert_eq!((page.len(), page[0], marker), (70, 50, None));
    }
}
