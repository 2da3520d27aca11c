//! Reserved concurrency: a function's own part of the account's.

use serde::Deserialize;
use serde_json::json;

use super::account::{ACCOUNT_CONCURRENCY, UNRESERVED_MIN};
use super::check::Constraints;
use super::errors::{invalid, no_function};
use super::request::Request;
use super::things::{Head, Key, Thing};
use super::world::{Edit, World};
use super::{Lambda, nothing, ok};
use crate::aws::{Answer, AwsError};
use crate::config::LATEST;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ConcurrencyRequest {
    reserved_concurrent_executions: Option<i64>,
}

impl Lambda {
    pub(super) async fn put_concurrency(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: ConcurrencyRequest = request.members()?;
        let mut constraints = Constraints::new();
        let given = asked.reserved_concurrent_executions;
        constraints.required("reservedConcurrentExecutions", &given);
        constraints.range("reservedConcurrentExecutions", given, 0, i64::from(i32::MAX));
        constraints.finish()?;
        let reserved = given.and_then(|given| u32::try_from(given).ok()).unwrap_or_default();
        let name = request.whole_function()?;
        let change = self.registry.change(|world| {
            if !world.exists(&name) {
                return Err(no_function(self.place(), &name, Some(LATEST)));
            }
            check(world, &name, reserved)?;
            Ok(((), vec![reserve(world, &name, Some(reserved))]))
        });
        change.await?;
        Ok(ok(&json!({"ReservedConcurrentExecutions": reserved})))
    }

    pub(super) fn get_concurrency(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let name = request.whole_function()?;
        let world = self.registry.world();
        let reserved = world.must_exist(self.place(), &name)?.head.reserved;
        Ok(ok(&reserved.map_or(json!({}), |reserved| json!({"ReservedConcurrentExecutions": reserved}))))
    }

    pub(super) async fn delete_concurrency(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let name = request.whole_function()?;
        let change = self.registry.change(|world| {
            world.must_exist(self.place(), &name)?;
            Ok(((), vec![reserve(world, &name, None)]))
        });
        change.await?;
        Ok(nothing())
    }
}

/// Enough must stay for functions that reserve none, and for what is kept ready of this one.
fn check(world: &World, name: &str, reserved: u32) -> Result<(), AwsError> {
    let taken = world.reserved_by_others(name).saturating_add(reserved);
    if taken > ACCOUNT_CONCURRENCY - UNRESERVED_MIN {
        return Err(invalid(format!(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution \
             below its minimum value of [{UNRESERVED_MIN}]."
        )));
    }
    let ready: u32 = world.function(name).provisioned.values().map(|provisioned| provisioned.count).sum();
    if reserved < ready {
        return Err(invalid(format!(
            "ReservedConcurrentExecutions  {reserved} should not be lower than function's total provisioned concurrency \
             [{ready}]."
        )));
    }
    Ok(())
}

fn reserve(world: &World, name: &str, reserved: Option<u32>) -> Edit {
    let head = Head { reserved, ..world.function(name).head.clone() };
    Edit::put(Key::of(name, ""), Thing::Head(head))
}
