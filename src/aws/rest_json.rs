//! The rest-json protocol: members of a JSON body in, JSON out, failures by header and body. Pure.

use http::{HeaderValue, header};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{Answer, AwsError, Body, Call};

/// The members of a request: a JSON object, or nothing at all.
pub fn members<T: DeserializeOwned>(call: &Call) -> Result<T, AwsError> {
    let body: &[u8] = if call.body.trim_ascii().is_empty() { b"{}" } else { &call.body };
    let refuse = |why: String| AwsError::new(400, "SerializationException", why);
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| refuse(format!("Could not parse request body into json: {error}")))?;
    if !value.is_object() {
        return Err(refuse("Could not parse request body into json: a JSON object is expected".into()));
    }
    serde_json::from_value(value)
        .map_err(|error| refuse(format!("Could not parse request body into json: {error}")))
}

/// The codes whose text Lambda writes with a capital (semantics: wire protocols).
const CAPITAL: [&str; 2] = ["ResourceNotFoundException", "ServiceException"];

/// A failure: `x-amzn-ErrorType`, and a body with its text.
pub fn failure(error: &AwsError) -> Answer {
    let mut body = Map::new();
    body.extend(error.members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let plain = error.code == "ValidationException";
    if !plain && !body.contains_key("Type") {
        let at_fault = if error.status.is_server_error() { "Service" } else { "User" };
        body.insert("Type".into(), json!(at_fault));
    }
    let name = if CAPITAL.contains(&error.code) { "Message" } else { "message" };
    body.insert(name.into(), json!(error.message));
    let mut answer = Answer::json(error.status, &Value::Object(body));
    answer.headers.insert("x-amzn-errortype", HeaderValue::from_static(error.code));
    for (name, value) in &error.headers {
        answer = answer.with(name, value);
    }
    answer
}

/// An answer with this body as it is.
pub fn raw(status: http::StatusCode, body: bytes::Bytes, content_type: &str) -> Answer {
    let mut answer = Answer { body: Body::Whole(body), ..Answer::empty(status) };
    if let Ok(value) = HeaderValue::from_str(content_type) {
        answer.headers.insert(header::CONTENT_TYPE, value);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(error: &AwsError) -> String {
        match failure(error).body {
            Body::Whole(body) => String::from_utf8_lossy(&body).into_owned(),
            Body::Stream(_) | Body::Taken(_) => panic!("a failure is whole"),
        }
    }

    #[test]
    fn failures_have_the_bodies_that_were_recorded() {
        assert_eq!(
            body(&AwsError::new(404, "ResourceNotFoundException", "Function not found: A")),
            r#"{"Type":"User","Message":"Function not found: A"}"#
        );
        assert_eq!(
            body(&AwsError::new(400, "ValidationException", "1 validation error detected")),
            r#"{"message":"1 validation error detected"}"#
        );
        let throttled = AwsError::new(429, "TooManyRequestsException", "Rate Exceeded.")
            .member("Reason", "ReservedFunctionConcurrentInvocationLimitExceeded");
        assert_eq!(
            body(&throttled),
            r#"{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}"#
        );
    }
}
