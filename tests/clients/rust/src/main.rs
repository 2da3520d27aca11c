//! Answers each event with what the official Rust client says of it; an event that asks to fail, fails.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(answer)).await
}

async fn answer(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let (payload, context) = event.into_parts();
    if payload["Records"][0]["Sns"]["Message"] == "fail" {
        return Err("told to fail".into());
    }
    println!("handled by the Rust client");
    Ok(json!({
        "event": payload,
        "id": context.request_id,
        "deadline": context.deadline,
        "arn": context.invoked_function_arn,
    }))
}
