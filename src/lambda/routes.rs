//! Which operation of Lambda a request is: by its method and path. Pure.

use crate::aws::AwsError;

/// An operation that dropwire has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `POST /2018-10-31/layers/…/versions/…/policy`
    AddLayerVersionPermission,
    /// `POST /2015-03-31/functions/…/policy`
    AddPermission,
    /// `POST /2015-03-31/functions/…/aliases`
    CreateAlias,
    /// `POST /2015-03-31/event-source-mappings`
    CreateEventSourceMapping,
    /// `POST /2015-03-31/functions`
    CreateFunction,
    /// `POST /2021-10-31/functions/…/url`
    CreateFunctionUrlConfig,
    /// `DELETE /2015-03-31/functions/…/aliases/…`
    DeleteAlias,
    /// `DELETE /2015-03-31/event-source-mappings/…`
    DeleteEventSourceMapping,
    /// `DELETE /2015-03-31/functions/…`
    DeleteFunction,
    /// `DELETE /2020-06-30/functions/…/code-signing-config`
    DeleteFunctionCodeSigningConfig,
    /// `DELETE /2017-10-31/functions/…/concurrency`
    DeleteFunctionConcurrency,
    /// `DELETE /2019-09-25/functions/…/event-invoke-config`
    DeleteFunctionEventInvokeConfig,
    /// `DELETE /2021-10-31/functions/…/url`
    DeleteFunctionUrlConfig,
    /// `DELETE /2018-10-31/layers/…/versions/…`
    DeleteLayerVersion,
    /// `DELETE /2019-09-30/functions/…/provisioned-concurrency`
    DeleteProvisionedConcurrencyConfig,
    /// `GET /2016-08-19/account-settings`
    GetAccountSettings,
    /// `GET /2015-03-31/functions/…/aliases/…`
    GetAlias,
    /// `GET /2015-03-31/event-source-mappings/…`
    GetEventSourceMapping,
    /// `GET /2015-03-31/functions/…`
    GetFunction,
    /// `GET /2020-06-30/functions/…/code-signing-config`
    GetFunctionCodeSigningConfig,
    /// `GET /2019-09-30/functions/…/concurrency`
    GetFunctionConcurrency,
    /// `GET /2015-03-31/functions/…/configuration`
    GetFunctionConfiguration,
    /// `GET /2019-09-25/functions/…/event-invoke-config`
    GetFunctionEventInvokeConfig,
    /// `GET /2024-08-31/functions/…/recursion-config`
    GetFunctionRecursionConfig,
    /// `GET /2021-10-31/functions/…/url`
    GetFunctionUrlConfig,
    /// `GET /2018-10-31/layers/…/versions/…`
    GetLayerVersion,
    /// `GET /2018-10-31/layers?find=LayerVersion`
    GetLayerVersionByArn,
    /// `GET /2018-10-31/layers/…/versions/…/policy`
    GetLayerVersionPolicy,
    /// `GET /2015-03-31/functions/…/policy`
    GetPolicy,
    /// `GET /2019-09-30/functions/…/provisioned-concurrency`
    GetProvisionedConcurrencyConfig,
    /// `GET /2021-07-20/functions/…/runtime-management-config`
    GetRuntimeManagementConfig,
    /// `POST /2015-03-31/functions/…/invocations`
    Invoke,
    /// `POST /2014-11-13/functions/…/invoke-async`
    InvokeAsync,
    /// `POST /2021-11-15/functions/…/response-streaming-invocations`
    InvokeWithResponseStream,
    /// `GET /2015-03-31/functions/…/aliases`
    ListAliases,
    /// `GET /2015-03-31/event-source-mappings`
    ListEventSourceMappings,
    /// `GET /2019-09-25/functions/…/event-invoke-config/list`
    ListFunctionEventInvokeConfigs,
    /// `GET /2021-10-31/functions/…/urls`
    ListFunctionUrlConfigs,
    /// `GET /2015-03-31/functions`
    ListFunctions,
    /// `GET /2018-10-31/layers/…/versions`
    ListLayerVersions,
    /// `GET /2018-10-31/layers`
    ListLayers,
    /// `GET /2019-09-30/functions/…/provisioned-concurrency?List=ALL`
    ListProvisionedConcurrencyConfigs,
    /// `GET /2017-03-31/tags/…`
    ListTags,
    /// `GET /2015-03-31/functions/…/versions`
    ListVersionsByFunction,
    /// `POST /2018-10-31/layers/…/versions`
    PublishLayerVersion,
    /// `POST /2015-03-31/functions/…/versions`
    PublishVersion,
    /// `PUT /2017-10-31/functions/…/concurrency`
    PutFunctionConcurrency,
    /// `PUT /2019-09-25/functions/…/event-invoke-config`
    PutFunctionEventInvokeConfig,
    /// `PUT /2024-08-31/functions/…/recursion-config`
    PutFunctionRecursionConfig,
    /// `PUT /2019-09-30/functions/…/provisioned-concurrency`
    PutProvisionedConcurrencyConfig,
    /// `PUT /2021-07-20/functions/…/runtime-management-config`
    PutRuntimeManagementConfig,
    /// `DELETE /2018-10-31/layers/…/versions/…/policy/…`
    RemoveLayerVersionPermission,
    /// `DELETE /2015-03-31/functions/…/policy/…`
    RemovePermission,
    /// `POST /2017-03-31/tags/…`
    TagResource,
    /// `DELETE /2017-03-31/tags/…`
    UntagResource,
    /// `PUT /2015-03-31/functions/…/aliases/…`
    UpdateAlias,
    /// `PUT /2015-03-31/event-source-mappings/…`
    UpdateEventSourceMapping,
    /// `PUT /2015-03-31/functions/…/code`
    UpdateFunctionCode,
    /// `PUT /2015-03-31/functions/…/configuration`
    UpdateFunctionConfiguration,
    /// `POST /2019-09-25/functions/…/event-invoke-config`
    UpdateFunctionEventInvokeConfig,
    /// `PUT /2021-10-31/functions/…/url`
    UpdateFunctionUrlConfig,
}

/// The operation of a request: its method, the parts of its path, its query.
///
/// # Errors
/// An operation of Lambda that dropwire does not have is named; anything else is no operation of Lambda.
pub fn identify(
    method: &str,
    segments: &[String],
    query: &[(String, String)],
) -> Result<Operation, AwsError> {
    // One slash at the end means nothing.
    let segments = match segments {
        [path @ .., last] if last.is_empty() => path,
        path => path,
    };
    let has = |wanted: &str| {
        let (name, value) = wanted.split_once('=').unwrap_or((wanted, ""));
        wanted.is_empty() || query.iter().any(|(known, is)| known == name && is == value)
    };
    let found = ROUTES
        .iter()
        .filter(|(_, verb, path, wanted)| *verb == method && leads(path, segments) && has(wanted));
    // The more a route asks for, the more it is meant.
    if let Some((operation, ..)) = found.max_by_key(|(.., wanted)| wanted.len()) {
        return Ok(*operation);
    }
    if let Some((name, ..)) =
        ELSEWHERE.iter().find(|(_, verb, path)| *verb == method && leads(path, segments))
    {
        let message = format!("dropwire does not have Lambda's operation {name} yet");
        return Err(AwsError::new(501, "NotImplementedException", message));
    }
    let path = segments.join("/");
    let message = format!("Lambda has no operation {method} /{path}");
    Err(AwsError::new(404, "UnknownOperationException", message))
}

/// Whether a path is that of a route: `*` stands for one part that is not empty.
fn leads(route: &str, segments: &[String]) -> bool {
    let mut parts = route.split('/');
    segments
        .iter()
        .all(|found| parts.next().is_some_and(|part| part == found || (part == "*" && !found.is_empty())))
        && parts.next().is_none()
}

/// Operation, method, path, and what the query must say.
const ROUTES: [(Operation, &str, &str, &str); 61] = [
    (Operation::AddLayerVersionPermission, "POST", "2018-10-31/layers/*/versions/*/policy", ""),
    (Operation::AddPermission, "POST", "2015-03-31/functions/*/policy", ""),
    (Operation::CreateAlias, "POST", "2015-03-31/functions/*/aliases", ""),
    (Operation::CreateEventSourceMapping, "POST", "2015-03-31/event-source-mappings", ""),
    (Operation::CreateFunction, "POST", "2015-03-31/functions", ""),
    (Operation::CreateFunctionUrlConfig, "POST", "2021-10-31/functions/*/url", ""),
    (Operation::DeleteAlias, "DELETE", "2015-03-31/functions/*/aliases/*", ""),
    (Operation::DeleteEventSourceMapping, "DELETE", "2015-03-31/event-source-mappings/*", ""),
    (Operation::DeleteFunction, "DELETE", "2015-03-31/functions/*", ""),
    (Operation::DeleteFunctionCodeSigningConfig, "DELETE", "2020-06-30/functions/*/code-signing-config", ""),
    (Operation::DeleteFunctionConcurrency, "DELETE", "2017-10-31/functions/*/concurrency", ""),
    (Operation::DeleteFunctionEventInvokeConfig, "DELETE", "2019-09-25/functions/*/event-invoke-config", ""),
    (Operation::DeleteFunctionUrlConfig, "DELETE", "2021-10-31/functions/*/url", ""),
    (Operation::DeleteLayerVersion, "DELETE", "2018-10-31/layers/*/versions/*", ""),
    (
        Operation::DeleteProvisionedConcurrencyConfig,
        "DELETE",
        "2019-09-30/functions/*/provisioned-concurrency",
        "",
    ),
    (Operation::GetAccountSettings, "GET", "2016-08-19/account-settings", ""),
    (Operation::GetAlias, "GET", "2015-03-31/functions/*/aliases/*", ""),
    (Operation::GetEventSourceMapping, "GET", "2015-03-31/event-source-mappings/*", ""),
    (Operation::GetFunction, "GET", "2015-03-31/functions/*", ""),
    (Operation::GetFunctionCodeSigningConfig, "GET", "2020-06-30/functions/*/code-signing-config", ""),
    (Operation::GetFunctionConcurrency, "GET", "2019-09-30/functions/*/concurrency", ""),
    (Operation::GetFunctionConfiguration, "GET", "2015-03-31/functions/*/configuration", ""),
    (Operation::GetFunctionEventInvokeConfig, "GET", "2019-09-25/functions/*/event-invoke-config", ""),
    (Operation::GetFunctionRecursionConfig, "GET", "2024-08-31/functions/*/recursion-config", ""),
    (Operation::GetFunctionUrlConfig, "GET", "2021-10-31/functions/*/url", ""),
    (Operation::GetLayerVersion, "GET", "2018-10-31/layers/*/versions/*", ""),
    (Operation::GetLayerVersionByArn, "GET", "2018-10-31/layers", "find=LayerVersion"),
    (Operation::GetLayerVersionPolicy, "GET", "2018-10-31/layers/*/versions/*/policy", ""),
    (Operation::GetPolicy, "GET", "2015-03-31/functions/*/policy", ""),
    (Operation::GetProvisionedConcurrencyConfig, "GET", "2019-09-30/functions/*/provisioned-concurrency", ""),
    (Operation::GetRuntimeManagementConfig, "GET", "2021-07-20/functions/*/runtime-management-config", ""),
    (Operation::Invoke, "POST", "2015-03-31/functions/*/invocations", ""),
    (Operation::InvokeAsync, "POST", "2014-11-13/functions/*/invoke-async", ""),
    (
        Operation::InvokeWithResponseStream,
        "POST",
        "2021-11-15/functions/*/response-streaming-invocations",
        "",
    ),
    (Operation::ListAliases, "GET", "2015-03-31/functions/*/aliases", ""),
    (Operation::ListEventSourceMappings, "GET", "2015-03-31/event-source-mappings", ""),
    (Operation::ListFunctionEventInvokeConfigs, "GET", "2019-09-25/functions/*/event-invoke-config/list", ""),
    (Operation::ListFunctionUrlConfigs, "GET", "2021-10-31/functions/*/urls", ""),
    (Operation::ListFunctions, "GET", "2015-03-31/functions", ""),
    (Operation::ListLayerVersions, "GET", "2018-10-31/layers/*/versions", ""),
    (Operation::ListLayers, "GET", "2018-10-31/layers", ""),
    (
        Operation::ListProvisionedConcurrencyConfigs,
        "GET",
        "2019-09-30/functions/*/provisioned-concurrency",
        "List=ALL",
    ),
    (Operation::ListTags, "GET", "2017-03-31/tags/*", ""),
    (Operation::ListVersionsByFunction, "GET", "2015-03-31/functions/*/versions", ""),
    (Operation::PublishLayerVersion, "POST", "2018-10-31/layers/*/versions", ""),
    (Operation::PublishVersion, "POST", "2015-03-31/functions/*/versions", ""),
    (Operation::PutFunctionConcurrency, "PUT", "2017-10-31/functions/*/concurrency", ""),
    (Operation::PutFunctionEventInvokeConfig, "PUT", "2019-09-25/functions/*/event-invoke-config", ""),
    (Operation::PutFunctionRecursionConfig, "PUT", "2024-08-31/functions/*/recursion-config", ""),
    (Operation::PutProvisionedConcurrencyConfig, "PUT", "2019-09-30/functions/*/provisioned-concurrency", ""),
    (Operation::PutRuntimeManagementConfig, "PUT", "2021-07-20/functions/*/runtime-management-config", ""),
    (Operation::RemoveLayerVersionPermission, "DELETE", "2018-10-31/layers/*/versions/*/policy/*", ""),
    (Operation::RemovePermission, "DELETE", "2015-03-31/functions/*/policy/*", ""),
    (Operation::TagResource, "POST", "2017-03-31/tags/*", ""),
    (Operation::UntagResource, "DELETE", "2017-03-31/tags/*", ""),
    (Operation::UpdateAlias, "PUT", "2015-03-31/functions/*/aliases/*", ""),
    (Operation::UpdateEventSourceMapping, "PUT", "2015-03-31/event-source-mappings/*", ""),
    (Operation::UpdateFunctionCode, "PUT", "2015-03-31/functions/*/code", ""),
    (Operation::UpdateFunctionConfiguration, "PUT", "2015-03-31/functions/*/configuration", ""),
    (Operation::UpdateFunctionEventInvokeConfig, "POST", "2019-09-25/functions/*/event-invoke-config", ""),
    (Operation::UpdateFunctionUrlConfig, "PUT", "2021-10-31/functions/*/url", ""),
];

/// Operations of Lambda that dropwire does not have.
const ELSEWHERE: [(&str, &str, &str); 24] = [
    ("CheckpointDurableExecution", "POST", "2025-12-01/durable-executions/*/checkpoint"),
    ("CreateCapacityProvider", "POST", "2025-11-30/capacity-providers"),
    ("CreateCodeSigningConfig", "POST", "2020-04-22/code-signing-configs"),
    ("DeleteCapacityProvider", "DELETE", "2025-11-30/capacity-providers/*"),
    ("DeleteCodeSigningConfig", "DELETE", "2020-04-22/code-signing-configs/*"),
    ("GetCapacityProvider", "GET", "2025-11-30/capacity-providers/*"),
    ("GetCodeSigningConfig", "GET", "2020-04-22/code-signing-configs/*"),
    ("GetDurableExecution", "GET", "2025-12-01/durable-executions/*"),
    ("GetDurableExecutionHistory", "GET", "2025-12-01/durable-executions/*/history"),
    ("GetDurableExecutionState", "GET", "2025-12-01/durable-executions/*/state"),
    ("GetFunctionScalingConfig", "GET", "2025-11-30/functions/*/function-scaling-config"),
    ("ListCapacityProviders", "GET", "2025-11-30/capacity-providers"),
    ("ListCodeSigningConfigs", "GET", "2020-04-22/code-signing-configs"),
    ("ListDurableExecutionsByFunction", "GET", "2025-12-01/functions/*/durable-executions"),
    ("ListFunctionVersionsByCapacityProvider", "GET", "2025-11-30/capacity-providers/*/function-versions"),
    ("ListFunctionsByCodeSigningConfig", "GET", "2020-04-22/code-signing-configs/*/functions"),
    ("PutFunctionCodeSigningConfig", "PUT", "2020-06-30/functions/*/code-signing-config"),
    ("PutFunctionScalingConfig", "PUT", "2025-11-30/functions/*/function-scaling-config"),
    ("SendDurableExecutionCallbackFailure", "POST", "2025-12-01/durable-execution-callbacks/*/fail"),
    ("SendDurableExecutionCallbackHeartbeat", "POST", "2025-12-01/durable-execution-callbacks/*/heartbeat"),
    ("SendDurableExecutionCallbackSuccess", "POST", "2025-12-01/durable-execution-callbacks/*/succeed"),
    ("StopDurableExecution", "POST", "2025-12-01/durable-executions/*/stop"),
    ("UpdateCapacityProvider", "PUT", "2025-11-30/capacity-providers/*"),
    ("UpdateCodeSigningConfig", "PUT", "2020-04-22/code-signing-configs/*"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::query_of;

    fn check(method: &str, path: &str, expected: &str) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let segments: Vec<String> =
            path.trim_start_matches('/').split('/').map(crate::aws::decoded).collect();
        let found = match identify(method, &segments, &query_of(query)) {
            Ok(operation) => format!("{operation:?}"),
            Err(error) => format!("{} {}", error.status.as_u16(), error.message),
        };
        assert_eq!(found, expected, "{method} {path}");
    }

    #[test]
    fn functions_versions_and_aliases() {
        check("POST", "/2015-03-31/functions", "CreateFunction");
        check("GET", "/2015-03-31/functions/", "ListFunctions");
        check("GET", "/2015-03-31/functions/?MaxItems=1", "ListFunctions");
        check("GET", "/2015-03-31/functions/f?Qualifier=1", "GetFunction");
        check(
            "DELETE",
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A0%3Afunction%3Af",
            "DeleteFunction",
        );
        check("GET", "/2015-03-31/functions/f/configuration", "GetFunctionConfiguration");
        check("PUT", "/2015-03-31/functions/f/configuration", "UpdateFunctionConfiguration");
        check("PUT", "/2015-03-31/functions/f/code", "UpdateFunctionCode");
        check("POST", "/2015-03-31/functions/f/invocations", "Invoke");
        check("POST", "/2021-11-15/functions/f/response-streaming-invocations", "InvokeWithResponseStream");
        check("POST", "/2014-11-13/functions/f/invoke-async/", "InvokeAsync");
        check("POST", "/2015-03-31/functions/f/versions", "PublishVersion");
        check("GET", "/2015-03-31/functions/f/versions", "ListVersionsByFunction");
        check("POST", "/2015-03-31/functions/f/aliases", "CreateAlias");
        check("GET", "/2015-03-31/functions/f/aliases", "ListAliases");
        check("GET", "/2015-03-31/functions/f/aliases/a", "GetAlias");
        check("PUT", "/2015-03-31/functions/f/aliases/a", "UpdateAlias");
        check("DELETE", "/2015-03-31/functions/f/aliases/a", "DeleteAlias");
    }

    #[test]
    fn policies_concurrency_urls_and_mappings() {
        check("POST", "/2015-03-31/functions/f/policy", "AddPermission");
        check("GET", "/2015-03-31/functions/f/policy", "GetPolicy");
        check("DELETE", "/2015-03-31/functions/f/policy/s", "RemovePermission");
        let invoke = "/2019-09-25/functions/f/event-invoke-config";
        check("PUT", invoke, "PutFunctionEventInvokeConfig");
        check("POST", invoke, "UpdateFunctionEventInvokeConfig");
        check("GET", invoke, "GetFunctionEventInvokeConfig");
        check("DELETE", invoke, "DeleteFunctionEventInvokeConfig");
        check("GET", &format!("{invoke}/list"), "ListFunctionEventInvokeConfigs");
        check("PUT", "/2017-10-31/functions/f/concurrency", "PutFunctionConcurrency");
        check("DELETE", "/2017-10-31/functions/f/concurrency", "DeleteFunctionConcurrency");
        check("GET", "/2019-09-30/functions/f/concurrency", "GetFunctionConcurrency");
        let provisioned = "/2019-09-30/functions/f/provisioned-concurrency";
        check("PUT", &format!("{provisioned}?Qualifier=1"), "PutProvisionedConcurrencyConfig");
        check("GET", &format!("{provisioned}?Qualifier=1"), "GetProvisionedConcurrencyConfig");
        check("GET", &format!("{provisioned}?List=ALL"), "ListProvisionedConcurrencyConfigs");
        check("POST", "/2015-03-31/event-source-mappings/", "CreateEventSourceMapping");
        check("GET", "/2015-03-31/event-source-mappings", "ListEventSourceMappings");
        check("GET", "/2015-03-31/event-source-mappings/u", "GetEventSourceMapping");
        check("PUT", "/2015-03-31/event-source-mappings/u", "UpdateEventSourceMapping");
        check("DELETE", "/2015-03-31/event-source-mappings/u", "DeleteEventSourceMapping");
        check("POST", "/2021-10-31/functions/f/url", "CreateFunctionUrlConfig");
        check("GET", "/2021-10-31/functions/f/url", "GetFunctionUrlConfig");
        check("PUT", "/2021-10-31/functions/f/url", "UpdateFunctionUrlConfig");
        check("DELETE", "/2021-10-31/functions/f/url", "DeleteFunctionUrlConfig");
        check("GET", "/2021-10-31/functions/f/urls", "ListFunctionUrlConfigs");
    }

    #[test]
    fn the_rest() {
        check("POST", "/2017-03-31/tags/arn", "TagResource");
        check("DELETE", "/2017-03-31/tags/arn?tagKeys=a", "UntagResource");
        check("GET", "/2017-03-31/tags/arn", "ListTags");
        check("GET", "/2016-08-19/account-settings/", "GetAccountSettings");
        check("PUT", "/2021-07-20/functions/f/runtime-management-config", "PutRuntimeManagementConfig");
        check("PUT", "/2024-08-31/functions/f/recursion-config", "PutFunctionRecursionConfig");
        check("GET", "/2020-06-30/functions/f/code-signing-config", "GetFunctionCodeSigningConfig");
        check("POST", "/2018-10-31/layers/l/versions", "PublishLayerVersion");
        check("GET", "/2018-10-31/layers", "ListLayers");
        check("GET", "/2018-10-31/layers?find=LayerVersion&Arn=a", "GetLayerVersionByArn");
        check("GET", "/2018-10-31/layers/l/versions/1/policy", "GetLayerVersionPolicy");
        check("DELETE", "/2018-10-31/layers/l/versions/1/policy/s", "RemoveLayerVersionPermission");
        check(
            "POST",
            "/2025-11-30/capacity-providers",
            "501 dropwire does not have Lambda's operation CreateCapacityProvider yet",
        );
        check(
            "POST",
            "/2015-03-31/functions/f/spin",
            "404 Lambda has no operation POST /2015-03-31/functions/f/spin",
        );
        check(
            "POST",
            "/2015-03-31/functions//versions",
            "404 Lambda has no operation POST /2015-03-31/functions//versions",
        );
    }
}
