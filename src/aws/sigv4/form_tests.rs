//! Forms as the official Python client signs them, and policies that allow and refuse.

use super::super::tests::{NOW, at, pair};
use super::*;

const POLICY: &str = "eyJleHBpcmF0aW9uIjogIjIwMjYtMTEtMjVUMTU6MDA6MDBaIiwgImNvbmRpdGlvbnMiOiBbeyJidWNrZXQiOiAicGhvdG9zIn0sIFsic3RhcnRzLXdpdGgiLCAiJGtleSIsICJ1c2VyLyJdLCB7IngtYW16LWFsZ29yaXRobSI6ICJBV1M0LUhNQUMtU0hBMjU2In0sIHsieC1hbXotY3JlZGVudGlhbCI6ICJBS0lERVhBTVBMRS8yMDI2MTEyNS91cy1lYXN0LTEvczMvYXdzNF9yZXF1ZXN0In0sIHsieC1hbXotZGF0ZSI6ICIyMDI2MTEyNVQxNDAwMDBaIn1dfQ==";
const VERSION4: [(&str, &str); 6] = [
    ("key", "user/${filename}"),
    ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
    ("x-amz-credential", "AKIDEXAMPLE/20261125/us-east-1/s3/aws4_request"),
    ("X-Amz-Date", "20261125T140000Z"),
    ("policy", POLICY),
    ("x-amz-signature", "5f513c1ac4507991b6e4426163e7f43e9ca03427c6c57c9cf07b5de0d6289eb5"),
];
const VERSION2: [(&str, &str); 3] = [
    ("AWSAccessKeyId", "AKIDEXAMPLE"),
    (
        "policy",
        "eyJleHBpcmF0aW9uIjogIjIwMjYtMTEtMjVUMTU6MDA6MDBaIiwgImNvbmRpdGlvbnMiOiBbeyJidWNrZXQiOiAicGhvdG9zIn1dfQ==",
    ),
    ("signature", "zlLJ5xmpDmzz3WuMETzVC+jUoR8="),
];

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The form without this field, or with another value of it.
fn with(fields: &[(&str, &str)], name: &str, value: Option<&str>) -> Vec<(String, String)> {
    let mut fields = owned(fields);
    fields.retain(|(known, _)| known != name);
    fields.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    fields
}

#[test]
fn a_form_is_signed_by_its_policy() {
    let check = |fields: Vec<(String, String)>, anybody: &str, the_pair: &str| {
        for (keys, expected) in [(Keys::any(), anybody), (pair(), the_pair)] {
            let found = admit_form(&fields, &keys).map(|signer| signer.is_some());
            let said = found.map_or_else(|error| error.to_string(), |signed| signed.to_string());
            assert!(said.starts_with(expected), "{said} instead of {expected}");
        }
    };
    check(owned(&VERSION4), "true", "true");
    check(owned(&VERSION2), "true", "true");
    check(with(&VERSION4, "policy", Some("e30=")), "true", "SignatureDoesNotMatch");
    check(with(&VERSION2, "policy", Some("e30=")), "true", "SignatureDoesNotMatch");
    let other = "AKIDOTHER/20261125/us-east-1/s3/aws4_request";
    check(with(&VERSION4, "x-amz-credential", Some(other)), "true", "InvalidAccessKeyId");
    check(with(&VERSION4, "x-amz-credential", Some("?")), "AuthorizationQuery", "AuthorizationQuery");
    check(with(&VERSION4, "policy", None), "false", "AccessDenied");
    check(vec![], "false", "AccessDenied");
    let missing = "InvalidArgument: Bucket POST must contain a field named 'X-Amz-Signature'.";
    check(with(&VERSION4, "x-amz-signature", None), missing, missing);
    let missing = "InvalidArgument: Bucket POST must contain a field named 'Signature'.";
    check(with(&VERSION2, "signature", None), missing, missing);
}

/// Judges a policy of these conditions over these fields and a file of 10 bytes.
fn check(conditions: &str, fields: &[(&str, &str)], expected: &str) {
    let document = format!(r#"{{"expiration": "2026-11-25T15:00:00.000Z", "conditions": {conditions}}}"#);
    judge(&document, fields, expected);
}

fn judge(document: &str, fields: &[(&str, &str)], expected: &str) {
    let policy = Policy::read(&STANDARD.encode(document));
    let said = policy.and_then(|policy| policy.allows(&owned(fields), 10, at(NOW)));
    let said = said.map_or_else(|error| format!("{error}"), |()| "yes".to_owned());
    assert_eq!(said, expected, "{document} {fields:?}");
}

#[test]
fn a_policy_says_what_may_be_sent() {
    let failed =
        |told: &str| format!("AccessDenied: Invalid according to Policy: Policy Condition failed: {told}");
    check(r#"[{"bucket": "b"}, ["eq", "$Key", "k"]]"#, &[("bucket", "b"), ("key", "k")], "yes");
    check(r#"[["eq", "$key", "k"]]"#, &[("key", "l")], &failed(r#"["eq", "$key", "k"]"#));
    check(r#"[{"acl": "private"}]"#, &[], &failed(r#"["eq", "$acl", "private"]"#));
    check(r#"[["starts-with", "$key", "user/"]]"#, &[("KEY", "user/a")], "yes");
    check(
        r#"[["starts-with", "$key", "user/"]]"#,
        &[("key", "a")],
        &failed(r#"["starts-with", "$key", "user/"]"#),
    );
    check(r#"[["starts-with", "$key", ""]]"#, &[], "yes");
    let images = r#"[["starts-with", "$Content-Type", "image/"]]"#;
    check(images, &[("content-type", "image/png, image/gif")], "yes");
    check(
        images,
        &[("content-type", "image/png,text/plain")],
        &failed(r#"["starts-with", "$Content-Type", "image/"]"#),
    );
    let extra = "AccessDenied: Invalid according to Policy: Extra input fields: acl";
    check("[]", &[("acl", "public-read"), ("x-ignore-a", ""), ("policy", "")], extra);
    check(r#"[["content-length-range", 1, 10]]"#, &[], "yes");
    check(
        r#"[["content-length-range", "1", "9"]]"#,
        &[],
        "EntityTooLarge: Your proposed upload exceeds the maximum allowed size",
    );
    check(
        r#"[["content-length-range", 11, 12]]"#,
        &[],
        "EntityTooSmall: Your proposed upload is smaller than the minimum allowed size",
    );
}

#[test]
fn a_policy_that_is_none_or_old_is_refused() {
    let none = |why: &str| format!("InvalidPolicyDocument: Invalid Policy: {why}");
    judge(
        r#"{"expiration": "2026-11-25T14:00:29Z", "conditions": []}"#,
        &[],
        "AccessDenied: Invalid according to Policy: Policy expired.",
    );
    judge("{", &[], &none("Invalid JSON."));
    judge("[]", &[], &none("Invalid JSON."));
    judge("{}", &[], &none("Policy missing expiration."));
    judge(r#"{"expiration": "x"}"#, &[], &none("Invalid 'expiration' value: 'x'"));
    judge(r#"{"expiration": "2026-11-25T15:00:00Z"}"#, &[], &none("Policy missing conditions."));
    check(r#"[["like", "$key", "k"]]"#, &[], &none(r#"Invalid Condition: ["like","$key","k"]"#));
    check(r#"[["eq", "key", "k"]]"#, &[], &none(r#"Invalid Condition: ["eq","key","k"]"#));
    check("[1]", &[], &none("Invalid Condition: 1"));
    assert!(Policy::read("?").is_err());
}
