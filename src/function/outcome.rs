//! From what a runtime said, or how it ended, to the outcome of an attempt. Pure.

use std::time::Duration;

use bytes::Bytes;

use super::desk::Answer;
use super::logs;
use super::process::Exit;
use crate::delivery::{Failure, Outcome, Reply, Report};

/// The status that the REPORT line shows for an answer; empty for success.
pub fn status(answer: &Answer) -> String {
    match answer {
        Answer::Response(_) => String::new(),
        Answer::Error(_, kind) | Answer::InitError(_, kind) => logs::status_error(kind),
        Answer::TooLarge => logs::status_error("Function.ResponseSizeTooLarge"),
    }
}

/// The outcome of an answer.
pub fn answered(answer: Answer, report: Report) -> Outcome {
    match answer {
        Answer::Response(payload) => Outcome::Done(Reply { payload, report }),
        Answer::Error(payload, _) | Answer::InitError(payload, _) => failed(payload, report),
        Answer::TooLarge => failed(logs::too_large_payload(), report),
    }
}

/// The outcome of a process that ended instead of answering.
pub fn exited(request_id: &str, exit: Exit, report: Report) -> Outcome {
    let payload = logs::exit_payload(request_id, exit);
    Outcome::Failed(Failure { summary: exit.summary(), payload, report })
}

/// The outcome of an invocation that took too long.
pub fn timed_out(request_id: &str, limit: Duration, report: Report) -> Outcome {
    let summary = format!("Timeout after {:.2} s", limit.as_secs_f64());
    Outcome::Failed(Failure { summary, payload: logs::timeout_payload(request_id, limit), report })
}

/// The outcome of a failure with this payload.
pub fn failed(payload: Bytes, report: Report) -> Outcome {
    Outcome::Failed(Failure { summary: logs::summary(&payload), payload, report })
}
