//! The failures of S3, with the texts, statuses and members of the service (semantics: F, S3 errors). Pure.

use http::Method;

use crate::aws::AwsError;

/// 404 `NoSuchBucket`.
pub fn no_such_bucket(bucket: &str) -> AwsError {
    AwsError::new(404, "NoSuchBucket", "The specified bucket does not exist").member("BucketName", bucket)
}

/// 404 `NoSuchKey`.
pub fn no_such_key(key: &str) -> AwsError {
    AwsError::new(404, "NoSuchKey", "The specified key does not exist.").member("Key", key)
}

/// 404 `NoSuchVersion`.
pub fn no_such_version(key: &str, version: &str) -> AwsError {
    AwsError::new(404, "NoSuchVersion", "The specified version does not exist.")
        .member("Key", key)
        .member("VersionId", version)
}

/// 404 `NoSuchUpload`.
pub fn no_such_upload(upload: &str) -> AwsError {
    let message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
                   aborted or completed.";
    AwsError::new(404, "NoSuchUpload", message).member("UploadId", upload)
}

/// 404: the key's latest version, or the one asked for, is a delete marker.
pub fn deleted(key: &str, version: &str) -> AwsError {
    no_such_key(key).header("x-amz-delete-marker", "true").header("x-amz-version-id", version)
}

/// 405: a delete marker was asked for by its version.
pub fn marker_not_allowed(method: &Method, version: &str) -> AwsError {
    method_not_allowed(method, "DeleteMarker")
        .header("x-amz-delete-marker", "true")
        .header("x-amz-version-id", version)
        .header("allow", "DELETE")
}

/// 405 `MethodNotAllowed`; the resource is `SERVICE`, `BUCKET`, `OBJECT` or a sub-resource such as `ACL`.
pub fn method_not_allowed(method: &Method, resource: &str) -> AwsError {
    AwsError::new(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        .member("Method", method.as_str())
        .member("ResourceType", resource)
}

/// 400 `InvalidPart`.
pub fn invalid_part(upload: &str, number: u32, etag: &str) -> AwsError {
    let message = "One or more of the specified parts could not be found.  The part may not have been uploaded, or \
                   the specified entity tag may not match the part's entity tag.";
    AwsError::new(400, "InvalidPart", message)
        .member("UploadId", upload)
        .member("PartNumber", number.to_string())
        .member("ETag", etag)
}

/// 400 `InvalidPartOrder`.
pub fn invalid_part_order(upload: &str) -> AwsError {
    let message = "The list of parts was not in ascending order. Parts must be ordered by part number.";
    AwsError::new(400, "InvalidPartOrder", message).member("UploadId", upload)
}

/// 400 `EntityTooSmall`: a part that is not the last and below 5 MiB.
pub fn entity_too_small(size: u64, min: u64, number: u32, etag: &str) -> AwsError {
    AwsError::new(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
        .member("ProposedSize", size.to_string())
        .member("MinSizeAllowed", min.to_string())
        .member("PartNumber", number.to_string())
        .member("ETag", etag)
}

/// 400 `EntityTooLarge`.
pub fn entity_too_large(size: u64, max: u64) -> AwsError {
    AwsError::new(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
        .member("ProposedSize", size.to_string())
        .member("MaxSizeAllowed", max.to_string())
}

/// 409 `BucketAlreadyExists`: somebody else has it.
pub fn bucket_already_exists(bucket: &str) -> AwsError {
    let message = "The requested bucket name is not available. The bucket namespace is shared by all users of the \
                   system. Please select a different name and try again.";
    AwsError::new(409, "BucketAlreadyExists", message).member("BucketName", bucket)
}

/// 409 `BucketAlreadyOwnedByYou`. (In us-east-1 making it again is a success.)
pub fn bucket_already_yours(bucket: &str) -> AwsError {
    let message = "Your previous request to create the named bucket succeeded and you already own it.";
    AwsError::new(409, "BucketAlreadyOwnedByYou", message).member("BucketName", bucket)
}

/// 409 `BucketNotEmpty`.
pub fn bucket_not_empty(bucket: &str) -> AwsError {
    let message = "The bucket you tried to delete is not empty";
    AwsError::new(409, "BucketNotEmpty", message).member("BucketName", bucket)
}

/// 409 `BucketNotEmpty`: no object is left, and yet versions or delete markers are.
pub fn bucket_has_versions(bucket: &str) -> AwsError {
    let message = "The bucket you tried to delete is not empty. You must delete all versions in the bucket.";
    AwsError::new(409, "BucketNotEmpty", message).member("BucketName", bucket)
}

/// 400 `InvalidBucketName`.
pub fn invalid_bucket_name(bucket: &str) -> AwsError {
    AwsError::new(400, "InvalidBucketName", "The specified bucket is not valid.").member("BucketName", bucket)
}

/// 400 `InvalidArgument` that names the argument and its value.
pub fn invalid_argument(message: impl Into<String>, name: &str, value: impl Into<String>) -> AwsError {
    let value: String = value.into();
    AwsError::new(400, "InvalidArgument", message).member("ArgumentName", name).member("ArgumentValue", value)
}

/// 400 `InvalidArgument` with nothing but a text.
pub fn bad_argument(message: impl Into<String>) -> AwsError {
    AwsError::new(400, "InvalidArgument", message)
}

/// 400 `InvalidRequest`.
pub fn invalid_request(message: impl Into<String>) -> AwsError {
    AwsError::new(400, "InvalidRequest", message)
}

/// 400 `BadRequest`.
pub fn bad_request(message: impl Into<String>) -> AwsError {
    AwsError::new(400, "BadRequest", message)
}

/// 416 `InvalidRange`.
pub fn invalid_range(asked: &str, size: u64) -> AwsError {
    AwsError::new(416, "InvalidRange", "The requested range is not satisfiable")
        .member("RangeRequested", asked)
        .member("ActualObjectSize", size.to_string())
        .header("content-range", format!("bytes */{size}"))
}

/// 416 `InvalidPartNumber`: the object has fewer parts.
pub fn invalid_part_number(asked: u32, parts: u32) -> AwsError {
    AwsError::new(416, "InvalidPartNumber", "The requested partnumber is not satisfiable")
        .member("PartNumberRequested", asked.to_string())
        .member("ActualPartCount", parts.to_string())
}

/// 412 `PreconditionFailed`; the condition as AWS spells it, `If-Match`.
pub fn precondition_failed(condition: &str) -> AwsError {
    let message = "At least one of the pre-conditions you specified did not hold";
    AwsError::new(412, "PreconditionFailed", message).member("Condition", condition)
}

/// 304: it has no body.
pub fn not_modified() -> AwsError {
    AwsError::new(304, "NotModified", "Not Modified")
}

/// 409 `ConditionalRequestConflict`.
pub fn conditional_conflict(condition: &str, key: &str) -> AwsError {
    let message =
        "The conditional request cannot succeed due to a conflicting operation against this resource.";
    AwsError::new(409, "ConditionalRequestConflict", message)
        .member("Condition", condition)
        .member("Key", key)
}

/// 409 `OperationAborted`.
pub fn operation_aborted() -> AwsError {
    let message = "A conflicting conditional operation is currently in progress against this resource. Please try \
                   again.";
    AwsError::new(409, "OperationAborted", message)
}

/// 400 `MalformedXML`.
pub fn malformed_xml() -> AwsError {
    let message = "The XML you provided was not well-formed or did not validate against our published schema";
    AwsError::new(400, "MalformedXML", message)
}

/// 400: a document is needed and the body is empty.
pub fn missing_body() -> AwsError {
    AwsError::new(400, "MissingRequestBodyError", "Request Body is empty")
}

/// 411 `MissingContentLength`.
pub fn missing_content_length() -> AwsError {
    AwsError::new(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
}

/// 400 `IncompleteBody`.
pub fn incomplete_body() -> AwsError {
    let message = "You did not provide the number of bytes specified by the Content-Length HTTP header";
    AwsError::new(400, "IncompleteBody", message)
}

/// 400 `InvalidDigest`: a `Content-MD5` that is no MD5.
pub fn invalid_digest(value: &str) -> AwsError {
    AwsError::new(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
        .member("Content-MD5", value)
}

/// 400 `BadDigest`: the content has another MD5.
pub fn bad_digest(expected: &str, calculated: &str) -> AwsError {
    AwsError::new(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
        .member("ExpectedDigest", expected)
        .member("CalculatedDigest", calculated)
}

/// 400 `BadDigest`: the content has another checksum; the algorithm as `CRC32`.
pub fn bad_checksum(algorithm: &str) -> AwsError {
    let message = format!("The {algorithm} you specified did not match the calculated checksum.");
    AwsError::new(400, "BadDigest", message)
}

/// 400 `InvalidTag`.
pub fn invalid_tag(message: &str, key: &str) -> AwsError {
    AwsError::new(400, "InvalidTag", message).member("TagKey", key)
}

/// 404 `NoSuchTagSet`, of a bucket.
pub fn no_such_tag_set(bucket: &str) -> AwsError {
    AwsError::new(404, "NoSuchTagSet", "The TagSet does not exist").member("BucketName", bucket)
}

/// 404 `NoSuchCORSConfiguration`.
pub fn no_such_cors(bucket: &str) -> AwsError {
    AwsError::new(404, "NoSuchCORSConfiguration", "The CORS configuration does not exist")
        .member("BucketName", bucket)
}

/// 404 `NoSuchLifecycleConfiguration`.
pub fn no_such_lifecycle(bucket: &str) -> AwsError {
    AwsError::new(404, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
        .member("BucketName", bucket)
}

/// 400: the bucket would lie elsewhere than the endpoint; `None` where the request names no place.
pub fn illegal_location(constraint: Option<&str>) -> AwsError {
    let message = format!(
        "The {} location constraint is incompatible for the region specific endpoint this request was sent to.",
        constraint.unwrap_or("unspecified")
    );
    AwsError::new(400, "IllegalLocationConstraintException", message)
}

/// 400 `InvalidLocationConstraint`.
pub fn invalid_location(constraint: &str) -> AwsError {
    AwsError::new(400, "InvalidLocationConstraint", "The specified location-constraint is not valid")
        .member("LocationConstraint", constraint)
}

/// 403 `InvalidObjectState`: an archived object would have to be restored first.
pub fn invalid_object_state(class: &str) -> AwsError {
    AwsError::new(403, "InvalidObjectState", "The operation is not valid for the object's storage class")
        .member("StorageClass", class)
}

/// 400 `InvalidStorageClass`.
pub fn invalid_storage_class(class: &str) -> AwsError {
    AwsError::new(400, "InvalidStorageClass", "The storage class you specified is not valid")
        .member("StorageClassRequested", class)
}

/// 400 `MetadataTooLarge`.
pub fn metadata_too_large(size: usize, max: usize) -> AwsError {
    let message = "Your metadata headers exceed the maximum allowed metadata size";
    AwsError::new(400, "MetadataTooLarge", message)
        .member("Size", size.to_string())
        .member("MaxSizeAllowed", max.to_string())
}

/// 400 `KeyTooLongError`.
pub fn key_too_long(size: usize, max: usize) -> AwsError {
    AwsError::new(400, "KeyTooLongError", "Your key is too long")
        .member("Size", size.to_string())
        .member("MaxSizeAllowed", max.to_string())
}

/// 400 `InvalidURI`.
pub fn invalid_uri(uri: &str) -> AwsError {
    AwsError::new(400, "InvalidURI", "Couldn't parse the specified URI.").member("URI", uri)
}

/// 400 `MalformedPOSTRequest`.
pub fn malformed_post() -> AwsError {
    let message = "The body of your POST request is not well-formed multipart/form-data.";
    AwsError::new(400, "MalformedPOSTRequest", message)
}

/// 400 `MaxPostPreDataLengthExceededError`.
pub fn post_fields_too_large(max: usize) -> AwsError {
    let message = "Your POST request fields preceding the upload file were too large.";
    AwsError::new(400, "MaxPostPreDataLengthExceededError", message)
        .member("MaxPostPreDataLengthBytes", max.to_string())
}

/// 403 `AccessForbidden`: what a preflight hears; the resource is `BUCKET` or `OBJECT`.
pub fn access_forbidden(message: &str, method: &str, resource: &str) -> AwsError {
    AwsError::new(403, "AccessForbidden", message).member("Method", method).member("ResourceType", resource)
}

/// 403 `AccessDenied`.
pub fn access_denied() -> AwsError {
    AwsError::new(403, "AccessDenied", "Access Denied")
}

/// 500: it is our fault. The text says what we tried.
pub fn internal(message: impl std::fmt::Display) -> AwsError {
    AwsError::new(500, "InternalError", message.to_string())
}

/// 503 `SlowDown`.
pub fn slow_down() -> AwsError {
    AwsError::new(503, "SlowDown", "Please reduce your request rate.")
}

/// 501: an operation of AWS that we do not have. It is named.
pub fn not_built(operation: &str) -> AwsError {
    let message = format!("{operation} is not implemented: dropwire does not have this operation of S3");
    AwsError::new(501, "NotImplemented", message).member("Operation", operation)
}

/// 501: a header of AWS that we would have to ignore.
pub fn header_not_built(header: &str) -> AwsError {
    AwsError::new(
        501,
        "NotImplemented",
        "A header you provided implies functionality that is not implemented",
    )
    .member("Header", header)
}

/// 501: a part of a configuration that we would have to ignore.
pub fn part_not_built(element: &str) -> AwsError {
    let message = format!("{element} is not implemented: dropwire would have to ignore it");
    AwsError::new(501, "NotImplemented", message).member("Element", element)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_the_status_the_code_and_the_members_of_the_service() {
        let check = |error: AwsError, expected: &str| {
            let members: Vec<String> =
                error.members.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            assert_eq!(format!("{} {}{}", error.status.as_u16(), error.code, members.concat()), expected);
        };
        check(no_such_bucket("b"), r#"404 NoSuchBucket BucketName="b""#);
        check(no_such_version("k", "v"), r#"404 NoSuchVersion Key="k" VersionId="v""#);
        check(
            invalid_range("bytes=9-", 3),
            r#"416 InvalidRange RangeRequested="bytes=9-" ActualObjectSize="3""#,
        );
        check(
            invalid_argument("m", "max-keys", "-1"),
            r#"400 InvalidArgument ArgumentName="max-keys" ArgumentValue="-1""#,
        );
        check(
            marker_not_allowed(&Method::GET, "v"),
            r#"405 MethodNotAllowed Method="GET" ResourceType="DeleteMarker""#,
        );
        check(not_built("GetBucketPolicy"), r#"501 NotImplemented Operation="GetBucketPolicy""#);
    }
}
