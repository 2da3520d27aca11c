//! Functions of kind `exec`: one process an event, the event on stdin, the result on stdout, the log on stderr.
//!
//! The process has the variables of every function, and `AWS_LAMBDA_REQUEST_ID` and `_X_AMZN_TRACE_ID`. What
//! it prints is its result: JSON as it is, other text as a JSON string, nothing as null. An exit code other
//! than 0 is a failure, whatever was printed.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde::de::IgnoredAny;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::task::JoinSet;

use super::environment::words;
use super::event::Answer;
use super::logs::{self, Measured, Status};
use super::outcome;
use super::output::{Live, Output};
use super::process::{Exit, Process};
use super::runtime_api::RESPONSE_MAX;
use super::variables::{self, Setting};
use super::world::{Call, World};
use crate::clock::real;
use crate::config::FunctionSpec;
use crate::delivery::{Outcome, Report};

/// Runs one process for this event.
pub async fn run(call: &Call<'_>, world: &World, spec: &FunctionSpec) -> Outcome {
    match start(call, world, spec).await {
        Ok((process, output, reading)) => {
            let mut reader = JoinSet::new();
            reader.spawn(reading);
            follow(process, &output, call, (world, spec)).await
        }
        Err(text) => Outcome::Unavailable(text),
    }
}

async fn start(
    call: &Call<'_>,
    world: &World,
    spec: &FunctionSpec,
) -> Result<(Process, Arc<Output>, impl Future<Output = ()> + Send + 'static), String> {
    let words = words::words(world, spec).await?;
    let (clock, timeline) = (world.clock.clone(), world.timeline.clone());
    let live = Live { clock, timeline, function: spec.name.clone(), telemetry: None };
    let refused = |error: io::Error| format!("cannot start function {}: {error}", spec.name);
    let (output, reading) = Output::pipe(live).map_err(refused)?;
    let (stderr, _) = output.ends().map_err(refused)?;
    output.close_ends();
    output.label(call.shown_id);
    let mut command = words::command(&words, &spec.folder)?;
    let id = world.environment_id(&spec.name);
    let (stream, trace, services) = (world.log_stream(spec, &id), world.trace_id(call), world.services());
    let setting = Setting {
        spec,
        place: &world.place,
        runtimes: world.interpreters.folder(),
        log_stream: &stream,
        services: services.as_ref(),
        provisioned: false,
        tmp: None,
    };
    command.envs(variables::of(
        &setting,
        &[("AWS_LAMBDA_REQUEST_ID", call.request_id), ("_X_AMZN_TRACE_ID", &trace)],
    ));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
    let cannot = |words: &[OsString], error: &io::Error| words::cannot_run(words, error);
    let process = world.spawner.start(command).await.map_err(|error| cannot(&words, &error))?;
    Ok((process, output, reading))
}

async fn follow(
    mut process: Process,
    output: &Arc<Output>,
    call: &Call<'_>,
    (world, spec): (&World, &FunctionSpec),
) -> Outcome {
    let begun = Instant::now();
    let limit = world.limit_of(spec);
    let memory = world.meter.of(&process, spec.memory_mb);
    memory.begin();
    let (stdin, stdout) = process.take_pipes();
    let ended = real::within(limit, async {
        // Fed and read at the same time: a process that does either one first must not wait for us.
        let ((), printed) = tokio::join!(feed(stdin, call.payload.clone()), printed(stdout));
        (process.until_exit().await, printed)
    })
    .await;
    let duration = begun.elapsed();
    let used_mb = memory.end();
    if ended.is_none() {
        process.kill();
        process.until_exit().await;
    }
    let mut log = logs::start(call.request_id, &spec.version);
    log.push_str(&output.take());
    let (answer, status) = match &ended {
        Some((Exit::Code(0), printed)) => {
            let answer = printed.as_deref().map_or(Answer::TooLarge, |text| Answer::Response(result(text)));
            let status = outcome::status(&answer);
            (Some(answer), status)
        }
        Some((exit, _)) => {
            log.push_str(&logs::exited(call.request_id, *exit));
            let kind = if memory.is_exceeded() { logs::OUT_OF_MEMORY } else { logs::EXIT_ERROR };
            (None, Status::Error(kind.to_owned()))
        }
        None => {
            log.push_str(&logs::timed_out(real::now(), call.request_id, limit));
            (None, Status::Timeout)
        }
    };
    let (request_id, memory_mb) = (call.request_id, spec.memory_mb);
    let measured = Measured { request_id, duration, memory_mb, used_mb, init: None, status };
    log.push_str(&logs::end_and_report(&measured));
    let report = Report { duration, log, ..Report::default() };
    match (answer, ended) {
        (Some(answer), _) => outcome::answered(answer, report),
        (None, Some((exit, _))) => outcome::exited(request_id, exit, report),
        (None, None) => outcome::timed_out(request_id, limit, report),
    }
}

async fn feed(stdin: Option<ChildStdin>, payload: Bytes) {
    if let Some(mut stdin) = stdin {
        // A process need not read its event: a closed pipe is no failure.
        stdin.write_all(&payload).await.ok();
    }
}

/// What the process prints until it ends. None if it is more than a response may be.
async fn printed(stdout: Option<ChildStdout>) -> Option<Vec<u8>> {
    let (mut text, mut length) = (Vec::new(), 0);
    let mut stdout = stdout?;
    let mut piece = vec![0; 64 << 10];
    while let Ok(count) = stdout.read(&mut piece).await {
        if count == 0 {
            break;
        }
        length += count;
        if length <= RESPONSE_MAX {
            text.extend_from_slice(&piece[..count]);
        } else {
            text = Vec::new();
        }
    }
    (length <= RESPONSE_MAX).then_some(text)
}

/// What was printed as a result: JSON as it is, other text as a JSON string, nothing as null.
fn result(printed: &[u8]) -> Bytes {
    let text = printed.trim_ascii();
    if text.is_empty() {
        return Bytes::from_static(b"null");
    }
    if serde_json::from_slice::<IgnoredAny>(text).is_ok() {
        return Bytes::copy_from_slice(text);
    }
    Bytes::from(serde_json::Value::from(String::from_utf8_lossy(text)).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_becomes_a_result() {
        let check = |printed: &[u8], expected: &str| assert_eq!(result(printed), expected);
        check(b"", "null");
        check(b" \n", "null");
        check(b"{\"a\":1}\n", "{\"a\":1}");
        check(b"hello \"you\"\n", "\"hello \\\"you\\\"\"");
    }
}
