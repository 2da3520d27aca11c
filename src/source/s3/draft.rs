//! Drafts: files under way, where nobody looks for objects.

use std::fs::{self, File};
use std::io::{self, Seek};
use std::path::{Path, PathBuf};

use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;

use super::folder::Stamp;
use super::look::stamp_of;
use crate::clock::real;

/// A file that is being written where nobody looks for objects. It goes away with this value, unless it was moved.
#[derive(Debug)]
pub struct Draft {
    /// The open file.
    pub file: File,
    place: DraftPath,
}

/// Where a draft lies, which nobody writes any more. It goes away with this value, unless it was moved or stays.
#[derive(Debug)]
pub struct DraftPath {
    path: PathBuf,
    stays: bool,
}

impl Draft {
    /// Begins one in this folder; `number` tells it from others.
    pub fn begin(drafts: &Path, number: u64) -> io::Result<Draft> {
        let path = drafts.join(format!("{number:016x}"));
        let open = || File::options().read(true).write(true).create_new(true).open(&path);
        let file = match open() {
            // Somebody tidied up.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(drafts)?;
                open()?
            }
            opened => opened?,
        };
        Ok(Draft::at(path, file))
    }
    /// The draft that lies there.
    pub fn at(path: PathBuf, file: File) -> Draft {
        Draft { file, place: DraftPath { path, stays: false } }
    }
    /// The same with what this file holds.
    pub fn with(mut self, mut from: File) -> io::Result<Draft> {
        from.rewind()?;
        io::copy(&mut from, &mut self.file)?;
        Ok(self)
    }
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.place.path
    }
    /// It is written. The kernel tells of the closing where it lies now, and not once more where it is moved to.
    pub fn close(self) -> DraftPath {
        self.place
    }
    /// What the file of a draft is like; None if it is gone.
    pub fn stamp_at(path: &Path) -> Option<Stamp> {
        nix::sys::stat::lstat(path).ok().map(|stat| stamp_of(&stat))
    }
    /// What its file is like.
    pub fn stamp(&self) -> io::Result<Stamp> {
        Ok(stamp_of(&nix::sys::stat::fstat(&self.file)?))
    }
}

impl DraftPath {
    /// The draft itself.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// It does not go away with this value.
    pub fn stay(&mut self) {
        self.stays = true;
    }
}

impl Drop for DraftPath {
    fn drop(&mut self) {
        if !self.stays {
            // After it was moved there is nothing of this name.
            fs::remove_file(&self.path).ok();
        }
    }
}

/// Marks what a call has written as done: its time is this very moment, which no other write has, since the system notes
/// those of others more coarsely.
pub fn seal(file: &File) -> io::Result<()> {
    let now = real::now();
    let moment = TimeSpec::new(now.as_seconds(), now.as_micros().rem_euclid(1_000_000) * 1000 + 1);
    Ok(futimens(file, &TimeSpec::UTIME_OMIT, &moment)?)
}
