//! Aliases: names for a version, or for two of them with weights.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::check::{Constraints, is_number};
use super::errors::{conflict, invalid, missing, no_function, stale};
use super::names::{NameRule, qualified};
use super::read::listing;
use super::request::Request;
use super::shapes::{ALIAS, ALIAS_VERSION};
use super::things::{Alias, Key, Kind, Thing};
use super::world::{Edit, World};
use super::{Lambda, created, nothing, ok};
use crate::aws::{Answer, AwsError};
use crate::config::LATEST;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct AliasRequest {
    name: Option<String>,
    function_version: Option<String>,
    description: Option<String>,
    routing_config: Option<Routing>,
    revision_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Routing {
    additional_version_weights: Option<BTreeMap<String, f64>>,
}

impl AliasRequest {
    fn constrain(&self, constraints: &mut Constraints) {
        constraints.length("functionVersion", self.function_version.as_deref(), 1, 1024);
        constraints.shape("functionVersion", self.function_version.as_deref(), &ALIAS_VERSION);
        constraints.length("description", self.description.as_deref(), 0, 256);
        let Some(weights) = self.weights() else { return };
        let shown: Vec<String> =
            weights.iter().map(|(version, weight)| format!("{version}={weight:?}")).collect();
        let shown = format!("{{{}}}", shown.join(", "));
        let field = "routingConfig.additionalVersionWeights";
        if !weights.keys().all(|version| is_number(version)) {
            constraints.fails_as(
                &shown,
                field,
                "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must \
                 have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+, \
                 Member must not be null]",
            );
        }
        if !weights.values().all(|weight| (0.0..=1.0).contains(weight)) {
            constraints.fails_as(
                &shown,
                field,
                "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must \
                 have value greater than or equal to 0.0, Member must not be null]",
            );
        }
    }

    fn weights(&self) -> Option<&BTreeMap<String, f64>> {
        self.routing_config.as_ref()?.additional_version_weights.as_ref()
    }

    /// The other version and its weight; None if the request says nothing of it.
    fn other(&self) -> Result<Option<Option<(String, f64)>>, AwsError> {
        if self.routing_config.is_none() {
            return Ok(None);
        }
        let weights: Vec<(String, f64)> = self.weights().cloned().unwrap_or_default().into_iter().collect();
        if weights.len() > 1 {
            return Err(invalid("Number of items in AdditionalVersionWeights cannot be greater than 1"));
        }
        Ok(Some(weights.into_iter().next()))
    }
}

/// What an alias may point to.
fn check(lambda: &Lambda, world: &World, name: &str, alias: &Alias) -> Result<(), AwsError> {
    let must_be = |version: &str| match world.number(name, version) {
        Some(_) => Ok(()),
        None => Err(no_function(lambda.place(), name, Some(version))),
    };
    if let Some((other, _)) = &alias.other {
        if *other == alias.version {
            return Err(invalid(format!(
                "Invalid function version {other}. Function version {other} is already included in routing configuration."
            )));
        }
        if alias.version == LATEST {
            return Err(invalid("$LATEST is not supported for an alias pointing to more than 1 version"));
        }
    }
    must_be(&alias.version)?;
    alias.other.as_ref().map_or(Ok(()), |(other, _)| must_be(other))
}

impl Lambda {
    fn alias_arn(&self, name: &str, alias: &str) -> String {
        qualified(self.place(), name, Some(alias)).to_string()
    }

    fn shown_alias(&self, name: &str, alias_name: &str, alias: &Alias) -> Value {
        let mut shown = json!({
            "AliasArn": self.alias_arn(name, alias_name),
            "Name": alias_name,
            "FunctionVersion": alias.version,
            "Description": alias.description,
            "RevisionId": alias.revision,
        });
        if let Some((version, weight)) = &alias.other {
            let mut weights = serde_json::Map::new();
            weights.insert(version.clone(), json!(weight));
            shown["RoutingConfig"] = json!({"AdditionalVersionWeights": weights});
        }
        shown
    }

    pub(super) async fn create_alias(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: AliasRequest = request.members()?;
        let mut constraints = Constraints::new();
        constraints.required("name", &asked.name);
        constraints.length("name", asked.name.as_deref(), 1, 128);
        constraints.shape("name", asked.name.as_deref(), &ALIAS);
        constraints.required("functionVersion", &asked.function_version);
        asked.constrain(&mut constraints);
        constraints.finish()?;
        let name = request.name()?.name;
        let alias_name = asked.name.clone().unwrap_or_default();
        let alias = Alias {
            version: asked.function_version.clone().unwrap_or_default(),
            other: asked.other()?.flatten(),
            description: asked.description.clone().unwrap_or_default(),
            revision: self.revision(),
        };
        let shown = self.registry.change(|world| {
            check(self, world, &name, &alias)?;
            if world.function(&name).aliases.contains_key(&alias_name) {
                return Err(conflict(format!(
                    "Alias already exists: {}",
                    self.alias_arn(&name, &alias_name)
                )));
            }
            let shown = self.shown_alias(&name, &alias_name, &alias);
            Ok((shown, vec![Edit::put(Key::of(&name, &alias_name), Thing::Alias(alias))]))
        });
        Ok(created(&shown.await?))
    }

    pub(super) fn get_alias(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let (name, alias_name) = (request.name()?.name, request.part(4));
        let world = self.registry.world();
        world.must_exist(self.place(), &name)?;
        let alias = world.function(&name).aliases.get(alias_name);
        let arn = self.alias_arn(&name, alias_name);
        let alias = alias.ok_or_else(|| missing(format!("Cannot find alias arn: {arn}")))?;
        Ok(ok(&self.shown_alias(&name, alias_name, alias)))
    }

    pub(super) async fn update_alias(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: AliasRequest = request.members()?;
        let mut constraints = Constraints::new();
        asked.constrain(&mut constraints);
        constraints.finish()?;
        let (name, alias_name) = (request.name()?.name, request.part(4).to_owned());
        let other = asked.other()?;
        let shown = self.registry.change(|world| {
            world.must_exist(self.place(), &name)?;
            let arn = self.alias_arn(&name, &alias_name);
            let before = world.function(&name).aliases.get(&alias_name);
            let before = before.ok_or_else(|| missing(format!("Alias not found: {arn}")))?;
            if asked.revision_id.as_ref().is_some_and(|revision| *revision != before.revision) {
                return Err(stale("GetFunction/GetAlias"));
            }
            let alias = Alias {
                version: asked.function_version.clone().unwrap_or_else(|| before.version.clone()),
                other: other.unwrap_or_else(|| before.other.clone()),
                description: asked.description.clone().unwrap_or_else(|| before.description.clone()),
                revision: self.revision(),
            };
            check(self, world, &name, &alias)?;
            let shown = self.shown_alias(&name, &alias_name, &alias);
            Ok((shown, vec![Edit::put(Key::of(&name, &alias_name), Thing::Alias(alias))]))
        });
        Ok(ok(&shown.await?))
    }

    pub(super) async fn delete_alias(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let (name, alias_name) = (request.name()?.name, request.part(4).to_owned());
        self.registry
            .change(|world| {
                world.must_exist(self.place(), &name)?;
                if !world.function(&name).aliases.contains_key(&alias_name) {
                    return Ok(((), Vec::new()));
                }
                let kinds = [Kind::Alias, Kind::Policy, Kind::InvokeConfig, Kind::Provisioned, Kind::Url];
                let edits = kinds.map(|kind| Edit::Remove(kind, Key::of(&name, &alias_name)));
                Ok(((), edits.to_vec()))
            })
            .await?;
        Ok(nothing())
    }

    pub(super) fn list_aliases(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let page = request.page(10_000)?;
        let name = request.target(NameRule::Function)?.name;
        let version = request.call.query("FunctionVersion");
        let world = self.registry.world();
        let function = world.must_exist(self.place(), &name)?;
        let wanted = function.aliases.iter().filter(|(_, alias)| {
            let other = alias.other.as_ref().map(|(other, _)| other.as_str());
            version.is_none_or(|version| alias.version == version || other == Some(version))
        });
        let (aliases, marker) = page.of(wanted
            .map(|(alias_name, alias)| (alias_name.clone(), self.shown_alias(&name, alias_name, alias))));
        Ok(ok(&listing("Aliases", aliases, marker)))
    }
}
