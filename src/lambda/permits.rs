//! Whether a function's resource policy lets a service invoke it. Only what wires a function by another service's call
//! asks this: calls to Lambda itself are not held against policies. Pure.

use serde_json::Value;

use super::Lambda;
use super::names::Target;
use super::things::Policy;
use crate::arn::Arn;
use crate::config::LATEST;
use crate::glob;

/// Who wants to invoke a function.
#[derive(Clone, Copy, Debug)]
pub struct Invoker<'a> {
    /// The service, such as `s3.amazonaws.com`.
    pub service: &'a str,
    /// For which of its resources.
    pub source: &'a Arn,
    /// Whose resource it is.
    pub account: &'a str,
}

impl Invoker<'_> {
    /// Whether a statement of the policy lets it.
    fn is_let(&self, policy: &Policy) -> bool {
        policy.statements.iter().any(|statement| self.is_let_by(statement))
    }

    fn is_let_by(&self, statement: &Value) -> bool {
        let principal = &statement["Principal"];
        let is_meant = principal == "*" || principal["Service"] == self.service;
        let action = statement["Action"].as_str().unwrap_or_default();
        let is_invoking = ["lambda:InvokeFunction", "lambda:*", "*"].contains(&action);
        is_meant && is_invoking && self.meets(&statement["Condition"])
    }

    /// Whether all conditions hold. One about what a service does not say of itself, as an organization, does not.
    fn meets(&self, conditions: &Value) -> bool {
        let Value::Object(operators) = conditions else { return true };
        let tests = operators.iter().flat_map(|(operator, keys)| {
            keys.as_object()
                .into_iter()
                .flatten()
                .map(move |(key, value)| (operator.as_str(), key.as_str(), value))
        });
        tests.into_iter().all(|test| match test {
            ("StringEquals", "AWS:SourceAccount", account) => account == self.account,
            ("ArnLike", "AWS:SourceArn", pattern) => {
                pattern.as_str().is_some_and(|pattern| is_like(pattern, self.source.as_str()))
            }
            _ => false,
        })
    }
}

/// `ArnLike`: each of the six parts of the ARN matches the pattern's.
fn is_like(pattern: &str, arn: &str) -> bool {
    let (patterns, parts) = (pattern.splitn(6, ':'), arn.splitn(6, ':'));
    patterns.clone().count() == parts.clone().count()
        && patterns.zip(parts).all(|(glob, part)| glob::matches(glob, part))
}

impl Lambda {
    /// Whether there is such a function, version or alias.
    pub fn has(&self, target: &Target) -> bool {
        self.registry.world().find(self.place(), target).is_ok()
    }

    /// Whether the function is there and lets the invoker. A function of the wiring file lets everyone: whoever wrote
    /// the file gave it.
    pub fn lets(&self, target: &Target, invoker: Invoker<'_>) -> bool {
        let world = self.registry.world();
        let qualifier = target.qualifier.as_deref().filter(|qualifier| *qualifier != LATEST);
        let policy = world.function(&target.name).policies.get(qualifier.unwrap_or_default());
        world.find(self.place(), target).is_ok()
            && (world.declared.contains_key(&target.name)
                || policy.is_some_and(|policy| invoker.is_let(policy)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(statement: &Value, expected: bool) {
        let source = Arn::bucket("made");
        let invoker = Invoker { service: "s3.amazonaws.com", source: &source, account: "000000000000" };
        let policy = Policy { statements: vec![statement.clone()], revision: String::new() };
        assert_eq!(invoker.is_let(&policy), expected, "{statement}");
    }

    #[test]
    fn a_statement_must_mean_the_service_the_call_and_the_resource() {
        let with = |key: &str, value: Value| {
            let mut statement = json!({"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
                                       "Action": "lambda:InvokeFunction"});
            statement[key] = value;
            statement
        };
        let conditions = |conditions: Value| with("Condition", conditions);
        check(&with("Sid", json!("s")), true);
        for action in ["lambda:*", "*"] {
            check(&with("Action", json!(action)), true);
        }
        for action in ["lambda:InvokeFunctionUrl", "lambda:GetFunction"] {
            check(&with("Action", json!(action)), false);
        }
        check(&with("Principal", json!("*")), true);
        check(&with("Principal", json!({"Service": "sns.amazonaws.com"})), false);
        check(&with("Principal", json!({"AWS": "arn:aws:iam::000000000000:root"})), false);
        for (pattern, expected) in [
            ("arn:aws:s3:::made", true),
            ("arn:aws:s3:::m*", true),
            ("arn:*:s3:*:*:mad?", true),
            ("arn:aws:s3:::other", false),
            ("arn:aws:s3:::made/*", false),
            ("arn:*", false),
        ] {
            check(&conditions(json!({"ArnLike": {"AWS:SourceArn": pattern}})), expected);
        }
        check(&conditions(json!({"StringEquals": {"AWS:SourceAccount": "000000000000"}})), true);
        check(&conditions(json!({"StringEquals": {"AWS:SourceAccount": "111111111111"}})), false);
        check(&conditions(json!({"StringEquals": {"aws:PrincipalOrgID": "o-1"}})), false);
        check(&conditions(json!({"Bool": {"lambda:InvokedViaFunctionUrl": "true"}})), false);
        let both = json!({"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::made"},
                          "StringEquals": {"AWS:SourceAccount": "111111111111"}});
        check(&conditions(both), false);
    }
}
