//! Headers whose meaning we would have to ignore: they are refused instead. Pure.

use http::HeaderMap;

use super::errors;
use super::operation::Operation;
use crate::aws::AwsError;

/// Headers of writes.
const OF_WRITES: [&str; 10] = [
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key-md5",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-context",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-event-hold",
    "x-amz-write-offset-bytes",
];
/// The key that an object is read with, which no object here was written with.
const OF_READS: [&str; 3] = [
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key-md5",
];
/// The same for what is copied.
const OF_SOURCES: [&str; 3] = [
    "x-amz-copy-source-server-side-encryption-customer-algorithm",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key-md5",
];
const BUCKET_KEY: &str = "x-amz-server-side-encryption-bucket-key-enabled";
const OWNERSHIP: &str = "x-amz-object-ownership";

/// A failure for the first header of a request that we would have to ignore.
pub fn check(operation: Operation, headers: &HeaderMap) -> Result<(), AwsError> {
    match operation {
        Operation::GetObject | Operation::HeadObject | Operation::GetObjectAttributes => {
            readable(headers, &OF_READS)
        }
        Operation::CopyObject | Operation::UploadPartCopy => {
            of_write(headers)?;
            readable(headers, &OF_SOURCES)
        }
        Operation::PutObject
        | Operation::CreateMultipartUpload
        | Operation::UploadPart
        | Operation::CompleteMultipartUpload => of_write(headers),
        Operation::CreateBucket => of_bucket(headers),
        _ => Ok(()),
    }
}

/// The same for what writes an object.
pub fn of_write(headers: &HeaderMap) -> Result<(), AwsError> {
    if let Some(name) = OF_WRITES.iter().find(|name| headers.contains_key(**name)) {
        return Err(errors::header_not_built(name));
    }
    match headers.get(BUCKET_KEY).map(|value| value.as_bytes()) {
        Some(value) if !value.eq_ignore_ascii_case(b"false") => Err(errors::header_not_built(BUCKET_KEY)),
        _ => Ok(()),
    }
}

fn readable(headers: &HeaderMap, keys: &[&str]) -> Result<(), AwsError> {
    match keys.iter().any(|name| headers.contains_key(*name)) {
        true => Err(errors::invalid_request("The encryption parameters are not applicable to this object.")),
        false => Ok(()),
    }
}

/// Where all belongs to one account, it does not matter who owns objects; but access lists always work here.
fn of_bucket(headers: &HeaderMap) -> Result<(), AwsError> {
    match headers.get(OWNERSHIP).map(|value| value.to_str().unwrap_or("?")) {
        None | Some("ObjectWriter" | "BucketOwnerPreferred") => Ok(()),
        Some("BucketOwnerEnforced") => Err(errors::header_not_built(OWNERSHIP)),
        Some(other) => {
            let message = format!("Invalid x-amz-object-ownership header: {other}");
            Err(errors::invalid_argument(message, OWNERSHIP, other))
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_would_be_ignored_is_refused() {
        let says = |operation: Operation, name: &'static str, value: &'static str, expected: &str| {
            let headers =
                HeaderMap::from_iter([(name.parse().expect("a name"), HeaderValue::from_static(value))]);
            let said = check(operation, &headers).map_or_else(|error| error.code, |()| "fine");
            assert_eq!(said, expected, "{operation:?} {name}: {value}");
        };
        let key = "x-amz-server-side-encryption-customer-key";
        for write in [Operation::PutObject, Operation::CopyObject, Operation::UploadPart] {
            says(write, key, "k", "NotImplemented");
            says(write, "x-amz-server-side-encryption-context", "e30=", "NotImplemented");
            says(write, BUCKET_KEY, "true", "NotImplemented");
            says(write, BUCKET_KEY, "false", "fine");
            says(write, "x-amz-storage-class", "STANDARD", "fine");
        }
        says(Operation::GetObject, key, "k", "InvalidRequest");
        says(Operation::HeadObject, key, "k", "InvalidRequest");
        says(Operation::DeleteObject, key, "k", "fine");
        let source = "x-amz-copy-source-server-side-encryption-customer-key";
        says(Operation::UploadPartCopy, source, "k", "InvalidRequest");
        says(Operation::CreateBucket, OWNERSHIP, "ObjectWriter", "fine");
        says(Operation::CreateBucket, OWNERSHIP, "BucketOwnerEnforced", "NotImplemented");
        says(Operation::CreateBucket, OWNERSHIP, "Nobody", "InvalidArgument");
    }
}
