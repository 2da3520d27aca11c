//! What a request says of an event source mapping, and its rules. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::check::Constraints;
use super::errors::{invalid, missing};
use super::invoke_configs::{Destinations, given};
use super::requested::nothing_else;
use super::shapes::SOURCE_ARN;
use super::things::Mapping;
use crate::arn::Arn;
use crate::aws::AwsError;
use crate::event::pattern::{Dialect, Pattern};

/// The members of creating and updating a mapping.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MappingRequest {
    pub event_source_arn: Option<String>,
    pub function_name: Option<String>,
    pub enabled: Option<bool>,
    pub batch_size: Option<i64>,
    pub filter_criteria: Option<Criteria>,
    pub maximum_batching_window_in_seconds: Option<i64>,
    pub parallelization_factor: Option<i64>,
    pub starting_position: Option<String>,
    pub starting_position_timestamp: Option<Value>,
    pub destination_config: Option<Destinations>,
    pub maximum_record_age_in_seconds: Option<i64>,
    pub bisect_batch_on_function_error: Option<bool>,
    pub maximum_retry_attempts: Option<i64>,
    pub tags: Option<BTreeMap<String, String>>,
    pub tumbling_window_in_seconds: Option<i64>,
    pub function_response_types: Option<Vec<String>>,
    /// Everything else: nothing is taken that would then be ignored.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// `FilterCriteria`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Criteria {
    /// One of them must match.
    pub filters: Option<Vec<FilterRequest>>,
}

/// One filter.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FilterRequest {
    /// Its pattern.
    pub pattern: Option<String>,
}

/// A mapping has at most so many filters, by quota.
const FILTERS_MAX: usize = 10;

/// What kind of source an ARN names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// The stream of a DynamoDB table.
    Table,
    /// A Kinesis stream.
    Kinesis,
    /// An SQS queue.
    Queue,
}

/// The kind of source of an ARN.
pub fn kind(arn: &str) -> Result<SourceKind, AwsError> {
    match Arn::parse(arn).as_ref().map(Arn::service) {
        Some("dynamodb") => Ok(SourceKind::Table),
        Some("kinesis") => Ok(SourceKind::Kinesis),
        Some("sqs") => Ok(SourceKind::Queue),
        _ => Err(invalid("Unrecognized event source.")),
    }
}

impl MappingRequest {
    /// The constraints on each member by itself.
    pub fn constrain(&self, constraints: &mut Constraints) {
        constraints.shape("eventSourceArn", self.event_source_arn.as_deref(), &SOURCE_ARN);
        constraints.range("batchSize", self.batch_size, 1, 10_000);
        let window = self.maximum_batching_window_in_seconds;
        constraints.range("maximumBatchingWindowInSeconds", window, 0, 300);
        constraints.range("parallelizationFactor", self.parallelization_factor, 1, 10);
        let positions = ["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"];
        constraints.one_of("startingPosition", self.starting_position.as_deref(), &positions);
        constraints.range("maximumRecordAgeInSeconds", self.maximum_record_age_in_seconds, -1, 604_800);
        constraints.range("maximumRetryAttempts", self.maximum_retry_attempts, -1, 10_000);
        constraints.range("tumblingWindowInSeconds", self.tumbling_window_in_seconds, 0, 900);
        let types = self.function_response_types.as_deref().unwrap_or_default();
        constraints.size("functionResponseTypes", types, 0, 1);
        constraints.each_one_of("functionResponseTypes", types, &["ReportBatchItemFailures"]);
        for pattern in self.patterns().unwrap_or_default() {
            constraints.length("filterCriteria.filters.1.member.pattern", Some(&pattern), 0, 4096);
        }
        if let Some(destinations) = &self.destination_config {
            destinations.constrain(constraints);
        }
    }

    /// The rules for any stream that are more than the form of one member.
    pub fn check_stream(&self) -> Result<(), AwsError> {
        nothing_else(&self.rest)?;
        if self.starting_position_timestamp.is_some() {
            return Err(invalid("StartingPositionTimestamp goes with AT_TIMESTAMP only."));
        }
        if self.maximum_record_age_in_seconds.is_some_and(|age| (0..60).contains(&age)) {
            return Err(invalid("Maximum record age in seconds must be -1 or between 60 and 604800"));
        }
        if self.parallelization_factor.is_some_and(|factor| factor > 1) {
            return Err(invalid(
                "dropwire does not take a ParallelizationFactor above 1: batches of a table go one after another here yet",
            ));
        }
        if self.tumbling_window_in_seconds.is_some_and(|window| window > 0) {
            return Err(invalid(
                "dropwire does not take TumblingWindowInSeconds: there are no tumbling windows here yet",
            ));
        }
        if self.destination_config.as_ref().is_some_and(|config| given(&config.on_success).is_some()) {
            return Err(invalid(
                "Unsupported DestinationConfig parameter for given event source mapping type.",
            ));
        }
        self.check_filters()
    }

    /// What updating a mapping cannot change.
    pub fn check_update(&self) -> Result<(), AwsError> {
        match (&self.event_source_arn, &self.starting_position, &self.tags) {
            (None, None, None) => Ok(()),
            _ => Err(invalid(
                "EventSourceArn, StartingPosition and Tags cannot be updated: make a new mapping, or use TagResource.",
            )),
        }
    }

    /// The rules for a queue.
    pub fn check_queue(&self) -> Result<(), AwsError> {
        if self.destination_config.is_some() {
            return Err(invalid(
                "Unsupported DestinationConfig parameter for given event source mapping type.",
            ));
        }
        let window = self.maximum_batching_window_in_seconds.unwrap_or_default();
        if self.batch_size.is_some_and(|size| size > 10) && window == 0 {
            return Err(invalid(
                "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
            ));
        }
        self.check_filters()
    }

    fn check_filters(&self) -> Result<(), AwsError> {
        let patterns = self.patterns().unwrap_or_default();
        let bad = patterns.iter().any(|text| Pattern::parse(text, Dialect::EventBridge).is_err());
        match bad || patterns.len() > FILTERS_MAX {
            true => Err(invalid("Invalid filter pattern definition.")),
            false => Ok(()),
        }
    }

    /// Where a new mapping begins.
    pub fn position(&self, arn: &str, kind: SourceKind) -> Result<String, AwsError> {
        match self.starting_position.as_deref() {
            None => {
                let mut constraints = Constraints::new();
                constraints.required::<String>("startingPosition", &None);
                Err(invalid(format!("{}.", constraints.text().unwrap_or_default())))
            }
            Some("AT_TIMESTAMP") if kind == SourceKind::Table => {
                Err(invalid(format!("Unsupported starting position for arn type: {arn}")))
            }
            Some(position) => Ok(position.to_owned()),
        }
    }

    /// The mapping `before` with what this request says; its function stays.
    pub fn onto(&self, before: &Mapping, modified: i64) -> Mapping {
        let number =
            |given: Option<i64>, before: u32| given.and_then(|n| u32::try_from(n).ok()).unwrap_or(before);
        let mut after = Mapping { modified, ..before.clone() };
        after.enabled = self.enabled.unwrap_or(after.enabled);
        after.batch = number(self.batch_size, after.batch);
        after.window = number(self.maximum_batching_window_in_seconds, after.window);
        after.retries = self.maximum_retry_attempts.unwrap_or(after.retries);
        after.age_max = self.maximum_record_age_in_seconds.unwrap_or(after.age_max);
        after.bisect = self.bisect_batch_on_function_error.unwrap_or(after.bisect);
        if let Some(types) = &self.function_response_types {
            after.report_failures = !types.is_empty();
        }
        after.filters = self.patterns().unwrap_or(after.filters);
        if let Some(destinations) = &self.destination_config {
            after.on_failure = given(&destinations.on_failure);
        }
        after
    }

    /// The filters' patterns; None if the request says nothing of filters.
    fn patterns(&self) -> Option<Vec<String>> {
        let filters = self.filter_criteria.as_ref()?.filters.as_deref().unwrap_or_default();
        Some(filters.iter().map(|filter| filter.pattern.clone().unwrap_or_else(|| "{}".into())).collect())
    }
}

/// Why a source that dropwire does not have is not taken.
pub fn no_source(kind: SourceKind) -> AwsError {
    let (what, way) = match kind {
        SourceKind::Queue => ("SQS queues", "the queues here only take dead letters and records of failures"),
        SourceKind::Kinesis => ("Kinesis streams", "there are none"),
        SourceKind::Table => return missing("Stream not found"),
    };
    invalid(format!("dropwire does not have {what} as event sources yet: {way}"))
}
