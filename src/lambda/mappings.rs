//! Event source mappings: wires from a table's stream to a function, made by calls.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::check::Constraints;
use super::destinations::{self, Purpose};
use super::errors::{conflict, invalid};
use super::mapping_request::{MappingRequest, SourceKind, kind, no_source};
use super::names::{NameRule, Target, is_version, parse_name, qualified};
use super::read::listing;
use super::request::Request;
use super::shown::epoch;
use super::things::{Key, Kind, Mapping, Thing};
use super::world::{Edit, Phase, World, version_text};
use super::{Lambda, accepted, ok, tags};
use crate::arn::{Arn, Place};
use crate::aws::{Answer, AwsError};
use crate::config::LATEST;
use crate::delivery::policy::DeliveryPolicy;
use crate::delivery::stream::{RETENTION, StreamPolicy};
use crate::event::pattern::{Dialect, Pattern};
use crate::wire::{Filter, Wire};

impl Lambda {
    /// The mappings as wires. One that is disabled takes its records all the same, and leads nowhere for a while: they
    /// wait for it to be enabled.
    pub fn mappings(&self) -> Vec<Wire> {
        let world = self.registry.world();
        let mappings = world.mappings.iter();
        mappings.filter_map(|(id, mapping)| wire(self.place(), id, mapping)).collect()
    }

    /// The function of a mapping, which must be there.
    fn mapped(&self, world: &World, name: &str) -> Result<Target, AwsError> {
        let mut target = parse_name(name, None, NameRule::Wide, self.place())?;
        let (number, _) =
            world.find(self.place(), &target).map_err(|_| invalid("Function does not exist"))?;
        if target.qualifier.as_deref().is_some_and(is_version) {
            target.qualifier = Some(version_text(number));
        }
        Ok(target)
    }

    pub(super) async fn create_mapping(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: MappingRequest = request.members()?;
        let mut constraints = Constraints::new();
        constraints.required("functionName", &asked.function_name);
        asked.constrain(&mut constraints);
        constraints.finish()?;
        let source = asked.event_source_arn.clone().ok_or_else(|| invalid("Unrecognized event source."))?;
        let source = self.stream_of_table(&source).unwrap_or(source);
        let kind = kind(&source)?;
        if kind == SourceKind::Queue {
            asked.check_queue()?;
            return Err(no_source(kind));
        }
        let position = asked.position(&source, kind)?;
        asked.check_stream()?;
        if kind == SourceKind::Kinesis {
            return Err(no_source(kind));
        }
        let given = asked.tags.clone().unwrap_or_default();
        tags::check(&given, 0)?;
        let id = self.ground.random.uuid(4);
        let shown = self.registry.change(|world| {
            let target = self.mapped(world, asked.function_name.as_deref().unwrap_or_default())?;
            if !world.around.tables.values().any(|stream| *stream == source) {
                return Err(invalid(format!("Stream not found: {source}")));
            }
            let mapping = asked.onto(&fresh(&target, &source, &position, given), self.now());
            self.check_destination(world, &mapping)?;
            check_duplicates(world, &mapping, None)?;
            let shown = self.shown_mapping(world, &id, &mapping, Some(Phase::Creating));
            let put = Edit::put(Key::of(&id, ""), Thing::Mapping(mapping));
            Ok((shown, vec![put, Edit::Moving(id.clone(), Phase::Creating)]))
        });
        Ok(accepted(&shown.await?))
    }

    /// The stream of the table that this ARN names: there is no call yet that tells it, so a table's own ARN will do.
    fn stream_of_table(&self, arn: &str) -> Option<String> {
        let world = self.registry.world();
        let mut streams = world.around.tables.values();
        streams
            .find(|stream| stream.strip_prefix(arn).is_some_and(|rest| rest.starts_with("/stream/")))
            .cloned()
    }

    fn check_destination(&self, world: &World, mapping: &Mapping) -> Result<(), AwsError> {
        let Some(arn) = &mapping.on_failure else { return Ok(()) };
        destinations::check(world, self.place(), arn, &mapping.function, Purpose::StreamFailure).map(drop)
    }

    pub(super) fn get_mapping(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let id = request.part(2);
        let world = self.registry.world();
        let mapping = world.mapping(id)?;
        Ok(ok(&self.shown_mapping(&world, id, mapping, world.mapping_phase(id))))
    }

    pub(super) fn list_mappings(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let page = request.page(10_000)?;
        let source = request.call.query("EventSourceArn");
        let mut constraints = Constraints::new();
        constraints.shape("eventSourceArn", source, &super::shapes::SOURCE_ARN);
        constraints.finish()?;
        let of = request.call.query("FunctionName");
        let of = of.map(|name| parse_name(name, None, NameRule::Wide, self.place())).transpose()?;
        let world = self.registry.world();
        let wanted = world.mappings.iter().filter(|(_, mapping)| {
            let same = |target: &Target| {
                target.name == mapping.function
                    && (target.qualifier.is_none() || target.qualifier == mapping.qualifier)
            };
            of.as_ref().is_none_or(same) && source.is_none_or(|source| source == mapping.source)
        });
        let (mappings, marker) = page.of(wanted.map(|(id, mapping)| {
            (id.clone(), self.shown_mapping(&world, id, mapping, world.mapping_phase(id)))
        }));
        Ok(ok(&listing("EventSourceMappings", mappings, marker)))
    }

    pub(super) async fn update_mapping(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: MappingRequest = request.members()?;
        let mut constraints = Constraints::new();
        asked.constrain(&mut constraints);
        constraints.finish()?;
        let id = request.part(2).to_owned();
        let shown = self.registry.change(|world| {
            let before = world.mapping(&id)?;
            must_be_still(world, &id)?;
            asked.check_update()?;
            asked.check_stream()?;
            let mut mapping = asked.onto(before, self.now());
            if let Some(name) = &asked.function_name {
                let target = self.mapped(world, name)?;
                (mapping.function, mapping.qualifier) = (target.name, target.qualifier);
                check_duplicates(world, &mapping, Some(&id))?;
            }
            if mapping.on_failure != before.on_failure {
                self.check_destination(world, &mapping)?;
            }
            let phase = match (before.enabled, mapping.enabled) {
                (false, true) => Phase::Enabling,
                (true, false) => Phase::Disabling,
                _ => Phase::Updating,
            };
            let shown = self.shown_mapping(world, &id, &mapping, Some(phase));
            let put = Edit::put(Key::of(&id, ""), Thing::Mapping(mapping));
            Ok((shown, vec![put, Edit::Moving(id.clone(), phase)]))
        });
        Ok(accepted(&shown.await?))
    }

    pub(super) async fn delete_mapping(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let id = request.part(2).to_owned();
        let shown = self.registry.change(|world| {
            let mapping = world.mapping(&id)?;
            must_be_still(world, &id)?;
            let shown = self.shown_mapping(world, &id, mapping, Some(Phase::Deleting));
            let remove = Edit::Remove(Kind::Mapping, Key::of(&id, ""));
            Ok((shown, vec![remove, Edit::Moving(id.clone(), Phase::Deleting)]))
        });
        Ok(accepted(&shown.await?))
    }

    fn shown_mapping(&self, world: &World, id: &str, mapping: &Mapping, phase: Option<Phase>) -> Value {
        let Place { region, account } = self.place();
        let qualifier = mapping.qualifier.as_deref();
        let destination = mapping.on_failure.as_ref().map_or(json!({}), |arn| json!({"Destination": arn}));
        let responses: &[&str] = if mapping.report_failures { &["ReportBatchItemFailures"] } else { &[] };
        let mut shown = json!({
            "UUID": id,
            "EventSourceMappingArn": format!("arn:aws:lambda:{region}:{account}:event-source-mapping:{id}"),
            "EventSourceArn": mapping.source,
            "FunctionArn": qualified(self.place(), &mapping.function, qualifier).as_str(),
            "BatchSize": mapping.batch,
            "MaximumBatchingWindowInSeconds": mapping.window,
            "ParallelizationFactor": 1,
            "StartingPosition": mapping.position,
            "MaximumRecordAgeInSeconds": mapping.age_max,
            "MaximumRetryAttempts": mapping.retries,
            "BisectBatchOnFunctionError": mapping.bisect,
            "TumblingWindowInSeconds": 0,
            "DestinationConfig": {"OnFailure": destination},
            "FunctionResponseTypes": responses,
            "LastModified": epoch(mapping.modified),
            "LastProcessingResult": last_result(world, mapping),
            "State": state(mapping, phase),
            "StateTransitionReason": "User action",
        });
        if !mapping.filters.is_empty() {
            let filters: Vec<Value> = mapping.filters.iter().map(|text| json!({"Pattern": text})).collect();
            shown["FilterCriteria"] = json!({"Filters": filters});
        }
        shown
    }
}

/// A new mapping with everything as it is by default.
fn fresh(target: &Target, source: &str, position: &str, tags: BTreeMap<String, String>) -> Mapping {
    Mapping {
        function: target.name.clone(),
        qualifier: target.qualifier.clone(),
        source: source.to_owned(),
        enabled: true,
        batch: 100,
        window: 0,
        position: position.to_owned(),
        retries: -1,
        age_max: -1,
        bisect: false,
        report_failures: false,
        filters: Vec::new(),
        on_failure: None,
        tags,
        modified: 0,
    }
}

/// A mapping whose last change is not in force yet cannot be changed again.
fn must_be_still(world: &World, id: &str) -> Result<(), AwsError> {
    match world.mapping_phase(id) {
        None => Ok(()),
        Some(_) => {
            let message = "Cannot update the event source mapping because it is in use.";
            Err(AwsError::new(400, "ResourceInUseException", message))
        }
    }
}

/// A source and a function meet in one mapping only.
fn check_duplicates(world: &World, mapping: &Mapping, id: Option<&str>) -> Result<(), AwsError> {
    let plain = |qualifier: &Option<String>| qualifier.clone().filter(|text| text != LATEST);
    let same = |other: &Mapping| {
        other.source == mapping.source
            && other.function == mapping.function
            && plain(&other.qualifier) == plain(&mapping.qualifier)
    };
    let twin = world.mappings.iter().find(|(other, known)| Some(other.as_str()) != id && same(known));
    match twin {
        None => Ok(()),
        Some((other, _)) => Err(conflict(format!(
            "The event source arn (\" {} \") and function (\" {} \") provided mapping already exists. Please update or \
             delete the existing mapping with UUID {other}",
            mapping.source, mapping.function
        ))),
    }
}

fn state(mapping: &Mapping, phase: Option<Phase>) -> &'static str {
    match phase {
        Some(Phase::Creating | Phase::Publishing) => "Creating",
        Some(Phase::Updating) => "Updating",
        Some(Phase::Enabling) => "Enabling",
        Some(Phase::Disabling) => "Disabling",
        Some(Phase::Deleting) => "Deleting",
        None if mapping.enabled => "Enabled",
        None => "Disabled",
    }
}

/// A mapping stays when its function goes, and then all that it does is fail.
fn last_result(world: &World, mapping: &Mapping) -> &'static str {
    match world.exists(&mapping.function) {
        true => "No records processed",
        false => "PROBLEM: Function call failed",
    }
}

/// A qualifier that no function has.
const NOWHERE: &str = "$DISABLED";

/// Where a mapping leads.
fn target(place: &Place, mapping: &Mapping) -> Arn {
    let qualifier = mapping.qualifier.as_deref().filter(|qualifier| *qualifier != LATEST);
    qualified(place, &mapping.function, if mapping.enabled { qualifier } else { Some(NOWHERE) })
}

/// A mapping as a wire. None if its source is no stream of a table, or a filter is none; creating it has refused both.
fn wire(place: &Place, id: &str, mapping: &Mapping) -> Option<Wire> {
    let stream = Arn::parse(&mapping.source)?;
    let (table, _) = stream.name().split_once("/stream/")?;
    let patterns: Result<Vec<Pattern>, _> =
        mapping.filters.iter().map(|text| Pattern::parse(text, Dialect::EventBridge)).collect();
    let patterns = patterns.ok()?;
    let policy = StreamPolicy {
        from_horizon: mapping.position == "TRIM_HORIZON",
        batch: usize::try_from(mapping.batch).ok()?,
        window: Duration::from_secs(mapping.window.into()),
        retries: u32::try_from(mapping.retries).ok(),
        // A stream keeps nothing longer, whatever is asked for.
        age_max: u64::try_from(mapping.age_max).map_or(RETENTION, Duration::from_secs).min(RETENTION),
        bisect: mapping.bisect,
        report_failures: mapping.report_failures,
        backoff: Vec::new(),
    };
    Some(Wire {
        id: format!("esm/{id}"),
        source: Arn::table(place, table),
        filter: if patterns.is_empty() { Filter::All } else { Filter::Record(patterns) },
        target: target(place, mapping),
        policy: DeliveryPolicy::Stream(policy),
        dead_letters: None,
        on_failure: mapping.on_failure.as_deref().and_then(Arn::parse),
        on_success: None,
        declared_at: String::new(),
    })
}
