//! Subscriptions to telemetry, as extensions ask for them. Pure.

use serde::Deserialize;

/// A subscription, as an extension asks for it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Subscription {
    /// What it wants: `platform`, `function`, `extension`.
    pub types: Vec<String>,
    #[serde(default)]
    pub(super) buffering: Buffering,
    pub(super) destination: Destination,
}

/// In what batches it comes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Buffering {
    pub max_items: usize,
    pub max_bytes: usize,
    pub timeout_ms: u64,
}

impl Default for Buffering {
    fn default() -> Buffering {
        Buffering { max_items: 10_000, max_bytes: 262_144, timeout_ms: 1000 }
    }
}

/// Where it goes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Destination {
    pub protocol: String,
    #[serde(rename = "URI")]
    pub uri: Option<String>,
    pub port: Option<u16>,
}

/// The port of the Runtime API in AWS: nothing else can listen on it there.
const RESERVED_PORT: u16 = 9001;

impl Subscription {
    /// Whether it can be kept. Errors say what is wrong.
    pub fn check(&self) -> Result<(), String> {
        let known = |kind: &String| ["platform", "function", "extension"].contains(&kind.as_str());
        if self.types.is_empty() || !self.types.iter().all(known) {
            return Err("types must be some of platform, function, extension".to_owned());
        }
        let Buffering { max_items, max_bytes, timeout_ms } = self.buffering;
        if !(1000..=10_000).contains(&max_items) {
            return Err("buffering.maxItems must be from 1000 to 10000".to_owned());
        }
        if !(262_144..=1_048_576).contains(&max_bytes) {
            return Err("buffering.maxBytes must be from 262144 to 1048576".to_owned());
        }
        if !(25..=30_000).contains(&timeout_ms) {
            return Err("buffering.timeoutMs must be from 25 to 30000".to_owned());
        }
        let Destination { uri, port, .. } = &self.destination;
        let uri_port =
            uri.as_deref().and_then(local).and_then(|uri| uri.split([':', '/']).nth(4)?.parse().ok());
        if uri_port.or(*port) == Some(RESERVED_PORT) {
            return Err(format!("port {RESERVED_PORT} is reserved"));
        }
        match (self.destination.protocol.as_str(), &self.destination.uri, self.destination.port) {
            ("HTTP", Some(uri), _) if local(uri).is_some() => Ok(()),
            ("TCP", _, Some(_)) => Ok(()),
            _ => Err("destination must be HTTP with a URI of this machine, or TCP with a port".to_owned()),
        }
    }
}

/// The URI of an extension's own listener: its host is that of the sandbox, which is this machine.
pub(super) fn local(uri: &str) -> Option<String> {
    let rest = uri.strip_prefix("http://")?;
    let (host, after) = rest.split_at(rest.find([':', '/']).unwrap_or(rest.len()));
    let is_here = ["sandbox.localdomain", "sandbox", "localhost", "127.0.0.1"].contains(&host);
    is_here.then(|| format!("http://127.0.0.1{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_are_checked() {
        let check = |text: &str, says: &str| {
            let read = serde_json::from_str::<Subscription>(text);
            let said = read.map_err(|error| error.to_string()).and_then(|read| read.check()).err();
            assert!(said.unwrap_or_default().contains(says), "{text}");
        };
        let http = r#""destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:4243/x"}"#;
        assert_eq!(local("http://sandbox.localdomain:4243/x").as_deref(), Some("http://127.0.0.1:4243/x"));
        check(&format!(r#"{{"types":["platform"],{http}}}"#), "");
        check(&format!(r#"{{"types":["other"],{http}}}"#), "types must be");
        check(&format!(r#"{{"types":["function"],"buffering":{{"maxItems":1}},{http}}}"#), "maxItems");
        check(&format!(r#"{{"types":["function"],"buffering":{{"timeoutMs":1}},{http}}}"#), "timeoutMs");
        let elsewhere =
            r#"{"types":["platform"],"destination":{"protocol":"HTTP","URI":"http://example.com/"}}"#;
        check(elsewhere, "of this machine");
        check(r#"{"types":["platform"],"destination":{"protocol":"TCP","port":9}}"#, "");
        check(r#"{"types":["platform"]}"#, "destination");
        check(r#"{"types":["platform"],"destination":{"protocol":"TCP","port":9001}}"#, "9001 is reserved");
        for (uri, says) in [
            ("sandbox.localdomain:9001", "9001 is reserved"),
            ("sandbox:9001/x", "9001 is reserved"),
            ("localhost:19001/9001", ""),
            ("localhost", ""),
        ] {
            let destination = format!(r#""destination":{{"protocol":"HTTP","URI":"http://{uri}"}}"#);
            check(&format!(r#"{{"types":["platform"],{destination}}}"#), says);
        }
    }
}
