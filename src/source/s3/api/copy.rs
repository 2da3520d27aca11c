//! What a copy is a copy of, and what it takes over. Pure.

use std::collections::BTreeMap;

use http::HeaderMap;

use super::errors;
use super::route::{KEY_MAX, exactly};
use crate::aws::AwsError;

/// What `x-amz-copy-source` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopySource {
    /// The bucket.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// The version, if one is meant.
    pub version: Option<String>,
}

/// Where what belongs to a copy comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// From the source.
    Copy,
    /// From the request.
    Replace,
}

impl CopySource {
    /// Reads the header: `bucket/key`, `/bucket/key`, percent-encoded, perhaps with `?versionId=`.
    pub fn of(headers: &HeaderMap) -> Result<CopySource, AwsError> {
        let value = headers.get("x-amz-copy-source").map(|value| String::from_utf8_lossy(value.as_bytes()));
        let value = value.unwrap_or_default();
        let refused = || {
            let message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey";
            errors::invalid_argument(message, "x-amz-copy-source", value.as_ref())
        };
        if value.starts_with("arn:") {
            return Err(errors::part_not_built("A copy source that is an access point"));
        }
        let (path, version) = match value.split_once('?') {
            None => (value.as_ref(), None),
            Some((path, query)) => {
                let version = query.strip_prefix("versionId=").and_then(exactly).filter(|id| !id.is_empty());
                (path, Some(version.ok_or_else(refused)?))
            }
        };
        // Some clients encode the slash between bucket and key as well.
        let path = exactly(path).ok_or_else(refused)?;
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (bucket, key) = path.split_once('/').ok_or_else(refused)?;
        if bucket.is_empty() || key.is_empty() || key.contains('\0') || key.len() > KEY_MAX {
            return Err(refused());
        }
        Ok(CopySource { bucket: bucket.to_owned(), key: key.to_owned(), version })
    }
}

/// Where headers and user metadata come from.
pub fn metadata(headers: &HeaderMap) -> Result<Directive, AwsError> {
    directive(headers, "x-amz-metadata-directive", "Unknown metadata directive.")
}

/// Where tags come from.
pub fn tagging(headers: &HeaderMap) -> Result<Directive, AwsError> {
    directive(headers, "x-amz-tagging-directive", "Unknown tagging directive.")
}

fn directive(headers: &HeaderMap, name: &str, unknown: &str) -> Result<Directive, AwsError> {
    match headers.get(name).map(|value| value.as_bytes()) {
        None | Some(b"COPY") => Ok(Directive::Copy),
        Some(b"REPLACE") => Ok(Directive::Replace),
        Some(other) => Err(errors::invalid_argument(unknown, name, String::from_utf8_lossy(other))),
    }
}

/// The headers of a copy that takes over its source's. Where a website sends its visitors is never taken over.
pub fn taken_over(source: Headers, asked: &Headers) -> Headers {
    let redirect = "x-amz-website-redirect-location";
    let mut headers = source;
    match asked.get(redirect) {
        Some(to) => headers.insert(redirect.to_owned(), to.clone()),
        None => headers.remove(redirect),
    };
    headers
}

/// What is kept of headers, by their names.
type Headers = BTreeMap<String, String>;

/// 400: a copy onto itself that changes nothing.
pub fn changes_nothing() -> AwsError {
    errors::invalid_request(
        "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
         metadata, storage class, website redirect location or encryption attributes.",
    )
}

/// Whether the request changes something that makes a copy onto itself lawful.
pub fn changes_something(headers: &HeaderMap) -> Result<bool, AwsError> {
    let says = ["x-amz-storage-class", "x-amz-website-redirect-location", "x-amz-server-side-encryption"];
    Ok(metadata(headers)? == Directive::Replace || says.iter().any(|name| headers.contains_key(*name)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn everything_is_taken_over_but_the_redirect() {
        let headers = |pairs: &[(&str, &str)]| -> Headers {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let redirect = "x-amz-website-redirect-location";
        let source = headers(&[("content-type", "text/plain"), (redirect, "/old")]);
        let kept = headers(&[("content-type", "text/plain")]);
        assert_eq!(taken_over(source.clone(), &headers(&[("content-type", "image/png")])), kept);
        let moved = headers(&[("content-type", "text/plain"), (redirect, "/new")]);
        assert_eq!(taken_over(source, &headers(&[(redirect, "/new")])), moved);
    }

    #[test]
    fn sources_have_a_bucket_and_a_key() {
        let check = |value: &str, expected: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-amz-copy-source", HeaderValue::from_str(value).expect("a value"));
            let said = match CopySource::of(&headers) {
                Ok(CopySource { bucket, key, version }) => {
                    format!("{bucket} {key} {}", version.unwrap_or_default())
                }
                Err(error) => error.code.to_owned(),
            };
            assert_eq!(said.trim_end(), expected, "{value}");
        };
        check("b/k", "b k");
        check("/b/k/l", "b k/l");
        check("b%2Fk", "b k");
        check("/b/a%20b+c%3Fd?versionId=v", "b a b+c?d v");
        check("b//k", "b /k");
        for bad in
            ["b", "/b", "b/", "/", "//k", "b/k?partNumber=1", "b/k?versionId=", "b/%FF", "b/%00", "b/%"]
        {
            check(bad, "InvalidArgument");
        }
        check("arn:aws:s3:us-west-2:1:accesspoint/a/object/k", "NotImplemented");
    }

    #[test]
    fn directives_are_two() {
        let check = |value: &'static str, expected: Result<Directive, &str>| {
            let mut headers = HeaderMap::new();
            headers.insert("x-amz-metadata-directive", HeaderValue::from_static(value));
            assert_eq!(metadata(&headers).map_err(|error| error.code), expected, "{value}");
        };
        check("COPY", Ok(Directive::Copy));
        check("REPLACE", Ok(Directive::Replace));
        check("replace", Err("InvalidArgument"));
        assert_eq!(changes_something(&HeaderMap::new()), Ok(false));
    }
}
