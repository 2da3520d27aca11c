//! What the Lambda API makes and keeps: functions' versions, aliases, policies, mappings, layers. Our own records,
//! not the API's. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::settings::Settings;

/// What belongs to a function as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// The number of its last version; numbers are never used again.
    pub last_version: u32,
    /// What `$LATEST` was like when that version was published: nothing new is published while it is the same.
    pub last_published: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// How many invocations may run at once, taken out of the account's.
    pub reserved: Option<u32>,
}

/// `$LATEST`, or a published version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// `Description`; of a published version it may be its own.
    pub description: String,
    /// The configuration.
    pub settings: Settings,
    /// Where the code is.
    pub code: CodeRef,
    /// Copies of the layers that a declared function has as folders; those of `settings` are ARNs.
    pub layers: Vec<CodeRef>,
    /// The revision at the time of the last change. What is shown once the change is applied follows from it.
    pub revision: String,
    /// When it was changed, in milliseconds.
    pub modified: i64,
}

impl Version {
    /// Everything of it that is kept in the function's folder.
    pub fn kept(&self) -> impl Iterator<Item = &CodeRef> {
        std::iter::once(&self.code).chain(&self.layers)
    }
}

/// A piece of code that is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CodeRef {
    /// base64 of the SHA-256; empty for code that is not kept here, but in the user's folder.
    pub sha256: String,
    /// Bytes of the zip.
    pub size: u64,
    /// Bytes of all files.
    pub unzipped: u64,
}

/// A name for a version, or for two with weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alias {
    /// `$LATEST` or a number.
    pub version: String,
    /// Another version, and which part of the invocations it gets.
    pub other: Option<(String, f64)>,
    /// `Description`.
    pub description: String,
    /// Changes with every change.
    pub revision: String,
}

/// Who may do what with a function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Its statements, in the order in which they were added.
    pub statements: Vec<Value>,
    /// Changes with every change.
    pub revision: String,
}

/// How asynchronous invocations are retried, and where their records go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InvokeConfig {
    /// `MaximumRetryAttempts`.
    pub retries: Option<u32>,
    /// `MaximumEventAgeInSeconds`.
    pub age_max: Option<u32>,
    /// The ARN that gets the record of each success.
    pub on_success: Option<String>,
    /// The ARN that gets the record of each failure.
    pub on_failure: Option<String>,
    /// When it was changed, in milliseconds.
    pub modified: i64,
}

/// A function's HTTP address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Url {
    /// The 32 characters before `.lambda-url`.
    pub id: String,
    /// `NONE` or `AWS_IAM`.
    pub auth: String,
    /// What browsers of other origins may do.
    pub cors: Option<Cors>,
    /// `BUFFERED` or `RESPONSE_STREAM`; none was given is buffered.
    pub mode: Option<String>,
    /// When it was made, in milliseconds.
    pub created: i64,
    /// When it was changed, in milliseconds.
    pub modified: i64,
}

/// What browsers of other origins may do with a function's address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Cors {
    /// `Access-Control-Allow-Credentials`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_credentials: Option<bool>,
    /// `Access-Control-Allow-Headers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_headers: Option<Vec<String>>,
    /// `Access-Control-Allow-Methods`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_methods: Option<Vec<String>>,
    /// `Access-Control-Allow-Origin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_origins: Option<Vec<String>>,
    /// `Access-Control-Expose-Headers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expose_headers: Option<Vec<String>>,
    /// `Access-Control-Max-Age`, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u32>,
}

/// Environments that are kept ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provisioned {
    /// How many.
    pub count: u32,
    /// When it was changed, in milliseconds.
    pub modified: i64,
}

/// When a version moves on to a newer runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuntimeRule {
    /// `Auto`, `FunctionUpdate` or `Manual`.
    pub on: String,
    /// The runtime's version, if it is chosen by hand.
    pub arn: Option<String>,
}

/// An event source mapping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    /// The function's name.
    pub function: String,
    /// The version or alias, if one was given.
    pub qualifier: Option<String>,
    /// The stream's ARN.
    pub source: String,
    /// Whether it delivers.
    pub enabled: bool,
    /// `BatchSize`.
    pub batch: u32,
    /// `MaximumBatchingWindowInSeconds`.
    pub window: u32,
    /// `StartingPosition`: `TRIM_HORIZON` or `LATEST`.
    pub position: String,
    /// `MaximumRetryAttempts`, -1 for no limit.
    pub retries: i64,
    /// `MaximumRecordAgeInSeconds`, -1 for no limit.
    pub age_max: i64,
    /// `BisectBatchOnFunctionError`.
    pub bisect: bool,
    /// `FunctionResponseTypes` has `ReportBatchItemFailures`.
    pub report_failures: bool,
    /// The patterns of `FilterCriteria`; one must match.
    pub filters: Vec<String>,
    /// What gets the record of a failure.
    pub on_failure: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// When it was changed, in milliseconds.
    pub modified: i64,
}

/// What belongs to a layer as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerHead {
    /// The number of its last version; numbers are never used again.
    pub last_version: u32,
}

/// A version of a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerVersion {
    /// `Description`.
    pub description: String,
    /// Where its files are.
    pub code: CodeRef,
    /// `CompatibleRuntimes`.
    pub runtimes: Vec<String>,
    /// `CompatibleArchitectures`.
    pub architectures: Vec<String>,
    /// `LicenseInfo`.
    pub license: Option<String>,
    /// When it was made, in milliseconds.
    pub created: i64,
    /// Who may use it.
    pub policy: Option<Policy>,
    /// It was deleted while functions had it: they keep it, and nobody else sees it.
    pub deleted: bool,
}

/// Any of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Thing {
    /// A function as a whole.
    Head(Head),
    /// A version of a function.
    Version(Arc<Version>),
    /// An alias.
    Alias(Alias),
    /// The policy of a function, a version or an alias.
    Policy(Policy),
    /// An event-invoke configuration.
    InvokeConfig(InvokeConfig),
    /// A function URL.
    Url(Url),
    /// A provisioned concurrency.
    Provisioned(Provisioned),
    /// A runtime management configuration.
    RuntimeRule(RuntimeRule),
    /// An event source mapping.
    Mapping(Mapping),
    /// A layer as a whole.
    LayerHead(LayerHead),
    /// A version of a layer.
    LayerVersion(LayerVersion),
}

/// Which kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Thing::Head`]
    Head,
    /// [`Thing::Version`]
    Version,
    /// [`Thing::Alias`]
    Alias,
    /// [`Thing::Policy`]
    Policy,
    /// [`Thing::InvokeConfig`]
    InvokeConfig,
    /// [`Thing::Url`]
    Url,
    /// [`Thing::Provisioned`]
    Provisioned,
    /// [`Thing::RuntimeRule`]
    RuntimeRule,
    /// [`Thing::Mapping`]
    Mapping,
    /// [`Thing::LayerHead`]
    LayerHead,
    /// [`Thing::LayerVersion`]
    LayerVersion,
}

impl Thing {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Thing::Head(_) => Kind::Head,
            Thing::Version(_) => Kind::Version,
            Thing::Alias(_) => Kind::Alias,
            Thing::Policy(_) => Kind::Policy,
            Thing::InvokeConfig(_) => Kind::InvokeConfig,
            Thing::Url(_) => Kind::Url,
            Thing::Provisioned(_) => Kind::Provisioned,
            Thing::RuntimeRule(_) => Kind::RuntimeRule,
            Thing::Mapping(_) => Kind::Mapping,
            Thing::LayerHead(_) => Kind::LayerHead,
            Thing::LayerVersion(_) => Kind::LayerVersion,
        }
    }
}

impl Kind {
    /// The word in the database.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Head => "function",
            Kind::Version => "version",
            Kind::Alias => "alias",
            Kind::Policy => "policy",
            Kind::InvokeConfig => "invoke-config",
            Kind::Url => "url",
            Kind::Provisioned => "provisioned",
            Kind::RuntimeRule => "runtime-rule",
            Kind::Mapping => "mapping",
            Kind::LayerHead => "layer",
            Kind::LayerVersion => "layer-version",
        }
    }
}

/// Whose thing it is, and which of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The function's or layer's name, the mapping's id.
    pub name: String,
    /// The version, alias or qualifier; empty for the thing itself.
    pub part: String,
}

impl Key {
    /// The key of a part.
    pub fn of(name: &str, part: &str) -> Key {
        Key { name: name.to_owned(), part: part.to_owned() }
    }
}
