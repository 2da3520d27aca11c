//! The timeline: what happened to every event, told as it happens. Display, `tail`, `why` and the tests read it.
//!
//! Moments are told after they are durable. Reading back is in the store; this is the live end of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::broadcast;

use crate::clock::Timestamp;

/// One thing that happened, to one event or to dropwire itself. `id` is the event's (`e7k2`) or the
/// attempt's (`e7k2.1`).
#[derive(Clone, Debug, Serialize, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Moment {
    /// An event was stored.
    Emitted {
        /// `e7k2`
        id: String,
        /// The attempt that caused it.
        cause: Option<String>,
        /// The source's kind in the wiring file's word: `s3`, `table`, `topic`.
        source: String,
        /// The source's name.
        name: String,
        /// What happened: `ObjectCreated:Put`.
        event: String,
        /// To what: the object's key, the item's key, the message's first words.
        subject: String,
        /// Size in bytes of what it tells of (object, item, message), if it has one.
        size: Option<u64>,
        /// The functions that get it.
        wanted_by: Vec<String>,
        /// If nobody wants it, why: the first reason found.
        unwanted: Option<String>,
    },
    /// An attempt began.
    Started {
        /// `e7k2.1`
        id: String,
        /// The function.
        function: String,
        /// The wire.
        wire: String,
        /// How many events travel together.
        batch: usize,
        /// Which attempt this is, from 1.
        attempt: u32,
        /// The invocation's request id.
        request_id: String,
    },
    /// A function wrote a line.
    Line {
        /// The attempt's id, if it ran one.
        id: Option<String>,
        /// The function.
        function: String,
        /// The line, without its end.
        text: String,
    },
    /// An attempt ended.
    Ended {
        /// `e7k2.1`
        id: String,
        /// The function.
        function: String,
        /// The wire.
        wire: String,
        /// Which attempt this was, from 1.
        attempt: u32,
        /// How many there can be, if there is a limit.
        attempts_max: Option<u32>,
        /// Whether it succeeded.
        ok: bool,
        /// How long it ran, in milliseconds of real time.
        duration_ms: f64,
        /// How long the environment took to start, if it was cold.
        init_ms: Option<f64>,
        /// Why it failed, in short: `Timeout`, `exit 1`.
        error: Option<String>,
        /// When it is tried again.
        retry_at: Option<Timestamp>,
        /// What became of it if it is not: `dead letters notify-dead`.
        gave_up: Option<String>,
    },
    /// A function was invoked directly, and that has ended.
    Invoked {
        /// The request id.
        request_id: String,
        /// The function, with its version if that is a published one: `hello`, `hello:3`.
        function: String,
        /// Whether it succeeded.
        ok: bool,
        /// How long it ran, in milliseconds of real time.
        duration_ms: f64,
        /// How long the environment took to start, if it was cold.
        init_ms: Option<f64>,
        /// Why it failed, in short.
        error: Option<String>,
    },
    /// dropwire itself has something to say: a folder is polled, a wiring error, a link not followed.
    Notice {
        /// `info`, `warning` or `error`.
        level: &'static str,
        /// In words.
        text: String,
    },
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.iso_millis())
    }
}

/// A moment with its place on the timeline.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// Its number; each is one more than the last.
    pub seq: u64,
    /// Simulated time.
    pub at: Timestamp,
    /// Real time.
    pub wall: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub moment: Moment,
}

/// The live end of the timeline. Clones share it.
#[derive(Clone)]
pub struct Timeline(Arc<Live>);

struct Live {
    sender: broadcast::Sender<Arc<Told>>,
    /// The number of the next one. Held until it is sent, so that they are sent in their order.
    next: Mutex<u64>,
}

/// How many moments a slow follower may lag before it is told that it missed some. They are kept for it whether it
/// is slow or not, so this is memory too; and one that cannot keep up with a burst loses some of any such number.
const LAG_MAX: usize = 1024;

impl Default for Timeline {
    fn default() -> Timeline {
        Timeline(Arc::new(Live { sender: broadcast::channel(LAG_MAX).0, next: Mutex::new(1) }))
    }
}

impl Timeline {
    /// Whether anybody listens: what is only for followers need not be made when nobody does.
    pub fn is_followed(&self) -> bool {
        self.0.sender.receiver_count() > 0
    }
    /// Tells the followers.
    pub fn note(&self, at: Timestamp, moment: Moment) {
        let wall = crate::clock::real::now();
        let mut next = self.0.next.lock().unwrap_or_else(PoisonError::into_inner);
        let told = Told { seq: *next, at, wall, moment };
        *next += 1;
        // Nobody listening is no error.
        self.0.sender.send(Arc::new(told)).ok();
    }
    /// Tells the followers something about dropwire itself, and the developers' log.
    pub fn notice(&self, at: Timestamp, level: &'static str, text: impl Into<String>) {
        let text = text.into();
        tracing::debug!(level, "{text}");
        self.note(at, Moment::Notice { level, text });
    }
    /// Everything that is told from now on.
    pub fn follow(&self) -> broadcast::Receiver<Arc<Told>> {
        self.0.sender.subscribe()
    }
}

/// Milliseconds with three digits after the point, as shown to people.
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_in_the_order_of_their_numbers() {
        const EACH: u64 = 200;
        let timeline = Timeline::default();
        let mut told = timeline.follow();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..EACH).for_each(|_| timeline.notice(Timestamp::from_millis(0), "info", "said"))
                });
            }
        });
        let numbers: Vec<u64> = std::iter::from_fn(|| told.try_recv().ok()).map(|told| told.seq).collect();
        assert_eq!(numbers, (1..=4 * EACH).collect::<Vec<_>>());
    }
}
