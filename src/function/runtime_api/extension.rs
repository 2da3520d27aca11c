//! The Lambda Extensions API, and the Telemetry API that extensions use.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;

use super::{Body, Guests, json as json_response, not_found, read, refused};
use crate::clock::real;
use crate::function::extensions::{EXIT_ERROR, INIT_ERROR, Refused};
use crate::function::happening::Happening;
use crate::function::subscription::Subscription;
use crate::random;

const NAME: &str = "lambda-extension-name";
const ID: &str = "lambda-extension-identifier";
const EVENT_ID: &str = "lambda-extension-event-identifier";
const ERROR_TYPE: &str = "lambda-extension-function-error-type";
const ACCEPT: &str = "lambda-extension-accept-feature";

/// The largest body that an extension sends, in bytes.
const BODY_MAX: usize = 64 << 10;

#[derive(Deserialize)]
struct Registration {
    #[serde(default)]
    events: Vec<String>,
}

/// Answers a call of an extension: `register`, `event/next`, `init/error`, `exit/error`.
pub async fn reply(guests: &Guests, call: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let id = text(&headers, ID);
    match (call, method) {
        ("register", Method::POST) => {
            let body = match read(request.into_body(), BODY_MAX).await {
                Ok(Body::Whole(body, _)) => body,
                _ => Bytes::new(),
            };
            register(guests, &headers, &body)
        }
        ("event/next", Method::GET) => next(guests, id).await,
        ("init/error", Method::POST) => fail(guests, id, (INIT_ERROR, text(&headers, ERROR_TYPE))),
        ("exit/error", Method::POST) => fail(guests, id, (EXIT_ERROR, text(&headers, ERROR_TYPE))),
        _ => not_found(call),
    }
}

fn register(guests: &Guests, headers: &HeaderMap, body: &[u8]) -> Response<Full<Bytes>> {
    let Ok(registration) = serde_json::from_slice::<Registration>(body) else {
        return refuse(&Refused("InvalidRequestFormat", "Invalid registration request format".to_owned()));
    };
    let (name, about) = (text(headers, NAME).unwrap_or_default(), &guests.about);
    let id = random::uuid_of(&[b"extension", guests.about.environment.as_bytes(), name.as_bytes()], 4);
    if let Err(refusal) = guests.desk.extensions.register(name, &registration.events, &id) {
        return refuse(&refusal);
    }
    let mut said =
        json!({ "functionName": about.function, "functionVersion": about.version, "handler": about.handler });
    if text(headers, ACCEPT).is_some_and(|features| features.split(',').any(|one| one.trim() == "accountId"))
    {
        said["accountId"] = json!(about.account);
    }
    let mut response = json_response(StatusCode::OK, Bytes::from(said.to_string()));
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(ID, id);
    }
    response
}

async fn next(guests: &Guests, id: Option<&str>) -> Response<Full<Bytes>> {
    let waits = match guests.desk.extensions.next(id) {
        Ok(waits) => waits,
        Err(refusal) => return refuse(&refusal),
    };
    guests.desk.ring();
    let Ok(message) = waits.await else {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "Internal Server Error");
    };
    let event_id = random::uuid_of(&[b"extension event", &message, id.unwrap_or_default().as_bytes()], 4);
    let mut response = json_response(StatusCode::OK, message);
    if let Ok(event_id) = HeaderValue::from_str(&event_id) {
        response.headers_mut().insert(EVENT_ID, event_id);
    }
    response
}

fn fail(
    guests: &Guests,
    id: Option<&str>,
    (kind, said): (&'static str, Option<&str>),
) -> Response<Full<Bytes>> {
    let Some(said) = said.filter(|said| !said.is_empty()) else {
        let text = "Missing Lambda-Extension-Function-Error-Type header".to_owned();
        return refuse(&Refused("Extension.MissingHeader", text));
    };
    match guests.desk.extensions.fail(id, (kind, said)) {
        Ok(()) => json_response(StatusCode::ACCEPTED, Bytes::from_static(b"{\"status\":\"OK\"}\n")),
        Err(refusal) => refuse(&refusal),
    }
}

/// Subscribes an extension to what is told.
pub async fn subscribe(guests: &Guests, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Some(telemetry) = guests.telemetry.as_ref().filter(|_| request.method() == Method::PUT) else {
        return not_found(request.uri().path());
    };
    let headers = request.headers().clone();
    let api = if request.uri().path().ends_with("/logs") { "Logs" } else { "Telemetry" };
    let name = match guests.desk.extensions.subscriber(text(&headers, ID), api) {
        Ok(name) => name,
        Err(refusal) => return refuse(&refusal),
    };
    let body = match read(request.into_body(), BODY_MAX).await {
        Ok(Body::Whole(body, _)) => body,
        _ => Bytes::new(),
    };
    let asked = serde_json::from_slice::<Subscription>(&body).map_err(|error| error.to_string());
    let asked = asked.and_then(|asked| asked.check().map(|()| asked));
    let subscription = match asked {
        Ok(subscription) => subscription,
        Err(text) => return refused(StatusCode::BAD_REQUEST, "ValidationError", &text),
    };
    telemetry.subscribe(&name, &subscription);
    let happening = Happening::Subscription { name: &name, types: &subscription.types };
    telemetry.tell(&happening);
    if let Some(output) = &guests.output {
        let line = happening.lines(&guests.about.format, real::now());
        line.lines().for_each(|line| output.note(line));
    }
    json_response(StatusCode::OK, Bytes::from_static(b"\"OK\""))
}

/// The answer to a call that is refused.
pub fn refuse(refusal: &Refused) -> Response<Full<Bytes>> {
    refused(StatusCode::FORBIDDEN, refusal.0, &refusal.1)
}

/// The value of a header that is text.
pub fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
