//! Functions of kind `url`: the event is posted there, and the answer is the result.
//!
//! Status 200 is success unless the header `X-Amz-Function-Error` says otherwise, as AWS's own runtime emulator
//! does it. Any other status is a failure. Where nobody listens the function is unavailable.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::event::Answer;
use super::logs;
use super::outcome;
use super::runtime_api::RESPONSE_MAX;
use super::world::{Call, World};
use crate::clock::real;
use crate::config::FunctionSpec;
use crate::delivery::Outcome;

/// Posts events, over connections that stay open.
pub type Client = legacy::Client<HttpConnector, Full<Bytes>>;

/// A client without any connection yet.
pub fn client() -> Client {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    legacy::Client::builder(TokioExecutor::new()).build(connector)
}

/// Posts the event to `url`.
pub async fn run(call: &Call<'_>, world: &World, (spec, url): (&FunctionSpec, &str)) -> Outcome {
    let limit = world.limit_of(spec);
    let client = world.post_client();
    let request = match request(call, url) {
        Ok(request) => request,
        Err(error) => return Outcome::Unavailable(format!("cannot post to {url}: {error}; correct `url`")),
    };
    let begun = Instant::now();
    let answer = real::within(limit, async { read(client.request(request).await?).await }).await;
    let answer = match answer {
        None => None,
        Some(Ok(answer)) => Some(answer),
        Some(Err(Broken::Connect(error))) => {
            let text = format!("function {}: nobody listens at {url} ({error}); start it there", spec.name);
            return Outcome::Unavailable(text);
        }
        Some(Err(Broken::Other(error))) => {
            let payload =
                logs::payload("Sandbox.Failure", &format!("RequestId: {} Error: {error}", call.request_id));
            Some(Answer::Error(payload, "Sandbox.Failure".to_owned()))
        }
    };
    outcome::concluded(answer, call, spec, (begun.elapsed(), limit))
}

/// Whether events can be posted there at all.
pub fn check(url: &str) -> Result<(), String> {
    let plain =
        url.parse::<http::Uri>().is_ok_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
    if plain {
        Ok(())
    } else {
        Err(format!("cannot post to {url}: only http://HOST[:PORT][/PATH] is spoken; correct `url`"))
    }
}

fn request(call: &Call, url: &str) -> Result<Request<Full<Bytes>>, String> {
    check(url)?;
    let request = Request::post(url).header(header::CONTENT_TYPE, "application/json");
    let request = request.header("x-amzn-requestid", call.request_id);
    request.body(Full::new(call.payload.clone())).map_err(|error| error.to_string())
}

/// Why there is no answer.
enum Broken {
    Connect(String),
    Other(String),
}

impl From<legacy::Error> for Broken {
    fn from(error: legacy::Error) -> Broken {
        let text = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        if error.is_connect() { Broken::Connect(text) } else { Broken::Other(text) }
    }
}

async fn read(response: http::Response<Incoming>) -> Result<Answer, Broken> {
    let (head, mut body) = response.into_parts();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Broken::Other(error.to_string()))?;
        whole.extend_from_slice(&frame.into_data().unwrap_or_default());
        if whole.len() > RESPONSE_MAX {
            return Ok(Answer::TooLarge);
        }
    }
    Ok(judge(head.status, &head.headers, whole.freeze()))
}

fn judge(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Answer {
    if headers.contains_key("x-amz-function-error") {
        return Answer::Error(body, "Function.Unknown".to_owned());
    }
    if status == StatusCode::OK {
        return Answer::Response(if body.is_empty() { Bytes::from_static(b"null") } else { body });
    }
    let text: String = String::from_utf8_lossy(&body).trim().chars().take(1000).collect();
    let message = if text.is_empty() { status.to_string() } else { format!("{status}: {text}") };
    Answer::Error(logs::payload("Function.HttpStatus", &message), "Function.HttpStatus".to_owned())
}
