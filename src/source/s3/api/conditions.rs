//! Whether a conditional request may go on, with S3's precedence, and which bytes a `Range` means. Pure.

use http::HeaderMap;

use super::xml::requests::unquoted;
use super::{dates, errors};
use crate::aws::AwsError;
use crate::clock::Timestamp;

/// What conditions look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Without quotes.
    pub etag: &'a str,
    /// When it was written.
    pub modified: Timestamp,
}

/// The four conditions, wherever they stand.
struct Asked<'a> {
    matching: Option<&'a str>,
    none_matching: Option<&'a str>,
    modified_since: Option<Timestamp>,
    unmodified_since: Option<Timestamp>,
}

impl<'a> Asked<'a> {
    fn of(headers: &'a HeaderMap, prefix: &str) -> Asked<'a> {
        let text = |name: &str| headers.get(format!("{prefix}{name}")).and_then(|value| value.to_str().ok());
        // A date that is none is no condition.
        let date = |name: &str| text(name).and_then(dates::read);
        Asked {
            matching: text("if-match"),
            none_matching: text("if-none-match"),
            modified_since: date("if-modified-since"),
            unmodified_since: date("if-unmodified-since"),
        }
    }

    /// The first condition that does not hold. One that names entity tags overrides the date beside it.
    fn failed(&self, facts: Facts<'_>) -> Option<&'static str> {
        let modified = facts.modified.as_seconds();
        match (self.matching, self.unmodified_since) {
            (Some(etags), _) if !names(etags, facts.etag) => return Some("If-Match"),
            (None, Some(then)) if modified > then.as_seconds() => return Some("If-Unmodified-Since"),
            _ => {}
        }
        match (self.none_matching, self.modified_since) {
            (Some(etags), _) if names(etags, facts.etag) => Some("If-None-Match"),
            (None, Some(then)) if modified <= then.as_seconds() => Some("If-Modified-Since"),
            _ => None,
        }
    }
}

/// Whether a list of entity tags, or `*`, names this one.
fn names(etags: &str, etag: &str) -> bool {
    etags.split(',').any(|one| {
        let one = one.trim();
        one == "*" || unquoted(one.strip_prefix("W/").unwrap_or(one)) == etag
    })
}

/// For GET and HEAD: 412 or 304.
pub fn of_get(headers: &HeaderMap, facts: Facts<'_>) -> Result<(), AwsError> {
    match Asked::of(headers, "").failed(facts) {
        None => Ok(()),
        Some("If-None-Match" | "If-Modified-Since") => Err(errors::not_modified()
            .header("etag", format!("\"{}\"", facts.etag))
            .header("last-modified", dates::http(facts.modified))),
        Some(condition) => Err(errors::precondition_failed(condition)),
    }
}

/// For the source of a copy: 412 in every case.
pub fn of_copy_source(headers: &HeaderMap, facts: Facts<'_>) -> Result<(), AwsError> {
    match Asked::of(headers, "x-amz-copy-source-").failed(facts) {
        None => Ok(()),
        Some(condition) => Err(errors::precondition_failed(&format!("x-amz-copy-source-{condition}"))),
    }
}

/// For what writes a key: the entity tag is that of what is there, if anything is.
pub fn of_put(headers: &HeaderMap, key: &str, etag: Option<&str>) -> Result<(), AwsError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("if-match"), text("if-none-match")) {
        (Some(_), Some(_)) => {
            let message = "Multiple conditional request headers present in the request";
            Err(errors::header_not_built("If-Match,If-None-Match").member("additionalMessage", message))
        }
        (None, Some(etags)) if etags.trim() != "*" => Err(errors::header_not_built("If-None-Match").member(
            "additionalMessage",
            "We don't accept the provided value of If-None-Match header for this API",
        )),
        (None, Some(_)) if etag.is_some() => Err(errors::precondition_failed("If-None-Match")),
        (Some("*"), None) => Err(errors::header_not_built("If-Match").member(
            "additionalMessage",
            "We don't accept the provided value of If-Match header for this API",
        )),
        (Some(etags), None) => match etag {
            None => Err(errors::no_such_key(key)),
            Some(etag) if names(etags, etag) => Ok(()),
            Some(_) => Err(errors::precondition_failed("If-Match")),
        },
        _ => Ok(()),
    }
}

/// What DeleteObject wants of an object beside its entity tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Likeness {
    /// It was written then.
    modified: Option<Timestamp>,
    /// It has as many bytes.
    size: Option<u64>,
}

impl Likeness {
    /// Whether an object of so many bytes, written then, is the one.
    pub fn check(&self, size: u64, modified: Timestamp) -> Result<(), AwsError> {
        if self.modified.is_some_and(|then| then.as_seconds() != modified.as_seconds()) {
            return Err(errors::precondition_failed(MODIFIED));
        }
        match self.size {
            Some(wanted) if wanted != size => Err(errors::precondition_failed(SIZE)),
            _ => Ok(()),
        }
    }
}

const MODIFIED: &str = "x-amz-if-match-last-modified-time";
const SIZE: &str = "x-amz-if-match-size";

/// For DeleteObject; None if it wants nothing. What cannot be read is refused: without it everything would go.
pub fn of_delete(headers: &HeaderMap) -> Result<Option<Likeness>, AwsError> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let refused = |name: &'static str| {
        move |value: &str| {
            errors::invalid_argument(format!("Value for {name} header is invalid."), name, value)
        }
    };
    let date = |value: &str| dates::read(value).or_else(|| Timestamp::parse(value));
    let modified = text(MODIFIED).map(|value| date(value).ok_or_else(|| refused(MODIFIED)(value)));
    let size = text(SIZE).map(|value| value.parse().map_err(|_| refused(SIZE)(value)));
    let likeness = Likeness { modified: modified.transpose()?, size: size.transpose()? };
    Ok(Some(likeness).filter(|likeness| likeness.modified.is_some() || likeness.size.is_some()))
}

/// The first byte and the one after the last. None for the whole object: no range, one that is none, or several.
pub fn range(header: Option<&str>, size: u64) -> Result<Option<std::ops::Range<u64>>, AwsError> {
    let Some(text) = header else { return Ok(None) };
    let Some((first, last)) = bytes_of(text) else { return Ok(None) };
    let range = match (first, last) {
        (Some(first), Some(last)) => first..last.saturating_add(1).min(size),
        (Some(first), None) => first..size,
        (None, Some(0)) => return Err(errors::invalid_range(text, size)),
        (None, Some(suffix)) => size.saturating_sub(suffix)..size,
        (None, None) => return Ok(None),
    };
    if range.is_empty() {
        return Err(errors::invalid_range(text, size));
    }
    Ok(Some(range))
}

/// The bytes of a copy's source, where nothing but `bytes=first-last` will do.
pub fn copy_range(header: Option<&str>, size: u64) -> Result<Option<std::ops::Range<u64>>, AwsError> {
    let name = "x-amz-copy-source-range";
    let Some(text) = header else { return Ok(None) };
    match bytes_of(text) {
        Some((Some(first), Some(last))) if last < size => Ok(Some(first..last + 1)),
        Some((Some(_), Some(_))) => {
            let message = format!("Range specified is not valid for source object of size: {size}");
            Err(errors::invalid_argument(message, name, text))
        }
        _ => {
            let message = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and \
                           last are the zero-based offsets of the first and last bytes to copy";
            Err(errors::invalid_argument(message, name, text))
        }
    }
}

/// `bytes=first-last`, each of which may be missing.
fn bytes_of(text: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, spec) = text.split_once('=')?;
    let (first, last) = spec.trim().split_once('-')?;
    let digits = |text: &str| match text {
        "" => Some(None),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(Some(text.parse().unwrap_or(u64::MAX)))
        }
        _ => None,
    };
    let (first, last) = (digits(first)?, digits(last)?);
    let is_backwards = first.zip(last).is_some_and(|(first, last)| first > last);
    (unit.trim().eq_ignore_ascii_case("bytes") && !is_backwards).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    fn said(result: Result<(), AwsError>) -> String {
        let Err(error) = result else { return "200".to_owned() };
        let condition = error.members.iter().find(|(name, _)| *name == "Condition");
        let condition = condition.and_then(|(_, value)| value.as_str()).unwrap_or_default();
        format!("{} {condition}", error.status.as_u16()).trim_end().to_owned()
    }

    #[test]
    fn reading_obeys_entity_tags_before_dates() {
        let facts = Facts { etag: "e", modified: Timestamp::from_millis(784_111_777_900) };
        let check = |pairs: &[(&'static str, &'static str)], expected: &str| {
            assert_eq!(said(of_get(&headers(pairs), facts)), expected, "{pairs:?}");
        };
        check(&[], "200");
        check(&[("if-match", "\"e\"")], "200");
        check(&[("if-match", "e")], "200");
        check(&[("if-match", "*")], "200");
        check(&[("if-match", "\"x\", \"e\"")], "200");
        check(&[("if-match", "\"x\"")], "412 If-Match");
        check(&[("if-none-match", "\"e\"")], "304");
        check(&[("if-none-match", "W/\"e\"")], "304");
        check(&[("if-none-match", "\"x\"")], "200");
        check(&[("if-modified-since", THEN)], "304");
        check(&[("if-modified-since", BEFORE)], "200");
        check(&[("if-unmodified-since", THEN)], "200");
        check(&[("if-unmodified-since", BEFORE)], "412 If-Unmodified-Since");
        check(&[("if-match", "\"e\""), ("if-unmodified-since", BEFORE)], "200");
        check(&[("if-none-match", "\"x\""), ("if-modified-since", THEN)], "200");
        check(&[("if-none-match", "\"e\""), ("if-modified-since", BEFORE)], "304");
        check(&[("if-modified-since", "nonsense")], "200");
        let copied = of_copy_source(&headers(&[("x-amz-copy-source-if-none-match", "e")]), facts);
        assert_eq!(said(copied), "412 x-amz-copy-source-If-None-Match");
    }

    #[test]
    fn writing_obeys_what_is_there() {
        let check = |pairs: &[(&'static str, &'static str)], etag: Option<&str>, expected: &str| {
            assert_eq!(said(of_put(&headers(pairs), "k", etag)), expected, "{pairs:?} {etag:?}");
        };
        check(&[], Some("e"), "200");
        check(&[("if-none-match", "*")], None, "200");
        check(&[("if-none-match", "*")], Some("e"), "412 If-None-Match");
        check(&[("if-none-match", "\"e\"")], None, "501");
        check(&[("if-match", "\"e\"")], Some("e"), "200");
        check(&[("if-match", "\"x\"")], Some("e"), "412 If-Match");
        check(&[("if-match", "\"x\"")], None, "404");
        check(&[("if-match", "*")], Some("e"), "501");
        check(&[("if-match", "e"), ("if-none-match", "*")], None, "501");
    }

    #[test]
    fn deletions_may_want_a_time_and_a_size() {
        let check = |pairs: &[(&'static str, &'static str)], expected: &str| {
            let written = dates::read(THEN).expect("a date");
            let asked = of_delete(&headers(pairs));
            let done = asked.and_then(|asked| asked.map_or(Ok(()), |likeness| likeness.check(5, written)));
            assert_eq!(said(done), expected, "{pairs:?}");
        };
        check(&[], "200");
        check(&[(SIZE, "5"), (MODIFIED, THEN)], "200");
        check(&[(SIZE, "6")], "412 x-amz-if-match-size");
        check(&[(SIZE, "5"), (MODIFIED, BEFORE)], "412 x-amz-if-match-last-modified-time");
        check(&[(MODIFIED, "1994-11-06T08:49:37Z")], "200");
        check(&[(SIZE, "many")], "400");
        check(&[(MODIFIED, "nonsense")], "400");
    }

    #[test]
    fn ranges_are_bytes() {
        let check = |text: &str, size: u64, expected: &str| {
            let said = match range(Some(text), size) {
                Ok(Some(range)) => format!("{range:?}"),
                Ok(None) => "whole".to_owned(),
                Err(error) => error.code.to_owned(),
            };
            assert_eq!(said, expected, "{text} of {size}");
        };
        check("bytes=0-0", 10, "0..1");
        check("bytes=2-5", 10, "2..6");
        check("bytes=2-", 10, "2..10");
        check("bytes=5-99", 10, "5..10");
        check("bytes=-3", 10, "7..10");
        check("bytes=-99", 10, "0..10");
        check("bytes=10-", 10, "InvalidRange");
        check("bytes=-0", 10, "InvalidRange");
        check("bytes=0-", 0, "InvalidRange");
        check("bytes=-1", 0, "InvalidRange");
        check("bytes=0-1,3-4", 10, "whole");
        check("bytes=5-2", 10, "whole");
        check("bytes=-", 10, "whole");
        check("bytes=a-b", 10, "whole");
        check("lines=0-1", 10, "whole");
        check("bytes=+1-2", 10, "whole");
        check("bytes=0-99999999999999999999999", 10, "0..10");
        check("bytes=99999999999999999999999-", 10, "InvalidRange");
        let copied = |text| copy_range(Some(text), 10).map_err(|error| error.code);
        assert_eq!(copied("bytes=0-9"), Ok(Some(0..10)));
        assert_eq!(copied("bytes=0-10"), Err("InvalidArgument"));
        assert_eq!(copied("bytes=0-"), Err("InvalidArgument"));
    }
}
