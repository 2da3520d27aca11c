//! Event-invoke configurations: how asynchronous invocations are retried, and where their records go.

use serde::Deserialize;
use serde_json::{Value, json};

use super::check::Constraints;
use super::destinations::{self, Purpose};
use super::errors::{invalid, missing};
use super::names::{NameRule, Target, qualified};
use super::read::listing;
use super::request::Request;
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
    destination_config: Option<Destinations>,
}

/// `DestinationConfig`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Destinations {
    /// What gets records of success.
    pub on_success: Option<Destination>,
    /// What gets records of failure.
    pub on_failure: Option<Destination>,
}

/// One destination.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Destination {
    /// Its ARN.
    pub destination: Option<String>,
}

impl Destinations {
    /// The forms of the ARNs.
    pub fn constrain(&self, constraints: &mut Constraints) {
        for (field, given) in [("onSuccess", &self.on_success), ("onFailure", &self.on_failure)] {
            let arn = given.as_ref().and_then(|given| given.destination.as_deref());
            let field = format!("destinationConfig.{field}.destination");
            constraints.length(&field, arn, 0, 350);
            constraints.shape(&field, arn, &DESTINATION);
        }
    }
}

/// The ARN that is given, or None for an empty one.
pub fn given(destination: &Option<Destination>) -> Option<String> {
    destination.as_ref()?.destination.clone().filter(|arn| !arn.is_empty())
}

impl ConfigRequest {
    fn check(&self) -> Result<(), AwsError> {
        let mut constraints = Constraints::new();
        constraints.range("maximumRetryAttempts", self.maximum_retry_attempts, 0, 2);
        constraints.range("maximumEventAgeInSeconds", self.maximum_event_age_in_seconds, 60, 21_600);
        if let Some(destinations) = &self.destination_config {
            destinations.constrain(&mut constraints);
        }
        constraints.finish()?;
        let destinations = self.destination_config.as_ref();
        let has_destination =
            destinations.is_some_and(|config| config.on_success.is_some() || config.on_failure.is_some());
        let has_handling =
            self.maximum_retry_attempts.is_some() || self.maximum_event_age_in_seconds.is_some();
        match has_destination || has_handling {
            true => Ok(()),
            false => Err(invalid("You must specify at least one of error handling or destination setting.")),
        }
    }

    /// The configuration `before` with what this request says.
    fn onto(&self, before: InvokeConfig, modified: i64) -> InvokeConfig {
        let number = |given: Option<i64>| given.and_then(|given| u32::try_from(given).ok());
        let mut after = InvokeConfig { modified, ..before };
        after.retries = number(self.maximum_retry_attempts).or(after.retries);
        after.age_max = number(self.maximum_event_age_in_seconds).or(after.age_max);
        if let Some(destinations) = &self.destination_config {
            if destinations.on_success.is_some() {
                after.on_success = given(&destinations.on_success);
            }
            if destinations.on_failure.is_some() {
                after.on_failure = given(&destinations.on_failure);
            }
        }
        after
    }
}

fn must_be_there(lambda: &Lambda, world: &World, target: &Target) -> Result<(), AwsError> {
    world.find(lambda.place(), target).map(drop).map_err(|_| missing("The function doesn't exist."))
}

impl Lambda {
    fn shown_invoke_config(&self, target: &Target, config: &InvokeConfig) -> Value {
        let destination =
            |arn: &Option<String>| arn.as_ref().map_or(json!({}), |arn| json!({"Destination": arn}));
        let mut shown = json!({
            "LastModified": epoch(config.modified),
            "FunctionArn": qualified(self.place(), &target.name, Some(target.version())).as_str(),
            "DestinationConfig": {
                "OnSuccess": destination(&config.on_success),
                "OnFailure": destination(&config.on_failure),
            },
        });
        if let Some(retries) = config.retries {
            shown["MaximumRetryAttempts"] = json!(retries);
        }
        if let Some(age_max) = config.age_max {
            shown["MaximumEventAgeInSeconds"] = json!(age_max);
        }
        shown
    }

    fn no_invoke_config(&self, target: &Target) -> AwsError {
        let arn = qualified(self.place(), &target.name, Some(target.version()));
        missing(format!("The function {arn} doesn't have an EventInvokeConfig"))
    }

    pub(super) async fn put_invoke_config(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        self.change_invoke_config(request, |_, _| Ok(InvokeConfig::default())).await
    }

    pub(super) async fn update_invoke_config(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        self.change_invoke_config(request, |world, target| {
            let before = world.function(&target.name).invoke_configs.get(target.version());
            before.cloned().ok_or_else(|| self.no_invoke_config(target))
        })
        .await
    }

    async fn change_invoke_config(
        &self,
        request: &Request<'_>,
        before: impl FnOnce(&World, &Target) -> Result<InvokeConfig, AwsError>,
    ) -> Result<Answer, AwsError> {
        let asked: ConfigRequest = request.members()?;
        let target = request.target(NameRule::Wide)?;
        asked.check()?;
        let shown = self.registry.change(|world| {
            must_be_there(self, world, &target)?;
            let config = asked.onto(before(world, &target)?, self.now());
            for (arn, purpose) in
                [(&config.on_success, Purpose::Success), (&config.on_failure, Purpose::Failure)]
            {
                if let Some(arn) = arn {
                    destinations::check(world, self.place(), arn, &target.name, purpose)?;
                }
            }
            let shown = self.shown_invoke_config(&target, &config);
            let key = Key::of(&target.name, target.version());
            Ok((shown, vec![Edit::put(key, Thing::InvokeConfig(config))]))
        });
        Ok(ok(&shown.await?))
    }

    pub(super) fn get_invoke_config(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let target = request.target(NameRule::Wide)?;
        let world = self.registry.world();
        must_be_there(self, &world, &target)?;
        let config = world.function(&target.name).invoke_configs.get(target.version());
        let config = config.ok_or_else(|| self.no_invoke_config(&target))?;
        Ok(ok(&self.shown_invoke_config(&target, config)))
    }

    pub(super) async fn delete_invoke_config(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let target = request.target(NameRule::Wide)?;
        let change = self.registry.change(|world| {
            must_be_there(self, world, &target)?;
            if !world.function(&target.name).invoke_configs.contains_key(target.version()) {
                return Err(self.no_invoke_config(&target));
            }
            let key = Key::of(&target.name, target.version());
            Ok(((), vec![Edit::Remove(Kind::InvokeConfig, key)]))
        });
        change.await?;
        Ok(nothing())
    }

    pub(super) fn list_invoke_configs(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let page = request.page(50)?;
        let name = request.target(NameRule::Wide)?.name;
        let world = self.registry.world();
        must_be_there(self, &world, &Target::unqualified(&name))?;
        let entries = world.function(&name).invoke_configs.iter().map(|(qualifier, config)| {
            let target = Target { name: name.clone(), qualifier: Some(qualifier.clone()) };
            (qualifier.clone(), self.shown_invoke_config(&target, config))
        });
        let (entries, marker) = page.of(entries);
        Ok(ok(&listing("FunctionEventInvokeConfigs", entries, marker)))
    }
}
