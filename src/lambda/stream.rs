//! InvokeWithResponseStream: the response as a stream of binary messages, while it is written.

use std::pin::pin;

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;
use tokio::sync::mpsc;

use super::asked::{Asked, Kind, asked, payload};
use super::invoke::{self, Invoker, SYNC_MAX};
use super::names::Target;
use crate::aws::{Answer, AwsError, Body, Call, event_stream};
use crate::delivery::{Outcome, Report};
use crate::function::{Invocation, Piece};

/// How many messages may wait for a slow reader.
const MESSAGES_MAX: usize = 16;
/// What the messages are.
const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

impl Invoker {
    /// `InvokeWithResponseStream`
    pub async fn invoke_with_response_stream(&self, call: Call, target: &Target) -> Result<Answer, AwsError> {
        let Asked { kind, tail, client_context } = asked(&call, &[Kind::RequestResponse, Kind::DryRun])?;
        let resolved = self.ready(target).await?;
        let payload = payload(&call.body)?;
        if payload.len() > SYNC_MAX {
            return Err(invoke::too_large(SYNC_MAX, "InvokeWithResponseStream"));
        }
        if kind == Kind::DryRun {
            return Ok(Answer::empty(StatusCode::NO_CONTENT));
        }
        let mut invocation = Invocation::of(payload, &call.request_id);
        invocation.arn = Some(resolved.invoked_arn.as_str().to_owned());
        invocation.client_context = client_context;
        invocation.trace_id = Some(self.trace_id(&call));
        let (mut pieces, outcome) = self.streaming(&resolved, invocation);
        let mut outcome = Box::pin(outcome);
        // A throttle is an error as ever; so the status waits for the first sign of life.
        let first = tokio::select! {
            biased;
            Some(piece) = pieces.recv() => First::Piece(piece, None),
            ended = outcome.as_mut() => match pieces.try_recv() {
                // All of it came while the pieces were looked at.
                Ok(piece) => First::Piece(piece, Some(ended)),
                Err(_) => First::Ended(ended),
            },
        };
        let (messages, body) = mpsc::channel(MESSAGES_MAX);
        let request_id = call.request_id.clone();
        let rest: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = match first {
            First::Ended(ended) => {
                let finished = invoke::finished(ended, &request_id)?;
                Box::pin(async move { conclude(&messages, Ok(finished), tail).await })
            }
            First::Piece(piece, ended) => Box::pin(async move {
                forward(&messages, piece).await;
                let ended = match ended {
                    Some(ended) => carry(&messages, &mut pieces, std::future::ready(ended)).await,
                    None => carry(&messages, &mut pieces, outcome).await,
                };
                conclude(&messages, invoke::finished(ended, &request_id), tail).await;
            }),
        };
        self.parts().abandoned.spawn(rest);
        let mut answer = Answer { body: Body::Stream(body), ..Answer::empty(StatusCode::OK) };
        answer = answer.with("content-type", CONTENT_TYPE);
        Ok(answer.with("x-amz-executed-version", &resolved.version))
    }
}

enum First {
    /// With the outcome, if that is there as well.
    Piece(Piece, Option<Outcome>),
    Ended(Outcome),
}

/// Passes on what comes until the invocation has ended and all its pieces are through.
async fn carry(
    messages: &mpsc::Sender<Bytes>,
    pieces: &mut mpsc::Receiver<Piece>,
    outcome: impl Future<Output = Outcome>,
) -> Outcome {
    let mut outcome = pin!(outcome);
    let mut ended = None;
    loop {
        tokio::select! {
            biased;
            piece = pieces.recv() => match (piece, ended.take()) {
                (Some(piece), before) => {
                    ended = before;
                    forward(messages, piece).await;
                }
                (None, Some(outcome)) => return outcome,
                (None, None) => return outcome.await,
            },
            outcome = outcome.as_mut(), if ended.is_none() => ended = Some(outcome),
        }
    }
}

/// A reader that has gone away misses the rest; the function runs on.
async fn forward(messages: &mpsc::Sender<Bytes>, piece: Piece) {
    if let Piece::Bytes(bytes) = piece {
        let message = event_stream::event("PayloadChunk", "application/octet-stream", &bytes);
        messages.send(Bytes::from(message)).await.ok();
    }
}

/// The last messages: what was not streamed, and how it ended.
async fn conclude(
    messages: &mpsc::Sender<Bytes>,
    finished: Result<(Bytes, bool, Report), AwsError>,
    tail: bool,
) {
    let mut complete = json!({});
    match finished {
        Ok((payload, failed, report)) => {
            if failed {
                let details: serde_json::Value = serde_json::from_slice(&payload).unwrap_or_default();
                complete["ErrorCode"] =
                    details.get("errorType").cloned().unwrap_or_else(|| json!("Unhandled"));
                complete["ErrorDetails"] = json!(String::from_utf8_lossy(&payload));
            } else if !payload.is_empty() {
                forward(messages, Piece::Bytes(payload)).await;
            }
            if tail {
                complete["LogResult"] = json!(invoke::tail_of(&report.log));
            }
        }
        Err(error) => {
            complete["ErrorCode"] = json!(error.code);
            complete["ErrorDetails"] = json!(error.message);
        }
    }
    let message = event_stream::event("InvokeComplete", "application/json", complete.to_string().as_bytes());
    messages.send(Bytes::from(message)).await.ok();
}
