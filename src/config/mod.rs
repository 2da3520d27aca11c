//! The wiring: what the user declared, checked and resolved. Reading it is in `parse`, its rules in `check`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::arn::Place;
use crate::clock::Timestamp;

mod check;
mod complaint;
mod conventions;
mod destination;
mod explain;
mod function_spec;
mod functions;
mod names;
mod parse;
mod programs;
mod reader;
pub mod resolve;
pub mod s3_events;
mod sources;
#[cfg(test)]
mod tests;
mod units;
mod wire_tables;
mod wires;

pub use complaint::{Complaint, Complaints};
pub use destination::Destination;
pub use explain::{codes, explain};
pub use function_spec::{
    Asynchronous, Builtin, FunctionKind, FunctionSpec, LATEST, LogFormat, Logging, RESERVED_VARIABLES,
    function_key, is_variable,
};
pub use sources::{MADE_BY_CALL, made_bucket};

/// Globs over file names that editors, browsers and systems leave behind; `ignore` of a bucket replaces them.
pub const IGNORED_BY_DEFAULT: &[&str] = &[
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    "*~",
    ".*.sw?",
    ".*.swpx",
    "4913",
    ".#*",
    "#*#",
    "~$*",
    "*.tmp",
    "*.part",
    "*.crdownload",
    ".goutputstream-*",
    ".nfs*",
];

/// Everything the wiring file (or the folders, by convention) says. All paths are absolute.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The folder that relative paths start from: where the wiring file lies, or would.
    pub root: PathBuf,
    /// The wiring file, if there is one.
    pub file: Option<PathBuf>,
    /// What messages call it, as the user named it; empty if there is none.
    pub file_name: String,
    /// `[sim]`.
    pub sim: Sim,
    /// `[function.NAME]`, by name.
    pub functions: BTreeMap<String, FunctionSpec>,
    /// `[bucket.NAME]`, by name; those named only in a wire included.
    pub buckets: BTreeMap<String, BucketSpec>,
    /// `[table.NAME]`, by name.
    pub tables: BTreeMap<String, TableSpec>,
    /// `[topic.NAME]`, by name; those named only in a wire included.
    pub topics: BTreeMap<String, TopicSpec>,
    /// `[queue.NAME]`, by name.
    pub queues: BTreeMap<String, QueueSpec>,
    /// All wires, short and named, in the order of the file.
    pub wires: Vec<WireSpec>,
    /// What the banner should say: sources made with defaults, wires made by convention. No errors.
    pub remarks: Vec<String>,
}

/// A place in the wiring file, for messages: `dropwire.toml:12`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The file as the user would name it; empty when no file says it.
    pub file: String,
    /// Line, from 1; 0 when no file says it.
    pub line: usize,
}

/// `[sim]`: the simulated world.
#[derive(Clone, Debug, PartialEq)]
pub struct Sim {
    /// Region and account; by default `us-east-1` and `000000000000`.
    pub place: Place,
    /// The port of the control API, 4566 by default; 0 takes any free one.
    pub port: u16,
    /// How the clock starts.
    pub clock: ClockStart,
    /// What ids are drawn from; none draws from the operating system.
    pub seed: Option<u64>,
    /// What S3 records carry as `eventVersion`, "2.6" by default; "2.1" on request.
    pub event_version: String,
}

impl Default for Sim {
    fn default() -> Sim {
        Sim {
            place: Place::default(),
            port: 4566,
            clock: ClockStart::Real,
            seed: None,
            event_version: "2.6".into(),
        }
    }
}

/// How the simulated clock starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClockStart {
    /// `"real"`
    Real,
    /// `"frozen"`: stands at the time of the start.
    Frozen,
    /// A time such as `"2026-01-05T09:00:00Z"`: stands there.
    At(Timestamp),
    /// `"x60"`: so many simulated seconds in a real one.
    Scaled(f64),
}

/// `[bucket.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct BucketSpec {
    /// The bucket's name.
    pub name: String,
    /// The watched folder, `buckets/NAME` by default (made if it is the default and missing).
    pub folder: PathBuf,
    /// `existing = "emit"`: files found at the folder's first sight are events as well.
    pub emit_existing: bool,
    /// Globs over file names that are never objects.
    pub ignore: Vec<String>,
    /// `overlap = "allow"`: wires of this bucket may overlap although S3 refuses that.
    pub allow_overlap: bool,
    /// Where it is declared.
    pub origin: Origin,
}

/// `[table.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSpec {
    /// The table's name.
    pub name: String,
    /// Partition key and perhaps sort key; none takes the primary key of a table that is already in the file.
    pub keys: Vec<KeySpec>,
    /// What a record carries.
    pub view: StreamView,
    /// The SQLite file, `.dropwire/tables.db` by default.
    pub sqlite: PathBuf,
    /// `seed`: a file of JSON lines put into the table when it is made.
    pub seed: Option<PathBuf>,
    /// Where it is declared.
    pub origin: Origin,
}

/// One key attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// The attribute's name.
    pub name: String,
    /// `S`, `N` or `B`.
    pub kind: KeyKind,
}

/// The type of a key attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// String.
    S,
    /// Number.
    N,
    /// Binary.
    B,
}

/// The four stream view types of DynamoDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamView {
    /// `KEYS_ONLY`
    KeysOnly,
    /// `NEW_IMAGE`
    NewImage,
    /// `OLD_IMAGE`
    OldImage,
    /// `NEW_AND_OLD_IMAGES`, the default.
    NewAndOldImages,
}

/// `[topic.NAME]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicSpec {
    /// The topic's name.
    pub name: String,
    /// Where it is declared.
    pub origin: Origin,
}

/// `[queue.NAME]`: for now the durable store of dead letters and failure records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueSpec {
    /// The queue's name.
    pub name: String,
    /// Where it is declared.
    pub origin: Origin,
}

/// One wire: from a source to a function.
#[derive(Clone, Debug, PartialEq)]
pub struct WireSpec {
    /// `FUNCTION/NAME` for named wires; `FUNCTION/on` for a single short wire, `FUNCTION/on.2` for the second …
    pub id: String,
    /// The function it leads to.
    pub function: String,
    /// Where it starts and what it lets pass.
    pub from: From,
    /// `dlq`: what gets the event itself when it is given up; none takes the function's (not of a table's wire).
    pub dlq: Option<Destination>,
    /// `on_failure`: what gets the failure record (streams: batch description; others: the destination record); none
    /// takes the function's (not of a table's wire).
    pub on_failure: Option<Destination>,
    /// `on_success`: what gets the record of each success; none takes the function's. Not of a table's wire.
    pub on_success: Option<Destination>,
    /// `retries`; none takes the source's default (topic 3, other asynchronous 2, streams until the record is 24 h old).
    pub retries: Option<u32>,
    /// `backoff`; none takes the source's default (topic 1 s, 2 s, 4 s; bucket 60 s, 120 s). The last one repeats.
    pub backoff: Option<Vec<Duration>>,
    /// `age`: older events are given up (asynchronous 60 s to 6 h, streams 60 s to 7 d); none takes the default.
    pub age_max: Option<Duration>,
    /// Where it is declared.
    pub origin: Origin,
}

/// Where a wire starts and what it lets pass.
#[derive(Clone, Debug, PartialEq)]
pub enum From {
    /// A bucket.
    Bucket {
        /// Its name.
        bucket: String,
        /// Event names without `s3:`, `*` allowed at the end: `ObjectCreated:*` (the default), `ObjectRemoved:Delete`.
        events: Vec<String>,
        /// The key begins with this; empty for all.
        prefix: String,
        /// The key ends with this; empty for all.
        suffix: String,
    },
    /// A table's stream.
    Table {
        /// Its name.
        table: String,
        /// `filter`: patterns over the record, one of which must match; empty for all.
        filter: Vec<String>,
        /// `batch`, 1 to 10,000, 100 by default.
        batch: usize,
        /// `window`: how long to gather a batch, 0 by default, 300 s at the most.
        window: Duration,
        /// `start = "trim-horizon"`: begin with what the stream still keeps; else with what comes.
        from_horizon: bool,
        /// `bisect`: halve a failing batch.
        bisect: bool,
        /// `report_failures`: the function may answer `batchItemFailures`.
        report_failures: bool,
    },
    /// A topic.
    Topic {
        /// Its name.
        topic: String,
        /// `filter`: a filter policy.
        filter: Option<String>,
        /// `scope = "body"`: the filter reads the message body, else the attributes.
        body_scope: bool,
    },
}

impl BucketSpec {
    /// Whether this says the same, wherever in the file it stands.
    pub fn is_like(&self, other: &BucketSpec) -> bool {
        *self == BucketSpec { origin: self.origin.clone(), ..other.clone() }
    }
}

impl TableSpec {
    /// Whether this says the same, wherever in the file it stands.
    pub fn is_like(&self, other: &TableSpec) -> bool {
        *self == TableSpec { origin: self.origin.clone(), ..other.clone() }
    }
}
