//! What comes of looks: the worker's judgements, and the events and rows that follow.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::SourceError;
use super::event::{Change, How, Sequencer};
use super::folder::{Extra, Hint, Known, Reason, Sight, Stamp, Verdict, judge};
use super::ground::Ground;
use super::index::{self, Rows};
use super::look::{Ask, Depth, now_nanos, stamp_of};
use super::order::Versioning;
use super::platform;
use super::survey::YOUNG;
use super::vault::{Deed, Draft, DraftPath};
use super::walk::Remark;
use super::work::{Item, LATER_MAX, Worker};
use crate::aws::AwsError;
use crate::event::Event;
use crate::store::Write;

/// How many large files are read at once.
const LARGE_MAX: usize = 2;
/// A file that has been open for writing this long is worth a word.
const LONG_OPEN: Duration = Duration::from_secs(10);

/// What a chunk of looks came to.
#[derive(Default)]
pub(super) struct News {
    pub events: Vec<Event>,
    pub rows: Rows,
    /// Rows of others, written with them.
    pub writes: Vec<Write>,
    /// What is done to files once all of it is committed.
    pub deeds: Vec<Deed>,
    /// The drafts that the deeds need.
    pub drafts: Vec<DraftPath>,
}

impl News {
    /// These things are to be written as well.
    pub fn append(&mut self, more: News) {
        self.events.extend(more.events);
        self.rows.append(more.rows);
        self.writes.extend(more.writes);
        self.deeds.extend(more.deeds);
        self.drafts.extend(more.drafts);
    }
}

impl Worker {
    /// Looks at these keys and emits what happened to them.
    pub(super) async fn settle(&mut self, mut items: Vec<Item>, depth: Depth) -> Result<(), SourceError> {
        items.retain(|item| match self.reading.get_mut(&item.key) {
            Some(hinted) => {
                *hinted = (*hinted).max(Some(item.hint));
                false
            }
            None => true,
        });
        if items.is_empty() {
            return Ok(());
        }
        self.land_all().await;
        let now = Instant::now();
        let asks: Vec<Ask> = items.iter().map(|item| self.ask(item, now)).collect();
        let (eye, count) = (self.eye.clone(), asks.len());
        let looking = tokio::task::spawn_blocking(move || eye.look_at_all(&asks, depth));
        let known = self.known(&items);
        let (sights, known) = tokio::join!(looking, known);
        // It can only fail if it panicked or the runtime ends.
        let sights = sights.unwrap_or_else(|_| vec![Sight::Busy; count]);
        self.conclude(items, sights, known?).await
    }

    pub(super) async fn conclude_all(
        &mut self,
        items: Vec<Item>,
        sights: Vec<Sight>,
    ) -> Result<(), SourceError> {
        let known = self.known(&items).await?;
        self.conclude(items, sights, known).await
    }

    /// What we know of these keys.
    async fn known(&self, items: &[Item]) -> Result<HashMap<String, Known>, SourceError> {
        let keys: Vec<&str> = items.iter().map(|item| item.key.as_str()).collect();
        let known = index::fetch(&self.surveyor.pool, &self.bucket.spec.name, &keys).await;
        let known = known.map_err(|error| self.unreadable(error))?;
        Ok(known.into_iter().map(|known| (known.key.clone(), known)).collect())
    }

    async fn conclude(
        &mut self,
        items: Vec<Item>,
        sights: Vec<Sight>,
        mut known: HashMap<String, Known>,
    ) -> Result<(), SourceError> {
        let mut news = News::default();
        for (item, sight) in items.into_iter().zip(sights) {
            let known = known.remove(&item.key);
            self.conclude_one((item, sight), known, &mut news).await?;
        }
        self.commit(news).await
    }

    async fn conclude_one(
        &mut self,
        (item, sight): (Item, Sight),
        known: Option<Known>,
        news: &mut News,
    ) -> Result<(), SourceError> {
        let now = Instant::now();
        if !matches!(sight, Sight::Large(_)) {
            self.caught.know_large(&item.key);
        }
        match &sight {
            Sight::Folder => drop(self.to_survey.insert(format!("{}/", item.key))),
            // Who wrote it may have named it so, and what is told of it comes under its own key.
            Sight::Otherwise(key) => {
                self.later.again(key.clone(), (Reason::Busy, Hint::Found), None, now);
            }
            Sight::Other(what) => self.said.remark(Remark::other(&item.key, what)),
            Sight::Refused(why) => self.said.remark(Remark::refused(&item.key, why)),
            // It is as it was, and its time says so: reading it would tell nothing more.
            Sight::Large(stamp)
                if known.as_ref().is_some_and(|known| known.stamp == *stamp && is_old(*stamp)) =>
            {
                self.caught.know_large(&item.key);
                return Ok(());
            }
            Sight::Large(_) => {
                self.caught.expect_large(&item.key, now);
                if self.large.len() < LARGE_MAX || self.asked_for.contains(&item.key) {
                    self.read_large(item);
                    return Ok(());
                }
            }
            _ => {}
        }
        let gone_before = item.wait.is_some_and(|wait| wait.gone_before(now));
        match (judge(&sight, known.as_ref(), gone_before), sight) {
            (Verdict::Written, Sight::Object(stamp, etag)) => {
                self.written(item, (stamp, etag), known, news).await?
            }
            (Verdict::Removed, _) => self.removed(item.key, known, news).await?,
            (Verdict::Again(reason), _) => {
                if item.is_long_open(reason, now) {
                    self.said.remark(Remark::open(&item.key));
                }
                // A folder full of files that cannot be read must not fill the memory; surveys find them again.
                if reason != Reason::Refused || self.later.len() < LATER_MAX {
                    self.later.again(item.key, (reason, item.hint), item.wait, now);
                }
            }
            (Verdict::Nothing | Verdict::Written, _) => {}
        }
        Ok(())
    }

    /// Somebody has written the file.
    async fn written(
        &mut self,
        item: Item,
        (stamp, etag): (Stamp, String),
        known: Option<Known>,
        news: &mut News,
    ) -> Result<(), SourceError> {
        self.ours.forget(&item.key);
        let sequencer = self.sequencer(known.as_ref());
        let mut extra = Extra::default();
        if self.bucket.versioning() != Versioning::Off {
            let Some(copy) = self.copy_of(&item.key, stamp).await else {
                self.later.again(item.key, (Reason::Busy, item.hint), item.wait, Instant::now());
                return Ok(());
            };
            let blob = self.bucket.new_blob();
            news.deeds.push(Deed::Keep(copy.path().to_owned(), blob.clone()));
            news.drafts.push(copy.close());
            extra = Extra { version: self.new_version(sequencer), blob: Some(blob), ..Extra::default() };
        }
        self.supersede(&item.key, &mut Ground::of(known), news).await.map_err(as_source_error)?;
        let object = Known { key: item.key, stamp, etag, sequencer, extra };
        news.rows.put(&self.bucket.spec.name, &object);
        // What was there before us is noted and not told.
        if !object.etag.is_empty() {
            let version = object.extra.version.as_str();
            let change = Change::Written { how: How::Put, size: stamp.size, etag: &object.etag, version };
            news.events.push(self.tell(&object.key, change, (sequencer, None)));
        }
        Ok(())
    }

    /// Somebody has removed the file.
    async fn removed(
        &mut self,
        key: String,
        known: Option<Known>,
        news: &mut News,
    ) -> Result<(), SourceError> {
        self.remove(key, false, (None, Ground::of(known)), news).await.map_err(as_source_error)?;
        Ok(())
    }

    /// A copy of the file's content, if it is still this one when it is made.
    async fn copy_of(&self, key: &str, stamp: Stamp) -> Option<Draft> {
        let (bucket, key) = (self.bucket.clone(), key.to_owned());
        let copying = tokio::task::spawn_blocking(move || {
            let file = bucket.vault.open_file(&key).ok()?;
            let copy = bucket.vault.copy(file.try_clone().ok()?, bucket.ground.random.number()).ok()?;
            (stamp_of(&nix::sys::stat::fstat(&file).ok()?) == stamp).then_some(copy)
        });
        copying.await.ok().flatten()
    }

    /// The sequencer of a change now: higher than those of all changes to the key before, and another one than those of
    /// the same moment, which can last where the clock stands.
    pub(super) fn sequencer(&mut self, known: Option<&Known>) -> Sequencer {
        let before = match known {
            // Versions of it that were removed may have been written later than the one that came back.
            Some(known) if self.bucket.versioning() != Versioning::Off => known.sequencer.max(self.floor),
            Some(known) => known.sequencer,
            None => self.floor,
        };
        self.sequencer_after(before)
    }

    /// The sequencer of a change now that comes after this one.
    pub(super) fn sequencer_after(&mut self, before: Sequencer) -> Sequencer {
        let next = self.count.next(self.bucket.ground.clock.now()).max(before.next());
        self.newness.given = self.newness.given.max(next);
        next
    }

    /// A large file was read.
    pub(super) async fn take_large(&mut self, item: Item, sight: Sight) -> Result<(), SourceError> {
        self.land_all().await;
        let hinted = self.reading.remove(&item.key).flatten();
        let key = item.key.clone();
        // A call may have written the object since it was read.
        let sight = match sight {
            Sight::Object(stamp, etag) if self.is_still(&key, stamp) => Sight::Object(stamp, etag),
            Sight::Object(..) => Sight::Busy,
            other => other,
        };
        self.conclude_all(vec![item], vec![sight]).await?;
        self.look_for_large();
        if let Some(hint) = hinted {
            let item = self.item(key.clone(), hint);
            self.settle(vec![item], Depth::Small).await?;
        }
        match self.waiting.remove(&key) {
            Some(orders) => self.take_orders(orders).await,
            None => Ok(()),
        }
    }

    /// Whether the file of this key is this one.
    fn is_still(&self, key: &str, stamp: Stamp) -> bool {
        let root = platform::open_root(&self.bucket.spec.folder);
        root.and_then(|root| platform::stat(&root, key)).is_ok_and(|stat| stamp_of(&stat) == stamp)
    }

    /// Whether the file is what a call wrote a moment ago, so that there is nothing to tell.
    pub(super) fn is_ours(&self, key: &str, root: Option<&OwnedFd>) -> bool {
        let wrote = self.ours.of(key).filter(|_| !self.later.waits(key)).zip(root);
        wrote
            .is_some_and(|(stamp, root)| platform::stat(root, key).is_ok_and(|stat| stamp_of(&stat) == stamp))
    }

    fn read_large(&mut self, item: Item) {
        self.reading.insert(item.key.clone(), None);
        let (eye, ask) = (self.eye.clone(), self.ask(&item, Instant::now()));
        self.large.spawn(async move {
            let read = tokio::task::spawn_blocking(move || eye.look_at_all(&[ask], Depth::Whole)).await;
            let sight = read.ok().and_then(|mut sights| sights.pop()).unwrap_or(Sight::Busy);
            (item, sight)
        });
    }

    fn ask(&self, item: &Item, now: Instant) -> Ask {
        let settled = item.wait.and_then(|wait| wait.settled(now));
        Ask { key: item.key.clone(), hint: item.hint, settled, ours: self.ours.of(&item.key) }
    }
}

/// Whether nobody can have written a file since, unless its time tells.
fn is_old(stamp: Stamp) -> bool {
    let young = i64::try_from(YOUNG.as_nanos()).unwrap_or(i64::MAX);
    now_nanos().saturating_sub(stamp.mtime) > young
}

fn as_source_error(error: AwsError) -> SourceError {
    SourceError(error.message)
}

impl Item {
    /// Whether somebody has had it open for writing for long.
    fn is_long_open(&self, reason: Reason, now: Instant) -> bool {
        let since =
            self.wait.filter(|wait| wait.reason == reason && reason == Reason::Busy).map(|wait| wait.since);
        since.is_some_and(|since| now.saturating_duration_since(since) > LONG_OPEN)
    }
}
