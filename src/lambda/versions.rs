//! PublishVersion, ListVersionsByFunction.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::check::Constraints;
use super::code::Hold;
use super::create::put_version;
use super::declared::code_to_copy;
use super::errors::{NOT_NOW, broken, conflict, invalid, no_function, pending, stale};
use super::names::NameRule;
use super::read::listing;
use super::request::Request;
use super::requested::nothing_else;
use super::shown::Shown;
use super::things::{Head, Key, Thing, Version};
use super::world::{Edit, Phase, World, version_text};
use super::{Lambda, created, ok};
use crate::arn::Arn;
use crate::aws::{Answer, AwsError};
use crate::random;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct PublishRequest {
    code_sha256: Option<String>,
    description: Option<String>,
    revision_id: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What a version is made of: nothing new is published while it is the same.
pub fn fingerprint(version: &Version) -> String {
    let settings = serde_json::to_vec(&version.settings).unwrap_or_default();
    let mut parts = vec![version.description.as_bytes(), &settings, version.code.sha256.as_bytes()];
    parts.extend(version.layers.iter().map(|layer| layer.sha256.as_bytes()));
    STANDARD.encode(random::digest(&parts))
}

impl World {
    /// A failure while something is going on with the function's `$LATEST`.
    pub fn must_be_idle(&self, place: &crate::arn::Place, name: &str) -> Result<(), AwsError> {
        match self.phase(name, 0) {
            Some(Phase::Creating) => Err(pending()),
            Some(_) => Err(conflict(format!(
                "{NOT_NOW} An update is in progress for resource: {}",
                Arn::function(place, name)
            ))),
            None => Ok(()),
        }
    }
    /// A failure if the caller has looked at another revision of `$LATEST`.
    pub fn must_be_revision(
        &self,
        name: &str,
        version: &Version,
        asked: Option<&str>,
    ) -> Result<(), AwsError> {
        match asked {
            Some(asked) if asked != self.revision(name, 0, version) => Err(stale("GetFunction/GetAlias")),
            _ => Ok(()),
        }
    }
}

impl Lambda {
    pub(super) async fn publish_version(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: PublishRequest = request.members()?;
        nothing_else(&asked.rest)?;
        let mut constraints = Constraints::new();
        constraints.length("description", asked.description.as_deref(), 0, 256);
        constraints.finish()?;
        let name = request.name()?.name;
        let copies = self.copies_of_declared(&name).await?;
        let shown = self.registry.change(|world| self.decide_publish(world, &name, &asked, &copies));
        let shown = shown.await?;
        drop(copies);
        Ok(created(&shown))
    }

    /// Copies of a declared function's code as it is now, and of its layers. None of a function whose code is kept
    /// anyway.
    async fn copies_of_declared(&self, name: &str) -> Result<Vec<Hold>, AwsError> {
        let spec = self.registry.world().declared.get(name).map(|declared| declared.spec.clone());
        let Some(spec) = spec else { return Ok(Vec::new()) };
        let mut roots = vec![code_to_copy(&spec)?];
        roots.extend(spec.layers);
        let (store, owner) = (self.code.clone(), name.to_owned());
        let copy =
            move || roots.iter().map(|root| store.keep_copy(&owner, root)).collect::<Result<Vec<_>, _>>();
        let kept = tokio::task::spawn_blocking(copy).await;
        let kept = kept.map_err(|_| broken("the code could not be copied; dropwire is stopping"))?;
        kept.map_err(|error| self.not_kept(name, error))
    }

    fn decide_publish(
        &self,
        world: &World,
        name: &str,
        asked: &PublishRequest,
        copies: &[Hold],
    ) -> Result<(Value, Vec<Edit>), AwsError> {
        let latest = world.version(name, 0).ok_or_else(|| no_function(self.place(), name, None))?;
        world.must_be_idle(self.place(), name)?;
        world.must_be_revision(name, &latest, asked.revision_id.as_deref())?;
        let latest = match copies {
            [code, layers @ ..] => {
                let layers = layers.iter().map(|hold| hold.code.clone()).collect();
                Arc::new(Version { code: code.code.clone(), layers, ..(*latest).clone() })
            }
            [] => latest,
        };
        let here = &latest.code.sha256;
        if let Some(other) = asked.code_sha256.as_ref().filter(|other| !other.is_empty() && *other != here) {
            return Err(invalid(format!(
                "CodeSHA256 ({other}) is different from current CodeSHA256 in $LATEST ({here}). Please try again with \
                 the CodeSHA256 in $LATEST."
            )));
        }
        let (number, version, edits) = self.next_version(world, name, &latest, asked.description.as_deref());
        let shown = self.shown_version(world, name, number, &version);
        Ok((shown, edits))
    }

    /// The version that publishing this `$LATEST` gives, and the edits that make it; none if it is there already.
    pub(super) fn next_version(
        &self,
        world: &World,
        name: &str,
        latest: &Version,
        description: Option<&str>,
    ) -> (u32, Arc<Version>, Vec<Edit>) {
        let function = world.function(name);
        let (head, same) = (&function.head, fingerprint(latest));
        let last = function.versions.get(&head.last_version).filter(|_| head.last_version > 0);
        if let Some(last) = last.filter(|_| head.last_published.as_ref() == Some(&same)) {
            return (head.last_version, last.clone(), Vec::new());
        }
        let number = head.last_version + 1;
        let description = description.filter(|text| !text.is_empty()).unwrap_or(&latest.description);
        let version = Arc::new(Version {
            description: description.to_owned(),
            revision: self.revision(),
            modified: self.now(),
            ..latest.clone()
        });
        let head = Head { last_version: number, last_published: Some(same), ..head.clone() };
        let mut edits = put_version(name, number, version.clone(), Phase::Publishing).to_vec();
        edits.push(Edit::put(Key::of(name, ""), Thing::Head(head)));
        (number, version, edits)
    }

    /// A published version, with the number in its ARN.
    pub(super) fn shown_version(&self, world: &World, name: &str, number: u32, version: &Version) -> Value {
        let (phase, text) = (world.phase(name, number), version_text(number));
        let qualifier = Some(text.as_str());
        Shown { place: self.place(), name, number, version, phase, qualifier }.configuration(world)
    }

    pub(super) async fn list_versions(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let page = request.page(10_000)?;
        let name = request.target(NameRule::Function)?.name;
        let (picked, marker) = {
            let world = self.registry.world();
            world.must_exist(self.place(), &name)?;
            let numbers = world.numbers(&name).into_iter();
            page.of(numbers.map(|number| (format!("{number:010}"), (name.clone(), number))))
        };
        let versions = self.entries(picked, true).await?;
        Ok(ok(&listing("Versions", versions, marker)))
    }
}
