//! From an operation to the method that answers it.

use super::Lambda;
use super::request::Request;
use super::routes::{Operation, identify};
use crate::aws::{Answer, AwsError, Call};

use Operation as Op;

impl Lambda {
    /// Answers a call.
    pub(super) async fn answer(&self, call: Call) -> Result<Answer, AwsError> {
        let operation = identify(call.method.as_str(), &call.segments(), &call.query)?;
        if matches!(operation, Op::Invoke | Op::InvokeAsync | Op::InvokeWithResponseStream) {
            return match self.invoking.get() {
                Some(service) => service.call(call).await,
                None => {
                    let message = format!("dropwire is not ready for {operation:?} yet; try again");
                    Err(AwsError::new(503, "ServiceUnavailableException", message))
                }
            };
        }
        let request = Request::of(&call, self.place());
        match operation {
            Op::CreateFunction => self.create_function(&request).await,
            Op::ListFunctions => self.list_functions(&request).await,
            Op::GetFunction => self.get_function(&request).await,
            Op::GetFunctionConfiguration => self.get_configuration(&request).await,
            Op::UpdateFunctionCode => self.update_code(&request).await,
            Op::UpdateFunctionConfiguration => self.update_configuration(&request).await,
            Op::DeleteFunction => self.delete_function(&request).await,
            Op::PublishVersion => self.publish_version(&request).await,
            Op::ListVersionsByFunction => self.list_versions(&request).await,
            Op::CreateAlias => self.create_alias(&request).await,
            Op::GetAlias => self.get_alias(&request),
            Op::UpdateAlias => self.update_alias(&request).await,
            Op::DeleteAlias => self.delete_alias(&request).await,
            Op::ListAliases => self.list_aliases(&request),
            other => self.answer_settings(other, &request).await,
        }
    }

    /// Operations on what stands beside a function.
    async fn answer_settings(&self, operation: Operation, request: &Request<'_>) -> Result<Answer, AwsError> {
        match operation {
            Op::AddPermission => self.add_permission(request).await,
            Op::GetPolicy => self.get_policy(request),
            Op::RemovePermission => self.remove_permission(request).await,
            Op::PutFunctionEventInvokeConfig => self.put_invoke_config(request).await,
            Op::UpdateFunctionEventInvokeConfig => self.update_invoke_config(request).await,
            Op::GetFunctionEventInvokeConfig => self.get_invoke_config(request),
            Op::DeleteFunctionEventInvokeConfig => self.delete_invoke_config(request).await,
            Op::ListFunctionEventInvokeConfigs => self.list_invoke_configs(request),
            Op::PutFunctionConcurrency => self.put_concurrency(request).await,
            Op::GetFunctionConcurrency => self.get_concurrency(request),
            Op::DeleteFunctionConcurrency => self.delete_concurrency(request).await,
            Op::PutProvisionedConcurrencyConfig => self.put_provisioned(request).await,
            Op::GetProvisionedConcurrencyConfig => self.get_provisioned(request),
            Op::DeleteProvisionedConcurrencyConfig => self.delete_provisioned(request).await,
            Op::ListProvisionedConcurrencyConfigs => self.list_provisioned(request),
            Op::CreateFunctionUrlConfig => self.create_url(request).await,
            Op::GetFunctionUrlConfig => self.get_url(request),
            Op::UpdateFunctionUrlConfig => self.update_url(request).await,
            Op::DeleteFunctionUrlConfig => self.delete_url(request).await,
            Op::ListFunctionUrlConfigs => self.list_urls(request),
            Op::GetRuntimeManagementConfig => self.get_runtime_rule(request),
            Op::PutRuntimeManagementConfig => self.put_runtime_rule(request).await,
            Op::GetFunctionRecursionConfig => self.get_recursion(request),
            Op::PutFunctionRecursionConfig => self.put_recursion(request).await,
            Op::GetFunctionCodeSigningConfig => self.get_code_signing(request),
            Op::DeleteFunctionCodeSigningConfig => self.delete_code_signing(request),
            other => self.answer_others(other, request).await,
        }
    }

    /// Operations that are not on one function.
    async fn answer_others(&self, operation: Operation, request: &Request<'_>) -> Result<Answer, AwsError> {
        match operation {
            Op::CreateEventSourceMapping => self.create_mapping(request).await,
            Op::GetEventSourceMapping => self.get_mapping(request),
            Op::ListEventSourceMappings => self.list_mappings(request),
            Op::UpdateEventSourceMapping => self.update_mapping(request).await,
            Op::DeleteEventSourceMapping => self.delete_mapping(request).await,
            Op::TagResource => self.tag(request).await,
            Op::UntagResource => self.untag(request).await,
            Op::ListTags => self.list_tags(request),
            Op::GetAccountSettings => self.account_settings().await,
            Op::PublishLayerVersion => self.publish_layer(request).await,
            Op::GetLayerVersion => self.get_layer(request),
            Op::GetLayerVersionByArn => self.get_layer_by_arn(request),
            Op::ListLayers => self.list_layers(request),
            Op::ListLayerVersions => self.list_layer_versions(request),
            Op::DeleteLayerVersion => self.delete_layer(request).await,
            Op::AddLayerVersionPermission => self.add_layer_permission(request).await,
            Op::GetLayerVersionPolicy => self.get_layer_policy(request),
            Op::RemoveLayerVersionPermission => self.remove_layer_permission(request).await,
            other => {
                let message = format!("dropwire does not have Lambda's operation {other:?} yet");
                Err(AwsError::new(501, "NotImplementedException", message))
            }
        }
    }
}
