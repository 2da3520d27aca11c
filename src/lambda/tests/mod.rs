//! The service through its calls, on a state that can be opened again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::*;
use crate::aws::{Body, Call, query_of, rest_json};
use crate::clock::Timestamp;

mod aliases;
mod functions;
mod invoking;
mod layers;
mod mappings;
mod neighbours;
mod refusals;
mod settings;
mod speed;

const ROLE: &str = "arn:aws:iam::625297745038:role/lambdaapipolicy";

/// A Lambda service in a folder of its own.
struct Service {
    folder: tempfile::TempDir,
    lambda: Arc<Lambda>,
}

impl Service {
    async fn new() -> Service {
        let folder = tempfile::tempdir().expect("a folder");
        let lambda = Service::open(folder.path()).await;
        Service { folder, lambda }
    }

    async fn open(folder: &Path) -> Arc<Lambda> {
        let ground = Ground {
            store: Store::open(&folder.join("state.db")).await.expect("a store"),
            clock: Clock::frozen_at(Timestamp::from_millis(1_764_025_865_000)),
            random: Random::from_entropy(),
            place: Place::default(),
            timeline: Timeline::default(),
            folder: folder.join("functions"),
        };
        let lambda = Lambda::open(ground).await.expect("a service");
        lambda.set_address(4566, None);
        lambda
    }

    /// The same state, read back.
    async fn again(&mut self) {
        self.lambda.ground.store.close().await;
        self.lambda = Service::open(self.folder.path()).await;
    }

    /// Everything so far is applied.
    fn apply(&self) {
        let generation = *self.lambda.changes().borrow();
        self.lambda.applied(generation);
    }

    /// Applies whatever changes, as the app does. Never ends.
    async fn keep_applying(&self) {
        let mut changes = self.lambda.changes();
        while changes.changed().await.is_ok() {
            self.apply();
        }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        self.send(method, path, body).await
    }

    async fn send(&self, method: &str, path: &str, body: Bytes) -> (u16, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let call = Call {
            method: Method::from_bytes(method.as_bytes()).expect("a method"),
            path: path.into(),
            query: query_of(query),
            headers: HeaderMap::new(),
            body,
            request_id: "r".into(),
        };
        let operation = routes::identify(method, &call.segments(), &call.query);
        let answered = match operation {
            Ok(operation) => self.lambda.answer(operation, call).await,
            Err(error) => Err(error),
        };
        let answer = answered.unwrap_or_else(|error| {
            assert!(!error.message.is_empty());
            rest_json::failure(&error)
        });
        let Body::Whole(body) = answer.body else { panic!("an answer is whole") };
        let value = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
        (answer.status.as_u16(), value)
    }

    /// The answer of a call that succeeds with this status.
    async fn ok(&self, status: u16, method: &str, path: &str, body: Value) -> Value {
        let (found, answer) = self.call(method, path, body).await;
        assert_eq!(found, status, "{method} {path}: {answer}");
        answer
    }

    /// The text of a call that fails with this status.
    async fn fails(&self, status: u16, method: &str, path: &str, body: Value) -> String {
        let (found, answer) = self.call(method, path, body).await;
        assert_eq!(found, status, "{method} {path}: {answer}");
        let text = answer["message"].as_str().or(answer["Message"].as_str());
        text.expect("a text").to_owned()
    }

    /// Creates a function and applies it.
    async fn create(&self, name: &str) -> Value {
        let created = self.ok(201, "POST", FUNCTIONS, function(name)).await;
        self.apply();
        created
    }

    /// GetFunctionConfiguration.
    async fn configuration(&self, name: &str) -> Value {
        self.ok(200, "GET", &format!("{FUNCTIONS}/{name}/configuration"), Value::Null).await
    }
}

const FUNCTIONS: &str = "/2015-03-31/functions";

/// base64 of a zip with one file.
fn zip(name: &str, content: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(name), content).expect("a file");
    STANDARD.encode(archive::pack(&[folder.path().to_owned()]).expect("a zip"))
}

/// A request that creates a function.
fn function(name: &str) -> Value {
    json!({
        "FunctionName": name,
        "Runtime": "nodejs8.10",
        "Role": ROLE,
        "Handler": "index.handler",
        "Code": {"ZipFile": zip("index.js", "exports.handler = async () => 1")},
    })
}

/// A request with some members more, or others.
fn with(mut request: Value, more: Value) -> Value {
    for (name, value) in more.as_object().expect("members") {
        request[name] = value.clone();
    }
    request
}

fn spec_code(spec: &crate::config::FunctionSpec) -> PathBuf {
    match &spec.kind {
        crate::config::FunctionKind::Handler { code, .. } => code.clone(),
        other => panic!("a function made by a call has a handler: {other:?}"),
    }
}
