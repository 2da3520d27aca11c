//! S3 event notifications of a bucket that is a watched folder: one event for one finished write.
//!
//! ```text
//!   kernel ──hints──▶ worker ──look──▶ judge ──▶ events and index rows, in one transaction
//!                       ▲  │ surveys of new, lost or all folders
//!                       │  ▼
//!                     suspects ◀── walk ∥ index, compared in the order of keys
//! ```
//!
//! A hint (a notice of the kernel, a difference found by a survey) never is an event: it names a key, and what a
//! look at that key sees, held against the index, decides. So it does not matter that hints come twice, late
//! or not at all.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch::{Sender, channel};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{EventSource, Outlet, SourceError};
use crate::arn::{Arn, Place};
use crate::aws::AwsError;
use crate::clock::{Clock, Timestamp};
use crate::config::BucketSpec;
use crate::random::Random;
use crate::store::Store;
use crate::timeline::Timeline;
use api::lifecycle::Rule;
use api::notification::Configuration;
use event::Voice;
pub use order::Versioning;
use order::{Order, Remover};
use vault::Vault;

pub mod api;
mod caught;
mod commit;
mod draft;
mod event;
mod expire;
mod flight;
mod folder;
mod ground;
mod index;
mod later;
mod list;
mod look;
mod means;
mod obey;
mod object;
mod order;
mod ours;
mod parts;
mod platform;
mod put;
mod remove;
mod round;
mod say;
mod service;
mod settle;
mod spelling;
mod survey;
mod surveying;
mod target;
mod vault;
mod version_id;
mod versions;
mod walk;
mod watch;
mod work;

pub use put::Content;
pub use service::{Buckets, Made, Notified, Peer, S3Api, wires};
pub use target::Writer;

/// What a bucket needs from the world.
#[derive(Clone)]
pub struct Ground {
    /// Region and account.
    pub place: Place,
    /// The simulated clock: when events happen.
    pub clock: Clock,
    /// What request ids are drawn from.
    pub random: Random,
    /// Where notices go.
    pub timeline: Timeline,
    /// Where events go.
    pub outlet: Outlet,
    /// Where the index is.
    pub store: Store,
    /// What records carry as `eventVersion`.
    pub event_version: String,
}

impl Ground {
    /// The state folder.
    fn state(&self) -> PathBuf {
        self.store.path().parent().map(PathBuf::from).unwrap_or_default()
    }
}

/// How long a listing waits for the first survey.
const SURVEYED_MAX: Duration = Duration::from_secs(20);
/// How many orders of the S3 API may wait before those who ask wait too.
const ORDERS_MAX: usize = 1024;

/// A bucket: a folder whose files are its objects.
pub struct Bucket {
    spec: BucketSpec,
    ground: Ground,
    voice: Voice,
    watching: Watching,
    ready: Sender<bool>,
    vault: Vault,
    /// What the S3 API asks of whoever watches; the one end stays here, so that nothing asked is lost while it
    /// begins anew.
    orders: (mpsc::Sender<Order>, tokio::sync::Mutex<mpsc::Receiver<Order>>),
    settings: Mutex<Settings>,
    /// Rung when the rules of its lifecycle change.
    rules_changed: Notify,
    /// Whether what a crash left was tidied up since it was opened.
    tidied: AtomicBool,
    /// When it was opened, simulated.
    since: Timestamp,
}

/// What a bucket was told to be, as far as it is needed at every turn.
#[derive(Clone, Default)]
struct Settings {
    versioning: Versioning,
    lifecycle: Arc<Vec<Rule>>,
    notification: Arc<Configuration>,
    /// Who is about to remove it: nothing is done in it meanwhile.
    remover: Weak<()>,
    /// Who has done so.
    removed: Option<Remover>,
}

/// How changes are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watching {
    /// By the kernel's hints, where the file system gives them.
    Hints,
    /// By a survey every second.
    Surveys,
}

impl Bucket {
    /// Makes the default folder if it is missing. Errors name folder, bucket and place in the wiring file.
    pub fn open(spec: BucketSpec, ground: Ground) -> Result<Arc<Bucket>, SourceError> {
        Bucket::open_as(spec, ground, Watching::Hints)
    }

    /// The same for a bucket that is surveyed every second, as on file systems that tell of no changes.
    pub fn open_polled(spec: BucketSpec, ground: Ground) -> Result<Arc<Bucket>, SourceError> {
        Bucket::open_as(spec, ground, Watching::Surveys)
    }

    fn open_as(spec: BucketSpec, ground: Ground, watching: Watching) -> Result<Arc<Bucket>, SourceError> {
        let default = PathBuf::from("buckets").join(&spec.name);
        if spec.folder.ends_with(default) && !spec.folder.exists() {
            std::fs::create_dir_all(&spec.folder).map_err(|error| {
                refused(
                    &spec,
                    &format!(
                        "cannot make the folder: {error}; make it yourself, or name another with `folder`"
                    ),
                )
            })?;
        }
        match std::fs::read_dir(&spec.folder) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(refused(&spec, "there is no such folder; make it, or correct `folder`"));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                return Err(refused(&spec, "that is no folder; name one with `folder`"));
            }
            Err(error) => {
                return Err(refused(
                    &spec,
                    &format!("cannot read the folder: {error}; allow it, or name another"),
                ));
            }
        }
        let voice = Voice::new(&ground.place, &spec.name, &ground.event_version, ground.random.bytes());
        let vault = Vault::open(&ground.state(), &spec.name, &spec.folder).map_err(|error| {
            refused(
                &spec,
                &format!("cannot make a place for drafts: {error}; is there room, and may we write?"),
            )
        })?;
        let (sender, receiver) = mpsc::channel(ORDERS_MAX);
        let orders = (sender, tokio::sync::Mutex::new(receiver));
        let (ready, settings, since) = (channel(false).0, Mutex::default(), ground.clock.now());
        Ok(Arc::new(Bucket {
            spec,
            ground,
            voice,
            watching,
            ready,
            vault,
            orders,
            settings,
            rules_changed: Notify::new(),
            tidied: AtomicBool::new(false),
            since,
        }))
    }

    /// Resolves when the first survey is through and the watches are on. Only after [`EventSource::run`] was started.
    pub async fn ready(&self) {
        // The sender lives as long as this bucket.
        self.ready.subscribe().wait_for(|ready| *ready).await.ok();
    }

    /// Waits until the first survey is through: before that nobody knows all that is in the bucket. One that takes long
    /// is the caller's to wait for.
    async fn surveyed(&self) -> Result<(), AwsError> {
        let ready = crate::clock::real::within(SURVEYED_MAX, self.ready()).await;
        ready.ok_or_else(|| {
            let message =
                format!("the folder of {} is still being looked through; please try again", self.spec.name);
            AwsError::new(503, "SlowDown", message).header("retry-after", "1")
        })
    }

    /// Whether it keeps versions.
    pub fn versioning(&self) -> Versioning {
        self.settings().versioning
    }
    /// The rules by which its objects end.
    pub fn lifecycle(&self) -> Arc<Vec<Rule>> {
        self.settings().lifecycle.clone()
    }
    /// What is notified of what happens in it, by its own settings.
    pub fn notification(&self) -> Arc<Configuration> {
        self.settings().notification.clone()
    }
    /// Nothing happens in it any more, whatever becomes of who removes it; with None it was to be removed, and is not.
    fn is_removed_by(&self, remover: Option<Remover>) {
        self.settings().removed = remover;
    }
    /// Whether nothing happens in it any more, or as long as somebody is about to remove it.
    fn is_closed(&self) -> bool {
        self.settings().remover.upgrade().is_some()
    }
    fn close_for(&self, remover: &Remover) {
        self.settings().remover = Arc::downgrade(remover);
    }
    /// When it was opened, simulated.
    pub fn since(&self) -> Timestamp {
        self.since
    }
    /// From now on these are the rules by which its objects end.
    fn live_by(&self, rules: Vec<Rule>) {
        self.settings().lifecycle = Arc::new(rules);
        self.rules_changed.notify_waiters();
    }
    /// From now on this is notified.
    fn notify(&self, configuration: Configuration) {
        self.settings().notification = Arc::new(configuration);
    }
    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bucket's ARN.
    pub fn arn(&self) -> &Arn {
        self.voice.arn()
    }

    /// Tells people something about this bucket.
    fn notice(&self, level: &'static str, text: String) {
        self.ground.timeline.notice(
            self.ground.clock.now(),
            level,
            format!("bucket {}: {text}", self.spec.name),
        );
    }
}

#[async_trait]
impl EventSource for Bucket {
    async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), SourceError> {
        tokio::select! {
            ended = work::run(self.clone(), stop) => ended,
            () = expire::run(self) => Ok(()),
        }
    }

    async fn end(&self) {
        order::refuse_all(&mut *self.orders.1.lock().await).await;
    }
}

/// `dropwire.toml:12: bucket uploads: /srv/in: there is no such folder; …`
fn refused(spec: &BucketSpec, why: &str) -> SourceError {
    let place = match (&spec.origin.file, spec.origin.line) {
        (file, _) if file.is_empty() => String::new(),
        (file, 0) => format!("{file}: "),
        (file, line) => format!("{file}:{line}: "),
    };
    SourceError(format!("{place}bucket {}: {}: {why}", spec.name, spec.folder.display()))
}

#[cfg(test)]
mod tests;
