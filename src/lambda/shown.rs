//! How the API shows a version's configuration. Pure.

use serde_json::{Map, Value, json};

use super::names::qualified;
use super::settings::{LEVEL, LoggingSettings, Vpc};
use super::things::Version;
use super::world::{Phase, World, shown_revision, version_text};
use crate::arn::Place;
use crate::clock::Timestamp;
use crate::random;

/// A version that is to be shown.
pub struct Shown<'a> {
    /// Where we are.
    pub place: &'a Place,
    /// The function's name.
    pub name: &'a str,
    /// The version's number, 0 for `$LATEST`.
    pub number: u32,
    /// The version.
    pub version: &'a Version,
    /// What happens to it.
    pub phase: Option<Phase>,
    /// What its ARN says behind the name.
    pub qualifier: Option<&'a str>,
}

impl Shown<'_> {
    /// All of it, with its state. The sizes of layers are looked up in the world.
    pub fn configuration(&self, world: &World) -> Value {
        let mut shown = self.entry(world);
        shown.extend(state(self.phase));
        Value::Object(shown)
    }

    /// What lists show: without its state.
    pub fn entry(&self, world: &World) -> Map<String, Value> {
        let Shown { place, name, version, .. } = self;
        let settings = &version.settings;
        let mut shown = members(json!({
            "FunctionName": name,
            "FunctionArn": qualified(place, name, self.qualifier).as_str(),
            "Role": settings.role,
            "CodeSize": version.code.size,
            "Description": version.description,
            "MemorySize": settings.memory,
            "LastModified": modified(version.modified),
            "CodeSha256": version.code.sha256,
            "Version": version_text(self.number),
            "TracingConfig": {"Mode": settings.tracing},
            "RevisionId": shown_revision(version, self.phase),
            "PackageType": "Zip",
            "Architectures": [settings.architecture],
            "EphemeralStorage": {"Size": settings.storage},
            "SnapStart": snap_start(settings.snap_start, self.number),
            "LoggingConfig": logging(&settings.logging, name),
        }));
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                shown.insert(name.into(), value);
            }
        };
        add("Runtime", settings.runtime.as_ref().map(|runtime| json!(runtime)));
        add("Handler", settings.handler.as_ref().map(|handler| json!(handler)));
        add("Timeout", settings.timeout.map(|timeout| json!(timeout)));
        add("Environment", settings.env.as_ref().map(|env| json!({"Variables": env})));
        add("KMSKeyArn", settings.key.as_ref().map(|key| json!(key)));
        add("DeadLetterConfig", settings.dead_letters.as_ref().map(|arn| json!({"TargetArn": arn})));
        add("VpcConfig", settings.vpc.as_ref().map(vpc));
        add("Layers", (!settings.layers.is_empty()).then(|| layers(world, &settings.layers)));
        add(
            "RuntimeVersionConfig",
            settings
                .runtime
                .as_ref()
                .map(|runtime| json!({"RuntimeVersionArn": runtime_version(place, runtime)})),
        );
        shown
    }
}

/// The members of an object.
pub fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// `2025-11-24T23:11:05.000+0000`
pub fn modified(millis: i64) -> String {
    Timestamp::from_millis(millis).iso_millis().replace('Z', "+0000")
}

/// Seconds since the epoch, as a number.
pub fn epoch(millis: i64) -> Value {
    json!(millis as f64 / 1000.0)
}

/// The ARN of the version of a runtime that runs here: it follows from the runtime's name.
pub fn runtime_version(place: &Place, runtime: &str) -> String {
    let id = hex::encode(random::digest(&[b"runtime", runtime.as_bytes()]));
    format!("arn:aws:lambda:{}::runtime:{id}", place.region)
}

fn state(phase: Option<Phase>) -> Map<String, Value> {
    members(match phase {
        None | Some(Phase::Publishing) => json!({"State": "Active", "LastUpdateStatus": "Successful"}),
        Some(Phase::Creating) => json!({
            "State": "Pending",
            "StateReason": "The function is being created.",
            "StateReasonCode": "Creating",
        }),
        // Odd, but recorded (semantics: reading, updating, deleting).
        Some(_) => json!({
            "State": "Active",
            "LastUpdateStatus": "InProgress",
            "LastUpdateStatusReason": "The function is being created.",
            "LastUpdateStatusReasonCode": "Creating",
        }),
    })
}

fn snap_start(on: bool, number: u32) -> Value {
    match (on, number) {
        (false, _) => json!({"ApplyOn": "None", "OptimizationStatus": "Off"}),
        (true, 0) => json!({"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}),
        (true, _) => json!({"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}),
    }
}

fn logging(logging: &LoggingSettings, name: &str) -> Value {
    let group = logging.group.clone().unwrap_or_else(|| format!("/aws/lambda/{name}"));
    if !logging.json {
        return json!({"LogFormat": "Text", "LogGroup": group});
    }
    json!({
        "LogFormat": "JSON",
        "ApplicationLogLevel": logging.application.as_deref().unwrap_or(LEVEL),
        "SystemLogLevel": logging.system.as_deref().unwrap_or(LEVEL),
        "LogGroup": group,
    })
}

fn vpc(vpc: &Vpc) -> Value {
    // There is no network to look up: the id follows from the subnets.
    let id = match vpc.subnets.is_empty() {
        true => String::new(),
        false => {
            let subnets = vpc.subnets.join(",");
            format!("vpc-{}", &hex::encode(random::digest(&[b"vpc", subnets.as_bytes()]))[..17])
        }
    };
    json!({
        "SubnetIds": vpc.subnets,
        "SecurityGroupIds": vpc.groups,
        "VpcId": id,
        "Ipv6AllowedForDualStack": vpc.ipv6,
    })
}

fn layers(world: &World, layers: &[String]) -> Value {
    let entry = |arn: &String| {
        let size = world.layer_version(arn).map_or(0, |layer| layer.code.size);
        json!({"Arn": arn, "CodeSize": size})
    };
    layers.iter().map(entry).collect()
}
