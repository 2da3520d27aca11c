//! What can be seen of an environment from outside, whoever has it in hand.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

/// An environment as people see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EnvironmentState {
    /// Its id, 32 hex digits: the last part of its log stream, and the name of its folder.
    pub id: String,
    /// Its log stream, `YYYY/MM/DD/[$LATEST]32hex`.
    pub log_stream: String,
    /// `starting`, `busy`, `idle`, `frozen`, or `reset`: without processes until its next event.
    pub state: &'static str,
    /// How many invocations it has handled.
    pub invocations: u64,
    /// How long its last start took, in milliseconds; 0 before it is over.
    pub cold_start_ms: f64,
    /// The most memory it has used, MB.
    pub memory_mb: u64,
    /// Its runtime's process; 0 if there is none.
    pub pid: u32,
    /// Whether it belongs to the provisioned concurrency.
    pub provisioned: bool,
}

/// Where in its life an environment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Its processes start.
    Starting,
    /// It has an event.
    Busy,
    /// It waits for one.
    Idle,
    /// It has no processes until its next event.
    Reset,
}

/// What is known of one environment.
#[derive(Debug)]
pub struct Card {
    /// Its id.
    pub id: String,
    /// Its log stream.
    pub log_stream: String,
    /// Whether it belongs to the provisioned concurrency.
    pub provisioned: bool,
    stage: AtomicU8,
    frozen: AtomicBool,
    invocations: AtomicU64,
    cold_start_us: AtomicU64,
    memory_mb: AtomicU64,
    pid: AtomicU32,
}

impl Card {
    /// The card of an environment that is about to start.
    pub fn new(id: String, log_stream: String, provisioned: bool) -> Card {
        Card {
            id,
            log_stream,
            provisioned,
            stage: AtomicU8::new(Stage::Starting as u8),
            frozen: AtomicBool::new(false),
            invocations: AtomicU64::new(0),
            cold_start_us: AtomicU64::new(0),
            memory_mb: AtomicU64::new(0),
            pid: AtomicU32::new(0),
        }
    }

    /// It is there now.
    pub fn set_stage(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }
    /// Its processes are stopped, or go on.
    pub fn set_frozen(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::Relaxed);
    }
    /// Its runtime has this process id; 0 if it has none.
    pub fn set_pid(&self, pid: u32) {
        self.pid.store(pid, Ordering::Relaxed);
    }
    /// It took so long to start.
    pub fn set_cold_start(&self, took: Duration) {
        self.cold_start_us.store(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
    /// It has handled one more, with so much memory used until now.
    pub fn count(&self, memory_mb: u64) {
        self.invocations.fetch_add(1, Ordering::Relaxed);
        self.memory_mb.fetch_max(memory_mb, Ordering::Relaxed);
    }

    /// How many it has handled.
    pub fn invocations(&self) -> u64 {
        self.invocations.load(Ordering::Relaxed)
    }

    /// As people see it.
    pub fn shown(&self) -> EnvironmentState {
        let stage = self.stage.load(Ordering::Relaxed);
        let state = match stage {
            _ if stage == Stage::Starting as u8 => "starting",
            _ if stage == Stage::Busy as u8 => "busy",
            _ if stage == Stage::Reset as u8 => "reset",
            _ if self.frozen.load(Ordering::Relaxed) => "frozen",
            _ => "idle",
        };
        EnvironmentState {
            id: self.id.clone(),
            log_stream: self.log_stream.clone(),
            state,
            invocations: self.invocations.load(Ordering::Relaxed),
            cold_start_ms: self.cold_start_us.load(Ordering::Relaxed) as f64 / 1000.0,
            memory_mb: self.memory_mb.load(Ordering::Relaxed),
            pid: self.pid.load(Ordering::Relaxed),
            provisioned: self.provisioned,
        }
    }
}
