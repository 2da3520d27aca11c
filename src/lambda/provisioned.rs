//! Provisioned concurrency: environments that are kept ready for a version or an alias.

use serde::Deserialize;
use serde_json::{Value, json};

use super::account::{ACCOUNT_CONCURRENCY, UNRESERVED_MIN};
use super::check::Constraints;
use super::errors::{invalid, missing};
use super::names::{NameRule, Target, is_version, qualified};
use super::read::listing;
use super::request::Request;
use super::shown::modified;
use super::things::{Key, Kind, Provisioned, Thing};
use super::world::{Edit, Phase, World, version_text};
use super::{Lambda, accepted, nothing, ok};
use crate::aws::{Answer, AwsError};
use crate::config::{LATEST, function_key};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ProvisionedRequest {
    provisioned_concurrent_executions: Option<i64>,
}

impl Lambda {
    /// The function and the qualifier, which this operation needs.
    fn provisioned_target(&self, request: &Request<'_>) -> Result<(String, String), AwsError> {
        let Target { name, qualifier } = request.target(NameRule::Function)?;
        let mut constraints = Constraints::new();
        constraints.required("qualifier", &qualifier);
        constraints.finish()?;
        Ok((name, qualifier.unwrap_or_default()))
    }

    /// The version's number behind a qualifier of provisioned concurrency.
    fn provisioned_version(&self, world: &World, name: &str, qualifier: &str) -> Result<u32, AwsError> {
        const UNPUBLISHED: &str =
            "Provisioned Concurrency Configs cannot be applied to unpublished function versions.";
        if qualifier == LATEST {
            return Err(invalid(UNPUBLISHED));
        }
        world.must_exist(self.place(), name)?;
        if !is_version(qualifier) && !world.function(name).aliases.contains_key(qualifier) {
            let arn = qualified(self.place(), name, Some(qualifier));
            return Err(missing(format!("Cannot find alias arn: {arn}")));
        }
        let target = Target { name: name.to_owned(), qualifier: Some(qualifier.to_owned()) };
        match world.find(self.place(), &target)? {
            (0, _) => Err(invalid(UNPUBLISHED)),
            (number, _) => Ok(number),
        }
    }

    pub(super) async fn put_provisioned(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: ProvisionedRequest = request.members()?;
        let given = asked.provisioned_concurrent_executions;
        let mut constraints = Constraints::new();
        constraints.required("provisionedConcurrentExecutions", &given);
        constraints.range("provisionedConcurrentExecutions", given, 1, i64::from(i32::MAX));
        constraints.finish()?;
        let (name, qualifier) = self.provisioned_target(request)?;
        let count = given.and_then(|given| u32::try_from(given).ok()).unwrap_or_default();
        let provisioned = Provisioned { count, modified: self.now() };
        let shown = self.registry.change(|world| {
            let number = self.provisioned_version(world, &name, &qualifier)?;
            check(world, &name, &qualifier, number, count)?;
            let shown = shown(&provisioned, 0);
            let mut edits = vec![Edit::put(Key::of(&name, &qualifier), Thing::Provisioned(provisioned))];
            if world.phase(&name, number).is_none() {
                edits.push(Edit::Unsettled(name.clone(), number, Phase::Publishing));
            }
            Ok((shown, edits))
        });
        Ok(accepted(&shown.await?))
    }

    /// How many environments of a version are ready; none before the change is applied.
    fn ready(&self, world: &World, name: &str, number: u32) -> u32 {
        let ask = self.readiness.get().filter(|_| world.phase(name, number).is_none());
        ask.map_or(0, |ready| ready(&function_key(name, &version_text(number))))
    }

    pub(super) fn get_provisioned(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let (name, qualifier) = self.provisioned_target(request)?;
        let world = self.registry.world();
        let number = self.provisioned_version(&world, &name, &qualifier)?;
        let none = || {
            let message = "No Provisioned Concurrency Config found for this function";
            AwsError::new(404, "ProvisionedConcurrencyConfigNotFoundException", message)
        };
        let provisioned = world.function(&name).provisioned.get(&qualifier).ok_or_else(none)?;
        Ok(ok(&shown(provisioned, self.ready(&world, &name, number))))
    }

    pub(super) async fn delete_provisioned(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let (name, qualifier) = self.provisioned_target(request)?;
        let change = self.registry.change(|world| {
            let function = world.must_exist(self.place(), &name)?;
            let there = function.provisioned.contains_key(&qualifier);
            let remove = || Edit::Remove(Kind::Provisioned, Key::of(&name, &qualifier));
            Ok(((), there.then(remove).into_iter().collect()))
        });
        change.await?;
        Ok(nothing())
    }

    pub(super) fn list_provisioned(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let page = request.page(50)?;
        let name = request.name()?.name;
        let world = self.registry.world();
        let function = world.must_exist(self.place(), &name)?;
        let entries = function.provisioned.iter().map(|(qualifier, provisioned)| {
            let number = self.provisioned_version(&world, &name, qualifier);
            let ready = number.map_or(0, |number| self.ready(&world, &name, number));
            let mut entry = shown(provisioned, ready);
            entry["FunctionArn"] = json!(qualified(self.place(), &name, Some(qualifier)).as_str());
            (qualifier.clone(), entry)
        });
        let (entries, marker) = page.of(entries);
        Ok(ok(&listing("ProvisionedConcurrencyConfigs", entries, marker)))
    }
}

/// What is kept ready has room in what the function has, and no version is kept ready under two names.
fn check(world: &World, name: &str, qualifier: &str, number: u32, count: u32) -> Result<(), AwsError> {
    let function = world.function(name);
    let text = number.to_string();
    let by_alias = |alias: &String| function.aliases.get(alias).is_some_and(|alias| alias.version == text);
    let mut others = function.provisioned.keys().filter(|other| *other != qualifier);
    if others.any(|other| *other == text || by_alias(other)) {
        return Err(invalid(match is_version(qualifier) {
            true => "Version is pointed by a Provisioned Concurrency alias",
            false => {
                "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
            }
        }));
    }
    let others = function.provisioned.iter().filter(|(other, _)| *other != qualifier);
    let all = others.map(|(_, provisioned)| provisioned.count).sum::<u32>().saturating_add(count);
    match function.head.reserved {
        Some(reserved) if all > reserved => Err(invalid(
            "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function",
        )),
        None if all.saturating_add(world.reserved_by_others(name)) > ACCOUNT_CONCURRENCY - UNRESERVED_MIN => {
            Err(invalid(format!(
                "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below \
                 its minimum value of [{UNRESERVED_MIN}]."
            )))
        }
        _ => Ok(()),
    }
}

/// `ready` is how many environments of the version are.
fn shown(provisioned: &Provisioned, ready: u32) -> Value {
    let ready = ready.min(provisioned.count);
    json!({
        "RequestedProvisionedConcurrentExecutions": provisioned.count,
        "AvailableProvisionedConcurrentExecutions": ready,
        "AllocatedProvisionedConcurrentExecutions": ready,
        "Status": if ready < provisioned.count { "IN_PROGRESS" } else { "READY" },
        "LastModified": modified(provisioned.modified),
    })
}
