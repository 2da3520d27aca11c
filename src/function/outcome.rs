//! From what a runtime said, or how it ended, to the outcome of an attempt.

use std::time::Duration;

use bytes::Bytes;

use super::desk::Answer;
use super::environment::LIMIT_MAX;
use super::logs::{self, Measured};
use super::process::Exit;
use super::world::Call;
use crate::clock::real;
use crate::config::FunctionSpec;
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

/// The outcome of an invocation without a process of ours, with its log. No answer means that it took too long.
pub fn concluded(answer: Option<Answer>, call: &Call, spec: &FunctionSpec, duration: Duration) -> Outcome {
    let (request_id, memory_mb) = (call.request_id, spec.memory_mb);
    let limit = spec.timeout.unwrap_or(LIMIT_MAX);
    let mut log = logs::start(request_id);
    if answer.is_none() {
        log.push_str(&logs::timed_out(real::now(), request_id, limit));
    }
    let status = answer.as_ref().map_or_else(|| logs::TIMEOUT.to_owned(), status);
    let measured = Measured { request_id, duration, memory_mb, used_mb: 0, init: None, status: &status };
    log.push_str(&logs::end_and_report(&measured));
    let report = Report { duration, init: None, log };
    match answer {
        Some(answer) => answered(answer, report),
        None => timed_out(request_id, limit, report),
    }
}
