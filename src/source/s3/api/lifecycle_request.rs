//! Reading a lifecycle configuration, and refusing what S3 refuses in its words. Pure.

use std::collections::BTreeSet;

use super::errors;
use super::lifecycle::{Expiration, Filter, Noncurrent, Rule};
use super::tags;
use super::xml::read::{Element, document};
use crate::aws::AwsError;
use crate::clock::Timestamp;

const RULES_MAX: usize = 1000;
const ID_MAX: usize = 255;
/// The largest bound of a size filter.
const SIZE_MAX: i64 = 1_099_511_627_776_000;

/// Reads a LifecycleConfiguration; `make_id` names what its caller did not name.
pub fn read(body: &[u8], mut make_id: impl FnMut() -> String) -> Result<Vec<Rule>, AwsError> {
    let root = document(body, "LifecycleConfiguration")?;
    let given: Vec<&Element> = root.all("Rule").collect();
    if given.is_empty() {
        return Err(errors::malformed_xml());
    }
    if given.len() > RULES_MAX {
        let message = "The number of lifecycle rules must not exceed the allowed limit of 1000 rules.";
        return Err(errors::invalid_request(message));
    }
    // The first rule says which of the two forms the document has.
    let has_filters = given.first().is_some_and(|rule| rule.child("Filter").is_some());
    let mut rules = Vec::with_capacity(given.len());
    for element in given {
        let mut rule = rule(element, has_filters)?;
        if rule.id.is_empty() {
            rule.id = make_id();
        }
        rules.push(rule);
    }
    let mut ids = BTreeSet::new();
    if let Some(rule) = rules.iter().find(|rule| !ids.insert(rule.id.as_str())) {
        let message = "Rule ID must be unique. Found same ID for more than one rule";
        return Err(errors::invalid_argument(message, "ID", rule.id.as_str()));
    }
    if !has_filters {
        no_overlap(&rules)?;
    }
    Ok(rules)
}

fn rule(element: &Element, has_filters: bool) -> Result<Rule, AwsError> {
    let id = element.text_of("ID")?.unwrap_or_default().to_owned();
    if id.chars().count() > ID_MAX {
        return Err(errors::invalid_argument("ID length should not exceed allowed limit of 255", "ID", id));
    }
    let enabled = match element.needed("Status")? {
        "Enabled" => true,
        "Disabled" => false,
        _ => return Err(errors::malformed_xml()),
    };
    let prefix = element.text_of("Prefix")?.map(str::to_owned);
    let filter = element.one("Filter")?.map(filter).transpose()?;
    match (&prefix, &filter) {
        (None, None) => return Err(errors::malformed_xml()),
        (Some(_), _) if has_filters => {
            return Err(errors::invalid_request(
                "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter.",
            ));
        }
        (_, Some(_)) if !has_filters => {
            return Err(errors::invalid_request("Filter element can only be used in Lifecycle V2."));
        }
        _ => {}
    }
    for name in ["Transition", "NoncurrentVersionTransition"] {
        if element.child(name).is_some() {
            return Err(errors::part_not_built(name));
        }
    }
    let rule = Rule {
        id,
        enabled,
        prefix,
        filter,
        expiration: element.one("Expiration")?.map(expiration).transpose()?,
        noncurrent: element.one("NoncurrentVersionExpiration")?.map(noncurrent).transpose()?,
        abort_days: element.one("AbortIncompleteMultipartUpload")?.map(abort).transpose()?,
    };
    if rule.expiration.is_none() && rule.noncurrent.is_none() && rule.abort_days.is_none() {
        return Err(errors::invalid_request("At least one action needs to be specified in a rule"));
    }
    fits(&rule)?;
    Ok(rule)
}

/// Actions that cannot go with these conditions.
fn fits(rule: &Rule) -> Result<(), AwsError> {
    let Some(filter) = &rule.filter else { return Ok(()) };
    let has_sizes = filter.larger_than.is_some() || filter.smaller_than.is_some();
    let actions = [
        ("ExpiredObjectDeleteMarker", matches!(rule.expiration, Some(Expiration::Markers(_)))),
        ("AbortIncompleteMultipartUpload", rule.abort_days.is_some()),
    ];
    for (name, _) in actions.iter().filter(|(_, is_wanted)| *is_wanted) {
        if !filter.tags.is_empty() {
            return Err(errors::invalid_request(format!("{name} cannot be specified with Tags.")));
        }
        if has_sizes {
            return Err(errors::invalid_request(format!("{name} cannot be specified with Object Size.")));
        }
    }
    Ok(())
}

fn filter(element: &Element) -> Result<Filter, AwsError> {
    let joined = element.one("And")?;
    if element.children.len() > 1 {
        return Err(errors::malformed_xml());
    }
    let inner = joined.unwrap_or(element);
    let filter = Filter {
        prefix: inner.text_of("Prefix")?.map(str::to_owned),
        tags: inner.all("Tag").map(tags::one).collect::<Result<_, _>>()?,
        larger_than: size(inner, "ObjectSizeGreaterThan", 0)?,
        smaller_than: size(inner, "ObjectSizeLessThan", 1)?,
        is_joined: joined.is_some(),
    };
    if joined.is_some() && inner.children.len() < 2 {
        return Err(errors::malformed_xml());
    }
    if filter.tags.iter().any(|tag| tag.key.is_empty()) {
        return Err(errors::malformed_xml());
    }
    let mut keys = BTreeSet::new();
    if filter.tags.iter().any(|tag| !keys.insert(&tag.key)) {
        return Err(errors::invalid_request("Duplicate Tag Keys are not allowed."));
    }
    if let (Some(above), Some(below)) = (filter.larger_than, filter.smaller_than)
        && below <= above
    {
        let message = "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.";
        return Err(errors::invalid_request(message));
    }
    Ok(filter)
}

fn size(element: &Element, name: &str, least: i64) -> Result<Option<u64>, AwsError> {
    let Some(bound) = element.number(name)? else { return Ok(None) };
    match u64::try_from(bound) {
        Ok(size) if (least..=SIZE_MAX).contains(&bound) => Ok(Some(size)),
        _ => Err(errors::invalid_request(format!("'{name}' should be between {least} and {SIZE_MAX}."))),
    }
}

fn expiration(element: &Element) -> Result<Expiration, AwsError> {
    let date = element.text_of("Date")?;
    match (date, element.number("Days")?, element.flag("ExpiredObjectDeleteMarker")?) {
        (None, Some(days), None) => {
            let message = "'Days' for Expiration action must be a positive integer";
            Ok(Expiration::Days(positive(days, "Days", message)?))
        }
        (Some(date), None, None) => {
            let time = Timestamp::parse(date.trim())
                .or_else(|| Timestamp::parse(&format!("{}T00:00:00Z", date.trim())));
            let micros = time.ok_or_else(errors::malformed_xml)?.as_micros();
            match micros.rem_euclid(86_400_000_000) {
                0 => Ok(Expiration::Date(micros.div_euclid(86_400_000_000))),
                _ => Err(errors::invalid_argument("'Date' must be at midnight GMT", "Date", date)),
            }
        }
        (None, None, Some(is_wanted)) => Ok(Expiration::Markers(is_wanted)),
        _ => Err(errors::malformed_xml()),
    }
}

fn noncurrent(element: &Element) -> Result<Noncurrent, AwsError> {
    let days = element.number("NoncurrentDays")?.ok_or_else(errors::malformed_xml)?;
    let message = "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer";
    let days = positive(days, "NoncurrentDays", message)?;
    let name = "NewerNoncurrentVersions";
    let newer = element
        .number(name)?
        .map(|count| positive(count, name, "'NewerNoncurrentVersions' must be a positive integer"));
    Ok(Noncurrent { days, newer: newer.transpose()? })
}

fn abort(element: &Element) -> Result<u32, AwsError> {
    let days = element.number("DaysAfterInitiation")?.ok_or_else(errors::malformed_xml)?;
    let message =
        "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer";
    positive(days, "DaysAfterInitiation", message)
}

fn positive(number: i64, name: &str, message: &str) -> Result<u32, AwsError> {
    // AWS counts in 32 bits with a sign.
    let found = i32::try_from(number).map_err(|_| errors::malformed_xml())?;
    match u32::try_from(found) {
        Ok(found) if found > 0 => Ok(found),
        _ => Err(errors::invalid_argument(message, name, number.to_string())),
    }
}

/// In the older form no two rules of one prefix do the same.
fn no_overlap(rules: &[Rule]) -> Result<(), AwsError> {
    type Has = fn(&Rule) -> bool;
    let actions: [(&str, Has); 3] = [
        ("Expiration", |rule| rule.expiration.is_some()),
        ("NoncurrentVersionExpiration", |rule| rule.noncurrent.is_some()),
        ("AbortIncompleteMultipartUpload", |rule| rule.abort_days.is_some()),
    ];
    for (name, has) in actions {
        let mut prefixes: Vec<&str> = rules.iter().filter(|rule| has(rule)).map(Rule::prefix).collect();
        // Sorted, what begins with another follows it.
        prefixes.sort_unstable();
        if let Some(pair) = prefixes.windows(2).find(|pair| pair[1].starts_with(pair[0])) {
            return Err(errors::invalid_request(format!(
                "Found overlapping prefixes '{}' and '{}' for same action type '{name}'",
                pair[0], pair[1]
            )));
        }
    }
    Ok(())
}
