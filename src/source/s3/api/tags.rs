//! Tags of buckets and objects: their limits, their document, their header. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::errors;
use super::route::exactly;
use super::xml::read::{Element, document};
use super::xml::write::Document;
use crate::aws::AwsError;

/// UTF-16 units in a key, as Java counts.
const KEY_MAX: usize = 128;
/// The same for a value.
const VALUE_MAX: usize = 256;

/// One tag.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The key.
    pub key: String,
    /// The value; it may be empty.
    pub value: String,
}

/// What the tags are on: it decides how many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// At most fifty.
    Bucket,
    /// At most ten.
    Object,
}

/// Reads a Tagging document.
pub fn read(body: &[u8], of: Of) -> Result<Vec<Tag>, AwsError> {
    let root = document(body, "Tagging")?;
    of_set(root.one("TagSet")?.ok_or_else(errors::malformed_xml)?, of)
}

/// The tags in an element.
pub fn of_set(set: &Element, of: Of) -> Result<Vec<Tag>, AwsError> {
    let tags = set.all("Tag").map(one).collect::<Result<Vec<Tag>, AwsError>>()?;
    check(&tags, of)?;
    Ok(tags)
}

/// One tag, whatever it says.
pub(super) fn one(element: &Element) -> Result<Tag, AwsError> {
    Ok(Tag { key: element.needed("Key")?.to_owned(), value: element.needed("Value")?.to_owned() })
}

/// Reads `x-amz-tagging`: `a=1&b=2`, url-encoded. Tags that differ in nothing but their values are refused.
pub fn of_header(header: &str) -> Result<Vec<Tag>, AwsError> {
    let refused = || {
        let message = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters \
                       without tag name duplicates.";
        errors::invalid_argument(message, "x-amz-tagging", header)
    };
    let plain = |text: &str| exactly(&text.replace('+', " ")).ok_or_else(refused);
    let mut tags: Vec<Tag> = Vec::new();
    for pair in header.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let tag = Tag { key: plain(key)?, value: plain(value)? };
        if tag.key.is_empty() || tags.iter().any(|known| known.key == tag.key) {
            return Err(refused());
        }
        tags.push(tag);
        if tags.len() > 10 {
            break;
        }
    }
    check(&tags, Of::Object)?;
    Ok(tags)
}

/// Refuses tags that S3 would not keep.
pub fn check(tags: &[Tag], of: Of) -> Result<(), AwsError> {
    let (max, message) = match of {
        Of::Bucket => (50, "Bucket tags cannot be greater than 50"),
        Of::Object => (10, "Object tags cannot be greater than 10"),
    };
    if tags.len() > max {
        return Err(errors::bad_request(message));
    }
    let mut known = BTreeSet::new();
    for Tag { key, value } in tags {
        if key.is_empty() || !is_tag_text(key, KEY_MAX) {
            return Err(errors::invalid_tag("The TagKey you have provided is invalid", key));
        }
        if !is_tag_text(value, VALUE_MAX) {
            let message = "The TagValue you have provided is invalid";
            return Err(errors::invalid_tag(message, key).member("TagValue", value.as_str()));
        }
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(errors::invalid_tag("System tags cannot be added/updated by requester", key));
        }
        if !known.insert(key) {
            return Err(errors::invalid_tag("Cannot provide multiple Tags with the same key", key));
        }
    }
    Ok(())
}

/// Letters, digits and blanks of any script, and a few signs.
fn is_tag_text(text: &str, max: usize) -> bool {
    let is_good =
        |c: char| c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "+-=._:/@".contains(c);
    text.encode_utf16().count() <= max && text.chars().all(is_good)
}

/// The Tagging document.
pub fn document_of(tags: &[Tag]) -> String {
    Document::of("Tagging", |document| document.within("TagSet", |document| write(tags, document)))
}

/// The Tag elements alone.
pub(super) fn write(tags: &[Tag], document: &mut Document) {
    for tag in tags {
        document.within("Tag", |document| {
            document.text("Key", &tag.key);
            document.text("Value", &tag.value);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(read: Result<Vec<Tag>, AwsError>) -> String {
        match read {
            Ok(tags) => tags.iter().map(|tag| format!("{}={};", tag.key, tag.value)).collect(),
            Err(error) => format!("{error}"),
        }
    }

    #[test]
    fn headers_carry_tags() {
        let check = |header: &str, expected: &str| assert_eq!(said(of_header(header)), expected, "{header}");
        check("", "");
        check("a=1&b=2", "a=1;b=2;");
        check("a&b=", "a=;b=;");
        check("a%20b=c%2Bd&e+f=g=h", "a b=c+d;e f=g=h;");
        check("%C3%BC=%E6%96%87", "ü=文;");
        check("a,b=1", "InvalidTag: The TagKey you have provided is invalid");
        check("AWS:cost=1", "InvalidTag: System tags cannot be added/updated by requester");
        for bad in ["=1", "a=%FF", "a=1&a=2", "%=1"] {
            assert!(said(of_header(bad)).starts_with("InvalidArgument: The header 'x-amz-tagging'"), "{bad}");
        }
        let eleven: Vec<String> = (0..11).map(|n| format!("k{n}=")).collect();
        check(&eleven.join("&"), "BadRequest: Object tags cannot be greater than 10");
    }

    #[test]
    fn documents_carry_tags() {
        let check = |tags: &[(&str, &str)], expected: &str| {
            let tags: Vec<Tag> =
                tags.iter().map(|(key, value)| Tag { key: (*key).into(), value: (*value).into() }).collect();
            assert_eq!(said(read(document_of(&tags).as_bytes(), Of::Object)), expected);
        };
        check(&[], "");
        check(&[("a b+-=._:/@", "文")], "a b+-=._:/@=文;");
        check(&[(&"k".repeat(129), "")], "InvalidTag: The TagKey you have provided is invalid");
        check(&[("k", &"v".repeat(257))], "InvalidTag: The TagValue you have provided is invalid");
        check(&[("k", "a*b")], "InvalidTag: The TagValue you have provided is invalid");
        check(&[("", "v")], "InvalidTag: The TagKey you have provided is invalid");
        check(&[("k", "1"), ("k", "2")], "InvalidTag: Cannot provide multiple Tags with the same key");
        assert!(said(read(b"<Tagging/>", Of::Object)).starts_with("MalformedXML"));
        assert!(
            said(read(b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", Of::Object))
                .starts_with("MalformedXML")
        );
    }
}
