//! What a writer's headers say about an object, and what a reader's answer says again. Pure.

use std::borrow::Cow;

use base64::Engine;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::acl::{self, Owner};
use super::meta::Meta;
use super::operation::Operation;
use super::{errors, refused, tags};
use crate::aws::AwsError;
use crate::aws::checksum::Algorithm;

/// What an object is that nobody has said anything of.
pub const CONTENT_TYPE: &str = "binary/octet-stream";
/// Bytes of names and values of user metadata.
const USER_MAX: usize = 2048;
/// Headers that are kept as they are.
const KEPT: [&str; 6] = [
    "content-type",
    "cache-control",
    "content-disposition",
    "content-language",
    "expires",
    "x-amz-website-redirect-location",
];
/// The storage classes of buckets.
const CLASSES: [&str; 8] = [
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "GLACIER_IR",
];
/// The parameters of a query that replace headers of the answer.
const OVERRIDES: [(&str, &str); 6] = [
    ("response-content-type", "content-type"),
    ("response-content-language", "content-language"),
    ("response-expires", "expires"),
    ("response-cache-control", "cache-control"),
    ("response-content-disposition", "content-disposition"),
    ("response-content-encoding", "content-encoding"),
];

/// What the headers of PutObject, CreateMultipartUpload, or of a copy that replaces everything, say.
pub fn of_put(headers: &HeaderMap, owner: &Owner) -> Result<Meta, AwsError> {
    refused::of_write(headers)?;
    let mut meta = Meta { user: user(headers)?, ..Meta::default() };
    for name in KEPT {
        if let Some(value) = headers.get(name).map(text) {
            meta.headers.insert(name.to_owned(), value);
        }
    }
    if let Some(coding) = headers.get("content-encoding").map(|value| content_coding(&text(value)))
        && !coding.is_empty()
    {
        meta.headers.insert("content-encoding".to_owned(), coding);
    }
    if let Some(redirect) = meta.headers.get("x-amz-website-redirect-location")
        && !["/", "http://", "https://"].iter().any(|start| redirect.starts_with(start))
    {
        let message = "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.";
        return Err(AwsError::new(400, "InvalidRedirectLocation", message));
    }
    if let Some(encryption) = encryption(headers)? {
        meta.headers.insert("x-amz-server-side-encryption".to_owned(), encryption);
    }
    meta.class = class(headers)?;
    if let Some(value) = headers.get("x-amz-tagging") {
        meta.tags = tags::of_header(&text(value))?;
    }
    meta.grants = acl::of_headers(headers, owner)?;
    Ok(meta)
}

/// The headers that speak of the document that a request carries. The checksums of CompleteMultipartUpload are the
/// object's.
pub fn of_document(operation: Operation, headers: &HeaderMap) -> Cow<'_, HeaderMap> {
    let is_object = |name: &HeaderName| name.as_str().starts_with("x-amz-checksum-");
    match operation {
        Operation::CompleteMultipartUpload if headers.keys().any(is_object) => {
            let others = headers.iter().filter(|(name, _)| !is_object(name));
            Cow::Owned(others.map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        _ => Cow::Borrowed(headers),
    }
}

/// 400 for a request that has to say how its body can be checked, and does not.
pub fn must_vouch(headers: &HeaderMap) -> Result<(), AwsError> {
    let vouches = |name: &HeaderName| {
        let name = name.as_str();
        ["content-md5", "x-amz-trailer"].contains(&name) || Algorithm::of_header(name).is_some()
    };
    match headers.keys().any(vouches) {
        true => Ok(()),
        false => Err(errors::invalid_request(
            "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
        )),
    }
}

/// The user's own, names in lower case. Values that come more than once are joined.
fn user(headers: &HeaderMap) -> Result<std::collections::BTreeMap<String, String>, AwsError> {
    let mut user: std::collections::BTreeMap<String, String> = Default::default();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix("x-amz-meta-") else { continue };
        let value = text(value);
        match user.get_mut(name) {
            Some(known) => {
                known.push(',');
                known.push_str(&value);
            }
            None => {
                user.insert(name.to_owned(), value);
            }
        }
    }
    let size = user.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > USER_MAX { Err(errors::metadata_too_large(size, USER_MAX)) } else { Ok(user) }
}

/// A value as text: UTF-8 if it is that, else Latin-1.
fn text(value: &HeaderValue) -> String {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// Without `aws-chunked`, which says how the request travelled and nothing about the object.
fn content_coding(value: &str) -> String {
    let codings = value.split(',').map(str::trim);
    let kept = codings.filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"));
    kept.collect::<Vec<_>>().join(",")
}

fn encryption(headers: &HeaderMap) -> Result<Option<String>, AwsError> {
    let name = "x-amz-server-side-encryption";
    match headers.get(name).map(text).as_deref() {
        None => Ok(None),
        Some("AES256") => Ok(Some("AES256".to_owned())),
        Some("aws:kms" | "aws:kms:dsse" | "aws:fsx" | "aws:backup") => Err(errors::header_not_built(name)),
        Some(other) => {
            let message = "The encryption method specified is not supported";
            Err(AwsError::new(400, "InvalidEncryptionAlgorithmError", message)
                .member("ArgumentName", name)
                .member("ArgumentValue", other))
        }
    }
}

fn class(headers: &HeaderMap) -> Result<Option<String>, AwsError> {
    match headers.get("x-amz-storage-class").map(text) {
        None => Ok(None),
        Some(class) if class == "STANDARD" => Ok(None),
        Some(class) if CLASSES.contains(&class.as_str()) => Ok(Some(class)),
        Some(class) => Err(errors::invalid_storage_class(&class)),
    }
}

/// The headers of GetObject and HeadObject that come from what was kept.
pub fn told(meta: &Meta) -> Vec<(String, String)> {
    let mut told: Vec<(String, String)> =
        meta.headers.iter().map(|(name, value)| (name.clone(), shown(value))).collect();
    if !meta.headers.contains_key("content-type") {
        told.push(("content-type".to_owned(), CONTENT_TYPE.to_owned()));
    }
    told.extend(meta.user.iter().map(|(name, value)| (format!("x-amz-meta-{name}"), shown(value))));
    if let Some(class) = &meta.class {
        told.push(("x-amz-storage-class".to_owned(), class.clone()));
    }
    if !meta.tags.is_empty() {
        told.push(("x-amz-tagging-count".to_owned(), meta.tags.len().to_string()));
    }
    told
}

/// A value that a header can carry: what is no ASCII is encoded as in mail (RFC 2047).
fn shown(value: &str) -> String {
    match value.chars().all(|c| c.is_ascii() && !c.is_ascii_control() || c == '\t') {
        true => value.to_owned(),
        false => format!("=?UTF-8?B?{}?=", base64::engine::general_purpose::STANDARD.encode(value)),
    }
}

/// What the query wants the answer's headers to be instead: name and value.
pub fn overrides(query: &[(String, String)]) -> Vec<(&'static str, String)> {
    let header = |name: &str| OVERRIDES.iter().find(|(known, _)| *known == name).map(|(_, header)| *header);
    query.iter().filter_map(|(name, value)| Some((header(name)?, shown(value)))).collect()
}

/// What `x-amz-object-attributes` asks for, in the names of the answer.
pub fn attributes(headers: &HeaderMap) -> Result<Vec<&'static str>, AwsError> {
    let name = "x-amz-object-attributes";
    let value: Vec<String> = headers.get_all(name).iter().map(text).collect();
    if value.is_empty() {
        return Err(errors::invalid_request(format!("Missing required header for this request: {name}")));
    }
    let value = value.join(",");
    let known = |one: &str| super::xml::answers::ATTRIBUTES.into_iter().find(|known| *known == one.trim());
    let found: Option<Vec<&'static str>> = value.split(',').map(known).collect();
    found.ok_or_else(|| errors::invalid_argument("Invalid attribute name specified.", name, value.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            map.append(HeaderName::from_static(name), value);
        }
        map
    }

    fn said(pairs: &[(&'static str, &str)]) -> String {
        match of_put(&headers(pairs), &Owner::default()) {
            Ok(meta) => serde_json::to_string(&meta).expect("it has only texts"),
            Err(error) => error.code.to_owned(),
        }
    }

    #[test]
    fn writers_say_what_is_kept() {
        let check =
            |pairs: &[(&'static str, &str)], expected: &str| assert_eq!(said(pairs), expected, "{pairs:?}");
        check(&[], "{}");
        check(
            &[("content-type", "text/plain"), ("host", "h")],
            r#"{"headers":{"content-type":"text/plain"}}"#,
        );
        check(&[("content-encoding", "aws-chunked")], "{}");
        check(&[("content-encoding", "gzip, aws-chunked")], r#"{"headers":{"content-encoding":"gzip"}}"#);
        check(
            &[("x-amz-meta-a", "1"), ("x-amz-meta-a", "2"), ("x-amz-meta-b", "ü")],
            r#"{"user":{"a":"1,2","b":"ü"}}"#,
        );
        check(&[("x-amz-tagging", "a=b")], r#"{"tags":[{"key":"a","value":"b"}]}"#);
        check(&[("x-amz-storage-class", "STANDARD")], "{}");
        check(&[("x-amz-storage-class", "STANDARD_IA")], r#"{"class":"STANDARD_IA"}"#);
        check(&[("x-amz-storage-class", "COLD")], "InvalidStorageClass");
        check(
            &[("x-amz-server-side-encryption", "AES256")],
            r#"{"headers":{"x-amz-server-side-encryption":"AES256"}}"#,
        );
        check(&[("x-amz-server-side-encryption", "aws:kms")], "NotImplemented");
        check(&[("x-amz-server-side-encryption", "rot13")], "InvalidEncryptionAlgorithmError");
        check(&[("x-amz-object-lock-mode", "GOVERNANCE")], "NotImplemented");
        check(&[("x-amz-website-redirect-location", "ftp://a")], "InvalidRedirectLocation");
        check(&[("x-amz-meta-abc", &"v".repeat(2046))], "MetadataTooLarge");
        assert!(said(&[("x-amz-meta-abc", &"v".repeat(2045))]).starts_with("{\"user\""));
    }

    #[test]
    fn readers_hear_what_was_said() {
        let meta = of_put(&headers(&[("x-amz-meta-b", "ü"), ("x-amz-tagging", "a=b")]), &Owner::default());
        let told: Vec<String> = told(&meta.expect("it is fine"))
            .into_iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let expected =
            ["content-type: binary/octet-stream", "x-amz-meta-b: =?UTF-8?B?w7w=?=", "x-amz-tagging-count: 1"];
        assert_eq!(told, expected);
        let query = crate::aws::query_of("response-content-type=a%2Fb&versionId=1");
        assert_eq!(overrides(&query), [("content-type", "a/b".to_owned())]);
    }

    #[test]
    fn the_checksums_of_a_completion_are_not_those_of_its_document() {
        let check = |operation: Operation, expected: &str| {
            let said = headers(&[("x-amz-checksum-crc32", "a"), ("content-md5", "b")]);
            let kept: Vec<_> = of_document(operation, &said).keys().map(ToString::to_string).collect();
            assert_eq!(kept.join(" "), expected);
        };
        check(Operation::CompleteMultipartUpload, "content-md5");
        check(Operation::DeleteObjects, "x-amz-checksum-crc32 content-md5");
    }

    #[test]
    fn bodies_are_vouched_for() {
        let check = |name: &'static str, expected: bool| {
            assert_eq!(must_vouch(&headers(&[(name, "a")])).is_ok(), expected, "{name}");
        };
        check("content-md5", true);
        check("x-amz-checksum-sha256", true);
        check("x-amz-trailer", true);
        check("x-amz-checksum-type", false);
        check("content-length", false);
    }

    #[test]
    fn attributes_have_names() {
        let check = |value: &str, expected: Result<Vec<&str>, &str>| {
            let found = attributes(&headers(&[("x-amz-object-attributes", value)]));
            assert_eq!(found.map_err(|error| error.code), expected, "{value}");
        };
        check("ETag, ObjectSize", Ok(vec!["ETag", "ObjectSize"]));
        check("etag", Err("InvalidArgument"));
        check("ETag,", Err("InvalidArgument"));
        assert_eq!(attributes(&HeaderMap::new()).map_err(|error| error.code), Err("InvalidRequest"));
    }
}
