//! The bodies that runtimes send: read whole, or passed on piece by piece.

use std::sync::Arc;

use base64::Engine;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use crate::function::Piece;
use crate::function::desk::Desk;
use crate::function::event::Answer;

/// The largest response that the Runtime API takes, in bytes: 6 MiB and 100.
pub const RESPONSE_MAX: usize = 6_291_556;
/// The largest streamed response, in bytes.
pub const STREAM_MAX: usize = 200 << 20;

const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const ERROR_BODY: &str = "lambda-runtime-function-error-body";

/// A body that has come to its end.
pub enum Body {
    /// The bytes, and what came after them.
    Whole(Bytes, HeaderMap),
    /// It had more than it may have.
    TooLarge,
}

/// Reads a body to its end. One that is too large is read all the same, and dropped: a client that is still
/// sending would not see our answer.
pub async fn read(mut body: Incoming, limit: usize) -> hyper::Result<Body> {
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    let (mut trailers, mut length) = (HeaderMap::new(), 0);
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(piece) => {
                length += piece.len();
                if length > limit {
                    (first, rest) = (Bytes::new(), BytesMut::new());
                } else if first.is_empty() && rest.is_empty() {
                    // Most bodies are one piece, which is passed on as it is.
                    first = piece;
                } else {
                    if rest.is_empty() {
                        rest.extend_from_slice(&std::mem::take(&mut first));
                    }
                    rest.extend_from_slice(&piece);
                }
            }
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    let whole = if rest.is_empty() { first } else { rest.freeze() };
    Ok(if length > limit { Body::TooLarge } else { Body::Whole(whole, trailers) })
}

/// Passes a body on as it comes, as fast as it is taken. Who takes it may go away: it is read to its end all the
/// same. What it says at its end, or none if it was too large.
pub async fn forward(mut body: Incoming, to: mpsc::Sender<Piece>) -> hyper::Result<Option<HeaderMap>> {
    let (mut trailers, mut length) = (HeaderMap::new(), 0);
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(piece) => {
                length += piece.len();
                if length <= STREAM_MAX && !piece.is_empty() {
                    to.send(Piece::Bytes(piece)).await.ok();
                }
            }
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    Ok((length <= STREAM_MAX).then_some(trailers))
}

/// A response that is being read. Dropped before its end, with the connection, it answers that it broke off.
pub struct Midway<'a> {
    desk: &'a Arc<Desk>,
    id: &'a str,
    ended: bool,
}

impl<'a> Midway<'a> {
    /// The response to the invocation of this id.
    pub fn new(desk: &'a Arc<Desk>, id: &'a str) -> Midway<'a> {
        Midway { desk, id, ended: false }
    }
    /// It has come to its end.
    pub fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Midway<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // Refused means that the invocation is over already.
            self.desk.answer(self.id, "InvocationResponse", Answer::Truncated).ok();
        }
    }
}

/// What the trailers of a streamed response say, if it failed midway.
pub fn failed_midway(trailers: &HeaderMap) -> Option<Answer> {
    let kind = error_type(trailers);
    trailers.get(ERROR_TYPE)?;
    let body = trailers.get(ERROR_BODY).map(|value| base64::engine::general_purpose::STANDARD.decode(value));
    Some(Answer::Error(Bytes::from(body.and_then(Result::ok).unwrap_or_default()), kind))
}

/// The error type as it is kept for the log: `Runtime.Xyz`, `Function.Xyz`, or unknown.
pub fn error_type(headers: &HeaderMap) -> String {
    let said = headers.get(ERROR_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = said.strip_prefix("Runtime.").or_else(|| said.strip_prefix("Function."));
    let letters = name.is_some_and(|name| {
        name.len() > 1
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.bytes().all(|b| b.is_ascii_alphabetic())
    });
    match said {
        _ if letters => said.to_owned(),
        _ if said.starts_with("Function.") => "Function.Unknown".to_owned(),
        _ => "Runtime.Unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn error_types_are_kept_when_they_are_well_formed() {
        for (said, kept) in [
            ("Runtime.ExitError", "Runtime.ExitError"),
            ("Function.Oops", "Function.Oops"),
            ("Function.oops2", "Function.Unknown"),
            ("ValueError", "Runtime.Unknown"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ERROR_TYPE, HeaderValue::from_static(said));
            assert_eq!(error_type(&headers), kept);
        }
    }
}
