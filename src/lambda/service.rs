//! The Lambda service as clients reach it: invocations go to the functions, everything else to the registry.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;

use super::Lambda;
use super::invoke::{Invoker, SYNC_MAX, too_large};
use super::names::NameRule;
use super::request::Request;
use super::routes::{self, Operation as Op};
use crate::aws::{Answer, AwsError, AwsService, Call, rest_json};

/// The largest request that creates or updates something, in bytes.
const REQUEST_MAX: usize = 70_167_211;
/// Room for a payload with blanks around it, in bytes.
const INVOKE_SLACK: usize = 100;

/// The Lambda service.
pub struct LambdaService {
    lambda: Arc<Lambda>,
    invoker: Invoker,
}

impl LambdaService {
    /// The service of this registry and these functions.
    pub fn new(invoker: Invoker) -> LambdaService {
        LambdaService { lambda: invoker.parts().lambda.clone(), invoker }
    }
}

#[async_trait]
impl AwsService for LambdaService {
    fn name(&self) -> &'static str {
        "lambda"
    }

    fn body_max(&self, method: &Method, path: &str) -> (usize, AwsError) {
        let invokes = *method == Method::POST
            && ["/invocations", "/response-streaming-invocations", "/invoke-async"]
                .iter()
                .any(|end| path.trim_end_matches('/').ends_with(end));
        if invokes {
            return (SYNC_MAX + INVOKE_SLACK, too_large(SYNC_MAX, "InvokeFunction"));
        }
        let operation = match () {
            () if *method == Method::PUT => "UpdateFunctionCode",
            () if path.contains("/layers/") => "PublishLayerVersion",
            () => "CreateFunction",
        };
        let message =
            format!("Request must be smaller than {REQUEST_MAX} bytes for the {operation} operation");
        (REQUEST_MAX, AwsError::new(413, "RequestEntityTooLargeException", message))
    }

    async fn call(&self, call: Call) -> Result<Answer, AwsError> {
        let operation = routes::identify(call.method.as_str(), &call.segments(), &call.query)?;
        if !matches!(operation, Op::Invoke | Op::InvokeAsync | Op::InvokeWithResponseStream) {
            return self.lambda.answer(operation, call).await;
        }
        let target = Request::of(&call, self.lambda.place()).target(NameRule::Invoke)?;
        match operation {
            Op::Invoke => self.invoker.invoke(call, &target).await,
            Op::InvokeAsync => self.invoker.invoke_async(call, &target).await,
            _ => self.invoker.invoke_with_response_stream(call, &target).await,
        }
    }

    fn failure(&self, error: &AwsError) -> Answer {
        rest_json::failure(error)
    }
}
