//! The routes of the control API, and its refusals.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

use super::{BASE, Listed, Refusal, act, ask, functions};
use crate::app::App;
use crate::config::{Asynchronous, resolve};

/// The largest body of a request, in bytes: an invocation's payload and some.
const BODY_MAX: usize = 8 * 1024 * 1024;

/// The routes of the control API, below [`BASE`].
pub fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/status", get(ask::status))
        .route("/list", get(ask::list))
        .route("/events", get(ask::events))
        .route("/events/{id}", get(ask::event))
        .route("/why/{id}", get(ask::why))
        .route("/why-missing/{function}", get(ask::why_missing))
        .route("/functions/{name}", get(functions::function))
        .route("/invocations/{id}", get(functions::invocation))
        .route("/logs/{function}", get(ask::logs))
        .route("/dead", get(ask::dead))
        .route("/follow", get(ask::follow))
        .route("/clock", get(ask::clock).post(act::clock))
        .route("/fire", post(act::fire))
        .route("/replay", post(act::replay))
        .route("/invoke/{function}", post(act::invoke))
        .route("/dead/redrive", post(act::redrive))
        .route("/dead/drop", post(act::drop_letters))
        .route("/stop", post(act::stop));
    Router::new().nest(BASE, api).fallback(unknown).layer(DefaultBodyLimit::max(BODY_MAX)).with_state(app)
}

/// An answer that is no success.
pub struct Refused(pub StatusCode, pub Refusal);

impl Refused {
    /// There is no such thing.
    pub fn unknown(message: String, command: &str) -> Refused {
        let hint = "look at the names that there are".into();
        Refused(
            StatusCode::NOT_FOUND,
            Refusal { code: "E404".into(), message, hint, try_: vec![command.into()] },
        )
    }
    /// The request makes no sense.
    pub fn senseless(message: String, hint: &str) -> Refused {
        let refusal = Refusal { code: "E400".into(), message, hint: hint.into(), try_: Vec::new() };
        Refused(StatusCode::BAD_REQUEST, refusal)
    }
    /// dropwire could not do it.
    pub fn failed(error: impl std::fmt::Display) -> Refused {
        let message = error.to_string();
        let refusal = Refusal { code: "E500".into(), message, hint: String::new(), try_: Vec::new() };
        Refused(StatusCode::INTERNAL_SERVER_ERROR, refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, axum::Json(self.1)).into_response()
    }
}

impl From<crate::store::StoreError> for Refused {
    fn from(error: crate::store::StoreError) -> Refused {
        Refused::failed(error)
    }
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Refused {
        Refused::failed(error)
    }
}

async fn unknown(request: Request) -> Refused {
    let message = format!("there is nothing at {} {}", request.method(), request.uri().path());
    let mut refused = Refused::unknown(message, "dropwire status");
    refused.1.hint = format!("this is dropwire's control API, below {BASE}");
    refused
}

/// A request that is not let in.
pub fn forbidden(message: String) -> Refused {
    let hint = "dropwire answers programs on this machine that name it by its own address".to_owned();
    let refusal = Refusal { code: "E403".into(), message, hint, try_: Vec::new() };
    Refused(StatusCode::FORBIDDEN, refusal)
}

/// The wires in words, by name.
pub fn listed_wires(app: &App) -> Vec<Listed> {
    let (wires, config) = (app.queue().wires(), app.config());
    let in_order = config.wires.iter().filter_map(|spec| wires.get(&spec.id));
    // Every function can be invoked; only those are listed of which something is said.
    let told = config.functions.values().filter(|function| function.asynchronous != Asynchronous::default());
    let told = told.filter_map(|function| wires.get(&format!("{}/async", function.key())));
    in_order
        .chain(told)
        .map(|wire| Listed {
            kind: "wire".into(),
            name: wire.id.clone(),
            about: resolve::in_words(wire),
            facts: json!({
                "source": wire.source.as_str(),
                "target": wire.target.as_str(),
                "declared_at": wire.declared_at,
                "dlq": wire.dead_letters.as_ref().map(|arn| arn.name()),
                "on_failure": wire.on_failure.as_ref().map(|arn| arn.name()),
                "on_success": wire.on_success.as_ref().map(|arn| arn.name()),
            }),
        })
        .collect()
}
