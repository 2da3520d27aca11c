//! Provisioned concurrency: environments of a version or alias that are kept ready.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::account::{CONCURRENCY_MAX, UNRESERVED_MIN};
use super::check::Constraints;
use super::errors::{invalid, missing};
use super::names::{NameRule, Target, qualified};
use super::read::listing;
use super::request::Request;
use super::requested::nothing_else;
use super::shown::modified;
use super::things::{Key, Kind, Provisioned, Thing};
use super::world::Edit;
use super::{Lambda, accepted, nothing, ok};
use crate::aws::{Answer, AwsError};
use crate::config::{LATEST, function_key};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ProvisionRequest {
    provisioned_concurrent_executions: Option<i64>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

const NONE: &str = "No Provisioned Concurrency Config found for this function";

impl Lambda {
    /// The version or alias that a request is about.
    fn provisionable(&self, request: &Request<'_>) -> Result<Target, AwsError> {
        let target = request.target(NameRule::Function)?;
        let mut constraints = Constraints::new();
        constraints.required("qualifier", &target.qualifier);
        constraints.finish()?;
        if target.version() == LATEST {
            return Err(invalid(
                "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
            ));
        }
        self.registry.world().must_have(self.place(), &target)?;
        Ok(target)
    }

    fn shown_provisioned(&self, target: &Target, provisioned: &Provisioned, ready: u32) -> Value {
        let (count, ready) = (provisioned.count, ready.min(provisioned.count));
        json!({
            "RequestedProvisionedConcurrentExecutions": count,
            "AvailableProvisionedConcurrentExecutions": ready,
            "AllocatedProvisionedConcurrentExecutions": ready,
            "Status": if ready == count { "READY" } else { "IN_PROGRESS" },
            "LastModified": modified(provisioned.modified),
            "FunctionArn": qualified(self.place(), &target.name, target.qualifier.as_deref()).as_str(),
        })
    }

    /// How many environments of what a version or alias means are ready.
    fn ready(&self, target: &Target) -> u32 {
        let version = {
            let world = self.registry.world();
            let function = world.function(&target.name);
            function
                .aliases
                .get(target.version())
                .map_or(target.version().to_owned(), |alias| alias.version.clone())
        };
        let ask = self.readiness.get();
        ask.map_or(0, |ready| ready(&function_key(&target.name, &version)))
    }

    pub(super) async fn put_provisioned(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: ProvisionRequest = request.members()?;
        nothing_else(&asked.rest)?;
        let mut constraints = Constraints::new();
        constraints.required("provisionedConcurrentExecutions", &asked.provisioned_concurrent_executions);
        constraints.range(
            "provisionedConcurrentExecutions",
            asked.provisioned_concurrent_executions,
            1,
            i64::MAX,
        );
        constraints.finish()?;
        let target = self.provisionable(request)?;
        let wanted = asked.provisioned_concurrent_executions.unwrap_or_default();
        let change = self.registry.change(|world| {
            let function = world.must_have(self.place(), &target)?;
            let left = function.head.reserved.unwrap_or_else(|| {
                (CONCURRENCY_MAX - UNRESERVED_MIN).saturating_sub(world.reserved_by_others(&target.name))
            });
            let count = u32::try_from(wanted).ok().filter(|count| *count <= left);
            let count = count.ok_or_else(|| {
                invalid(format!(
                    "Specified ConcurrentExecutions for function is greater than function's unreserved concurrency [{left}]."
                ))
            })?;
            let provisioned = Provisioned { count, modified: self.now() };
            let key = Key::of(&target.name, target.version());
            Ok((provisioned.clone(), vec![Edit::Put(key, Thing::Provisioned(provisioned))]))
        });
        let provisioned = change.await?;
        let mut shown = self.shown_provisioned(&target, &provisioned, 0);
        if let Some(shown) = shown.as_object_mut() {
            shown.remove("FunctionArn");
        }
        Ok(accepted(&shown))
    }

    pub(super) fn get_provisioned(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let target = self.provisionable(request)?;
        let known = self.registry.world().function(&target.name).provisioned.get(target.version()).cloned();
        let known =
            known.ok_or_else(|| AwsError::new(404, "ProvisionedConcurrencyConfigNotFoundException", NONE))?;
        let mut shown = self.shown_provisioned(&target, &known, self.ready(&target));
        if let Some(shown) = shown.as_object_mut() {
            shown.remove("FunctionArn");
        }
        Ok(ok(&shown))
    }

    pub(super) async fn delete_provisioned(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let target = self.provisionable(request)?;
        let key = Key::of(&target.name, target.version());
        let change = self.registry.change(|world| {
            let is_there = world.function(&target.name).provisioned.contains_key(target.version());
            Ok(((), is_there.then_some(Edit::Remove(Kind::Provisioned, key)).into_iter().collect()))
        });
        change.await?;
        Ok(nothing())
    }

    pub(super) fn list_provisioned(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let page = request.page(50)?;
        let name = request.name()?.name;
        let all = {
            let world = self.registry.world();
            world.must_exist(self.place(), &name).map_err(|_| missing(super::errors::NOT_THERE))?;
            world.function(&name).provisioned.clone()
        };
        let entries = all.into_iter().map(|(qualifier, provisioned)| {
            let target = Target { name: name.clone(), qualifier: Some(qualifier.clone()) };
            (qualifier, self.shown_provisioned(&target, &provisioned, self.ready(&target)))
        });
        let (entries, marker) = page.of(entries);
        Ok(ok(&listing("ProvisionedConcurrencyConfigs", entries, marker)))
    }
}
