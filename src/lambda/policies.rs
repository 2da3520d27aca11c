//! AddPermission, GetPolicy, RemovePermission: who may do what with a function. Kept and shown; nobody is refused.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::check::{Constraints, is_account};
use super::errors::{NOT_THERE, conflict, invalid, missing, stale};
use super::names::{NameRule, Target, qualified};
use super::request::Request;
use super::requested::nothing_else;
use super::shapes::{ACCOUNT, ACTION, ORGANIZATION, SOURCE_ARN, STATEMENT, TOKEN};
use super::things::{Key, Kind, Policy, Thing};
use super::world::{Edit, World};
use super::{Lambda, created, nothing, ok};
use crate::arn::Place;
use crate::aws::{Answer, AwsError};
use crate::config::LATEST;

/// A policy is at most so long, in bytes of its text.
const POLICY_MAX: usize = 20_480;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct PermissionRequest {
    statement_id: Option<String>,
    action: Option<String>,
    principal: Option<String>,
    source_arn: Option<String>,
    source_account: Option<String>,
    event_source_token: Option<String>,
    #[serde(rename = "PrincipalOrgID")]
    organization: Option<String>,
    function_url_auth_type: Option<String>,
    invoked_via_function_url: Option<bool>,
    revision_id: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl PermissionRequest {
    fn check(&self) -> Result<(), AwsError> {
        let mut constraints = Constraints::new();
        constraints.required("statementId", &self.statement_id);
        constraints.length("statementId", self.statement_id.as_deref(), 1, 100);
        constraints.shape("statementId", self.statement_id.as_deref(), &STATEMENT);
        constraints.required("action", &self.action);
        constraints.shape("action", self.action.as_deref(), &ACTION);
        constraints.required("principal", &self.principal);
        constraints.shape("sourceArn", self.source_arn.as_deref(), &SOURCE_ARN);
        constraints.shape("sourceAccount", self.source_account.as_deref(), &ACCOUNT);
        constraints.shape("eventSourceToken", self.event_source_token.as_deref(), &TOKEN);
        constraints.shape("principalOrgID", self.organization.as_deref(), &ORGANIZATION);
        constraints.one_of(
            "functionUrlAuthType",
            self.function_url_auth_type.as_deref(),
            &["NONE", "AWS_IAM"],
        );
        constraints.finish()?;
        nothing_else(&self.rest)
    }

    /// The statement about this resource.
    fn statement(&self, resource: &str) -> Result<Value, AwsError> {
        let mut statement = json!({
            "Sid": self.statement_id,
            "Effect": "Allow",
            "Principal": principal(self.principal.as_deref().unwrap_or_default())?,
            "Action": self.action,
            "Resource": resource,
        });
        let mut equals = Map::new();
        for (name, value) in [
            ("AWS:SourceAccount", &self.source_account),
            ("aws:PrincipalOrgID", &self.organization),
            ("lambda:FunctionUrlAuthType", &self.function_url_auth_type),
            ("lambda:EventSourceToken", &self.event_source_token),
        ] {
            if let Some(value) = value {
                equals.insert(name.into(), json!(value));
            }
        }
        let mut condition = Map::new();
        if !equals.is_empty() {
            condition.insert("StringEquals".into(), Value::Object(equals));
        }
        if let Some(via) = self.invoked_via_function_url {
            condition.insert("Bool".into(), json!({ "lambda:InvokedViaFunctionUrl": via.to_string() }));
        }
        if let Some(arn) = &self.source_arn {
            condition.insert("ArnLike".into(), json!({ "AWS:SourceArn": arn }));
        }
        if !condition.is_empty() {
            statement["Condition"] = Value::Object(condition);
        }
        Ok(statement)
    }
}

/// Who is allowed: a service, an account, anybody.
fn principal(text: &str) -> Result<Value, AwsError> {
    let is_service = text.ends_with(".amazonaws.com") || text.ends_with(".amazon.com");
    match text {
        "*" => Ok(json!("*")),
        service if is_service => Ok(json!({ "Service": service })),
        account if is_account(account) => Ok(json!({ "AWS": format!("arn:aws:iam::{account}:root") })),
        arn if arn.starts_with("arn:aws") && arn.split(':').count() >= 6 => Ok(json!({ "AWS": arn })),
        _ => Err(invalid("The provided principal was invalid. Please check the principal and try again.")),
    }
}

/// A policy as the API prints it.
pub fn text(statements: &[Value]) -> String {
    json!({ "Version": "2012-10-17", "Id": "default", "Statement": statements }).to_string()
}

/// Where the policy of a target is kept: the qualifier, or nothing for the function itself.
fn part(target: &Target) -> &str {
    target.qualifier.as_deref().unwrap_or_default()
}

fn resource(place: &Place, target: &Target) -> String {
    qualified(place, &target.name, target.qualifier.as_deref()).to_string()
}

impl Lambda {
    pub(super) async fn add_permission(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: PermissionRequest = request.members()?;
        asked.check()?;
        let target = request.target(NameRule::Wide)?;
        if target.qualifier.as_deref() == Some(LATEST) {
            return Err(invalid("We currently do not support adding policies for $LATEST."));
        }
        let statement = asked.statement(&resource(self.place(), &target))?;
        let shown = self.registry.change(|world| {
            let function = world.must_have(self.place(), &target)?;
            let known = function.policies.get(part(&target));
            revised(known, asked.revision_id.as_deref())?;
            let mut statements = known.map(|policy| policy.statements.clone()).unwrap_or_default();
            let id = asked.statement_id.as_deref().unwrap_or_default();
            if statements.iter().any(|known| known["Sid"] == id) {
                return Err(conflict(format!(
                    "The statement id ({id}) provided already exists. Please provide a new statement id, or remove the \
                     existing statement."
                )));
            }
            statements.push(statement.clone());
            if text(&statements).len() > POLICY_MAX {
                return Err(AwsError::new(
                    400,
                    "PolicyLengthExceededException",
                    format!("The final policy size ({}) is bigger than the limit ({POLICY_MAX}).", text(&statements).len()),
                ));
            }
            let policy = Policy { statements, revision: self.revision() };
            let edit = Edit::Put(Key::of(&target.name, part(&target)), Thing::Policy(policy));
            Ok((json!({ "Statement": statement.to_string() }), vec![edit]))
        });
        Ok(created(&shown.await?))
    }

    pub(super) fn get_policy(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let target = request.target(NameRule::Wide)?;
        let world = self.registry.world();
        world.must_have(self.place(), &target).map_err(|_| missing(NOT_THERE))?;
        let policy =
            world.function(&target.name).policies.get(part(&target)).ok_or_else(|| missing(NOT_THERE))?;
        Ok(ok(&json!({ "Policy": text(&policy.statements), "RevisionId": policy.revision })))
    }

    pub(super) async fn remove_permission(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let target = request.target(NameRule::Wide)?;
        let id = request.part(4).to_owned();
        let revision = request.call.query("RevisionId");
        self.registry.change(|world| self.decide_remove(world, &target, (&id, revision))).await?;
        Ok(nothing())
    }

    fn decide_remove(
        &self,
        world: &World,
        target: &Target,
        (id, revision): (&str, Option<&str>),
    ) -> Result<((), Vec<Edit>), AwsError> {
        let arn = resource(self.place(), target);
        world.must_have(self.place(), target).map_err(|_| missing(format!("No policy found for: {arn}")))?;
        let known = world.function(&target.name).policies.get(part(target));
        let known = known.ok_or_else(|| missing("No policy is associated with the given resource."))?;
        revised(Some(known), revision)?;
        let statements: Vec<Value> =
            known.statements.iter().filter(|known| known["Sid"] != id).cloned().collect();
        if statements.len() == known.statements.len() {
            return Err(missing(format!("Statement {id} is not found in resource policy.")));
        }
        let key = Key::of(&target.name, part(target));
        let edit = match statements.is_empty() {
            true => Edit::Remove(Kind::Policy, key),
            false => Edit::Put(key, Thing::Policy(Policy { statements, revision: self.revision() })),
        };
        Ok(((), vec![edit]))
    }
}

/// A failure if the caller has looked at another revision of the policy.
fn revised(known: Option<&Policy>, asked: Option<&str>) -> Result<(), AwsError> {
    match asked {
        Some(asked) if known.is_none_or(|policy| policy.revision != asked) => Err(stale("GetPolicy")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_are_told_apart() {
        let check =
            |text: &str, expected: Option<Value>| assert_eq!(principal(text).ok(), expected, "{text}");
        check("s3.amazonaws.com", Some(json!({ "Service": "s3.amazonaws.com" })));
        check("123456789012", Some(json!({ "AWS": "arn:aws:iam::123456789012:root" })));
        check(
            "arn:aws:iam::123456789012:user/ada",
            Some(json!({ "AWS": "arn:aws:iam::123456789012:user/ada" })),
        );
        check("*", Some(json!("*")));
        check("nobody", None);
    }

    #[test]
    fn a_statement_has_its_conditions() {
        let asked = PermissionRequest {
            statement_id: Some("s1".into()),
            action: Some("lambda:InvokeFunction".into()),
            principal: Some("s3.amazonaws.com".into()),
            source_arn: Some("arn:aws:s3:::b".into()),
            source_account: Some("000000000000".into()),
            ..PermissionRequest::default()
        };
        assert_eq!(
            asked.statement("arn").expect("a statement").to_string(),
            r#"{"Sid":"s1","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":"arn","Condition":{"StringEquals":{"AWS:SourceAccount":"000000000000"},"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::b"}}}"#
        );
    }
}
