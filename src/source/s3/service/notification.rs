//! A bucket's notifications: set by a call, in force as wires.

use futures_util::future::BoxFuture;
use http::StatusCode;

use super::super::super::SourceError;
use super::super::api::errors;
use super::super::api::notification::{Configuration, Kind, TestEvent, unvalidated};
use super::super::api::operation::Operation;
use super::{Ask, S3Api, broken, document};
use crate::arn::Arn;
use crate::aws::{Answer, AwsError};
use crate::config::LATEST;
use crate::delivery::policy::{AsyncPolicy, DeliveryPolicy};
use crate::wire::{Filter, Wire};

/// The setting that holds a bucket's notifications.
pub const NOTIFICATION: &str = "notification";

/// The header that leaves the targets alone.
const SKIP: &str = "x-amz-skip-destination-validation";

/// Publishes a text of S3 to the topic with this ARN; stored when it returns.
pub type Publish = Box<dyn Fn(&Arn, String) -> BoxFuture<'static, Result<(), SourceError>> + Send + Sync>;

/// A target and the bucket that is to notify it.
pub struct Notified<'a> {
    /// The target.
    pub target: &'a Arn,
    /// The bucket.
    pub bucket: &'a Arn,
}

/// Says whether the target is there and may be notified by the bucket, and why not.
pub type Reachable = Box<dyn Fn(Notified<'_>) -> Result<(), String> + Send + Sync>;

/// The wires that a bucket's notifications are.
pub fn wires(bucket: &Arn, configuration: &Configuration) -> Vec<Wire> {
    let wire = |notification: &super::super::api::notification::Notification| {
        let events = notification.plain_events();
        let (prefix, suffix) = (notification.prefix().to_owned(), notification.suffix().to_owned());
        let policy = if notification.kind == Kind::Function {
            AsyncPolicy::lambda()
        } else {
            AsyncPolicy::destination()
        };
        Some(Wire {
            id: format!("{}{}/{}", crate::wire::NOTIFICATION, bucket.name(), notification.id),
            source: bucket.clone(),
            filter: Filter::Keys { events, prefix, suffix },
            target: target(&notification.arn)?,
            policy: DeliveryPolicy::Async(policy),
            dead_letters: None,
            on_failure: None,
            on_success: None,
            declared_at: String::new(),
        })
    };
    configuration.notifications.iter().filter_map(wire).collect()
}

/// What a notification goes to: a function's `$LATEST` is the function itself.
fn target(arn: &str) -> Option<Arn> {
    let arn = Arn::parse(arn)?;
    Some(if arn.qualifier() == Some(LATEST) { arn.unqualified() } else { arn })
}

impl S3Api {
    pub(super) async fn notification(
        &self,
        operation: Operation,
        ask: &Ask<'_>,
        body: &[u8],
    ) -> Result<Answer, AwsError> {
        if operation == Operation::GetBucketNotification {
            let configuration: Option<Configuration> = ask.bucket.get(NOTIFICATION).await?;
            return Ok(document(configuration.unwrap_or_default().document()));
        }
        let configuration = Configuration::read(body, || self.random.uuid(4))?;
        if configuration.event_bridge {
            return Err(errors::part_not_built("EventBridgeConfiguration"));
        }
        if configuration.notifications.iter().any(|one| one.kind == Kind::Queue) {
            return Err(errors::part_not_built("QueueConfiguration"));
        }
        self.must_be_of_this_region(&configuration)?;
        if ask.header(SKIP) != Some("true") {
            self.must_be_reachable(ask, &configuration)?;
        }
        let _alone = self.alone.lock().await;
        ask.bucket.set(NOTIFICATION, Some(&configuration)).await?;
        ask.bucket.notify(configuration.clone());
        self.buckets.apply().await;
        if ask.header(SKIP) != Some("true") {
            self.tell_topics(ask, &configuration).await?;
        }
        Ok(Answer::empty(StatusCode::OK))
    }

    fn must_be_of_this_region(&self, configuration: &Configuration) -> Result<(), AwsError> {
        let is_here = |arn: &str| target(arn).is_none_or(|arn| arn.region() == self.place.region);
        match configuration.notifications.iter().all(|one| is_here(&one.arn)) {
            true => Ok(()),
            false => Err(errors::bad_argument(
                "The notification destination service region is not valid for the bucket location constraint",
            )),
        }
    }

    fn must_be_reachable(&self, ask: &Ask<'_>, configuration: &Configuration) -> Result<(), AwsError> {
        let bucket = Arn::bucket(&ask.bucket.spec.name);
        for notification in &configuration.notifications {
            let target = target(&notification.arn).ok_or_else(|| "it is no ARN".to_owned());
            let reached =
                target.and_then(|target| (self.reachable)(Notified { target: &target, bucket: &bucket }));
            reached.map_err(|why| unvalidated(&notification.arn, &why))?;
        }
        Ok(())
    }

    /// Tells each topic that it is a target now. Functions are not told.
    async fn tell_topics(&self, ask: &Ask<'_>, configuration: &Configuration) -> Result<(), AwsError> {
        let ids = (ask.caller.request_id.as_str(), ask.caller.host_id.as_str());
        let told = TestEvent::new(&ask.bucket.spec.name, self.clock.now(), ids);
        let told = serde_json::to_string(&told).map_err(|error| broken(&error))?;
        for arn in configuration.topics().into_iter().filter_map(Arn::parse) {
            (self.publish)(&arn, told.clone()).await.map_err(|error| broken(&error))?;
        }
        Ok(())
    }
}
