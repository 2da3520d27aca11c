//! Event source mappings: wires from the streams of tables that are made by calls.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::check::Constraints;
use super::destinations::{self, Purpose};
use super::errors::{NOT_THERE, conflict, invalid, missing};
use super::mapping_request::{MappingRequest, table_of};
use super::names::{NameRule, Target, parse_name, qualified};
use super::read::listing;
use super::request::Request;
use super::shown::epoch;
use super::things::{Key, Kind, Mapping, Thing};
use super::world::{Edit, Phase, World};
use super::{Lambda, accepted, ok, tags};
use crate::arn::Arn;
use crate::aws::{Answer, AwsError};
use crate::config::LATEST;
use crate::delivery::policy::DeliveryPolicy;
use crate::delivery::stream::StreamPolicy;
use crate::event::pattern::{Dialect, Pattern};
use crate::wire::{Filter, Wire};

const USER: &str = "User action";

impl Lambda {
    /// The mappings that deliver, as wires.
    pub fn mappings(&self) -> Vec<Wire> {
        let world = self.registry.world();
        let enabled =
            world.mappings.iter().filter(|(_, mapping)| mapping.enabled && world.exists(&mapping.function));
        enabled.filter_map(|(id, mapping)| self.wire(id, mapping)).collect()
    }

    fn wire(&self, id: &str, mapping: &Mapping) -> Option<Wire> {
        let source = Arn::parse(&mapping.source)?;
        let (table, _) = table_of(&source)?;
        // They were checked when they came.
        let patterns: Option<Vec<Pattern>> =
            mapping.filters.iter().map(|text| Pattern::parse(text, Dialect::EventBridge).ok()).collect();
        let patterns = patterns?;
        let by_default = StreamPolicy::default();
        let policy = StreamPolicy {
            from_horizon: mapping.position == "TRIM_HORIZON",
            batch: mapping.batch as usize,
            window: Duration::from_secs(mapping.window.into()),
            retries: u32::try_from(mapping.retries).ok(),
            age_max: u64::try_from(mapping.age_max).map_or(by_default.age_max, Duration::from_secs),
            bisect: mapping.bisect,
            report_failures: mapping.report_failures,
            ..by_default
        };
        Some(Wire {
            id: format!("esm/{id}"),
            source: Arn::table(self.place(), table),
            filter: if patterns.is_empty() { Filter::All } else { Filter::Record(patterns) },
            target: qualified(self.place(), &mapping.function, qualifier(mapping)),
            policy: DeliveryPolicy::Stream(policy),
            dead_letters: None,
            on_failure: mapping.on_failure.as_deref().and_then(Arn::parse),
            on_success: None,
            declared_at: String::new(),
        })
    }

    fn shown_mapping(&self, world: &World, id: &str, mapping: &Mapping) -> Value {
        let (state, gone) =
            (state(world.mapping_phase(id), mapping.enabled), !world.exists(&mapping.function));
        let place = self.place();
        let on_failure = mapping.on_failure.as_ref().map_or(json!({}), |arn| json!({ "Destination": arn }));
        let types: &[&str] = if mapping.report_failures { &["ReportBatchItemFailures"] } else { &[] };
        let mut shown = json!({
            "UUID": id,
            "EventSourceMappingArn":
                format!("arn:aws:lambda:{}:{}:event-source-mapping:{id}", place.region, place.account),
            "EventSourceArn": mapping.source,
            "FunctionArn": qualified(place, &mapping.function, qualifier(mapping)).as_str(),
            "BatchSize": mapping.batch,
            "MaximumBatchingWindowInSeconds": mapping.window,
            "ParallelizationFactor": 1,
            "StartingPosition": mapping.position,
            "MaximumRecordAgeInSeconds": mapping.age_max,
            "MaximumRetryAttempts": mapping.retries,
            "BisectBatchOnFunctionError": mapping.bisect,
            "TumblingWindowInSeconds": 0,
            "DestinationConfig": { "OnFailure": on_failure },
            "FunctionResponseTypes": types,
            "LastModified": epoch(mapping.modified),
            "LastProcessingResult": if gone { "PROBLEM: Function not found" } else { "No records processed" },
            "State": state,
            "StateTransitionReason": USER,
        });
        if !mapping.filters.is_empty() {
            let filters: Vec<Value> =
                mapping.filters.iter().map(|pattern| json!({ "Pattern": pattern })).collect();
            shown["FilterCriteria"] = json!({ "Filters": filters });
        }
        shown
    }

    pub(super) async fn create_mapping(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: MappingRequest = request.members()?;
        let mut constraints = Constraints::new();
        constraints.required("functionName", &asked.function_name);
        constraints.finish()?;
        asked.check()?;
        tags::check(asked.tags.as_ref().unwrap_or(&Default::default()), 0)?;
        let source = asked.event_source_arn.as_deref().and_then(Arn::parse);
        let source = source.ok_or_else(|| invalid("Unrecognized event source."))?;
        let name = asked.function_name.as_deref().unwrap_or_default();
        let target = parse_name(name, None, NameRule::Wide, self.place())?;
        let id = self.ground.random.uuid(4);
        let shown = self.registry.change(|world| {
            let source = stream_of(world, &source)?;
            asked.check_position(&source)?;
            let mapping = Mapping { source, ..fresh(&target, &asked) };
            let mapping = asked.onto(mapping, self.now());
            self.may_deliver(world, &mapping)?;
            let same = |known: &Mapping| known.source == mapping.source && known.function == mapping.function;
            if let Some((known, _)) = world.mappings.iter().find(|(_, known)| same(known)) {
                return Err(conflict(format!(
                    "The event source arn (\" {} \") and function (\" {} \") provided mapping already exists. Please update \
                     or delete the existing mapping with UUID {known}",
                    mapping.source, mapping.function
                )));
            }
            let edits = [
                Edit::Put(Key::of(&id, ""), Thing::Mapping(mapping.clone())),
                Edit::Moving(id.clone(), Phase::Creating),
            ];
            let shown = self.shown_mapping(world, &id, &mapping);
            Ok((with_state(shown, "Creating"), edits.to_vec()))
        });
        Ok(accepted(&shown.await?))
    }

    /// The function is there, and so is what gets the records of failures.
    fn may_deliver(&self, world: &World, mapping: &Mapping) -> Result<(), AwsError> {
        let target = Target { name: mapping.function.clone(), qualifier: mapping.qualifier.clone() };
        world.must_have(self.place(), &target).map_err(|_| invalid("Function does not exist"))?;
        if let Some(arn) = &mapping.on_failure {
            destinations::check(world, self.place(), arn, &mapping.function, Purpose::StreamFailure)?;
        }
        Ok(())
    }

    pub(super) fn get_mapping(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let id = request.part(2);
        let world = self.registry.world();
        let mapping = world.mapping(id)?;
        Ok(ok(&self.shown_mapping(&world, id, mapping)))
    }

    pub(super) fn list_mappings(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let page = request.page(10_000)?;
        let source = request.call.query("EventSourceArn");
        let function = match request.call.query("FunctionName") {
            Some(name) => Some(parse_name(name, None, NameRule::Wide, self.place())?.name),
            None => None,
        };
        let world = self.registry.world();
        let wanted = world.mappings.iter().chain(&world.leaving).filter(|(_, mapping)| {
            function.as_ref().is_none_or(|name| mapping.function == *name)
                && source.is_none_or(|arn| {
                    mapping.source == arn || mapping.source.starts_with(&format!("{arn}/stream/"))
                })
        });
        let mut entries: Vec<(String, Value)> =
            wanted.map(|(id, mapping)| (id.clone(), self.shown_mapping(&world, id, mapping))).collect();
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        let (mappings, marker) = page.of(entries);
        Ok(ok(&listing("EventSourceMappings", mappings, marker)))
    }

    pub(super) async fn update_mapping(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: MappingRequest = request.members()?;
        asked.check()?;
        if asked.event_source_arn.is_some() || asked.starting_position.is_some() {
            return Err(invalid(
                "The event source and the starting position of a mapping cannot be changed.",
            ));
        }
        let id = request.part(2).to_owned();
        let target = match &asked.function_name {
            Some(name) => Some(parse_name(name, None, NameRule::Wide, self.place())?),
            None => None,
        };
        let shown = self.registry.change(|world| {
            let before = world.mappings.get(&id).ok_or_else(|| missing(NOT_THERE))?;
            let mut mapping = asked.onto((**before).clone(), self.now());
            if let Some(Target { name, qualifier }) = &target {
                (mapping.function, mapping.qualifier) = (name.clone(), qualifier.clone());
            }
            self.may_deliver(world, &mapping)?;
            let phase = match (before.enabled, mapping.enabled) {
                (false, true) => Phase::Enabling,
                (true, false) => Phase::Disabling,
                _ => Phase::Updating,
            };
            let shown =
                with_state(self.shown_mapping(world, &id, &mapping), state(Some(phase), mapping.enabled));
            let edits =
                [Edit::Put(Key::of(&id, ""), Thing::Mapping(mapping)), Edit::Moving(id.clone(), phase)];
            Ok((shown, edits.to_vec()))
        });
        Ok(accepted(&shown.await?))
    }

    pub(super) async fn delete_mapping(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let id = request.part(2).to_owned();
        let shown = self.registry.change(|world| {
            let mapping: &Arc<Mapping> = world.mappings.get(&id).ok_or_else(|| missing(NOT_THERE))?;
            let shown = with_state(self.shown_mapping(world, &id, mapping), "Deleting");
            let edits =
                [Edit::Remove(Kind::Mapping, Key::of(&id, "")), Edit::Moving(id.clone(), Phase::Deleting)];
            Ok((shown, edits.to_vec()))
        });
        Ok(accepted(&shown.await?))
    }
}

/// A mapping of a request, before what it says of batches and the like.
fn fresh(target: &Target, asked: &MappingRequest) -> Mapping {
    Mapping {
        function: target.name.clone(),
        qualifier: target.qualifier.clone(),
        source: String::new(),
        enabled: true,
        batch: 100,
        window: 0,
        position: asked.starting_position.clone().unwrap_or_default(),
        retries: -1,
        age_max: -1,
        bisect: false,
        report_failures: false,
        filters: Vec::new(),
        on_failure: None,
        tags: asked.tags.clone().unwrap_or_default(),
        modified: 0,
    }
}

/// The ARN of the stream that a request names. A table's own ARN means its stream.
fn stream_of(world: &World, source: &Arn) -> Result<String, AwsError> {
    match (source.service(), table_of(source)) {
        ("dynamodb", Some((table, label))) => {
            let stream = world.around.tables.get(table).filter(|stream| match label {
                Some(_) => stream.as_str() == source.as_str(),
                None => stream.starts_with(&format!("{source}/stream/")),
            });
            stream.cloned().ok_or_else(|| invalid(format!("Stream not found: {source}")))
        }
        ("sqs" | "kinesis" | "kafka" | "mq" | "rds", _) => Err(invalid(format!(
            "dropwire does not take {source} as an event source: of queues and streams, it has those of tables only yet"
        ))),
        _ => Err(invalid("Unrecognized event source.")),
    }
}

/// `$LATEST` is not shown where nothing was said.
fn qualifier(mapping: &Mapping) -> Option<&str> {
    mapping.qualifier.as_deref().filter(|qualifier| *qualifier != LATEST)
}

fn state(phase: Option<Phase>, enabled: bool) -> &'static str {
    match phase {
        Some(Phase::Creating | Phase::Publishing) => "Creating",
        Some(Phase::Updating) => "Updating",
        Some(Phase::Enabling) => "Enabling",
        Some(Phase::Disabling) => "Disabling",
        Some(Phase::Deleting) => "Deleting",
        None if enabled => "Enabled",
        None => "Disabled",
    }
}

fn with_state(mut shown: Value, state: &str) -> Value {
    shown["State"] = json!(state);
    shown
}
