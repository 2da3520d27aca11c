//! Layers: folders that lie under a function's own code, published in versions that never change.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::archive::UNZIPPED_MAX;
use super::check::{Constraints, is_number};
use super::errors::{invalid, missing};
use super::package::CodeRequest;
use super::read::listing;
use super::request::Request;
use super::requested::nothing_else;
use super::shapes::{LAYER, LAYER_VERSION};
use super::things::{CodeRef, Key, Kind, LayerHead, LayerVersion, Thing};
use super::world::{Edit, World};
use super::{Lambda, created, nothing, ok};
use crate::arn::Place;
use crate::aws::{Answer, AwsError};
use crate::clock::Timestamp;

/// What the owner of a layer's code is called in the store of code, before the layer's name: no function has it.
pub const OWNER: &str = "layer+";
/// What is said of a version that is not there.
const NO_VERSION: &str = "The resource you requested does not exist.";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct LayerRequest {
    description: Option<String>,
    content: Option<CodeRequest>,
    compatible_runtimes: Option<Vec<String>>,
    compatible_architectures: Option<Vec<String>>,
    license_info: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Whose code that of a layer is, in the store of code.
pub fn owner(layer: &str) -> String {
    format!("{OWNER}{layer}")
}

fn arn_of(place: &Place, layer: &str) -> String {
    format!("arn:aws:lambda:{}:{}:layer:{layer}", place.region, place.account)
}

/// Name and number in the ARN of a layer version.
fn parts(arn: &str) -> Option<(&str, u32)> {
    let (layer, number) = arn.rsplit_once(':')?;
    Some((layer.rsplit(':').next()?, number.parse().ok()?))
}

/// All layers that a configuration names are there, each once, and ours.
pub fn check(world: &World, place: &Place, layers: &[String]) -> Result<(), AwsError> {
    let mut seen = Vec::new();
    for arn in layers {
        let ours =
            parts(arn).is_some_and(|(name, number)| *arn == format!("{}:{number}", arn_of(place, name)));
        let is_there = world.layer_version(arn).is_some_and(|version| !version.hidden || world.is_used(arn));
        if !ours || !is_there {
            return Err(invalid(format!("Layer version {arn} does not exist.")));
        }
        let name = parts(arn).map(|(name, _)| name);
        if seen.contains(&name) {
            return Err(invalid(format!(
                "Two different versions of the same layer are not allowed to be referenced in the same function. {}",
                layers.join(" and ")
            )));
        }
        seen.push(name);
    }
    Ok(())
}

/// Code and layers together are not larger than a package may be.
pub fn check_size(world: &World, layers: &[String], code: &CodeRef) -> Result<(), AwsError> {
    let of_layers = layers.iter().filter_map(|arn| world.layer_version(arn)).map(|layer| layer.code.unzipped);
    let all = code.unzipped + of_layers.sum::<u64>();
    if all > UNZIPPED_MAX {
        return Err(invalid(format!(
            "Function code combined with layers exceeds the maximum allowed size of {UNZIPPED_MAX} bytes. The actual size \
             is {all} bytes."
        )));
    }
    Ok(())
}

impl World {
    /// A layer version by its ARN.
    pub fn layer_version(&self, arn: &str) -> Option<&Arc<LayerVersion>> {
        let (name, number) = parts(arn)?;
        self.layers.get(name)?.versions.get(&number)
    }
    /// Whether a version of a function has this layer version.
    fn is_used(&self, arn: &str) -> bool {
        let mut versions = self.functions.values().flat_map(|function| function.versions.values());
        versions.any(|version| version.settings.layers.iter().any(|layer| layer == arn))
    }
}

impl Lambda {
    /// The unpacked files of a layer version.
    pub(super) fn layer_files(&self, world: &World, arn: &str) -> Option<PathBuf> {
        let (name, _) = parts(arn)?;
        let version = world.layer_version(arn)?;
        Some(self.code.files(&owner(name), &version.code.sha256))
    }

    /// The layer that a path names, by name or ARN.
    pub(super) fn layer_name(&self, request: &Request<'_>) -> Result<String, AwsError> {
        let text = request.part(2);
        let mut constraints = Constraints::new();
        constraints.length("layerName", Some(text), 1, 140);
        constraints.shape("layerName", Some(text), &LAYER);
        constraints.finish()?;
        Ok(text.rsplit(':').next().unwrap_or_default().to_owned())
    }

    /// The version that a path names.
    pub(super) fn layer_number(&self, request: &Request<'_>) -> Result<u32, AwsError> {
        let text = request.part(4);
        let number = text.parse().ok().filter(|number| *number > 0 && is_number(text));
        number.ok_or_else(|| missing(NO_VERSION))
    }

    fn shown_layer(&self, name: &str, number: u32, version: &LayerVersion) -> Value {
        let arn = arn_of(self.place(), name);
        let mut shown = json!({
            "LayerVersionArn": format!("{arn}:{number}"),
            "Version": number,
            "Description": version.description,
            "CreatedDate": Timestamp::from_millis(version.created).iso_millis().replace('Z', "+0000"),
        });
        if !version.runtimes.is_empty() {
            shown["CompatibleRuntimes"] = json!(version.runtimes);
        }
        if !version.architectures.is_empty() {
            shown["CompatibleArchitectures"] = json!(version.architectures);
        }
        if let Some(license) = &version.license {
            shown["LicenseInfo"] = json!(license);
        }
        shown
    }

    fn shown_whole_layer(&self, name: &str, number: u32, version: &LayerVersion) -> Value {
        let mut shown = self.shown_layer(name, number, version);
        shown["LayerArn"] = json!(arn_of(self.place(), name));
        shown["Content"] = json!({
            "Location": self.location_of(&owner(name), &version.code.sha256),
            "CodeSha256": version.code.sha256,
            "CodeSize": version.code.size,
        });
        shown
    }

    pub(super) async fn publish_layer(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let mut asked: LayerRequest = request.members()?;
        nothing_else(&asked.rest)?;
        let name = self.layer_name(request)?;
        let mut constraints = Constraints::new();
        constraints.required("content", &asked.content);
        constraints.length("description", asked.description.as_deref(), 0, 256);
        constraints.length("licenseInfo", asked.license_info.as_deref(), 0, 512);
        constraints.size(
            "compatibleRuntimes",
            asked.compatible_runtimes.as_deref().unwrap_or_default(),
            0,
            15,
        );
        let architectures = asked.compatible_architectures.as_deref().unwrap_or_default();
        constraints.each_one_of("compatibleArchitectures", architectures, &["x86_64", "arm64"]);
        constraints.finish()?;
        let content = asked.content.take().unwrap_or_default();
        content.check("content.")?;
        let hold = self.package(&owner(&name), content).await?;
        let version = LayerVersion {
            description: asked.description.take().unwrap_or_default(),
            code: hold.code.clone(),
            runtimes: asked.compatible_runtimes.take().unwrap_or_default(),
            architectures: asked.compatible_architectures.take().unwrap_or_default(),
            license: asked.license_info.take(),
            created: self.now(),
            policy: None,
            hidden: false,
        };
        let published = self.registry.change(|world| {
            let last = world.layers.get(&name).map_or(0, |layer| layer.head.last_version);
            let number = last + 1;
            let head = LayerHead { last_version: number };
            let edits = vec![
                Edit::Put(Key::of(&name, ""), Thing::LayerHead(head)),
                Edit::Put(Key::of(&name, &number.to_string()), Thing::LayerVersion(version.clone())),
            ];
            Ok((number, edits))
        });
        let number = published.await?;
        drop(hold);
        Ok(created(&self.shown_whole_layer(&name, number, &version)))
    }

    pub(super) fn get_layer(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let (name, number) = (self.layer_name(request)?, self.layer_number(request)?);
        self.found_layer(&name, number)
    }

    pub(super) fn get_layer_by_arn(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let arn = request.call.query("Arn").map(str::to_owned);
        let mut constraints = Constraints::new();
        constraints.required("arn", &arn);
        constraints.shape("arn", arn.as_deref(), &LAYER_VERSION);
        constraints.finish()?;
        let arn = arn.unwrap_or_default();
        let (name, number) = parts(&arn).ok_or_else(|| missing(NO_VERSION))?;
        self.found_layer(name, number)
    }

    fn found_layer(&self, name: &str, number: u32) -> Result<Answer, AwsError> {
        let version = {
            let world = self.registry.world();
            world.layers.get(name).and_then(|layer| layer.versions.get(&number)).cloned()
        };
        let version = version.filter(|version| !version.hidden);
        let version = version.ok_or_else(|| missing(NO_VERSION))?;
        Ok(ok(&self.shown_whole_layer(name, number, &version)))
    }

    pub(super) fn list_layers(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let page = request.page(50)?;
        let fits = compatible(request);
        let world = self.registry.world();
        let entries = world.layers.iter().filter_map(|(name, layer)| {
            let (number, version) = layer.versions.iter().rev().find(|(_, version)| fits(version))?;
            let shown = json!({
                "LayerName": name,
                "LayerArn": arn_of(self.place(), name),
                "LatestMatchingVersion": self.shown_layer(name, *number, version),
            });
            Some((name.clone(), shown))
        });
        let (layers, marker) = page.of(entries);
        Ok(ok(&listing("Layers", layers, marker)))
    }

    pub(super) fn list_layer_versions(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let page = request.page(50)?;
        let name = self.layer_name(request)?;
        let fits = compatible(request);
        let world = self.registry.world();
        let versions = world.layers.get(&name).map(|layer| &layer.versions);
        let newest_first = versions.into_iter().flatten().rev().filter(|(_, version)| fits(version));
        let entries = newest_first.map(|(number, version)| {
            (format!("{:010}", u32::MAX - number), self.shown_layer(&name, *number, version))
        });
        let (versions, marker) = page.of(entries);
        Ok(ok(&listing("LayerVersions", versions, marker)))
    }

    /// Functions that use the version keep it: its files stay as long as one of them names it.
    pub(super) async fn delete_layer(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let (name, number) = (self.layer_name(request)?, self.layer_number(request)?);
        let change = self.registry.change(|world| {
            let Some(version) = world.layers.get(&name).and_then(|layer| layer.versions.get(&number)) else {
                return Ok((Vec::new(), Vec::new()));
            };
            let arn = format!("{}:{number}", arn_of(self.place(), &name));
            let key = Key::of(&name, &number.to_string());
            if world.is_used(&arn) {
                let hidden = LayerVersion { hidden: true, ..(**version).clone() };
                return Ok((Vec::new(), vec![Edit::Put(key, Thing::LayerVersion(hidden))]));
            }
            Ok((vec![version.code.clone()], vec![Edit::Remove(Kind::LayerVersion, key)]))
        });
        let gone = change.await?;
        self.retire(&owner(&name), gone).await;
        Ok(nothing())
    }
}

/// Which versions a list is asked for.
fn compatible<'a>(request: &'a Request<'_>) -> impl Fn(&LayerVersion) -> bool + 'a {
    let runtime = request.call.query("CompatibleRuntime");
    let architecture = request.call.query("CompatibleArchitecture");
    move |version| {
        let fits = |wanted: Option<&str>, all: &[String]| {
            wanted.is_none_or(|one| all.iter().any(|known| known == one))
        };
        !version.hidden && fits(runtime, &version.runtimes) && fits(architecture, &version.architectures)
    }
}
