//! Lifecycle rules: what they are, and what of a bucket is due (semantics: S3 lifecycle). Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::dates;
use super::tags::{self, Tag};
use super::xml::write::{Document, Encoding};
use crate::clock::Timestamp;

const DAY: u64 = 86_400;

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Its name.
    pub id: String,
    /// Whether it does anything.
    pub enabled: bool,
    /// What it is for, as the older form says it.
    pub prefix: Option<String>,
    /// What it is for.
    pub filter: Option<Filter>,
    /// What happens to current objects.
    pub expiration: Option<Expiration>,
    /// What happens to versions that are no longer current.
    pub noncurrent: Option<Noncurrent>,
    /// Days after which an upload that was not completed is given up.
    pub abort_days: Option<u32>,
}

/// Which objects a rule is for: all conditions hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// What keys begin with.
    pub prefix: Option<String>,
    /// Tags they have.
    pub tags: Vec<Tag>,
    /// They have more bytes than this.
    pub larger_than: Option<u64>,
    /// They have fewer bytes than this.
    pub smaller_than: Option<u64>,
    /// Whether it is written with `And`.
    pub is_joined: bool,
}

/// When current objects expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expiration {
    /// Days after they were written.
    Days(u32),
    /// At this midnight, in days since 1970-01-01.
    Date(i64),
    /// Only delete markers that are alone go, if true.
    Markers(bool),
}

/// When versions that are no longer current go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noncurrent {
    /// Days after they were replaced.
    pub days: u32,
    /// As many of the newest are kept.
    pub newer: Option<u32>,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The key.
    pub key: &'a str,
    /// Bytes.
    pub size: u64,
    /// The tags.
    pub tags: &'a [Tag],
    /// When it was written.
    pub modified: Timestamp,
    /// What it is among the versions of its key.
    pub standing: Standing,
}

/// What a version is among those of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The object that GetObject sees, with or without versions.
    Current,
    /// A delete marker that is current.
    Marker {
        /// Whether it is the only version.
        is_alone: bool,
    },
    /// Something newer is there.
    Noncurrent {
        /// Since when.
        since: Timestamp,
        /// How many newer ones are not current either.
        newer: u32,
    },
}

/// What should happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The object expires: it is deleted, or gets a delete marker where versions are kept.
    Expire,
    /// This version, or delete marker, is deleted for good.
    Delete,
}

/// What this rule wants done with it by now.
pub fn due(rule: &Rule, candidate: &Candidate<'_>, now: Timestamp) -> Option<Due> {
    if !rule.enabled || !rule.covers(candidate) {
        return None;
    }
    match candidate.standing {
        Standing::Current => (expires_at(rule, candidate.modified)? <= now).then_some(Due::Expire),
        Standing::Marker { is_alone } => {
            let is_time = match rule.expiration? {
                Expiration::Markers(is_wanted) => is_wanted,
                Expiration::Days(_) | Expiration::Date(_) => expires_at(rule, candidate.modified)? <= now,
            };
            (is_alone && is_time).then_some(Due::Delete)
        }
        Standing::Noncurrent { since, newer } => {
            let Noncurrent { days, newer: kept } = rule.noncurrent?;
            (newer >= kept.unwrap_or(0) && midnight_after(since, days) <= now).then_some(Due::Delete)
        }
    }
}

/// Whether this rule wants an upload given up by now.
pub fn is_upload_due(rule: &Rule, key: &str, initiated: Timestamp, now: Timestamp) -> bool {
    abort_at(rule, key, initiated).is_some_and(|then| then <= now)
}

/// When an object that was written then expires.
fn expires_at(rule: &Rule, modified: Timestamp) -> Option<Timestamp> {
    match rule.expiration? {
        Expiration::Days(days) => Some(midnight_after(modified, days)),
        Expiration::Date(day) => {
            Some(Timestamp::from_millis(day.saturating_mul(86_400_000).clamp(0, i64::MAX / 1000)))
        }
        Expiration::Markers(_) => None,
    }
}

fn abort_at(rule: &Rule, key: &str, initiated: Timestamp) -> Option<Timestamp> {
    let days = rule.abort_days.filter(|_| rule.enabled && key.starts_with(rule.prefix()))?;
    Some(midnight_after(initiated, days))
}

/// The first midnight (UTC) after `days` days are over.
fn midnight_after(start: Timestamp, days: u32) -> Timestamp {
    let then = start.plus(Duration::from_secs(u64::from(days) * DAY));
    Timestamp::from_millis(
        (then.as_seconds().div_euclid(86_400) + 1).saturating_mul(86_400_000).min(i64::MAX / 1000),
    )
}

/// `x-amz-expiration` of a current object: the earliest rule that will expire it.
pub fn expiration_header(rules: &[Rule], candidate: &Candidate<'_>) -> Option<String> {
    let covering = rules.iter().filter(|rule| rule.enabled && rule.covers(candidate));
    let dated = covering.filter_map(|rule| Some((expires_at(rule, candidate.modified)?, rule)));
    let (then, rule) = dated.min_by_key(|(then, _)| *then)?;
    Some(format!("expiry-date=\"{}\", rule-id=\"{}\"", dates::http(then), Encoding::Url.of(&rule.id)))
}

/// `x-amz-abort-date` and `x-amz-abort-rule-id` of an upload: the earliest rule that will give it up.
pub fn abort_headers(rules: &[Rule], key: &str, initiated: Timestamp) -> Option<(String, String)> {
    let dated = rules.iter().filter_map(|rule| Some((abort_at(rule, key, initiated)?, rule)));
    let (then, rule) = dated.min_by_key(|(then, _)| *then)?;
    Some((dates::http(then), Encoding::Url.of(&rule.id)))
}

impl Rule {
    /// What keys begin with that it is for.
    pub fn prefix(&self) -> &str {
        let filtered = self.filter.as_ref().and_then(|filter| filter.prefix.as_deref());
        self.prefix.as_deref().or(filtered).unwrap_or_default()
    }

    /// Whether it is for this object or version. Of delete markers only the key counts.
    pub fn covers(&self, candidate: &Candidate<'_>) -> bool {
        if !candidate.key.starts_with(self.prefix()) {
            return false;
        }
        let Some(filter) = &self.filter else { return true };
        let is_marker = matches!(candidate.standing, Standing::Marker { .. });
        let is_plain =
            filter.tags.is_empty() && filter.larger_than.is_none() && filter.smaller_than.is_none();
        match is_marker {
            true => is_plain,
            false => {
                filter.tags.iter().all(|tag| candidate.tags.contains(tag))
                    && filter.larger_than.is_none_or(|bound| candidate.size > bound)
                    && filter.smaller_than.is_none_or(|bound| candidate.size < bound)
            }
        }
    }

    fn write(&self, xml: &mut Document) {
        xml.text("ID", &self.id);
        xml.maybe("Prefix", self.prefix.as_deref());
        if let Some(filter) = &self.filter {
            xml.within("Filter", |xml| match filter.is_joined {
                true => xml.within("And", |xml| filter.write(xml)),
                false => filter.write(xml),
            });
        }
        xml.text("Status", if self.enabled { "Enabled" } else { "Disabled" });
        if let Some(expiration) = self.expiration {
            xml.within("Expiration", |xml| match expiration {
                Expiration::Days(days) => xml.value("Days", days),
                Expiration::Date(day) => xml.time(
                    "Date",
                    Timestamp::from_millis(day.saturating_mul(86_400_000).clamp(0, i64::MAX / 1000)),
                ),
                Expiration::Markers(is_wanted) => xml.value("ExpiredObjectDeleteMarker", is_wanted),
            });
        }
        if let Some(Noncurrent { days, newer }) = self.noncurrent {
            xml.within("NoncurrentVersionExpiration", |xml| {
                if let Some(newer) = newer {
                    xml.value("NewerNoncurrentVersions", newer);
                }
                xml.value("NoncurrentDays", days);
            });
        }
        if let Some(days) = self.abort_days {
            xml.within("AbortIncompleteMultipartUpload", |xml| xml.value("DaysAfterInitiation", days));
        }
    }
}

impl Filter {
    fn write(&self, xml: &mut Document) {
        xml.maybe("Prefix", self.prefix.as_deref());
        tags::write(&self.tags, xml);
        if let Some(bound) = self.larger_than {
            xml.value("ObjectSizeGreaterThan", bound);
        }
        if let Some(bound) = self.smaller_than {
            xml.value("ObjectSizeLessThan", bound);
        }
    }
}

/// The LifecycleConfiguration document.
pub fn document_of(rules: &[Rule]) -> String {
    Document::of("LifecycleConfiguration", |xml| {
        rules.iter().for_each(|rule| xml.within("Rule", |xml| rule.write(xml)));
    })
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
