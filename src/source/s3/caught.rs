//! When a listing may be read: once all that the kernel told of before it was asked for is known.
//!
//! ```text
//!   drop f ──▶ kernel: f closed ─┐
//!   list ──▶ our mark is touched ┴▶ kernel: mark closed ──▶ f was looked at before ──▶ the listing has f
//! ```
//! The kernel tells everything in one order, and we hear it in that order. So whoever hears of the mark has heard of all
//! that came before it. Nobody waits where nothing is watched, and nobody waits for longer than `LONGEST`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Bucket;
use super::event::Caller;
use super::order::{Act, Answered, Done};
use super::watch::{Told, Watches};
use super::work::Worker;
use crate::clock::real;

/// How long a listing waits at the most.
const LONGEST: Duration = Duration::from_secs(1);

type Waiter = oneshot::Sender<Answered>;

/// Who waits until all is known that happened before they asked.
#[derive(Default)]
pub(super) struct CatchUp {
    /// The file whose closing the kernel tells us of; none where it tells nothing.
    mark: Option<PathBuf>,
    /// Those for whom it is to be touched.
    asked: Vec<Waiter>,
    /// Those for whom it was touched.
    marked: Vec<Waiter>,
    /// Those for whom it was heard of: all that came before is being looked at.
    heard: Vec<Waiter>,
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

    /// The kernel told of the mark, or that it told not of everything.
    pub fn hear(&mut self) {
        self.heard.append(&mut self.marked);
    }

    /// Touches the mark, if somebody waits for that and no earlier touch is to be heard of.
    fn touch(&mut self, watches: Option<&Watches>) {
        // Whoever went away needs none; and should the kernel have lost a touch, nobody waits for it forever.
        self.asked.retain(|waiter| !waiter.is_closed());
        self.marked.retain(|waiter| !waiter.is_closed());
        if self.asked.is_empty() || !self.marked.is_empty() {
            return;
        }
        let asked = std::mem::take(&mut self.asked);
        match watches.zip(self.mark.as_deref()).map(|(watches, mark)| watches.touch(mark)) {
            Some(Ok(())) => self.marked = asked,
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
    /// Whether the mark was heard of in this, or is lost among what was missed. That is surveyed.
    pub(super) fn hears_of_mark(&mut self, told: &[Told], missed: bool) -> bool {
        if missed {
            self.to_survey.insert(String::new());
        }
        missed || told.iter().any(|told| matches!(told, Told::Mark | Told::Missed))
    }

    /// Lets those go on who waited for what is known now.
    pub(super) fn catch_up(&mut self) {
        self.caught.touch(self.surveyor.watches.as_deref());
        if !self.caught.heard.is_empty() && !self.is_behind() {
            known(std::mem::take(&mut self.caught.heard));
        }
    }

    /// Whether there is something that we were told of and have not looked at: a new folder, a file that seems to be
    /// gone, a large file. What is surveyed now and then without being asked for is none of it.
    fn is_behind(&self) -> bool {
        !self.to_survey.is_empty() || self.is_awaited || self.later.gone() > 0 || !self.reading.is_empty()
    }
}

impl Bucket {
    /// Returns once all that happened in the folder until now is known, or as good as.
    pub async fn catch_up(self: &Arc<Self>) {
        self.catch_up_within(LONGEST).await;
    }

    /// The same, waiting for so long at the most: then what is known has to do.
    pub(super) async fn catch_up_within(self: &Arc<Self>, longest: Duration) {
        let nobody = Caller { request_id: String::new(), host_id: String::new(), address: String::new() };
        real::within(longest, self.order("", Act::CatchUp, nobody)).await;
    }
}
