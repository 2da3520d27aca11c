//! The worker of one bucket: takes hints and suspects, looks, judges, and emits what happened.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::caught::CatchUp;
use super::event::{Count, Sequencer};
use super::flight::Flights;
use super::folder::{Hint, KEY_MAX, Sight, key_is_ignored};
use super::ground::Newness;
use super::index;
use super::later::{Later, Wait};
use super::look::{Depth, Eye, now_nanos};
use super::means::{Means, means};
use super::order::{self, Order};
use super::ours::Ours;
use super::platform;
use super::say::Said;
use super::survey::{Report, Surveyor};
use super::surveying::RECHECK;
use super::walk::Remark;
use super::watch::{Hints, Told};
use super::{Bucket, SourceError};
use crate::clock::real;

/// How many files go into one transaction.
const CHUNK: usize = 256;
/// The same for files that were there before us and are only noted.
const SILENT_CHUNK: usize = 4096;
/// How many hints are taken at once.
const HINTS: usize = 4096;
/// While so many keys wait to be seen as removed, surveys wait too.
pub(super) const LATER_MAX: usize = 10_000;

/// A key to look at.
#[derive(Debug)]
pub(super) struct Item {
    pub key: String,
    pub hint: Hint,
    /// How it waited until now.
    pub wait: Option<Wait>,
}

/// What one bucket's watching holds.
pub(super) struct Worker {
    pub bucket: Arc<Bucket>,
    pub eye: Arc<Eye>,
    pub surveyor: Surveyor,
    pub later: Later,
    /// Folders to survey; `""` is the whole bucket.
    pub to_survey: BTreeSet<String>,
    pub surveying: JoinSet<Result<(), sqlx::Error>>,
    /// Whether it was asked for.
    pub is_awaited: bool,
    /// Who waits for what is told to be known.
    pub caught: CatchUp,
    pub next_recheck: Instant,
    /// Whether surveys are all there is.
    pub polled: bool,
    /// What the first survey does with what it finds: set until it ends.
    pub first: Option<Depth>,
    /// Higher than the sequencer of every object removed.
    pub floor: Sequencer,
    /// What tells that a change is later than all others.
    pub newness: Newness,
    pub large: JoinSet<(Item, Sight)>,
    /// Large files being read, with what was hinted meanwhile.
    pub reading: HashMap<String, Option<Hint>>,
    /// Large files that an order waits for, and the orders.
    pub asked_for: HashSet<String>,
    /// See above.
    pub waiting: HashMap<String, Vec<Order>>,
    /// What we wrote ourselves a moment ago.
    pub ours: Ours,
    /// What counts the changes.
    pub count: Count,
    pub said: Said,
    /// What was decided and is being committed.
    pub flights: Flights,
    /// The number of the deed that was written down last.
    pub last_deed: i64,
    /// Deeds that are done and not struck off yet.
    pub deeds_done: Vec<i64>,
    /// When they are struck off, if no commit does it before.
    pub next_tidying: Option<Instant>,
}

/// Tells those who read files that nobody waits any more.
struct StopReading(Arc<AtomicBool>);

impl Drop for StopReading {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Watches the bucket until `stop`.
pub async fn run(bucket: Arc<Bucket>, stop: CancellationToken) -> Result<(), SourceError> {
    let (sender, reports) = mpsc::channel(4);
    let stopping = StopReading(Arc::default());
    let (mut worker, hints) = Worker::new(bucket, stopping.0.clone(), sender)?;
    let orders = worker.bucket.clone();
    let mut orders = orders.orders.1.lock().await;
    worker.begin().await?;
    let ended = tokio::select! {
        () = stop.cancelled() => Ok(()),
        ended = worker.work(hints, reports, &mut orders) => ended,
    };
    if ended.is_ok() {
        order::refuse_all(&mut orders).await;
    }
    ended
}

impl Worker {
    fn new(
        bucket: Arc<Bucket>,
        stop: Arc<AtomicBool>,
        out: mpsc::Sender<Report>,
    ) -> Result<(Worker, Hints), SourceError> {
        let folder: Arc<Path> = bucket.spec.folder.as_path().into();
        let Means { watches, hints, polled, asks_writers } = means(&bucket);
        let mark = watches.as_ref().and_then(|watches| watches.on_mark(bucket.vault.mark()));
        let nature = bucket.vault.nature.clone();
        let eye = Eye { folder: folder.to_path_buf(), asks_writers, nature: nature.clone(), stop };
        let surveyor = Surveyor {
            bucket: bucket.spec.name.clone(),
            folder,
            ignore: bucket.spec.ignore.clone().into(),
            watches: watches.map(Arc::new),
            nature,
            pool: bucket.ground.store.read().clone(),
            out,
        };
        let said = Said::nothing(bucket.clone());
        let mut worker = Worker {
            bucket,
            eye: Arc::new(eye),
            surveyor,
            later: Later::default(),
            to_survey: BTreeSet::from([String::new()]),
            surveying: JoinSet::new(),
            is_awaited: false,
            caught: CatchUp::with(mark),
            next_recheck: Instant::now() + RECHECK,
            polled: false,
            first: Some(Depth::Small),
            floor: Sequencer::default(),
            newness: Newness::default(),
            large: JoinSet::new(),
            reading: HashMap::new(),
            asked_for: HashSet::new(),
            waiting: HashMap::new(),
            ours: Ours::default(),
            count: Count::default(),
            said,
            flights: Flights::default(),
            last_deed: 0,
            deeds_done: Vec::new(),
            next_tidying: None,
        };
        if let Some(why) = polled {
            worker.poll_because(&why);
        }
        Ok((worker, hints))
    }

    /// Remembers, or sees for the first time.
    async fn begin(&mut self) -> Result<(), SourceError> {
        let (spec, store) = (&self.bucket.spec, &self.bucket.ground.store);
        // Whoever watched this bucket before us in this process may have left a transaction on its way.
        store.write(Vec::new()).await?;
        let (spec, store) = (spec.clone(), store.clone());
        self.do_what_is_left().await?;
        self.bucket.recall().await.map_err(|error| SourceError(error.message))?;
        let folder = spec.folder.to_string_lossy();
        let remembered =
            index::remembered(store.read(), &spec.name).await.map_err(|error| self.unreadable(error))?;
        self.floor = remembered.as_ref().map_or(self.floor, |remembered| remembered.floor);
        let same = remembered.as_ref().is_some_and(|remembered| remembered.folder == folder);
        if !same {
            store.write(index::begin(&spec.name, &folder)).await?;
        }
        let seen = same && remembered.is_some_and(|remembered| remembered.seen);
        if !seen && !spec.emit_existing {
            self.first = Some(Depth::Since(now_nanos()));
        }
        Ok(())
    }

    pub(super) fn unreadable(&self, error: sqlx::Error) -> SourceError {
        let path = self.bucket.ground.store.path().display();
        SourceError(format!(
            "bucket {}: cannot read what is known of it from {path}: {error}",
            self.bucket.spec.name
        ))
    }

    async fn work(
        &mut self,
        mut hints: Hints,
        mut reports: mpsc::Receiver<Report>,
        orders: &mut mpsc::Receiver<Order>,
    ) -> Result<(), SourceError> {
        let (mut told, mut asked) = (Vec::new(), Vec::new());
        loop {
            self.survey_if_due();
            self.catch_up();
            let wake = self.next_wake().saturating_duration_since(Instant::now());
            let crowded = self.later.gone() > LATER_MAX;
            tokio::select! {
                _ = hints.receiver.recv_many(&mut told, HINTS) => {
                    self.hear(&mut told, hints.take_missed()).await?;
                }
                _ = orders.recv_many(&mut asked, CHUNK) => {
                    self.take_orders(std::mem::take(&mut asked)).await?;
                }
                written = self.flights.first_written() => self.land(&written),
                Some(report) = reports.recv(), if !crowded => self.take_report(report).await?,
                Some(read) = self.large.join_next(), if !self.large.is_empty() => {
                    // It can only fail if it panicked; then the next survey finds the file again.
                    if let Ok((item, sight)) = read {
                        self.take_large(item, sight).await?;
                    }
                }
                Some(ended) = self.surveying.join_next(), if !self.surveying.is_empty() => match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Err(self.unreadable(error)),
                    // It panicked, and reports no end.
                    Err(_) => self.caught.end_survey(),
                },
                () = real::sleep(wake) => {
                    if self.next_tidying.is_some_and(|due| due <= Instant::now()) {
                        self.tidy_deeds().await;
                    }
                    for chunk in chunks(self.due(), CHUNK) {
                        self.settle(chunk, Depth::Small).await?;
                    }
                }
            }
        }
    }

    // ── when ────────────────────────────────────────────────────────────────────────────────────────────

    fn next_wake(&self) -> Instant {
        let due = [self.later.next_due(), self.next_tidying];
        due.into_iter().flatten().fold(self.next_recheck, Instant::min)
    }

    fn due(&mut self) -> Vec<Item> {
        let due = self.later.take_due(Instant::now(), HINTS);
        let (folders, keys): (Vec<_>, Vec<_>) = due.into_iter().partition(|(key, _)| key.ends_with('/'));
        self.to_survey.extend(folders.into_iter().map(|(key, _)| key));
        keys.into_iter().map(|(key, wait)| Item { key, hint: wait.hint, wait: Some(wait) }).collect()
    }

    // ── what comes in ───────────────────────────────────────────────────────────────────────────────────

    pub(super) async fn take_hints(&mut self, told: &mut Vec<Told>) -> Result<(), SourceError> {
        let (mut items, mut places, now) = (Vec::<(String, Hint)>::new(), HashMap::new(), Instant::now());
        for told in told.drain(..) {
            let (key, hint) = match told {
                Told::Missed => (String::new(), Hint::Found),
                Told::Mark => continue,
                Told::NoKey(shown) => {
                    self.said.remark(Remark::no_key(&shown));
                    continue;
                }
                Told::Look(key, hint) => (key, hint),
                Told::Left(key) => {
                    // A watch follows the folder it was put on: under its new name it would tell of the old one.
                    if self.surveyor.watches.as_ref().is_some_and(|watches| watches.off(&key))
                        && !key.is_empty()
                    {
                        self.to_survey.insert(format!("{key}/"));
                    }
                    (key, Hint::Found)
                }
            };
            if key.is_empty() {
                self.to_survey.insert(key);
            } else if key_is_ignored(&self.bucket.spec.ignore, &key) {
                // Nobody wants to know.
            } else if key.len() > KEY_MAX {
                self.said.remark(Remark::too_long(&key));
            } else {
                let place = *places.entry(key.clone()).or_insert(items.len());
                match items.get_mut(place) {
                    Some((_, before)) => *before = hint.max(*before),
                    None => items.push((key, hint)),
                }
            }
        }
        let (made, items): (Vec<_>, Vec<_>) = items.into_iter().partition(|(_, hint)| *hint == Hint::Made);
        made.into_iter().for_each(|(key, _)| self.later.made(key, now));
        let root = platform::open_root(&self.bucket.spec.folder);
        let items: Vec<_> =
            items.into_iter().filter(|(key, _)| !self.is_ours(key, root.as_ref().ok())).collect();
        for chunk in chunks(items.into_iter().map(|(key, hint)| self.item(key, hint)).collect(), CHUNK) {
            self.settle(chunk, Depth::Small).await?;
        }
        Ok(())
    }

    /// The key with how it waited.
    pub(super) fn item(&mut self, key: String, hint: Hint) -> Item {
        let wait = self.later.take(&key);
        let hint = wait.map_or(hint, |wait| wait.hint.max(hint));
        Item { key, hint, wait }
    }

    async fn take_report(&mut self, report: Report) -> Result<(), SourceError> {
        match report {
            Report::Remarks(remarks) => remarks.into_iter().for_each(|remark| self.said.remark(remark)),
            Report::Suspects(keys) => {
                let depth = self.first.unwrap_or(Depth::Small);
                let size = if depth == Depth::Small { CHUNK } else { SILENT_CHUNK };
                let items: Vec<Item> = keys.into_iter().map(|key| self.item(key, Hint::Found)).collect();
                for chunk in chunks(items, size) {
                    self.settle(chunk, depth).await?;
                }
            }
            Report::End(end) => self.take_end(end).await?,
        }
        Ok(())
    }
}

/// The items in pieces of at most `size`.
fn chunks(items: Vec<Item>, size: usize) -> impl Iterator<Item = Vec<Item>> {
    let mut items = items.into_iter().peekable();
    std::iter::from_fn(move || {
        items.peek()?;
        Some(items.by_ref().take(size).collect())
    })
}
