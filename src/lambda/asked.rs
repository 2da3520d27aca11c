//! What a caller of a function asks for: headers and payload, checked. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::errors::invalid;
use crate::aws::{AwsError, Call};

/// The longest client context, in bytes of base64.
const CONTEXT_MAX: usize = 3583;

/// How a caller wants to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With the result.
    RequestResponse,
    /// At once; it runs later.
    Event,
    /// With whether it could run.
    DryRun,
}

/// What a caller says besides the payload.
pub struct Asked {
    /// How it wants to be answered.
    pub kind: Kind,
    /// With the end of the log.
    pub tail: bool,
    /// The client context, decoded.
    pub client_context: Option<String>,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::RequestResponse => "RequestResponse",
            Kind::Event => "Event",
            Kind::DryRun => "DryRun",
        }
    }
}

/// Headers that ask for what there is not, with why.
const REFUSED: [(&str, &str, &str); 2] = [
    ("x-amz-tenant-id", "TenantId", "environments are not kept apart by tenant here"),
    ("x-amz-durable-execution-name", "DurableExecutionName", "there are no durable executions here yet"),
];

/// What the headers ask for, of an operation that answers in these ways.
pub fn asked(call: &Call, kinds: &[Kind]) -> Result<Asked, AwsError> {
    if let Some((_, member, why)) = REFUSED.iter().find(|(header, ..)| call.header(header).is_some()) {
        return Err(invalid(format!("dropwire does not take {member}: {why}")));
    }
    let kind = match call.header("x-amz-invocation-type") {
        None | Some("") => Kind::RequestResponse,
        Some(asked) => *kinds.iter().find(|kind| kind.word() == asked).ok_or_else(|| {
            let words: Vec<&str> = kinds.iter().map(|kind| kind.word()).collect();
            no_member(asked, "invocationType", &format!("[{}]", words.join(", ")))
        })?,
    };
    let tail = match call.header("x-amz-log-type") {
        None | Some("" | "None") => false,
        Some("Tail") => true,
        Some(other) => return Err(no_member(other, "logType", "[None, Tail]")),
    };
    let client_context = client_context(call.header("x-amz-client-context"))?;
    Ok(Asked { kind, tail, client_context })
}

fn no_member(value: &str, field: &str, set: &str) -> AwsError {
    constraint(value, field, &format!("satisfy enum value set: {set}"))
}

fn constraint(value: &str, field: &str, must: &str) -> AwsError {
    AwsError::new(
        400,
        "ValidationException",
        format!(
            "1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: Member must {must}"
        ),
    )
}

/// The client context as the function gets it: decoded JSON.
fn client_context(header: Option<&str>) -> Result<Option<String>, AwsError> {
    let Some(encoded) = header.filter(|text| !text.is_empty()) else { return Ok(None) };
    if encoded.len() > CONTEXT_MAX {
        return Err(constraint(
            encoded,
            "clientContext",
            &format!("have length less than or equal to {CONTEXT_MAX}"),
        ));
    }
    let refused = || {
        AwsError::new(
            400,
            "InvalidRequestContentException",
            "Client context must be a valid Base64-encoded JSON object.",
        )
    };
    let decoded = BASE64.decode(encoded).map_err(|_| refused())?;
    let value: Value = serde_json::from_slice(&decoded).map_err(|_| refused())?;
    // Written anew: a header has no room for line breaks.
    value.is_object().then(|| Some(value.to_string())).ok_or_else(refused)
}

/// The event: the body, or an empty object for none.
pub fn payload(body: &Bytes) -> Result<Bytes, AwsError> {
    if body.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    match serde_json::from_slice::<IgnoredAny>(body) {
        Ok(_) => Ok(body.clone()),
        Err(error) => Err(AwsError::new(400, "InvalidRequestContentException", not_json(body, &error))),
    }
}

/// The service's words for a body that is no JSON: it names the first character that cannot be.
fn not_json(body: &[u8], error: &serde_json::Error) -> String {
    let text = String::from_utf8_lossy(body);
    let line = error.line().max(1);
    let column = error.column();
    let at = text.lines().nth(line - 1).and_then(|line| line.chars().nth(column.saturating_sub(1)));
    let why = match at {
        Some(c) if !error.is_eof() => format!(
            "Unexpected character ('{c}' (code {})): expected a valid value (JSON String, Number, Array, Object or \
             token 'null', 'true' or 'false')",
            u32::from(c)
        ),
        _ => "Unexpected end-of-input within/between values".to_owned(),
    };
    let source = text.chars().take(500).collect::<String>();
    format!(
        "Could not parse request body into json: Could not parse payload into json: {why}\n at [Source: \
         (byte[])\"{source}\"; line: {line}, column: {}]",
        column + 1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_is_named() {
        let error = payload(&Bytes::from_static(b"xyz")).expect_err("refused");
        assert_eq!(error.code, "InvalidRequestContentException");
        let begins = "Could not parse request body into json: Could not parse payload into json: Unexpected character ('x' (code 120)): ";
        assert!(error.message.starts_with(begins), "{error}");
        let error = payload(&Bytes::from_static(b"{\"a\":")).expect_err("refused");
        assert!(error.message.contains("Unexpected end-of-input"), "{error}");
        assert_eq!(payload(&Bytes::new()).expect("nothing is an empty object"), "{}");
    }

    #[test]
    fn a_client_context_is_decoded() {
        let check = |text: &str| client_context(Some(&BASE64.encode(text)));
        assert_eq!(check("{\"custom\":\n{}}"), Ok(Some("{\"custom\":{}}".into())));
        assert_eq!(client_context(Some("")), Ok(None));
        assert!(check("[1]").is_err() && client_context(Some("%%%")).is_err());
        let long = client_context(Some(&"a".repeat(3584))).expect_err("too long");
        assert!(long.message.ends_with("have length less than or equal to 3583"), "{long}");
    }
}
