//! Functions: plain local processes that get their events as on AWS, over the real Lambda Runtime API.
//!
//! ```text
//! attempt ─▶ pool ──warm, or started──▶ environment ─▶ desk ◀──next, response── process
//!                                            └── output: what the process writes, for its log
//! ```
//!
//! Other kinds have no environment: `exec` starts a process an event, `url` posts it, `attach` waits for a
//! process that somebody else starts, and builtins are part of dropwire. No process outlives us, however we
//! end: see [`process`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use tokio_util::task::TaskTracker;

use crate::arn::Place;
use crate::clock::{Clock, real};
use crate::config::{Builtin, FunctionKind, FunctionSpec, Origin};
use crate::delivery::{Outcome, Parcel, Target};
use crate::random::Random;
use crate::timeline::Timeline;

mod attach;
mod build;
mod builtin;
mod code;
mod desk;
mod environment;
mod exec;
mod guard;
mod interpreter;
mod logs;
mod memory;
mod outcome;
mod output;
mod platform;
mod pool;
pub mod process;
mod runtime_api;
mod url;
mod variables;
mod world;

#[cfg(test)]
mod tests;

use attach::Attached;
use build::Build;
use code::Code;
use environment::{Environment, Handled};
use pool::Pool;
use world::{Call, World};

/// How often environments that have nothing to do are looked for.
const SWEEP: Duration = Duration::from_secs(30);

/// All functions, by name. Clones share them.
#[derive(Clone)]
pub struct Functions(Arc<Shared>);

struct Shared {
    world: Result<Arc<World>, String>,
    all: RwLock<BTreeMap<String, Arc<Function>>>,
    tasks: TaskTracker,
    sweeping: OnceLock<()>,
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
    /// Where it is declared, as `dropwire.toml:12`; empty if nowhere.
    pub origin: String,
}

impl Functions {
    /// No functions yet. `state` is the `.dropwire` folder: our runtimes are written below it.
    pub fn new(place: Place, clock: Clock, timeline: Timeline, random: Random, state: PathBuf) -> Functions {
        let world = World::new(place, clock, timeline, (&random, state)).map(Arc::new);
        let world =
            world.map_err(|error| format!("cannot start processes: {error}; is there a limit on threads?"));
        let (all, tasks, sweeping) = (RwLock::default(), TaskTracker::new(), OnceLock::new());
        Functions(Arc::new(Shared { world, all, tasks, sweeping }))
    }

    /// Makes the functions be these: new ones appear, changed ones get new environments while the old ones
    /// finish their event, those that are gone end. Says what is wrong with which one; the others work.
    pub async fn replace(&self, specs: BTreeMap<String, FunctionSpec>) -> Vec<Problem> {
        let world = match &self.0.world {
            Ok(world) => world,
            Err(text) => {
                return specs.into_keys().map(|function| Problem { function, text: text.clone() }).collect();
            }
        };
        self.begin_sweeping(world);
        let mut next = BTreeMap::new();
        let mut problems = Vec::new();
        for (name, spec) in specs {
            let function = match self.get(&name).filter(|known| known.runs_as(&spec)) {
                Some(known) => {
                    known.pool.set_limit(limit(&spec));
                    *known.origin.write().unwrap_or_else(PoisonError::into_inner) = spec.origin;
                    known
                }
                None => {
                    // A changed function that is attached keeps its port, so the old one has to let go of it.
                    if let Some(known) = self.get(&name) {
                        known.attached.write().unwrap_or_else(PoisonError::into_inner).take();
                    }
                    Arc::new(Function::new(spec, Arc::clone(world)))
                }
            };
            if let Err(text) = function.check().await {
                problems.push(Problem { function: name.clone(), text });
            }
            next.insert(name, function);
        }
        let before =
            std::mem::replace(&mut *self.0.all.write().unwrap_or_else(PoisonError::into_inner), next);
        for (name, old) in before {
            if self.get(&name).is_none_or(|now| !Arc::ptr_eq(&now, &old)) {
                old.pool.retire();
            }
        }
        problems
    }

    /// The function of this name.
    pub fn get(&self, name: &str) -> Option<Arc<Function>> {
        self.0.all.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All functions, by name.
    pub fn list(&self) -> Vec<FunctionState> {
        let all = self.0.all.read().unwrap_or_else(PoisonError::into_inner);
        all.values().map(|function| function.shown()).collect()
    }

    /// Invokes a function directly: in line with its deliveries, it waits for a free environment. None if there
    /// is no such function.
    pub async fn invoke(&self, name: &str, payload: Bytes, request_id: &str) -> Option<Outcome> {
        let function = self.get(name)?;
        let _slot = function.pool.enter().await;
        Some(function.run(&Call { request_id, shown_id: "", payload, attempt: 1 }).await)
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
            function.pool.retire();
            function.attached.write().unwrap_or_else(PoisonError::into_inner).take();
        }
        self.0.tasks.close();
        self.0.tasks.wait().await;
        world.spawner.until_all_ended().await;
    }

    fn begin_sweeping(&self, world: &Arc<World>) {
        self.0.sweeping.get_or_init(|| {
            let (shared, ending) = (Arc::downgrade(&self.0), world.ending.clone());
            self.0.tasks.spawn(async move {
                while ending.run_until_cancelled(real::sleep(SWEEP)).await.is_some() {
                    let Some(shared) = shared.upgrade() else { return };
                    let all = shared.all.read().unwrap_or_else(PoisonError::into_inner);
                    all.values().for_each(|function| function.pool.sweep());
                }
            });
        });
    }
}

/// One function, the target of its wires.
pub struct Function {
    spec: FunctionSpec,
    world: Arc<World>,
    pool: Pool,
    code: Code,
    build: Build,
    attached: RwLock<Option<Arc<Attached>>>,
    origin: RwLock<Origin>,
    ok: AtomicU64,
    failed: AtomicU64,
    cold_starts: AtomicU64,
}

#[async_trait]
impl Target for Function {
    async fn attempt(&self, parcel: &Parcel) -> Outcome {
        let Some(_slot) = self.pool.try_enter() else {
            return Outcome::Throttled;
        };
        let (request_id, shown_id) = (parcel.request_id(), parcel.shown_id());
        let (request_id, shown_id) = (request_id.as_str(), shown_id.as_str());
        self.run(&Call { request_id, shown_id, payload: parcel.payload(), attempt: parcel.attempt() }).await
    }

    fn concurrency(&self) -> usize {
        self.pool.limit()
    }
}

impl Function {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    fn new(spec: FunctionSpec, world: Arc<World>) -> Function {
        Function {
            pool: Pool::new(limit(&spec)),
            code: Code::of(&spec),
            build: Build::default(),
            attached: RwLock::default(),
            origin: RwLock::new(spec.origin.clone()),
            ok: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            cold_starts: AtomicU64::new(0),
            spec,
            world,
        }
    }

    /// Whether environments of this function do for that declaration as well.
    fn runs_as(&self, spec: &FunctionSpec) -> bool {
        let (concurrency, origin) = (self.spec.concurrency, self.spec.origin.clone());
        self.spec == FunctionSpec { concurrency, origin, ..spec.clone() }
    }

    /// Whether it could run, as far as can be told without running it. Begins to listen if it is attached.
    async fn check(&self) -> Result<(), String> {
        match &self.spec.kind {
            // What is built need not be there yet.
            FunctionKind::Run { build: Some(_), .. } | FunctionKind::Builtin(_) => Ok(()),
            FunctionKind::Handler { .. } | FunctionKind::Run { .. } | FunctionKind::Exec { .. } => {
                environment::words(&self.world, &self.spec).await.map(drop)
            }
            FunctionKind::Url { url } => {
                url::check(url).map_err(|text| format!("function {}: {text}", self.spec.name))
            }
            FunctionKind::Attach => self.attached().await.map(drop),
        }
    }

    /// Runs one invocation, for which there is a slot.
    async fn run(&self, call: &Call<'_>) -> Outcome {
        let stopping = || Outcome::Unavailable(format!("function {}: dropwire is stopping", self.spec.name));
        let ended = self.world.ending.run_until_cancelled(self.run_kind(call)).await;
        let outcome = ended.unwrap_or_else(stopping);
        match &outcome {
            Outcome::Done(_) => self.ok.fetch_add(1, Ordering::Relaxed),
            Outcome::Failed(_) => self.failed.fetch_add(1, Ordering::Relaxed),
            Outcome::Throttled | Outcome::Unavailable(_) => 0,
        };
        outcome
    }

    async fn run_kind(&self, call: &Call<'_>) -> Outcome {
        let (world, spec) = (&*self.world, &self.spec);
        match &spec.kind {
            FunctionKind::Builtin(builtin) => builtin::run(call, world, (spec, builtin)).await,
            FunctionKind::Url { url } => url::run(call, world, (spec, url)).await,
            FunctionKind::Exec { .. } => exec::run(call, world, spec).await,
            FunctionKind::Attach => match self.attached().await {
                Ok(attached) => attached.run(call, world, spec).await,
                Err(text) => Outcome::Unavailable(text),
            },
            FunctionKind::Handler { .. } | FunctionKind::Run { .. } => {
                self.run_in_environment(call).await.unwrap_or_else(Outcome::Unavailable)
            }
        }
    }

    /// In a warm environment if there is one that takes the event, else in a new one.
    async fn run_in_environment(&self, call: &Call<'_>) -> Result<Outcome, String> {
        let version = self.code.version();
        if let FunctionKind::Run { build: Some(words), .. } = &self.spec.kind {
            self.build.ensure(&self.world, (&self.spec, words), version).await?;
        }
        while let Some(mut environment) = self.pool.take_warm(version) {
            match environment.handle(call, &self.world, &self.spec).await {
                Handled::Warm(outcome) => {
                    self.pool.put_back(environment);
                    return Ok(outcome);
                }
                Handled::Ended(outcome) => return Ok(outcome),
                Handled::Gone | Handled::TooSlow(_) => {}
            }
        }
        let mut environment = self.start(version).await?;
        let mut handled = environment.handle(call, &self.world, &self.spec).await;
        if let Handled::TooSlow(log) = handled {
            environment = self.start(version).await?.restarting(log);
            handled = environment.handle(call, &self.world, &self.spec).await;
        }
        match handled {
            Handled::Warm(outcome) => {
                self.pool.put_back(environment);
                Ok(outcome)
            }
            Handled::Ended(outcome) => Ok(outcome),
            Handled::Gone | Handled::TooSlow(_) => {
                Err(format!("function {}: its new environment did not take the event", self.spec.name))
            }
        }
    }

    async fn start(&self, version: u64) -> Result<Environment, String> {
        self.cold_starts.fetch_add(1, Ordering::Relaxed);
        Environment::start(&self.world, &self.spec, version).await
    }

    /// The Runtime API that waits for its process; it listens from the first call on.
    async fn attached(&self) -> Result<Arc<Attached>, String> {
        if let Some(attached) = &*self.attached.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(attached));
        }
        let attached = Attached::listen(&self.world, &self.spec.name).await;
        let attached = attached.map(Arc::new).map_err(|error| {
            format!("function {}: cannot listen on 127.0.0.1 for its process: {error}", self.spec.name)
        })?;
        let mut slot = self.attached.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(slot.get_or_insert(attached)))
    }

    fn shown(&self) -> FunctionState {
        let (warm, busy) = self.pool.counts();
        let origin = self.origin.read().unwrap_or_else(PoisonError::into_inner);
        FunctionState {
            name: self.spec.name.clone(),
            kind: kind(&self.spec.kind),
            warm,
            busy,
            ok: self.ok.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            cold_starts: self.cold_starts.load(Ordering::Relaxed),
            origin: if origin.line == 0 {
                origin.file.clone()
            } else {
                format!("{}:{}", origin.file, origin.line)
            },
        }
    }
}

/// How many invocations may run at once. One process at a time can be attached.
fn limit(spec: &FunctionSpec) -> usize {
    if spec.kind == FunctionKind::Attach { spec.concurrency.min(1) } else { spec.concurrency }
}

/// A function's kind in words.
fn kind(kind: &FunctionKind) -> String {
    match kind {
        FunctionKind::Handler { runtime, .. } => runtime.clone(),
        FunctionKind::Run { .. } => "run".to_owned(),
        FunctionKind::Exec { .. } => "exec".to_owned(),
        FunctionKind::Url { .. } => "url".to_owned(),
        FunctionKind::Attach => "attach".to_owned(),
        FunctionKind::Builtin(builtin) => {
            let name = match builtin {
                Builtin::Echo => "echo",
                Builtin::Sink => "sink",
                Builtin::Fail { .. } => "fail",
                Builtin::Flaky { .. } => "flaky",
                Builtin::Sleep { .. } => "sleep",
            };
            format!("builtin {name}")
        }
    }
}
