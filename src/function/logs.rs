//! The lines that the Lambda service itself writes into a function's log, and the failures as a caller gets
//! them. Pure.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::extensions::ExtensionFailure;
use super::process::Exit;
use super::runtime_api::RESPONSE_MAX;
use crate::clock::Timestamp;

/// `INIT_START Runtime Version: python:3.12.v0`.
pub fn init_start(runtime: &str) -> String {
    format!("INIT_START Runtime Version: {runtime}\n")
}

/// `START RequestId: ID Version: $LATEST`.
pub fn start(request_id: &str, version: &str) -> String {
    format!("START RequestId: {request_id} Version: {version}\n")
}

/// How a start or an invocation went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// It succeeded.
    #[default]
    Success,
    /// It failed with this error type.
    Error(String),
    /// It took too long.
    Timeout,
}

impl Status {
    /// As the REPORT line ends: nothing, `Status: timeout`, or `Status: error` with its type.
    fn suffix(&self) -> String {
        match self {
            Status::Success => String::new(),
            Status::Error(kind) => format!("Status: error\tError Type: {kind}"),
            Status::Timeout => "Status: timeout".to_owned(),
        }
    }
}

/// What the last lines of an invocation's log tell.
#[derive(Clone, Debug, Default)]
pub struct Measured<'a> {
    /// The invocation's id.
    pub request_id: &'a str,
    /// From handing over the event to the answer.
    pub duration: Duration,
    /// What the function is told it has, MB.
    pub memory_mb: u32,
    /// The most it has used, MB; 0 where that cannot be measured.
    pub used_mb: u64,
    /// How long a cold environment took to start.
    pub init: Option<Duration>,
    /// How it went.
    pub status: Status,
}

/// The END and REPORT lines.
pub fn end_and_report(measured: &Measured) -> String {
    let Measured { request_id, duration, memory_mb, used_mb, init, status } = measured;
    let (shown, billed, status) = (millis(*duration), billed_ms(*duration), status.suffix());
    let init = init.map(|init| format!("Init Duration: {} ms\t", millis(init))).unwrap_or_default();
    format!(
        "END RequestId: {request_id}\nREPORT RequestId: {request_id}\tDuration: {shown} ms\tBilled Duration: \
         {billed} ms\tMemory Size: {memory_mb} MB\tMax Memory Used: {used_mb} MB\t{init}{status}\n"
    )
}

/// What is billed for an invocation, in milliseconds.
pub fn billed_ms(duration: Duration) -> u128 {
    duration.as_micros().div_ceil(1000)
}

/// The line about an environment that did not start in this phase, `init` or `invoke`.
pub fn init_report(took: Duration, phase: &str, status: &Status) -> String {
    format!("INIT_REPORT Init Duration: {} ms\tPhase: {phase}\t{}\n", millis(took), status.suffix())
}

/// The line about a timeout, and the empty one after it. `at` is real time.
pub fn timed_out(at: Timestamp, request_id: &str, limit: Duration) -> String {
    format!("{at} {request_id} Task timed out after {:.2} seconds\n\n", limit.as_secs_f64())
}

/// The lines about a process that ended.
pub fn exited(request_id: &str, exit: Exit) -> String {
    format!("RequestId: {request_id} Error: {}\n{EXIT_ERROR}\n", exit_text(exit))
}

/// The error type of a process that ended.
pub const EXIT_ERROR: &str = "Runtime.ExitError";
/// The error type of a process that took more memory than it has: the REPORT line's alone.
pub const OUT_OF_MEMORY: &str = "Runtime.OutOfMemory";

/// What a caller gets of a process that ended.
pub fn exit_payload(request_id: &str, exit: Exit) -> Bytes {
    payload(EXIT_ERROR, &format!("RequestId: {request_id} Error: {}", exit_text(exit)))
}

/// What a caller gets of an invocation that took too long.
pub fn timeout_payload(request_id: &str, limit: Duration) -> Bytes {
    let seconds = limit.as_secs_f64();
    payload(
        "Sandbox.Timedout",
        &format!("RequestId: {request_id} Error: Task timed out after {seconds:.2} seconds"),
    )
}

/// What a caller gets of a response over the limit: this one has its keys the other way round.
pub fn too_large_payload() -> Bytes {
    let message =
        format!("Response payload size exceeded maximum allowed payload size ({RESPONSE_MAX} bytes).");
    Bytes::from(json!({ "errorMessage": message, "errorType": "Function.ResponseSizeTooLarge" }).to_string())
}

/// A failure's JSON.
pub fn payload(kind: &str, message: &str) -> Bytes {
    Bytes::from(json!({ "errorType": kind, "errorMessage": message }).to_string())
}

/// A failure in short, from its payload: `ValueError: no`.
pub fn summary(payload: &[u8]) -> String {
    const LONGEST: usize = 200;
    let value: Value = serde_json::from_slice(payload).unwrap_or(Value::Null);
    let (kind, message) =
        (value["errorType"].as_str().unwrap_or(""), value["errorMessage"].as_str().unwrap_or(""));
    let first_line = message.lines().next().unwrap_or_default();
    let text = match (kind, first_line) {
        ("", "") => return "function error".to_owned(),
        (kind, "") => kind.to_owned(),
        ("", message) => message.to_owned(),
        (kind, message) => format!("{kind}: {message}"),
    };
    if text.chars().count() <= LONGEST { text } else { text.chars().take(LONGEST).chain(['…']).collect() }
}

/// The exit of a process that was killed for the memory it took.
pub const KILLED: Exit = Exit::Signal(libc::SIGKILL, false);

/// The error type of an extension whose process ended.
pub const EXTENSION_CRASH: &str = "Extension.Crash";

/// The lines about an extension whose process ended.
pub fn extension_crashed(request_id: &str, exit: Exit) -> String {
    format!("RequestId: {request_id} Error: {exit}\n{EXTENSION_CRASH}\n")
}

/// What a caller gets of an extension whose process ended.
pub fn extension_crash_payload(request_id: &str, exit: Exit) -> Bytes {
    payload(EXTENSION_CRASH, &format!("RequestId: {request_id} Error: {exit}"))
}

/// The lines about an extension that says it cannot go on.
pub fn extension_failed(request_id: &str, failed: &ExtensionFailure) -> String {
    format!("RequestId: {request_id} Error: {}\n{}\n", failed.said, failed.kind)
}

/// What a caller gets of an extension that says it cannot go on.
pub fn extension_payload(request_id: &str, failed: &ExtensionFailure) -> Bytes {
    payload(failed.kind, &format!("RequestId: {request_id} Error: {}", failed.said))
}

/// The line about a temporary folder that holds more than it may, in MB; AWS's own would have been full.
pub fn overfull(used_mb: u64, storage_mb: u32) -> String {
    format!(
        "dropwire: the temporary folder holds {used_mb} MB, and {storage_mb} MB are the most; on AWS there would \
         have been no space left on the device. The next event gets a new environment\n"
    )
}

fn exit_text(exit: Exit) -> String {
    match exit {
        Exit::Code(0) => "Runtime exited without providing a reason".to_owned(),
        other => format!("Runtime exited with error: {other}"),
    }
}

/// Milliseconds with two digits.
fn millis(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00000000-0000-4000-8000-000000000001";

    fn check(golden: &str, payload: &Bytes) {
        let recorded: Value = serde_json::from_str(golden).expect("a recorded answer");
        assert_eq!(String::from_utf8_lossy(payload), recorded["Payload"].to_string());
    }

    #[test]
    fn failures_are_those_that_were_recorded() {
        check(include_str!("golden/runtime_exit.json"), &exit_payload(ID, Exit::Code(0)));
        check(include_str!("golden/runtime_exit_status_127.json"), &exit_payload(ID, Exit::Code(127)));
        check(include_str!("golden/timeout_2025.json"), &timeout_payload(ID, Duration::from_secs(1)));
    }

    #[test]
    fn the_report_has_the_fields_of_the_service() {
        let mut measured =
            Measured { request_id: "ID", duration: Duration::from_micros(3_010), ..Measured::default() };
        (measured.memory_mb, measured.used_mb, measured.init) =
            (128, 36, Some(Duration::from_micros(110_100)));
        assert_eq!(
            end_and_report(&measured),
            "END RequestId: ID\nREPORT RequestId: ID\tDuration: 3.01 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\t\
             Max Memory Used: 36 MB\tInit Duration: 110.10 ms\t\n"
        );
        (measured.init, measured.status) = (None, Status::Timeout);
        assert!(end_and_report(&measured).ends_with("Max Memory Used: 36 MB\tStatus: timeout\n"));
    }

    #[test]
    fn failures_are_summed_up_in_a_line() {
        assert_eq!(summary(br#"{"errorType":"ValueError","errorMessage":"no\nmore"}"#), "ValueError: no");
        assert_eq!(summary(br#"{"errorType":"X"}"#), "X");
        assert_eq!(summary(b"oops"), "function error");
    }
}
