//! An event as a runtime gets it, and what the runtime says to it. Values only.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::Piece;
use crate::clock::Timestamp;

/// What a runtime gets from `next`.
#[derive(Debug, Default)]
pub struct Event {
    /// The invocation's id, a UUID.
    pub request_id: String,
    /// The event itself.
    pub payload: Bytes,
    /// The function's ARN, as invoked.
    pub arn: String,
    /// `Root=1-8hex-24hex;Parent=16hex;Sampled=0`.
    pub trace_id: String,
    /// JSON text, if the caller gave one.
    pub client_context: Option<String>,
    /// How long the invocation may take from the moment it is handed over.
    pub limit: Duration,
    /// Where a streamed response goes as it comes, until somebody takes it.
    pub stream: Mutex<Option<mpsc::Sender<Piece>>>,
}

impl Event {
    /// Where a streamed response goes, once only: who takes it closes it.
    pub fn take_stream(&self) -> Option<mpsc::Sender<Piece>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What a runtime said about an event, or about its own start.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// The result, any bytes.
    Response(Bytes),
    /// The function failed; the body as posted, and the error type of the header.
    Error(Bytes, String),
    /// The code could not be loaded; the body as posted, and the error type of the header.
    InitError(Bytes, String),
    /// The result was larger than the Runtime API takes.
    TooLarge,
    /// The connection broke in the middle of a result of which the caller had a part.
    Truncated,
}

/// Why the Runtime API refuses a call.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    /// The id is not that of the running invocation.
    UnknownId,
    /// This call is not allowed now: the state, and the state it would lead to.
    Transition(&'static str, &'static str),
}

/// An event as handed over.
#[derive(Clone, Debug)]
pub struct Handed {
    /// The event.
    pub event: Arc<Event>,
    /// When the invocation must be over, real time.
    pub deadline: Timestamp,
    /// When it was handed over first.
    pub at: Instant,
}
