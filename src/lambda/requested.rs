//! What a request says of a function's configuration: the rules of each option, and what it makes of the configuration
//! so far. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::check::Constraints;
use super::errors::invalid;
use super::runtimes;
use super::settings::{LoggingSettings, Settings, Vpc};
use super::shapes::{ANY_ARN, HANDLER, LAYER_VERSION, LOG_GROUP, ROLE};
use crate::aws::AwsError;
use crate::config::{RESERVED_VARIABLES, is_variable};

/// The options that creating a function and updating its configuration share. What is missing stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Requested {
    pub runtime: Option<String>,
    pub role: Option<String>,
    pub handler: Option<String>,
    pub description: Option<String>,
    pub timeout: Option<i64>,
    pub memory_size: Option<i64>,
    pub environment: Option<Environment>,
    #[serde(rename = "KMSKeyArn")]
    pub key: Option<String>,
    pub layers: Option<Vec<String>>,
    pub ephemeral_storage: Option<Storage>,
    pub dead_letter_config: Option<DeadLetters>,
    pub tracing_config: Option<Tracing>,
    pub vpc_config: Option<VpcRequest>,
    pub snap_start: Option<SnapStart>,
    pub logging_config: Option<LoggingRequest>,
    pub revision_id: Option<String>,
    /// Everything else: nothing is taken that would then be ignored.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Environment {
    pub variables: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Storage {
    pub size: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeadLetters {
    pub target_arn: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Tracing {
    pub mode: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VpcRequest {
    pub subnet_ids: Option<Vec<String>>,
    pub security_group_ids: Option<Vec<String>>,
    pub ipv6_allowed_for_dual_stack: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SnapStart {
    pub apply_on: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LoggingRequest {
    pub log_format: Option<String>,
    pub application_log_level: Option<String>,
    pub system_log_level: Option<String>,
    pub log_group: Option<String>,
}

/// The environment, as JSON text, is at most this long.
const ENV_MAX: usize = 4096;
/// A function has at most so many layers.
const LAYERS_MAX: usize = 5;

impl Requested {
    /// The constraints on each option by itself.
    pub fn constrain(&self, found: &mut Constraints) {
        found.shape("role", self.role.as_deref(), &ROLE);
        found.length("handler", self.handler.as_deref(), 0, 128);
        found.shape("handler", self.handler.as_deref(), &HANDLER);
        found.length("description", self.description.as_deref(), 0, 256);
        found.range("timeout", self.timeout, 1, 900);
        found.range("memorySize", self.memory_size, 128, 10_240);
        found.shape("kMSKeyArn", self.key.as_deref(), &ANY_ARN);
        if let Some(storage) = &self.ephemeral_storage {
            found.required("ephemeralStorage.size", &storage.size);
            found.range("ephemeralStorage.size", storage.size, 512, 10_240);
        }
        let dead_letters = self.dead_letter_config.as_ref().and_then(|config| config.target_arn.as_deref());
        found.shape("deadLetterConfig.targetArn", dead_letters, &ANY_ARN);
        let tracing = self.tracing_config.as_ref().and_then(|config| config.mode.as_deref());
        found.one_of("tracingConfig.mode", tracing, &["Active", "PassThrough"]);
        let snap = self.snap_start.as_ref().and_then(|snap| snap.apply_on.as_deref());
        found.one_of("snapStart.applyOn", snap, &["PublishedVersions", "None"]);
        if let Some(layers) = self
            .layers
            .as_ref()
            .filter(|layers| layers.iter().any(|layer| layer.len() > 140 || !(LAYER_VERSION.fits)(layer)))
        {
            let must = format!(
                "satisfy constraint: [Member must have length less than or equal to 140, Member must have length greater \
                 than or equal to 1, Member must satisfy regular expression pattern: {}, Member must not be null]",
                LAYER_VERSION.pattern
            );
            found.fails(super::check::listed(layers), "layers", must);
        }
        if let Some(vpc) = &self.vpc_config {
            found.size("vpcConfig.subnetIds", vpc.subnet_ids.as_deref().unwrap_or_default(), 0, 16);
            found.size(
                "vpcConfig.securityGroupIds",
                vpc.security_group_ids.as_deref().unwrap_or_default(),
                0,
                5,
            );
        }
        self.constrain_logging(found);
        self.constrain_names_of_variables(found);
    }

    fn constrain_logging(&self, found: &mut Constraints) {
        let Some(logging) = &self.logging_config else { return };
        let applications = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
        found.one_of("loggingConfig.logFormat", logging.log_format.as_deref(), &["JSON", "Text"]);
        found.one_of(
            "loggingConfig.applicationLogLevel",
            logging.application_log_level.as_deref(),
            &applications,
        );
        found.one_of(
            "loggingConfig.systemLogLevel",
            logging.system_log_level.as_deref(),
            &["DEBUG", "INFO", "WARN"],
        );
        found.length("loggingConfig.logGroup", logging.log_group.as_deref(), 1, 512);
        found.shape("loggingConfig.logGroup", logging.log_group.as_deref(), &LOG_GROUP);
    }

    fn constrain_names_of_variables(&self, found: &mut Constraints) {
        let Some(variables) = self.variables() else { return };
        if !variables.keys().all(|name| is_variable(name)) {
            let shown: Vec<String> =
                variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
            found.fails_as(
                format!("{{{}}}", shown.join(", ")),
                "environment.variables",
                "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: \
                 [a-zA-Z]([a-zA-Z0-9_])+, Member must not be null]",
            );
        }
    }

    fn variables(&self) -> Option<&BTreeMap<String, String>> {
        self.environment.as_ref()?.variables.as_ref()
    }

    /// The rules that are more than the form of one option.
    pub fn check(&self) -> Result<(), AwsError> {
        nothing_else(&self.rest)?;
        if let Some(runtime) = &self.runtime {
            runtimes::check(runtime)?;
        }
        if let Some(variables) = self.variables() {
            check_variables(variables)?;
        }
        if self.layers.as_ref().is_some_and(|layers| layers.len() > LAYERS_MAX) {
            return Err(invalid("Cannot reference more than 5 layers."));
        }
        Ok(())
    }

    /// The configuration `before` with what this request says.
    pub fn onto(&self, before: &Settings) -> Result<Settings, AwsError> {
        // What fits the constraints fits the numbers.
        let number = |given: Option<i64>| given.and_then(|given| u32::try_from(given).ok());
        let mut after = before.clone();
        let given = |given: &Option<String>, before: &Option<String>| match given.as_deref() {
            Some("") => None,
            Some(given) => Some(given.to_owned()),
            None => before.clone(),
        };
        after.runtime = given(&self.runtime, &before.runtime);
        after.handler = given(&self.handler, &before.handler);
        after.key = given(&self.key, &before.key);
        after.role = self.role.clone().unwrap_or(after.role);
        after.timeout = number(self.timeout).or(after.timeout);
        after.memory = number(self.memory_size).unwrap_or(after.memory);
        after.layers = self.layers.clone().unwrap_or(after.layers);
        if let Some(environment) = &self.environment {
            after.env = Some(environment.variables.clone().unwrap_or_default());
        }
        if let Some(storage) = &self.ephemeral_storage {
            after.storage = number(storage.size).unwrap_or(after.storage);
        }
        if let Some(dead_letters) = &self.dead_letter_config {
            after.dead_letters = given(&dead_letters.target_arn, &None);
        }
        if let Some(mode) = self.tracing_config.as_ref().and_then(|tracing| tracing.mode.clone()) {
            after.tracing = mode;
        }
        if let Some(vpc) = &self.vpc_config {
            after.vpc = Some(vpc.onto(before.vpc.as_ref()));
        }
        if let Some(snap) = &self.snap_start {
            after.snap_start = snap.apply_on.as_deref() == Some("PublishedVersions");
        }
        if let Some(logging) = &self.logging_config {
            after.logging = logging.onto(&before.logging)?;
        }
        let runtime = after.runtime.as_deref().unwrap_or_default();
        if after.snap_start && !runtimes::has_snap_start(runtime) {
            return Err(invalid(format!("{runtime} is not supported for SnapStart enabled functions.")));
        }
        Ok(after)
    }
}

impl VpcRequest {
    fn onto(&self, before: Option<&Vpc>) -> Vpc {
        let before = before.cloned().unwrap_or_default();
        Vpc {
            subnets: self.subnet_ids.clone().unwrap_or(before.subnets),
            groups: self.security_group_ids.clone().unwrap_or(before.groups),
            ipv6: self.ipv6_allowed_for_dual_stack.unwrap_or(before.ipv6),
        }
    }
}

impl LoggingRequest {
    fn onto(&self, before: &LoggingSettings) -> Result<LoggingSettings, AwsError> {
        let json = self.log_format.as_deref().map_or(before.json, |format| format == "JSON");
        if !json && (self.application_log_level.is_some() || self.system_log_level.is_some()) {
            return Err(invalid(
                "LogLevel is not supported when LogFormat is set to \"Text\". Remove LogLevel from your request or \
                 change the LogFormat to \"JSON\" and try again.",
            ));
        }
        let level = |given: &Option<String>, before: &Option<String>| {
            given.clone().or_else(|| before.clone()).filter(|_| json)
        };
        Ok(LoggingSettings {
            json,
            application: level(&self.application_log_level, &before.application),
            system: level(&self.system_log_level, &before.system),
            group: self.log_group.clone().or_else(|| before.group.clone()),
        })
    }
}

fn check_variables(variables: &BTreeMap<String, String>) -> Result<(), AwsError> {
    const WRAPPER: &str = "AWS_LAMBDA_EXEC_WRAPPER";
    const UNABLE: &str = "Lambda was unable to configure your environment variables because the environment variables \
                          you have provided";
    let reserved: Vec<&str> =
        RESERVED_VARIABLES.into_iter().filter(|name| variables.contains_key(*name)).collect();
    if !reserved.is_empty() {
        return Err(invalid(format!(
            "{UNABLE} contains reserved keys that are currently not supported for modification. Reserved keys used in \
             this request: {}",
            reserved.join(", ")
        )));
    }
    if variables.contains_key(WRAPPER) {
        return Err(invalid(format!(
            "dropwire does not take {WRAPPER}: runtimes are started without a wrapper here"
        )));
    }
    let measured = serde_json::to_string(variables).unwrap_or_default();
    if measured.len() > ENV_MAX {
        return Err(invalid(format!("{UNABLE} exceeded the 4KB limit. String measured: {measured}")));
    }
    Ok(())
}

/// Whether a member that we do not have says anything: SDKs send empty ones.
fn asks_for_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(values) => !values.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    }
}

/// Why an option is not taken.
pub fn refused(member: &str) -> AwsError {
    let why = match member {
        "FileSystemConfigs" => {
            "there is no EFS here; a function can read and write any folder of this machine"
        }
        "ImageConfig" => "functions here are made of zip files, not of container images",
        "DurableConfig" => "there are no durable executions here yet",
        "TenancyConfig" => "environments are not kept apart by tenant here",
        "CapacityProviderConfig" => "there are no managed instances here",
        "CodeSigningConfigArn" => "code is not signed here, so no signature could be checked",
        "PublishTo" => "there are no managed instances here, which are what it is for",
        "SourceKMSKeyArn" => "there is no KMS here that could decrypt the package",
        _ => "it is no option of this operation that dropwire knows",
    };
    invalid(format!("dropwire does not take {member}: {why}"))
}

/// Members that a request has besides those that we know.
pub fn nothing_else(rest: &Map<String, Value>) -> Result<(), AwsError> {
    match rest.iter().find(|(_, value)| asks_for_something(value)) {
        Some((member, _)) => Err(refused(member)),
        None => Ok(()),
    }
}
