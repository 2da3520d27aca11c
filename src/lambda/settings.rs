//! A version's configuration: what it is, and what a process gets of it. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{FunctionKind, FunctionSpec, LogFormat, Logging};

/// The configuration of a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// `python3.12`; none for a declared function that has none.
    pub runtime: Option<String>,
    /// `index.handler`; none for a declared function that has none.
    pub handler: Option<String>,
    /// An ARN of the right form.
    pub role: String,
    /// Seconds; none for a declared function without a limit.
    pub timeout: Option<u32>,
    /// MB.
    pub memory: u32,
    /// MB of the temporary folder.
    pub storage: u32,
    /// Environment variables, if any were given.
    pub env: Option<BTreeMap<String, String>>,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// ARNs of layer versions, in order.
    pub layers: Vec<String>,
    /// `KMSKeyArn`.
    pub key: Option<String>,
    /// `DeadLetterConfig.TargetArn`.
    pub dead_letters: Option<String>,
    /// `TracingConfig.Mode`.
    pub tracing: String,
    /// `VpcConfig`.
    pub vpc: Option<Vpc>,
    /// `SnapStart.ApplyOn` is `PublishedVersions`.
    pub snap_start: bool,
    /// `LoggingConfig`.
    pub logging: LoggingSettings,
}

/// `VpcConfig`: nothing depends on it here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vpc {
    /// `SubnetIds`.
    pub subnets: Vec<String>,
    /// `SecurityGroupIds`.
    pub groups: Vec<String>,
    /// `Ipv6AllowedForDualStack`.
    pub ipv6: bool,
}

/// `LoggingConfig`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoggingSettings {
    /// `LogFormat` is `JSON`.
    pub json: bool,
    /// `ApplicationLogLevel`.
    pub application: Option<String>,
    /// `SystemLogLevel`.
    pub system: Option<String>,
    /// `LogGroup`; none is `/aws/lambda/NAME`.
    pub group: Option<String>,
}

/// The level that is shown and meant where none was given.
pub const LEVEL: &str = "INFO";

/// How many invocations of one function may run at once, unless the function has its own number.
pub const CONCURRENCY_MAX: usize = 1000;

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            runtime: None,
            handler: None,
            role: String::new(),
            timeout: Some(3),
            memory: 128,
            storage: 512,
            env: None,
            architecture: "x86_64".into(),
            layers: Vec::new(),
            key: None,
            dead_letters: None,
            tracing: "PassThrough".into(),
            vpc: None,
            snap_start: false,
            logging: LoggingSettings::default(),
        }
    }
}

impl Settings {
    /// What the engine runs: this version of the function, its code, its layers.
    pub fn spec(&self, name: &str, version: &str, code: PathBuf, layers: Vec<PathBuf>) -> FunctionSpec {
        let kind = FunctionKind::Handler {
            runtime: self.runtime.clone().unwrap_or_default(),
            handler: self.handler.clone().unwrap_or_default(),
            code: code.clone(),
        };
        FunctionSpec {
            version: version.to_owned(),
            timeout: self.timeout.map(|seconds| Duration::from_secs(seconds.into())),
            memory_mb: self.memory,
            storage_mb: self.storage,
            layers,
            logging: self.logging.spec(),
            env: self.env.clone().unwrap_or_default(),
            concurrency: CONCURRENCY_MAX,
            ..FunctionSpec::new(name, kind, code)
        }
    }
}

impl LoggingSettings {
    /// As the engine takes it.
    pub fn spec(&self) -> Logging {
        let level = |level: &Option<String>| level.clone().unwrap_or_else(|| LEVEL.to_owned());
        let format = match self.json {
            true => LogFormat::Json { application: level(&self.application), system: level(&self.system) },
            false => LogFormat::Text,
        };
        Logging { format, group: self.group.clone() }
    }
    /// From what the engine takes.
    pub fn of(logging: &Logging) -> LoggingSettings {
        let group = logging.group.clone();
        match &logging.format {
            LogFormat::Text => LoggingSettings { group, ..LoggingSettings::default() },
            LogFormat::Json { application, system } => LoggingSettings {
                json: true,
                application: Some(application.clone()),
                system: Some(system.clone()),
                group,
            },
        }
    }
}
