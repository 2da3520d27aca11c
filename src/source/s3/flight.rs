//! Rounds of orders whose commits are on their way, while the next round is thought about.
//!
//! ```text
//!   round 1   look ─ decide ─ send ──────── commit ─ deeds ─ answers
//!   round 2                    look ─ decide ─ send ──────── commit ─ deeds ─ answers
//! ```
//! No two of them have to do with the same key, or with a folder where the other has a file. Whoever judges what there is
//! in the folder lets all of them land before.

use std::collections::VecDeque;
use std::ops::Range;

use tokio::sync::oneshot;

use super::SourceError;
use super::commit::Commit;
use super::order::{Answered, broken};
use super::round::Round;
use super::work::Worker;

/// How many are on their way while the next one is thought about: one that is being committed, and one that the next
/// commit takes.
const MAX: usize = 2;

/// An order that was decided.
pub(super) struct Decided {
    pub key: String,
    pub answer: oneshot::Sender<Answered>,
    pub done: Answered,
    /// Which of the commit's deeds are its.
    pub deeds: Range<usize>,
}

impl Decided {
    /// Answers it: with what was decided, unless that could not be done.
    pub fn answer(self, why_not: Option<&impl std::fmt::Display>) {
        let answer = why_not.map_or(self.done, |why| Err(broken(why)));
        // Whoever asked may have gone away; it is done all the same.
        self.answer.send(answer).ok();
    }
}

/// A round on its way.
pub(super) struct Flight {
    round: Round,
    commit: Commit,
}

/// The rounds on their way, in the order in which they were sent.
#[derive(Default)]
pub(super) struct Flights(VecDeque<Flight>);

impl Flights {
    /// What they have to do with.
    pub fn rounds(&self) -> Vec<&Round> {
        self.0.iter().map(|flight| &flight.round).collect()
    }

    /// Returns when the first of them is written; never where there is none. Whoever gives up waiting can wait again.
    pub async fn first_written(&mut self) -> Result<(), SourceError> {
        match self.0.front_mut() {
            Some(flight) => flight.commit.written().await,
            None => std::future::pending().await,
        }
    }
}

impl Worker {
    /// Another round is on its way.
    pub(super) async fn take_off(&mut self, round: Round, commit: Commit) {
        self.flights.0.push_back(Flight { round, commit });
        while self.flights.0.len() > MAX {
            self.land_first().await;
        }
    }

    /// Waits until nothing is on its way.
    pub(super) async fn land_all(&mut self) {
        while !self.flights.0.is_empty() {
            self.land_first().await;
        }
    }

    /// Waits for the first round on its way.
    pub(super) async fn land_first(&mut self) {
        let written = self.flights.first_written().await;
        self.land(&written);
    }

    /// The first round on its way was written, or could not be.
    pub(super) fn land(&mut self, written: &Result<(), SourceError>) {
        if let Some(flight) = self.flights.0.pop_front() {
            self.conclude_commit(&flight.commit, written);
        }
    }
}
