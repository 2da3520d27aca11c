//! Runtime management, recursion and code signing: what tools read of every function, and may set as far as it means
//! something here.

use serde::Deserialize;
use serde_json::json;

use super::check::Constraints;
use super::errors::invalid;
use super::names::{NameRule, qualified};
use super::request::Request;
use super::shapes::RUNTIME_VERSION;
use super::shown::runtime_version;
use super::things::{Key, RuntimeRule, Thing};
use super::world::{Edit, version_text};
use super::{Lambda, nothing, ok};
use crate::aws::{Answer, AwsError};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RuntimeRequest {
    update_runtime_on: Option<String>,
    runtime_version_arn: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RecursionRequest {
    recursive_loop: Option<String>,
}

impl Lambda {
    pub(super) fn get_runtime_rule(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let target = request.target(NameRule::Function)?;
        let world = self.registry.world();
        let (number, _) = world.find(self.place(), &target)?;
        let version = version_text(number);
        let rule = world.function(&target.name).runtime_rules.get(&version);
        let mut shown = json!({
            "UpdateRuntimeOn": rule.map_or("Auto", |rule| rule.on.as_str()),
            "FunctionArn": qualified(self.place(), &target.name, Some(&version)).as_str(),
        });
        if let Some(arn) = rule.and_then(|rule| rule.arn.as_ref()) {
            shown["RuntimeVersionArn"] = json!(arn);
        }
        Ok(ok(&shown))
    }

    pub(super) async fn put_runtime_rule(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: RuntimeRequest = request.members()?;
        let mut constraints = Constraints::new();
        constraints.required("updateRuntimeOn", &asked.update_runtime_on);
        let words = ["Auto", "Manual", "FunctionUpdate"];
        constraints.one_of("updateRuntimeOn", asked.update_runtime_on.as_deref(), &words);
        constraints.length("runtimeVersionArn", asked.runtime_version_arn.as_deref(), 26, 2048);
        constraints.shape("runtimeVersionArn", asked.runtime_version_arn.as_deref(), &RUNTIME_VERSION);
        constraints.finish()?;
        let target = request.target(NameRule::Function)?;
        let on = asked.update_runtime_on.unwrap_or_default();
        let arn = asked.runtime_version_arn;
        let shown = self.registry.change(|world| {
            let (number, version) = world.find(self.place(), &target)?;
            let ours = version.settings.runtime.as_ref().map(|runtime| runtime_version(self.place(), runtime));
            match (on.as_str(), &arn) {
                ("Manual", None) => Err(invalid("Please provide a runtime version ARN with UpdateRuntimeOn Manual.")),
                ("Manual", arn) if *arn != ours => Err(invalid(
                    "dropwire runs the interpreters of this machine: the one runtime version that can be chosen is that \
                     in the function's RuntimeVersionConfig",
                )),
                ("Manual", _) | (_, None) => Ok(()),
                (on, Some(_)) => Err(invalid(format!("A runtime version ARN goes with Manual, not with {on}."))),
            }?;
            let part = version_text(number);
            let mut shown = json!({
                "UpdateRuntimeOn": on,
                "FunctionArn": qualified(self.place(), &target.name, Some(&part)).as_str(),
            });
            if let Some(arn) = &arn {
                shown["RuntimeVersionArn"] = json!(arn);
            }
            let rule = RuntimeRule { on, arn };
            Ok((shown, vec![Edit::put(Key::of(&target.name, &part), Thing::RuntimeRule(rule))]))
        });
        Ok(ok(&shown.await?))
    }

    pub(super) fn get_recursion(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let name = request.whole_function()?;
        self.registry.world().must_exist(self.place(), &name)?;
        // Loops are not looked for here, so none is ended.
        Ok(ok(&json!({"RecursiveLoop": "Allow"})))
    }

    pub(super) async fn put_recursion(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: RecursionRequest = request.members()?;
        let mut constraints = Constraints::new();
        constraints.required("recursiveLoop", &asked.recursive_loop);
        constraints.one_of("recursiveLoop", asked.recursive_loop.as_deref(), &["Allow", "Terminate"]);
        constraints.finish()?;
        let name = request.whole_function()?;
        self.registry.world().must_exist(self.place(), &name)?;
        match asked.recursive_loop.as_deref() {
            Some("Allow") => Ok(ok(&json!({"RecursiveLoop": "Allow"}))),
            _ => Err(invalid("dropwire does not take Terminate: it does not look for recursive loops yet")),
        }
    }

    pub(super) fn get_code_signing(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let name = request.whole_function()?;
        self.registry.world().must_exist(self.place(), &name)?;
        Ok(ok(&json!({})))
    }

    pub(super) fn delete_code_signing(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let name = request.whole_function()?;
        self.registry.world().must_exist(self.place(), &name)?;
        Ok(nothing())
    }
}
