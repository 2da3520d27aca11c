//! Answers word by word with the official Rust client; an event that asks to fail breaks off after the first.

use std::time::Duration;

use lambda_runtime::streaming::{Body, Response, channel};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(answer)).await
}

async fn answer(event: LambdaEvent<Value>) -> Result<Response<Body>, Error> {
    let fails = event.payload["fail"] == true;
    let (mut sender, body) = channel();
    tokio::spawn(async move {
        let mut beat = tokio::time::interval(Duration::from_millis(150));
        for word in ["one ", "two ", "three"] {
            beat.tick().await;
            if fails && word == "two " {
                return sender.abort();
            }
            if sender.send_data(word.into()).await.is_err() {
                return;
            }
        }
    });
    Ok(Response::from(body))
}
