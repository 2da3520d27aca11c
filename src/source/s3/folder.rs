//! What changed in a folder: files found against objects known, and what one look at a file means. Pure.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::event::Sequencer;
use crate::glob;

/// The longest key that S3 has, in bytes of UTF-8.
pub const KEY_MAX: usize = 1024;

/// What our own files under way are called; they are never objects.
pub const OWN_PREFIX: &str = ".dropwire-put-";

/// How long a file must be unchanged to count as finished where nobody tells whether it is open for writing.
pub const QUIET: Duration = Duration::from_secs(2);

/// How long an empty file must be unchanged that nobody was seen to close. A file is made a moment before
/// it is open for writing; in that moment it looks finished.
pub const EMPTY_QUIET: Duration = Duration::from_millis(500);

/// What tells one content of a file from the next without reading it. Permissions, times of reading and
/// other names of the file do not change it; writing to it or replacing it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// When it was last written, in nanoseconds since 1970 of this machine's time.
    pub mtime: i64,
    /// Which file it is.
    pub inode: u64,
}

/// An object as we know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its key.
    pub key: String,
    /// Its file when we last told of it.
    pub stamp: Stamp,
    /// MD5 of its content in hex; empty when it was there before us and never read.
    pub etag: String,
    /// The sequencer of its last write.
    pub sequencer: Sequencer,
    /// What the API knows of it beyond its file.
    pub extra: Extra,
}

impl Known {
    /// The eTag that people are shown, without quotes. A file that was there before us was never read: its eTag is one
    /// of its stamp, and like that of an upload in parts, so that nobody takes it for the hash of its content.
    pub fn shown_etag(&self) -> String {
        if !self.etag.is_empty() {
            return self.etag.clone();
        }
        let Stamp { size, mtime, inode } = self.stamp;
        let parts = [size.to_be_bytes(), mtime.to_be_bytes(), inode.to_be_bytes()];
        let digest = crate::random::digest(&[&parts.concat()]);
        format!("{}-1", hex::encode(&digest[..16]))
    }
}

/// What the API knows of an object beyond its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    /// The id of its version; empty is the null version.
    pub version: String,
    /// Whether it lies in the state folder alone, since no file in the folder can have its name.
    pub hidden: bool,
    /// Where its content lies in the state folder, if it does.
    pub blob: Option<String>,
    /// Headers, metadata, tags and checksums as JSON; None for a file that people wrote.
    pub meta: Option<String>,
}

/// A file found by walking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its key; with `/` at the end it stands for a folder that could not be read.
    pub key: String,
    /// None if it, or the folder, could not be looked at: nothing is known of it or of what is below it.
    pub stamp: Option<Stamp>,
}

/// Two sorted streams, files found and objects known, each as far as it has been read.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Files not yet compared.
    pub found: VecDeque<Found>,
    /// No more files come.
    pub all_found: bool,
    /// Objects not yet compared.
    pub known: VecDeque<Known>,
    /// No more objects come.
    pub all_known: bool,
    unreadable: Option<String>,
}

impl Comparison {
    /// The keys that differ, as far as both streams have been read. Files written in `young` (nanoseconds)
    /// count as different even when the stamp is the same: two writes can share one tick of the clock.
    pub fn differences(&mut self, young: &RangeInclusive<i64>) -> Vec<String> {
        let mut keys = Vec::new();
        while let Some(key) = self.step(young) {
            keys.extend(key);
        }
        keys
    }

    /// Compares the smallest key; None when a stream must be read on. Some(None) if it does not differ.
    fn step(&mut self, young: &RangeInclusive<i64>) -> Option<Option<String>> {
        match (self.found.front(), self.known.front()) {
            (None, _) if !self.all_found => None,
            (_, None) if !self.all_known => None,
            (None, None) => None,
            (Some(found), known) if known.is_none_or(|known| found.key < known.key) => {
                let new = found.stamp.is_some();
                let found = self.found.pop_front()?;
                if !new && found.key.ends_with('/') {
                    self.unreadable = Some(found.key);
                    return Some(None);
                }
                Some(new.then_some(found.key))
            }
            (Some(found), Some(known)) if found.key == known.key => {
                let same =
                    found.stamp.is_none_or(|stamp| stamp == known.stamp && !young.contains(&stamp.mtime));
                self.known.pop_front();
                let found = self.found.pop_front()?;
                Some((!same).then_some(found.key))
            }
            _ => {
                let known = self.known.pop_front()?;
                let covered =
                    self.unreadable.as_ref().is_some_and(|folder| known.key.starts_with(folder.as_str()));
                Some((!covered).then_some(known.key))
            }
        }
    }
}

/// Why we look at a file; the later, the more it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hint {
    /// It was made: most likely somebody is about to write to it.
    Made,
    /// It was found, or is looked at again.
    Found,
    /// A writer closed it, or it was renamed to this key.
    Finished,
}

/// What one look at a key saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    /// Nothing.
    Gone,
    /// Nothing of this name; but something that the file system takes for the same. The key of that.
    Otherwise(String),
    /// A folder.
    Folder,
    /// A file that somebody has open for writing, or that changed while we read it.
    Busy,
    /// A file that may be unfinished.
    Unsettled(Stamp),
    /// A file so large that it is read apart from the others.
    Large(Stamp),
    /// A finished file and its eTag, which is empty when it was not read.
    Object(Stamp, String),
    /// A symbolic link, fifo, socket or device: not an object. What it is.
    Other(&'static str),
    /// It could not be read: why not.
    Refused(String),
}

/// What follows from a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing happened.
    Nothing,
    /// The object was written.
    Written,
    /// The object was removed.
    Removed,
    /// Look again, for this reason.
    Again(Reason),
}

/// Why to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is gone, but may come back at once: an editor that saves by renaming.
    Gone,
    /// Somebody writes to it.
    Busy,
    /// It may be unfinished.
    Unsettled(Stamp),
    /// It could not be read.
    Refused,
}

/// What a look means, given what we knew. `gone_before`: it was already gone when we looked a moment ago.
pub fn judge(sight: &Sight, known: Option<&Known>, gone_before: bool) -> Verdict {
    match sight {
        Sight::Object(stamp, etag) => {
            // An upload in parts has an eTag that is no hash of its content. No other write has its stamp: a draft has
            // the very moment as its time, and what the system notes is coarser.
            let in_parts = |known: &Known| known.etag.contains('-');
            let same = |known: &Known| {
                let unread = known.etag.is_empty() || etag.is_empty();
                known.stamp == *stamp && (unread || known.etag == *etag || in_parts(known))
            };
            if known.is_some_and(same) { Verdict::Nothing } else { Verdict::Written }
        }
        Sight::Gone | Sight::Otherwise(_) | Sight::Folder | Sight::Other(_) => {
            match known.filter(|known| !known.extra.hidden) {
                None => Verdict::Nothing,
                Some(_) if gone_before => Verdict::Removed,
                Some(_) => Verdict::Again(Reason::Gone),
            }
        }
        Sight::Busy | Sight::Large(_) => Verdict::Again(Reason::Busy),
        Sight::Unsettled(stamp) => Verdict::Again(Reason::Unsettled(*stamp)),
        Sight::Refused(_) => Verdict::Again(Reason::Refused),
    }
}

/// What a file says of itself when we look at it.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// Its stamp.
    pub stamp: Stamp,
    /// When anything of it last changed, nanoseconds since 1970.
    pub ctime: i64,
    /// Whether it is known that nobody has it open for writing.
    pub closed: bool,
}

/// Whether a file that nobody is known to write to is finished. `settled`: the stamp it had when it was seen
/// a quiet time ago. `now`: nanoseconds since 1970.
pub fn is_finished(state: &State, hint: Hint, settled: Option<Stamp>, now: i64) -> bool {
    if hint == Hint::Finished || (state.closed && state.stamp.size > 0) || settled == Some(state.stamp) {
        return true;
    }
    let quiet = if state.closed { EMPTY_QUIET } else { QUIET };
    let changed = state.stamp.mtime.max(state.ctime);
    // A time ahead of ours (another machine's clock) says nothing.
    now.saturating_sub(changed) >= i64::try_from(quiet.as_nanos()).unwrap_or(i64::MAX)
}

/// Whether a file or folder of this name is never an object, nor is anything in it.
pub fn is_ignored(globs: &[String], name: &str) -> bool {
    name.starts_with(OWN_PREFIX) || globs.iter().any(|glob| glob::matches(glob, name))
}

/// Whether any part of the key is ignored.
pub fn key_is_ignored(globs: &[String], key: &str) -> bool {
    key.split('/').any(|name| is_ignored(globs, name))
}

/// Why a key cannot be written to a folder; None if it can.
pub fn refusal(key: &str) -> Option<&'static str> {
    if key.is_empty() {
        return Some("the key is empty");
    }
    if key.len() > KEY_MAX {
        return Some("a key has at most 1,024 bytes");
    }
    if key.contains('\0') {
        return Some("no file name holds a NUL");
    }
    if key.starts_with('/') || key.ends_with('/') || key.contains("//") {
        return Some("no file name is empty: write it without `//` and without `/` at its ends");
    }
    if key.split('/').any(|name| name == "." || name == "..") {
        return Some("`.` and `..` would lead elsewhere");
    }
    key.split('/').any(|name| name.len() > 255).then_some("a file name has at most 255 bytes between two `/`")
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
