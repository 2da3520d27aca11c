//! Invoke and InvokeAsync: from the request to the function and back (semantics: Invoke, asynchronous invocation).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::StatusCode;
use serde_json::json;
use tokio_util::task::TaskTracker;

use super::asked::{Kind, asked, payload};
use super::errors::pending;
use super::journal::Journal;
use super::names::{Target, is_version};
use super::to_its_end::ToItsEnd;
use super::{Lambda, Resolved};
use crate::arn::{Arn, Place};
use crate::aws::{Answer, AwsError, Call};
use crate::clock::{Clock, real};
use crate::config::LATEST;
use crate::delivery::queue::Queue;
use crate::delivery::{Outcome, Report, Throttle};
use crate::event::Event;
use crate::function::{Functions, Invocation, Piece};
use crate::random;
use crate::timeline::{Moment, Timeline, millis};
use tokio::sync::mpsc;

/// The largest payload of a synchronous invocation, in bytes: 6 MiB.
pub const SYNC_MAX: usize = 6 << 20;
/// The largest payload of an asynchronous invocation, in bytes: 1 MiB.
pub const ASYNC_MAX: usize = 1 << 20;
/// How much of a log a caller gets who asks for its tail, in bytes.
const TAIL_MAX: usize = 4096;
/// How long an invocation waits for a function that was made a moment ago.
const PENDING_MAX: Duration = Duration::from_secs(10);

/// What invokes functions for callers outside. Clones share it.
#[derive(Clone)]
pub struct Invoker(Arc<Parts>);

/// What an invoker is made of.
pub struct Parts {
    /// Who knows the functions, their versions and aliases.
    pub lambda: Arc<Lambda>,
    /// What runs them.
    pub functions: Functions,
    /// Where asynchronous invocations wait.
    pub queue: Arc<Queue>,
    /// Simulated time.
    pub clock: Clock,
    /// Who is told.
    pub timeline: Timeline,
    /// Where direct invocations are written down.
    pub journal: Journal,
    /// Invocations whose callers have gone away.
    pub abandoned: TaskTracker,
}

impl Invoker {
    /// An invoker of these parts.
    pub fn new(parts: Parts) -> Invoker {
        Invoker(Arc::new(parts))
    }
    /// What it is made of.
    pub fn parts(&self) -> &Parts {
        &self.0
    }

    /// `Invoke`
    pub async fn invoke(&self, call: Call, target: &Target) -> Result<Answer, AwsError> {
        let asked = asked(&call, &[Kind::RequestResponse, Kind::Event, Kind::DryRun])?;
        let resolved = self.ready(target).await?;
        let payload = payload(&call.body)?;
        let too_large = |most| Err(too_large(most, "InvokeFunction"));
        match asked.kind {
            Kind::DryRun => Ok(Answer::empty(StatusCode::NO_CONTENT)),
            Kind::Event if payload.len() > ASYNC_MAX => too_large(ASYNC_MAX),
            Kind::Event => {
                self.later(target, &resolved, (&call.request_id, payload)).await?;
                Ok(Answer::empty(StatusCode::ACCEPTED))
            }
            Kind::RequestResponse if payload.len() > SYNC_MAX => too_large(SYNC_MAX),
            Kind::RequestResponse => {
                let trace_id = self.trace_id(&call);
                let mut invocation = Invocation::of(payload, &call.request_id);
                invocation.arn = Some(resolved.invoked_arn.as_str().to_owned());
                invocation.client_context = asked.client_context;
                invocation.trace_id = Some(trace_id.clone());
                let outcome = self.run(&resolved, invocation).await;
                let answer = answered(outcome, &resolved, asked.tail, &call.request_id)?;
                Ok(answer.with("x-amzn-trace-id", root_of(&trace_id)))
            }
        }
    }

    /// `InvokeAsync`, the old way to say `Event`.
    pub async fn invoke_async(&self, call: Call, target: &Target) -> Result<Answer, AwsError> {
        let resolved = self.ready(target).await?;
        let payload = payload(&call.body)?;
        if payload.len() > ASYNC_MAX {
            return Err(too_large(ASYNC_MAX, "InvokeAsync"));
        }
        self.later(target, &resolved, (&call.request_id, payload)).await?;
        Ok(Answer::json(StatusCode::ACCEPTED, &json!({ "Status": 202 })))
    }

    /// Where an invocation goes, once the function is there: one that was made a moment ago is waited for.
    pub async fn ready(&self, target: &Target) -> Result<Resolved, AwsError> {
        let Parts { lambda, functions, .. } = &*self.0;
        let resolved = lambda.resolve(target)?;
        if !lambda.is_pending(&resolved.name) && functions.get(&resolved.key).is_some() {
            return Ok(resolved);
        }
        real::within(PENDING_MAX, lambda.until_in_force()).await;
        let resolved = lambda.resolve(target)?;
        functions.get(&resolved.key).map(|_| resolved).ok_or_else(pending)
    }

    /// Puts an invocation into the queue. Durable when it returns.
    async fn later(
        &self,
        target: &Target,
        resolved: &Resolved,
        (request_id, payload): (&str, Bytes),
    ) -> Result<(), AwsError> {
        let Parts { lambda, queue, .. } = &*self.0;
        let function = called(lambda.place(), target, resolved);
        // Without a wire it would be lost.
        if queue.wires().from(&function).is_empty() {
            real::within(PENDING_MAX, lambda.until_in_force()).await;
            if queue.wires().from(&function).is_empty() {
                return Err(pending());
            }
        }
        let text = String::from_utf8_lossy(&payload).into_owned();
        let event = Event::invocation(function, request_id, text, self.0.clock.now());
        let stored = queue.emit(vec![event], Vec::new()).await;
        stored.map(drop).map_err(|error| AwsError::new(500, "ServiceException", error.to_string()))
    }

    /// Runs an invocation to its end, also when its caller goes away, and writes it down.
    pub async fn run(&self, resolved: &Resolved, invocation: Invocation) -> Outcome {
        let (invoker, key, name) = (self.clone(), resolved.key.clone(), resolved.name.clone());
        let run = async move {
            let Parts { functions, clock, journal, .. } = &*invoker.0;
            let request_id = invocation.request_id.clone();
            let outcome = functions.invoke(&key, invocation).await;
            let outcome =
                outcome.unwrap_or_else(|| Outcome::Over(format!("function {key} is not there any more")));
            journal.note(&name, &request_id, (clock.now(), &outcome));
            invoker.tell(&key, &request_id, &outcome);
            outcome
        };
        ToItsEnd::of(run, &self.0.abandoned).await
    }

    /// The same, while its response comes piece by piece.
    pub fn streaming(
        &self,
        resolved: &Resolved,
        mut invocation: Invocation,
    ) -> (mpsc::Receiver<Piece>, impl Future<Output = Outcome> + Send + 'static) {
        /// How many pieces may wait for a slow reader before the function has to.
        const PIECES_MAX: usize = 16;
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        invocation.stream = Some(sender);
        let (invoker, resolved) = (self.clone(), resolved.clone());
        (pieces, async move { invoker.run(&resolved, invocation).await })
    }

    fn tell(&self, key: &str, request_id: &str, outcome: &Outcome) {
        let Parts { clock, timeline, .. } = &*self.0;
        if !timeline.is_followed() {
            return;
        }
        let (error, report) = match outcome {
            Outcome::Done(reply) => (None, Some(&reply.report)),
            Outcome::Failed(failure) => (Some(failure.summary.clone()), Some(&failure.report)),
            Outcome::Throttled(_) => (Some("throttled".to_owned()), None),
            Outcome::Unavailable(why) | Outcome::Over(why) => (Some(why.clone()), None),
        };
        timeline.note(
            clock.now(),
            Moment::Invoked {
                request_id: request_id.to_owned(),
                function: key.to_owned(),
                ok: error.is_none(),
                duration_ms: report.map(|report| millis(report.duration)).unwrap_or_default(),
                init_ms: report.and_then(|report| report.init).map(millis),
                error,
            },
        );
    }

    /// The caller's trace, or a new one: `Root=…;Parent=…;Sampled=0`.
    pub fn trace_id(&self, call: &Call) -> String {
        let digits = hex::encode(random::digest(&[b"trace", call.request_id.as_bytes()]));
        let given =
            call.header("x-amzn-trace-id").filter(|id| id.starts_with("Root=") || id.contains(";Root="));
        match given {
            Some(given) if given.contains("Parent=") => given.to_owned(),
            Some(given) => format!("{given};Parent={};Sampled=0", &digits[24..40]),
            None => {
                let seconds = self.0.clock.now().as_seconds();
                format!("Root=1-{seconds:08x}-{};Parent={};Sampled=0", &digits[..24], &digits[24..40])
            }
        }
    }
}

/// What an asynchronous invocation is an event of: the function, or the version or alias that was called.
fn called(place: &Place, target: &Target, resolved: &Resolved) -> Arn {
    let function = Arn::function(place, &resolved.name);
    match target.qualifier.as_deref() {
        None | Some(LATEST) => function,
        Some(number) if is_version(number) => function.qualified(&resolved.version),
        Some(alias) => function.qualified(alias),
    }
}

/// `Root=1-…` of a whole trace header.
pub fn root_of(trace_id: &str) -> &str {
    trace_id.split(';').find(|part| part.starts_with("Root=")).unwrap_or(trace_id)
}

/// What is said of a payload over the limit.
pub fn too_large(most: usize, operation: &str) -> AwsError {
    AwsError::new(
        413,
        "RequestTooLargeException",
        format!("Request must be smaller than {most} bytes for the {operation} operation"),
    )
}

/// What a caller is answered.
fn answered(outcome: Outcome, resolved: &Resolved, tail: bool, request_id: &str) -> Result<Answer, AwsError> {
    let (payload, failed, report) = finished(outcome, request_id)?;
    let mut answer = crate::aws::rest_json::raw(StatusCode::OK, payload, "application/json")
        .with("x-amz-executed-version", &resolved.version);
    if failed {
        answer = answer.with("x-amz-function-error", "Unhandled");
    }
    if tail {
        answer = answer.with("x-amz-log-result", &tail_of(&report.log));
    }
    Ok(answer)
}

/// Payload, whether the function failed, and what was measured; or why it did not run.
pub fn finished(outcome: Outcome, request_id: &str) -> Result<(Bytes, bool, Report), AwsError> {
    match outcome {
        Outcome::Done(reply) => Ok((reply.payload, false, reply.report)),
        Outcome::Failed(failure) => Ok((failure.payload, true, failure.report)),
        Outcome::Throttled(throttle) => Err(throttled(throttle)),
        // Where the service would not find a program to start, so says it.
        Outcome::Unavailable(why) => {
            let message = format!("RequestId: {request_id} Error: {why}");
            let payload = json!({ "errorType": "Runtime.InvalidEntrypoint", "errorMessage": message });
            Ok((Bytes::from(payload.to_string()), true, Report::default()))
        }
        Outcome::Over(why) => Err(AwsError::new(503, "ServiceException", why)),
    }
}

/// The failure of a call that would be one too many.
pub fn throttled(throttle: Throttle) -> AwsError {
    let reason = match throttle {
        Throttle::Reserved | Throttle::Zero => "ReservedFunctionConcurrentInvocationLimitExceeded",
        Throttle::Account => "ConcurrentInvocationLimitExceeded",
    };
    AwsError::new(429, "TooManyRequestsException", "Rate Exceeded.")
        .member("Reason", reason)
        .header("retry-after", "1")
}

/// The last 4 KB of a log, in base64.
pub fn tail_of(log: &str) -> String {
    let bytes = log.as_bytes();
    BASE64.encode(&bytes[bytes.len().saturating_sub(TAIL_MAX)..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_end_of_the_log() {
        let (first, last) = ("a".repeat(904), "b".repeat(4096));
        assert_eq!(BASE64.decode(tail_of(&(first + &last))).expect("base64"), last.as_bytes());
        assert_eq!(tail_of("a"), "YQ==");
    }

    #[test]
    fn what_cannot_start_has_failed_and_what_is_over_may_be_asked_again() {
        // Whatever its text is.
        let text = "function f: cannot start ./dropwire is stopping";
        let (payload, failed, _) = finished(Outcome::Unavailable(text.into()), "id").expect("an answer");
        let said = String::from_utf8_lossy(&payload).into_owned();
        assert!(failed && said.contains("Runtime.InvalidEntrypoint") && said.contains(text), "{said}");
        let error = finished(Outcome::Over("function f ends".into()), "id").expect_err("no answer");
        assert_eq!((error.status.as_u16(), error.code), (503, "ServiceException"));
    }

    #[test]
    fn a_throttle_names_its_limit() {
        let error = throttled(Throttle::Reserved);
        assert_eq!((error.status.as_u16(), error.message.as_str()), (429, "Rate Exceeded."));
        assert_eq!(error.members, [("Reason", json!("ReservedFunctionConcurrentInvocationLimitExceeded"))]);
    }
}
