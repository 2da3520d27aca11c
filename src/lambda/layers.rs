//! Layers: files that are laid over a function's own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::archive::UNZIPPED_MAX;
use super::check::{Constraints, is_number};
use super::errors::{NOT_THERE, invalid, missing};
use super::package::CodeRequest;
use super::read::listing;
use super::request::Request;
use super::runtimes::KNOWN;
use super::shapes::{LAYER, LAYER_VERSION};
use super::shown::modified;
use super::things::{CodeRef, Key, Kind, LayerHead, LayerVersion, Thing};
use super::world::{Edit, World};
use super::{Lambda, created, nothing, ok};
use crate::arn::Place;
use crate::aws::{Answer, AwsError};

/// What the owners of layers' code begin with: no function's name has a dot.
pub const OWNER: &str = "layer.";

/// The owner of a layer's code.
pub fn owner(layer: &str) -> String {
    format!("{OWNER}{layer}")
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct LayerRequest {
    description: Option<String>,
    content: Option<CodeRequest>,
    compatible_runtimes: Option<Vec<String>>,
    compatible_architectures: Option<Vec<String>>,
    license_info: Option<String>,
}

impl LayerRequest {
    fn check(&self) -> Result<(), AwsError> {
        let mut constraints = Constraints::new();
        constraints.required("content", &self.content);
        constraints.length("description", self.description.as_deref(), 0, 256);
        constraints.length("licenseInfo", self.license_info.as_deref(), 0, 512);
        let runtimes = self.compatible_runtimes.as_deref().unwrap_or_default();
        constraints.size("compatibleRuntimes", runtimes, 0, 15);
        constraints.each_one_of("compatibleRuntimes", runtimes, &KNOWN);
        let architectures = self.compatible_architectures.as_deref().unwrap_or_default();
        constraints.size("compatibleArchitectures", architectures, 0, 2);
        constraints.each_one_of("compatibleArchitectures", architectures, &["x86_64", "arm64"]);
        constraints.finish()?;
        self.content.as_ref().map_or(Ok(()), |content| content.check("content."))
    }
}

/// Name and number of a layer's version by its ARN.
fn parts(arn: &str) -> Option<(&str, &str, &str, u32)> {
    let parts: Vec<&str> = arn.split(':').collect();
    match parts.as_slice() {
        [_, _, _, region, account, _, name, number] => Some((region, account, name, number.parse().ok()?)),
        _ => None,
    }
}

impl World {
    /// A version of a layer by its ARN, also one that was deleted while functions use it.
    pub fn layer_version(&self, arn: &str) -> Option<&Arc<LayerVersion>> {
        let (_, _, name, number) = parts(arn)?;
        self.layers.get(name)?.versions.get(&number)
    }

    /// Whether any version of any function uses this layer version.
    pub fn uses_layer(&self, arn: &str) -> bool {
        let versions = self.functions.values().flat_map(|function| function.versions.values());
        versions.into_iter().any(|version| version.settings.layers.iter().any(|layer| layer == arn))
    }
}

/// A function may name these layers.
pub fn check(world: &World, place: &Place, layers: &[String]) -> Result<(), AwsError> {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    for arn in layers {
        let none = || invalid(format!("Layer version {arn} does not exist."));
        let (region, account, name, _) = parts(arn).ok_or_else(none)?;
        if region != place.region {
            return Err(invalid(format!(
                "Layers are not in the same region as the function. Layers are expected to be in region {}.",
                place.region
            )));
        }
        let version = world.layer_version(arn).filter(|version| !version.deleted && account == place.account);
        version.ok_or_else(none)?;
        if let Some(other) = seen.insert(name, arn) {
            return Err(invalid(format!(
                "Two different versions of the same layer are not allowed to be referenced in the same function. {other} \
                 and {arn} are versions of the same layer."
            )));
        }
    }
    Ok(())
}

/// A function's code and its layers fit together.
pub fn check_size(world: &World, layers: &[String], code: &CodeRef) -> Result<(), AwsError> {
    let layers = layers.iter().filter_map(|arn| world.layer_version(arn)).map(|layer| layer.code.unzipped);
    let size = layers.sum::<u64>() + code.unzipped;
    match size > UNZIPPED_MAX {
        false => Ok(()),
        true => Err(invalid(format!(
            "Function code combined with layers exceeds the maximum allowed size of {UNZIPPED_MAX} bytes. The actual \
             size is {size} bytes."
        ))),
    }
}

impl Lambda {
    /// The unpacked files of a layer's version.
    pub(super) fn layer_files(&self, world: &World, arn: &str) -> Option<PathBuf> {
        let (_, _, name, _) = parts(arn)?;
        Some(self.code.files(&owner(name), &world.layer_version(arn)?.code.sha256))
    }

    /// The name of the layer in the path, which may say its ARN.
    pub(super) fn layer_name(&self, request: &Request<'_>) -> Result<String, AwsError> {
        let given = request.part(2);
        let mut constraints = Constraints::new();
        constraints.length("layerName", Some(given), 1, 140);
        constraints.shape("layerName", Some(given), &LAYER);
        constraints.finish()?;
        Ok(given.rsplit(':').next().unwrap_or_default().to_owned())
    }

    /// The version of a layer that the path names.
    pub(super) fn layer_and_number(&self, request: &Request<'_>) -> Result<(String, u32), AwsError> {
        let name = self.layer_name(request)?;
        let text = request.part(4);
        if !is_number(text.trim_start_matches('-')) {
            let message = format!("'{text}' can not be converted to a Long");
            return Err(AwsError::new(400, "SerializationException", message));
        }
        match text.parse::<i64>() {
            Ok(number) if number < 1 => Err(invalid("Layer Version Cannot be less than 1.")),
            Ok(number) => Ok((name, u32::try_from(number).unwrap_or(u32::MAX))),
            Err(_) => Ok((name, u32::MAX)),
        }
    }

    pub(super) fn layer_arn(&self, name: &str) -> String {
        let Place { region, account } = self.place();
        format!("arn:aws:lambda:{region}:{account}:layer:{name}")
    }

    fn shown_layer(&self, name: &str, number: u32, layer: &LayerVersion) -> Map<String, Value> {
        let mut shown = Map::new();
        shown.insert("LayerVersionArn".into(), json!(format!("{}:{number}", self.layer_arn(name))));
        shown.insert("Version".into(), json!(number));
        shown.insert("Description".into(), json!(layer.description));
        shown.insert("CreatedDate".into(), json!(modified(layer.created)));
        if !layer.runtimes.is_empty() {
            shown.insert("CompatibleRuntimes".into(), json!(layer.runtimes));
        }
        if !layer.architectures.is_empty() {
            shown.insert("CompatibleArchitectures".into(), json!(layer.architectures));
        }
        if let Some(license) = &layer.license {
            shown.insert("LicenseInfo".into(), json!(license));
        }
        shown
    }

    /// With its content and the layer's own ARN.
    fn shown_whole_layer(&self, name: &str, number: u32, layer: &LayerVersion) -> Value {
        let mut shown = self.shown_layer(name, number, layer);
        let location = self.location_of(&owner(name), &layer.code.sha256);
        let content =
            json!({"Location": location, "CodeSha256": layer.code.sha256, "CodeSize": layer.code.size});
        shown.insert("Content".into(), content);
        shown.insert("LayerArn".into(), json!(self.layer_arn(name)));
        Value::Object(shown)
    }

    pub(super) async fn publish_layer(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let mut asked: LayerRequest = request.members()?;
        let name = self.layer_name(request)?;
        asked.check()?;
        let hold = self.package(&owner(&name), asked.content.take().unwrap_or_default()).await?;
        let layer = LayerVersion {
            description: asked.description.unwrap_or_default(),
            code: hold.code.clone(),
            runtimes: asked.compatible_runtimes.unwrap_or_default(),
            architectures: asked.compatible_architectures.unwrap_or_default(),
            license: asked.license_info,
            created: self.now(),
            policy: None,
            deleted: false,
        };
        let change = self.registry.change(|world| {
            let number = world.layers.get(&name).map_or(0, |layer| layer.head.last_version) + 1;
            let head = Edit::put(Key::of(&name, ""), Thing::LayerHead(LayerHead { last_version: number }));
            let version = Edit::put(Key::of(&name, &number.to_string()), Thing::LayerVersion(layer.clone()));
            Ok((number, vec![head, version]))
        });
        let number = change.await;
        drop(hold);
        // It is not used if it could not be written down.
        self.retire(&owner(&name), vec![layer.code.clone()]).await;
        let number = number?;
        Ok(created(&self.shown_whole_layer(&name, number, &layer)))
    }

    /// A version of a layer that is there.
    pub(super) fn layer_there(&self, world: &World, name: &str, number: u32) -> Option<Arc<LayerVersion>> {
        let version = world.layers.get(name)?.versions.get(&number)?;
        (!version.deleted).then(|| version.clone())
    }

    fn answer_layer(&self, name: &str, number: u32) -> Result<Answer, AwsError> {
        let layer = self.layer_there(&self.registry.world(), name, number);
        Ok(ok(&self.shown_whole_layer(name, number, &*layer.ok_or_else(|| missing(NOT_THERE))?)))
    }

    pub(super) fn get_layer(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let (name, number) = self.layer_and_number(request)?;
        self.answer_layer(&name, number)
    }

    pub(super) fn get_layer_by_arn(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let arn = request.call.query("Arn");
        let mut constraints = Constraints::new();
        constraints.required("arn", &arn);
        constraints.length("arn", arn, 1, 140);
        constraints.shape("arn", arn, &LAYER_VERSION);
        constraints.finish()?;
        let found = arn.and_then(parts).filter(|(region, account, ..)| {
            *region == self.place().region && *account == self.place().account
        });
        let (_, _, name, number) = found.ok_or_else(|| missing(NOT_THERE))?;
        self.answer_layer(name, number)
    }

    pub(super) fn list_layers(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let page = request.page(50)?;
        let world = self.registry.world();
        let entries = world.layers.iter().filter_map(|(name, layer)| {
            let mut versions = layer.versions.iter().rev();
            let (number, latest) = versions.find(|(_, version)| is_wanted(request, version))?;
            let entry = json!({
                "LayerName": name,
                "LayerArn": self.layer_arn(name),
                "LatestMatchingVersion": self.shown_layer(name, *number, latest),
            });
            Some((name.clone(), entry))
        });
        let (layers, marker) = page.of(entries);
        Ok(ok(&listing("Layers", layers, marker)))
    }

    pub(super) fn list_layer_versions(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let page = request.page(50)?;
        let name = self.layer_name(request)?;
        let world = self.registry.world();
        let versions = world.layers.get(&name).into_iter().flat_map(|layer| layer.versions.iter().rev());
        let wanted = versions.filter(|(_, version)| is_wanted(request, version)).map(|(number, version)| {
            // The newest first.
            let key = format!("{:010}", u32::MAX - number);
            (key, Value::Object(self.shown_layer(&name, *number, version)))
        });
        let (versions, marker) = page.of(wanted);
        Ok(ok(&listing("LayerVersions", versions, marker)))
    }

    pub(super) async fn delete_layer(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let (name, number) = self.layer_and_number(request)?;
        let gone = self.registry.change(|world| {
            let Some(version) = self.layer_there(world, &name, number) else {
                return Ok((None, Vec::new()));
            };
            let key = Key::of(&name, &number.to_string());
            if world.uses_layer(&format!("{}:{number}", self.layer_arn(&name))) {
                // Functions that have it keep it; no other gets it.
                let hidden = LayerVersion { deleted: true, ..(*version).clone() };
                return Ok((None, vec![Edit::put(key, Thing::LayerVersion(hidden))]));
            }
            Ok((Some(version.code.clone()), vec![Edit::Remove(Kind::LayerVersion, key)]))
        });
        let gone = gone.await?;
        self.retire(&owner(&name), gone.into_iter().collect()).await;
        Ok(nothing())
    }
}

/// Whether a list that asks for a runtime or an architecture wants this version.
fn is_wanted(request: &Request<'_>, layer: &LayerVersion) -> bool {
    let fits =
        |asked: Option<&str>, has: &[String]| asked.is_none_or(|asked| has.iter().any(|has| has == asked));
    !layer.deleted
        && fits(request.call.query("CompatibleRuntime"), &layer.runtimes)
        && fits(request.call.query("CompatibleArchitecture"), &layer.architectures)
}
