//! Functions: plain local processes that get their events as on AWS, over the real Lambda Runtime API.
//!
//! ```text
//! attempt ─▶ concurrency ─▶ pool ──warm, or started──▶ environment ─▶ desk ◀──next, response── process
//!            let in, or not                                 └── output: what the process writes, for its log
//! ```
//!
//! Other kinds have no environment: `exec` starts a process an event, `url` posts it, `attach` waits for a
//! process that somebody else starts, and builtins are part of dropwire. No process outlives us, however we
//! end: see [`process`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::arn::Place;
use crate::clock::Clock;
use crate::config::FunctionSpec;
use crate::delivery::Outcome;
use crate::random::Random;
use crate::timeline::Timeline;

mod attach;
mod build;
mod builtin;
mod code;
mod concurrency;
mod desk;
mod environment;
mod event;
mod exec;
mod extensions;
mod frost;
mod guard;
mod happening;
mod interpreter;
mod logs;
mod maker;
mod memory;
mod outcome;
mod output;
mod platform;
mod pool;
mod process;
mod room;
mod runtime_api;
mod slots;
mod subscription;
mod target;
mod telemetry;
mod url;
mod variables;
mod world;

#[cfg(test)]
mod tests;

pub use environment::card::EnvironmentState;
pub use target::Function;
pub use variables::Services;
use world::World;

/// All functions, by name. Clones share them.
#[derive(Clone)]
pub struct Functions(Arc<Shared>);

struct Shared {
    world: Result<Arc<World>, String>,
    all: RwLock<BTreeMap<String, Arc<Function>>>,
}

/// One invocation as its caller makes it.
#[derive(Debug, Default)]
pub struct Invocation {
    /// Its id, a UUID: the same on every retry.
    pub request_id: String,
    /// What people call it (`e7k2.1`); empty for one that is no delivery.
    pub shown_id: String,
    /// The event.
    pub payload: Bytes,
    /// Which attempt this is, from 1; 0 counts as 1.
    pub attempt: u32,
    /// The function's ARN as the caller named it, with a qualifier if there was one; none for its own.
    pub arn: Option<String>,
    /// The client context: JSON text, decoded.
    pub client_context: Option<String>,
    /// `Root=…`, if the caller brought one.
    pub trace_id: Option<String>,
    /// Where the response goes piece by piece, if the caller wants it so. A function that does not stream answers
    /// as a whole all the same.
    pub stream: Option<mpsc::Sender<Piece>>,
}

impl Invocation {
    /// An invocation with this payload, and nothing else said.
    pub fn of(payload: Bytes, request_id: &str) -> Invocation {
        Invocation { request_id: request_id.to_owned(), payload, ..Invocation::default() }
    }
}

/// A piece of a response that is streamed.
#[derive(Debug)]
pub enum Piece {
    /// The content type that the runtime gave: comes first, once.
    ContentType(String),
    /// Bytes of the response.
    Bytes(Bytes),
}

/// What is wrong with a function; the others work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its name.
    pub function: String,
    /// What we tried, why not, and what to do.
    pub text: String,
}

/// A function as people see it.
#[derive(Clone, Debug, Serialize)]
pub struct FunctionState {
    /// Its name.
    pub name: String,
    /// `$LATEST`, or the number of a published version.
    pub version: String,
    /// How it runs: `python3.12`, `run`, `exec`, `url`, `attach`, `builtin echo`.
    pub kind: String,
    /// Environments that wait for an event.
    pub warm: usize,
    /// Invocations that run.
    pub busy: usize,
    /// Invocations that succeeded since the start.
    pub ok: u64,
    /// Invocations that failed since the start.
    pub failed: u64,
    /// Environments that were started since the start.
    pub cold_starts: u64,
    /// Invocations since the start that found an environment which had handled others before.
    pub warm_starts: u64,
    /// Its environments.
    pub environments: Vec<EnvironmentState>,
    /// The `AWS_LAMBDA_RUNTIME_API` of the process that it waits for, if that is somebody else's.
    pub runtime_api: Option<String>,
    /// Where it is declared, as `dropwire.toml:12`; empty if nowhere.
    pub origin: String,
}

impl FunctionState {
    /// What tells this version from all others: `name`, or `name:3`.
    pub fn key(&self) -> String {
        crate::config::function_key(&self.name, &self.version)
    }
}

impl Functions {
    /// No functions yet. `state` is the `.dropwire` folder: our runtimes are written below it.
    pub fn new(place: Place, clock: Clock, timeline: Timeline, random: Random, state: PathBuf) -> Functions {
        let world = World::new(place, clock, timeline, (&random, state)).map(Arc::new);
        let world =
            world.map_err(|error| format!("cannot start processes: {error}; is there a limit on threads?"));
        Functions(Arc::new(Shared { world, all: RwLock::default() }))
    }

    /// Makes the functions be these: new ones appear, changed ones get new environments while the old ones
    /// finish their event, those that are gone end. Says which ones cannot be at all; [`Functions::check`] says
    /// which ones cannot be started.
    pub async fn replace(&self, specs: BTreeMap<String, FunctionSpec>) -> Vec<Problem> {
        let world = match &self.0.world {
            Ok(world) => world,
            Err(text) => {
                return specs.into_keys().map(|function| Problem { function, text: text.clone() }).collect();
            }
        };
        let mut next = BTreeMap::new();
        for (name, spec) in specs {
            let function = match self.get(&name).filter(|known| known.runs_as(&spec)) {
                Some(known) => {
                    known.adopt(spec);
                    known
                }
                None => {
                    // A changed function that is attached keeps its port, so the old one has to let go of it.
                    if let Some(known) = self.get(&name) {
                        known.detach();
                    }
                    Arc::new(Function::new(spec, Arc::clone(world)))
                }
            };
            next.insert(name, function);
        }
        let before =
            std::mem::replace(&mut *self.0.all.write().unwrap_or_else(PoisonError::into_inner), next);
        for (name, old) in before {
            if self.get(&name).is_none_or(|now| !Arc::ptr_eq(&now, &old)) {
                old.pool().retire();
            }
        }
        Vec::new()
    }

    /// Where functions find the services of this dropwire: for processes that are started from now on, unless the
    /// function has its own word on it.
    pub fn at(&self, services: Services) {
        if let Ok(world) = &self.0.world {
            world.set_services(services);
        }
    }

    /// From now on nothing times out and nothing is frozen: for debuggers.
    pub fn unhurried(&self) {
        if let Ok(world) = &self.0.world {
            world.set_unhurried();
        }
    }

    /// Makes the reserved concurrency be this, by function name; all versions of a function share what is reserved.
    pub fn reserve(&self, reserved: BTreeMap<String, u32>) {
        if let Ok(world) = &self.0.world {
            world.account.reserve(reserved);
        }
    }

    /// How many invocations may be in flight of functions that have reserved nothing.
    pub fn unreserved(&self) -> u32 {
        self.0.world.as_ref().map_or(0, |world| world.account.unreserved())
    }

    /// Makes the provisioned concurrency be this, by key: so many environments are started ahead, kept, and started
    /// again if they die.
    pub fn provision(&self, provisioned: BTreeMap<String, u32>) {
        let all = self.0.all.read().unwrap_or_else(PoisonError::into_inner);
        for (key, function) in all.iter() {
            let count = provisioned.get(key).copied().unwrap_or(0);
            function.pool().provision(usize::try_from(count).unwrap_or(usize::MAX));
        }
    }

    /// How many provisioned environments of this key are ready (those with an event too), and how many have an event.
    pub fn provisioned(&self, key: &str) -> (u32, u32) {
        self.get(key).map_or((0, 0), |function| function.pool().provisioned())
    }

    /// Looks whether each function can be started: its program is there, its interpreter answers. Takes as long
    /// as the interpreters do, so nobody waits for it.
    pub async fn check(&self) -> Vec<Problem> {
        let all: Vec<Arc<Function>> =
            self.0.all.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let mut problems = Vec::new();
        for function in all {
            if let Err(text) = function.check().await {
                problems.push(Problem { function: function.name().to_owned(), text });
            }
        }
        problems
    }

    /// The function of this key: `name`, or `name:3` for a published version.
    pub fn get(&self, name: &str) -> Option<Arc<Function>> {
        self.0.all.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All functions, by key.
    pub fn all(&self) -> Vec<(String, Arc<Function>)> {
        let all = self.0.all.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(key, function)| (key.clone(), Arc::clone(function))).collect()
    }

    /// All functions, by name.
    pub fn list(&self) -> Vec<FunctionState> {
        let all = self.0.all.read().unwrap_or_else(PoisonError::into_inner);
        all.values().map(|function| function.shown()).collect()
    }

    /// Invokes a function directly: in line with its deliveries, it waits for a free environment. None if there
    /// is no such function.
    pub async fn invoke(&self, key: &str, invocation: Invocation) -> Option<Outcome> {
        Some(self.get(key)?.invoke(invocation).await)
    }

    /// Ends all processes, those in the middle of an event as well, and returns when none is left.
    pub async fn stop(&self) {
        let Ok(world) = &self.0.world else { return };
        world.ending.cancel();
        let all: Vec<Arc<Function>> = {
            let all = self.0.all.read().unwrap_or_else(PoisonError::into_inner);
            all.values().cloned().collect()
        };
        for function in all {
            function.pool().retire();
            function.detach();
        }
        world.until_tasks_ended().await;
        world.spawner.until_all_ended().await;
    }
}
