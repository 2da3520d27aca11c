//! INVOKE: one event in one environment, from handing it over to its report.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::oneshot;

use super::run::{LAST_WORDS, Run};
use super::{Cause, End, Environment, Handled};
use crate::clock::real;
use crate::config::LogFormat;
use crate::delivery::Report;
use crate::function::event::{Answer, Event};
use crate::function::happening::Happening;
use crate::function::logs::{self, Measured, Status};
use crate::function::outcome;
use crate::function::world::Call;
use std::sync::Arc;

/// How an end counts in the log.
pub fn status(end: &End) -> Status {
    match end {
        End::Answer(answer) => outcome::status(answer),
        End::Exit(_) => Status::Error(logs::EXIT_ERROR.to_owned()),
        End::Timeout => Status::Timeout,
        End::OutOfMemory => Status::Error(logs::OUT_OF_MEMORY.to_owned()),
        End::Crash(_) => Status::Error(logs::EXTENSION_CRASH.to_owned()),
        End::Extension(failed) => Status::Error(failed.kind.to_owned()),
    }
}

impl Environment {
    /// Lays the event on the desk and follows it to its end. `begun` is when its start began, if that was part of it:
    /// it counts.
    pub(super) async fn hand_over(&mut self, call: &Call<'_>, begun: Option<Instant>) -> Handled {
        let maker = Arc::clone(&self.maker);
        let gone = begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        let limit = maker.world.limit_of(&maker.spec).saturating_sub(gone);
        let Some(run) = &self.run else { return Handled::Gone };
        run.output.label(call.shown_id);
        let event = Arc::new(maker.world.event(call, &maker.spec, limit));
        let (now, asked) = (real::now(), Instant::now());
        let until = now.plus(limit).as_millis();
        run.frost.hold();
        run.memory.begin();
        if run.desk.extensions.hear_invocations() {
            run.desk.extensions.tell_invocation(&message(&event, until));
        }
        let mut answer = run.desk.put(Arc::clone(&event));
        let _closed = Closing(&event);
        let (handed, answered) = until_taken(run, &mut answer, limit).await;
        // What a new runtime said before it ended is all that there is to find out why.
        let ended = run.runtime.exited().filter(|_| begun.is_some() || self.is_cold());
        let Some(at) = handed.or(ended.map(|_| asked)) else { return Handled::Gone };
        let taken = now.plus(at.duration_since(asked));
        let started =
            Happening::Start { request_id: call.request_id, version: &maker.spec.version, arn: &event.arn };
        run.telemetry.tell_at(&started, taken);
        self.log.push_str(&started.lines(&maker.spec.logging.format, taken));
        let end = match answered {
            Some(answer) => End::Answer(answer),
            None => until_end(run, &mut answer, limit.saturating_sub(at.elapsed())).await,
        };
        self.conclude(end, call, begun.unwrap_or(at)).await
    }

    /// The outcome of an event whose environment did not start.
    pub(super) fn conclude_unstarted(&mut self, end: End, call: &Call<'_>, begun: Instant) -> Handled {
        let maker = Arc::clone(&self.maker);
        let arn = maker.world.event(call, &maker.spec, Duration::ZERO).arn;
        let started =
            Happening::Start { request_id: call.request_id, version: &maker.spec.version, arn: &arn };
        self.log.push_str(&started.lines(&maker.spec.logging.format, real::now()));
        let outcome = self.report(end, call, (begun.elapsed(), 0));
        self.in_event = false;
        Handled::Over(outcome)
    }

    /// The event's outcome, with the rest of the log; what has to end has ended.
    async fn conclude(&mut self, mut end: End, call: &Call<'_>, from: Instant) -> Handled {
        let duration = from.elapsed();
        let Some(run) = &mut self.run else { return Handled::Gone };
        let used_mb = run.memory.end();
        if run.memory.is_exceeded() && matches!(end, End::Answer(_) | End::Exit(_)) {
            end = End::OutOfMemory;
        }
        self.broken = match &end {
            End::Answer(Answer::InitError(..) | Answer::Truncated) => Some(Cause::Failure),
            End::Answer(_) => None,
            End::Timeout => Some(Cause::Timeout),
            _ => Some(Cause::Failure),
        };
        if self.broken.is_some() {
            run.runtime.kill();
            run.runtime.until_exit().await;
        }
        run.frost.release();
        let written = run.take_output();
        self.log.push_str(&written);
        let storage_mb = self.maker.spec.storage_mb;
        if let Some(used_mb) = self.place.as_ref().and_then(|place| place.excess_mb(storage_mb)) {
            self.overfull = true;
            self.log.push_str(&logs::overfull(used_mb, storage_mb));
        }
        Handled::Over(self.report(end, call, (duration, used_mb)))
    }

    fn report(
        &mut self,
        end: End,
        call: &Call<'_>,
        (duration, used_mb): (Duration, u64),
    ) -> crate::delivery::Outcome {
        let maker = Arc::clone(&self.maker);
        let (request_id, spec, init) = (call.request_id, &maker.spec, self.init.take());
        let limit = maker.world.limit_of(spec);
        let status = status(&end);
        if spec.logging.format == LogFormat::Text {
            self.log.push_str(&ended(&end, request_id, limit));
        }
        let memory_mb = spec.memory_mb;
        self.card.count(used_mb);
        let measured = Measured { request_id, duration, memory_mb, used_mb, init, status };
        let produced = if let End::Answer(Answer::Response(bytes)) = &end { bytes.len() } else { 0 };
        for happening in
            [Happening::RuntimeDone { measured: &measured, produced }, Happening::Report(&measured)]
        {
            if let Some(run) = &self.run {
                run.telemetry.tell(&happening);
            }
            self.log.push_str(&happening.lines(&spec.logging.format, real::now()));
        }
        let log = std::mem::take(&mut self.log);
        let report = Report { duration, init, log, ..Report::default() };
        match end {
            End::Answer(answer) => outcome::answered(answer, report),
            End::Exit(exit) => outcome::exited(request_id, exit, report),
            End::OutOfMemory => outcome::exited(request_id, logs::KILLED, report),
            End::Timeout => outcome::timed_out(request_id, limit, report),
            End::Crash(exit) => outcome::failed(logs::extension_crash_payload(request_id, exit), report),
            End::Extension(failed) => outcome::failed(logs::extension_payload(request_id, &failed), report),
        }
    }
}

/// The lines of text about an end that is no answer.
fn ended(end: &End, request_id: &str, limit: Duration) -> String {
    match end {
        End::Answer(_) => String::new(),
        End::Exit(exit) => logs::exited(request_id, *exit),
        End::OutOfMemory => logs::exited(request_id, logs::KILLED),
        End::Timeout => logs::timed_out(real::now(), request_id, limit),
        End::Crash(exit) => logs::extension_crashed(request_id, *exit),
        End::Extension(failed) => logs::extension_failed(request_id, failed),
    }
}

/// Closes an event's stream when the event is over: whoever reads it sees its end.
struct Closing<'a>(&'a Event);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.take_stream();
    }
}

/// When the event was handed over, and its answer if that came as quickly. No time if its runtime is gone, or never
/// comes to ask for it: then it will not get it any more.
async fn until_taken(
    run: &Run,
    answer: &mut oneshot::Receiver<Answer>,
    limit: Duration,
) -> (Option<Instant>, Option<Answer>) {
    let end = async {
        tokio::select! {
            // It may have taken the event just before.
            _ = run.until_broken() => drop(real::within(LAST_WORDS, run.api.until_unconnected()).await),
            () = real::sleep(limit) => {}
        }
    };
    run.desk.until_taken(async { answer.await.ok() }, end).await
}

async fn until_end(run: &Run, answer: &mut oneshot::Receiver<Answer>, limit: Duration) -> End {
    tokio::select! {
        biased;
        Ok(answer) = &mut *answer => End::Answer(answer),
        end = run.until_broken() => {
            real::within(LAST_WORDS, run.api.until_unconnected()).await;
            answer.try_recv().map_or(end, End::Answer)
        }
        () = real::sleep(limit) => End::Timeout,
    }
}

/// An event as extensions get it.
fn message(event: &Event, deadline: i64) -> Bytes {
    let message = json!({
        "eventType": "INVOKE",
        "deadlineMs": deadline,
        "requestId": event.request_id,
        "invokedFunctionArn": event.arn,
        "tracing": { "type": "X-Amzn-Trace-Id", "value": event.trace_id },
    });
    Bytes::from(message.to_string())
}
