//! Requests, and where they go.

use proptest::prelude::*;

use super::*;

fn head(request: &str) -> Option<Parts> {
    let (line, headers) = request.split_once(" | ").unwrap_or((request, ""));
    let (method, uri) = line.split_once(' ')?;
    let mut builder = http::Request::builder().method(method).uri(uri);
    for pair in headers.split("; ").filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once(": ")?;
        builder = builder.header(name, value);
    }
    Some(builder.body(()).ok()?.into_parts().0)
}

/// `Operation bucket key`, or status, code and text.
fn said(request: &str) -> String {
    match route(&head(request).unwrap_or_else(|| panic!("no request: {request}")), &["box.lan".to_owned()]) {
        Ok(Route { bucket, key, operation }) => {
            let operation = match operation {
                Operation::NotBuilt(name) => format!("!{name}"),
                other => format!("{other:?}"),
            };
            [Some(operation), bucket, key].into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
        Err(error) => format!("{} {}", error.status.as_u16(), error),
    }
}

fn check(request: &str, expected: &str) {
    assert_eq!(said(request), expected, "{request}");
}

#[test]
fn methods_and_sub_resources_name_operations() {
    check("GET /", "ListBuckets");
    check("GET /?x-id=ListBuckets", "ListBuckets");
    check("PUT /b", "CreateBucket b");
    check("PUT /b/", "CreateBucket b");
    check("HEAD /b", "HeadBucket b");
    check("DELETE /b", "DeleteBucket b");
    check("GET /b", "ListObjects b");
    check("GET /b?list-type=2&prefix=a", "ListObjectsV2 b");
    check("GET /b?versions", "ListObjectVersions b");
    check("GET /b?uploads=", "ListMultipartUploads b");
    check("GET /b?location", "GetBucketLocation b");
    for (resource, name) in [
        ("cors", "BucketCors"),
        ("lifecycle", "BucketLifecycle"),
        ("tagging", "BucketTagging"),
        ("policy", "BucketPolicy"),
        ("website", "BucketWebsite"),
        ("publicAccessBlock", "PublicAccessBlock"),
    ] {
        let mark = if ["policy", "website", "publicAccessBlock"].contains(&resource) { "!" } else { "" };
        check(&format!("GET /b?{resource}"), &format!("{mark}Get{name} b"));
        check(&format!("PUT /b?{resource}"), &format!("{mark}Put{name} b"));
        check(&format!("DELETE /b?{resource}"), &format!("{mark}Delete{name} b"));
    }
    check("PUT /b?notification", "PutBucketNotification b");
    check("GET /b?versioning", "GetBucketVersioning b");
    check("PUT /b?acl", "PutBucketAcl b");
    check("POST /b?delete", "DeleteObjects b");
    check("POST /b | content-type: multipart/form-data;boundary=x", "PostObject b");
    check("GET /b?inventory&id=1", "!GetBucketInventoryConfiguration b");
    check("GET /b?inventory", "!ListBucketInventoryConfigurations b");
    check("OPTIONS /b/k", "Preflight b k");
}

#[test]
fn objects_have_operations_of_their_own() {
    check("GET /b/k?versionId=1&response-content-type=a", "GetObject b k");
    check("GET /b/k?partNumber=1", "GetObject b k");
    check("HEAD /b/k", "HeadObject b k");
    check("PUT /b/k?x-id=PutObject", "PutObject b k");
    check("PUT /b/k | x-amz-copy-source: /a/b", "CopyObject b k");
    check("PUT /b/k?partNumber=1&uploadId=u", "UploadPart b k");
    check("PUT /b/k?partNumber=1&uploadId=u | x-amz-copy-source: /a/b", "UploadPartCopy b k");
    check("POST /b/k?uploads", "CreateMultipartUpload b k");
    check("POST /b/k?uploadId=u", "CompleteMultipartUpload b k");
    check("GET /b/k?uploadId=u", "ListParts b k");
    check("DELETE /b/k?uploadId=u", "AbortMultipartUpload b k");
    check("DELETE /b/k?versionId=null", "DeleteObject b k");
    check("GET /b/k?attributes", "GetObjectAttributes b k");
    check("DELETE /b/k?tagging", "DeleteObjectTagging b k");
    check("PUT /b/k?acl", "PutObjectAcl b k");
    check("POST /b/k?restore", "!RestoreObject b k");
    check("POST /b/k?select&select-type=2", "!SelectObjectContent b k");
    check("PUT /b/k?retention", "!PutObjectRetention b k");
    check("GET /b/k?torrent", "!GetObjectTorrent b k");
    check("PUT /b/k?renameObject | x-amz-rename-source: /b/a", "!RenameObject b k");
    check("GET /b/k?annotation", "!ListObjectAnnotations b k");
    check(
        "POST /WriteGetObjectResponse/x | x-amz-request-route: r",
        "!WriteGetObjectResponse WriteGetObjectResponse x",
    );
}

#[test]
fn hosts_may_name_the_bucket() {
    check("GET /k | host: photos.s3.localhost:4566", "GetObject photos k");
    check("GET / | host: photos.localhost:4566", "ListObjects photos");
    check("GET /a/b | host: my.photos.s3.eu-west-1.amazonaws.com", "GetObject my.photos a/b");
    check("GET /a/b | host: photos.s3-eu-west-1.amazonaws.com", "GetObject photos a/b");
    check("GET /a/b | host: photos.s3.amazonaws.com", "GetObject photos a/b");
    check("GET /a/b | host: s3.amazonaws.com", "GetObject a b");
    check("GET /a/b | host: s3.eu-west-1.amazonaws.com", "GetObject a b");
    check("GET /a/b | host: s3.localhost:1", "GetObject a b");
    check("GET /a/b | host: localhost:4566", "GetObject a b");
    check("GET /a/b | host: photos.box.lan:4566", "GetObject photos a/b");
    check("GET /a/b | host: photos.s3.box.lan", "GetObject photos a/b");
    check("GET /a/b | host: box.lan:4566", "GetObject a b");
    check("GET /a/b | host: notbox.lan:4566", "GetObject a b");
    check("GET /a/b | host: 127.0.0.1:4566", "GetObject a b");
    check("GET /a/b | host: [::1]:4566", "GetObject a b");
    check("GET //x | host: photos.localhost", "GetObject photos /x");
    check("GET http://photos.s3.localhost:1/k", "GetObject photos k");
}

#[test]
fn keys_are_what_was_written() {
    check("GET /b/a+b", "GetObject b a+b");
    check("GET /b/a%2Bb%20c", "GetObject b a+b c");
    check("GET /b/..", "GetObject b ..");
    check("GET /b/a/../../c", "GetObject b a/../../c");
    check("GET /b/a//b", "GetObject b a//b");
    check("GET /b/dir/", "GetObject b dir/");
    check("GET /b//x", "GetObject b /x");
    check("GET /b/%2Fx", "GetObject b /x");
    check("GET /b/%C3%BC%F0%9F%98%80", "GetObject b ü😀");
    check("GET /b/a%3Fb%23c", "GetObject b a?b#c");
    check("GET /b/%2e", "GetObject b .");
    check("GET /b/%FF", "400 InvalidURI: Couldn't parse the specified URI.");
    check("GET /b/%", "400 InvalidURI: Couldn't parse the specified URI.");
    check("GET /b/%4", "400 InvalidURI: Couldn't parse the specified URI.");
    check("GET /b/%zz", "400 InvalidURI: Couldn't parse the specified URI.");
    check("GET /b/a%00b", "400 InvalidURI: Couldn't parse the specified URI.");
    check("GET //x", "400 InvalidBucketName: The specified bucket is not valid.");
    let longest = "k".repeat(1024);
    check(&format!("GET /b/{longest}"), &format!("GetObject b {longest}"));
    check(&format!("GET /b/{longest}%20"), "400 KeyTooLongError: Your key is too long");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let not_allowed = "405 MethodNotAllowed: The specified method is not allowed against this resource.";
    check("PUT /", not_allowed);
    check("PATCH /b/k", not_allowed);
    check("POST /b/k", not_allowed);
    check("DELETE /b?versioning", not_allowed);
    check("DELETE /b/k?acl", not_allowed);
    check("PUT /b?location", not_allowed);
    check("POST /b", "412 PreconditionFailed: At least one of the pre-conditions you specified did not hold");
    check("POST /b?uploads", "400 InvalidRequest: A key must be specified");
    check(
        "GET /b/k?uploads",
        "400 InvalidRequest: Key is not expected for the GET method ?uploads subresource",
    );
    check("GET /b?acl&cors", "400 InvalidArgument: Conflicting query string parameters: acl, cors");
    check(
        "PUT /b/k?partNumber=1",
        "400 InvalidArgument: This operation does not accept partNumber without uploadId",
    );
}

proptest! {
    #[test]
    fn no_request_is_too_odd(
        method in "GET|PUT|POST|HEAD|DELETE|OPTIONS|PATCH|X",
        path in "(/[a-z%0-9A-F./+]{0,8}){0,4}|[ -~]{0,30}",
        query in "([a-zA-Z-]{0,9}(=[a-z0-9%]{0,4})?&?){0,3}",
        host in "[a-z.0-9:\\[\\]-]{0,30}(s3)?(.localhost|.amazonaws.com)?(:[0-9]{1,5})?",
    ) {
        if let Some(head) = head(&format!("{method} {path}?{query} | host: {host}"))
            && let Ok(route) = route(&head, &[])
        {
            prop_assert!(route.key.as_ref().is_none_or(|key| (1..=KEY_MAX).contains(&key.len())));
            prop_assert!(route.key.is_none() || route.bucket.is_some());
            prop_assert!(route.bucket.as_ref().is_none_or(|bucket| !bucket.is_empty()));
        }
    }

    #[test]
    fn every_key_survives_its_encoding(key in "\\PC{1,40}") {
        let encoded: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
        prop_assume!(!key.contains('\0'));
        let head = head(&format!("GET /b/{encoded}")).expect("a request");
        prop_assert_eq!(route(&head, &[]).ok().and_then(|route| route.key), Some(key));
    }
}
