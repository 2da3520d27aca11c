//! Where code is kept: `NAME/SHA/code` with the unpacked files, and `NAME/SHA/package.zip` beside it.
//!
//! Code is unpacked beside and renamed into place, so a folder with its final name is whole. Versions with the same code
//! share it. What no version uses any more is swept away, but not before the environments that may still run it are
//! over.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::archive::{self, ArchiveError};
use super::things::CodeRef;

const PACKAGE: &str = "package.zip";
const FILES: &str = "code";

/// The folder of all code.
#[derive(Clone)]
pub struct CodeStore(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    /// What is being put to use, by its path below the folder, and how often.
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    counts: HashMap<PathBuf, usize>,
    beside: u64,
}

/// Code that is not swept away while this lives: until a version names it.
pub struct Hold {
    store: CodeStore,
    path: PathBuf,
    /// What a version says to use it.
    pub code: CodeRef,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.store.held();
        if let Some(count) = held.counts.get_mut(&self.path) {
            *count -= 1;
            if *count == 0 {
                held.counts.remove(&self.path);
            }
        }
    }
}

impl CodeStore {
    /// The store in this folder, which is made when it is first needed.
    pub fn new(folder: PathBuf) -> CodeStore {
        CodeStore(Arc::new(Inner { folder, held: Mutex::default() }))
    }

    /// The unpacked files.
    pub fn files(&self, owner: &str, sha256: &str) -> PathBuf {
        self.0.folder.join(place(owner, sha256)).join(FILES)
    }
    /// The zip, if the code came as one.
    pub fn package(&self, owner: &str, sha256: &str) -> Option<PathBuf> {
        Some(self.0.folder.join(place(owner, sha256)).join(PACKAGE)).filter(|path| path.exists())
    }

    /// Keeps the files of a zip. Takes its time: not for async code.
    pub fn keep_zip(&self, owner: &str, zip: &[u8]) -> Result<Hold, ArchiveError> {
        let sha256 = STANDARD.encode(Sha256::digest(zip));
        self.keep(owner, sha256, |beside| {
            let unzipped = archive::unpack(zip, &beside.join(FILES))?;
            let mut package = File::create(beside.join(PACKAGE)).map_err(ArchiveError::Disk)?;
            package.write_all(zip).map_err(ArchiveError::Disk)?;
            Ok((zip.len() as u64, unzipped))
        })
    }

    /// Keeps a copy of the user's files. Takes its time: not for async code.
    pub fn keep_copy(&self, owner: &str, root: &Path) -> Result<Hold, ArchiveError> {
        let measured = measure(root).map_err(ArchiveError::Disk)?;
        let size = measured.size;
        self.keep(owner, measured.sha256.clone(), |beside| {
            copy_files(root, &beside.join(FILES)).map_err(ArchiveError::Disk)?;
            let copied = measure(&beside.join(FILES)).map_err(ArchiveError::Disk)?;
            if copied.sha256 != measured.sha256 {
                let why = "its files changed while they were copied: try again";
                return Err(ArchiveError::Disk(io::Error::other(why)));
            }
            Ok((size, size))
        })
    }

    fn keep(
        &self,
        owner: &str,
        sha256: String,
        fill: impl FnOnce(&Path) -> Result<(u64, u64), ArchiveError>,
    ) -> Result<Hold, ArchiveError> {
        let path = place(owner, &sha256);
        let home = self.0.folder.join(&path);
        // Held before looked for, so that it is not swept away between the two.
        let mut hold = self.hold(path, sha256);
        if let Some((size, unzipped)) = sizes(&home) {
            (hold.code.size, hold.code.unzipped) = (size, unzipped);
            return Ok(hold);
        }
        let beside = self.beside();
        let result = fs::create_dir_all(beside.join(FILES)).map_err(ArchiveError::Disk);
        let result = result.and_then(|()| fill(&beside)).and_then(|(size, unzipped)| {
            (hold.code.size, hold.code.unzipped) = (size, unzipped);
            self.settle(&beside, &home, size, unzipped).map_err(ArchiveError::Disk)
        });
        if result.is_err() {
            // It is swept away at the next start if it cannot be now.
            fs::remove_dir_all(&beside).ok();
        }
        result.map(|()| hold)
    }

    /// Everything is on the disk, and then in its place.
    fn settle(&self, beside: &Path, home: &Path, size: u64, unzipped: u64) -> io::Result<()> {
        fs::write(beside.join(SIZES), format!("{size} {unzipped}"))?;
        synced(beside)?;
        let above = home.parent().unwrap_or(&self.0.folder);
        fs::create_dir_all(above)?;
        match fs::rename(beside, home) {
            // Somebody else has kept the same code in the meantime.
            Err(_) if sizes(home).is_some() => fs::remove_dir_all(beside),
            Err(error) => Err(error),
            Ok(()) => File::open(above)?.sync_all(),
        }
    }

    fn hold(&self, path: PathBuf, sha256: String) -> Hold {
        *self.held().counts.entry(path.clone()).or_default() += 1;
        Hold { store: self.clone(), path, code: CodeRef { sha256, ..CodeRef::default() } }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new path for what is not finished.
    fn beside(&self) -> PathBuf {
        let mut held = self.held();
        held.beside += 1;
        self.0.folder.join(format!(".beside-{}", held.beside))
    }

    /// Sweeps away code, if it is unused and not about to be used. Takes its time: not for async code.
    pub fn drop_unused(&self, owner: &str, sha256: &str, unused: impl FnOnce() -> bool) {
        let path = place(owner, sha256);
        let beside = self.beside();
        {
            let held = self.held();
            // What was held is in use before it is let go, so to look here, in this order, is enough.
            if held.counts.contains_key(&path) || !unused() {
                return;
            }
            // Renamed while nobody can take hold of it; one that cannot be renamed is swept away at the next start.
            fs::rename(self.0.folder.join(&path), &beside).ok();
        }
        fs::remove_dir_all(&beside).ok();
        // Only an empty one goes.
        fs::remove_dir(self.0.folder.join(owner)).ok();
    }

    /// Sweeps away what is unfinished, and what is not in `used`. For the start, when nothing runs.
    pub fn sweep(&self, used: impl Fn(&str, &str) -> bool) {
        let entries = |folder: &Path| folder.read_dir().into_iter().flatten().flatten();
        for owner in entries(&self.0.folder) {
            let name = owner.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                fs::remove_dir_all(owner.path()).ok();
                continue;
            }
            for code in entries(&owner.path()) {
                if !used(&name, &code.file_name().to_string_lossy()) {
                    fs::remove_dir_all(code.path()).ok();
                }
            }
            // Only an empty one goes.
            fs::remove_dir(owner.path()).ok();
        }
    }
}

/// How large the code in this folder is; written last before it gets its place.
const SIZES: &str = "sizes";

fn sizes(home: &Path) -> Option<(u64, u64)> {
    let text = fs::read_to_string(home.join(SIZES)).ok()?;
    let (size, unzipped) = text.split_once(' ')?;
    Some((size.parse().ok()?, unzipped.parse().ok()?))
}

/// The path of a piece of code below the store's folder.
fn place(owner: &str, sha256: &str) -> PathBuf {
    Path::new(owner).join(folder_name(sha256))
}

/// The name of the folder of code with this checksum.
pub fn folder_name(sha256: &str) -> String {
    let bytes = STANDARD.decode(sha256).unwrap_or_default();
    hex::encode(bytes.get(..16).unwrap_or_default())
}

/// Has everything below a folder on the disk.
fn synced(folder: &Path) -> io::Result<()> {
    let open = File::open(folder)?;
    #[cfg(target_os = "linux")]
    nix::unistd::syncfs(&open)?;
    open.sync_all()
}

/// Checksum and size of the user's files, and not of a zip: there is none.
pub fn measure(root: &Path) -> io::Result<CodeRef> {
    let mut all = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; 64 * 1024];
    for (path, name) in archive::files(root)? {
        all.update((name.len() as u64).to_le_bytes());
        all.update(name.as_bytes());
        if path.is_symlink() {
            all.update(fs::read_link(&path)?.as_os_str().as_encoded_bytes());
            continue;
        }
        let mut one = Sha256::new();
        let mut file = File::open(&path)?;
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            one.update(&buffer[..count]);
            size += count as u64;
        }
        all.update(one.finalize());
    }
    Ok(CodeRef { sha256: STANDARD.encode(all.finalize()), size, unzipped: size })
}

fn copy_files(root: &Path, to: &Path) -> io::Result<()> {
    for (path, name) in archive::files(root)? {
        let copy = to.join(name);
        fs::create_dir_all(copy.parent().unwrap_or(to))?;
        if path.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&path)?, &copy)?;
        } else {
            // With its permissions.
            fs::copy(&path, &copy)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(content: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("index.js"), content).expect("a file");
        archive::pack(&[folder.path().to_owned()]).expect("a zip")
    }

    #[test]
    fn the_same_code_is_kept_once_and_swept_when_nobody_uses_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = CodeStore::new(folder.path().join("functions"));
        let (first, second) = (package("1"), package("2"));
        let held = store.keep_zip("f", &first).expect("kept");
        let code = held.code.clone();
        assert_eq!((code.size, code.unzipped), (first.len() as u64, 1));
        assert_eq!(store.keep_zip("f", &first).expect("kept").code, code);
        let files = store.files("f", &code.sha256);
        assert_eq!(fs::read_to_string(files.join("index.js")).expect("a file"), "1");
        assert_eq!(fs::read(store.package("f", &code.sha256).expect("a package")).expect("a zip"), first);
        store.drop_unused("f", &code.sha256, || true);
        assert!(files.exists(), "somebody is about to use it");
        drop(held);
        let other = store.keep_zip("f", &second).expect("kept").code.clone();
        store.drop_unused("f", &code.sha256, || false);
        assert!(files.exists(), "somebody uses it");
        store.drop_unused("f", &code.sha256, || true);
        assert!(!files.exists() && store.files("f", &other.sha256).exists());
        fs::create_dir(folder.path().join("functions/.beside-77")).expect("a folder");
        store.sweep(|owner, name| owner == "f" && name == folder_name(&other.sha256));
        assert!(store.files("f", &other.sha256).exists());
        store.sweep(|_, _| false);
        assert_eq!(fs::read_dir(folder.path().join("functions")).expect("a folder").count(), 0);
    }

    #[test]
    fn what_cannot_be_unpacked_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = CodeStore::new(folder.path().to_owned());
        assert!(store.keep_zip("f", b"no zip").is_err());
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn a_copy_has_the_checksum_of_the_original() {
        let (folder, user) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        fs::create_dir(user.path().join("lib")).expect("a folder");
        fs::write(user.path().join("lib/a.py"), "a").expect("a file");
        let store = CodeStore::new(folder.path().to_owned());
        let before = measure(user.path()).expect("measured");
        let kept = store.keep_copy("f", user.path()).expect("kept");
        assert_eq!(kept.code.sha256, before.sha256);
        assert_eq!(measure(&store.files("f", &before.sha256)).expect("measured"), before);
        fs::write(user.path().join("lib/a.py"), "b").expect("a file");
        assert_ne!(measure(user.path()).expect("measured").sha256, before.sha256);
    }
}
