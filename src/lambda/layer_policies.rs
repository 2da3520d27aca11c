//! Who may use a version of a layer. Kept and shown; there is nobody else here.

use serde::Deserialize;
use serde_json::{Value, json};

use super::check::{Constraints, Shape, is_account};
use super::errors::missing;
use super::policies::{must_be_revision, text, with_statement, without_statement};
use super::request::Request;
use super::shapes::{LAYER_PRINCIPAL, ORGANIZATION, STATEMENT};
use super::things::{Key, LayerVersion, Policy, Thing};
use super::world::Edit;
use super::{Lambda, created, nothing, ok};
use crate::aws::{Answer, AwsError};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct PermissionRequest {
    statement_id: Option<String>,
    action: Option<String>,
    principal: Option<String>,
    organization_id: Option<String>,
}

const ACTION: Shape =
    Shape { pattern: "lambda:GetLayerVersion", fits: |text| text == "lambda:GetLayerVersion" };
const LOOK: &str = "GetLayerPolicy";

impl PermissionRequest {
    fn check(&self) -> Result<(), AwsError> {
        let mut constraints = Constraints::new();
        constraints.required("statementId", &self.statement_id);
        constraints.length("statementId", self.statement_id.as_deref(), 1, 100);
        constraints.shape("statementId", self.statement_id.as_deref(), &STATEMENT);
        constraints.required("action", &self.action);
        constraints.length("action", self.action.as_deref(), 0, 22);
        constraints.shape("action", self.action.as_deref(), &ACTION);
        constraints.required("principal", &self.principal);
        constraints.shape("principal", self.principal.as_deref(), &LAYER_PRINCIPAL);
        constraints.shape("organizationId", self.organization_id.as_deref(), &ORGANIZATION);
        constraints.finish()
    }

    fn statement(&self, resource: &str) -> Value {
        let principal = match self.principal.as_deref().unwrap_or_default() {
            "*" => json!("*"),
            account if is_account(account) => json!({"AWS": format!("arn:aws:iam::{account}:root")}),
            arn => json!({"AWS": arn}),
        };
        let mut statement = json!({
            "Sid": self.statement_id,
            "Effect": "Allow",
            "Principal": principal,
            "Action": self.action,
            "Resource": resource,
        });
        if let Some(organization) = &self.organization_id {
            statement["Condition"] = json!({"StringEquals": {"aws:PrincipalOrgID": organization}});
        }
        statement
    }
}

impl Lambda {
    fn no_layer(&self, name: &str, number: u32) -> AwsError {
        missing(format!("Layer version {}:{number} does not exist.", self.layer_arn(name)))
    }

    pub(super) async fn add_layer_permission(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: PermissionRequest = request.members()?;
        asked.check()?;
        let (name, number) = self.layer_and_number(request)?;
        let statement = asked.statement(&format!("{}:{number}", self.layer_arn(&name)));
        let (shown, revision) = (statement.to_string(), self.revision());
        let told = revision.clone();
        self.change_layer_policy(request, &name, number, |before| {
            with_statement(before, statement, revision).map(Some)
        })
        .await?;
        Ok(created(&json!({"Statement": shown, "RevisionId": told})))
    }

    pub(super) async fn remove_layer_permission(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let (name, number) = self.layer_and_number(request)?;
        let (sid, revision) = (request.part(6).to_owned(), self.revision());
        self.change_layer_policy(request, &name, number, |before| without_statement(before, &sid, revision))
            .await?;
        Ok(nothing())
    }

    async fn change_layer_policy(
        &self,
        request: &Request<'_>,
        name: &str,
        number: u32,
        after: impl FnOnce(Option<&Policy>) -> Result<Option<Policy>, AwsError>,
    ) -> Result<(), AwsError> {
        let asked = request.call.query("RevisionId");
        let change = self.registry.change(|world| {
            let layer = self.layer_there(world, name, number).ok_or_else(|| self.no_layer(name, number))?;
            must_be_revision(layer.policy.as_ref(), asked, LOOK)?;
            let policy = after(layer.policy.as_ref())?;
            let layer = LayerVersion { policy, ..(*layer).clone() };
            Ok(((), vec![Edit::put(Key::of(name, &number.to_string()), Thing::LayerVersion(layer))]))
        });
        change.await
    }

    pub(super) fn get_layer_policy(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let (name, number) = self.layer_and_number(request)?;
        let world = self.registry.world();
        let layer = self.layer_there(&world, &name, number).ok_or_else(|| self.no_layer(&name, number))?;
        let policy = layer.policy.as_ref();
        let policy = policy.ok_or_else(|| missing("No policy is associated with the given resource."))?;
        Ok(ok(&json!({"Policy": text(policy), "RevisionId": policy.revision})))
    }
}
