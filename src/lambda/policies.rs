//! Resource policies of functions: who may do what. They are kept and shown. Calls are not held against
//! them; `permits` holds wires that are made by calls against them.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::check::{Constraints, is_account};
use super::errors::{NOT_THERE, conflict, invalid, missing, stale};
use super::names::{NameRule, Target, is_version};
use super::request::Request;
use super::shapes::{ACCOUNT, ACTION, HANDLER, ORGANIZATION, SOURCE_ARN, STATEMENT, TOKEN};
use super::things::{Key, Kind, Policy, Thing};
use super::world::{Edit, World};
use super::{Lambda, created, nothing, ok};
use crate::arn::Arn;
use crate::aws::{Answer, AwsError};
use crate::clock::real;
use crate::config::LATEST;

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
}

/// A policy is at most this long, in bytes.
const POLICY_MAX: usize = 20_480;
/// How long a change of a policy waits until it is in force.
const IN_FORCE_MAX: Duration = Duration::from_secs(10);

impl PermissionRequest {
    fn check(&self) -> Result<(), AwsError> {
        let mut constraints = Constraints::new();
        constraints.required("statementId", &self.statement_id);
        constraints.length("statementId", self.statement_id.as_deref(), 1, 100);
        constraints.shape("statementId", self.statement_id.as_deref(), &STATEMENT);
        constraints.required("action", &self.action);
        constraints.shape("action", self.action.as_deref(), &ACTION);
        constraints.required("principal", &self.principal);
        constraints.shape("principal", self.principal.as_deref(), &HANDLER);
        constraints.shape("sourceArn", self.source_arn.as_deref(), &SOURCE_ARN);
        constraints.shape("sourceAccount", self.source_account.as_deref(), &ACCOUNT);
        constraints.length("eventSourceToken", self.event_source_token.as_deref(), 0, 256);
        constraints.shape("eventSourceToken", self.event_source_token.as_deref(), &TOKEN);
        constraints.shape("principalOrgID", self.organization.as_deref(), &ORGANIZATION);
        let words = ["NONE", "AWS_IAM"];
        constraints.one_of("functionUrlAuthType", self.function_url_auth_type.as_deref(), &words);
        constraints.finish()
    }

    fn statement(&self, resource: &Arn) -> Result<Value, AwsError> {
        let principal = principal(self.principal.as_deref().unwrap_or_default())?;
        let mut statement = json!({
            "Sid": self.statement_id,
            "Effect": "Allow",
            "Principal": principal,
            "Action": self.action,
            "Resource": resource.as_str(),
        });
        let mut condition = Map::new();
        let equals: Map<String, Value> = [
            ("AWS:SourceAccount", &self.source_account),
            ("aws:PrincipalOrgID", &self.organization),
            ("lambda:FunctionUrlAuthType", &self.function_url_auth_type),
            ("lambda:EventSourceToken", &self.event_source_token),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), json!(value.as_ref()?))))
        .collect();
        if !equals.is_empty() {
            condition.insert("StringEquals".into(), Value::Object(equals));
        }
        if let Some(via) = self.invoked_via_function_url {
            condition.insert("Bool".into(), json!({"lambda:InvokedViaFunctionUrl": via.to_string()}));
        }
        if let Some(source) = &self.source_arn {
            condition.insert("ArnLike".into(), json!({"AWS:SourceArn": source}));
        }
        if !condition.is_empty() {
            statement["Condition"] = Value::Object(condition);
        }
        Ok(statement)
    }
}

/// A principal as statements have it.
fn principal(text: &str) -> Result<Value, AwsError> {
    let is_service =
        [".amazonaws.com", ".amazon.com", ".amazonaws.com.cn"].iter().any(|end| text.ends_with(end));
    match text {
        "*" => Ok(json!("*")),
        account if is_account(account) => Ok(json!({"AWS": format!("arn:aws:iam::{account}:root")})),
        arn if Arn::parse(arn).is_some_and(|arn| ["iam", "sts"].contains(&arn.service())) => {
            Ok(json!({"AWS": arn}))
        }
        service if is_service => Ok(json!({"Service": service})),
        _ => Err(invalid("The provided principal was invalid. Please check the principal and try again.")),
    }
}

/// A policy's statements with one more.
pub fn with_statement(
    before: Option<&Policy>,
    statement: Value,
    revision: String,
) -> Result<Policy, AwsError> {
    let mut statements = before.map(|policy| policy.statements.clone()).unwrap_or_default();
    let sid = statement["Sid"].as_str().unwrap_or_default();
    if statements.iter().any(|known| known["Sid"] == sid) {
        return Err(conflict(format!(
            "The statement id ({sid}) provided already exists. Please provide a new statement id, or remove the existing \
             statement."
        )));
    }
    statements.push(statement);
    let policy = Policy { statements, revision };
    let size = text(&policy).len();
    if size > POLICY_MAX {
        let message = format!("The final policy size ({size}) is bigger than the limit ({POLICY_MAX}).");
        return Err(AwsError::new(400, "PolicyLengthExceededException", message));
    }
    Ok(policy)
}

/// A policy's statements without one; None if none is left.
pub fn without_statement(
    before: Option<&Policy>,
    sid: &str,
    revision: String,
) -> Result<Option<Policy>, AwsError> {
    let before = before.ok_or_else(|| missing("No policy is associated with the given resource."))?;
    let mut statements = before.statements.clone();
    statements.retain(|statement| statement["Sid"] != sid);
    if statements.len() == before.statements.len() {
        return Err(missing(format!("Statement {sid} is not found in resource policy.")));
    }
    Ok((!statements.is_empty()).then_some(Policy { statements, revision }))
}

/// A policy's JSON.
pub fn text(policy: &Policy) -> String {
    json!({"Version": "2012-10-17", "Id": "default", "Statement": policy.statements}).to_string()
}

/// The caller must know the policy as it is.
pub fn must_be_revision(policy: Option<&Policy>, asked: Option<&str>, look: &str) -> Result<(), AwsError> {
    match asked.filter(|asked| !asked.is_empty()) {
        Some(asked) if policy.is_none_or(|policy| policy.revision != asked) => Err(stale(look)),
        _ => Ok(()),
    }
}

impl Lambda {
    /// Whoever is let in is let in from now on, and whoever is not, is not: unless something else takes too long.
    async fn let_in_from_now_on(&self) {
        if real::within(IN_FORCE_MAX, self.until_in_force()).await.is_none() {
            let text = "a permission that was added or removed comes into force later: something else is being applied";
            self.ground.timeline.notice(self.ground.clock.now(), "warning", text.to_owned());
        }
    }

    /// What a policy is of: a function, a version or an alias that is there.
    fn must_have_for_policy(&self, world: &World, target: &Target) -> Result<(), AwsError> {
        if let Some(alias) =
            target.qualifier.as_deref().filter(|qualifier| !is_version(qualifier) && *qualifier != LATEST)
            && world.exists(&target.name)
            && !world.function(&target.name).aliases.contains_key(alias)
        {
            return Err(missing(format!("Cannot find alias arn: {}", target.arn(self.place()))));
        }
        world.find(self.place(), target).map(drop)
    }

    pub(super) async fn add_permission(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: PermissionRequest = request.members()?;
        asked.check()?;
        let target = request.target(NameRule::Wide)?;
        if target.qualifier.as_deref() == Some(LATEST) {
            return Err(invalid("We currently do not support adding policies for $LATEST."));
        }
        let statement = asked.statement(&target.arn(self.place()))?;
        let part = target.qualifier.clone().unwrap_or_default();
        let shown = statement.to_string();
        let change = self.registry.change(|world| {
            self.must_have_for_policy(world, &target)?;
            let before = world.function(&target.name).policies.get(&part);
            must_be_revision(before, asked.revision_id.as_deref(), "GetPolicy")?;
            let policy = with_statement(before, statement, self.revision())?;
            Ok(((), vec![Edit::put(Key::of(&target.name, &part), Thing::Policy(policy))]))
        });
        change.await?;
        self.let_in_from_now_on().await;
        Ok(created(&json!({"Statement": shown})))
    }

    pub(super) fn get_policy(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let target = request.target(NameRule::Wide)?;
        let world = self.registry.world();
        let part = target.qualifier.clone().unwrap_or_default();
        let policy = world.function(&target.name).policies.get(&part);
        let policy = policy.filter(|_| world.exists(&target.name)).ok_or_else(|| missing(NOT_THERE))?;
        Ok(ok(&json!({"Policy": text(policy), "RevisionId": policy.revision})))
    }

    pub(super) async fn remove_permission(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let target = request.target(NameRule::Wide)?;
        let sid = request.part(4).to_owned();
        let asked = request.call.query("RevisionId");
        let part = target.qualifier.clone().unwrap_or_default();
        let change = self.registry.change(|world| {
            if world.find(self.place(), &target).is_err() {
                return Err(missing(format!("No policy found for: {}", target.arn(self.place()))));
            }
            let before = world.function(&target.name).policies.get(&part);
            must_be_revision(before, asked, "GetPolicy")?;
            let after = without_statement(before, &sid, self.revision())?;
            let key = Key::of(&target.name, &part);
            Ok((
                (),
                vec![match after {
                    Some(policy) => Edit::put(key, Thing::Policy(policy)),
                    None => Edit::Remove(Kind::Policy, key),
                }],
            ))
        });
        change.await?;
        self.let_in_from_now_on().await;
        Ok(nothing())
    }
}
