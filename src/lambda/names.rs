//! How a request names a function: by name, with a qualifier, with an account, by ARN. Pure.

use super::check::{Constraints, Shape, all, is_account, is_number, is_partition, is_region, is_word};
use super::errors::{invalid, missing, no_function};
use crate::arn::{Arn, Place};
use crate::aws::AwsError;
use crate::config::LATEST;

/// A function, and which of its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// A version's number, an alias or `$LATEST`, if one was given.
    pub qualifier: Option<String>,
}

impl Target {
    /// A function without a qualifier.
    pub fn unqualified(name: &str) -> Target {
        Target { name: name.to_owned(), qualifier: None }
    }
    /// Its ARN, with the qualifier if one was given.
    pub fn arn(&self, place: &Place) -> Arn {
        qualified(place, &self.name, self.qualifier.as_deref())
    }
    /// The qualifier, or `$LATEST`.
    pub fn version(&self) -> &str {
        self.qualifier.as_deref().unwrap_or(LATEST)
    }
}

/// A function's ARN, with this qualifier.
pub fn qualified(place: &Place, name: &str, qualifier: Option<&str>) -> Arn {
    match qualifier {
        Some(qualifier) => Arn::function(place, &format!("{name}:{qualifier}")),
        None => Arn::function(place, name),
    }
}

/// Which operations take how long a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// Most: 140 characters.
    Function,
    /// Invoke and its like: 170 characters.
    Invoke,
    /// Policies, event-invoke configurations, event source mappings: 256 characters.
    Wide,
}

impl NameRule {
    fn length_max(self) -> usize {
        match self {
            NameRule::Function => 140,
            NameRule::Invoke => 170,
            NameRule::Wide => 256,
        }
    }
    fn pattern(self) -> &'static str {
        match self {
            NameRule::Function => {
                r"(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?"
            }
            NameRule::Invoke | NameRule::Wide => {
                r"(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
            }
        }
    }
}

/// The longest name of a function.
const NAME_MAX: usize = 64;

/// A qualifier in the query.
pub const QUALIFIER: Shape =
    Shape { pattern: r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+", fits: is_qualifier };

fn is_qualifier(text: &str) -> bool {
    text == "$LATEST.PUBLISHED" || all(text, |sign| is_word(sign) || sign == '$')
}

/// The function that `text` names, with the qualifier of the query. The two must agree.
///
/// # Errors
/// What is no name, names another region or account, or says two different qualifiers.
pub fn parse_name(
    text: &str,
    qualifier: Option<&str>,
    rule: NameRule,
    place: &Place,
) -> Result<Target, AwsError> {
    let parts = parts(text);
    let mut constraints = Constraints::new();
    constraints.length("functionName", Some(text), 1, rule.length_max());
    if parts.is_none() {
        let must = format!("satisfy regular expression pattern: {}", rule.pattern());
        constraints.fails(text, "functionName", must);
    }
    constraints.length("qualifier", qualifier, 1, 128);
    constraints.shape("qualifier", qualifier, &QUALIFIER);
    constraints.finish()?;
    let Some(Parts { region, account, name, qualifier: own }) = parts else {
        return Err(no_function(place, text, qualifier));
    };
    if name.len() > NAME_MAX {
        let mut constraints = Constraints::new();
        constraints.length("functionName", Some(name), 1, NAME_MAX);
        return Err(invalid(constraints.text().unwrap_or_default()));
    }
    if let Some(region) = region.filter(|region| *region != place.region) {
        let here = &place.region;
        let message = format!("Functions from '{region}' are not reachable in this region ('{here}')");
        return Err(missing(message));
    }
    if let Some(account) = account.filter(|account| *account != place.account) {
        let elsewhere = Place { region: place.region.clone(), account: account.to_owned() };
        return Err(no_function(&elsewhere, name, own.or(qualifier)));
    }
    match (own, qualifier) {
        (Some(own), Some(other)) if own != other => Err(invalid(
            "The derived qualifier from the function name does not match the specified qualifier.",
        )),
        _ => Ok(Target { name: name.to_owned(), qualifier: own.or(qualifier).map(str::to_owned) }),
    }
}

struct Parts<'a> {
    region: Option<&'a str>,
    account: Option<&'a str>,
    name: &'a str,
    qualifier: Option<&'a str>,
}

/// The parts of a name; None if it is none.
fn parts(text: &str) -> Option<Parts<'_>> {
    let mut words: &[&str] = &text.split(':').collect::<Vec<_>>();
    let is_arn = words.first() == Some(&"arn");
    if is_arn {
        let partition = words.get(1)?;
        if !(is_partition(partition) || partition.is_empty()) || words.get(2) != Some(&"lambda") {
            return None;
        }
        words = &words[3..];
    }
    let more = |words: &[&str]| words.len() > 1;
    let mut take = |is: fn(&str) -> bool| {
        let found = words.first().copied().filter(|word| more(words) && is(word))?;
        words = &words[1..];
        Some(found)
    };
    let region = take(is_region);
    let account = take(is_account);
    let function = take(|word| word == "function");
    if is_arn && (region.is_none() || account.is_none() || function.is_none()) {
        return None;
    }
    let (name, qualifier) = match words {
        [name] => (*name, None),
        [name, qualifier] => (*name, Some(*qualifier)),
        _ => return None,
    };
    let named = all(name, is_word) && qualifier.is_none_or(|text| text == LATEST || all(text, is_word));
    named.then_some(Parts { region, account, name, qualifier })
}

/// Whether a qualifier is a version's number.
pub fn is_version(qualifier: &str) -> bool {
    is_number(qualifier)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, qualifier: Option<&str>, expected: Result<(&str, Option<&str>), &str>) {
        let found = parse_name(text, qualifier, NameRule::Function, &Place::default());
        let found = found.map_err(|error| format!("{} {}", error.status.as_u16(), error.message));
        let expected = expected
            .map(|(name, qualifier)| Target { name: name.into(), qualifier: qualifier.map(str::to_owned) });
        match (found, expected) {
            (Err(found), Err(words)) => assert!(found.contains(words), "{text}: {found}"),
            (found, expected) => {
                assert_eq!(found, expected.map_err(str::to_owned), "{text}");
            }
        }
    }

    #[test]
    fn a_function_can_be_named_in_many_ways() {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        check("f", None, Ok(("f", None)));
        check("f:1", None, Ok(("f", Some("1"))));
        check("f:$LATEST", None, Ok(("f", Some("$LATEST"))));
        check("f", Some("live"), Ok(("f", Some("live"))));
        check("f:live", Some("live"), Ok(("f", Some("live"))));
        check("000000000000:function:f", None, Ok(("f", None)));
        check("000000000000:function:f:live", None, Ok(("f", Some("live"))));
        check("function:f", None, Ok(("f", None)));
        check(arn, None, Ok(("f", None)));
        check(&format!("{arn}:7"), None, Ok(("f", Some("7"))));
        check("123456789012", None, Ok(("123456789012", None)));
    }

    #[test]
    fn what_is_no_name_is_refused_in_the_words_of_the_service() {
        check("f!", None, Err("400 1 validation error detected: Value 'f!' at 'functionName' failed"));
        check(
            "",
            None,
            Err("400 2 validation errors detected: Value '' at 'functionName' failed to satisfy"),
        );
        check("a:b:c", None, Err("Member must satisfy regular expression pattern: (arn:(aws"));
        check("arn:aws:lambda:f", None, Err("satisfy regular expression"));
        check("arn:aws:s3:us-east-1:000000000000:function:f", None, Err("satisfy regular expression"));
        check(
            &"a".repeat(65),
            None,
            Err(
                "'functionName' failed to satisfy constraint: Member must have length less than or equal to 64",
            ),
        );
        check(&"a".repeat(141), None, Err("have length less than or equal to 140"));
        check(
            "f",
            Some("a b"),
            Err(
                r"Value 'a b' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: \$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+",
            ),
        );
    }

    #[test]
    fn two_qualifiers_must_agree_and_other_places_are_out_of_reach() {
        check(
            "f:1",
            Some("2"),
            Err("400 The derived qualifier from the function name does not match the specified qualifier."),
        );
        check(
            "arn:aws:lambda:us-west-2:000000000000:function:f",
            None,
            Err("404 Functions from 'us-west-2' are not reachable in this region ('us-east-1')"),
        );
        check(
            "arn:aws:lambda:us-east-1:111111111111:function:f",
            None,
            Err("404 Function not found: arn:aws:lambda:us-east-1:111111111111:function:f"),
        );
    }
}
