//! The language of EventBridge event patterns and its dialects in SNS filter policies. Pure.
//!
//! A pattern is read once and then held against many events; [`Pattern::explain`] says in words what
//! [`Pattern::matches`] decides.

use std::fmt;

use serde_json::Value;

use rules::{Leaf, Rules};
use tree::Tree;

mod attributes;
mod explain;
mod expression;
mod json;
mod matcher;
mod number;
mod rules;
mod text;
mod tree;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

/// Which service's dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Rules of EventBridge, and the filter criteria of Lambda's event source mappings.
    EventBridge,
    /// SNS filter policies over message attributes: flat, at most 5 keys and 150 combinations.
    SnsAttributes,
    /// SNS filter policies over message bodies: nested, the same limits.
    SnsBody,
}

/// A pattern, ready to be held against events.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    text: String,
    rules: Rules,
    /// One tree a way to satisfy the rules; without `$or` there is one.
    trees: Vec<Tree>,
}

/// Why AWS would refuse a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// AWS's words, such as `Empty arrays are not allowed`, without the position that AWS appends.
    pub reason: String,
    /// The byte of the pattern's text where it was noticed, from 0.
    pub offset: usize,
}

/// Whether one rule of a pattern held, and in words why or why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The keys from the top, joined with dots; `$or` for an alternative.
    pub path: String,
    /// Whether the event meets the rule.
    pub held: bool,
    /// To be read after the path: `is "new", wants ["paid"]`.
    pub says: String,
}

/// The longest pattern that EventBridge takes, in bytes (semantics: event pattern language).
const MAX_EVENTBRIDGE: usize = 4096;
/// The longest policy that SNS takes, in bytes (semantics: SNS filter policies).
const MAX_SNS: usize = 256 * 1024;

impl Pattern {
    /// Reads a pattern and checks it with all limits of the dialect (semantics: event pattern language, SNS
    /// filter policies).
    ///
    /// # Errors
    /// When AWS would refuse the pattern, in AWS's words where they are known.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Pattern, PatternError> {
        let sns = dialect != Dialect::EventBridge;
        let limit = if sns { MAX_SNS } else { MAX_EVENTBRIDGE };
        if text.len() > limit {
            let reason = format!("Member must have length less than or equal to {limit}");
            return Err(PatternError { reason, offset: limit });
        }
        let root = json::read(text).map_err(|mut error| {
            if sns {
                error.reason.insert_str(0, "failed to parse JSON. ");
            }
            error
        })?;
        let (rules, ways) = rules::read(text, &root, dialect)?;
        let trees = ways.iter().map(|way| Tree::new(&rules.leaves, way)).collect();
        Ok(Pattern { text: text.to_owned(), rules, trees })
    }

    /// The pattern as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the pattern lets the event through. Only objects can match.
    pub fn matches(&self, event: &Value) -> bool {
        any_holds(&self.trees, &self.rules.leaves, event)
    }

    /// Like [`Pattern::matches`] for SNS message attributes, in the form that Lambda gets them:
    /// `{"name":{"Type":"String","Value":"…"}}`. Binary attributes count as missing.
    pub fn matches_attributes(&self, attributes: &Value) -> bool {
        self.matches(&attributes::plain(attributes))
    }

    /// One check a rule, in the pattern's order, with one for all of a `$or`. They all hold exactly when the
    /// pattern matches.
    pub fn explain(&self, event: &Value) -> Vec<Check> {
        explain::checks(&self.rules, event, self.matches(event))
    }

    /// Like [`Pattern::explain`] for SNS message attributes.
    pub fn explain_attributes(&self, attributes: &Value) -> Vec<Check> {
        self.explain(&attributes::plain(attributes))
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for PatternError {}

fn any_holds(trees: &[Tree], leaves: &[Leaf], event: &Value) -> bool {
    trees.iter().any(|tree| tree.holds(leaves, event))
}
