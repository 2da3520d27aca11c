//! What comes of looks: the worker's judgements, and the events and rows that follow.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::SourceError;
use super::event::{Change, Sequencer};
use super::folder::{Known, Reason, Sight, Verdict, judge};
use super::index::{self, Rows};
use super::look::{Ask, Depth};
use super::walk::Remark;
use super::work::{Item, LATER_MAX, Worker};
use crate::event::Event;

/// How many large files are read at once.
const LARGE_MAX: usize = 2;
/// A file that has been open for writing this long is worth a word.
const LONG_OPEN: Duration = Duration::from_secs(10);

/// What a chunk of looks came to.
#[derive(Default)]
struct News {
    events: Vec<Event>,
    rows: Rows,
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
        let now = Instant::now();
        let asks: Vec<Ask> = items.iter().map(|item| item.ask(now)).collect();
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
            self.conclude_one(item, sight, known, &mut news);
        }
        let (events, writes) = (news.events, news.rows.writes());
        if events.is_empty() && writes.is_empty() {
            return Ok(());
        }
        if events.is_empty() {
            return Ok(self.bucket.ground.store.write(writes).await?);
        }
        Ok(self.bucket.ground.outlet.emit_with(events, writes).await?)
    }

    fn conclude_one(&mut self, item: Item, sight: Sight, known: Option<Known>, news: &mut News) {
        let now = Instant::now();
        match &sight {
            Sight::Folder => drop(self.to_survey.insert(format!("{}/", item.key))),
            Sight::Other(what) => self.said.remark(Remark::other(&item.key, what)),
            Sight::Refused(why) => self.said.remark(Remark::refused(&item.key, why)),
            Sight::Large if self.large.len() < LARGE_MAX => return self.read_large(item),
            _ => {}
        }
        let gone_before = item.wait.is_some_and(|wait| wait.gone_before(now));
        match (judge(&sight, known.as_ref(), gone_before), sight) {
            (Verdict::Written, Sight::Object(stamp, etag)) => {
                let sequencer = self.sequencer(known.as_ref());
                let object = Known { key: item.key, stamp, etag, sequencer };
                news.rows.put(&self.bucket.spec.name, &object);
                // What was there before us is noted and not told.
                if !object.etag.is_empty() {
                    let change = Change::Written { size: stamp.size, etag: &object.etag };
                    news.events.push(self.describe(&object.key, change, sequencer));
                }
            }
            (Verdict::Removed, _) => {
                let sequencer = self.sequencer(known.as_ref());
                self.floor = self.floor.max(sequencer);
                news.rows.drop(&self.bucket.spec.name, &item.key, sequencer);
                news.events.push(self.describe(&item.key, Change::Removed, sequencer));
            }
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
    }

    /// The sequencer of a change now: higher than those of all changes to the key before.
    fn sequencer(&self, known: Option<&Known>) -> Sequencer {
        let before = known.map_or(self.floor, |known| known.sequencer);
        Sequencer::at(self.bucket.ground.clock.now()).max(before.next())
    }

    fn describe(&self, key: &str, change: Change<'_>, sequencer: Sequencer) -> Event {
        self.bucket.voice.describe(key, change, sequencer, self.bucket.ground.clock.now())
    }

    fn read_large(&mut self, item: Item) {
        self.reading.insert(item.key.clone(), None);
        let (eye, ask) = (self.eye.clone(), item.ask(Instant::now()));
        self.large.spawn(async move {
            let read = tokio::task::spawn_blocking(move || eye.look_at_all(&[ask], Depth::Whole)).await;
            let sight = read.ok().and_then(|mut sights| sights.pop()).unwrap_or(Sight::Busy);
            (item, sight)
        });
    }
}

impl Item {
    fn ask(&self, now: Instant) -> Ask {
        let settled = self.wait.and_then(|wait| wait.settled(now));
        Ask { key: self.key.clone(), hint: self.hint, settled }
    }
    /// Whether somebody has had it open for writing for long.
    fn is_long_open(&self, reason: Reason, now: Instant) -> bool {
        let since =
            self.wait.filter(|wait| wait.reason == reason && reason == Reason::Busy).map(|wait| wait.since);
        since.is_some_and(|since| now.saturating_duration_since(since) > LONG_OPEN)
    }
}
