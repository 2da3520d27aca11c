//! dropwire's own HTTP API, by which the command line, the page and the tests talk to a running dropwire.
//!
//! Every request must name a host that is ours; one that a browser sends from another site is refused; one that changes
//! something must carry the token from the state folder. Where callers have to sign, every one must carry it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub mod server;

mod act;
mod ask;
mod dead;
pub mod functions;

pub use dead::{DeadChosen, DeadLetter};

use crate::timeline::Told;
use crate::wire::Finding;

/// Where all paths of this API begin.
pub const BASE: &str = "/_dropwire/v1";
/// Where the addresses begin under which functions' code is fetched.
pub const CODE: &str = "/_dropwire/code/";
/// The header that carries the token.
pub const TOKEN_HEADER: &str = "x-dropwire-token";
/// In the state folder: how to reach the running dropwire ([`Running`] as JSON, readable by its owner only).
pub const RUNNING_FILE: &str = "running.json";

/// How to reach a running dropwire.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    /// Its process id.
    pub pid: u32,
    /// `127.0.0.1:4566`
    pub address: String,
    /// What requests that change something must carry.
    pub token: String,
    /// What calls of AWS services are signed with; other words do as well where signatures are not checked.
    pub access_key: String,
    /// See above.
    pub secret_key: String,
}

/// An answer that is no success. `code` is `E404` (no such event, function, bucket …), `E400` (a request that
/// makes no sense), `E500` (dropwire could not do it), `E403` (refused).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// One of the above.
    pub code: String,
    /// What we tried, on what, why not.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// Commands to try.
    #[serde(rename = "try")]
    pub try_: Vec<String>,
}

/// `GET status`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Of dropwire.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// `127.0.0.1:4566`
    pub address: String,
    /// Where other machines reach it, if they do: `box.lan:4566`.
    #[serde(default)]
    pub outside: Option<String>,
    /// The folder it serves.
    pub root: String,
    /// The wiring file, if any.
    pub file: Option<String>,
    /// Simulated time, RFC 3339 with milliseconds.
    pub time: String,
    /// `real`, `frozen`, `x60`, `moved` (runs, but not at the machine's time).
    pub clock: String,
    /// How long it has been up, in real seconds.
    pub up_seconds: f64,
    /// How many milliseconds it took from the start to ready.
    pub ready_ms: f64,
    /// Events stored.
    pub events: i64,
    /// Deliveries that wait, run, were given up.
    pub waiting: i64,
    /// See above.
    pub running: i64,
    /// See above.
    pub given_up: i64,
    /// Dead letters.
    pub dead: i64,
    /// When the next thing is due, if anything waits.
    pub next_due: Option<String>,
    /// Functions and wires, counted.
    pub functions: usize,
    /// See above.
    pub wires: usize,
    /// What the banner says: sources made with defaults, wires made by convention.
    pub remarks: Vec<String>,
    /// What is wrong at present: functions that cannot start, folders that cannot be watched, a broken edit.
    pub problems: Vec<String>,
}

/// `GET list?kind=functions|wires|buckets|tables|topics|queues|events`, an array of these.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listed {
    /// `function`, `wire`, `bucket`, `table`, `topic`, `queue`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// In words, for people: `python3.12 · 2 warm · 14 ok, 1 failed` or a wire's `s3 uploads/incoming/*.png → thumbnail`.
    pub about: String,
    /// Everything known, for `-o json`.
    pub facts: Value,
}

/// `GET events/{id}` (`id`: `e7k2`, or a unique prefix of at least two characters)
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventShown {
    /// `e7k2`
    pub id: String,
    /// `s3`, `table`, `topic`
    pub source: String,
    /// The source's name.
    pub name: String,
    /// `ObjectCreated:Put`
    pub event: String,
    /// The object's key, the item's key, the message's first words.
    pub subject: String,
    /// Simulated time, RFC 3339 with milliseconds.
    pub at: String,
    /// The attempt or event that caused it (`replay of e7k4`).
    pub cause: Option<String>,
    /// The record with its slots empty.
    pub record: Value,
    /// Its deliveries.
    pub deliveries: Vec<DeliveryShown>,
}

/// One delivery of an event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliveryShown {
    /// The wire's id.
    pub wire: String,
    /// The function.
    pub function: String,
    /// `waiting`, `running`, `done`, `given up`
    pub state: String,
    /// When it is due, if it waits.
    pub due: Option<String>,
    /// Why it was given up.
    pub reason: Option<String>,
    /// How many tries there can be.
    pub attempts_max: Option<u32>,
    /// The tries, in order.
    pub attempts: Vec<AttemptShown>,
}

/// One try.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttemptShown {
    /// From 1.
    pub number: u32,
    /// Simulated time of its end.
    pub at: String,
    /// Real milliseconds.
    pub duration_ms: f64,
    /// Real milliseconds of a cold start.
    pub init_ms: Option<f64>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it is tried again.
    pub retry_at: Option<String>,
    /// The request id.
    pub request_id: String,
    /// What the function answered, cut at 16 KiB.
    pub result: Option<String>,
    /// What it wrote.
    pub log: String,
}

/// `GET events?limit=50&source=&fn=&failed=1&before=e7k2`: an array of these, newest last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventListed {
    /// `e7k2`
    pub id: String,
    /// `s3`, `table`, `topic`
    pub source: String,
    /// The source's name.
    pub name: String,
    /// `ObjectCreated:Put`
    pub event: String,
    /// To what.
    pub subject: String,
    /// Simulated time.
    pub at: String,
    /// `thumbnail ✓`, `notify waiting` …: one a delivery.
    pub deliveries: Vec<String>,
}

/// `GET why/{id}` and `GET why-missing/{function}` (an array)
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Why {
    /// The event, without its record.
    pub event: EventListed,
    /// The attempt or event that caused it.
    pub cause: Option<String>,
    /// What each wire of its source said (why-missing: only the function's).
    pub wires: Vec<WireSaid>,
}

/// What one wire said of an event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireSaid {
    /// The wire's id.
    pub wire: String,
    /// The function.
    pub function: String,
    /// Whether it wants the event.
    pub wanted: bool,
    /// Rule by rule.
    pub findings: Vec<FindingSaid>,
    /// What became of the delivery, in words (`done at the 2nd try`, `waiting: try 2 of 4 is due at …`), if there is one.
    pub delivery: Option<String>,
}

/// One rule put to one event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindingSaid {
    /// Which rule.
    pub rule: String,
    /// Whether it held.
    pub held: bool,
    /// In words.
    pub says: String,
}

impl From<Finding> for FindingSaid {
    fn from(finding: Finding) -> FindingSaid {
        FindingSaid { rule: finding.rule, held: finding.held, says: finding.says }
    }
}

/// `GET why-missing/{function}`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WhyMissing {
    /// The function.
    pub function: String,
    /// When it was last called, if ever.
    pub last_called: Option<String>,
    /// What came since to the sources it listens to, and why it was not called.
    pub events: Vec<Why>,
}

/// `POST fire`: answers [`Fired`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fire {
    /// Puts an object into a bucket's folder, or removes it.
    S3 {
        /// `uploads/incoming/cat.png`: bucket and key.
        target: String,
        /// A file on this machine to copy (absolute path); none with `delete`, else an empty object.
        file: Option<String>,
        /// Remove the object.
        delete: bool,
    },
    /// Puts or removes an item.
    Table {
        /// The table.
        table: String,
        /// The item to put, plain JSON.
        put: Option<Value>,
        /// The key of the item to remove, plain JSON.
        delete: Option<Value>,
    },
    /// Publishes a message.
    Topic {
        /// The topic.
        topic: String,
        /// The body.
        body: String,
        /// The subject.
        subject: Option<String>,
        /// Attributes: name, type, value.
        attributes: Vec<(String, String, String)>,
    },
}

/// What came of a `fire` or a `replay`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fired {
    /// The events, as they were stored. Empty where nothing changed (deleting what is not there).
    pub events: Vec<String>,
    /// Of a message.
    pub message_id: Option<String>,
}

/// `POST replay`: answers [`Fired`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replay {
    /// The event.
    pub id: String,
    /// Deliver only to this function; else to everything that matches now.
    pub to: Option<String>,
}

/// `POST invoke/{function}` with the payload as the body and `x-dropwire-request-id` optional: answers this.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invoked {
    /// The request id.
    pub request_id: String,
    /// Whether the function succeeded.
    pub ok: bool,
    /// What it answered: text, usually JSON.
    pub payload: String,
    /// Why it failed, in short.
    pub error: Option<String>,
    /// Real milliseconds.
    pub duration_ms: f64,
    /// Real milliseconds of a cold start.
    pub init_ms: Option<f64>,
    /// What it wrote.
    pub log: String,
}

/// `GET logs/{function}?limit=100`: an array of these, newest last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogShown {
    /// The attempt: `e7k2.1`.
    pub id: String,
    /// Simulated time.
    pub at: String,
    /// What was written.
    pub log: String,
}

/// `GET clock`, and the answer of `POST clock`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClockShown {
    /// Simulated time.
    pub time: String,
    /// `real`, `frozen`, `x60`, `moved`.
    pub pace: String,
    /// When the next thing is due.
    pub next_due: Option<String>,
    /// The due times that were passed (advance only), in order.
    pub passed: Vec<String>,
}

/// `POST clock`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum ClockChange {
    /// Stand still.
    Freeze,
    /// Run on with real time from where it is.
    Run,
    /// Move on by so many milliseconds; what falls due runs in order, each at its time.
    Advance {
        /// How far.
        millis: u64,
    },
    /// Move to this time (RFC 3339), forwards like `advance`, backwards at once.
    Set {
        /// To when.
        time: String,
    },
    /// Run at so many simulated seconds in a real one.
    Rate {
        /// How fast.
        rate: f64,
    },
    /// Move on to the next due thing.
    Next,
}

/// `GET follow`: NDJSON, one of these a line, from now on; `GET events` has what was before.
pub type Followed = Told;
