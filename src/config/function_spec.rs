//! What a function is, whoever declared it: the wiring file, a convention, or a call of the Lambda API. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{Destination, Origin};

/// `[function.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionSpec {
    /// Its name.
    pub name: String,
    /// How it runs.
    pub kind: FunctionKind,
    /// Working directory: the code folder of a handler, else the folder of the wiring file.
    pub folder: PathBuf,
    /// `$LATEST`, or the number of a published version.
    pub version: String,
    /// How long one invocation may take, 3 s by default (functions of kind attach: no limit unless given).
    pub timeout: Option<Duration>,
    /// `memory`, MB, 128 by default: a function that takes more is ended.
    pub memory_mb: u32,
    /// `storage`, MB, 512 by default: how much its temporary folder holds.
    pub storage_mb: u32,
    /// `layers`: unpacked layers, in the order in which they are laid over each other.
    pub layers: Vec<PathBuf>,
    /// How its log is written.
    pub logging: Logging,
    /// Its own environment variables.
    pub env: BTreeMap<String, String>,
    /// How many invocations may run at once, 10 by default.
    pub concurrency: usize,
    /// How its asynchronous invocations are retried, and what is told of their end.
    pub asynchronous: Asynchronous,
    /// Where it is declared.
    pub origin: Origin,
}

/// What a function says of all its asynchronous invocations (`EventInvokeConfig`, `DeadLetterConfig`). A wire that
/// says otherwise is heeded first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asynchronous {
    /// `retries`, 0 to 2; none takes the source's default.
    pub retries: Option<u32>,
    /// `age`, 60 s to 6 h: older events are given up; none takes the default.
    pub age_max: Option<Duration>,
    /// `on_success`: gets the record of each success.
    pub on_success: Option<Destination>,
    /// `on_failure`: gets the record of each event that is given up.
    pub on_failure: Option<Destination>,
    /// `dlq`: gets each event that is given up, as it is.
    pub dlq: Option<Destination>,
}

impl FunctionSpec {
    /// A function of this kind with everything else as it is by default.
    pub fn new(name: &str, kind: FunctionKind, folder: PathBuf) -> FunctionSpec {
        FunctionSpec {
            name: name.to_owned(),
            kind,
            folder,
            version: LATEST.to_owned(),
            timeout: Some(Duration::from_secs(3)),
            memory_mb: 128,
            storage_mb: 512,
            layers: Vec::new(),
            logging: Logging::default(),
            env: BTreeMap::new(),
            concurrency: 10,
            asynchronous: Asynchronous::default(),
            origin: Origin::default(),
        }
    }

    /// What tells this version of the function from all others: `name`, or `name:3`.
    pub fn key(&self) -> String {
        function_key(&self.name, &self.version)
    }
}

/// The version of a function that is not published.
pub const LATEST: &str = "$LATEST";

/// What tells a version of a function from all others: `name` for `$LATEST`, else `name:3`.
pub fn function_key(name: &str, version: &str) -> String {
    if version == LATEST { name.to_owned() } else { format!("{name}:{version}") }
}

/// The environment variables that the platform sets itself. AWS refuses to have them set, and so do we.
pub const RESERVED_VARIABLES: [&str; 17] = [
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];

/// Whether AWS takes this as the name of an environment variable: a letter, then letters, digits and `_`.
pub fn is_variable(name: &str) -> bool {
    let plain = name.bytes().all(|sign| sign.is_ascii_alphanumeric() || sign == b'_');
    plain && name.len() >= 2 && name.as_bytes()[0].is_ascii_alphabetic()
}

/// How a function's log is written (`LoggingConfig`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logging {
    /// `LogFormat`.
    pub format: LogFormat,
    /// `LogGroup`; none is `/aws/lambda/NAME`.
    pub group: Option<String>,
}

/// Text lines, or JSON lines from a level on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `Text`
    #[default]
    Text,
    /// `JSON`
    Json {
        /// `ApplicationLogLevel`: `TRACE` to `FATAL`, `INFO` by default.
        application: String,
        /// `SystemLogLevel`: `DEBUG`, `INFO` or `WARN`, `INFO` by default.
        system: String,
    },
}

/// How a function runs.
#[derive(Clone, Debug, PartialEq)]
pub enum FunctionKind {
    /// `runtime` and `handler`: the interpreter is started with our own Runtime API client.
    Handler {
        /// As given, for example `python3.12`, `nodejs8.10`, `provided.al2023`.
        runtime: String,
        /// As given, for example `index.handler`.
        handler: String,
        /// The folder (or single file) with the code.
        code: PathBuf,
    },
    /// `run`: a program that speaks the Runtime API.
    Run {
        /// The words of the command.
        command: Vec<String>,
        /// `build`: a command run before the first start and after a change of `watch`.
        build: Option<Vec<String>>,
        /// `watch`: globs, relative to the folder, whose change restarts it.
        watch: Vec<String>,
    },
    /// `exec`: one process an event; event on stdin, result on stdout.
    Exec {
        /// The words of the command.
        command: Vec<String>,
    },
    /// `url`: the event is posted there, the answer is the result.
    Url {
        /// `http://…`
        url: String,
    },
    /// `attach`: waits for a process that somebody else starts.
    Attach,
    /// `builtin`: made into dropwire, for demos and tests.
    Builtin(Builtin),
}

/// What a builtin function does.
#[derive(Clone, Debug, PartialEq)]
pub enum Builtin {
    /// Answers with the event.
    Echo,
    /// Answers null.
    Sink,
    /// Fails every time with this error type.
    Fail {
        /// `args.error`, "Error" by default.
        error: String,
    },
    /// Fails the first times, for each event anew, then echoes.
    Flaky {
        /// `args.fail_first`, 1 by default.
        fail_first: u32,
        /// `args.error`, "Error" by default.
        error: String,
    },
    /// Takes a while (simulated time), then answers null.
    Sleep {
        /// `args.for`, 1 s by default.
        duration: Duration,
    },
}
