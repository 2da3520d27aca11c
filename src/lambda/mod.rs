//! The Lambda service: functions, versions, aliases, policies, URLs, mappings and layers that are made by calls, kept in
//! the state database and shown beside those of the wiring file.
//!
//! ```text
//! Call ─▶ routes: which operation? ─▶ Request: names and members, checked ─▶ decide on the World: answer and edits
//!                                                                               │
//!            the app applies: engine, wires ◀── changes() ◀── World altered ◀── Registry: written down
//! ```
//! What the app reads from here are [`Lambda::specs`], [`Lambda::mappings`] and the like, each time that
//! [`Lambda::changes`] shows a new generation; when all of it is in force it says so by [`Lambda::applied`], and what
//! was `Pending` is `Active`.
//!
//! Reading order: [`names`] and `routes` (what a request means), `things` and `world` (what there is), `registry` (how it
//! changes), `settings` and `requested` (a function's options), `archive` and `code` (its files), then one file an
//! operation or two. [`invoke`], `stream` and [`url_invoke`] are the ways to call a function; [`service`] is the door.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use serde_json::Value;
use tokio::sync::watch;

use crate::arn::Place;
use crate::aws::Answer;
use crate::clock::Clock;
use crate::random::Random;
use crate::store::{Store, StoreError};
use crate::timeline::Timeline;

mod account;
mod aliases;
mod archive;
mod asked;
mod check;
mod code;
mod concurrency;
mod create;
mod declared;
mod delete;
mod destinations;
mod dispatch;
mod downloads;
mod errors;
pub mod invoke;
mod invoke_configs;
pub mod journal;
mod layer_policies;
mod layers;
mod mapping_request;
mod mappings;
pub mod names;
mod package;
pub mod permits;
mod policies;
mod provisioned;
mod read;
mod registry;
mod request;
mod requested;
mod resolve;
pub mod routes;
mod runtime_rules;
mod runtimes;
pub mod service;
mod settings;
mod shapes;
mod shown;
mod stream;
mod tags;
/// The IP address that a host is, in brackets or not; None for a name.
fn bare_address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests;
pub mod things;
mod to_its_end;
mod update;
mod url_event;
pub mod url_invoke;
mod urls;
mod versions;
mod world;

pub use names::{NameRule, Target, parse_name};
pub use resolve::{Resolved, UrlConfig};
pub use settings::{LoggingSettings, Settings, Vpc};
pub use things::Cors;
pub use world::Neighbours;

/// What the service stands on.
#[derive(Clone)]
pub struct Ground {
    /// The state database.
    pub store: Store,
    /// The simulated world's time.
    pub clock: Clock,
    /// Ids and the draw between an alias's versions.
    pub random: Random,
    /// Region and account.
    pub place: Place,
    /// Where notices go.
    pub timeline: Timeline,
    /// Where code is kept: `.dropwire/functions`.
    pub folder: PathBuf,
}

/// How many provisioned environments are ready, by what the engine calls the version.
pub type Readiness = Box<dyn Fn(&str) -> u32 + Send + Sync>;

/// The Lambda service.
pub struct Lambda {
    ground: Ground,
    registry: registry::Registry,
    code: code::CodeStore,
    /// See [`Lambda::set_address`].
    address: RwLock<(u16, Option<String>)>,
    downloads: downloads::Downloads,
    measures: Mutex<HashMap<String, declared::Measure>>,
    retired: Mutex<Vec<delete::Retired>>,
    /// Who knows how many environments of a version are ready.
    readiness: OnceLock<Readiness>,
}

impl Lambda {
    /// Reads everything back, and sweeps away code that nothing uses.
    pub async fn open(ground: Ground) -> Result<Arc<Lambda>, StoreError> {
        let registry = registry::Registry::open(ground.store.clone()).await?;
        let code = code::CodeStore::new(ground.folder.clone());
        let used = registry.world().code_in_use();
        let store = code.clone();
        let sweep = move || store.sweep(|owner, name| used.contains(&(owner.to_owned(), name.to_owned())));
        // A sweep that fails is made up for at the next start.
        tokio::task::spawn_blocking(sweep).await.ok();
        Ok(Arc::new(Lambda {
            registry,
            code,
            ground,
            address: RwLock::default(),
            downloads: downloads::Downloads::default(),
            measures: Mutex::default(),
            retired: Mutex::default(),
            readiness: OnceLock::new(),
        }))
    }

    /// Who knows how many provisioned environments are ready. To be said once.
    pub fn ask_readiness(&self, readiness: Readiness) {
        // The first one stays.
        self.readiness.set(readiness).ok();
    }

    /// The port on which clients reach us, and the host by which those on other machines do: function URLs and code
    /// locations name them.
    pub fn set_address(&self, port: u16, outside: Option<&str>) {
        *self.address.write().unwrap_or_else(PoisonError::into_inner) = (port, outside.map(str::to_owned));
    }

    /// The address of a function URL. Below an IP address there are no names.
    fn url_address(&self, url_id: &str) -> String {
        let (port, outside) = self.address.read().unwrap_or_else(PoisonError::into_inner).clone();
        let host = outside.filter(|host| bare_address(host).is_none());
        let (region, host) = (&self.ground.place.region, host.as_deref().unwrap_or("localhost"));
        format!("http://{url_id}.lambda-url.{region}.{host}:{port}/")
    }

    /// The address of a path on our port.
    fn path_address(&self, path: &str) -> String {
        let (port, outside) = self.address.read().unwrap_or_else(PoisonError::into_inner).clone();
        let host = outside.unwrap_or_else(|| "127.0.0.1".to_owned());
        match bare_address(&host) {
            Some(address) => format!("http://{}{path}", SocketAddr::new(address, port)),
            None => format!("http://{host}:{port}{path}"),
        }
    }

    /// A generation that grows with every change that the app has to apply. It begins with 1: everything.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.registry.changes()
    }

    /// The app has applied everything up to this generation: what was pending is active.
    pub fn applied(&self, generation: u64) {
        self.registry.applied(generation);
    }

    /// Waits until nothing of this function waits to be applied. Whoever calls says how long at most.
    pub async fn until_in_force(&self) {
        self.registry.until_in_force().await;
    }

    /// Whether something of this function waits to be applied.
    pub fn is_pending(&self, name: &str) -> bool {
        !self.registry.world().is_settled(name)
    }

    fn now(&self) -> i64 {
        self.ground.clock.now().as_millis()
    }

    /// Where we are.
    pub fn place(&self) -> &Place {
        &self.ground.place
    }

    /// A new revision.
    fn revision(&self) -> String {
        self.ground.random.uuid(4)
    }

    fn measures(&self) -> std::sync::MutexGuard<'_, HashMap<String, declared::Measure>> {
        self.measures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 200 with this body.
fn ok(value: &Value) -> Answer {
    Answer::json(http::StatusCode::OK, value)
}

/// 201 with this body.
fn created(value: &Value) -> Answer {
    Answer::json(http::StatusCode::CREATED, value)
}

/// 202 with this body.
fn accepted(value: &Value) -> Answer {
    Answer::json(http::StatusCode::ACCEPTED, value)
}

/// 204.
fn nothing() -> Answer {
    Answer::empty(http::StatusCode::NO_CONTENT)
}
