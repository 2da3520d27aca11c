//! From what a runtime said, or how it ended, to the outcome of an attempt.

use std::time::Duration;

use bytes::Bytes;

use super::event::Answer;
use super::logs::{self, Measured, Status};
use super::process::Exit;
use super::world::Call;
use crate::clock::real;
use crate::config::FunctionSpec;
use crate::delivery::{Failure, Outcome, Reply, Report};

/// The error type of a result that broke off.
const TRUNCATED: &str = "Runtime.TruncatedResponse";

/// The status that the REPORT line shows for an answer.
pub fn status(answer: &Answer) -> Status {
    match answer {
        Answer::Response(_) => Status::Success,
        Answer::Error(_, kind) | Answer::InitError(_, kind) => Status::Error(kind.clone()),
        Answer::TooLarge => Status::Error("Function.ResponseSizeTooLarge".to_owned()),
        Answer::Truncated => Status::Error(TRUNCATED.to_owned()),
    }
}

/// The outcome of an answer.
pub fn answered(answer: Answer, report: Report) -> Outcome {
    match answer {
        Answer::Response(payload) => Outcome::Done(Reply { payload, report }),
        Answer::Error(payload, _) | Answer::InitError(payload, _) => failed(payload, report),
        Answer::TooLarge => failed(logs::too_large_payload(), report),
        Answer::Truncated => failed(logs::payload(TRUNCATED, "Response truncated"), report),
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

/// The outcome of an invocation without a process of ours, with its log. No answer means that it took longer than
/// `limit`.
pub fn concluded(
    answer: Option<Answer>,
    call: &Call,
    spec: &FunctionSpec,
    (duration, limit): (Duration, Duration),
) -> Outcome {
    let (request_id, memory_mb) = (call.request_id, spec.memory_mb);
    let mut log = logs::start(request_id, &spec.version);
    if answer.is_none() {
        log.push_str(&logs::timed_out(real::now(), request_id, limit));
    }
    let status = answer.as_ref().map_or(Status::Timeout, status);
    let measured = Measured { request_id, duration, memory_mb, used_mb: 0, init: None, status };
    log.push_str(&logs::end_and_report(&measured));
    let report = Report { duration, log, ..Report::default() };
    match answer {
        Some(answer) => answered(answer, report),
        None => timed_out(request_id, limit, report),
    }
}
