//! When a listing may be read: once all that the kernel told of before it was asked for is known.
//!
//! ```text
//!   drop f ──▶ kernel: f closed ─┐
//!   list ──▶ our mark is touched ┴▶ kernel: mark closed ──▶ f was looked at before ──▶ the listing has f
//! ```
//! The kernel tells everything in one order, and we hear it in that order. So whoever hears of the mark has heard of all
//! that came before it, and waits for what was begun by then: surveys of new folders, files that seem to be gone, large
//! files. What comes later is waited for by later listings. Nobody waits where nothing is watched, and nobody for longer
//! than `LONGEST`.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::event::Caller;
use super::folder::{Hint, Reason};
use super::order::{Act, Answered, Done};
use super::watch::{Told, Watches};
use super::work::Worker;
use super::{Bucket, SourceError};
use crate::clock::real;

/// How long a listing waits at the most, and listings together for one large file.
const LONGEST: Duration = Duration::from_secs(1);
/// After so long a touch that was not heard of is taken for lost.
const LOST: Duration = Duration::from_secs(10);

type Waiter = oneshot::Sender<Answered>;

/// Who waits until all is known that happened before they asked.
#[derive(Default)]
pub(super) struct CatchUp {
    /// The file whose closing the kernel tells us of; none where it tells nothing.
    mark: Option<PathBuf>,
    /// When it was touched, if nothing was heard of that yet.
    touched: Option<Instant>,
    /// Those for whom it is to be touched.
    asked: Vec<Waiter>,
    /// Those for whom it was touched.
    marked: Vec<Waiter>,
    /// Those for whom it was heard of.
    heard: Vec<Heard>,
    /// Large files that are read or wait for that, and since when.
    large: HashMap<String, Instant>,
    /// How many surveys were begun, and how many of them have ended.
    begun: u64,
    ended: u64,
}

/// Those who have heard of all that happened before they asked, and what is still to be known of it.
struct Heard {
    waiters: Vec<Waiter>,
    /// The survey that looks at it, until that has ended.
    survey: Option<u64>,
    /// When they heard: what is unsure since is none of theirs.
    at: Instant,
    /// The large files.
    large: BTreeSet<String>,
}

impl CatchUp {
    /// Waits for what the kernel tells of this file.
    pub fn with(mark: Option<PathBuf>) -> CatchUp {
        CatchUp { mark, ..CatchUp::default() }
    }

    /// One more waits.
    pub fn join(&mut self, waiter: Waiter) {
        match self.mark {
            Some(_) => self.asked.push(waiter),
            None => known(vec![waiter]),
        }
    }

    /// A survey begins. No other does before it has ended.
    pub fn begin_survey(&mut self) {
        self.begun += 1;
    }
    /// It has ended, and all that it found was looked at.
    pub fn end_survey(&mut self) {
        self.ended = self.begun;
    }
    /// Whether there is one.
    pub fn surveys(&self) -> bool {
        self.begun > self.ended
    }

    /// This large file is to be read.
    pub fn expect_large(&mut self, key: &str, now: Instant) {
        if !self.large.contains_key(key) {
            self.large.insert(key.to_owned(), now);
        }
    }
    /// What is in it is known, or is to be looked at anew.
    pub fn know_large(&mut self, key: &str) {
        self.large.remove(key);
    }

    /// The large files that are worth waiting for: for one that takes long enough was waited.
    fn fresh_large(&self) -> impl Iterator<Item = String> {
        let fresh = self.large.iter().filter(|(_, since)| since.elapsed() < LONGEST);
        fresh.map(|(key, _)| key.clone())
    }

    /// Touches the mark, if somebody waits for that and no earlier touch is to be heard of.
    fn touch(&mut self, watches: Option<&Watches>) {
        // Whoever went away needs none.
        self.asked.retain(|waiter| !waiter.is_closed());
        if self.asked.is_empty() || self.touched.is_some_and(|at| at.elapsed() < LOST) {
            return;
        }
        let asked = std::mem::take(&mut self.asked);
        match watches.zip(self.mark.as_deref()).map(|(watches, mark)| watches.touch(mark)) {
            Some(Ok(())) => {
                self.touched = Some(Instant::now());
                self.marked.extend(asked);
            }
            _ => known(asked),
        }
    }
}

fn known(waiters: Vec<Waiter>) {
    for waiter in waiters {
        waiter.send(Ok(Done::default())).ok();
    }
}

impl Worker {
    /// Looks at all of this, and lets those wait for the rest who asked before the mark among it was touched.
    pub(super) async fn hear(&mut self, told: &mut Vec<Told>, missed: bool) -> Result<(), SourceError> {
        if missed {
            self.to_survey.insert(String::new());
        }
        let is_heard = missed || told.iter().any(|told| matches!(told, Told::Mark | Told::Missed));
        self.take_hints(told).await?;
        if is_heard {
            self.wait_for_the_rest();
        }
        Ok(())
    }

    fn wait_for_the_rest(&mut self) {
        let at = Instant::now();
        let (survey, caught) = (self.survey_under_way(), &mut self.caught);
        caught.touched = None;
        let waiters = std::mem::take(&mut caught.marked);
        let large = caught.fresh_large().collect();
        caught.heard.push(Heard { waiters, survey, at, large });
    }

    /// The number of the survey in which everything is looked at that is to be surveyed now, if there is anything.
    fn survey_under_way(&self) -> Option<u64> {
        match self.caught.surveys() {
            _ if !self.to_survey.is_empty() => Some(self.caught.begun + 1),
            true if self.is_awaited => Some(self.caught.begun),
            _ => None,
        }
    }

    /// Lets those go on for whom all is known.
    pub(super) fn catch_up(&mut self) {
        self.caught.touch(self.surveyor.watches.as_deref());
        let later = &self.later;
        let mut all = std::mem::take(&mut self.caught.heard);
        let caught = &self.caught;
        let is_known = |heard: &mut Heard| {
            heard.waiters.retain(|waiter| !waiter.is_closed());
            heard.large.retain(|key| caught.large.contains_key(key));
            if heard.survey.is_some_and(|survey| caught.ended >= survey) {
                // What it found to be gone, or large, is to be known for sure as well.
                (heard.survey, heard.at) = (None, Instant::now());
                heard.large.extend(caught.fresh_large());
            }
            let is_all = heard.survey.is_none() && heard.large.is_empty() && !later.unsure_since(heard.at);
            is_all || heard.waiters.is_empty()
        };
        let ready: Vec<Heard> = all.extract_if(.., is_known).collect();
        self.caught.heard = all;
        for heard in ready {
            known(heard.waiters);
        }
    }

    /// A reader of large files is free: whichever waits for one is looked at.
    pub(super) fn look_for_large(&mut self) {
        let waits = |key: &&String| !self.reading.contains_key(*key);
        if let Some(key) = self.caught.large.keys().find(waits).cloned() {
            self.later.again(key, (Reason::Busy, Hint::Found), None, Instant::now());
        }
    }
}

impl Bucket {
    /// Returns once all that happened in the folder until now is known, or as good as.
    pub async fn catch_up(self: &Arc<Self>) {
        self.catch_up_within(LONGEST).await;
    }

    /// The same, waiting for so long at the most: then what is known has to do. Whether that was all.
    pub(super) async fn catch_up_within(self: &Arc<Self>, longest: Duration) -> bool {
        let nobody = Caller { request_id: String::new(), host_id: String::new(), address: String::new() };
        real::within(longest, self.order("", Act::CatchUp, nobody)).await.is_some_and(|done| done.is_ok())
    }
}
