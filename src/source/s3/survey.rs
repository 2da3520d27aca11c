//! Surveys: a walk through a folder held against the objects we know. What differs is looked at by the worker.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use sqlx::sqlite::SqlitePool;
use tokio::sync::mpsc;

use super::event::Sequencer;
use super::folder::Comparison;
use super::index;
use super::look::now_nanos;
use super::platform;
use super::spelling::{Names, Nature, Written};
use super::walk::{Batch, Remark, Walk};
use super::watch::{Trouble, Watches};

/// Files written so short a time ago are looked at even if they seem the same: two writes can share one
/// tick of the file system's clock.
pub const YOUNG: Duration = Duration::from_secs(2);
/// How many keys are reported at once.
const SUSPECTS: usize = 256;

/// What a survey reports, in this order: suspects and remarks as it goes, then its end.
#[derive(Debug)]
pub enum Report {
    /// Keys that seem to differ.
    Suspects(Vec<String>),
    /// What was passed by.
    Remarks(Vec<Remark>),
    /// It is through.
    End(End),
}

/// How a survey went.
#[derive(Debug)]
pub struct End {
    /// Whether the whole bucket was surveyed.
    pub whole: bool,
    /// How the bucket's folder was found.
    pub root: Root,
    /// The folders that could not be read, each with `/` at its end.
    pub unreadable: Vec<String>,
    /// Why watching does not work, if it does not.
    pub watching: Option<String>,
    /// How long it took.
    pub took: Duration,
    /// The highest sequencer of the objects that have a file, if all of them were read.
    pub highest: Option<Sequencer>,
}

/// How the bucket's folder was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// There.
    There,
    /// There is no such folder.
    Missing,
    /// It cannot be opened. Why.
    Closed(String),
}

/// Who surveys one bucket.
#[derive(Clone)]
pub struct Surveyor {
    /// The bucket's name.
    pub bucket: String,
    /// Its folder.
    pub folder: Arc<Path>,
    /// Names that are passed by.
    pub ignore: Arc<[String]>,
    /// Its watches, if it is watched.
    pub watches: Option<Arc<Watches>>,
    /// How its file system takes names.
    pub nature: Arc<Nature>,
    /// The index.
    pub pool: SqlitePool,
    /// Where reports go.
    pub out: mpsc::Sender<Report>,
}

impl Surveyor {
    /// Surveys these folders, each a key that ends with `/`, or the empty one: the whole bucket.
    pub async fn survey(self, folders: BTreeSet<String>) -> Result<(), sqlx::Error> {
        let begun = Instant::now();
        let whole = folders.contains("");
        let (root, unreadable, took) = (Root::There, Vec::new(), Duration::ZERO);
        let mut end = End { whole, root, unreadable, watching: None, took, highest: None };
        for folder in outermost(folders) {
            let root = self.open().await;
            match root {
                Ok(root) => self.compare(&folder, Some(root), &mut end).await?,
                Err(Errno::ENOENT | Errno::ENOTDIR) => {
                    end.root = Root::Missing;
                    self.compare(&folder, None, &mut end).await?;
                }
                Err(errno) => end.root = Root::Closed(errno.desc().to_owned()),
            }
        }
        end.took = begun.elapsed();
        // Without a worker nobody wants to know.
        self.out.send(Report::End(end)).await.ok();
        Ok(())
    }

    async fn open(&self) -> Result<OwnedFd, Errno> {
        let folder = self.folder.clone();
        tokio::task::spawn_blocking(move || platform::open_root(&folder)).await.unwrap_or(Err(Errno::EINTR))
    }

    /// Compares one folder with the objects below it. Without a `root` all of them are missing.
    async fn compare(&self, folder: &str, root: Option<OwnedFd>, end: &mut End) -> Result<(), sqlx::Error> {
        let (sender, mut batches) = mpsc::channel(4);
        let (this, at) = (self.clone(), folder.to_owned());
        let walk = root.map(|root| tokio::task::spawn_blocking(move || this.walk(root, &at, sender)));
        let now = now_nanos();
        let young = now - i64::try_from(YOUNG.as_nanos()).unwrap_or(0)..=now;
        let (mut comparison, mut after, mut suspects) = (Comparison::default(), String::new(), Vec::new());
        let mut highest = Sequencer::default();
        loop {
            suspects.extend(comparison.differences(&young));
            let ended = comparison.all_found && comparison.all_known;
            if suspects.len() >= SUSPECTS || (ended && !suspects.is_empty()) {
                self.out.send(Report::Suspects(std::mem::take(&mut suspects))).await.ok();
            }
            if ended {
                break;
            }
            if comparison.found.is_empty() && !comparison.all_found {
                match batches.recv().await {
                    Some(batch) => self.take(batch, &mut comparison, end).await,
                    // Should the walk have ended early, what seems missing is looked at all the same.
                    None => comparison.all_found = true,
                }
            }
            if comparison.known.is_empty() && !comparison.all_known {
                let page = index::page(&self.pool, &self.bucket, folder, &after).await?;
                comparison.all_known = page.len() < index::PAGE;
                after = page.last().map_or(after, |known| known.key.clone());
                highest = page.iter().map(|known| known.sequencer).fold(highest, Sequencer::max);
                comparison.known.extend(page);
            }
        }
        if let Some(walk) = walk {
            end.watching = end.watching.take().or(walk.await.unwrap_or_default());
        }
        end.highest = folder.is_empty().then_some(highest);
        Ok(())
    }

    async fn take(&self, batch: Batch, comparison: &mut Comparison, end: &mut End) {
        let unreadable = batch.found.iter().filter(|found| found.stamp.is_none() && found.key.ends_with('/'));
        end.unreadable.extend(unreadable.map(|found| found.key.clone()));
        if !batch.remarks.is_empty() {
            self.out.send(Report::Remarks(batch.remarks)).await.ok();
        }
        comparison.found.extend(batch.found);
    }

    /// Walks one folder, watching each folder before it is listed. Blocks; returns why watching does not work.
    fn walk(&self, root: OwnedFd, folder: &str, out: mpsc::Sender<Batch>) -> Option<String> {
        let is_so = || Names::default().written(&root, folder) == Ok(Written::So);
        if self.nature.ways(&root).is_blind && !is_so() {
            // There is no such folder, but one that is written otherwise.
            return None;
        }
        let trouble = RefCell::new(None);
        let enter = |key: &str| {
            if let Some(watches) = &self.watches
                && let Err(Trouble::System(why)) = watches.on(key)
            {
                trouble.borrow_mut().get_or_insert(why);
            }
        };
        Walk { root, ignore: &self.ignore, enter: &enter, out, batch: Batch::default() }.run(folder);
        trouble.into_inner()
    }
}

/// Those of the folders that lie in no other of them.
fn outermost(folders: BTreeSet<String>) -> Vec<String> {
    let mut outermost: Vec<String> = Vec::new();
    for folder in folders {
        if !outermost.last().is_some_and(|outer| folder.starts_with(outer.as_str())) {
            outermost.push(folder);
        }
    }
    outermost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_within_another_is_surveyed_with_it() {
        let check = |folders: &[&str], expected: &[&str]| {
            assert_eq!(outermost(folders.iter().map(|folder| folder.to_string()).collect()), expected);
        };
        check(&["a/", "a/b/", "a!/", "b/c/"], &["a!/", "a/", "b/c/"]);
        check(&["", "a/", "b/"], &[""]);
        check(&[], &[]);
    }
}
