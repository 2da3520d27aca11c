//! The server of the control API: its door, its routes, and who is let in.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{BASE, Listed, Refusal, Running, TOKEN_HEADER, act, ask};
use crate::app::{App, StartError};
use crate::config::{Asynchronous, resolve};

/// The largest body of a request, in bytes: an invocation's payload and some.
const BODY_MAX: usize = 8 * 1024 * 1024;
/// How many ports are tried after one that is taken.
const PORTS_MAX: u16 = 20;

/// The server of one running dropwire.
pub struct Server {
    app: Arc<App>,
    token: Arc<str>,
    port: u16,
}

/// Listens on loopback: on this port, or, unless `strict`, on the next free one.
pub async fn listen(port: u16, strict: bool) -> Result<TcpListener, StartError> {
    let mut first_error = None;
    let last = if strict || port == 0 { port } else { port.saturating_add(PORTS_MAX) };
    for candidate in port..=last {
        match TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, candidate))).await {
            Ok(listener) => return Ok(listener),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    let why = first_error.map(|error| error.to_string()).unwrap_or_default();
    let message = format!(
        "cannot listen on 127.0.0.1:{port}: {why}; is another program there? stop it, or take a free port with `--port 0`"
    );
    Err(StartError { code: "W501", message, exit: 4 })
}

impl Server {
    /// The server that answers for `app`.
    pub fn new(app: Arc<App>, running: &Running) -> Server {
        let port = running.address.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default();
        Server { app, token: running.token.as_str().into(), port }
    }

    /// Answers until `stop`, and then what is still being answered.
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) {
        let door = Door { token: self.token.clone(), port: self.port };
        let api = Router::new()
            .route("/status", get(ask::status))
            .route("/list", get(ask::list))
            .route("/events", get(ask::events))
            .route("/events/{id}", get(ask::event))
            .route("/why/{id}", get(ask::why))
            .route("/why-missing/{function}", get(ask::why_missing))
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
        let router = Router::new()
            .nest(BASE, api)
            .fallback(unknown)
            .layer(middleware::from_fn_with_state(Arc::new(door), let_in))
            .layer(DefaultBodyLimit::max(BODY_MAX))
            .with_state(self.app);
        let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!("the control API ended: {error}");
        }
    }
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

/// Who is let in.
struct Door {
    token: Arc<str>,
    port: u16,
}

async fn let_in(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    match door.refusal(request.method(), request.headers()) {
        None => next.run(request).await,
        Some(message) => {
            let hint =
                "the control API answers programs on this machine that name it by its own address".to_owned();
            let refusal = Refusal { code: "E403".into(), message, hint, try_: Vec::new() };
            Refused(StatusCode::FORBIDDEN, refusal).into_response()
        }
    }
}

impl Door {
    /// Why this request is not answered, if it is not. Pure.
    fn refusal(&self, method: &Method, headers: &HeaderMap) -> Option<String> {
        let text = |name: header::HeaderName| {
            headers.get(name).map(|value| value.to_str().unwrap_or("?").to_owned())
        };
        // A page of another site can reach this port by a name of its own that leads to 127.0.0.1: only our names count.
        let host = text(header::HOST).unwrap_or_default();
        if !self.is_ours(&host) {
            return Some(format!("the host `{host}` is not this dropwire"));
        }
        if let Some(origin) = text(header::ORIGIN) {
            let same_site = origin.strip_prefix("http://").is_some_and(|origin| self.is_ours(origin));
            if !same_site {
                return Some(format!("requests from `{origin}` are refused"));
            }
        }
        let token = headers.get(TOKEN_HEADER).map(|value| value.as_bytes());
        let changes = method != Method::GET && method != Method::HEAD;
        if changes && token != Some(self.token.as_bytes()) {
            return Some(format!("a request that changes something needs the header {TOKEN_HEADER}"));
        }
        None
    }

    fn is_ours(&self, host: &str) -> bool {
        let names = ["127.0.0.1", "localhost", "[::1]"];
        names.iter().any(|name| host.strip_prefix(name) == Some(&format!(":{}", self.port)))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, headers: &[(&str, &str)], expected: Option<&str>) {
        let door = Door { token: "secret".into(), port: 4566 };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(
                header::HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                value.parse().expect("a value"),
            );
        }
        let refusal = door.refusal(&method.parse().expect("a method"), &map);
        match expected {
            None => assert_eq!(refusal, None),
            Some(words) => assert!(refusal.as_deref().unwrap_or_default().contains(words), "{refusal:?}"),
        }
    }

    #[test]
    fn only_programs_on_this_machine_are_answered() {
        for host in ["127.0.0.1:4566", "localhost:4566", "[::1]:4566"] {
            check("GET", &[("host", host)], None);
            check("POST", &[("host", host), (TOKEN_HEADER, "secret")], None);
        }
        for host in ["evil.example:4566", "127.0.0.1", "127.0.0.1:80", "127.0.0.1.evil.example:4566", ""] {
            check("GET", &[("host", host)], Some("is not this dropwire"));
        }
    }

    #[test]
    fn a_browser_is_answered_on_our_own_pages_only() {
        let host = ("host", "localhost:4566");
        check("GET", &[host, ("origin", "http://localhost:4566")], None);
        for origin in ["https://evil.example", "http://localhost:3000", "null", "https://localhost:4566"] {
            check("GET", &[host, ("origin", origin)], Some("are refused"));
        }
    }

    #[test]
    fn who_changes_something_shows_the_token() {
        let host = ("host", "localhost:4566");
        check("POST", &[host], Some(TOKEN_HEADER));
        check("DELETE", &[host, (TOKEN_HEADER, "guess")], Some(TOKEN_HEADER));
    }
}
