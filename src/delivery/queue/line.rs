//! The line of one wire: what of its deliveries is held in memory, and when it may go on. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::delivery::policy::DeliveryPolicy;
use crate::delivery::settlement::Settlement;
use crate::delivery::stream::{self, InLine, Next};
use crate::delivery::{Delivery, Settle};
use crate::wire::Wire;

/// What of one wire's deliveries is in memory.
pub(super) struct Line {
    pub(super) wire: Arc<Wire>,
    /// The wire's row.
    pub(super) no: i64,
    pub(super) ready: VecDeque<InLine>,
    /// Places promised to emits on their way to the disk.
    pub(super) reserved: usize,
    /// More is waiting in the database, due now.
    pub(super) behind: bool,
    pub(super) refilling: bool,
    /// When the next of those in the database is due.
    pub(super) next_due: Option<Timestamp>,
    pub(super) running: usize,
    /// Bytes of the records in `ready`.
    pub(super) bytes: usize,
    /// It is not known yet what of its stream goes first: what waited for it, what the stream kept for it.
    pub(super) closed: bool,
}

/// How many deliveries of a wire are held in memory, unless its batches are larger.
const LINE_MAX: usize = 512;
/// A line shorter than this is filled up.
const LINE_LOW: usize = 128;
/// How many bytes of records a line holds before it takes no more.
const BYTES_MAX: usize = 8 * 1024 * 1024;

fn size_of(in_line: &InLine) -> usize {
    in_line.delivery.event.record.text().len()
}

impl Line {
    pub(super) fn new(wire: Arc<Wire>, no: i64) -> Line {
        Line {
            wire,
            no,
            ready: VecDeque::new(),
            reserved: 0,
            behind: false,
            refilling: false,
            next_due: None,
            running: 0,
            bytes: 0,
            closed: false,
        }
    }
    /// Nothing waits or runs.
    pub(super) fn is_idle(&self) -> bool {
        let busy = self.behind || self.refilling || self.closed || self.next_due.is_some();
        !busy && self.ready.is_empty() && self.reserved == 0 && self.running == 0
    }
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.wire.policy, DeliveryPolicy::Stream(_))
    }
    pub(super) fn length_max(&self) -> usize {
        match &self.wire.policy {
            DeliveryPolicy::Async(_) => LINE_MAX,
            DeliveryPolicy::Stream(policy) => LINE_MAX.max(policy.batch + LINE_LOW),
        }
    }
    /// Room for a new delivery; none while older ones are in the database, which go first.
    pub(super) fn has_room(&self) -> bool {
        let full = self.ready.len() + self.reserved >= self.length_max() || self.bytes > BYTES_MAX;
        !self.behind && !self.refilling && !self.closed && !full
    }
    /// Puts one into the line, at its place.
    pub(super) fn push(&mut self, in_line: InLine) {
        self.bytes += size_of(&in_line);
        let after = |other: &InLine| other.delivery.number > in_line.delivery.number;
        // Almost always it is the newest; only in a stream does the order matter.
        let at = match self.is_stream() && self.ready.back().is_some_and(after) {
            true => self.ready.partition_point(|other| !after(other)),
            false => self.ready.len(),
        };
        self.ready.insert(at, in_line);
    }
    /// Takes the first so many out of the line.
    pub(super) fn take(&mut self, count: usize) -> Vec<Delivery> {
        let taken: Vec<InLine> = self.ready.drain(..count.min(self.ready.len())).collect();
        self.bytes = self.bytes.saturating_sub(taken.iter().map(size_of).sum());
        taken.into_iter().map(|in_line| in_line.delivery).collect()
    }
    pub(super) fn runs_low(&self, now: Timestamp) -> bool {
        let due = self.behind || self.next_due.is_some_and(|due| due <= now);
        let low = match &self.wire.policy {
            DeliveryPolicy::Async(_) => LINE_LOW,
            DeliveryPolicy::Stream(policy) => LINE_LOW.max(policy.batch),
        };
        due && !self.refilling && !self.closed && self.ready.len() < low && self.bytes < BYTES_MAX
    }
    /// A batch of a stream goes only when none is on its way.
    pub(super) fn can_go(&self, now: Timestamp) -> bool {
        match &self.wire.policy {
            DeliveryPolicy::Async(_) => !self.ready.is_empty(),
            DeliveryPolicy::Stream(policy) => {
                self.running == 0 && matches!(stream::next(policy, self.ready.iter(), now), Next::Batch(_))
            }
        }
    }
    /// When this line can go on: now, or, for a stream's that waits, then. Time may have passed since somebody
    /// looked, so what could not go a moment ago is named again.
    pub(super) fn opens_at(&self, now: Timestamp) -> Option<Timestamp> {
        if self.can_go(now) {
            return Some(now);
        }
        let DeliveryPolicy::Stream(policy) = &self.wire.policy else { return None };
        match stream::next(policy, self.ready.iter(), now) {
            Next::Wait(then) if self.running == 0 => Some(then),
            _ => None,
        }
    }
    pub(super) fn in_words(&self, now: Timestamp) -> String {
        let (ready, can_go) = (self.ready.len(), self.can_go(now));
        let opens = self.opens_at(now);
        let Line { wire, reserved, behind, refilling, next_due, running, .. } = self;
        format!(
            "{}: {ready} ready, {reserved} reserved, {running} running, behind {behind}, refilling {refilling}, \
             next due {next_due:?}, opens {opens:?}, can go {can_go}",
            wire.id
        )
    }
    pub(super) fn wake_at(&mut self, then: Option<Timestamp>) {
        self.next_due = [self.next_due, then].into_iter().flatten().min();
    }
    /// What is to be tried again: a stream keeps it at the head of its line, others leave it to the database.
    pub(super) fn take_back(&mut self, settlement: &Settlement) {
        let mut back = Vec::new();
        for (delivery, (_, settle)) in settlement.parcel.deliveries.iter().zip(&settlement.verdicts) {
            let (then, cohort, attempts, refusals) = match settle {
                Settle::Delivered | Settle::GiveUp(_) => continue,
                Settle::RetryAt(then) => (*then, delivery.cohort, delivery.attempts + 1, 0),
                Settle::RetryApart(then, cohort) => (*then, Some(*cohort), delivery.attempts, 0),
                Settle::PutBack(then) => (*then, delivery.cohort, delivery.attempts, delivery.refusals + 1),
            };
            if settlement.keeps_place {
                let cohort = cohort.or(Some(settlement.parcel.first().id.0));
                let delivery = Delivery { attempts, refusals, cohort, ..delivery.clone() };
                back.push(InLine { delivery, since: settlement.at, not_before: then });
            } else {
                // Even what is due at once is in the database now.
                self.wake_at(Some(then));
            }
        }
        back.into_iter().for_each(|in_line| self.push(in_line));
    }
}
