//! Who may use a layer version: kept and shown; nobody is refused.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::check::{Constraints, is_account};
use super::errors::{NOT_THERE, conflict, missing, stale};
use super::policies::text;
use super::request::Request;
use super::requested::nothing_else;
use super::shapes::{LAYER_PRINCIPAL, ORGANIZATION, STATEMENT};
use super::things::{Key, LayerVersion, Policy, Thing};
use super::world::{Edit, World};
use super::{Lambda, created, nothing, ok};
use crate::aws::{Answer, AwsError};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct LayerPermissionRequest {
    statement_id: Option<String>,
    action: Option<String>,
    principal: Option<String>,
    organization_id: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl LayerPermissionRequest {
    fn check(&self) -> Result<(), AwsError> {
        let mut constraints = Constraints::new();
        constraints.required("statementId", &self.statement_id);
        constraints.length("statementId", self.statement_id.as_deref(), 1, 100);
        constraints.shape("statementId", self.statement_id.as_deref(), &STATEMENT);
        constraints.required("action", &self.action);
        constraints.one_of("action", self.action.as_deref(), &["lambda:GetLayerVersion"]);
        constraints.required("principal", &self.principal);
        constraints.shape("principal", self.principal.as_deref(), &LAYER_PRINCIPAL);
        constraints.shape("organizationId", self.organization_id.as_deref(), &ORGANIZATION);
        constraints.finish()?;
        nothing_else(&self.rest)
    }

    fn statement(&self, resource: &str) -> Value {
        let principal = match self.principal.as_deref().unwrap_or_default() {
            "*" => json!("*"),
            account if is_account(account) => json!({ "AWS": format!("arn:aws:iam::{account}:root") }),
            arn => json!({ "AWS": arn }),
        };
        let mut statement = json!({
            "Sid": self.statement_id,
            "Effect": "Allow",
            "Principal": principal,
            "Action": self.action,
            "Resource": resource,
        });
        if let Some(organization) = &self.organization_id {
            statement["Condition"] = json!({ "StringEquals": { "aws:PrincipalOrgID": organization } });
        }
        statement
    }
}

impl Lambda {
    pub(super) async fn add_layer_permission(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: LayerPermissionRequest = request.members()?;
        asked.check()?;
        let (name, number) = (self.layer_name(request)?, self.layer_number(request)?);
        let place = self.place();
        let arn = format!("arn:aws:lambda:{}:{}:layer:{name}:{number}", place.region, place.account);
        let statement = asked.statement(&arn);
        let revision = request.call.query("RevisionId");
        let shown = self.registry.change(|world| {
            let version = known(world, &name, number)?;
            let mut statements = version.policy.as_ref().map(|policy| policy.statements.clone()).unwrap_or_default();
            revised(version, revision)?;
            let id = asked.statement_id.as_deref().unwrap_or_default();
            if statements.iter().any(|known| known["Sid"] == id) {
                return Err(conflict(format!(
                    "The statement id ({id}) provided already exists. Please provide a new statement id, or remove the \
                     existing statement."
                )));
            }
            statements.push(statement.clone());
            let policy = Policy { statements, revision: self.revision() };
            let shown = json!({ "Statement": statement.to_string(), "RevisionId": policy.revision });
            Ok((shown, vec![with_policy(&name, number, version, Some(policy))]))
        });
        Ok(created(&shown.await?))
    }

    pub(super) fn get_layer_policy(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let (name, number) = (self.layer_name(request)?, self.layer_number(request)?);
        let world = self.registry.world();
        let policy = known(&world, &name, number)?.policy.as_ref();
        let policy = policy.ok_or_else(|| missing("No policy is associated with the given resource."))?;
        Ok(ok(&json!({ "Policy": text(&policy.statements), "RevisionId": policy.revision })))
    }

    pub(super) async fn remove_layer_permission(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let (name, number) = (self.layer_name(request)?, self.layer_number(request)?);
        let id = request.part(6).to_owned();
        let revision = request.call.query("RevisionId");
        let change = self.registry.change(|world| {
            let version = known(world, &name, number)?;
            revised(version, revision)?;
            let before = version.policy.as_ref().map(|policy| policy.statements.clone()).unwrap_or_default();
            let statements: Vec<Value> =
                before.iter().filter(|known| known["Sid"] != id.as_str()).cloned().collect();
            if statements.len() == before.len() {
                return Err(missing(format!("Statement {id} is not found in resource policy.")));
            }
            let policy = (!statements.is_empty()).then(|| Policy { statements, revision: self.revision() });
            Ok(((), vec![with_policy(&name, number, version, policy)]))
        });
        change.await?;
        Ok(nothing())
    }
}

fn known<'a>(world: &'a World, name: &str, number: u32) -> Result<&'a LayerVersion, AwsError> {
    let version = world.layers.get(name).and_then(|layer| layer.versions.get(&number));
    version.filter(|version| !version.hidden).map(AsRef::as_ref).ok_or_else(|| missing(NOT_THERE))
}

fn revised(version: &LayerVersion, asked: Option<&str>) -> Result<(), AwsError> {
    let revision = version.policy.as_ref().map(|policy| policy.revision.as_str());
    match asked {
        Some(asked) if revision != Some(asked) => Err(stale("GetLayerVersionPolicy")),
        _ => Ok(()),
    }
}

fn with_policy(name: &str, number: u32, version: &LayerVersion, policy: Option<Policy>) -> Edit {
    let version = LayerVersion { policy, ..version.clone() };
    Edit::Put(Key::of(name, &number.to_string()), Thing::LayerVersion(version))
}
