//! How environments end: at once, or with a word to their extensions first.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::Environment;
use super::run::Run;
use crate::clock::real;

/// How long a shutdown may take in all when there are external extensions.
const SHUTDOWN_MAX: Duration = Duration::from_millis(2000);
/// How much of it the runtime has, in percent.
const RUNTIME_SHARE: u32 = 30;
/// How long the runtime has when all extensions are its own.
const INTERNAL_MAX: Duration = Duration::from_millis(500);

/// Why processes are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There is nothing to do.
    Spindown,
    /// An invocation took too long.
    Timeout,
    /// Something failed.
    Failure,
}

impl Cause {
    /// As extensions are told.
    fn as_str(self) -> &'static str {
        match self {
            Cause::Spindown => "spindown",
            Cause::Timeout => "timeout",
            Cause::Failure => "failure",
        }
    }
}

impl Environment {
    /// Whether its processes have to be told before they end.
    pub fn has_to_be_told(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.desk.extensions.are_any())
    }

    /// Ends its processes by the rules; the environment stays, without processes.
    pub async fn end_processes(&mut self, cause: Cause) {
        if let Some(run) = self.run.take() {
            self.card.set_pid(0);
            shut_down(&run, cause).await;
            self.tell(&run.take_output());
        }
        self.broken = None;
        self.in_event = false;
    }
}

/// Ends the processes: without extensions they are killed; internal ones have half a second after a SIGTERM;
/// external ones hear of it once the runtime has ended.
async fn shut_down(run: &Run, cause: Cause) {
    let extensions = &run.desk.extensions;
    if !extensions.are_any() {
        return run.kill().await;
    }
    run.frost.hold();
    if !run.has_external() {
        run.runtime.terminate();
        real::within(INTERNAL_MAX, run.runtime.until_exit()).await;
        return run.kill().await;
    }
    let begun = std::time::Instant::now();
    run.runtime.terminate();
    real::within(SHUTDOWN_MAX * RUNTIME_SHARE / 100, run.runtime.until_exit()).await;
    run.runtime.kill();
    let deadline = real::now().plus(SHUTDOWN_MAX.saturating_sub(begun.elapsed())).as_millis();
    let message =
        json!({ "eventType": "SHUTDOWN", "shutdownReason": cause.as_str(), "deadlineMs": deadline });
    extensions.tell_shutdown(&Bytes::from(message.to_string()));
    real::within(SHUTDOWN_MAX.saturating_sub(begun.elapsed()), run.until_extensions_exit()).await;
    run.kill().await;
}
