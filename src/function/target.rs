//! One function, the target of its wires: which of the ways to run it is taken, and what is counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use super::attach::Attached;
use super::concurrency::Gauge;
use super::environment::{Handled, words};
use super::maker::Maker;
use super::pool::{Pool, Refusal};
use super::slots::Slots;
use super::world::{Call, World};
use super::{FunctionState, Invocation, builtin, exec, url};
use crate::config::{Builtin, FunctionKind, FunctionSpec, Origin};
use crate::delivery::{Outcome, Parcel, Target};

/// One function, the target of its wires.
pub struct Function {
    maker: Arc<Maker>,
    gauge: Arc<Gauge>,
    /// Its environments, if its kind has any.
    pool: Arc<Pool>,
    /// How many run at once of the kinds without environments.
    slots: Slots,
    attached: RwLock<Option<Arc<Attached>>>,
    /// Held by whoever begins to listen for it.
    attaching: tokio::sync::Mutex<()>,
    origin: RwLock<Origin>,
    ok: AtomicU64,
    failed: AtomicU64,
    warm_starts: AtomicU64,
}

#[async_trait]
impl Target for Function {
    async fn attempt(&self, parcel: &Parcel) -> Outcome {
        let (request_id, shown_id) = (parcel.request_id(), parcel.shown_id());
        let (request_id, shown_id) = (request_id.as_str(), shown_id.as_str());
        let (payload, attempt) = (parcel.payload(), parcel.attempt());
        let arn = Some(parcel.wire.target.as_str());
        self.run(&Call { request_id, shown_id, payload, attempt, arn, ..Call::default() }).await
    }

    fn concurrency(&self) -> usize {
        self.pool.limit()
    }
}

impl Function {
    /// A direct invocation.
    pub(super) async fn invoke(&self, mut invocation: Invocation) -> Outcome {
        let stream = invocation.stream.take();
        let Invocation { request_id, shown_id, payload, attempt, arn, client_context, trace_id, .. } =
            &invocation;
        let call = Call {
            request_id,
            shown_id,
            payload: payload.clone(),
            attempt: (*attempt).max(1),
            arn: arn.as_deref(),
            client_context: client_context.as_deref(),
            trace_id: trace_id.as_deref(),
            stream,
        };
        self.run(&call).await
    }

    /// This declaration says the same but for what needs no new environment: that is taken over.
    pub(super) fn adopt(&self, spec: FunctionSpec) {
        self.pool.set_limit(limit(&spec));
        self.slots.set_limit(limit(&spec));
        *self.origin.write().unwrap_or_else(PoisonError::into_inner) = spec.origin;
    }

    /// Lets go of the port that an attached process uses.
    pub(super) fn detach(&self) {
        self.attached.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Its environments.
    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// As it is declared.
    pub fn spec(&self) -> &FunctionSpec {
        &self.maker.spec
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.maker.spec.name
    }

    /// A function that runs in this world. Nothing is started.
    pub(super) fn new(spec: FunctionSpec, world: Arc<World>) -> Function {
        let (most, origin, gauge) = (limit(&spec), spec.origin.clone(), world.account.gauge(&spec.name));
        let maker = Arc::new(Maker::new(world, spec));
        Function {
            gauge,
            pool: Arc::new(Pool::new(Arc::clone(&maker), most)),
            slots: Slots::new(most),
            attached: RwLock::default(),
            attaching: tokio::sync::Mutex::default(),
            origin: RwLock::new(origin),
            ok: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            warm_starts: AtomicU64::new(0),
            maker,
        }
    }

    /// Whether environments of this function do for that declaration as well.
    pub(super) fn runs_as(&self, spec: &FunctionSpec) -> bool {
        let ours = &self.maker.spec;
        let (concurrency, origin, asynchronous) =
            (ours.concurrency, ours.origin.clone(), ours.asynchronous.clone());
        *ours == FunctionSpec { concurrency, origin, asynchronous, ..spec.clone() }
    }

    /// Whether it could run, as far as can be told without running it. Begins to listen if it is attached.
    pub(super) async fn check(&self) -> Result<(), String> {
        let Maker { world, spec, .. } = &*self.maker;
        match &spec.kind {
            // What is built need not be there yet.
            FunctionKind::Run { build: Some(_), .. } | FunctionKind::Builtin(_) => Ok(()),
            FunctionKind::Handler { .. } | FunctionKind::Run { .. } | FunctionKind::Exec { .. } => {
                words::words(world, spec).await.map(drop)
            }
            FunctionKind::Url { url } => {
                url::check(url).map_err(|text| format!("function {}: {text}", spec.name))
            }
            FunctionKind::Attach => self.attached().await.map(drop),
        }
    }

    /// Runs one invocation, if the account and what is reserved let it in.
    async fn run(&self, call: &Call<'_>) -> Outcome {
        let world = &self.maker.world;
        let _ticket = match world.account.admit(&self.gauge) {
            Ok(ticket) => ticket,
            Err(throttle) => return Outcome::Throttled(throttle),
        };
        let stopping = || Outcome::Over(format!("function {}: dropwire is stopping", self.name()));
        let ended = world.ending.run_until_cancelled(self.run_kind(call)).await;
        let outcome = ended.unwrap_or_else(stopping);
        match &outcome {
            Outcome::Done(_) => self.ok.fetch_add(1, Ordering::Relaxed),
            Outcome::Failed(_) => self.failed.fetch_add(1, Ordering::Relaxed),
            Outcome::Throttled(_) | Outcome::Unavailable(_) | Outcome::Over(_) => 0,
        };
        outcome
    }

    async fn run_kind(&self, call: &Call<'_>) -> Outcome {
        let Maker { world, spec, .. } = &*self.maker;
        if matches!(spec.kind, FunctionKind::Handler { .. } | FunctionKind::Run { .. }) {
            return self.run_in_environment(call).await;
        }
        let _slot = self.slots.enter().await;
        match &spec.kind {
            FunctionKind::Builtin(builtin) => builtin::run(call, world, (spec, builtin)).await,
            FunctionKind::Url { url } => url::run(call, world, (spec, url)).await,
            FunctionKind::Attach => match self.attached().await {
                Ok(attached) => attached.run(call, world, spec).await,
                Err(text) => Outcome::Unavailable(text),
            },
            FunctionKind::Exec { .. } | FunctionKind::Handler { .. } | FunctionKind::Run { .. } => {
                exec::run(call, world, spec).await
            }
        }
    }

    /// In a warm environment if there is one that takes the event, else in a new one.
    async fn run_in_environment(&self, call: &Call<'_>) -> Outcome {
        loop {
            let lease = match self.pool.take().await {
                Ok(lease) => lease,
                Err(Refusal::CannotStart(text)) => return Outcome::Unavailable(text),
                Err(Refusal::Over(text)) => return Outcome::Over(text),
            };
            let is_cold = lease.is_cold();
            match lease.handle(call).await {
                Handled::Over(outcome) => {
                    self.warm_starts.fetch_add(u64::from(!is_cold), Ordering::Relaxed);
                    return outcome;
                }
                Handled::Unavailable(text) => return Outcome::Unavailable(text),
                Handled::Gone if is_cold => {
                    let name = self.name();
                    let text = format!("function {name}: its new environment did not take the event");
                    return Outcome::Unavailable(text);
                }
                // It had died while it waited.
                Handled::Gone => {}
            }
        }
    }

    /// The Runtime API that waits for its process; it listens from the first call on.
    async fn attached(&self) -> Result<Arc<Attached>, String> {
        let listening = || self.attached.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(attached) = listening() {
            return Ok(attached);
        }
        // Two that listen at once would need two ports, and it is to keep its own.
        let _alone = self.attaching.lock().await;
        if let Some(attached) = listening() {
            return Ok(attached);
        }
        let attached = Attached::listen(&self.maker.world, self.name()).await;
        let attached = attached.map(Arc::new).map_err(|error| {
            format!("function {}: cannot listen on 127.0.0.1 for its process: {error}", self.name())
        })?;
        let mut slot = self.attached.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(slot.get_or_insert(attached)))
    }

    /// The function as people see it.
    pub(super) fn shown(&self) -> FunctionState {
        let (warm, busy) = self.pool.counts();
        let busy = busy + self.slots.busy();
        let spec = &self.maker.spec;
        let origin = self.origin.read().unwrap_or_else(PoisonError::into_inner);
        let attached = self.attached.read().unwrap_or_else(PoisonError::into_inner);
        FunctionState {
            runtime_api: attached.as_ref().map(|attached| attached.address().to_string()),
            name: spec.name.clone(),
            version: spec.version.clone(),
            kind: kind(&spec.kind),
            warm,
            busy,
            ok: self.ok.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            cold_starts: self.pool.cold_starts(),
            warm_starts: self.warm_starts.load(Ordering::Relaxed),
            environments: self.pool.shown(),
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
