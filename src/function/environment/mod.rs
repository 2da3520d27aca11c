//! One execution environment: a runtime (and its extensions) that handles one event after the other.
//!
//! ```text
//!            INIT, 10 s              event               answer
//! (new) ────────────────▶ idle ─────────────▶ busy ─────────────▶ idle ── idle for long ──▶ SHUTDOWN
//!    └─ it fails ─▶ reset   ▲                   │ crash, exit, timeout, out of memory
//!                     ▲     │ INIT, under the   ▼
//!                     │     │ function's limit  reset: processes killed, its temporary folder kept
//!                     └─────┴── next event ─────┘
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::Answer;
use super::extensions::ExtensionFailure;
use super::happening::Happening;
use super::logs::Status;
use super::maker::Maker;
use super::process::Exit;
use super::room::Place;
use super::telemetry::Telemetry;
use super::variables;
use super::world::Call;
use crate::clock::{Timestamp, real};
use crate::delivery::Outcome;

pub mod card;
mod invoke;
mod run;
mod shutdown;
mod start;
pub mod words;

use card::{Card, Stage};
use run::Run;
pub use shutdown::Cause;
use start::Ground;

/// How long an environment may take to start before it is started once more, under the function's own limit.
pub const INIT_MAX: Duration = Duration::from_secs(10);

/// The log of an environment that nobody has asked for an event is kept up to this size, in bytes.
const LOG_MAX: usize = 1 << 20;

/// An environment and all that belongs to it. Dropping it ends that at once.
pub struct Environment {
    maker: Arc<Maker>,
    card: Arc<Card>,
    /// Its processes; none before its start and after a reset. Before the place, so that they end before it.
    run: Option<Box<Run>>,
    /// What it has for itself of the file system, from its first start on.
    place: Option<Place>,
    /// Which version of the code it runs.
    version: u64,
    /// What has been logged and belongs to the next invocation.
    log: String,
    /// How long its start took, for the report of its first invocation.
    init: Option<Duration>,
    /// In the middle of an event: of no use to anybody else.
    in_event: bool,
    /// What its processes have done that they have to end for.
    broken: Option<Cause>,
    /// It has written more than it may: of no use any more.
    overfull: bool,
    /// Since when it has had nothing to do, in simulated time.
    idle_since: Timestamp,
}

/// Under which limit a start runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Ahead of the event, ten seconds.
    Init,
    /// As part of an event, under the function's own limit.
    Invoke,
}

impl Phase {
    /// As in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Init => "init",
            Phase::Invoke => "invoke",
        }
    }
}

/// Why an environment did not start.
pub enum InitFailure {
    /// There is nothing to start, in words.
    CannotStart(String),
    /// What was started failed; that is in its log.
    Failed(End),
}

/// How a start or an invocation ended without success, or an invocation with an answer.
pub enum End {
    /// The runtime has said something.
    Answer(Answer),
    /// The runtime's process is gone.
    Exit(Exit),
    /// It took too long.
    Timeout,
    /// It took more memory than it has, and was killed.
    OutOfMemory,
    /// An extension's process is gone.
    Crash(Exit),
    /// An extension cannot go on.
    Extension(ExtensionFailure),
}

/// What became of an event.
pub enum Handled {
    /// It was handled.
    Over(Outcome),
    /// The process was gone before it got the event: nothing has happened to it, and the environment is no use.
    Gone,
    /// There is nothing to start, in words.
    Unavailable(String),
}

impl Environment {
    /// A new environment, without processes yet.
    pub fn new(maker: &Arc<Maker>, version: u64, provisioned: bool) -> Environment {
        let world = &maker.world;
        let id = world.environment_id(&maker.spec.name);
        let log_stream = world.log_stream(&maker.spec, &id);
        Environment {
            maker: Arc::clone(maker),
            card: Arc::new(Card::new(id, log_stream, provisioned)),
            place: None,
            run: None,
            version,
            log: String::new(),
            init: None,
            in_event: false,
            broken: None,
            overfull: false,
            idle_since: world.clock.now(),
        }
    }

    /// What can be seen of it.
    pub fn card(&self) -> &Arc<Card> {
        &self.card
    }
    /// Which version of the code it runs.
    pub fn version(&self) -> u64 {
        self.version
    }
    /// Whether it belongs to the provisioned concurrency.
    pub fn is_provisioned(&self) -> bool {
        self.card.provisioned
    }
    /// Since when it has had nothing to do, in simulated time.
    pub fn idle_since(&self) -> Timestamp {
        self.idle_since
    }
    /// It has had nothing to do since then.
    pub fn set_idle_since(&mut self, then: Timestamp) {
        self.idle_since = then;
    }
    /// Whether it has processes, which wait for an event.
    pub fn is_warm(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.is_alive())
    }
    /// Whether it has no processes, and gets new ones for its next event.
    pub fn is_reset(&self) -> bool {
        self.run.is_none()
    }
    /// In the middle of an event, which its caller has given up; or it has written more than it may.
    pub fn is_interrupted(&self) -> bool {
        self.in_event || self.overfull
    }
    /// Why it has to be reset, if it has.
    pub fn is_broken(&self) -> Option<Cause> {
        self.broken
    }
    /// The process whose end is the end of the environment, to be waited for.
    pub fn until_exit(&self) -> Option<impl Future<Output = ()> + Send + 'static> {
        self.run.as_ref().map(|run| run.watch_exit())
    }
    /// Waits until the extensions are done with the last event too, or why its processes have to end instead; none
    /// if there is nothing to wait for.
    pub fn until_quiet(&self) -> Option<impl Future<Output = Option<Cause>> + Send + 'static> {
        let limit = self.maker.world.limit_of(&self.maker.spec);
        self.run.as_ref().and_then(|run| run.until_quiet(limit))
    }

    /// This is told in the log of its next invocation.
    pub fn tell(&mut self, text: &str) {
        if self.log.len() + text.len() < LOG_MAX {
            self.log.push_str(text);
        }
    }
    /// What has been logged and belongs to its next invocation.
    pub fn log(&self) -> &str {
        &self.log
    }
    /// Whether whoever uses it sits in a debugger.
    pub fn is_unhurried(&self) -> bool {
        self.maker.world.is_unhurried()
    }
    /// Whether it has handled nothing yet.
    pub fn is_cold(&self) -> bool {
        self.card.invocations() == 0
    }

    /// It waits for its next event from now on.
    pub fn rest(&mut self) {
        self.idle_since = self.maker.world.clock.now();
        self.card.set_stage(if self.is_reset() { Stage::Reset } else { Stage::Idle });
    }

    /// INIT: starts its processes and waits until all of them have asked for an event. `version` is that of the
    /// code which they load.
    pub async fn init(&mut self, phase: Phase, version: u64, limit: Duration) -> Result<(), InitFailure> {
        let began = Instant::now();
        self.version = version;
        self.card.set_stage(Stage::Starting);
        let ground = Ground { maker: &self.maker, card: &self.card, place: &mut self.place };
        let (run, ended) = start::start(ground, limit).await.map_err(InitFailure::CannotStart)?;
        let maker = Arc::clone(&self.maker);
        let start = (variables::initialization(self.card.provisioned), phase.as_str());
        // Told after the start, before which nobody knows what the interpreter is.
        let (runtime, function) =
            (maker.runtime_version(), (maker.spec.name.as_str(), maker.spec.version.as_str()));
        self.happen(&run.telemetry, &Happening::InitStart { start, runtime: &runtime, function });
        let ended = match ended {
            Some(end) => Err(end),
            None => run.until_ready(limit.saturating_sub(began.elapsed())).await,
        };
        let (status, took) = match &ended {
            Ok(at) => (Status::Success, at.duration_since(began)),
            Err(end) => (invoke::status(end), began.elapsed()),
        };
        if ended.is_err() {
            run.kill().await;
        }
        self.tell(&run.take_output());
        for shown in run.desk.extensions.shown() {
            self.happen(&run.telemetry, &Happening::Extension(&shown));
        }
        self.happen(&run.telemetry, &Happening::InitRuntimeDone { start, status: &status });
        self.happen(&run.telemetry, &Happening::InitReport { start, status: &status, took });
        run.telemetry.close();
        run.desk.extensions.settle();
        ended.map_err(InitFailure::Failed)?;
        self.init = (phase == Phase::Init && !self.card.provisioned).then_some(took);
        self.card.set_cold_start(took);
        run.memory.end();
        run.frost.release();
        self.run = Some(Box::new(run));
        Ok(())
    }

    /// Tells this in the log, and to those who have subscribed.
    fn happen(&mut self, telemetry: &Telemetry, happening: &Happening) {
        telemetry.tell(happening);
        let lines = happening.lines(&self.maker.spec.logging.format, real::now());
        self.tell(&lines);
    }

    /// Hands the event over and waits for what becomes of it.
    pub async fn handle(&mut self, call: &Call<'_>) -> Handled {
        self.in_event = true;
        let mut begun = None;
        if self.run.is_none() {
            let maker = Arc::clone(&self.maker);
            let (limit, now) = (maker.world.limit_of(&maker.spec), Instant::now());
            match self.init(Phase::Invoke, maker.code_version(), limit).await {
                Ok(()) => begun = Some(now),
                Err(InitFailure::CannotStart(text)) => {
                    self.in_event = false;
                    return Handled::Unavailable(text);
                }
                Err(InitFailure::Failed(end)) => return self.conclude_unstarted(end, call, now),
            }
        }
        self.card.set_stage(Stage::Busy);
        let handled = self.hand_over(call, begun).await;
        if !matches!(handled, Handled::Gone) {
            self.in_event = false;
        }
        handled
    }
}
