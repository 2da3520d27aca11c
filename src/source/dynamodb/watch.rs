//! Who rings when somebody may have written to a file: the kernel, or else a clock.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// How often a file is looked at whose file system tells nothing.
pub const POLL_EVERY: Duration = Duration::from_millis(500);

/// A watch over one SQLite file. Ends when dropped.
pub struct Watch {
    _watcher: Option<RecommendedWatcher>,
    /// Why it must be polled, if it must.
    pub polled_because: Option<String>,
}

impl Watch {
    /// Rings `bell` whenever the file, its write-ahead log or its journal is written, made, moved or removed.
    pub fn start(file: &Path, bell: Arc<Notify>) -> Watch {
        let folder = file.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
        if let Some(why) = tells_nothing(&folder) {
            return Watch { _watcher: None, polled_because: Some(why) };
        }
        match watcher(file, &folder, bell) {
            Ok(watcher) => Watch { _watcher: Some(watcher), polled_because: None },
            Err(error) => Watch { _watcher: None, polled_because: Some(error.to_string()) },
        }
    }
}

fn watcher(file: &Path, folder: &Path, bell: Arc<Notify>) -> Result<RecommendedWatcher, notify::Error> {
    let name = file.file_name().unwrap_or_default().to_os_string();
    let with = |suffix: &str| {
        let mut name = name.clone();
        name.push(suffix);
        name
    };
    // Not the `-shm` file: it is written through memory, which the kernel does not tell.
    let names = [name.clone(), with("-wal"), with("-journal")];
    let mut watcher = notify::recommended_watcher(move |event: Result<notify::Event, notify::Error>| {
        let rings = match &event {
            // The kernel's queue was too short, or it has another complaint: look.
            Err(_) => true,
            Ok(event) => event.need_rescan() || is_write(&event.kind) && concerns(&event.paths, &names),
        };
        if rings {
            bell.notify_one();
        }
    })?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

fn concerns(paths: &[PathBuf], names: &[std::ffi::OsString]) -> bool {
    // An event without a path is about the folder itself.
    paths.is_empty()
        || paths
            .iter()
            .any(|path| path.file_name().is_none_or(|name| names.iter().any(|known| known == name)))
}

fn is_write(kind: &EventKind) -> bool {
    match kind {
        // Not even a close after writing: SQLite opens for writing whoever only reads, and each write was told.
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => false,
        _ => true,
    }
}

/// Why the folder's file system would not tell of what others write, if it would not.
#[cfg(target_os = "linux")]
fn tells_nothing(folder: &Path) -> Option<String> {
    // From <linux/magic.h>, and for SMB 2, FUSE and VirtualBox from their drivers.
    const SILENT: [(u64, &str); 7] = [
        (0x6969, "NFS"),
        (0x517b, "SMB"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB"),
        (0x0102_1997, "9P"),
        (0x6573_5546, "FUSE"),
        (0x786f_4256, "a VirtualBox folder"),
    ];
    let found = nix::sys::statfs::statfs(folder).ok()?.filesystem_type().0 as u64 & 0xffff_ffff;
    let (_, name) = SILENT.iter().find(|(magic, _)| *magic == found)?;
    Some(format!("{name} tells nothing of what other machines write"))
}

#[cfg(not(target_os = "linux"))]
fn tells_nothing(_folder: &Path) -> Option<String> {
    None
}

/// When to look again after a ring.
///
/// The kernel tells of the write, and SQLite makes it visible a little later: after the disk has it, in full
/// synchronous mode, and nothing tells of that. So we look again: without pause for a moment, then with pauses
/// that grow with the time since the ring, until a slow disk would have been done. The delay so stays a
/// fraction of the time that the commit itself takes, and the looks are few.
#[derive(Debug)]
pub struct Looks {
    rung: Instant,
}

impl Looks {
    /// Begins with a ring.
    pub fn begin() -> Looks {
        Looks { rung: Instant::now() }
    }
    /// How long to wait before the next look; None when there were enough.
    pub fn next(&self) -> Option<Duration> {
        const AT_ONCE: Duration = Duration::from_millis(1);
        const ENOUGH: Duration = Duration::from_secs(2);
        let passed = self.rung.elapsed();
        match passed {
            _ if passed < AT_ONCE => Some(Duration::ZERO),
            // Timers do not go finer than a millisecond.
            _ if passed < ENOUGH => Some((passed / 4).max(Duration::from_millis(1))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::real;

    async fn rings(bell: &Notify) -> bool {
        real::within(Duration::from_secs(10), bell.notified()).await.is_some()
    }

    #[tokio::test]
    async fn writes_to_the_file_and_its_journals_ring() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("t.db");
        let bell = Arc::new(Notify::new());
        let watch = Watch::start(&file, bell.clone());
        if let Some(why) = &watch.polled_because {
            eprintln!("skipped: {why}");
            return;
        }
        for name in ["t.db", "t.db-wal", "t.db-journal"] {
            std::fs::write(folder.path().join(name), "x").expect("a file");
            assert!(rings(&bell).await, "{name} was written");
            std::fs::remove_file(folder.path().join(name)).expect("removed");
            assert!(rings(&bell).await, "{name} was removed");
        }
    }

    #[test]
    fn only_the_files_of_this_database_concern_it() {
        let names = ["t.db", "t.db-wal", "t.db-journal"].map(std::ffi::OsString::from);
        let concerns = |path: &str| concerns(&[PathBuf::from(path)], &names);
        assert!(concerns("/d/t.db-wal") && concerns("/d/t.db") && concerns("/d/t.db-journal"));
        assert!(!concerns("/d/t.db-shm") && !concerns("/d/other.db-wal") && !concerns("/d"));
    }
}
