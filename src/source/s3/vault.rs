//! What a bucket keeps in the state folder: drafts of objects under way, and contents that no file in the bucket's
//! folder stands for. And the deeds: what is done to files because of what was committed.
//!
//! ```text
//!   body ──▶ draft ──commit──▶ deed: move to its key   (or, where no file can have that name, to a blob)
//! ```
//! A deed is written down in the commit that makes it due, done right after it, and done again after a crash.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, renameat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};

use super::folder::{OWN_PREFIX, Stamp, refusal};
use super::look::stamp_of;
use super::platform::{self, Kind};
use super::put::make_folders;
use crate::clock::real;

/// Where one bucket keeps what is no file in its folder.
#[derive(Debug)]
pub struct Vault {
    /// The bucket's folder.
    folder: PathBuf,
    /// Contents that are kept, by name.
    blobs: PathBuf,
    /// Where drafts are written: on the file system of the bucket's folder, so that moving one is one step.
    drafts: PathBuf,
}

/// A file that is being written where nobody looks for objects. It goes away with this value, unless it was moved.
#[derive(Debug)]
pub struct Draft {
    /// The open file.
    pub file: File,
    path: PathBuf,
}

impl Draft {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
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

impl Drop for Draft {
    fn drop(&mut self) {
        // After it was moved there is nothing of this name.
        fs::remove_file(&self.path).ok();
    }
}

/// What is to be done to files. Doing it twice does no more than doing it once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deed {
    /// This draft becomes the file of this key.
    Show(PathBuf, String),
    /// This draft becomes this blob.
    Keep(PathBuf, String),
    /// The file of this key goes away, if it is still the one of this size, time and inode.
    Remove(String, u64, i64, u64),
    /// This blob goes away.
    Forget(String),
}

impl Deed {
    /// The key whose file a draft becomes.
    pub fn shows(&self) -> Option<&str> {
        match self {
            Deed::Show(_, key) => Some(key),
            Deed::Keep(..) | Deed::Remove(..) | Deed::Forget(_) => None,
        }
    }
    /// The file of this key goes away if it is still this one.
    pub fn remove(key: &str, stamp: Stamp) -> Deed {
        Deed::Remove(key.to_owned(), stamp.size, stamp.mtime, stamp.inode)
    }
}

/// Where an object of some key can lie.
#[derive(Debug, PartialEq, Eq)]
pub enum Room {
    /// In the bucket's folder, as a file.
    Folder,
    /// In the state folder only. Why.
    Nowhere(String),
}

impl Vault {
    /// The vault of `bucket`, whose folder this is, in this state folder. Makes what is missing.
    pub fn open(state: &Path, bucket: &str, folder: &Path) -> io::Result<Vault> {
        begun();
        let own = state.join("s3").join(bucket);
        let blobs = own.join("blobs");
        fs::create_dir_all(&blobs)?;
        let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
        let beside = folder.parent().filter(|parent| device(parent) == device(folder));
        let drafts = match beside {
            _ if device(&own) == device(folder) => own.join("drafts"),
            Some(parent) => parent.join(format!("{OWN_PREFIX}{bucket}")),
            // What begins so is never an object.
            None => folder.join(format!("{OWN_PREFIX}drafts")),
        };
        fs::create_dir_all(&drafts)?;
        Ok(Vault { folder: folder.to_owned(), blobs, drafts })
    }

    /// Removes drafts that nobody writes any more. Only while nobody writes.
    pub fn clear_drafts(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.drafts)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(())
    }

    /// Removes blobs that nothing stands for: what a crash left, or a state that was moved aside. Only while nobody
    /// writes; `is_known` says what stands for something.
    pub fn clear_blobs(&self, is_known: impl Fn(&str) -> bool) -> io::Result<()> {
        // What came since this process began may be a part whose row is on its way.
        let begun = begun();
        for folder in fs::read_dir(&self.blobs)? {
            for blob in fs::read_dir(folder?.path())? {
                let blob = blob?;
                let is_new = blob.metadata().is_ok_and(|found| found.ctime() >= begun);
                if !is_new && !blob.file_name().to_str().is_some_and(&is_known) {
                    fs::remove_file(blob.path())?;
                }
            }
        }
        Ok(())
    }

    /// Removes all of it: its bucket is gone.
    pub fn discard(&self) -> io::Result<()> {
        let own = self.blobs.parent().unwrap_or(&self.blobs);
        [own, &self.drafts].into_iter().try_for_each(|folder| gone_is_well(fs::remove_dir_all(folder)))
    }

    /// Begins a draft; `number` tells it from others.
    pub fn draft(&self, number: u64) -> io::Result<Draft> {
        let path = self.drafts.join(format!("{number:016x}"));
        let open = || File::options().read(true).write(true).create_new(true).open(&path);
        let file = match open() {
            // Somebody tidied up.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.drafts)?;
                open()?
            }
            opened => opened?,
        };
        Ok(Draft { file, path })
    }

    /// A draft with the content of this file as it is now; shared with it where the file system can do that.
    pub fn copy(&self, from: &mut File, number: u64) -> io::Result<Draft> {
        let mut draft = self.draft(number)?;
        io::copy(from, &mut draft.file)?;
        Ok(draft)
    }

    /// A second name for the file of this key, if it is still this one: so its content stays when the key gets another.
    pub fn link(&self, key: &str, stamp: Stamp, number: u64) -> Option<Draft> {
        let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
        let root = platform::open_root(&self.folder).ok()?;
        let folder = platform::open_folder(&root, folder).ok()?;
        let path = self.drafts.join(format!("{number:016x}"));
        nix::unistd::linkat(&folder, name, AT_FDCWD, &path, AtFlags::empty()).ok()?;
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(_) => {
                fs::remove_file(&path).ok();
                return None;
            }
        };
        let draft = Draft { file, path };
        (draft.stamp().ok()? == stamp).then_some(draft)
    }

    /// Opens the file of this key to be read.
    pub fn open_file(&self, key: &str) -> io::Result<File> {
        let root = platform::open_root(&self.folder)?;
        Ok(File::from(platform::open_file(&root, key)?))
    }

    /// Opens a blob to be read.
    pub fn open_blob(&self, name: &str) -> io::Result<File> {
        File::open(self.blob(name))
    }

    /// Where a blob lies: in one of 256 folders.
    fn blob(&self, name: &str) -> PathBuf {
        self.blobs.join(name.get(..2).unwrap_or("00")).join(name)
    }

    /// Whether the object of this key can be a file in the folder; makes the folders it needs if so.
    pub fn room(&self, key: &str) -> io::Result<Room> {
        let own = || key.split('/').any(|name| name.starts_with(OWN_PREFIX));
        if let Some(why) = refusal(key).or_else(|| own().then_some("that name is ours")) {
            return Ok(Room::Nowhere(why.to_owned()));
        }
        let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
        let root = platform::open_root(&self.folder)?;
        let Ok(target) = make_folders(root, folder) else {
            return Ok(Room::Nowhere(format!("a file or link stands where {folder} needs a folder")));
        };
        let kind = platform::stat(&target, name).map(|stat| platform::kind_of(&stat));
        match kind {
            Ok(Kind::Folder) if !empty(&target, name) => {
                Ok(Room::Nowhere(format!("{key} is a folder there")))
            }
            _ => Ok(Room::Folder),
        }
    }

    /// Does it. An error is that of the system.
    pub fn perform(&self, deed: &Deed) -> io::Result<()> {
        match deed {
            Deed::Show(draft, key) => self.show(draft, key),
            Deed::Keep(draft, name) => self.keep(draft, name),
            Deed::Remove(key, size, mtime, inode) => {
                self.remove(key, Stamp { size: *size, mtime: *mtime, inode: *inode })
            }
            Deed::Forget(name) => gone_is_well(fs::remove_file(self.blob(name))),
        }
    }

    fn show(&self, draft: &Path, key: &str) -> io::Result<()> {
        if !draft.exists() {
            return Ok(());
        }
        let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
        let target = make_folders(platform::open_root(&self.folder)?, folder).map_err(io::Error::other)?;
        match renameat(AT_FDCWD, draft, &target, name) {
            Err(Errno::EISDIR | Errno::ENOTEMPTY | Errno::EEXIST) if empty(&target, name) => {
                unlinkat(&target, name, UnlinkatFlags::RemoveDir)?;
                Ok(renameat(AT_FDCWD, draft, &target, name)?)
            }
            moved => Ok(moved?),
        }
    }

    fn keep(&self, draft: &Path, name: &str) -> io::Result<()> {
        let blob = self.blob(name);
        if !draft.exists() {
            return Ok(());
        }
        if let Some(folder) = blob.parent() {
            fs::create_dir_all(folder)?;
        }
        match fs::rename(draft, &blob) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                fs::copy(draft, &blob)?;
                fs::remove_file(draft)
            }
            moved => moved,
        }
    }

    fn remove(&self, key: &str, stamp: Stamp) -> io::Result<()> {
        let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
        let root = platform::open_root(&self.folder)?;
        let Ok(target) = platform::open_folder(&root, folder) else { return Ok(()) };
        let is_it = platform::stat(&target, name).is_ok_and(|stat| stamp_of(&stat) == stamp);
        if !is_it {
            return Ok(());
        }
        match unlinkat(&target, name, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::ENOENT) => Ok(()),
            removed => Ok(removed?),
        }
    }
}

/// When this process first opened a vault: seconds since 1970 of this machine's time.
fn begun() -> i64 {
    static BEGUN: OnceLock<i64> = OnceLock::new();
    *BEGUN.get_or_init(|| real::now().as_seconds())
}

/// Whether there is an empty folder of this name.
fn empty(folder: &OwnedFd, name: &str) -> bool {
    let mut entries = 0;
    let opened = platform::open_folder(folder, name);
    opened.is_ok_and(|folder| platform::list(folder, |_, _| entries += 1).is_ok() && entries == 0)
}

fn gone_is_well(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
