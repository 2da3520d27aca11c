//! Functions that are made into dropwire, for demos and tests. They take no real time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;

use super::event::Answer;
use super::outcome;
use super::world::{Call, World};
use crate::config::{Builtin, FunctionSpec};
use crate::delivery::Outcome;

/// Does what this builtin does with an event.
pub async fn run(call: &Call<'_>, world: &World, (spec, builtin): (&FunctionSpec, &Builtin)) -> Outcome {
    let begun = Instant::now();
    let null = Answer::Response(Bytes::from_static(b"null"));
    let echo = Answer::Response(call.payload.clone());
    let answer = match builtin {
        Builtin::Echo => Some(echo),
        Builtin::Sink => Some(null),
        Builtin::Fail { error } => Some(failure(error, call)),
        Builtin::Flaky { fail_first, error } if call.attempt <= *fail_first => Some(failure(error, call)),
        Builtin::Flaky { .. } => Some(echo),
        Builtin::Sleep { duration } => sleep(*duration, world, spec).await.then_some(null),
    };
    outcome::concluded(answer, call, spec, (begun.elapsed(), world.limit_of(spec)))
}

fn failure(error: &str, call: &Call) -> Answer {
    let message = format!("attempt {} fails, as it is told to", call.attempt);
    let payload = json!({ "errorMessage": message, "errorType": error, "requestId": call.request_id });
    Answer::Error(Bytes::from(payload.to_string()), "Function.Unknown".to_owned())
}

/// Sleeps in simulated time. Whether it came to the end within the function's limit.
async fn sleep(duration: Duration, world: &World, spec: &FunctionSpec) -> bool {
    let limit = spec.timeout.unwrap_or(Duration::MAX);
    world.clock.sleep_until(world.clock.now().plus(duration.min(limit))).await;
    duration <= limit
}
