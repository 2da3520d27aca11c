//! One function, the target of its wires: which of the ways to run it is taken, and what is counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use super::attach::Attached;
use super::build::Build;
use super::code::Code;
use super::environment::{self, Environment, Handled};
use super::pool::Pool;
use super::world::{Call, World};
use super::{FunctionState, Invocation, builtin, exec, url};
use crate::config::{Builtin, FunctionKind, FunctionSpec, Origin};
use crate::delivery::{Outcome, Parcel, Target, Throttle};

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
            return Outcome::Throttled(Throttle::Reserved);
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
    /// A direct invocation: it waits in line for a slot.
    pub(super) async fn invoke(&self, invocation: Invocation) -> Outcome {
        let _slot = self.pool.enter().await;
        let Invocation { request_id, shown_id, payload, attempt, .. } = &invocation;
        let (payload, attempt) = (payload.clone(), (*attempt).max(1));
        self.run(&Call { request_id, shown_id, payload, attempt }).await
    }

    /// This declaration says the same but for what needs no new environment: that is taken over.
    pub(super) fn adopt(&self, spec: FunctionSpec) {
        self.pool.set_limit(limit(&spec));
        *self.origin.write().unwrap_or_else(PoisonError::into_inner) = spec.origin;
    }

    /// Lets go of the port that an attached process uses.
    pub(super) fn detach(&self) {
        self.attached.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Ends the environments that have waited for long.
    pub(super) fn sweep(&self) {
        self.pool.sweep();
    }

    /// Ends the environments that wait, and the others after their event.
    pub(super) fn retire(&self) {
        self.pool.retire();
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// A function that runs in this world. Nothing is started.
    pub(super) fn new(spec: FunctionSpec, world: Arc<World>) -> Function {
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
    pub(super) fn runs_as(&self, spec: &FunctionSpec) -> bool {
        let (concurrency, origin) = (self.spec.concurrency, self.spec.origin.clone());
        let asynchronous = self.spec.asynchronous.clone();
        self.spec == FunctionSpec { concurrency, origin, asynchronous, ..spec.clone() }
    }

    /// Whether it could run, as far as can be told without running it. Begins to listen if it is attached.
    pub(super) async fn check(&self) -> Result<(), String> {
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
            Outcome::Throttled(_) | Outcome::Unavailable(_) => 0,
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

    /// The function as people see it.
    pub(super) fn shown(&self) -> FunctionState {
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
