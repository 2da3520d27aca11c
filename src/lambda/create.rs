//! CreateFunction.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::check::Constraints;
use super::destinations::{self, Purpose};
use super::errors::{conflict, invalid};
use super::names::{NameRule, parse_name};
use super::package::CodeRequest;
use super::request::Request;
use super::requested::{Requested, refused};
use super::settings::Settings;
use super::shown::Shown;
use super::things::{CodeRef, Head, Key, Thing, Version};
use super::world::{Edit, Phase, World, version_text};
use super::{Lambda, created, layers, tags, versions};
use crate::arn::Place;
use crate::aws::{Answer, AwsError};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct CreateRequest {
    function_name: Option<String>,
    code: Option<CodeRequest>,
    package_type: Option<String>,
    publish: Option<bool>,
    tags: Option<BTreeMap<String, String>>,
    architectures: Option<Vec<String>>,
    #[serde(flatten)]
    requested: Requested,
}

impl CreateRequest {
    /// Every rule that needs no look at the world. Returns the function's name.
    fn check(&self, place: &Place) -> Result<String, AwsError> {
        let mut constraints = Constraints::new();
        constraints.required("functionName", &self.function_name);
        constraints.required("role", &self.requested.role);
        constraints.required("code", &self.code);
        self.requested.constrain(&mut constraints);
        constraints.one_of("packageType", self.package_type.as_deref(), &["Zip", "Image"]);
        constrain_architectures(&mut constraints, self.architectures.as_deref());
        constraints.finish()?;
        let name = self.function_name.as_deref().unwrap_or_default();
        let target = parse_name(name, None, NameRule::Function, place)?;
        if target.qualifier.is_some() {
            return Err(invalid("A function is created without a qualifier: give its name alone."));
        }
        if self.package_type.as_deref() == Some("Image") {
            return Err(refused("ImageConfig"));
        }
        self.requested.check()?;
        if self.requested.runtime.is_none() || self.requested.handler.is_none() {
            return Err(invalid(
                "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
            ));
        }
        tags::check(self.tags.as_ref().unwrap_or(&BTreeMap::new()), 0)?;
        self.code.as_ref().map_or(Ok(()), |code| code.check("code."))?;
        Ok(target.name)
    }

    fn settings(&self) -> Result<Settings, AwsError> {
        let mut settings = self.requested.onto(&Settings::default())?;
        if let Some(architecture) = self.architectures.as_ref().and_then(|list| list.first()) {
            settings.architecture = architecture.clone();
        }
        Ok(settings)
    }
}

/// `Architectures` has exactly one that exists.
pub fn constrain_architectures(constraints: &mut Constraints, architectures: Option<&[String]>) {
    if let Some(architectures) = architectures {
        constraints.size("architectures", architectures, 1, 1);
        constraints.each_one_of("architectures", architectures, &["x86_64", "arm64"]);
    }
}

/// What a configuration names is there: its layers, its dead letters.
pub fn check_surroundings(
    world: &World,
    place: &Place,
    name: &str,
    settings: &Settings,
) -> Result<(), AwsError> {
    layers::check(world, place, &settings.layers)?;
    if let Some(dead_letters) = &settings.dead_letters {
        destinations::check(world, place, dead_letters, name, Purpose::DeadLetters)?;
    }
    Ok(())
}

impl Lambda {
    pub(super) async fn create_function(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let mut asked: CreateRequest = request.members()?;
        let name = asked.check(self.place())?;
        let settings = asked.settings()?;
        // Before the code is unpacked, and again when nothing can come between.
        self.may_create(&self.registry.world(), &name, &settings)?;
        let hold = self.package(&name, asked.code.take().unwrap_or_default()).await?;
        let version = Version {
            description: asked.requested.description.clone().unwrap_or_default(),
            settings,
            code: hold.code.clone(),
            layers: Vec::new(),
            revision: self.revision(),
            modified: self.now(),
        };
        let tags = asked.tags.take().unwrap_or_default();
        let publish = asked.publish.unwrap_or_default();
        let shown =
            self.registry.change(|world| self.decide_create(world, &name, version, tags, publish)).await;
        let brought = hold.code.clone();
        drop(hold);
        // It is not used if somebody else was faster.
        self.retire(&name, vec![brought]).await;
        Ok(created(&shown?))
    }

    fn may_create(&self, world: &World, name: &str, settings: &Settings) -> Result<(), AwsError> {
        if world.exists(name) {
            return Err(conflict(format!("Function already exist: {name}")));
        }
        check_surroundings(world, self.place(), name, settings)
    }

    fn decide_create(
        &self,
        world: &World,
        name: &str,
        version: Version,
        tags: BTreeMap<String, String>,
        publish: bool,
    ) -> Result<(Value, Vec<Edit>), AwsError> {
        self.may_create(world, name, &version.settings)?;
        layers::check_size(world, &version.settings.layers, &version.code)?;
        let mut edits = Vec::new();
        if world.functions.contains_key(name) {
            // What was made of a declared function that is none any more.
            edits.push(Edit::RemoveFunction(name.to_owned()));
        }
        let version = Arc::new(version);
        let mut head = Head { tags, ..Head::default() };
        edits.extend(put_version(name, 0, version.clone(), Phase::Creating));
        if publish {
            head.last_version = 1;
            head.last_published = Some(versions::fingerprint(&version));
            let first = Version { revision: self.revision(), ..(*version).clone() };
            edits.extend(put_version(name, 1, Arc::new(first), Phase::Creating));
        }
        edits.push(Edit::put(Key::of(name, ""), Thing::Head(head)));
        let shown = Shown {
            place: self.place(),
            name,
            number: u32::from(publish),
            version: &version,
            phase: Some(Phase::Creating),
            qualifier: None,
        };
        Ok((shown.configuration(world), edits))
    }
}

/// A new or changed version, and its phase until that is applied.
pub fn put_version(name: &str, number: u32, version: Arc<Version>, phase: Phase) -> [Edit; 2] {
    [
        Edit::put(Key::of(name, &version_text(number)), Thing::Version(version)),
        Edit::Unsettled(name.to_owned(), number, phase),
    ]
}

/// Whether two pieces of code are the same.
pub fn same_code(one: &CodeRef, other: &CodeRef) -> bool {
    one.sha256 == other.sha256
}
