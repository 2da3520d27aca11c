//! When the worker has its folder surveyed, and what it makes of the end of a survey.

use std::time::{Duration, Instant};

use super::SourceError;
use super::folder::{Hint, Reason};
use super::index;
use super::survey::End;
use super::work::Worker;

/// How often a folder is surveyed that gives no hints.
const POLL: Duration = Duration::from_secs(1);
/// How often a folder is surveyed that gives hints: there are changes that no kernel tells of, such as
/// shortening a file by its name.
pub(super) const RECHECK: Duration = Duration::from_secs(60);

impl Worker {
    /// Begins a survey if one is due, or asked for.
    pub(super) fn survey_if_due(&mut self) {
        // One at a time, and each to its end: what it found counts when it was looked at.
        if self.caught.surveys() {
            return;
        }
        let is_asked_for = !self.to_survey.is_empty();
        if Instant::now() >= self.next_recheck {
            self.to_survey.insert(String::new());
        }
        if !self.to_survey.is_empty() {
            self.is_awaited = is_asked_for;
            let folders = std::mem::take(&mut self.to_survey);
            if folders.contains("") {
                // Its end says when the next one is.
                self.next_recheck = Instant::now() + RECHECK * 60;
            }
            self.caught.begin_survey();
            self.surveying.spawn(self.surveyor.clone().survey(folders));
        }
    }

    /// A survey is through.
    pub(super) async fn take_end(&mut self, end: End) -> Result<(), SourceError> {
        let now = Instant::now();
        self.caught.end_survey();
        for folder in end.unreadable {
            let before = self.later.take(&folder);
            self.later.again(folder, (Reason::Refused, Hint::Found), before, now);
        }
        if let Some(why) = end.watching {
            self.poll_because(&format!(
                "not every folder in {} can be watched: {why}",
                self.bucket.spec.folder.display()
            ));
        }
        if end.whole {
            let (least, share) = if self.polled { (POLL, 4) } else { (RECHECK, 200) };
            self.next_recheck = now + least.max(end.took * share);
        }
        if !self.said.root(&end.root) {
            self.next_recheck = now + POLL;
        }
        self.newness.read = self.newness.read.max(end.highest);
        if end.whole && self.first.take().is_some() {
            self.bucket.ground.store.write(index::seen(&self.bucket.spec.name)).await?;
            self.bucket.ready.send_replace(true);
        }
        Ok(())
    }

    /// Surveys are all there is from now on.
    pub(super) fn poll_because(&mut self, why: &str) {
        if !self.polled {
            self.polled = true;
            self.next_recheck = Instant::now() + POLL;
        }
        self.said.polled(why);
    }
}
