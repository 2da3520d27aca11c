//! Rules that are kept or refused, and what they make due.

use super::super::lifecycle_request::read;
use super::*;
use crate::aws::AwsError;

fn rules(inner: &str) -> Result<Vec<Rule>, AwsError> {
    let body = format!("<LifecycleConfiguration>{inner}</LifecycleConfiguration>");
    read(body.as_bytes(), || "made".to_owned())
}

fn one(filter: &str, action: &str) -> String {
    format!("<Rule><Status>Enabled</Status>{filter}{action}</Rule>")
}

const ALL: &str = "<Filter/>";
const DAY_3: &str = "<Expiration><Days>3</Days></Expiration>";

fn check(inner: &str, expected: &str) {
    let said = rules(inner).map_or_else(|error| error.to_string(), |_| "fine".to_owned());
    assert!(said.starts_with(expected), "{inner}: {said}");
}

#[test]
fn what_s3_refuses_is_refused() {
    let malformed = "MalformedXML";
    check("", malformed);
    check(&one(ALL, DAY_3), "fine");
    check(&one("", DAY_3), malformed);
    check(&one(ALL, ""), "InvalidRequest: At least one action needs to be specified in a rule");
    check(&one("<Prefix>a</Prefix>", DAY_3), "fine");
    check(&one("<Filter/><Prefix/>", DAY_3), "InvalidRequest: Base level prefix cannot be used");
    check(&(one("<Prefix/>", DAY_3) + &one(ALL, DAY_3)), "InvalidRequest: Filter element can only");
    check(
        &one(ALL, "<Expiration><Days>0</Days></Expiration>"),
        "InvalidArgument: 'Days' for Expiration action",
    );
    check(&one(ALL, "<Expiration/>"), malformed);
    check(
        &one(
            ALL,
            "<Expiration><Days>1</Days><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>",
        ),
        malformed,
    );
    check(
        &one(ALL, "<Expiration><Date>2030-01-01T00:00:01Z</Date></Expiration>"),
        "InvalidArgument: 'Date' must be at midnight GMT",
    );
    check(&one(ALL, "<Expiration><Date>2030-01-01T00:00:00.000Z</Date></Expiration>"), "fine");
    check(&one(ALL, "<Expiration><Date>soon</Date></Expiration>"), malformed);
    check(&one(ALL, "<Transition><Days>1</Days></Transition>"), "NotImplemented");
    check(
        &one(
            ALL,
            "<NoncurrentVersionExpiration><NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration>",
        ),
        malformed,
    );
}

#[test]
fn filters_have_their_own_limits() {
    let abort = "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>";
    let tag = "<Tag><Key>a</Key><Value>b</Value></Tag>";
    check(
        &one(&format!("<Filter>{tag}</Filter>"), abort),
        "InvalidRequest: AbortIncompleteMultipartUpload cannot be specified with Tags.",
    );
    check(
        &one("<Filter><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></Filter>", abort),
        "InvalidRequest: AbortIncompleteMultipartUpload cannot be specified with Object Size.",
    );
    check(
        &one("<Filter><ObjectSizeLessThan>0</ObjectSizeLessThan></Filter>", DAY_3),
        "InvalidRequest: 'ObjectSizeLessThan' should be between 1 and 1099511627776000.",
    );
    check(&one(&format!("<Filter><Prefix>a</Prefix>{tag}</Filter>"), DAY_3), "MalformedXML");
    check(&one(&format!("<Filter><And><Prefix>a</Prefix>{tag}</And></Filter>"), DAY_3), "fine");
    check(
        &one(&format!("<Filter><And>{tag}{tag}</And></Filter>"), DAY_3),
        "InvalidRequest: Duplicate Tag Keys",
    );
    let named = |prefix: &str, id: &str| one(&format!("<Prefix>{prefix}</Prefix><ID>{id}</ID>"), DAY_3);
    check(
        &(named("a", "1") + &named("ab", "2")),
        "InvalidRequest: Found overlapping prefixes 'a' and 'ab' for same action type 'Expiration'",
    );
    check(&(named("a", "1") + &named("b", "1")), "InvalidArgument: Rule ID must be unique.");
    check(&named("a", &"i".repeat(256)), "InvalidArgument: ID length should not exceed");
}

#[test]
fn rules_survive_their_document() {
    let inner = one(
        "<ID>x</ID><Filter><And><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag>\
         <ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></And></Filter>",
        "<Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration><NoncurrentVersionExpiration><NoncurrentDays>2\
         </NoncurrentDays><NewerNoncurrentVersions>3</NewerNoncurrentVersions></NoncurrentVersionExpiration>",
    );
    let kept = rules(&inner).expect("it is fine");
    assert_eq!(read(document_of(&kept).as_bytes(), String::new), Ok(kept.clone()));
    assert_eq!(serde_json::from_value(serde_json::to_value(&kept).expect("texts")).ok(), Some(kept));
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

#[test]
fn things_are_due_at_midnight() {
    let tags = [Tag { key: "k".into(), value: "v".into() }];
    let modified = at("2014-01-15T10:30:00Z");
    let check = |filter: &str, action: &str, standing: Standing, expected: [Option<Due>; 2]| {
        let rule = rules(&one(filter, action)).expect("it is fine").remove(0);
        let candidate = Candidate { key: "a/b", size: 5, tags: &tags, modified, standing };
        let found =
            ["2014-01-18T23:59:59Z", "2014-01-19T00:00:00Z"].map(|now| due(&rule, &candidate, at(now)));
        assert_eq!(found, expected, "{filter} {action} {standing:?}");
    };
    let (never, then) = ([None, None], [None, Some(Due::Expire)]);
    check(ALL, DAY_3, Standing::Current, then);
    check("<Filter><Prefix>a/</Prefix></Filter>", DAY_3, Standing::Current, then);
    check("<Filter><Prefix>b</Prefix></Filter>", DAY_3, Standing::Current, never);
    check("<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>", DAY_3, Standing::Current, then);
    check("<Filter><Tag><Key>k</Key><Value>w</Value></Tag></Filter>", DAY_3, Standing::Current, never);
    check(
        "<Filter><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></Filter>",
        DAY_3,
        Standing::Current,
        never,
    );
    check("<Filter><ObjectSizeLessThan>6</ObjectSizeLessThan></Filter>", DAY_3, Standing::Current, then);
    check(ALL, "<Expiration><Date>2014-01-19T00:00:00Z</Date></Expiration>", Standing::Current, then);
    let markers = "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>";
    check(ALL, markers, Standing::Current, never);
    check(ALL, markers, Standing::Marker { is_alone: true }, [Some(Due::Delete); 2]);
    check(ALL, markers, Standing::Marker { is_alone: false }, never);
    check(ALL, DAY_3, Standing::Marker { is_alone: true }, [None, Some(Due::Delete)]);
    let old = "<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration>";
    check(ALL, old, Standing::Noncurrent { since: modified, newer: 2 }, [None, Some(Due::Delete)]);
    check(ALL, old, Standing::Noncurrent { since: modified, newer: 1 }, never);
    check(ALL, old, Standing::Current, never);
}

#[test]
fn headers_name_the_earliest_rule() {
    let inner = one("<ID>late</ID><Filter/>", "<Expiration><Days>9</Days></Expiration>")
        + &one("<ID>a b</ID><Filter/>", DAY_3)
        + &one(
            "<ID>up</ID><Filter/>",
            "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
        );
    let rules = rules(&inner).expect("it is fine");
    let modified = at("2014-01-15T10:30:00Z");
    let candidate = Candidate { key: "k", size: 1, tags: &[], modified, standing: Standing::Current };
    let expected = "expiry-date=\"Sun, 19 Jan 2014 00:00:00 GMT\", rule-id=\"a+b\"";
    assert_eq!(expiration_header(&rules, &candidate).as_deref(), Some(expected));
    assert_eq!(expiration_header(&[], &candidate), None);
    let abort = ("Fri, 17 Jan 2014 00:00:00 GMT".to_owned(), "up".to_owned());
    assert_eq!(abort_headers(&rules, "k", modified), Some(abort));
    assert!(is_upload_due(&rules[2], "k", modified, at("2014-01-17T00:00:00Z")));
    assert!(!is_upload_due(&rules[2], "k", modified, at("2014-01-16T23:00:00Z")));
}
