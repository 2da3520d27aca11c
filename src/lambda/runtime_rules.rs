//! GetRuntimeManagementConfig, PutRuntimeManagementConfig. The runtime here is whatever interpreter is installed, so
//! only what that makes true is taken.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::check::Constraints;
use super::errors::invalid;
use super::names::{NameRule, Target, qualified};
use super::request::Request;
use super::requested::nothing_else;
use super::things::{Key, RuntimeRule, Thing};
use super::world::Edit;
use super::{Lambda, ok};
use crate::aws::{Answer, AwsError};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RuleRequest {
    update_runtime_on: Option<String>,
    runtime_version_arn: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Lambda {
    fn shown_rule(&self, target: &Target, rule: Option<&RuntimeRule>) -> Value {
        json!({
            "UpdateRuntimeOn": rule.map_or("Auto", |rule| rule.on.as_str()),
            "FunctionArn": qualified(self.place(), &target.name, Some(target.version())).as_str(),
        })
    }

    pub(super) fn get_runtime_rule(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let target = request.target(NameRule::Function)?;
        let world = self.registry.world();
        let function = world.must_have(self.place(), &target)?;
        Ok(ok(&self.shown_rule(&target, function.runtime_rules.get(target.version()))))
    }

    pub(super) async fn put_runtime_rule(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: RuleRequest = request.members()?;
        nothing_else(&asked.rest)?;
        let mut constraints = Constraints::new();
        constraints.required("updateRuntimeOn", &asked.update_runtime_on);
        let words = ["Auto", "Manual", "FunctionUpdate"];
        constraints.one_of("updateRuntimeOn", asked.update_runtime_on.as_deref(), &words);
        constraints.finish()?;
        let target = request.target(NameRule::Function)?;
        if asked.update_runtime_on.as_deref() == Some("Manual") || asked.runtime_version_arn.is_some() {
            return Err(invalid(
                "dropwire does not take a RuntimeVersionArn: functions run with the interpreter that is installed here",
            ));
        }
        let rule = RuntimeRule { on: asked.update_runtime_on.unwrap_or_default(), arn: None };
        let shown = self.shown_rule(&target, Some(&rule));
        let change = self.registry.change(|world| {
            world.must_have(self.place(), &target)?;
            let key = Key::of(&target.name, target.version());
            Ok(((), vec![Edit::Put(key, Thing::RuntimeRule(rule))]))
        });
        change.await?;
        Ok(ok(&shown))
    }
}
