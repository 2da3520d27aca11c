//! What the rest of dropwire asks the service: what to run, where an invocation goes, how it is retried.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Lambda;
use super::errors::no_function;
use super::names::{Target, is_version};
use super::things::{Alias, Cors, Version};
use super::world::{World, number_of, version_text};
use crate::arn::Arn;
use crate::aws::AwsError;
use crate::config::{Asynchronous, Destination, FunctionSpec, LATEST, function_key};

/// Where an invocation goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What the engine calls this version: `name`, or `name:3`.
    pub key: String,
    /// The function's name.
    pub name: String,
    /// `$LATEST`, or the number.
    pub version: String,
    /// The ARN by which it was invoked, with the qualifier that was given.
    pub invoked_arn: Arn,
}

/// A function's HTTP address.
#[derive(Clone, Debug, PartialEq)]
pub struct UrlConfig {
    /// The function's name.
    pub name: String,
    /// The alias, if it is one's address.
    pub qualifier: Option<String>,
    /// `NONE` or `AWS_IAM`.
    pub auth: String,
    /// What browsers of other origins may do.
    pub cors: Option<Cors>,
    /// `RESPONSE_STREAM`.
    pub streaming: bool,
}

impl Lambda {
    /// What the engine has to run besides the wiring file's own functions: functions made by calls, and the published
    /// versions of all functions.
    pub fn specs(&self) -> BTreeMap<String, FunctionSpec> {
        let world = self.registry.world();
        let mut specs = BTreeMap::new();
        for (name, function) in world.functions.iter().filter(|(name, _)| world.exists(name)) {
            let declared = world.declared.contains_key(name);
            for (number, version) in function.versions.iter().filter(|(number, _)| !declared || **number > 0)
            {
                let spec = self.spec(&world, name, *number, version);
                specs.insert(spec.key(), spec);
            }
        }
        specs
    }

    fn spec(&self, world: &World, name: &str, number: u32, version: &Version) -> FunctionSpec {
        let own = version.layers.iter().map(|layer| self.code.files(name, &layer.sha256));
        let named = version.settings.layers.iter().filter_map(|arn| self.layer_files(world, arn));
        let layers = own.chain(named).collect();
        let code = self.code.files(name, &version.code.sha256);
        version.settings.spec(name, &version_text(number), code, layers)
    }

    /// The concurrency that functions have reserved, by name.
    pub fn reserved(&self) -> BTreeMap<String, u32> {
        let world = self.registry.world();
        let functions = world.functions.iter().filter(|(name, _)| world.exists(name));
        functions.filter_map(|(name, function)| Some((name.clone(), function.head.reserved?))).collect()
    }

    /// How many environments are kept ready, by what the engine calls the version.
    pub fn provisioned(&self) -> BTreeMap<String, u32> {
        let world = self.registry.world();
        let mut all = BTreeMap::new();
        for (name, function) in world.functions.iter().filter(|(name, _)| world.exists(name)) {
            for (qualifier, provisioned) in &function.provisioned {
                let version = function.aliases.get(qualifier).map_or(qualifier, |alias| &alias.version);
                *all.entry(function_key(name, version)).or_default() += provisioned.count;
            }
        }
        all
    }

    /// Where an invocation goes. An alias with two versions draws one.
    ///
    /// # Errors
    /// There is no such function, or not this version or alias of it.
    pub fn resolve(&self, target: &Target) -> Result<Resolved, AwsError> {
        let world = self.registry.world();
        let qualifier = target.version();
        let none = || no_function(self.place(), &target.name, Some(qualifier));
        let version = match qualifier {
            LATEST => LATEST.to_owned(),
            number if is_version(number) => version_text(number_of(number)),
            alias => {
                let alias = world.function(&target.name).aliases.get(alias).ok_or_else(none)?;
                drawn(alias, || self.ground.random.number()).to_owned()
            }
        };
        world.number(&target.name, &version).ok_or_else(none)?;
        Ok(Resolved {
            key: function_key(&target.name, &version),
            name: target.name.clone(),
            invoked_arn: target.arn(self.place()),
            version,
        })
    }

    /// How asynchronous invocations of this function and qualifier are retried and where their records go: what was
    /// said by calls, and for `$LATEST` of a declared function, where they say nothing, what the wiring file says.
    pub fn asynchronous(&self, name: &str, qualifier: Option<&str>) -> Asynchronous {
        let world = self.registry.world();
        let declared = world.declared.get(name).filter(|_| qualifier.is_none());
        let mut said = declared.map(|declared| declared.spec.asynchronous.clone()).unwrap_or_default();
        let target = Target { name: name.to_owned(), qualifier: qualifier.map(str::to_owned) };
        let destination = |arn: &Option<String>| Destination::of(&Arn::parse(arn.as_deref()?)?);
        if let Ok((_, version)) = world.find(self.place(), &target) {
            said.dlq = destination(&version.settings.dead_letters).or(said.dlq);
        }
        if let Some(config) = world.function(name).invoke_configs.get(qualifier.unwrap_or(LATEST)) {
            said.retries = config.retries.or(said.retries);
            said.age_max = config.age_max.map(|seconds| Duration::from_secs(seconds.into())).or(said.age_max);
            said.on_success = destination(&config.on_success).or(said.on_success);
            said.on_failure = destination(&config.on_failure).or(said.on_failure);
        }
        said
    }

    /// The aliases of all functions, each with its function's name.
    pub fn aliases(&self) -> Vec<(String, String)> {
        let world = self.registry.world();
        let functions = world.functions.iter().filter(|(name, _)| world.exists(name));
        let aliases =
            functions.flat_map(|(name, function)| function.aliases.keys().map(move |alias| (name, alias)));
        aliases.map(|(name, alias)| (name.clone(), alias.clone())).collect()
    }

    /// The function behind an address, by the 32 characters it begins with.
    pub fn url(&self, id: &str) -> Option<UrlConfig> {
        let world = self.registry.world();
        let (name, qualifier) = world.addresses.get(id)?;
        let url = world.function(name).urls.get(qualifier)?;
        world.exists(name).then(|| UrlConfig {
            name: name.clone(),
            qualifier: Some(qualifier.clone()).filter(|qualifier| !qualifier.is_empty()),
            auth: url.auth.clone(),
            cors: url.cors.clone(),
            streaming: url.mode.as_deref() == Some("RESPONSE_STREAM"),
        })
    }
}

/// The version that one invocation of an alias gets. `number` is drawn only if there are two.
fn drawn(alias: &Alias, number: impl FnOnce() -> u64) -> &str {
    match &alias.other {
        // 53 bits are what a fraction holds.
        Some((other, weight)) if ((number() >> 11) as f64 / (1_u64 << 53) as f64) < *weight => other,
        _ => &alias.version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn an_alias_draws_by_its_weights() {
        let check = |weight: f64, least: usize, most: usize| {
            let other = Some(("2".to_owned(), weight));
            let alias =
                Alias { version: "1".into(), other, description: String::new(), revision: String::new() };
            let random = Random::seeded(5);
            let count = (0..1000).filter(|_| drawn(&alias, || random.number()) == "2").count();
            assert!((least..=most).contains(&count), "{weight}: {count}");
        };
        check(0.0, 0, 0);
        check(1.0, 1000, 1000);
        check(0.1, 60, 140);
        check(0.5, 440, 560);
    }
}
