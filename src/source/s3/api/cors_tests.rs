//! Rules, and what browsers hear.

use http::{HeaderName, HeaderValue, Method};

use super::*;

fn headers(text: &str) -> HeaderMap {
    let pair = |line: &str| -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = line.split_once(": ")?;
        Some((name.parse().ok()?, value.parse().ok()?))
    };
    text.split("; ").filter_map(pair).collect()
}

fn rules(inner: &str) -> Result<Vec<Rule>, AwsError> {
    read(format!("<CORSConfiguration>{inner}</CORSConfiguration>").as_bytes())
}

const RULE: &str = "<CORSRule><AllowedOrigin>http://*.a.com</AllowedOrigin><AllowedMethod>GET</AllowedMethod>\
                    <AllowedMethod>PUT</AllowedMethod><AllowedHeader>X-amz-*</AllowedHeader>\
                    <ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>30</MaxAgeSeconds></CORSRule>";

#[test]
fn rules_are_kept_as_they_are() {
    let check = |inner: &str, expected: &str| {
        let said = rules(inner).map_or_else(|error| error.message, |_| "fine".to_owned());
        assert!(said.starts_with(expected), "{inner}: {said}");
    };
    check(RULE, "fine");
    check("", "The XML you provided");
    check("<CORSRule/>", "The XML you provided");
    let with = |method: &str, origin: &str, more: &str| {
        format!(
            "<CORSRule><AllowedMethod>{method}</AllowedMethod><AllowedOrigin>{origin}</AllowedOrigin>{more}</CORSRule>"
        )
    };
    check(&with("GET", "", ""), "fine");
    check(
        &with("OPTIONS", "*", ""),
        "Found unsupported HTTP method in CORS config. Unsupported method is OPTIONS",
    );
    check(&with("GET", "*a*", ""), "AllowedOrigin \"*a*\" can not have more than one wildcard.");
    check(&with("GET", "*", "<ExposeHeader>*</ExposeHeader>"), "ExposeHeader");
    check(&with("GET", "*", "<MaxAgeSeconds>x</MaxAgeSeconds>"), "The XML you provided");
    check(&with("GET", "*", "").repeat(101), "The number of CORS rules");
    let kept = rules(RULE).expect("it is fine");
    assert_eq!(read(document_of(&kept).as_bytes()), Ok(kept));
}

#[test]
fn preflights_hear_the_rule_or_why_not() {
    let known = rules(RULE).expect("it is fine");
    let check = |text: &str, expected: &str| {
        let said = match preflight(Some(&known), &headers(text), "OBJECT") {
            Ok(added) => added.iter().map(|(name, value)| format!("{name}={value};")).collect::<String>(),
            Err(error) => format!("{} {}", error.status.as_u16(), error.code),
        };
        assert_eq!(said.replace("access-control-", ""), expected, "{text}");
    };
    check("a: b", "400 BadRequest");
    check("origin: http://x.a.com", "400 BadRequest");
    check(
        "origin: http://x.a.com; access-control-request-method: PUT; access-control-request-headers: X-Amz-B,x-amz-c",
        "allow-origin=http://x.a.com;allow-methods=GET, PUT;allow-headers=x-amz-b, x-amz-c;expose-headers=ETag;\
         max-age=30;allow-credentials=true;vary=Origin, Access-Control-Request-Headers, Access-Control-Request-Method;",
    );
    check("origin: http://x.a.com/; access-control-request-method: PUT", "403 AccessForbidden");
    check("origin: http://x.a.com; access-control-request-method: DELETE", "403 AccessForbidden");
    check(
        "origin: http://x.a.com; access-control-request-method: PUT; access-control-request-headers: content-type",
        "403 AccessForbidden",
    );
    let none = preflight(None, &headers("origin: a"), "OBJECT").expect_err("there are no rules");
    assert_eq!(none.message, "CORSResponse: CORS is not enabled for this bucket.");
    assert_eq!(no_bucket(&headers("origin: a")).message, "CORSResponse: Bucket not found");
}

#[test]
fn other_answers_have_headers_or_none() {
    let star =
        rules("<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>");
    let star = star.expect("it is fine");
    let check = |method: Method, text: &str, expected: usize| {
        assert_eq!(simple(&star, &method, &headers(text)).len(), expected, "{method} {text}");
    };
    check(Method::GET, "origin: a", 3);
    check(Method::GET, "x: a", 0);
    check(Method::PUT, "origin: a", 0);
    check(Method::GET, "origin: a; access-control-request-method: PUT", 0);
    check(Method::GET, "origin: a; access-control-request-headers: x", 0);
    assert!(fits("*", "") && fits("a*c", "ac") && !fits("ab*bc", "abc"));
}
