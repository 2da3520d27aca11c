//! Functions of kind `attach`: the Runtime API of an environment whose process somebody else starts, in a
//! debugger for example. It gets one event at a time.
//!
//! A process that is started anew in the middle of an event gets the same event again.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::desk::Desk;
use super::outcome;
use super::runtime_api::{About, Guests, RuntimeApi};
use super::world::{Call, World};
use crate::clock::real;
use crate::config::FunctionSpec;
use crate::delivery::Outcome;

/// How long an event waits for a process to ask for it before it goes back to the queue.
const PATIENCE: Duration = Duration::from_secs(10);

/// A Runtime API that waits for its process.
pub struct Attached {
    desk: Arc<Desk>,
    api: RuntimeApi,
}

impl Attached {
    /// Listens, on the port of the last time if it is free, and tells people how to attach.
    pub async fn listen(world: &World, function: &str) -> io::Result<Attached> {
        let desk = Arc::new(Desk::default());
        let kept = world.state.join("attach").join(function);
        let port = std::fs::read_to_string(&kept).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let guests =
            || Guests { desk: Arc::clone(&desk), output: None, telemetry: None, about: About::default() };
        let api = match RuntimeApi::listen(guests(), port).await {
            Ok(api) => api,
            Err(_) => RuntimeApi::listen(guests(), 0).await?,
        };
        if api.address().port() != port {
            // Not kept, the port is another one next time, and no more than that.
            keep(&kept, api.address().port()).ok();
        }
        let attached = Attached { desk, api };
        world.timeline.notice(
            world.clock.now(),
            "info",
            format!("function {function} {}", attached.invitation()),
        );
        Ok(attached)
    }

    /// Where its process finds its Runtime API.
    pub fn address(&self) -> SocketAddr {
        self.api.address()
    }

    /// How to attach, in words.
    pub fn invitation(&self) -> String {
        format!("waits for its process: start it with AWS_LAMBDA_RUNTIME_API={}", self.address())
    }

    /// Hands the event to whoever asks and waits for the answer.
    pub async fn run(&self, call: &Call<'_>, world: &World, spec: &FunctionSpec) -> Outcome {
        let limit = world.limit_of(spec);
        let _cleared = Cleared(&self.desk);
        let mut answer = self.desk.put(Arc::new(world.event(call, spec, limit)));
        let patience = real::sleep(world.limit(PATIENCE));
        let (at, early) = match self.desk.until_taken(async { (&mut answer).await.ok() }, patience).await {
            (None, None) => {
                return Outcome::Unavailable(format!("function {} {}", spec.name, self.invitation()));
            }
            (at, early) => (at.unwrap_or_else(std::time::Instant::now), early),
        };
        let answer = match (early, spec.timeout.map(|_| limit)) {
            (Some(said), _) => Some(said),
            // Who sits in a debugger is not hurried.
            (None, None) => answer.await.ok(),
            (None, Some(limit)) => {
                real::within(limit.saturating_sub(at.elapsed()), answer).await.and_then(Result::ok)
            }
        };
        outcome::concluded(answer, call, spec, (at.elapsed(), limit))
    }
}

/// Clears the desk when the attempt is over or given up.
struct Cleared<'a>(&'a Desk);

impl Drop for Cleared<'_> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

fn keep(path: &Path, port: u16) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, format!("{port}\n"))
}
