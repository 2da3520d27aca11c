//! The kernel's hints on what changed: one watch for each folder, one channel send for each hint.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, EventKindMask, ModifyKind, RenameMode};
use notify::{Config, ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::folder::Hint;

/// How many hints may wait; beyond that the folder is surveyed instead.
const HINTS_MAX: usize = 65_536;

/// A hint: only a look decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Something is, or was, under this key.
    Look(String, Hint),
    /// What was under this key was removed or renamed away.
    Left(String),
    /// Something whose name is no UTF-8: shown as well as can be.
    NoKey(String),
    /// Our own mark was touched: all that was told before it happened before.
    Mark,
    /// Hints were lost.
    Missed,
}

/// Why a folder cannot be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is gone, or cannot be read, which shows when it is listed.
    Folder,
    /// Watching does not work here. Why, and what to do.
    System(String),
}

/// The watches of one bucket.
pub struct Watches {
    folder: PathBuf,
    watcher: Mutex<RecommendedWatcher>,
    /// The watched folders: keys that end with `/`, and the empty one for the bucket's own.
    on: Mutex<BTreeSet<String>>,
}

/// Hints on their way.
pub struct Hints {
    /// In the order in which the kernel told them.
    pub receiver: mpsc::Receiver<Told>,
    missed: Arc<AtomicBool>,
    // Held so that the channel stays open where nothing is watched.
    _sender: mpsc::Sender<Told>,
}

impl Hints {
    /// Whether hints were lost because too many waited; forgets it.
    pub fn take_missed(&self) -> bool {
        self.missed.swap(false, Ordering::AcqRel)
    }
}

/// What we want to hear of. Reading, and each single write, is not among it.
fn kinds() -> EventKindMask {
    let kinds = EventKindMask::CREATE
        | EventKindMask::REMOVE
        | EventKindMask::MODIFY_NAME
        | EventKindMask::ACCESS_CLOSE;
    // Elsewhere nobody tells that a file was closed.
    if cfg!(target_os = "linux") { kinds } else { kinds | EventKindMask::MODIFY_DATA }
}

/// Hints that never come, for a folder that is polled.
pub fn silence() -> Hints {
    let (sender, receiver) = mpsc::channel(1);
    Hints { receiver, missed: Arc::default(), _sender: sender }
}

/// Gets ready to watch `folder`; nothing is watched yet.
pub fn start(folder: &Path) -> Result<(Watches, Hints), String> {
    let (sender, receiver) = mpsc::channel(HINTS_MAX);
    let missed = Arc::new(AtomicBool::new(false));
    let (root, outlet, full) = (folder.to_owned(), sender.clone(), missed.clone());
    let callback = move |event: notify::Result<notify::Event>| {
        tell(&root, event, &mut |told| {
            if outlet.try_send(told).is_err() {
                full.store(true, Ordering::Release);
            }
        });
    };
    let config = Config::default().with_event_kinds(kinds()).with_follow_symlinks(false);
    let watcher = RecommendedWatcher::new(callback, config).map_err(|error| explain(&error))?;
    let watches = Watches { folder: folder.to_owned(), watcher: Mutex::new(watcher), on: Mutex::default() };
    Ok((watches, Hints { receiver, missed, _sender: sender }))
}

impl Watches {
    /// Watches this file, which is to be no object, to be told of its touches in one order with all else. None where the
    /// system tells of no touches, or not in that order.
    pub fn on_mark(&self, mark: PathBuf) -> Option<PathBuf> {
        if !cfg!(target_os = "linux") {
            return None;
        }
        touch(&mark).ok()?;
        lock(&self.watcher).watch(&mark, RecursiveMode::NonRecursive).ok()?;
        Some(mark)
    }
    /// Touches it.
    pub fn touch(&self, mark: &Path) -> io::Result<()> {
        if !mark.exists() && self.on_mark(mark.to_owned()).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        touch(mark)
    }
    /// Watches the folder `key` (ends with `/`, or empty). What happens in it from now on is told.
    pub fn on(&self, key: &str) -> Result<(), Trouble> {
        let watched = lock(&self.watcher).watch(&self.folder.join(key), RecursiveMode::NonRecursive);
        match watched {
            Ok(()) => {
                lock(&self.on).insert(key.to_owned());
                Ok(())
            }
            Err(error) => Err(trouble(&error)),
        }
    }
    /// Takes the watches off the folder `key` and all below it. False if there was none.
    pub fn off(&self, key: &str) -> bool {
        let below = if key.is_empty() || key.ends_with('/') { key.to_owned() } else { format!("{key}/") };
        let mut on = lock(&self.on);
        let mut tail = on.split_off(&below);
        let kept: BTreeSet<String> = tail
            .iter()
            .find(|key| !key.starts_with(&below))
            .cloned()
            .map_or_else(BTreeSet::new, |next| tail.split_off(&next));
        on.extend(kept);
        drop(on);
        for key in &tail {
            // It may have ended by itself, with its folder.
            lock(&self.watcher).unwatch(&self.folder.join(key)).ok();
        }
        !tail.is_empty()
    }
}

/// Opens it to be written and closes it, which the kernel tells whoever watches it.
fn touch(mark: &Path) -> io::Result<()> {
    File::options().create(true).append(true).open(mark).map(drop)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn trouble(error: &notify::Error) -> Trouble {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    match &error.kind {
        ErrorKind::PathNotFound => Trouble::Folder,
        ErrorKind::Io(error) if matches!(error.kind(), NotFound | NotADirectory | PermissionDenied) => {
            Trouble::Folder
        }
        _ => Trouble::System(explain(error)),
    }
}

/// Why watching fails, and what to do.
fn explain(error: &notify::Error) -> String {
    let limit = |name: &str, value: &str| {
        format!(
            "the limit fs.inotify.{name} is reached; raise it with `sudo sysctl fs.inotify.{name}={value}`"
        )
    };
    match &error.kind {
        ErrorKind::MaxFilesWatch => limit("max_user_watches", "524288"),
        ErrorKind::Io(io) if io.raw_os_error() == Some(libc::EMFILE) => limit("max_user_instances", "1024"),
        _ => error.to_string(),
    }
}

/// Puts one event of the kernel in our words.
fn tell(root: &Path, event: notify::Result<notify::Event>, out: &mut dyn FnMut(Told)) {
    let event = match event {
        Ok(event) if !event.need_rescan() => event,
        _ => return out(Told::Missed),
    };
    let Some(path) = event.paths.first() else { return };
    let Ok(path_within) = path.strip_prefix(root) else {
        // Beside the bucket's folder only the mark is watched.
        if event.kind == EventKind::Access(AccessKind::Close(AccessMode::Write)) {
            out(Told::Mark);
        }
        return;
    };
    let Some(key) = path_within.to_str() else {
        return out(Told::NoKey(path_within.display().to_string()));
    };
    let key = key.to_owned();
    match event.kind {
        EventKind::Create(CreateKind::Folder) => out(Told::Look(key, Hint::Found)),
        EventKind::Create(_) => {
            // Another name for a finished file is finished; a new file is about to be written.
            let linked = path.symlink_metadata().is_ok_and(|file| file.nlink() > 1);
            out(Told::Look(key, if linked { Hint::Found } else { Hint::Made }));
        }
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => out(Told::Look(key, Hint::Finished)),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => out(Told::Look(key, Hint::Finished)),
        EventKind::Modify(ModifyKind::Name(RenameMode::From | RenameMode::Any)) => out(Told::Left(key)),
        EventKind::Remove(_) => out(Told::Left(key)),
        EventKind::Modify(ModifyKind::Data(_)) => out(Told::Look(key, Hint::Found)),
        // Both names of a rename were told already.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use notify::event::RemoveKind;

    use super::*;

    #[test]
    fn events_become_hints() {
        let check = |kind, expected: &[Told]| {
            let event = notify::Event::new(kind).add_path("/b/a/k".into());
            let mut seen = Vec::new();
            tell(Path::new("/b"), Ok(event), &mut |told| seen.push(told));
            assert_eq!(seen, expected, "{kind:?}");
        };
        let look = |hint| [Told::Look("a/k".into(), hint)];
        check(EventKind::Create(CreateKind::File), &look(Hint::Made));
        check(EventKind::Create(CreateKind::Folder), &look(Hint::Found));
        check(EventKind::Access(AccessKind::Close(AccessMode::Write)), &look(Hint::Finished));
        check(EventKind::Modify(ModifyKind::Name(RenameMode::To)), &look(Hint::Finished));
        check(EventKind::Modify(ModifyKind::Name(RenameMode::From)), &[Told::Left("a/k".into())]);
        check(EventKind::Modify(ModifyKind::Name(RenameMode::Both)), &[]);
        let mut seen = Vec::new();
        let full = notify::Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        tell(Path::new("/b"), Ok(full), &mut |told| seen.push(told));
        tell(Path::new("/b"), Err(notify::Error::generic("x")), &mut |told| seen.push(told));
        assert_eq!(seen, [Told::Missed, Told::Missed]);
        let mut seen = Vec::new();
        for kind in
            [EventKind::Access(AccessKind::Close(AccessMode::Write)), EventKind::Remove(RemoveKind::File)]
        {
            let beside = notify::Event::new(kind).add_path("/beside/mark".into());
            tell(Path::new("/b"), Ok(beside), &mut |told| seen.push(told));
        }
        assert_eq!(seen, [Told::Mark]);
    }

    #[test]
    fn limits_are_named_with_the_way_out() {
        let text = explain(&notify::Error::new(ErrorKind::MaxFilesWatch));
        assert!(text.contains("sudo sysctl fs.inotify.max_user_watches="), "{text}");
        let text = explain(&notify::Error::io(std::io::Error::from_raw_os_error(libc::EMFILE)));
        assert!(text.contains("fs.inotify.max_user_instances"), "{text}");
    }

    #[test]
    fn a_folder_is_forgotten_with_all_below_it() {
        let folder = tempfile::tempdir().expect("a folder");
        for sub in ["a/b", "a!", "b"] {
            std::fs::create_dir_all(folder.path().join(sub)).expect("makes a folder");
        }
        let (watches, _hints) = start(folder.path()).expect("watches");
        for key in ["", "a/", "a/b/", "a!/", "b/"] {
            watches.on(key).expect("watches");
        }
        assert!(watches.off("a"));
        assert!(!watches.off("a"));
        assert_eq!(lock(&watches.on).iter().collect::<Vec<_>>(), ["", "a!/", "b/"]);
        assert_eq!(watches.on("gone/"), Err(Trouble::Folder));
        assert!(watches.off(""));
        assert!(lock(&watches.on).is_empty());
    }
}
