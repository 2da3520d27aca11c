//! The failures of services that answer in XML. Pure.

use http::header;
use serde_json::Value;

use super::{Answer, AwsError, Body};

/// Whether this service answers in XML.
pub fn speaks(service: &str) -> bool {
    ["sns", "ses", "email", "sts", "iam", "s3"].contains(&service)
}

/// A failure as a service of the query protocol says it; S3 leaves out what lies around it, and says more inside.
pub fn failure(service: &str, error: &AwsError, request_id: &str) -> Answer {
    let is_s3 = service == "s3";
    let body = if is_s3 { of_s3(error, request_id) } else { of_query(error, request_id) };
    let mut answer = Answer { body: Body::Whole(body.into()), ..Answer::empty(error.status) };
    let kind = if is_s3 { "application/xml" } else { "text/xml" };
    answer.headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    error.headers.iter().fold(answer, |answer, (name, value)| answer.with(name, value))
}

fn of_query(error: &AwsError, request_id: &str) -> String {
    let at_fault = if error.status.is_server_error() { "Receiver" } else { "Sender" };
    let (code, message) = (escaped(error.code), escaped(&error.message));
    format!(
        "<ErrorResponse><Error><Type>{at_fault}</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>{request_id}</RequestId></ErrorResponse>"
    )
}

/// Code and text, then the members in their order; the members `Resource` and `HostId` stand around the request id.
fn of_s3(error: &AwsError, request_id: &str) -> String {
    let element = |name: &str, value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("<{name}>{}</{name}>", escaped(&text))
    };
    let (last, first): (Vec<_>, Vec<_>) =
        error.members.iter().partition(|(name, _)| ["Resource", "HostId"].contains(name));
    let named = |wanted: &str| {
        last.iter()
            .filter(|(name, _)| *name == wanted)
            .map(|(name, value)| element(name, value))
            .collect::<String>()
    };
    let members: String = first.iter().map(|(name, value)| element(name, value)).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>{members}{}\
         <RequestId>{}</RequestId>{}</Error>",
        escaped(error.code),
        escaped(&error.message),
        named("Resource"),
        escaped(request_id),
        named("HostId")
    )
}

/// The text as XML can hold it: of the control characters it knows three.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\r' => escaped.push_str("&#13;"),
            '\t' | '\n' => escaped.push(character),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn check(service: &str, status: u16, expected: &str) {
        let error = AwsError::new(status, "Nothing", "a < b & c");
        let answer = failure(service, &error, "r");
        assert_eq!(answer.status, StatusCode::from_u16(status).expect("a status"));
        let Body::Whole(body) = answer.body else { panic!("a failure is whole") };
        assert_eq!(String::from_utf8_lossy(&body), expected);
    }

    #[test]
    fn a_failure_is_said_in_the_words_of_its_protocol() {
        let inner = "<Code>Nothing</Code><Message>a &lt; b &amp; c</Message>";
        let sns = |at_fault| {
            format!(
                "<ErrorResponse><Error><Type>{at_fault}</Type>{inner}</Error><RequestId>r</RequestId></ErrorResponse>"
            )
        };
        check("sns", 400, &sns("Sender"));
        check("sts", 501, &sns("Receiver"));
        check("s3", 501, &format!("{DECLARED}<Error>{inner}<RequestId>r</RequestId></Error>"));
    }

    const DECLARED: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

    #[test]
    fn s3_says_more_of_a_failure() {
        let error = AwsError::new(404, "NoSuchKey", "Not here.")
            .member("Resource", "/b/<k\u{1}>\r")
            .member("Key", "k")
            .member("HostId", "h")
            .member("Size", 5)
            .header("x-amz-delete-marker", "true");
        let answer = failure("s3", &error, "r");
        assert_eq!(answer.headers["content-type"], "application/xml");
        assert_eq!(answer.headers["x-amz-delete-marker"], "true");
        let Body::Whole(body) = answer.body else { panic!("a failure is whole") };
        let expected = "<Error><Code>NoSuchKey</Code><Message>Not here.</Message><Key>k</Key><Size>5</Size>\
                        <Resource>/b/&lt;k\u{fffd}&gt;&#13;</Resource><RequestId>r</RequestId><HostId>h</HostId></Error>";
        assert_eq!(String::from_utf8_lossy(&body), format!("{DECLARED}{expected}"));
    }
}
