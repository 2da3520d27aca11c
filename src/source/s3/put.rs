//! Objects written and removed by dropwire itself: as files, as anybody would, but never half-written.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::folder::{OWN_PREFIX, key_is_ignored, refusal};
use super::platform;
use super::spelling::{Names, Ways, Written, is_listed};
use super::{Bucket, SourceError};

/// What an object shall hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// What this file holds.
    File(PathBuf),
    /// These bytes.
    Bytes(Vec<u8>),
}

impl Bucket {
    /// Writes an object: a file that is whole from the first moment it can be seen. Its event comes as for any other.
    pub async fn put(self: &Arc<Self>, key: &str, content: Content) -> Result<(), SourceError> {
        self.check("write", key)?;
        let (bucket, at) = (self.clone(), key.to_owned());
        let done = tokio::task::spawn_blocking(move || bucket.write(&at, &content)).await;
        self.answer("write", key, done.unwrap_or_else(|_| Err("it was broken off".into())))
    }

    /// Removes an object. Its event comes as for any other.
    pub async fn delete(self: &Arc<Self>, key: &str) -> Result<(), SourceError> {
        self.check("remove", key)?;
        let (bucket, at) = (self.clone(), key.to_owned());
        let done = tokio::task::spawn_blocking(move || bucket.remove(&at)).await;
        self.answer("remove", key, done.unwrap_or_else(|_| Err("it was broken off".into())))
    }

    fn check(&self, verb: &str, key: &str) -> Result<(), SourceError> {
        let ignored =
            || key_is_ignored(&self.spec.ignore, key).then_some("the bucket's `ignore` passes it by");
        match refusal(key).or_else(ignored) {
            Some(why) => self.answer(verb, key, Err(why.into())),
            None => Ok(()),
        }
    }

    fn answer(&self, verb: &str, key: &str, done: Result<(), String>) -> Result<(), SourceError> {
        let folder = self.spec.folder.display();
        done.map_err(|why| {
            SourceError(format!("cannot {verb} {}/{key} (in {folder}): {why}", self.spec.name))
        })
    }

    fn write(&self, key: &str, content: &Content) -> Result<(), String> {
        let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
        let root = platform::open_root(&self.spec.folder).map_err(|errno| told(errno, "the folder"))?;
        let ways = self.vault.nature.ways(&root);
        if let Some(why) = key.split('/').find_map(|name| ways.refusal(name)) {
            return Err(format!("{why}; choose another key"));
        }
        must_be_written_so(ways, &root, key)?;
        let target = make_folders(root, folder, ways)?;
        if platform::stat(&target, name).is_ok_and(|stat| platform::kind_of(&stat) == platform::Kind::Folder)
        {
            return Err(format!(
                "{key} is a folder there; a folder cannot hold an object and a folder of one name"
            ));
        }
        let draft = Draft::begin(&self.spec.folder, &target, self.ground.random.number())?;
        draft.fill(content).and_then(|()| draft.rename_to(&target, name))
    }

    fn remove(&self, key: &str) -> Result<(), String> {
        let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
        let root = platform::open_root(&self.spec.folder).map_err(|errno| told(errno, "the folder"))?;
        must_be_written_so(self.vault.nature.ways(&root), &root, key)?;
        let target = platform::open_folder(&root, folder).map_err(|errno| told(errno, folder))?;
        match unlinkat(&target, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => Ok(()),
            Err(Errno::EISDIR) => Err(format!("{key} is a folder there; name the object")),
            Err(errno) => Err(told(errno, key)),
        }
    }
}

/// Why a call failed on `what`, and the way out where there is one to say.
fn told(errno: Errno, what: &str) -> String {
    match errno {
        Errno::ENOENT => format!("there is no {what}"),
        Errno::ELOOP => {
            format!("{what} is or lies behind a symbolic link, which is never followed; remove the link")
        }
        Errno::ENOTDIR => {
            format!("a file or link stands where {what} needs a folder; remove it or choose another key")
        }
        errno => format!("{what}: {}", errno.desc()),
    }
}

/// Refuses a key that the file system takes for another one that is there.
fn must_be_written_so(ways: Ways, root: &OwnedFd, key: &str) -> Result<(), String> {
    match ways.is_blind.then(|| Names::default().written(root, key)) {
        Some(Ok(Written::Otherwise(other))) => {
            Err(format!("its file system takes it for {other}, which is there; choose another key"))
        }
        _ => Ok(()),
    }
}

/// Opens the folder `path` below `root`, making what is missing; never through a link, and never one that is written
/// otherwise.
pub(super) fn make_folders(root: OwnedFd, path: &str, ways: Ways) -> Result<OwnedFd, String> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut at = root;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        match mkdirat(&at, name, Mode::from_bits_truncate(0o777)) {
            Err(Errno::EEXIST) if ways.is_blind && is_listed(&at, name).is_ok_and(|is_so| !is_so) => {
                return Err(format!("what stands for {name} there is written otherwise; choose another key"));
            }
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(told(errno, name)),
        }
        at = openat(&at, name, flags, Mode::empty()).map_err(|errno| told(errno, name))?;
    }
    Ok(at)
}

/// A file that is being written where nobody looks for objects; it goes away unless it is renamed.
struct Draft {
    folder: OwnedFd,
    name: String,
}

impl Draft {
    /// Beside the bucket's folder, so that nobody who watches it sees the draft; in the target's folder if that
    /// cannot be written to or lies on another file system.
    fn begin(bucket: &Path, target: &OwnedFd, number: u64) -> Result<Draft, String> {
        let name = format!("{OWN_PREFIX}{}-{number:016x}", std::process::id());
        let device = |folder: &OwnedFd| nix::sys::stat::fstat(folder).map(|stat| stat.st_dev);
        let beside = bucket.parent().and_then(|parent| platform::open_root(parent).ok());
        let beside =
            beside.filter(|beside| matches!((device(beside), device(target)), (Ok(a), Ok(b)) if a == b));
        if let Some(draft) = beside.and_then(|folder| Draft::make(folder, &name).ok()) {
            return Ok(draft);
        }
        let within = target.try_clone().map_err(|error| error.to_string())?;
        Draft::make(within, &name).map_err(|errno| told(errno, "the folder"))
    }
    fn make(folder: OwnedFd, name: &str) -> nix::Result<Draft> {
        let draft = Draft { folder, name: name.to_owned() };
        draft.open(OFlag::O_CREAT | OFlag::O_EXCL)?;
        Ok(draft)
    }
    fn open(&self, how: OFlag) -> nix::Result<OwnedFd> {
        let flags = how | OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.folder, self.name.as_str(), flags, Mode::from_bits_truncate(0o666))
    }
    fn fill(&self, content: &Content) -> Result<(), String> {
        let mut file = File::from(self.open(OFlag::empty()).map_err(|errno| told(errno, "the draft"))?);
        match content {
            Content::Bytes(bytes) => file.write_all(bytes).map_err(|error| error.to_string()),
            Content::File(path) => {
                let copied = File::open(path).and_then(|mut from| io::copy(&mut from, &mut file));
                copied.map(|_| ()).map_err(|error| format!("{}: {error}", path.display()))
            }
        }
    }
    fn rename_to(&self, folder: &OwnedFd, name: &str) -> Result<(), String> {
        renameat(&self.folder, self.name.as_str(), folder, name).map_err(|errno| told(errno, name))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After the rename there is nothing of this name.
        unlinkat(&self.folder, self.name.as_str(), UnlinkatFlags::NoRemoveDir).ok();
    }
}
