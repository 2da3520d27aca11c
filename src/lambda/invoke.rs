//! Invoke and InvokeAsync: from the request to the function and back (semantics: Invoke, asynchronous invocation).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::StatusCode;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

use super::journal::Journal;
use super::names::Target;
use super::{Lambda, Resolved};
use crate::arn::Arn;
use crate::aws::{Answer, AwsError, Body, Call};
use crate::clock::{Clock, real};
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
/// The longest client context, in bytes of base64.
const CONTEXT_MAX: usize = 3583;
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

/// How a caller wants to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    RequestResponse,
    Event,
    DryRun,
}

/// What a caller says besides the payload.
struct Asked {
    kind: Kind,
    tail: bool,
    client_context: Option<String>,
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
        let asked = asked(&call)?;
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
        let lambda = &self.0.lambda;
        let resolved = lambda.resolve(target)?;
        if lambda.is_pending(&resolved.name) {
            real::within(PENDING_MAX, lambda.until_applied(&resolved.name)).await;
            return lambda.resolve(target);
        }
        Ok(resolved)
    }

    /// Puts an invocation into the queue. Durable when it returns.
    async fn later(
        &self,
        target: &Target,
        resolved: &Resolved,
        (request_id, payload): (&str, Bytes),
    ) -> Result<(), AwsError> {
        let place = self.0.lambda.place();
        let function = Arn::function(place, &resolved.name);
        let function = match &target.qualifier {
            Some(qualifier) if qualifier != crate::config::LATEST => function.qualified(qualifier),
            _ => function,
        };
        let text = String::from_utf8_lossy(&payload).into_owned();
        let event = Event::invocation(function, request_id, text, self.0.clock.now());
        let stored = self.0.queue.emit(vec![event], Vec::new()).await;
        stored.map(drop).map_err(|error| AwsError::new(500, "ServiceException", error.to_string()))
    }

    /// Runs an invocation to its end, also when its caller goes away, and writes it down.
    pub async fn run(&self, resolved: &Resolved, invocation: Invocation) -> Outcome {
        let (invoker, key, name) = (self.clone(), resolved.key.clone(), resolved.name.clone());
        let run = async move {
            let Parts { functions, clock, journal, .. } = &*invoker.0;
            let request_id = invocation.request_id.clone();
            let outcome = functions.invoke(&key, invocation).await;
            let outcome = outcome
                .unwrap_or_else(|| Outcome::Unavailable(format!("function {key} is not there any more")));
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
            Outcome::Unavailable(why) => (Some(why.clone()), None),
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

/// `Root=1-…` of a whole trace header.
pub fn root_of(trace_id: &str) -> &str {
    trace_id.split(';').find(|part| part.starts_with("Root=")).unwrap_or(trace_id)
}

/// A future that is run to its end even if whoever waits for it goes away.
struct ToItsEnd<T: Send + 'static> {
    future: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    tasks: TaskTracker,
}

impl<T: Send + 'static> ToItsEnd<T> {
    fn of(future: impl Future<Output = T> + Send + 'static, tasks: &TaskTracker) -> ToItsEnd<T> {
        ToItsEnd { future: Some(Box::pin(future)), tasks: tasks.clone() }
    }
}

impl<T: Send + 'static> Future for ToItsEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(future) = &mut self.future else { return Poll::Pending };
        let polled = future.as_mut().poll(context);
        if polled.is_ready() {
            self.future = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for ToItsEnd<T> {
    fn drop(&mut self) {
        // Without a runtime everything is ending, this as well.
        if let Some(future) = self.future.take()
            && tokio::runtime::Handle::try_current().is_ok()
        {
            self.tasks.spawn(async move { drop(future.await) });
        }
    }
}

/// What the headers ask for.
fn asked(call: &Call) -> Result<Asked, AwsError> {
    let kind = match call.header("x-amz-invocation-type") {
        None | Some("" | "RequestResponse") => Kind::RequestResponse,
        Some("Event") => Kind::Event,
        Some("DryRun") => Kind::DryRun,
        Some(other) => {
            return Err(no_member(other, "invocationType", "[RequestResponse, Event, DryRun]"));
        }
    };
    let tail = match call.header("x-amz-log-type") {
        None | Some("" | "None") => false,
        Some("Tail") => true,
        Some(other) => return Err(no_member(other, "logType", "[None, Tail]")),
    };
    let client_context = client_context(call.header("x-amz-client-context"))?;
    Ok(Asked { kind, tail, client_context })
}

fn no_member(value: &str, field: &str, set: &str) -> AwsError {
    constraint(value, field, &format!("satisfy enum value set: {set}"))
}

fn constraint(value: &str, field: &str, must: &str) -> AwsError {
    AwsError::new(
        400,
        "ValidationException",
        format!(
            "1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: Member must {must}"
        ),
    )
}

/// The client context as the function gets it: decoded JSON.
pub fn client_context(header: Option<&str>) -> Result<Option<String>, AwsError> {
    let Some(encoded) = header.filter(|text| !text.is_empty()) else { return Ok(None) };
    if encoded.len() > CONTEXT_MAX {
        return Err(constraint(
            encoded,
            "clientContext",
            &format!("have length less than or equal to {CONTEXT_MAX}"),
        ));
    }
    let refused = || {
        AwsError::new(
            400,
            "InvalidRequestContentException",
            "Client context must be a valid Base64-encoded JSON object.",
        )
    };
    let decoded = BASE64.decode(encoded).map_err(|_| refused())?;
    let value: Value = serde_json::from_slice(&decoded).map_err(|_| refused())?;
    // Written anew: a header has no room for line breaks.
    value.is_object().then(|| Some(value.to_string())).ok_or_else(refused)
}

/// The event: the body, or an empty object for none.
pub fn payload(body: &Bytes) -> Result<Bytes, AwsError> {
    if body.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    match serde_json::from_slice::<IgnoredAny>(body) {
        Ok(_) => Ok(body.clone()),
        Err(error) => Err(AwsError::new(400, "InvalidRequestContentException", not_json(body, &error))),
    }
}

/// The service's words for a body that is no JSON: it names the first character that cannot be.
fn not_json(body: &[u8], error: &serde_json::Error) -> String {
    let text = String::from_utf8_lossy(body);
    let line = error.line().max(1);
    let column = error.column();
    let at = text.lines().nth(line - 1).and_then(|line| line.chars().nth(column.saturating_sub(1)));
    let why = match at {
        Some(c) if !error.is_eof() => format!(
            "Unexpected character ('{c}' (code {})): expected a valid value (JSON String, Number, Array, Object or \
             token 'null', 'true' or 'false')",
            u32::from(c)
        ),
        _ => "Unexpected end-of-input within/between values".to_owned(),
    };
    let source = text.chars().take(500).collect::<String>();
    format!(
        "Could not parse request body into json: Could not parse payload into json: {why}\n at [Source: \
         (byte[])\"{source}\"; line: {line}, column: {}]",
        column + 1
    )
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
        Outcome::Unavailable(why) if !why.contains("dropwire is stopping") => {
            let message = format!("RequestId: {request_id} Error: {why}");
            let payload = json!({ "errorType": "Runtime.InvalidEntrypoint", "errorMessage": message });
            Ok((Bytes::from(payload.to_string()), true, Report::default()))
        }
        Outcome::Unavailable(why) => Err(AwsError::new(503, "ServiceException", why)),
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

/// A streamed body that ends at once.
pub fn no_body() -> Body {
    Body::Whole(Bytes::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_is_named() {
        let error = payload(&Bytes::from_static(b"xyz")).expect_err("refused");
        assert_eq!(error.code, "InvalidRequestContentException");
        let begins = "Could not parse request body into json: Could not parse payload into json: Unexpected character ('x' (code 120)): ";
        assert!(error.message.starts_with(begins), "{error}");
        let error = payload(&Bytes::from_static(b"{\"a\":")).expect_err("refused");
        assert!(error.message.contains("Unexpected end-of-input"), "{error}");
        assert_eq!(payload(&Bytes::new()).expect("nothing is an empty object"), "{}");
    }

    #[test]
    fn a_client_context_is_decoded() {
        let check = |text: &str| client_context(Some(&BASE64.encode(text)));
        assert_eq!(check("{\"custom\":\n{}}"), Ok(Some("{\"custom\":{}}".into())));
        assert_eq!(client_context(Some("")), Ok(None));
        assert!(check("[1]").is_err() && client_context(Some("%%%")).is_err());
        let long = client_context(Some(&"a".repeat(3584))).expect_err("too long");
        assert!(long.message.ends_with("have length less than or equal to 3583"), "{long}");
    }

    #[test]
    fn a_tail_is_the_end_of_the_log() {
        assert_eq!(BASE64.decode(tail_of(&"x".repeat(5000))).expect("base64").len(), 4096);
        assert_eq!(tail_of("a"), "YQ==");
    }

    #[test]
    fn a_throttle_names_its_limit() {
        let error = throttled(Throttle::Reserved);
        assert_eq!((error.status.as_u16(), error.message.as_str()), (429, "Rate Exceeded."));
        assert_eq!(error.members, [("Reason", json!("ReservedFunctionConcurrentInvocationLimitExceeded"))]);
    }

    #[tokio::test]
    async fn what_was_begun_is_run_to_its_end() {
        let tasks = TaskTracker::new();
        let (sender, ended) = tokio::sync::oneshot::channel();
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let mut future = Box::pin(ToItsEnd::of(
            async move {
                gone.await.ok();
                sender.send(7).ok();
            },
            &tasks,
        ));
        assert!(futures_util::poll!(future.as_mut()).is_pending());
        drop(future);
        go.send(()).expect("it still waits");
        assert_eq!(ended.await, Ok(7));
    }
}
