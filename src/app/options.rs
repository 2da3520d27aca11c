//! How a dropwire is started, and why it cannot be.

use std::time::Instant;

use crate::aws::sigv4::{Keys, Pair};
use crate::config::{ClockStart, Config};
use crate::server;
use crate::state::StateError;
use crate::store::StoreError;
use crate::timeline::Timeline;

/// How to start.
pub struct Options {
    /// The wiring.
    pub config: Config,
    /// The port, instead of the wiring's; 0 takes a free one.
    pub port: Option<u16>,
    /// Fail if the port is taken; else the next free one is used.
    pub strict_port: bool,
    /// Where to listen beside loopback, and the further names of that place.
    pub hosts: Vec<String>,
    /// The access key and the secret key that calls of AWS services must be signed with: both, or neither.
    pub pair: (Option<String>, Option<String>),
    /// How the clock starts, instead of the wiring's word.
    pub clock: Option<ClockStart>,
    /// The seed, instead of the wiring's.
    pub seed: Option<u64>,
    /// Move the saved state aside and begin anew.
    pub fresh: bool,
    /// Pick up edits of the wiring file.
    pub watch_wiring: bool,
    /// No timeouts and no freezing of functions, for debuggers.
    pub unhurried: bool,
    /// Who is told of everything, from the start on.
    pub timeline: Timeline,
    /// When the process began, for the banner's "ready in".
    pub ready_since: Instant,
}

impl Options {
    pub(super) fn place(&self) -> server::Place {
        server::Place {
            port: self.port.unwrap_or(self.config.sim.port),
            strict: self.strict_port,
            hosts: self.hosts.clone(),
            is_signed: self.pair.0.is_some(),
        }
    }

    pub(super) fn keys(&self) -> Result<Keys, StartError> {
        let wrong = |why: &str| StartError {
            code: "W504",
            message: format!("DROPWIRE_ACCESS_KEY_ID and DROPWIRE_SECRET_ACCESS_KEY cannot be used: {why}"),
            exit: 4,
        };
        match &self.pair {
            (None, None) => Ok(Keys::any()),
            (Some(access_key), Some(secret)) => {
                Pair::new(access_key, secret).map(Keys::only).map_err(|why| wrong(&why))
            }
            _ => Err(wrong("only one of them is set; set both, or neither")),
        }
    }
}

/// Why dropwire cannot start.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    /// `W501` (port), `W502` (no keys), `W503` (host), `W504` (pair), `E410` (state held by another), `E411` (state unusable).
    pub code: &'static str,
    /// What we tried, on what, why not, what to do.
    pub message: String,
    /// The exit code that fits.
    pub exit: i32,
}

impl From<StateError> for StartError {
    fn from(error: StateError) -> StartError {
        let code = if matches!(error, StateError::Locked(..)) { "E410" } else { "E411" };
        StartError { code, message: error.to_string(), exit: 4 }
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> StartError {
        StartError { code: "E411", message: error.to_string(), exit: 4 }
    }
}
