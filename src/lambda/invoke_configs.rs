//! Event-invoke configurations: how asynchronous invocations are retried, and where their records go.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::check::Constraints;
use super::destinations::{self, Purpose};
use super::errors::{invalid, missing};
use super::names::{NameRule, Target, qualified};
use super::read::listing;
use super::request::Request;
use super::requested::nothing_else;
use super::shapes::DESTINATION;
use super::shown::epoch;
use super::things::{InvokeConfig, Key, Kind, Thing};
use super::world::{Edit, World};
use super::{Lambda, nothing, ok};
use crate::aws::{Answer, AwsError};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ConfigRequest {
    maximum_retry_attempts: Option<i64>,
    maximum_event_age_in_seconds: Option<i64>,
    destination_config: Option<DestinationsRequest>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// `DestinationConfig`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DestinationsRequest {
    /// What gets the records of successes.
    pub on_success: Option<DestinationRequest>,
    /// What gets the records of failures.
    pub on_failure: Option<DestinationRequest>,
}

/// One destination.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DestinationRequest {
    /// Its ARN; none, or nothing, takes it away.
    pub destination: Option<String>,
}

impl DestinationRequest {
    /// The ARN, if it is not empty.
    pub fn arn(this: &Option<DestinationRequest>) -> Option<String> {
        this.as_ref()?.destination.clone().filter(|arn| !arn.is_empty())
    }
}

impl ConfigRequest {
    fn check(&self) -> Result<(), AwsError> {
        let mut constraints = Constraints::new();
        constraints.range("maximumRetryAttempts", self.maximum_retry_attempts, 0, 2);
        constraints.range("maximumEventAgeInSeconds", self.maximum_event_age_in_seconds, 60, 21_600);
        if let Some(config) = &self.destination_config {
            for (field, one) in [("onSuccess", &config.on_success), ("onFailure", &config.on_failure)] {
                let arn = one.as_ref().and_then(|one| one.destination.as_deref());
                constraints.shape(&format!("destinationConfig.{field}.destination"), arn, &DESTINATION);
            }
        }
        constraints.finish()?;
        nothing_else(&self.rest)?;
        let says_nothing = self.maximum_retry_attempts.is_none()
            && self.maximum_event_age_in_seconds.is_none()
            && self.destination_config.is_none();
        match says_nothing {
            true => Err(invalid("You must specify at least one of error handling or destination setting.")),
            false => Ok(()),
        }
    }

    /// `before` with what this request says.
    fn onto(&self, before: InvokeConfig, now: i64) -> InvokeConfig {
        // What fits the constraints fits the numbers.
        let number = |given: Option<i64>| given.and_then(|given| u32::try_from(given).ok());
        let mut after = InvokeConfig { modified: now, ..before };
        after.retries = number(self.maximum_retry_attempts).or(after.retries);
        after.age_max = number(self.maximum_event_age_in_seconds).or(after.age_max);
        if let Some(config) = &self.destination_config {
            if config.on_success.is_some() {
                after.on_success = DestinationRequest::arn(&config.on_success);
            }
            if config.on_failure.is_some() {
                after.on_failure = DestinationRequest::arn(&config.on_failure);
            }
        }
        after
    }
}

impl Lambda {
    fn config_target(&self, request: &Request<'_>) -> Result<Target, AwsError> {
        request.target(NameRule::Wide)
    }

    fn arn_of_config(&self, name: &str, qualifier: &str) -> String {
        qualified(self.place(), name, Some(qualifier)).to_string()
    }

    fn shown_config(&self, name: &str, qualifier: &str, config: &InvokeConfig) -> Value {
        let mut shown = json!({
            "LastModified": epoch(config.modified),
            "FunctionArn": self.arn_of_config(name, qualifier),
        });
        if let Some(retries) = config.retries {
            shown["MaximumRetryAttempts"] = json!(retries);
        }
        if let Some(age) = config.age_max {
            shown["MaximumEventAgeInSeconds"] = json!(age);
        }
        let destination =
            |arn: &Option<String>| arn.as_ref().map_or(json!({}), |arn| json!({ "Destination": arn }));
        shown["DestinationConfig"] = json!({ "OnSuccess": destination(&config.on_success), "OnFailure": destination(&config.on_failure) });
        shown
    }

    pub(super) async fn put_invoke_config(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        self.set_invoke_config(request, |_, _| Ok(InvokeConfig::default())).await
    }

    pub(super) async fn update_invoke_config(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        self.set_invoke_config(request, |none, before| before.ok_or(none)).await
    }

    async fn set_invoke_config(
        &self,
        request: &Request<'_>,
        start: impl FnOnce(AwsError, Option<InvokeConfig>) -> Result<InvokeConfig, AwsError>,
    ) -> Result<Answer, AwsError> {
        let asked: ConfigRequest = request.members()?;
        asked.check()?;
        let target = self.config_target(request)?;
        let shown = self.registry.change(|world| {
            self.must_have_for_config(world, &target)?;
            let before = world.function(&target.name).invoke_configs.get(target.version()).cloned();
            let config = asked.onto(start(self.no_config(&target), before)?, self.now());
            for (arn, purpose) in
                [(&config.on_success, Purpose::Success), (&config.on_failure, Purpose::Failure)]
            {
                if let Some(arn) = arn {
                    destinations::check(world, self.place(), arn, &target.name, purpose)?;
                }
            }
            let shown = self.shown_config(&target.name, target.version(), &config);
            let key = Key::of(&target.name, target.version());
            Ok((shown, vec![Edit::Put(key, Thing::InvokeConfig(config))]))
        });
        Ok(ok(&shown.await?))
    }

    fn must_have_for_config(&self, world: &World, target: &Target) -> Result<(), AwsError> {
        world.must_have(self.place(), target).map(drop).map_err(|_| missing("The function doesn't exist."))
    }

    fn no_config(&self, target: &Target) -> AwsError {
        let arn = self.arn_of_config(&target.name, target.version());
        missing(format!("The function {arn} doesn't have an EventInvokeConfig"))
    }

    pub(super) fn get_invoke_config(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let target = self.config_target(request)?;
        let world = self.registry.world();
        let config = world.function(&target.name).invoke_configs.get(target.version());
        let config = config.ok_or_else(|| self.no_config(&target))?;
        Ok(ok(&self.shown_config(&target.name, target.version(), config)))
    }

    pub(super) async fn delete_invoke_config(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let target = self.config_target(request)?;
        let change = self.registry.change(|world| {
            if !world.function(&target.name).invoke_configs.contains_key(target.version()) {
                return Err(self.no_config(&target));
            }
            let key = Key::of(&target.name, target.version());
            Ok(((), vec![Edit::Remove(Kind::InvokeConfig, key)]))
        });
        change.await?;
        Ok(nothing())
    }

    pub(super) fn list_invoke_configs(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let page = request.page(50)?;
        let name = request.name()?.name;
        let world = self.registry.world();
        let target = Target::unqualified(&name);
        self.must_have_for_config(&world, &target)?;
        let all = world.function(&name).invoke_configs.iter();
        let (configs, marker) = page
            .of(all
                .map(|(qualifier, config)| (qualifier.clone(), self.shown_config(&name, qualifier, config))));
        Ok(ok(&listing("FunctionEventInvokeConfigs", configs, marker)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_changes_what_it_names() {
        let asked: ConfigRequest = serde_json::from_value(json!({
            "MaximumRetryAttempts": 0,
            "DestinationConfig": { "OnFailure": {}, "OnSuccess": { "Destination": "arn:new" } },
        }))
        .expect("a request");
        let before = InvokeConfig {
            retries: Some(2),
            age_max: Some(60),
            on_success: None,
            on_failure: Some("arn:old".into()),
            modified: 1,
        };
        let after = asked.onto(before, 9);
        assert_eq!((after.retries, after.age_max, after.modified), (Some(0), Some(60), 9));
        assert_eq!((after.on_success.as_deref(), after.on_failure), (Some("arn:new"), None));
        let nothing: ConfigRequest = serde_json::from_value(json!({})).expect("a request");
        assert!(nothing.check().is_err());
    }
}
