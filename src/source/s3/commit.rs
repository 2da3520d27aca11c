//! One commit of a bucket: events, rows and deeds, the deeds done before anyone hears of the events.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::SourceError;
use super::flight::Decided;
use super::folder::{Hint, Reason};
use super::index::{self, Rows};
use super::settle::News;
use super::vault::{Deed, Draft, DraftPath};
use super::work::Worker;
use crate::delivery::queue::{Own, Sent, Until};

/// How long done deeds wait for a commit to be struck off with. Doing them once more after a crash is harmless.
const TIDY_AFTER: Duration = Duration::from_millis(250);

/// How a deed went: its number, and why it could not be done.
type Performed = (i64, Result<(), String>);

/// What has come of a commit so far.
#[derive(Default)]
struct Report {
    /// Who waits for it.
    waiting: Vec<Decided>,
    performed: Vec<Performed>,
    /// The keys of those whose deeds could not be done.
    failed: Vec<String>,
}

/// A commit on its way, with the deeds that are done right after it.
pub(super) struct Commit {
    /// None where there was nothing to write.
    sent: Option<Sent>,
    report: Arc<Mutex<Report>>,
}

impl Commit {
    /// Returns when all of it is written and done. Whoever gives up waiting can wait again.
    pub(super) async fn written(&mut self) -> Result<(), SourceError> {
        match &mut self.sent {
            Some(sent) => Ok(sent.stored().await?),
            None => Ok(()),
        }
    }
}

impl Report {
    /// The deeds were done so. Whoever waits is answered here, and not by the worker in its turn.
    fn done(&mut self, performed: Vec<Performed>) {
        for order in std::mem::take(&mut self.waiting) {
            let ours = performed.get(order.deeds.clone()).unwrap_or_default();
            let why = ours.iter().find_map(|(_, done)| done.as_ref().err());
            self.failed.extend(why.map(|_| order.key.clone()));
            order.answer(why);
        }
        self.performed = performed;
    }
}

impl Worker {
    /// Writes all of it in one commit and does its deeds before anyone hears of it.
    pub(super) async fn commit(&mut self, news: News) -> Result<(), SourceError> {
        let mut commit = self.send(news, Vec::new()).await?;
        let written = commit.written().await;
        self.conclude_commit(&commit, &written);
        written
    }

    /// Has all of it written in one commit, whose deeds are done before anyone hears of it. Those are answered then who
    /// wait for it.
    pub(super) async fn send(
        &mut self,
        mut news: News,
        waiting: Vec<Decided>,
    ) -> Result<Commit, SourceError> {
        let bucket = self.bucket.clone();
        let mut deeds = Vec::new();
        for deed in std::mem::take(&mut news.deeds) {
            self.last_deed += 1;
            // Plain values always become JSON.
            let text = serde_json::to_string(&deed).unwrap_or_default();
            news.rows.intend(&bucket.spec.name, self.last_deed, &text);
            deeds.push((self.last_deed, deed));
        }
        if !deeds.is_empty() {
            news.rows.done(&bucket.spec.name, std::mem::take(&mut self.deeds_done));
            self.next_tidying = None;
        }
        let mut writes = news.rows.writes();
        writes.extend(news.writes);
        let mut report = Report { waiting, ..Report::default() };
        if news.events.is_empty() && writes.is_empty() {
            report.done(Vec::new());
            return Ok(Commit { sent: None, report: Arc::new(Mutex::new(report)) });
        }
        let report = Arc::new(Mutex::new(report));
        let (told, vault, mut drafts) = (report.clone(), bucket.clone(), news.drafts);
        let then = move || {
            let done = deeds.iter().map(|(id, deed)| {
                let done = vault.vault.perform(deed);
                // Where it is done there is nothing left to remove; else it is tried again at the next start, and needs its
                // draft then.
                drafts.iter_mut().filter(|draft| deed.needs(draft.path())).for_each(DraftPath::stay);
                (*id, done.map_err(|error| format!("{deed:?}: {error}")))
            });
            let done = done.collect();
            // They live until here, whoever goes away meanwhile: what is on its way to the disk needs them.
            drop(drafts);
            told.lock().unwrap_or_else(PoisonError::into_inner).done(done);
        };
        // What the disk loses of it when the machine goes down, it loses of the files as well; the next survey tells.
        let own = Own { writes, then: Some(Box::new(then)), until: Until::Committed };
        let sent = bucket.ground.outlet.send_with(news.events, own).await;
        let (sent, failed) = match sent {
            Ok(sent) => (Some(sent), Ok(())),
            Err(error) => (None, Err(SourceError::from(error))),
        };
        let commit = Commit { sent, report };
        if failed.is_err() {
            self.conclude_commit(&commit, &failed);
        }
        failed.map(|()| commit)
    }

    /// Keeps in mind which deeds of a commit are done, and tells of those that could not be. Answers those who still wait.
    pub(super) fn conclude_commit(&mut self, commit: &Commit, written: &Result<(), SourceError>) {
        let mut report = commit.report.lock().unwrap_or_else(PoisonError::into_inner);
        for order in std::mem::take(&mut report.waiting) {
            // A full disk is the caller's answer, not the end of the bucket.
            order.answer(written.as_ref().err());
        }
        for (id, done) in report.performed.drain(..) {
            match done {
                Ok(()) => {
                    self.deeds_done.push(id);
                    self.next_tidying.get_or_insert(Instant::now() + TIDY_AFTER);
                }
                Err(why) => {
                    self.bucket.notice("error", format!("cannot do what was written down: {why}"));
                }
            }
        }
        for key in report.failed.drain(..) {
            // What is told of it next is what there is.
            self.later.again(key, (Reason::Busy, Hint::Found), None, Instant::now());
        }
    }

    /// Has what is done struck off, where no further commit does it.
    pub(super) async fn tidy_deeds(&mut self) {
        self.next_tidying = None;
        if self.deeds_done.is_empty() {
            return;
        }
        let mut rows = Rows::default();
        rows.done(&self.bucket.spec.name, std::mem::take(&mut self.deeds_done));
        let rows = rows.writes().into_iter().map(crate::store::Rows::from).collect();
        // If it fails, they are done once more after the next start, which is harmless.
        self.bucket.ground.store.commit_soon(rows, Box::new(|_| ())).await.ok();
    }

    /// Does what was written down and not done when we died. Before anybody looks at the folder.
    pub(super) async fn do_what_is_left(&mut self) -> Result<(), SourceError> {
        let (bucket, store) = (self.bucket.clone(), self.bucket.ground.store.clone());
        let deeds =
            index::deeds(store.read(), &bucket.spec.name).await.map_err(|error| self.unreadable(error))?;
        self.last_deed = deeds.last().map_or(self.last_deed, |(id, _)| self.last_deed.max(*id));
        let blobs =
            index::blobs(store.read(), &bucket.spec.name).await.map_err(|error| self.unreadable(error))?;
        self.newness.has_blobs |= !blobs.is_empty();
        let (mut readable, all) = (Vec::new(), deeds.len());
        for (id, text) in deeds {
            match serde_json::from_str::<Deed>(&text) {
                Ok(deed) => readable.push((id, deed)),
                // It stays written down, for whoever can read it.
                Err(error) => bucket.notice(
                    "error",
                    format!("cannot read what was written down to be done, `{text}`: {error}; it stays so"),
                ),
            }
        }
        // What one of them needs, nobody knows.
        let clears = readable.len() == all;
        let numbers: Vec<i64> = readable.iter().map(|(id, _)| *id).collect();
        let due = self.still_due(readable).await?;
        let at = bucket.clone();
        let doing = tokio::task::spawn_blocking(move || {
            let failed = due.into_iter().filter_map(|(id, deed)| {
                let error = at.vault.perform(&deed).err()?;
                Some((id, deed, error))
            });
            let failed: Vec<(i64, Deed, io::Error)> = failed.collect();
            let mut complaints: Vec<String> =
                failed.iter().map(|(_, deed, error)| format!("{deed:?}: {error}")).collect();
            // If it has run before, somebody may be writing drafts.
            if !at.tidied.swap(true, Ordering::Relaxed) && clears {
                // What could not be moved is kept for the next start.
                let is_needed = |draft: &Path| failed.iter().any(|(_, deed, _)| deed.needs(draft));
                let cleared = at.vault.clear_drafts(is_needed);
                let cleared = cleared.and_then(|()| at.vault.clear_blobs(|name| blobs.contains(name)));
                complaints.extend(cleared.err().map(|error| error.to_string()));
            }
            (complaints, failed.into_iter().map(|(id, _, _)| id).collect::<Vec<i64>>())
        });
        // If it was broken off, all of it is done again.
        let (complaints, failed) = doing.await.unwrap_or_else(|_| (Vec::new(), numbers.clone()));
        for why in complaints {
            bucket.notice("error", format!("cannot do what was written down: {why}"));
        }
        let mut rows = Rows::default();
        rows.done(&bucket.spec.name, numbers.into_iter().filter(|id| !failed.contains(id)).collect());
        store.write(rows.writes()).await?;
        Ok(())
    }

    /// Without the drafts whose object was written anew since: they must not come in its place.
    async fn still_due(&self, deeds: Vec<(i64, Deed)>) -> Result<Vec<(i64, Deed)>, SourceError> {
        let keys: Vec<&str> = deeds.iter().filter_map(|(_, deed)| deed.shows()).collect();
        let known = index::fetch(&self.surveyor.pool, &self.bucket.spec.name, &keys).await;
        let known = known.map_err(|error| self.unreadable(error))?;
        let is_due = |(_, deed): &(i64, Deed)| match deed {
            Deed::Show(draft, key) => {
                let stamp = Draft::stamp_at(draft);
                known.iter().any(|known| known.key == *key && Some(known.stamp) == stamp)
            }
            _ => true,
        };
        Ok(deeds.into_iter().filter(is_due).collect())
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::source::s3::order::Done;

    #[test]
    fn whose_deed_could_not_be_done_hears_so_and_nobody_else() {
        let order = |key: &str, deeds| {
            let (answer, answered) = oneshot::channel();
            (Decided { key: key.to_owned(), answer, done: Ok(Done::default()), deeds }, answered)
        };
        let (one, mut of_one) = order("one", 0..2);
        let (two, mut of_two) = order("two", 2..3);
        let (none, mut of_none) = order("none", 3..3);
        let mut report = Report { waiting: vec![one, two, none], ..Report::default() };
        report.done(vec![(7, Ok(())), (8, Err("no room".to_owned())), (9, Ok(()))]);
        let failed = of_one.try_recv().expect("an answer").expect_err("failed");
        assert!(failed.message.contains("no room"), "{failed:?}");
        assert_eq!(of_two.try_recv(), Ok(Ok(Done::default())));
        assert_eq!(of_none.try_recv(), Ok(Ok(Done::default())));
        assert_eq!((report.failed, report.performed.len()), (vec!["one".to_owned()], 3));
    }
}
