//! Notifications that are kept, and those that are refused.

use super::*;

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";
const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";

fn read(inner: &str) -> Result<Configuration, AwsError> {
    let mut count = 0;
    let body = format!("<NotificationConfiguration>{inner}</NotificationConfiguration>");
    Configuration::read(body.as_bytes(), || {
        count += 1;
        format!("made-{count}")
    })
}

fn function(event: &str, rules: &[(&str, &str)]) -> String {
    let rules: String = rules
        .iter()
        .map(|(name, value)| format!("<FilterRule><Name>{name}</Name><Value>{value}</Value></FilterRule>"))
        .collect();
    format!(
        "<CloudFunctionConfiguration><CloudFunction>{FUNCTION}</CloudFunction><Event>{event}</Event><Filter><S3Key>\
         {rules}</S3Key></Filter></CloudFunctionConfiguration>"
    )
}

fn check(inner: &str, expected: &str) {
    let said = read(inner).map_or_else(|error| error.to_string(), |_| "fine".to_owned());
    assert!(said.starts_with(expected), "{inner}: {said}");
}

const CREATED: &str = "s3:ObjectCreated:*";

#[test]
fn configurations_survive_their_document() {
    let queue = format!(
        "<QueueConfiguration><Id>mine</Id><Queue>{QUEUE}</Queue><Event>s3:ObjectRemoved:Delete</Event></QueueConfiguration>"
    );
    let inner =
        function(CREATED, &[("SUFFIX", ".jpg"), ("prefix", "in/")]) + &queue + "<EventBridgeConfiguration/>";
    let kept = read(&inner).expect("it is fine");
    let ids: Vec<&str> = kept.notifications.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["mine", "made-1"]);
    let of_function = &kept.notifications[1];
    assert_eq!((of_function.prefix(), of_function.suffix()), ("in/", ".jpg"));
    assert_eq!(of_function.plain_events(), ["ObjectCreated:*"]);
    assert_eq!((of_function.prefix(), of_function.suffix()), ("in/", ".jpg"));
    assert_eq!(Configuration::read(kept.document().as_bytes(), String::new), Ok(kept.clone()));
    assert_eq!(serde_json::from_value(serde_json::to_value(&kept).expect("texts")).ok(), Some(kept));
    assert_eq!(read(""), Ok(Configuration::default()));
}

#[test]
fn what_s3_refuses_is_refused() {
    let malformed = "MalformedXML";
    check("<CloudFunctionConfiguration/>", malformed);
    check(&format!("<QueueConfiguration><Queue>{QUEUE}</Queue></QueueConfiguration>"), malformed);
    let queue = |arn: &str| {
        format!("<QueueConfiguration><Queue>{arn}</Queue><Event>{CREATED}</Event></QueueConfiguration>")
    };
    check(&queue(QUEUE), "fine");
    check(&queue("q"), "InvalidArgument: The ARN could not be parsed");
    check(&queue(FUNCTION), "InvalidArgument: The ARN could not be parsed");
    check(&queue(&format!("{QUEUE}.fifo")), "InvalidArgument: Unable to validate the following destination");
    check(&function("s3:ObjectCreated", &[]), "InvalidArgument: A specified event is not supported");
    check(&function("ObjectCreated:*", &[]), "InvalidArgument: A specified event is not supported");
    check(&function("s3:ObjectAcl:*", &[]), "InvalidArgument: A specified event is not supported");
    check(
        &function(CREATED, &[("infix", "a")]),
        "InvalidArgument: filter rule name must be either prefix or suffix",
    );
    check(
        &function(CREATED, &[("prefix", "a"), ("Prefix", "b")]),
        "InvalidArgument: Cannot specify more than one prefix",
    );
    check(&function(CREATED, &[("prefix", &"a".repeat(1025))]), "InvalidArgument: Size of filter rule value");
    check(&function(CREATED, &[("prefix", "")]), "fine");
    let twice = format!("<Id>a</Id><Queue>{QUEUE}</Queue>");
    let twice =
        |event: &str| format!("<QueueConfiguration>{twice}<Event>{event}</Event></QueueConfiguration>");
    check(
        &(twice("s3:ObjectCreated:Put") + &twice("s3:ObjectCreated:Copy")),
        "InvalidArgument: Same ID used",
    );
}

#[test]
fn overlapping_ones_are_refused() {
    let both = |one: &[(&str, &str)], other: &[(&str, &str)], expected: &str| {
        check(&(function(CREATED, one) + &function("s3:ObjectCreated:Put", other)), expected);
    };
    let ambiguous = "InvalidArgument: Configuration is ambiguously defined.";
    both(&[], &[], "InvalidArgument: Configurations overlap.");
    both(&[("prefix", "a")], &[], ambiguous);
    both(&[("prefix", "a")], &[("prefix", "ab")], ambiguous);
    both(&[("prefix", "a")], &[("prefix", "b")], "fine");
    both(&[("suffix", "jpg")], &[("suffix", "pg")], ambiguous);
    both(&[("prefix", "a"), ("suffix", ".jpg")], &[("prefix", "a"), ("suffix", ".png")], "fine");
    check(&(function(CREATED, &[]) + &function("s3:ObjectRemoved:*", &[])), "fine");
}

#[test]
fn topics_are_told_that_they_are_targets() {
    let at = Timestamp::parse("2014-10-13T15:57:02.089Z").expect("a time");
    let told = serde_json::to_string(&TestEvent::new("bucketname", at, ("5582815E1AEA5ADF", "8cLe+A=")));
    let expected = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2014-10-13T15:57:02.089Z","Bucket":"bucketname","RequestId":"5582815E1AEA5ADF","HostId":"8cLe+A="}"#;
    assert_eq!(told.ok().as_deref(), Some(expected));
}
