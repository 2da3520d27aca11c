//! What the platform tells of an environment: in the log, as text or JSON, and to those who subscribe. Pure.

use std::time::Duration;

use serde_json::{Value, json};

use super::extensions::Shown;
use super::logs::{self, Measured, Status};
use crate::clock::Timestamp;
use crate::config::LogFormat;

/// Something that the platform tells.
#[derive(Debug)]
pub enum Happening<'a> {
    /// A start begins.
    InitStart {
        /// How and why: `on-demand` or `provisioned-concurrency`, `init` or `invoke`.
        start: (&'a str, &'a str),
        /// `python:3.12.v1`.
        runtime: &'a str,
        /// The function's name and version.
        function: (&'a str, &'a str),
    },
    /// The runtime has started, or not.
    InitRuntimeDone {
        /// How and why.
        start: (&'a str, &'a str),
        /// How it went.
        status: &'a Status,
    },
    /// A start is over.
    InitReport {
        /// How and why.
        start: (&'a str, &'a str),
        /// How it went.
        status: &'a Status,
        /// How long it took.
        took: Duration,
    },
    /// An invocation begins.
    Start {
        /// Its id.
        request_id: &'a str,
        /// The function's version.
        version: &'a str,
        /// The function as the caller named it.
        arn: &'a str,
    },
    /// The runtime has answered, or not.
    RuntimeDone {
        /// What was measured.
        measured: &'a Measured<'a>,
        /// How many bytes it answered.
        produced: usize,
    },
    /// An invocation is over.
    Report(&'a Measured<'a>),
    /// An extension has started.
    Extension(&'a Shown),
    /// An extension has subscribed.
    Subscription {
        /// Its name.
        name: &'a str,
        /// To what: `platform`, `function`, `extension`.
        types: &'a [String],
    },
    /// A subscriber was too slow.
    LogsDropped {
        /// How many records it has missed.
        records: u64,
        /// How many bytes those had.
        bytes: u64,
    },
}

impl Happening<'_> {
    /// As it stands in a log of this format; empty if it does not.
    pub fn lines(&self, format: &LogFormat, at: Timestamp) -> String {
        match format {
            LogFormat::Text => self.text(),
            LogFormat::Json { system, .. } if self.is_shown_from(system) => format!("{}\n", self.json(at)),
            LogFormat::Json { .. } => String::new(),
        }
    }

    /// As those get it who subscribe, and as it stands in a JSON log. `at` is real time.
    pub fn json(&self, at: Timestamp) -> Value {
        json!({ "time": at.to_string(), "type": format!("platform.{}", self.name()), "record": self.record() })
    }

    fn is_shown_from(&self, level: &str) -> bool {
        level != "WARN" || matches!(self, Happening::LogsDropped { .. })
    }

    fn text(&self) -> String {
        match self {
            Happening::InitStart { start: (_, "init"), runtime, .. } => logs::init_start(runtime),
            Happening::InitReport { start: (_, phase), status, took } if **status != Status::Success => {
                logs::init_report(*took, phase, status)
            }
            Happening::InitStart { .. }
            | Happening::InitReport { .. }
            | Happening::InitRuntimeDone { .. }
            | Happening::RuntimeDone { .. } => String::new(),
            Happening::Start { request_id, version, .. } => logs::start(request_id, version),
            Happening::Report(measured) => logs::end_and_report(measured),
            Happening::Extension(shown) => {
                format!(
                    "EXTENSION\tName: {}\tState: Ready\tEvents: [{}]\n",
                    shown.name,
                    shown.events.join(",")
                )
            }
            Happening::Subscription { name, types } => {
                let types: Vec<String> = types.iter().map(|one| capitalized(one)).collect();
                format!("TELEMETRY\tName: {name}\tState: Subscribed\tTypes: [{}]\n", types.join(", "))
            }
            Happening::LogsDropped { records, bytes } => {
                format!(
                    "TELEMETRY\t{records} records with {bytes} bytes were dropped: a subscriber is too slow\n"
                )
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Happening::InitStart { .. } => "initStart",
            Happening::InitRuntimeDone { .. } => "initRuntimeDone",
            Happening::InitReport { .. } => "initReport",
            Happening::Start { .. } => "start",
            Happening::RuntimeDone { .. } => "runtimeDone",
            Happening::Report(_) => "report",
            Happening::Extension(_) => "extension",
            Happening::Subscription { .. } => "telemetrySubscription",
            Happening::LogsDropped { .. } => "logsDropped",
        }
    }

    fn record(&self) -> Value {
        match self {
            Happening::InitStart { start: (kind, phase), runtime, function: (name, version) } => json!({
                "initializationType": kind, "phase": phase, "runtimeVersion": runtime,
                "functionName": name, "functionVersion": version,
            }),
            Happening::InitRuntimeDone { start: (kind, phase), status } => {
                with_status(json!({ "initializationType": kind, "phase": phase }), status)
            }
            Happening::InitReport { start: (kind, phase), status, took } => with_status(
                json!({ "initializationType": kind, "phase": phase, "metrics": { "durationMs": millis(*took) } }),
                status,
            ),
            Happening::Start { request_id, version, arn } => {
                json!({ "requestId": request_id, "functionArn": arn, "version": version })
            }
            Happening::RuntimeDone { measured, produced } => {
                let metrics = json!({ "durationMs": millis(measured.duration), "producedBytes": produced });
                let record = json!({ "requestId": measured.request_id, "metrics": metrics });
                with_status(record, &measured.status)
            }
            Happening::Report(measured) => {
                let mut metrics = json!({
                    "durationMs": millis(measured.duration),
                    "billedDurationMs": u64::try_from(logs::billed_ms(measured.duration)).unwrap_or(u64::MAX),
                    "memorySizeMB": measured.memory_mb,
                    "maxMemoryUsedMB": measured.used_mb,
                });
                if let Some(init) = measured.init {
                    metrics["initDurationMs"] = millis(init);
                }
                let record = json!({ "requestId": measured.request_id, "metrics": metrics });
                with_status(record, &measured.status)
            }
            Happening::Extension(shown) => {
                json!({ "name": shown.name, "state": "Ready", "events": shown.events })
            }
            Happening::Subscription { name, types } => {
                json!({ "name": name, "state": "Subscribed", "types": types })
            }
            Happening::LogsDropped { records, bytes } => json!({
                "droppedBytes": bytes, "droppedRecords": records,
                "reason": "Consumer seems to have fallen behind as it has not acknowledged receipt of logs.",
            }),
        }
    }
}

fn with_status(mut record: Value, status: &Status) -> Value {
    match status {
        Status::Success => record["status"] = json!("success"),
        Status::Timeout => record["status"] = json!("timeout"),
        Status::Error(kind) => {
            record["status"] = json!("error");
            record["errorType"] = json!(kind);
        }
    }
    record
}

/// Milliseconds with at most three digits after the point.
fn millis(duration: Duration) -> Value {
    json!((duration.as_secs_f64() * 1_000_000.0).round() / 1000.0)
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(0);

    fn json_format(system: &str) -> LogFormat {
        LogFormat::Json { application: "INFO".to_owned(), system: system.to_owned() }
    }

    #[test]
    fn the_platform_speaks_text_or_json() {
        let start = Happening::Start { request_id: "ID", version: "$LATEST", arn: "ARN" };
        assert_eq!(start.lines(&LogFormat::Text, AT), "START RequestId: ID Version: $LATEST\n");
        assert_eq!(
            start.lines(&json_format("INFO"), AT),
            "{\"time\":\"1970-01-01T00:00:00.000Z\",\"type\":\"platform.start\",\"record\":{\"requestId\":\"ID\",\
             \"functionArn\":\"ARN\",\"version\":\"$LATEST\"}}\n"
        );
        assert_eq!(start.lines(&json_format("WARN"), AT), "");
    }

    #[test]
    fn a_report_has_its_metrics() {
        let measured = Measured {
            request_id: "ID",
            duration: Duration::from_micros(1_200),
            memory_mb: 128,
            used_mb: 36,
            init: Some(Duration::from_micros(110_100)),
            status: Status::Error("Runtime.ExitError".into()),
        };
        assert_eq!(
            Happening::Report(&measured).json(AT)["record"].to_string(),
            "{\"requestId\":\"ID\",\"metrics\":{\"durationMs\":1.2,\"billedDurationMs\":2,\"memorySizeMB\":128,\
             \"maxMemoryUsedMB\":36,\"initDurationMs\":110.1},\"status\":\"error\",\"errorType\":\"Runtime.ExitError\"}"
        );
    }

    #[test]
    fn a_start_that_succeeds_is_no_line_of_text() {
        let report = |status| {
            let took = Duration::from_millis(5);
            Happening::InitReport { start: ("on-demand", "init"), status, took }.lines(&LogFormat::Text, AT)
        };
        assert_eq!(report(&Status::Success), "");
        assert_eq!(
            report(&Status::Timeout),
            "INIT_REPORT Init Duration: 5.00 ms\tPhase: init\tStatus: timeout\n"
        );
        let types = ["platform".to_owned(), "function".to_owned()];
        let subscription = Happening::Subscription { name: "x", types: &types };
        assert_eq!(
            subscription.lines(&LogFormat::Text, AT),
            "TELEMETRY\tName: x\tState: Subscribed\tTypes: [Platform, Function]\n"
        );
    }
}
