//! PutFunctionConcurrency, GetFunctionConcurrency, DeleteFunctionConcurrency; GetFunctionRecursionConfig and its like.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::account::{CONCURRENCY_MAX, UNRESERVED_MIN};
use super::check::Constraints;
use super::errors::{invalid, no_function};
use super::request::Request;
use super::requested::nothing_else;
use super::things::{Head, Key, Thing};
use super::world::{Edit, World};
use super::{Lambda, nothing, ok};
use crate::aws::{Answer, AwsError};
use crate::config::LATEST;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ConcurrencyRequest {
    reserved_concurrent_executions: Option<i64>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RecursionRequest {
    recursive_loop: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Lambda {
    pub(super) async fn put_concurrency(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: ConcurrencyRequest = request.members()?;
        nothing_else(&asked.rest)?;
        let mut constraints = Constraints::new();
        constraints.required("reservedConcurrentExecutions", &asked.reserved_concurrent_executions);
        constraints.range("reservedConcurrentExecutions", asked.reserved_concurrent_executions, 0, i64::MAX);
        constraints.finish()?;
        let name = request.whole_function()?;
        let wanted = asked.reserved_concurrent_executions.unwrap_or_default();
        let change = self.registry.change(|world| {
            // Since 2025 the service names the version here (semantics: errors).
            let missing = || no_function(self.place(), &name, Some(LATEST));
            world.must_exist(self.place(), &name).map_err(|_| missing())?;
            let left = i64::from(CONCURRENCY_MAX) - i64::from(world.reserved_by_others(&name));
            let reserved = u32::try_from(wanted).ok().filter(|_| wanted <= left - i64::from(UNRESERVED_MIN));
            let reserved = reserved.ok_or_else(|| {
                invalid(format!(
                    "Specified ReservedConcurrentExecutions for function decreases account's \
                     UnreservedConcurrentExecution below its minimum value of [{UNRESERVED_MIN}]."
                ))
            })?;
            Ok((reserved, vec![with_reserved(world, &name, Some(reserved))]))
        });
        let reserved = change.await?;
        Ok(ok(&json!({ "ReservedConcurrentExecutions": reserved })))
    }

    pub(super) fn get_concurrency(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let name = request.whole_function()?;
        let world = self.registry.world();
        let shown = match world.must_exist(self.place(), &name)?.head.reserved {
            Some(reserved) => json!({ "ReservedConcurrentExecutions": reserved }),
            None => json!({}),
        };
        Ok(ok(&shown))
    }

    pub(super) async fn delete_concurrency(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let name = request.whole_function()?;
        let change = self.registry.change(|world| {
            let function = world.must_exist(self.place(), &name)?;
            let is_there = function.head.reserved.is_some();
            Ok(((), is_there.then(|| with_reserved(world, &name, None)).into_iter().collect()))
        });
        change.await?;
        Ok(nothing())
    }

    pub(super) fn get_recursion(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let name = request.whole_function()?;
        self.registry.world().must_exist(self.place(), &name)?;
        // Loops are not looked for here, so none is ended.
        Ok(ok(&json!({ "RecursiveLoop": "Allow" })))
    }

    pub(super) async fn put_recursion(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: RecursionRequest = request.members()?;
        nothing_else(&asked.rest)?;
        let mut constraints = Constraints::new();
        constraints.required("recursiveLoop", &asked.recursive_loop);
        constraints.one_of("recursiveLoop", asked.recursive_loop.as_deref(), &["Allow", "Terminate"]);
        constraints.finish()?;
        let name = request.whole_function()?;
        self.registry.world().must_exist(self.place(), &name)?;
        if asked.recursive_loop.as_deref() == Some("Terminate") {
            return Err(invalid(
                "dropwire does not take Terminate: it does not look for recursive loops yet",
            ));
        }
        Ok(ok(&json!({ "RecursiveLoop": "Allow" })))
    }

    pub(super) fn get_code_signing(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let name = request.whole_function()?;
        self.registry.world().must_exist(self.place(), &name)?;
        Ok(ok(&json!({ "FunctionName": name })))
    }

    pub(super) fn delete_code_signing(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let name = request.whole_function()?;
        self.registry.world().must_exist(self.place(), &name)?;
        Ok(nothing())
    }
}

fn with_reserved(world: &World, name: &str, reserved: Option<u32>) -> Edit {
    let head = Head { reserved, ..world.function(name).head.clone() };
    Edit::Put(Key::of(name, ""), Thing::Head(head))
}
