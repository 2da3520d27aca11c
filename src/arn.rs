//! Amazon Resource Names, and the account and region that they carry. Pure.

use std::fmt;

/// The account (12 digits) and region in which the simulated world lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// For example `us-east-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
}

impl Default for Place {
    fn default() -> Place {
        Place { region: "us-east-1".into(), account: "000000000000".into() }
    }
}

/// An ARN: `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`. Two ARNs are the same when their texts are.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Arn(String);

impl Arn {
    /// `arn:aws:s3:::NAME` (S3 names are global: no region, no account).
    pub fn bucket(name: &str) -> Arn {
        Arn(format!("arn:aws:s3:::{name}"))
    }
    /// `arn:aws:dynamodb:R:A:table/NAME`.
    pub fn table(place: &Place, name: &str) -> Arn {
        Arn(format!("arn:aws:dynamodb:{}:{}:table/{name}", place.region, place.account))
    }
    /// `arn:aws:sns:R:A:NAME`.
    pub fn topic(place: &Place, name: &str) -> Arn {
        Arn(format!("arn:aws:sns:{}:{}:{name}", place.region, place.account))
    }
    /// `arn:aws:sqs:R:A:NAME`.
    pub fn queue(place: &Place, name: &str) -> Arn {
        Arn(format!("arn:aws:sqs:{}:{}:{name}", place.region, place.account))
    }
    /// `arn:aws:lambda:R:A:function:NAME`.
    pub fn function(place: &Place, name: &str) -> Arn {
        Arn(format!("arn:aws:lambda:{}:{}:function:{name}", place.region, place.account))
    }
    /// Reads an ARN: six parts, the first two `arn` and a partition. None if it is none.
    pub fn parse(text: &str) -> Option<Arn> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let complete = parts.len() == 6 && parts[0] == "arn" && !parts[1].is_empty() && !parts[5].is_empty();
        complete.then(|| Arn(text.to_owned()))
    }
    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The service: `s3`, `dynamodb`, `sns`, `sqs`, `lambda`.
    pub fn service(&self) -> &str {
        self.0.split(':').nth(2).unwrap_or_default()
    }
    /// The account's number; empty for a bucket.
    pub fn account(&self) -> &str {
        self.0.split(':').nth(4).unwrap_or_default()
    }
    /// The region; empty for a bucket.
    pub fn region(&self) -> &str {
        self.0.split(':').nth(3).unwrap_or_default()
    }
    /// The thing's own name, without `table/` or `function:` before it and without a function's qualifier after it.
    pub fn name(&self) -> &str {
        match self.function_parts() {
            Some((name, _)) => name,
            None => {
                let resource = self.resource();
                let kinds = ["table/", "event-bus/"];
                kinds.iter().find_map(|kind| resource.strip_prefix(kind)).unwrap_or(resource)
            }
        }
    }
    /// A function's version or alias, if the ARN names one.
    pub fn qualifier(&self) -> Option<&str> {
        self.function_parts()?.1
    }
    /// The ARN of this version or alias of the function, whichever one it named before.
    pub fn qualified(&self, qualifier: &str) -> Arn {
        Arn(format!("{}:{qualifier}", self.unqualified()))
    }
    /// The ARN of the function itself.
    pub fn unqualified(&self) -> Arn {
        match self.qualifier() {
            Some(qualifier) => Arn(self.0[..self.0.len() - qualifier.len() - 1].to_owned()),
            None => self.clone(),
        }
    }

    fn resource(&self) -> &str {
        self.0.splitn(6, ':').nth(5).unwrap_or_default()
    }

    /// Name and qualifier of a function.
    fn function_parts(&self) -> Option<(&str, Option<&str>)> {
        let rest = self.resource().strip_prefix("function:")?;
        Some(rest.split_once(':').map_or((rest, None), |(name, qualifier)| (name, Some(qualifier))))
    }

    /// The word the wiring file uses for this kind of thing: `s3`, `table`, `topic`, `queue`, `function`, `bus`.
    pub fn kind(&self) -> &str {
        match self.service() {
            "events" => "bus",
            "dynamodb" => "table",
            "sns" => "topic",
            "sqs" => "queue",
            "lambda" => "function",
            other => other,
        }
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arn: &Arn, text: &str, kind: &str, name: &str) {
        assert_eq!((arn.as_str(), arn.kind(), arn.name()), (text, kind, name));
        assert_eq!(Arn::parse(text).as_ref(), Some(arn));
    }

    #[test]
    fn each_kind_is_written_as_aws_writes_it() {
        let place = Place::default();
        check(&Arn::bucket("b"), "arn:aws:s3:::b", "s3", "b");
        check(&Arn::table(&place, "t"), "arn:aws:dynamodb:us-east-1:000000000000:table/t", "table", "t");
        check(&Arn::topic(&place, "n"), "arn:aws:sns:us-east-1:000000000000:n", "topic", "n");
        check(&Arn::queue(&place, "q"), "arn:aws:sqs:us-east-1:000000000000:q", "queue", "q");
        check(
            &Arn::function(&place, "f"),
            "arn:aws:lambda:us-east-1:000000000000:function:f",
            "function",
            "f",
        );
    }

    fn check_qualified(qualifier: Option<&str>, text: &str) {
        let plain = Arn::function(&Place::default(), "f");
        let arn = qualifier.map_or(plain.clone(), |qualifier| plain.qualified(qualifier));
        assert_eq!((arn.as_str(), arn.name(), arn.qualifier()), (text, "f", qualifier));
        assert_eq!((arn.unqualified(), arn.qualified("1")), (plain.clone(), plain.qualified("1")));
    }

    #[test]
    fn a_function_may_be_named_with_its_version_or_alias() {
        check_qualified(None, "arn:aws:lambda:us-east-1:000000000000:function:f");
        check_qualified(Some("$LATEST"), "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST");
        check_qualified(Some("prod"), "arn:aws:lambda:us-east-1:000000000000:function:f:prod");
    }

    #[test]
    fn what_is_no_arn_is_refused() {
        for text in ["", "arn", "arn:aws:s3", "urn:aws:s3:::b", "arn:aws:s3:::"] {
            assert_eq!(Arn::parse(text), None, "{text}");
        }
    }
}
