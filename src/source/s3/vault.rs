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
use std::sync::{Arc, OnceLock};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, renameat};
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, unlinkat};
use serde::{Deserialize, Serialize};

pub use super::draft::{Draft, DraftPath, seal};
use super::folder::{OWN_PREFIX, Stamp, is_ignored, refusal};
use super::look::stamp_of;
use super::platform::{self, Kind};
use super::put::make_folders;
use super::spelling::{Names, Nature, Ways, Written, is_listed};
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
    /// How the file system of the bucket's folder takes names.
    pub nature: Arc<Nature>,
    /// Where drafts of contents that are kept are written: on the file system of the state folder.
    near: PathBuf,
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
    /// Whether it is done with this draft.
    pub fn needs(&self, draft: &Path) -> bool {
        matches!(self, Deed::Show(path, _) | Deed::Keep(path, _) if path.as_os_str() == draft.as_os_str())
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
        let near = own.join("drafts");
        fs::create_dir_all(&near)?;
        Ok(Vault { folder: folder.to_owned(), blobs, drafts, near, nature: Arc::default() })
    }

    /// A file of ours that holds nothing, for whoever wants to be told of something.
    pub fn mark(&self) -> PathBuf {
        self.blobs.with_file_name("mark")
    }

    /// How the file system of the bucket's folder takes names.
    pub fn ways(&self) -> Ways {
        let find_out = || platform::open_root(&self.folder).map(|root| self.nature.ways(&root));
        // Where there is no folder, nothing is taken for anything.
        self.nature.known().unwrap_or_else(|| find_out().unwrap_or_default())
    }

    /// Removes drafts that nobody writes any more, but those that are needed still. Only while nobody writes.
    pub fn clear_drafts(&self, is_needed: impl Fn(&Path) -> bool) -> io::Result<()> {
        for folder in [&self.drafts, &self.near] {
            for entry in fs::read_dir(folder)? {
                let draft = entry?.path();
                if !is_needed(&draft) {
                    fs::remove_file(draft)?;
                }
            }
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
        Draft::begin(&self.drafts, number)
    }

    /// A draft of a content to be kept, with what this file holds now; shared with it where the file system can do that.
    pub fn copy(&self, from: File, number: u64) -> io::Result<Draft> {
        Draft::begin(&self.near, number)?.with(from)
    }

    /// A draft of an object with what this file holds.
    pub fn bring(&self, from: File, number: u64) -> io::Result<Draft> {
        let draft = self.draft(number)?.with(from)?;
        seal(&draft.file)?;
        Ok(draft)
    }

    /// The draft, where it can be moved to the contents that are kept.
    pub fn near(&self, mut draft: Draft, number: u64) -> io::Result<Draft> {
        self.move_near(&mut draft, number)?;
        Ok(draft)
    }

    /// The same.
    pub fn move_near(&self, draft: &mut Draft, number: u64) -> io::Result<()> {
        let is_near = self.near == self.drafts || draft.path().starts_with(&self.near);
        if !is_near {
            *draft = self.copy(File::open(draft.path())?, number)?;
        }
        Ok(())
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
        let draft = Draft::at(path, file);
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
        let ways = self.nature.ways(&root);
        if let Some(why) = key.split('/').find_map(|name| ways.refusal(name)) {
            return Ok(Room::Nowhere(why.to_owned()));
        }
        let target = match platform::open_folder(&root, folder) {
            Ok(target) if !ways.is_blind => Ok(target),
            _ => make_folders(root, folder, ways),
        };
        let Ok(target) = target else {
            return Ok(Room::Nowhere(format!(
                "a file, a link or a folder that is written otherwise stands where {folder} needs a folder"
            )));
        };
        let kind = platform::stat(&target, name).map(|stat| platform::kind_of(&stat));
        match kind {
            Ok(Kind::Folder) if !empty(&target, name) => {
                Ok(Room::Nowhere(format!("{key} is a folder there")))
            }
            Ok(Kind::Link | Kind::Special) => {
                Ok(Room::Nowhere(format!("{key} is a link there, or a fifo, socket or device")))
            }
            Ok(_) if ways.is_blind && !is_listed(&target, name)? => {
                Ok(Room::Nowhere(format!("what the file system takes for {key} is written otherwise there")))
            }
            _ => {
                // A move that must fail is better known before anything is told.
                let may = AccessFlags::W_OK | AccessFlags::X_OK;
                faccessat(&target, ".", may, AtFlags::AT_EACCESS)?;
                Ok(Room::Folder)
            }
        }
    }

    /// Whether there is a file anywhere in the folder that could be an object.
    pub fn holds_files(&self, ignore: &[String]) -> io::Result<bool> {
        let mut folders = match platform::open_root(&self.folder) {
            Ok(root) => vec![root],
            Err(Errno::ENOENT) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        };
        while let Some(folder) = folders.pop() {
            let mut below = Vec::new();
            let mut names = Vec::new();
            platform::list(folder.try_clone()?, |name, _| names.push(name.to_owned()))?;
            for name in names {
                let Some(text) = name.to_str() else { continue };
                match platform::stat(&folder, text).map(|stat| platform::kind_of(&stat)) {
                    _ if is_ignored(ignore, text) => {}
                    Ok(Kind::File) => return Ok(true),
                    Ok(Kind::Folder) => below.extend(platform::open_folder(&folder, text)),
                    _ => {}
                }
            }
            folders.extend(below);
        }
        Ok(false)
    }

    /// Removes the folder and the folders in it, as far as there is nothing in them.
    pub fn remove_empty(&self) {
        fn remove(folder: &Path) {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    remove(&entry.path());
                }
            }
            // What has something in it stays.
            fs::remove_dir(folder).ok();
        }
        remove(&self.folder);
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
        let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
        // What is done already has no draft any more; its folder may have been removed since, and stays so.
        let is_done = || !draft.exists();
        let root = match platform::open_root(&self.folder) {
            Err(_) if is_done() => return Ok(()),
            root => root?,
        };
        let target = match platform::open_folder(&root, folder) {
            Ok(target) => target,
            Err(_) if is_done() => return Ok(()),
            Err(_) => {
                let ways = self.nature.ways(&root);
                make_folders(root, folder, ways).map_err(io::Error::other)?
            }
        };
        match renameat(AT_FDCWD, draft, &target, name) {
            Err(Errno::ENOENT) if is_done() => Ok(()),
            Err(Errno::EISDIR | Errno::ENOTEMPTY | Errno::EEXIST) if empty(&target, name) => {
                unlinkat(&target, name, UnlinkatFlags::RemoveDir)?;
                Ok(renameat(AT_FDCWD, draft, &target, name)?)
            }
            moved => Ok(moved?),
        }
    }

    fn keep(&self, draft: &Path, name: &str) -> io::Result<()> {
        let blob = self.blob(name);
        let moved = fs::rename(draft, &blob);
        let moved = match (moved, blob.parent()) {
            (Err(error), _) if error.kind() == io::ErrorKind::NotFound && !draft.exists() => return Ok(()),
            (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(folder)?;
                fs::rename(draft, &blob)
            }
            (moved, _) => moved,
        };
        match moved {
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
        let is_so = || Names::default().written(&root, key).is_ok_and(|written| written == Written::So);
        if !is_it || (self.nature.ways(&root).is_blind && !is_so()) {
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
