//! The protocols of AWS, knowing no service: a request becomes a [`Call`], a service answers it.
//!
//! ```text
//! HTTP request ─▶ identify: which service? ─▶ admit: signed well? ─▶ Call ─▶ AwsService ─▶ Answer or AwsError
//! ```

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc;

pub mod checksum;
pub mod chunked;
pub mod event_stream;
pub mod identify;
pub mod rest_json;
pub mod sigv4;
pub mod upload;
pub mod xml;

/// One request of an AWS client, read to its end.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path as it was sent, still percent-encoded.
    pub path: String,
    /// The query, decoded, in its order. A name without `=` has an empty value.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// A UUID: what the answer says in `x-amzn-RequestId`.
    pub request_id: String,
}

impl Call {
    /// The path, in parts between slashes, each decoded. A part that is no UTF-8 has replacement characters.
    pub fn segments(&self) -> Vec<String> {
        self.path.trim_start_matches('/').split('/').map(decoded).collect()
    }
    /// The first value of this name in the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }
    /// All values of this name in the query.
    pub fn queries<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
    /// A header as text; None if it is missing or no ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Percent-decoding of one part of a path.
pub fn decoded(text: &str) -> String {
    String::from_utf8_lossy(&decoded_bytes(text)).into_owned()
}

/// The same, as bytes: they need not be text.
pub fn decoded_bytes(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let hex = hex.filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let value = hex
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match value {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    plain
}

/// The parts of a query, decoded: `+` is a blank.
pub fn query_of(text: &str) -> Vec<(String, String)> {
    let parts = text.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " ")))
        })
        .collect()
}

/// The first value of this name.
pub fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// What a service answers.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers; `x-amzn-RequestId` is added by the front.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

/// The body of an answer.
pub enum Body {
    /// All of it.
    Whole(Bytes),
    /// Piece by piece, as they come. It ends with the sender.
    Stream(mpsc::Receiver<Bytes>),
    /// Piece by piece, as the client takes them: nothing is done for one that does not.
    Taken(BoxStream<'static, Bytes>),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Whole(bytes) => f.debug_tuple("Whole").field(bytes).finish(),
            Body::Stream(_) => f.write_str("Stream"),
            Body::Taken(_) => f.write_str("Taken"),
        }
    }
}

impl Answer {
    /// Nothing but a status.
    pub fn empty(status: StatusCode) -> Answer {
        Answer { status, headers: HeaderMap::new(), body: Body::Whole(Bytes::new()) }
    }
    /// JSON with this status.
    pub fn json(status: StatusCode, value: &Value) -> Answer {
        let mut answer =
            Answer { body: Body::Whole(Bytes::from(value.to_string())), ..Answer::empty(status) };
        answer.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }
    /// The same with one header more. A value that no header can have is left out.
    pub fn with(mut self, name: &'static str, value: &str) -> Answer {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }
}

/// A failure as AWS tells it: how it looks on the wire is the protocol's.
#[derive(Clone, Debug, PartialEq)]
pub struct AwsError {
    /// The status.
    pub status: StatusCode,
    /// `ResourceNotFoundException`
    pub code: &'static str,
    /// The text, to the letter.
    pub message: String,
    /// Further members of the body, such as `Reason`.
    pub members: Vec<(&'static str, Value)>,
    /// Further headers, such as `retry-after`.
    pub headers: Vec<(&'static str, String)>,
}

impl AwsError {
    /// A failure with nothing but its code and text.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> AwsError {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        AwsError { status, code, message: message.into(), members: Vec::new(), headers: Vec::new() }
    }
    /// The same with one member more.
    pub fn member(mut self, name: &'static str, value: impl Into<Value>) -> AwsError {
        self.members.push((name, value.into()));
        self
    }
    /// The same with one header more.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> AwsError {
        self.headers.push((name, value.into()));
        self
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// One service of AWS.
#[async_trait]
pub trait AwsService: Send + Sync {
    /// As signatures name it: `lambda`.
    fn name(&self) -> &'static str;
    /// How large the body of such a request may be, in bytes, and what is said of a larger one.
    fn body_max(&self, method: &Method, path: &str) -> (usize, AwsError);
    /// Answers a call.
    async fn call(&self, call: Call) -> Result<Answer, AwsError>;
    /// How a failure looks on the wire.
    fn failure(&self, error: &AwsError) -> Answer;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_are_decoded() {
        let check = |text: &str, expected: &str| assert_eq!(decoded(text), expected, "{text}");
        check("a%3Ab", "a:b");
        check("%E2%82%AC", "€");
        check("100%", "100%");
        check("%zz%4", "%zz%4");
        check("%€", "%€");
        check("%+f", "%+f");
        assert_eq!(
            query_of("Qualifier=%24LATEST&list&a+b=c%2Bd&"),
            [("Qualifier", "$LATEST"), ("list", ""), ("a b", "c+d")]
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
    }
}
