//! The failures of services that answer in XML. Pure.

use http::header;

use super::{Answer, AwsError, Body};

/// Whether this service answers in XML.
pub fn speaks(service: &str) -> bool {
    ["sns", "ses", "email", "sts", "iam", "s3"].contains(&service)
}

/// A failure as a service of the query protocol says it; S3 leaves out what lies around it.
pub fn failure(service: &str, error: &AwsError, request_id: &str) -> Answer {
    let at_fault = if error.status.is_server_error() { "Receiver" } else { "Sender" };
    let (code, message) = (escaped(error.code), escaped(&error.message));
    let body = match service {
        "s3" => format!(
            "<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{request_id}</RequestId></Error>"
        ),
        _ => format!(
            "<ErrorResponse><Error><Type>{at_fault}</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             <RequestId>{request_id}</RequestId></ErrorResponse>"
        ),
    };
    let mut answer = Answer { body: Body::Whole(body.into()), ..Answer::empty(error.status) };
    answer.headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/xml"));
    answer
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
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
        check("s3", 501, &format!("<Error>{inner}<RequestId>r</RequestId></Error>"));
    }
}
