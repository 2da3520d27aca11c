//! Requests as the official Python client signs them (botocore 1.43), and what becomes of them when they are changed.

use http::Request as HttpRequest;
use http::request::Parts;

use super::*;

pub(super) const NOW: &str = "2026-11-25T14:00:30Z";

pub(super) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

fn keys_of(secret: &str) -> Keys {
    Keys::only(Pair::new("AKIDEXAMPLE", secret).expect("a pair"))
}

pub(super) fn pair() -> Keys {
    keys_of("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
}

fn head(request: &str, headers: &[(&str, &str)]) -> Parts {
    let (method, uri) = request.split_once(' ').expect("method and path");
    let mut builder = HttpRequest::builder().method(method).uri(uri);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).expect("a request").into_parts().0
}

/// Lets in (`""`), or refuses with these words, of which the first is the code.
fn check((head, body): (&Parts, Option<&[u8]>), keys: &Keys, now: &str, expected: &str) {
    let found = Request::of(head).admit(body, keys, at(now));
    match (found, expected) {
        (Ok(_), "") => {}
        (Ok(_), words) => panic!("let in instead of {words}"),
        (Err(error), "") => panic!("refused: {error} {:?}", error.members),
        (Err(error), words) => {
            let said = format!("{error} {:?}", error.members);
            assert!(said.starts_with(words.split("…").next().unwrap_or_default()), "{said}");
            assert!(words.split('…').all(|part| said.contains(part)), "{said} instead of {words}");
        }
    }
}

const PUT: &str = "PUT /photos/a%20b/%E2%82%AC(1).jpg?partNumber=2&uploadId=x%2By&acl";
const PUT_HEADERS: [(&str, &str); 6] = [
    ("host", "127.0.0.1:4566"),
    ("x-amz-meta-a", "  two   words "),
    ("content-type", "text/plain"),
    ("x-amz-date", "20261125T140000Z"),
    ("x-amz-content-sha256", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"),
    (
        "authorization",
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261125/us-east-1/s3/aws4_request, \
         SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-a, \
         Signature=a5a648cbc934e9c56ffefad097cb73a62c4b8a9de996fefe13583928f1839c48",
    ),
];

fn put(name: &str, value: &str) -> Parts {
    let mut headers: Vec<_> = PUT_HEADERS.into_iter().filter(|(known, _)| *known != name).collect();
    if !value.is_empty() {
        headers.push((name, value));
    }
    head(PUT, &headers)
}

#[test]
fn a_signed_header_is_checked_where_there_is_a_pair() {
    let good = head(PUT, &PUT_HEADERS);
    let admitted = admit(&good, &pair(), at(NOW)).expect("let in");
    assert_eq!(admitted.signer.expect("signed").region, "us-east-1");
    assert!(matches!(admitted.payload, Payload::Plain { sha256: Some(_) }));
    let refused = |head: &Parts, expected: &str| {
        check((head, None), &Keys::any(), NOW, "");
        check((head, None), &pair(), NOW, expected);
    };
    refused(
        &put("content-type", "text/html"),
        "SignatureDoesNotMatch…StringToSign…CanonicalRequest…text/html",
    );
    refused(&put("host", "127.0.0.1:4567"), "SignatureDoesNotMatch");
    refused(&put("x-amz-meta-b", "c"), "AccessDenied: There were headers present…x-amz-meta-b");
    refused(&put("x-amz-date", ""), "AccessDenied: AWS authentication requires a valid Date");
    refused(&put("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), "SignatureDoesNotMatch");
    refused(&put("x-amz-content-sha256", ""), "InvalidRequest: Missing required header");
    refused(&put("authorization", ""), "AccessDenied: Access Denied");
    let other = PUT_HEADERS[5].1.replace("AKIDEXAMPLE", "AKIDOTHER");
    refused(&put("authorization", &other), "InvalidAccessKeyId…AKIDOTHER");
    let day = PUT_HEADERS[5].1.replace("20261125/", "20261124/");
    refused(&put("authorization", &day), "AuthorizationHeaderMalformed…Invalid credential date");
    let cut = PUT_HEADERS[5].1.replace("839c48", "839c");
    refused(&put("authorization", &cut), "SignatureDoesNotMatch");
    refused(&head(&PUT.replace("a%20b", "a%20c"), &PUT_HEADERS), "SignatureDoesNotMatch");
    refused(&head(&PUT.replace("&acl", ""), &PUT_HEADERS), "SignatureDoesNotMatch");
    refused(&head(&PUT.replace("PUT", "GET"), &PUT_HEADERS), "SignatureDoesNotMatch");
    let wrong = keys_of("another-secret");
    check((&good, None), &wrong, NOW, "SignatureDoesNotMatch");
}

#[test]
fn the_order_of_a_query_and_the_case_of_its_escapes_do_not_matter() {
    let same = "PUT /photos/a%20b/%E2%82%AC(1).jpg?acl=&uploadId=x%2by&partNumber=2";
    check((&head(same, &PUT_HEADERS), None), &pair(), NOW, "");
}

#[test]
fn the_date_of_a_header_is_judged_only_where_there_is_a_pair() {
    let good = head(PUT, &PUT_HEADERS);
    for now in ["2026-11-25T13:45:00Z", "2026-11-25T14:15:00Z"] {
        check((&good, None), &pair(), now, "");
    }
    for now in ["2026-11-25T13:44:59Z", "2026-11-25T14:15:01Z", "2031-01-01T00:00:00Z"] {
        check((&good, None), &Keys::any(), now, "");
        check((&good, None), &pair(), now, "RequestTimeTooSkewed: The difference…20261125T140000Z…900000");
    }
}

#[test]
fn what_is_malformed_is_refused_whoever_is_welcome() {
    let check = |authorization: &str, expected: &str| {
        check((&put("authorization", authorization), None), &Keys::any(), NOW, expected);
    };
    check("AWS AKID:signature", "InvalidRequest: The authorization mechanism");
    check("Bearer x", "InvalidRequest: The authorization mechanism");
    check("AWS4-HMAC-SHA256 Credential=k, SignedHeaders=host, Signature=0", "AuthorizationHeaderMalformed");
    check("AWS4-HMAC-SHA256 Credential=k/20261125/r/s3/aws4_request", "AuthorizationHeaderMalformed");
    check("€", "InvalidRequest");
}

const INVOKE: &str = "POST /2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af/\
     invocations?Qualifier=%24LATEST";

#[test]
fn other_services_encode_twice_and_sign_the_body() {
    let signed = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261125/us-east-1/lambda/aws4_request, \
         SignedHeaders=host;x-amz-date;x-amz-invocation-type;x-amz-security-token, \
         Signature=d43e8e8c9a335a7a867db3bd51973266a40adda054460f448dd85200baf92265";
    let headers = [
        ("host", "127.0.0.1:4566"),
        ("x-amz-invocation-type", "Event"),
        ("x-amz-date", "20261125T140000Z"),
        ("x-amz-security-token", "token/+=="),
        ("authorization", signed),
    ];
    let good = head(INVOKE, &headers);
    let check = |head: &Parts, body: &[u8], expected: &str| {
        check((head, Some(body)), &pair(), NOW, expected);
    };
    check(&good, b"{\"a\":1}", "");
    assert!(admit_whole(&good, b"{\"a\":1}", &pair(), at(NOW)).is_ok());
    check(&good, b"{\"a\":2}", "InvalidSignatureException: The request signature we calculated");
    check(&head(INVOKE, &headers[..4]), b"", "MissingAuthenticationTokenException");
    let other = signed.replace("AKIDEXAMPLE", "AKIDOTHER");
    let stranger = head(INVOKE, &[&headers[..4], &[("authorization", &*other)]].concat());
    check(&stranger, b"{\"a\":1}", "UnrecognizedClientException");
    super::tests::check(
        (&good, None),
        &pair(),
        "2026-11-25T15:00:00Z",
        "InvalidSignatureException: Signature expired",
    );
}

const PRESIGNED: &str = "GET /photos/a%20b.jpg?response-content-type=text%2Fplain&X-Amz-Algorithm=AWS4-HMAC-SHA256\
     &X-Amz-Credential=AKIDEXAMPLE%2F20261125%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20261125T140000Z\
     &X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Security-Token=token%2F%2B%3D%3D\
     &X-Amz-Signature=bfbb8b65e17e81da4d12b919fa0546539e85c474cd79c5a1b5b60524bfa7857a";
const HOST: [(&str, &str); 1] = [("host", "127.0.0.1:4566")];

#[test]
fn a_presigned_request_is_good_until_it_expires() {
    let good = head(PRESIGNED, &HOST);
    for keys in [Keys::any(), pair()] {
        check((&good, None), &keys, "2026-11-25T14:01:00Z", "");
        let late = "AccessDenied: Request has expired [(\"X-Amz-Expires\", Number(60)), (\"Expires\", \
                    String(\"2026-11-25T14:01:00Z\")), (\"ServerTime\", String(\"2026-11-25T14:01:01Z\"))]";
        check((&good, None), &keys, "2026-11-25T14:01:01Z", late);
    }
    check((&good, None), &Keys::any(), "2026-11-25T10:00:00Z", "");
    check((&good, None), &pair(), "2026-11-25T10:00:00Z", "AccessDenied: Request is not valid yet");
}

#[test]
fn a_presigned_request_that_was_changed_is_refused() {
    let changed = |from: &str, to: &str, (anybody, the_pair): (&str, &str)| {
        let head = head(&PRESIGNED.replace(from, to), &HOST);
        check((&head, None), &Keys::any(), NOW, anybody);
        check((&head, None), &pair(), NOW, the_pair);
    };
    let no_match = ("", "SignatureDoesNotMatch");
    changed("a%20b", "a", no_match);
    changed("Expires=60", "Expires=61", no_match);
    changed("text%2Fplain", "text%2Fhtml", no_match);
    changed("AKIDEXAMPLE", "AKIDOTHER", ("", "InvalidAccessKeyId"));
    let bad = |words: &'static str| (words, words);
    changed("Expires=60", "Expires=604801", bad("AuthorizationQueryParametersError: …less than a week"));
    changed("Expires=60", "Expires=0", bad("AuthorizationQueryParametersError: …non-negative"));
    changed("Expires=60", "Expires=soon", bad("AuthorizationQueryParametersError: …a number"));
    changed("X-Amz-Expires=60&", "", bad("AuthorizationQueryParametersError: …requires the X-Amz-Algorithm"));
    changed(
        "X-Amz-Signature",
        "X-Amz-S",
        bad("AuthorizationQueryParametersError: …requires the X-Amz-Algorithm"),
    );
    changed("HMAC-SHA256", "ECDSA", bad("AuthorizationQueryParametersError: …only supports"));
    changed("T140000Z", "T140000", bad("AuthorizationQueryParametersError: …ISO8601"));
    changed(
        "-Date=20261125",
        "-Date=20261126",
        bad("AuthorizationQueryParametersError: …Invalid credential date"),
    );
    let twice = head(PRESIGNED, &[HOST[0], PUT_HEADERS[5]]);
    check((&twice, None), &Keys::any(), NOW, "InvalidArgument: Only one auth mechanism allowed");
}

const VERSION2: &str = "PUT /photos/k?acl&AWSAccessKeyId=AKIDEXAMPLE&Signature=LyNaSWpx%2FYZmikZ73ecae%2F6u8V8%3D\
     &content-type=text%2Fplain&x-amz-meta-a=b&Expires=1795615260";
const VERSION2_GET: &str = "GET /photos/k?versionId=3&response-content-type=a%2Fb&foo=1&AWSAccessKeyId=AKIDEXAMPLE\
     &Signature=f1YMbzsTdZslRxlueWALTJ26XwA%3D&Expires=1795615260";

#[test]
fn version_2_is_good_in_a_query_of_s3() {
    let headers = [("host", "localhost:4566"), ("content-type", "text/plain"), ("x-amz-meta-a", "b")];
    for head in [head(VERSION2, &headers), head(VERSION2, &headers[..1]), head(VERSION2_GET, &headers[..1])] {
        for keys in [Keys::any(), pair()] {
            check((&head, None), &keys, "2026-11-25T14:01:00Z", "");
            let late = "AccessDenied: Request has expired [(\"Expires\", String(\"2026-11-25T14:01:00Z\"))";
            check((&head, None), &keys, "2026-11-25T14:01:01Z", late);
        }
    }
    let changed = |from: &str, to: &str, (anybody, the_pair): (&str, &str)| {
        let head = head(&VERSION2_GET.replace(from, to), &headers[..1]);
        check((&head, None), &Keys::any(), NOW, anybody);
        check((&head, None), &pair(), NOW, the_pair);
    };
    changed("versionId=3", "versionId=4", ("", "SignatureDoesNotMatch"));
    changed("foo=1", "foo=2", ("", ""));
    changed("AKIDEXAMPLE", "AKIDOTHER", ("", "InvalidAccessKeyId"));
    changed("photos/k", "photos/l", ("", "SignatureDoesNotMatch"));
    let words = "AccessDenied: Query-string authentication requires";
    changed("&Expires=1795615260", "", (words, words));
    let words = "AccessDenied: Invalid date";
    changed("=1795615260", "=9999999999999999", (words, words));
}

/// `word` is x-amz-content-sha256.
fn payload(word: &str, headers: &[(&str, &str)]) -> Result<String, String> {
    let headers: Vec<_> = [("x-amz-content-sha256", word)].iter().chain(headers).copied().collect();
    let head = head("PUT /b/k", &headers[usize::from(word.is_empty())..]);
    match admit(&head, &Keys::any(), at(NOW)) {
        Ok(admitted) => Ok(match admitted.payload {
            Payload::Plain { sha256 } => format!("plain {}", sha256.is_some()),
            Payload::Chunked { trailer, length, .. } => format!("chunked {trailer} {length}"),
        }),
        Err(error) => Err(format!("{} {}", error.status.as_u16(), error.code)),
    }
}

#[test]
fn the_head_says_how_the_body_is_sent() {
    let check = |word: &str, headers: &[(&str, &str)], expected: Result<&str, &str>| {
        let found = payload(word, headers);
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{word} {headers:?}");
    };
    let length = ("x-amz-decoded-content-length", "5");
    let chunked = ("content-encoding", "gzip, aws-chunked");
    check("", &[], Ok("plain false"));
    check("UNSIGNED-PAYLOAD", &[], Ok("plain false"));
    check(canonical::EMPTY, &[chunked], Ok("plain true"));
    check("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", &[length], Ok("chunked false 5"));
    check("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", &[length], Ok("chunked true 5"));
    check("STREAMING-UNSIGNED-PAYLOAD-TRAILER", &[length], Ok("chunked true 5"));
    check("", &[chunked, length], Ok("chunked false 5"));
    check("UNSIGNED-PAYLOAD", &[chunked, length, ("x-amz-trailer", "t")], Ok("chunked true 5"));
    check("STREAMING-UNSIGNED-PAYLOAD-TRAILER", &[], Err("411 MissingContentLength"));
    check("", &[chunked, ("x-amz-decoded-content-length", "+5")], Err("411 MissingContentLength"));
    check("", &[chunked, ("x-amz-decoded-content-length", "-5")], Err("411 MissingContentLength"));
    check("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", &[length], Err("501 NotImplemented"));
    check("abc", &[], Err("400 InvalidArgument"));
}

#[test]
fn secrets_are_not_printed() {
    assert_eq!(format!("{:?} {:?}", pair(), Keys::any()), "Keys(Some(Pair(\"AKIDEXAMPLE\", …))) Keys(None)");
}
