//! Tags of functions and of event source mappings.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::check::{Constraints, is_account, is_partition, is_region};
use super::errors::{NOT_THERE, invalid, missing, validation};
use super::names::{NameRule, parse_name};
use super::request::Request;
use super::things::{Head, Key, Mapping, Thing};
use super::world::{Edit, World};
use super::{Lambda, nothing, ok};
use crate::aws::{Answer, AwsError};

/// A thing has at most so many tags.
const TAGS_MAX: usize = 50;
const CANNOT: &str = "An error occurred and the request cannot be processed.";

/// What has tags.
enum Tagged {
    Function(String),
    Mapping(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct TagRequest {
    tags: Option<BTreeMap<String, String>>,
}

/// Tags that may be added to so many others.
pub fn check(tags: &BTreeMap<String, String>, others: usize) -> Result<(), AwsError> {
    if tags.len() + others > TAGS_MAX {
        return Err(invalid("Number of tags exceeds resource tag limit."));
    }
    let fits = |name: &str, value: &str| {
        (1..=128).contains(&name.chars().count()) && value.chars().count() <= 256 && !name.starts_with("aws:")
    };
    match tags.iter().find(|(name, value)| !fits(name, value)) {
        None => Ok(()),
        Some((name, _)) => Err(invalid(format!(
            "The tag '{name}' is invalid: names have 1 to 128 characters and do not begin with 'aws:', values have at \
             most 256."
        ))),
    }
}

impl Lambda {
    fn tagged(&self, request: &Request<'_>) -> Result<Tagged, AwsError> {
        let arn = request.part(2);
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let well_formed = matches!(parts.as_slice(), ["arn", partition, "lambda", region, account, _]
            if is_partition(partition) && is_region(region) && is_account(account));
        if let Some(id) = parts.get(5).and_then(|resource| resource.strip_prefix("event-source-mapping:"))
            && well_formed
        {
            return Ok(Tagged::Mapping(id.to_owned()));
        }
        if !well_formed || !parts.get(5).is_some_and(|resource| resource.starts_with("function:")) {
            const PATTERN: &str = r"arn:(aws[a-zA-Z-]*):lambda:[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|capacity-provider:[a-zA-Z0-9-_]+)";
            let mut constraints = Constraints::new();
            constraints.fails(arn, "resource", format!("satisfy regular expression pattern: {PATTERN}"));
            return Err(validation(constraints.text().unwrap_or_default()));
        }
        let target = parse_name(arn, None, NameRule::Wide, self.place())?;
        match target.qualifier {
            None => Ok(Tagged::Function(target.name)),
            Some(_) => Err(invalid(
                "Tags on function aliases and versions are not supported. Please specify a function ARN.",
            )),
        }
    }

    fn tags_of(&self, world: &World, tagged: &Tagged) -> Result<BTreeMap<String, String>, AwsError> {
        match tagged {
            Tagged::Function(name) => Ok(world.must_exist(self.place(), name)?.head.tags.clone()),
            Tagged::Mapping(id) => Ok(world.mapping(id)?.tags.clone()),
        }
    }

    /// The edit that gives a thing these tags.
    fn with_tags(
        &self,
        world: &World,
        tagged: &Tagged,
        tags: BTreeMap<String, String>,
    ) -> Result<Edit, AwsError> {
        Ok(match tagged {
            Tagged::Function(name) => {
                let head = Head { tags, ..world.function(name).head.clone() };
                Edit::put(Key::of(name, ""), Thing::Head(head))
            }
            Tagged::Mapping(id) => {
                // One that is being deleted is not brought back.
                let mapping = world.mappings.get(id).ok_or_else(|| missing(NOT_THERE))?;
                let mapping = Mapping { tags, ..(**mapping).clone() };
                Edit::put(Key::of(id, ""), Thing::Mapping(mapping))
            }
        })
    }

    pub(super) async fn tag(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: TagRequest = request.members()?;
        let mut constraints = Constraints::new();
        constraints.required("tags", &asked.tags);
        constraints.finish()?;
        let tagged = self.tagged(request)?;
        let more = asked.tags.unwrap_or_default();
        if more.is_empty() {
            return Err(invalid(CANNOT));
        }
        let change = self.registry.change(|world| {
            let mut tags = self.tags_of(world, &tagged)?;
            let others = tags.keys().filter(|name| !more.contains_key(*name)).count();
            check(&more, others)?;
            tags.extend(more);
            Ok(((), vec![self.with_tags(world, &tagged, tags)?]))
        });
        change.await?;
        Ok(nothing())
    }

    pub(super) async fn untag(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let names: Vec<&str> = request.call.queries("tagKeys").collect();
        let mut constraints = Constraints::new();
        constraints.required("tagKeys", &names.first());
        constraints.finish()?;
        let tagged = self.tagged(request)?;
        let change = self.registry.change(|world| {
            let mut tags = self.tags_of(world, &tagged)?;
            let before = tags.len();
            tags.retain(|name, _| !names.contains(&name.as_str()));
            let edits = match tags.len() == before {
                true => Vec::new(),
                false => vec![self.with_tags(world, &tagged, tags)?],
            };
            Ok(((), edits))
        });
        change.await?;
        Ok(nothing())
    }

    pub(super) fn list_tags(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let tagged = self.tagged(request)?;
        let tags = self.tags_of(&self.registry.world(), &tagged)?;
        Ok(ok(&json!({"Tags": tags})))
    }
}
