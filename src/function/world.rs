//! What all functions share: where and when they run, and what starts their processes.

use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::desk::Event;
use super::interpreter::Interpreters;
use super::process::Spawner;
use super::{url, variables};
use crate::arn::{Arn, Place};
use crate::clock::Clock;
use crate::random::{self, Random};
use crate::timeline::Timeline;

/// What all functions share.
pub struct World {
    /// Region and account.
    pub place: Place,
    /// Simulated time.
    pub clock: Clock,
    /// Where lines are told.
    pub timeline: Timeline,
    /// The `.dropwire` folder.
    pub state: PathBuf,
    /// What runs handlers.
    pub interpreters: Interpreters,
    /// What starts processes.
    pub spawner: Spawner,
    /// The client of `url` functions.
    pub posts: OnceLock<url::Client>,
    /// Cancelled when everything is to end.
    pub ending: CancellationToken,
    seed: [u8; 32],
    environments: AtomicU64,
}

/// One event on its way into a function.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The invocation's id.
    pub request_id: &'a str,
    /// What people call it; empty for an invocation that is no delivery.
    pub shown_id: &'a str,
    /// The event.
    pub payload: Bytes,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

impl World {
    /// A world whose log streams are named from `random`: one draw, so that the order in which environments
    /// start changes no other id.
    pub fn new(
        place: Place,
        clock: Clock,
        timeline: Timeline,
        (random, state): (&Random, PathBuf),
    ) -> io::Result<World> {
        Ok(World {
            place,
            clock,
            timeline,
            interpreters: Interpreters::new(state.join("runtimes")),
            state,
            spawner: Spawner::begin()?,
            posts: OnceLock::new(),
            ending: CancellationToken::new(),
            seed: random.bytes(),
            environments: AtomicU64::new(0),
        })
    }

    /// The name of the log stream of the next environment.
    pub fn log_stream(&self, function: &str) -> String {
        let number = self.environments.fetch_add(1, Ordering::Relaxed);
        variables::log_stream(self.clock.now(), &[&self.seed, function.as_bytes(), &number.to_le_bytes()])
    }

    /// The event as a runtime gets it.
    pub fn event(&self, call: &Call, function: &str, limit: Duration) -> Event {
        let arn = Arn::function(&self.place, function).as_str().to_owned();
        let (request_id, trace_id) = (call.request_id.to_owned(), self.trace_id(call.request_id));
        Event { request_id, payload: call.payload.clone(), arn, trace_id, limit }
    }

    /// `Root=1-8hex-24hex;Parent=16hex;Sampled=0`: the time, and digits that follow from the request id.
    pub fn trace_id(&self, request_id: &str) -> String {
        let digits = hex::encode(random::digest(&[b"trace", request_id.as_bytes()]));
        let seconds = self.clock.now().as_seconds();
        format!("Root=1-{seconds:08x}-{};Parent={};Sampled=0", &digits[..24], &digits[24..40])
    }
}
