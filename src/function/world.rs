//! What all functions share: where and when they run, and what starts their processes.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::concurrency::Account;
use super::event::Event;
use super::frost::Freezer;
use super::interpreter::Interpreters;
use super::memory::Meter;
use super::process::Spawner;
use super::{Piece, Services, room, url, variables};
use crate::arn::{Arn, Place};
use crate::clock::Clock;
use crate::config::FunctionSpec;
use crate::random::{self, Random};
use crate::timeline::Timeline;
use bytes::Bytes;

/// The limit of a function without one: the longest that AWS allows.
pub const LIMIT_MAX: Duration = Duration::from_secs(900);
/// The limit of everything while nobody is to be hurried.
const UNHURRIED: Duration = Duration::from_secs(24 * 3600);

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
    /// How many invocations may be in flight.
    pub account: Account,
    /// What stops environments that have nothing to do.
    pub freezer: Freezer,
    /// What looks at the memory of functions.
    pub meter: Meter,
    /// Whether environments can have a file system of their own here, as far as we know.
    pub rooms_work: Arc<AtomicBool>,
    posts: OnceLock<url::Client>,
    /// Cancelled when everything is to end.
    pub ending: CancellationToken,
    tasks: TaskTracker,
    runtime: Option<Handle>,
    services: RwLock<Option<Services>>,
    unhurried: AtomicBool,
    seed: [u8; 32],
    environments: AtomicU64,
}

/// One event on its way into a function.
#[derive(Clone, Debug, Default)]
pub struct Call<'a> {
    /// The invocation's id.
    pub request_id: &'a str,
    /// What people call it; empty for an invocation that is no delivery.
    pub shown_id: &'a str,
    /// The event.
    pub payload: Bytes,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The ARN that the caller named; none for the function's own.
    pub arn: Option<&'a str>,
    /// The client context: JSON text.
    pub client_context: Option<&'a str>,
    /// What the caller said of tracing: `Root=…`.
    pub trace_id: Option<&'a str>,
    /// Where a streamed response goes.
    pub stream: Option<mpsc::Sender<Piece>>,
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
        room::sweep(&state);
        Ok(World {
            place,
            clock,
            timeline,
            interpreters: Interpreters::new(state.join("runtimes")),
            state,
            spawner: Spawner::begin()?,
            account: Account::default(),
            freezer: Freezer::default(),
            meter: Meter::default(),
            rooms_work: Arc::new(AtomicBool::new(true)),
            posts: OnceLock::new(),
            ending: CancellationToken::new(),
            tasks: TaskTracker::new(),
            runtime: Handle::try_current().ok(),
            services: RwLock::default(),
            unhurried: AtomicBool::new(false),
            seed: random.bytes(),
            environments: AtomicU64::new(0),
        })
    }

    /// Runs this beside everything else; it is waited for at the end. To be used from anywhere, destructors as well.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            self.tasks.spawn_on(task, runtime);
        }
    }

    /// Waits until all that was spawned has ended.
    pub async fn until_tasks_ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// What posts: events to `url` functions, and telemetry.
    pub fn post_client(&self) -> &url::Client {
        self.posts.get_or_init(url::client)
    }

    /// Functions find the services of this dropwire here.
    pub fn set_services(&self, services: Services) {
        *self.services.write().unwrap_or_else(PoisonError::into_inner) = Some(services);
    }
    /// Where functions find the services of this dropwire, if it has any.
    pub fn services(&self) -> Option<Services> {
        self.services.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on nothing times out, and nothing is frozen.
    pub fn set_unhurried(&self) {
        self.unhurried.store(true, Ordering::Relaxed);
    }
    /// Whether nothing times out.
    pub fn is_unhurried(&self) -> bool {
        self.unhurried.load(Ordering::Relaxed)
    }
    /// How long this may take that has `limit`, as things are.
    pub fn limit(&self, limit: Duration) -> Duration {
        if self.is_unhurried() { UNHURRIED } else { limit }
    }
    /// How long one invocation of this function may take.
    pub fn limit_of(&self, spec: &FunctionSpec) -> Duration {
        self.limit(spec.timeout.unwrap_or(LIMIT_MAX))
    }

    /// The id of the next environment of this function, 32 hex digits.
    pub fn environment_id(&self, function: &str) -> String {
        let number = self.environments.fetch_add(1, Ordering::Relaxed);
        let digest = random::digest(&[&self.seed, function.as_bytes(), &number.to_le_bytes()]);
        hex::encode(&digest[..16])
    }

    /// The name of the log stream of the environment of this id.
    pub fn log_stream(&self, spec: &FunctionSpec, id: &str) -> String {
        variables::log_stream(self.clock.now(), spec, id)
    }

    /// The event as a runtime gets it.
    pub fn event(&self, call: &Call, spec: &FunctionSpec, limit: Duration) -> Event {
        let arn = match call.arn {
            Some(arn) => arn.to_owned(),
            None => Arn::function(&self.place, &spec.name).as_str().to_owned(),
        };
        Event {
            request_id: call.request_id.to_owned(),
            payload: call.payload.clone(),
            arn,
            trace_id: self.trace_id(call),
            client_context: call.client_context.map(str::to_owned),
            limit,
            stream: Mutex::new(call.stream.clone()),
        }
    }

    /// `Root=1-8hex-24hex;Parent=16hex;Sampled=0`: what the caller said of it, and the rest from the time and from
    /// digits that follow from the request id.
    pub fn trace_id(&self, call: &Call) -> String {
        let digits = hex::encode(random::digest(&[b"trace", call.request_id.as_bytes()]));
        let mut trace = match call.trace_id {
            Some(said) if said.starts_with("Root=") => said.to_owned(),
            _ => format!("Root=1-{:08x}-{}", self.clock.now().as_seconds(), &digits[..24]),
        };
        for (part, value) in [(";Parent=", &digits[24..40]), (";Sampled=", "0")] {
            if !trace.contains(part) {
                trace.push_str(part);
                trace.push_str(value);
            }
        }
        trace
    }
}
