//! What a request says of an event source mapping, and which of it can be honoured. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::check::Constraints;
use super::errors::{invalid, validation};
use super::invoke_configs::{DestinationRequest, DestinationsRequest};
use super::requested::nothing_else;
use super::shapes::{DESTINATION, SOURCE_ARN};
use super::things::Mapping;
use crate::arn::Arn;
use crate::aws::AwsError;
use crate::event::pattern::{Dialect, Pattern};

/// At most so many filters, each at most so long.
const FILTERS_MAX: usize = 10;
const FILTER_LENGTH_MAX: usize = 4096;

/// The members of a request that makes or changes a mapping.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MappingRequest {
    /// `FunctionName`.
    pub function_name: Option<String>,
    /// `EventSourceArn`.
    pub event_source_arn: Option<String>,
    /// `Enabled`.
    pub enabled: Option<bool>,
    batch_size: Option<i64>,
    maximum_batching_window_in_seconds: Option<i64>,
    parallelization_factor: Option<i64>,
    /// `StartingPosition`.
    pub starting_position: Option<String>,
    starting_position_timestamp: Option<Value>,
    maximum_record_age_in_seconds: Option<i64>,
    maximum_retry_attempts: Option<i64>,
    bisect_batch_on_function_error: Option<bool>,
    tumbling_window_in_seconds: Option<i64>,
    filter_criteria: Option<FiltersRequest>,
    function_response_types: Option<Vec<String>>,
    destination_config: Option<DestinationsRequest>,
    /// `Tags`.
    pub tags: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct FiltersRequest {
    filters: Vec<FilterRequest>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct FilterRequest {
    pattern: Option<String>,
}

impl MappingRequest {
    /// The rules on each member for itself.
    pub fn check(&self) -> Result<(), AwsError> {
        let mut constraints = Constraints::new();
        constraints.shape("eventSourceArn", self.event_source_arn.as_deref(), &SOURCE_ARN);
        constraints.range("batchSize", self.batch_size, 1, 10_000);
        constraints.range("maximumBatchingWindowInSeconds", self.maximum_batching_window_in_seconds, 0, 300);
        constraints.range("parallelizationFactor", self.parallelization_factor, 1, 10);
        let positions = ["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"];
        constraints.one_of("startingPosition", self.starting_position.as_deref(), &positions);
        constraints.range("maximumRecordAgeInSeconds", self.maximum_record_age_in_seconds, -1, 604_800);
        constraints.range("maximumRetryAttempts", self.maximum_retry_attempts, -1, 10_000);
        constraints.range("tumblingWindowInSeconds", self.tumbling_window_in_seconds, 0, 900);
        let types = self.function_response_types.as_deref().unwrap_or_default();
        constraints.each_one_of("functionResponseTypes", types, &["ReportBatchItemFailures"]);
        let arn = self.on_failure();
        constraints.shape("destinationConfig.onFailure.destination", arn.as_deref(), &DESTINATION);
        constraints.finish()?;
        nothing_else(&self.rest)?;
        if self.maximum_record_age_in_seconds.is_some_and(|age| (0..60).contains(&age)) {
            return Err(invalid("MaximumRecordAgeInSeconds must be -1 or between 60 and 604800 seconds."));
        }
        if self.parallelization_factor.is_some_and(|factor| factor > 1) {
            return Err(invalid(
                "dropwire does not take a ParallelizationFactor over 1: a stream has one lane here yet",
            ));
        }
        if self.tumbling_window_in_seconds.is_some_and(|window| window > 0) {
            return Err(invalid(
                "dropwire does not take TumblingWindowInSeconds: there are no tumbling windows here yet",
            ));
        }
        self.check_filters()
    }

    fn check_filters(&self) -> Result<(), AwsError> {
        let filters = self.filters().unwrap_or_default();
        if filters.len() > FILTERS_MAX {
            return Err(invalid(format!("The FilterCriteria can have at most {FILTERS_MAX} filters.")));
        }
        let good = |text: &String| {
            text.len() <= FILTER_LENGTH_MAX && Pattern::parse(text, Dialect::EventBridge).is_ok()
        };
        if filters.iter().all(good) { Ok(()) } else { Err(invalid("Invalid filter pattern definition.")) }
    }

    /// What a mapping on a stream must say: where it begins.
    pub fn check_position(&self, arn: &str) -> Result<(), AwsError> {
        match self.starting_position.as_deref() {
            None => Err(AwsError {
                code: "InvalidParameterValueException",
                ..validation(
                    "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member \
                     must not be null.",
                )
            }),
            Some("AT_TIMESTAMP") => {
                Err(invalid(format!("Unsupported starting position for arn type: {arn}")))
            }
            Some(_) if self.starting_position_timestamp.is_some() => {
                Err(invalid("StartingPositionTimestamp goes with the starting position AT_TIMESTAMP only."))
            }
            Some(_) => Ok(()),
        }
    }

    fn filters(&self) -> Option<Vec<String>> {
        let criteria = self.filter_criteria.as_ref()?;
        Some(criteria.filters.iter().filter_map(|filter| filter.pattern.clone()).collect())
    }

    /// Where records of failures are to go, if the request says so.
    pub fn on_failure(&self) -> Option<String> {
        DestinationRequest::arn(&self.destination_config.as_ref()?.on_failure)
    }

    /// `before` with what this request says.
    pub fn onto(&self, before: Mapping, now: i64) -> Mapping {
        // What fits the constraints fits the numbers.
        let number = |given: Option<i64>| given.and_then(|given| u32::try_from(given).ok());
        let mut after = Mapping { modified: now, ..before };
        after.enabled = self.enabled.unwrap_or(after.enabled);
        after.batch = number(self.batch_size).unwrap_or(after.batch);
        after.window = number(self.maximum_batching_window_in_seconds).unwrap_or(after.window);
        after.retries = self.maximum_retry_attempts.unwrap_or(after.retries);
        after.age_max = self.maximum_record_age_in_seconds.unwrap_or(after.age_max);
        after.bisect = self.bisect_batch_on_function_error.unwrap_or(after.bisect);
        if let Some(types) = &self.function_response_types {
            after.report_failures = !types.is_empty();
        }
        after.filters = self.filters().unwrap_or(after.filters);
        if self.destination_config.is_some() {
            after.on_failure = self.on_failure();
        }
        after
    }
}

/// The table whose stream an ARN means: with the stream's label, or without. None if it is no table's.
pub fn table_of(arn: &Arn) -> Option<(&str, Option<&str>)> {
    let resource = arn.as_str().splitn(6, ':').nth(5)?;
    let rest = resource.strip_prefix("table/").filter(|_| arn.service() == "dynamodb")?;
    Some(match rest.split_once("/stream/") {
        Some((table, label)) => (table, Some(label)),
        None => (rest, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(request: Value, expected: Result<(), &str>) {
        let parsed: MappingRequest = serde_json::from_value(request.clone()).expect("a request");
        match (parsed.check(), expected) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(words)) => assert!(error.message.contains(words), "{request}: {error}"),
            (found, _) => panic!("{request}: {found:?}"),
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        check(json!({ "BatchSize": 100, "Enabled": true, "TumblingWindowInSeconds": 0 }), Ok(()));
        check(json!({ "BatchSize": 0 }), Err("have value greater than or equal to 1"));
        check(json!({ "ParallelizationFactor": 2 }), Err("one lane"));
        check(json!({ "TumblingWindowInSeconds": 5 }), Err("no tumbling windows"));
        check(json!({ "MaximumRecordAgeInSeconds": 59 }), Err("-1 or between 60"));
        check(
            json!({ "FilterCriteria": { "Filters": [{ "Pattern": "{" }] } }),
            Err("Invalid filter pattern definition."),
        );
        check(json!({ "ScalingConfig": { "MaximumConcurrency": 5 } }), Err("ScalingConfig"));
    }

    #[test]
    fn a_stream_begins_somewhere() {
        let at = |position: Option<&str>| MappingRequest {
            starting_position: position.map(str::to_owned),
            ..MappingRequest::default()
        };
        assert_eq!(at(Some("LATEST")).check_position("a"), Ok(()));
        let error = at(Some("AT_TIMESTAMP")).check_position("arn:x").expect_err("refused");
        assert_eq!(error.message, "Unsupported starting position for arn type: arn:x");
        let error = at(None).check_position("a").expect_err("refused");
        assert!(error.message.contains("Value null at 'startingPosition'"), "{error}");
    }

    #[test]
    fn a_table_is_known_by_its_stream() {
        let check = |text: &str, expected| {
            assert_eq!(table_of(&Arn::parse(text).expect("an ARN")), expected, "{text}");
        };
        check(
            "arn:aws:dynamodb:r:1:table/t/stream/2024-11-18T14:36:44.149",
            Some(("t", Some("2024-11-18T14:36:44.149"))),
        );
        check("arn:aws:dynamodb:r:1:table/t", Some(("t", None)));
        check("arn:aws:sqs:r:1:q", None);
    }
}
