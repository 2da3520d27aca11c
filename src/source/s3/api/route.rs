//! Which operation of S3 a request asks for, and on what: its method, host, path, query and headers. Pure.

use http::request::Parts;
use http::{HeaderMap, Method, header};

use super::errors;
use super::operation::{OF_BUCKETS, OF_OBJECTS, Operation, Resource};
use crate::aws::{AwsError, query_of};

/// Bytes in a key.
pub const KEY_MAX: usize = 1024;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The bucket; None where all of them are meant. It need not be a name that a bucket can have.
    pub bucket: Option<String>,
    /// The key, decoded to the letter.
    pub key: Option<String>,
    /// What is asked for.
    pub operation: Operation,
}

/// Reads the head of a request; its body is of no concern here. Buckets have hosts of their own below localhost and
/// `hosts`.
pub fn route(head: &Parts, hosts: &[String]) -> Result<Route, AwsError> {
    let (bucket, key) = named(head, hosts)?;
    let query = query_of(head.uri.query().unwrap_or_default());
    let asked = Asked { head, query: &query };
    let operation = match (&bucket, &key) {
        _ if head.method == Method::OPTIONS => Operation::Preflight,
        (None, _) => asked.of_the_service()?,
        (Some(_), None) => asked.of_a_bucket()?,
        (Some(_), Some(_)) => asked.of_an_object()?,
    };
    Ok(Route { bucket, key, operation })
}

/// Bucket and key, from host and path.
fn named(head: &Parts, hosts: &[String]) -> Result<(Option<String>, Option<String>), AwsError> {
    let path = head.uri.path();
    let rest = path.strip_prefix('/').unwrap_or(path);
    let (bucket, key) = match bucket_of_host(host(head), hosts) {
        Some(bucket) => (Some(bucket), rest),
        None if rest.is_empty() => return Ok((None, None)),
        None => {
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            let bucket = exactly(bucket).ok_or_else(|| errors::invalid_uri(path))?;
            if bucket.is_empty() {
                return Err(errors::invalid_bucket_name(""));
            }
            (Some(bucket), key)
        }
    };
    if key.is_empty() {
        return Ok((bucket, None));
    }
    let key = exactly(key).filter(|key| !key.contains('\0')).ok_or_else(|| errors::invalid_uri(path))?;
    check_length(&key)?;
    Ok((bucket, Some(key)))
}

/// A failure for a key that is too long.
pub fn check_length(key: &str) -> Result<(), AwsError> {
    match key.len() {
        size if size > KEY_MAX => Err(errors::key_too_long(size, KEY_MAX)),
        _ => Ok(()),
    }
}

/// The bucket whose host a request names, if it names one.
pub fn bucket_by_host(headers: &HeaderMap, hosts: &[String]) -> Option<String> {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    bucket_of_host(without_port(named?), hosts)
}

/// The host without its port; empty if there is none.
fn host(head: &Parts) -> &str {
    let named = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    without_port(named.or(head.uri.authority().map(|authority| authority.as_str())).unwrap_or_default())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// `photos.s3.localhost`, `photos.localhost` and `photos.s3.eu-west-1.amazonaws.com` are the bucket `photos`, and so is
/// `photos.box.lan` where we are called `box.lan`.
fn bucket_of_host(host: &str, hosts: &[String]) -> Option<String> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let below = |name: &str| host.strip_suffix(name)?.strip_suffix('.');
    let named = hosts.iter().find_map(|name| below(name)).or(below("localhost"));
    let (labels, is_ours) = match (named, host.strip_suffix(".amazonaws.com")) {
        (Some(labels), _) => (labels, true),
        (None, Some(labels)) => (labels, false),
        (None, None) => return None,
    };
    let labels: Vec<&str> = labels.split('.').collect();
    let service = labels.iter().rposition(|label| *label == "s3" || (!is_ours && label.starts_with("s3-")));
    let bucket = match service {
        Some(at) => labels.get(..at)?.join("."),
        None if is_ours => labels.join("."),
        None => return None,
    };
    Some(bucket).filter(|bucket| !bucket.is_empty())
}

/// Percent-decoding that takes nothing for granted: None for a `%` without two digits, and for what is no UTF-8.
pub fn exactly(text: &str) -> Option<String> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => digit(bytes.next()?)? << 4 | digit(bytes.next()?)?,
            other => other,
        };
        plain.push(byte);
    }
    String::from_utf8(plain).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// A request whose bucket and key are known.
struct Asked<'a> {
    head: &'a Parts,
    query: &'a [(String, String)],
}

impl Asked<'_> {
    fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn refused<T>(&self, resource: &str) -> Result<T, AwsError> {
        Err(errors::method_not_allowed(&self.head.method, resource))
    }

    fn of_the_service(&self) -> Result<Operation, AwsError> {
        match self.head.method {
            Method::GET => Ok(Operation::ListBuckets),
            _ => self.refused("SERVICE"),
        }
    }

    /// The one sub-resource of the query. Two of them contradict each other.
    fn resource<'t>(&self, table: &'t [Resource]) -> Result<Option<&'t Resource>, AwsError> {
        let mut found = self.query.iter().filter_map(|(name, _)| table.iter().find(|one| one.name == name));
        let Some(first) = found.next() else { return Ok(None) };
        match found.find(|other| other.name != first.name) {
            None => Ok(Some(first)),
            Some(other) => {
                let message = format!("Conflicting query string parameters: {}, {}", first.name, other.name);
                Err(errors::invalid_argument(message, "ResourceType", first.name))
            }
        }
    }

    fn of_a_bucket(&self) -> Result<Operation, AwsError> {
        let method = &self.head.method;
        if let Some(resource) = self.resource(OF_BUCKETS)? {
            return match resource.operation(method) {
                Some(operation) => Ok(self.listed(resource, operation)),
                None if self.wants_a_key(method) => Err(errors::invalid_request("A key must be specified")),
                None => self.refused(&resource.name.to_ascii_uppercase()),
            };
        }
        if self.wants_a_key(method) {
            return Err(errors::invalid_request("A key must be specified"));
        }
        match *method {
            Method::GET => match self.value("list-type") {
                Some("2") => Ok(Operation::ListObjectsV2),
                None | Some("1" | "") => Ok(Operation::ListObjects),
                Some(other) => {
                    let message = "Invalid List Type specified in Request";
                    Err(errors::invalid_argument(message, "list-type", other))
                }
            },
            Method::HEAD => Ok(Operation::HeadBucket),
            Method::PUT => Ok(Operation::CreateBucket),
            Method::DELETE => Ok(Operation::DeleteBucket),
            Method::POST if self.is_a_form() => Ok(Operation::PostObject),
            Method::POST => {
                let condition = "Bucket POST must be of the enclosure-type multipart/form-data";
                Err(errors::precondition_failed(condition))
            }
            _ => self.refused("BUCKET"),
        }
    }

    /// Whether this method does something with a sub-resource of the query, if only it had a key.
    fn wants_a_key(&self, method: &Method) -> bool {
        let of_objects = |name: &str| OF_OBJECTS.iter().find(|one| one.name == name);
        let has_use = |resource: &Resource| resource.operation(method).is_some();
        self.has("uploadId") || self.query.iter().any(|(name, _)| of_objects(name).is_some_and(has_use))
    }

    /// Four sub-resources are lists when no id picks one of them.
    fn listed(&self, resource: &Resource, operation: Operation) -> Operation {
        if self.has("id") || self.head.method != Method::GET {
            return operation;
        }
        match resource.name {
            "analytics" => Operation::NotBuilt("ListBucketAnalyticsConfigurations"),
            "inventory" => Operation::NotBuilt("ListBucketInventoryConfigurations"),
            "metrics" => Operation::NotBuilt("ListBucketMetricsConfigurations"),
            "intelligent-tiering" => Operation::NotBuilt("ListBucketIntelligentTieringConfigurations"),
            _ => operation,
        }
    }

    fn is_a_form(&self) -> bool {
        let kind = self.head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data"))
    }

    fn of_an_object(&self) -> Result<Operation, AwsError> {
        let method = &self.head.method;
        if let Some(resource) = self.resource(OF_OBJECTS)? {
            return match resource.operation(method) {
                Some(Operation::NotBuilt("GetObjectAnnotation")) if !self.has("annotationName") => {
                    Ok(Operation::NotBuilt("ListObjectAnnotations"))
                }
                Some(operation) => Ok(operation),
                None if *method == Method::HEAD => Ok(Operation::HeadObject),
                None if resource.name == "uploads" => Err(self.no_key("uploads")),
                None => self.refused(&resource.name.to_ascii_uppercase()),
            };
        }
        let of_bucket = self.resource(OF_BUCKETS)?.filter(|resource| resource.operation(method).is_some());
        if let Some(resource) = of_bucket {
            return Err(self.no_key(resource.name));
        }
        let has_upload = self.has("uploadId");
        match *method {
            Method::GET if has_upload => Ok(Operation::ListParts),
            Method::GET => Ok(Operation::GetObject),
            Method::HEAD => Ok(Operation::HeadObject),
            Method::PUT => self.put_of_an_object(),
            Method::POST if has_upload => Ok(Operation::CompleteMultipartUpload),
            Method::POST if self.head.headers.contains_key("x-amz-request-route") => {
                Ok(Operation::NotBuilt("WriteGetObjectResponse"))
            }
            Method::DELETE if has_upload => Ok(Operation::AbortMultipartUpload),
            Method::DELETE => Ok(Operation::DeleteObject),
            _ => self.refused("OBJECT"),
        }
    }

    fn no_key(&self, resource: &str) -> AwsError {
        let method = &self.head.method;
        errors::invalid_request(format!(
            "Key is not expected for the {method} method ?{resource} subresource"
        ))
    }

    fn put_of_an_object(&self) -> Result<Operation, AwsError> {
        let has = |name: &str| self.head.headers.contains_key(name);
        let is_copy = has("x-amz-copy-source");
        match (self.value("partNumber"), self.value("uploadId")) {
            (Some(_), Some(_)) if is_copy => Ok(Operation::UploadPartCopy),
            (Some(_), Some(_)) => Ok(Operation::UploadPart),
            (Some(number), None) => {
                let message = "This operation does not accept partNumber without uploadId";
                Err(errors::invalid_argument(message, "partNumber", number))
            }
            (None, Some(upload)) => {
                let message = "This operation does not accept uploadId without partNumber";
                Err(errors::invalid_argument(message, "uploadId", upload))
            }
            (None, None) if has("x-amz-rename-source") => Ok(Operation::NotBuilt("RenameObject")),
            (None, None) if is_copy => Ok(Operation::CopyObject),
            (None, None) if has("x-amz-write-offset-bytes") => {
                Err(errors::header_not_built("x-amz-write-offset-bytes"))
            }
            (None, None) => Ok(Operation::PutObject),
        }
    }
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
