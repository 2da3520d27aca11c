//! UpdateFunctionCode, UpdateFunctionConfiguration.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::check::Constraints;
use super::create::{check_surroundings, constrain_architectures, put_version, same_code};
use super::declared::must_not_be_declared;
use super::errors::no_function;
use super::package::CodeRequest;
use super::request::Request;
use super::requested::Requested;
use super::shown::Shown;
use super::things::{CodeRef, Version};
use super::world::{Edit, Phase, World};
use super::{Lambda, layers, ok};
use crate::aws::{Answer, AwsError};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct CodeUpdate {
    publish: Option<bool>,
    dry_run: Option<bool>,
    revision_id: Option<String>,
    architectures: Option<Vec<String>>,
    #[serde(flatten)]
    code: CodeRequest,
}

/// What an update asks for besides what it changes.
struct Terms<'a> {
    revision: Option<&'a str>,
    publish: bool,
    dry_run: bool,
}

impl Lambda {
    pub(super) async fn update_code(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let mut asked: CodeUpdate = request.members()?;
        let mut constraints = Constraints::new();
        constrain_architectures(&mut constraints, asked.architectures.as_deref());
        constraints.finish()?;
        let name = request.name()?.name;
        asked.code.check("")?;
        let terms = Terms {
            revision: asked.revision_id.as_deref(),
            publish: asked.publish.unwrap_or_default(),
            dry_run: asked.dry_run.unwrap_or_default(),
        };
        // Before the code is unpacked, and again when nothing can come between.
        let before = self.may_update(&self.registry.world(), &name, &terms)?.code.clone();
        let hold = self.package(&name, std::mem::take(&mut asked.code)).await?;
        let architecture = asked.architectures.as_ref().and_then(|list| list.first().cloned());
        let shown = self.registry.change(|world| {
            let before = self.may_update(world, &name, &terms)?;
            layers::check_size(world, &before.settings.layers, &hold.code)?;
            let mut after = Version { code: hold.code.clone(), ..(*before).clone() };
            after.settings.architecture = architecture.unwrap_or(after.settings.architecture);
            Ok(self.decide_update(world, &name, after, &terms))
        });
        let (shown, brought) = (shown.await, hold.code.clone());
        drop(hold);
        // What was brought is not used if it was refused after all, or only tried.
        self.retire(&name, vec![before, brought]).await;
        Ok(ok(&shown?))
    }

    pub(super) async fn update_configuration(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: Requested = request.members()?;
        let mut constraints = Constraints::new();
        asked.constrain(&mut constraints);
        constraints.finish()?;
        let name = request.name()?.name;
        let terms = Terms { revision: asked.revision_id.as_deref(), publish: false, dry_run: false };
        let shown = self.registry.change(|world| {
            let before = self.may_update(world, &name, &terms)?;
            asked.check()?;
            let settings = asked.onto(&before.settings)?;
            check_surroundings(world, self.place(), &name, &settings)?;
            layers::check_size(world, &settings.layers, &before.code)?;
            let description = asked.description.clone().unwrap_or_else(|| before.description.clone());
            let after = Version { settings, description, ..(*before).clone() };
            Ok(self.decide_update(world, &name, after, &terms))
        });
        Ok(ok(&shown.await?))
    }

    /// `$LATEST` of a function that may be updated now.
    fn may_update(&self, world: &World, name: &str, terms: &Terms) -> Result<Arc<Version>, AwsError> {
        must_not_be_declared(world, name)?;
        let latest = world.version(name, 0).ok_or_else(|| no_function(self.place(), name, None))?;
        world.must_be_idle(self.place(), name)?;
        world.must_be_revision(name, &latest, terms.revision)?;
        Ok(latest)
    }

    fn decide_update(&self, world: &World, name: &str, after: Version, terms: &Terms) -> (Value, Vec<Edit>) {
        let after = Arc::new(Version { revision: self.revision(), modified: self.now(), ..after });
        let phase = Some(Phase::Updating);
        let place = self.place();
        let shown = Shown { place, name, number: 0, version: &after, phase, qualifier: None };
        let shown = shown.configuration(world);
        if terms.dry_run {
            return (shown, Vec::new());
        }
        let mut edits = put_version(name, 0, after.clone(), Phase::Updating).to_vec();
        if !terms.publish {
            return (shown, edits);
        }
        let (number, version, published) = self.next_version(world, name, &after, None);
        edits.extend(published);
        (self.shown_version(world, name, number, &version), edits)
    }
}

impl World {
    /// Whether a version of this function, or of this layer, uses this code.
    pub fn uses(&self, owner: &str, code: &CodeRef) -> bool {
        let of_function = self.functions.get(owner).is_some_and(|function| {
            function.versions.values().any(|version| version.kept().any(|kept| same_code(kept, code)))
        });
        let of_layer = owner.strip_prefix(layers::OWNER).and_then(|name| self.layers.get(name));
        let of_layer = of_layer
            .is_some_and(|layer| layer.versions.values().any(|version| same_code(&version.code, code)));
        of_function || of_layer
    }
}
