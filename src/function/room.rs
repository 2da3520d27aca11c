//! The part of the file system that an environment has for itself: a temporary folder with a limit, and its layers
//! at `/opt`.
//!
//! Each environment has `environments/ID/tmp` in the state folder as its `TMPDIR`. On Linux, where that can be done
//! without privileges, a file system in memory of just the right size lies there, seen by the environment alone, and
//! at `/tmp` as well unless something that it needs lies there. Elsewhere the folder is measured after each event.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use nix::errno::Errno;

use super::platform;
use super::world::World;
use crate::config::FunctionSpec;

/// What an environment has for itself. Its folder is removed when this is dropped.
pub struct Place {
    folder: PathBuf,
    room: Arc<Room>,
}

/// What a child does to live there, made before it is born.
pub struct Room {
    /// Whether rooms can be made here at all, as far as we know.
    works: Arc<AtomicBool>,
    /// Whether this one is tried: it is not once that has failed.
    open: AtomicBool,
    /// The working folder.
    pub folder: CString,
    /// Where the file system in memory lies.
    pub tmp: CString,
    /// Its size and mode.
    pub options: CString,
    /// Whether it lies over `/tmp` as well.
    pub over_tmp: bool,
    /// What lies over `/opt`.
    pub opt: Option<CString>,
    /// How user and group are mapped, if it takes a namespace of users.
    pub user: Option<(CString, CString)>,
    doors: OnceLock<Doors>,
    /// Why it could not be made.
    refusal: Mutex<Option<io::Error>>,
}

/// The way into a room that exists. It exists as long as they are held.
pub struct Doors {
    /// Its namespace of users, if it has one.
    pub user: Option<File>,
    /// Its namespace of mounts.
    pub mounts: File,
}

impl Room {
    /// Whether a child is to live here.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }
    /// The way in, if somebody lives here already.
    pub fn doors(&self) -> Option<&Doors> {
        self.doors.get()
    }
    /// It cannot be made, for this reason: children do without.
    pub fn give_up(&self, why: io::Error) {
        *self.refusal() = Some(why);
        self.open.store(false, Ordering::Release);
    }
    /// The program cannot be started with or without it.
    pub fn is_blameless(&self) {
        *self.refusal() = None;
        self.open.store(true, Ordering::Release);
    }
    /// This process is the first one that lives here, or does without. What people are to be told of the latter: once,
    /// if it will be so for all others.
    pub fn settle(&self, process: u32) -> Option<String> {
        if !self.is_open() {
            let why = self.refusal().take()?;
            let (lasts, known) = (lasts(&why), !self.works.load(Ordering::Relaxed));
            if lasts {
                self.works.store(false, Ordering::Relaxed);
            }
            let whose = if lasts { "functions have" } else { "an environment has" };
            return (!known).then(|| {
                format!(
                    "{whose} no /tmp and /opt to themselves, because this system did not allow the mounts: {why}; \
                     TMPDIR says where temporary files go, and layers are on the paths all the same"
                )
            });
        }
        let open = |name: &str| File::open(format!("/proc/{process}/ns/{name}"));
        if let Ok(mounts) = open("mnt") {
            let user = self.user.as_ref().and_then(|_| open("user").ok());
            self.doors.get_or_init(|| Doors { user, mounts });
        }
        None
    }

    fn refusal(&self) -> MutexGuard<'_, Option<io::Error>> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a room that could not be made for this reason can never be made.
fn lasts(why: &io::Error) -> bool {
    let never = [Errno::EPERM, Errno::EACCES, Errno::ENOSYS, Errno::EINVAL, Errno::ENOSPC];
    why.raw_os_error().is_some_and(|code| never.contains(&Errno::from_raw(code)))
}

impl Place {
    /// Makes the folder of the environment of this id. `program` is what it starts.
    pub fn make(world: &World, spec: &FunctionSpec, (id, program): (&str, &Path)) -> io::Result<Place> {
        let folder = environments(&world.state).join(id);
        let tmp = folder.join("tmp");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&tmp)?;
        let working = super::variables::task_root(spec);
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let mut needed = vec![world.state.as_path(), &working, &spec.folder, program];
        needed.extend(world.state.parent());
        needed.extend(home.as_deref());
        let opt =
            opt(&spec.layers, &folder)?.filter(|_| Path::new("/opt").is_dir() && is_free("/opt", &needed));
        needed.extend(spec.layers.iter().map(PathBuf::as_path));
        let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from);
        let options = CString::new(format!("size={}m,mode=1777", spec.storage_mb))?;
        let room = Room {
            works: Arc::clone(&world.rooms_work),
            open: AtomicBool::new(cfg!(target_os = "linux") && world.rooms_work.load(Ordering::Relaxed)),
            folder: text(&working)?,
            tmp: text(&tmp)?,
            options,
            over_tmp: is_free("/tmp", &needed),
            opt: opt.as_deref().map(text).transpose()?,
            user: mapped()?,
            doors: OnceLock::new(),
            refusal: Mutex::default(),
        };
        Ok(Place { folder, room: Arc::new(room) })
    }

    /// Where its processes live.
    pub fn room(&self) -> &Arc<Room> {
        &self.room
    }
    /// Its temporary folder.
    pub fn tmp(&self) -> PathBuf {
        self.folder.join("tmp")
    }

    /// How many MB its temporary folder holds, if that is more than it may and nothing else has seen to it.
    pub fn excess_mb(&self, limit_mb: u32) -> Option<u64> {
        if self.room.doors().is_some() {
            return None;
        }
        let used = used(&self.tmp()).div_ceil(1 << 20);
        (used > u64::from(limit_mb)).then_some(used)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What lies in a room goes with the room; what is left is one or two empty folders.
        if fs::remove_dir_all(&self.folder).is_err() && self.folder.exists() {
            tracing::debug!("cannot remove {}: it is removed at the next start", self.folder.display());
        }
    }
}

/// The folder of all environments.
fn environments(state: &Path) -> PathBuf {
    state.join("environments")
}

/// Removes what a dropwire that was killed has left, beside everything else. To be called before the first start.
pub fn sweep(state: &Path) {
    let (folder, gone) = (environments(state), state.join("environments.gone"));
    if fs::rename(&folder, &gone).is_ok() || gone.exists() {
        // Whatever stays is tried again at the next start.
        let swept = std::thread::Builder::new().name("sweep".into());
        swept.spawn(move || fs::remove_dir_all(&gone).ok()).ok();
    }
}

/// How user and group are mapped into a namespace of users: as they are. None for root, who needs none.
fn mapped() -> io::Result<Option<(CString, CString)>> {
    let (user, group) = platform::user_and_group();
    if user == 0 {
        return Ok(None);
    }
    Ok(Some((CString::new(format!("{user} {user} 1"))?, CString::new(format!("{group} {group} 1"))?)))
}

/// Whether nothing that is needed lies there.
fn is_free(place: &str, needed: &[&Path]) -> bool {
    needed.iter().all(|path| {
        let real = path.canonicalize();
        !path.starts_with(place) && !real.is_ok_and(|real| real.starts_with(place))
    })
}

/// What is to lie over `/opt`: the layer, or all of them laid over each other.
fn opt(layers: &[PathBuf], folder: &Path) -> io::Result<Option<PathBuf>> {
    match layers {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        several => {
            let merged = folder.join("opt");
            for layer in several {
                lay_over(layer, &merged)?;
            }
            Ok(Some(merged))
        }
    }
}

/// Lays the files of a folder over those of another: as links where that works, else as copies.
fn lay_over(from: &Path, onto: &Path) -> io::Result<()> {
    fs::create_dir_all(onto)?;
    for entry in from.read_dir()?.flatten() {
        let (path, target) = (entry.path(), onto.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            lay_over(&path, &target)?;
            continue;
        }
        // A file of an earlier layer gives way.
        fs::remove_file(&target).ok();
        if fs::hard_link(&path, &target).is_err() {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// How many bytes the files below a folder take on the disk.
fn used(folder: &Path) -> u64 {
    let Ok(entries) = folder.read_dir() else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => used(&entry.path()),
        Ok(found) => found.blocks() * 512,
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_that_cannot_be_made_is_told_once() {
        let works = Arc::new(AtomicBool::new(true));
        let room = || Room {
            works: works.clone(),
            open: AtomicBool::new(true),
            folder: CString::default(),
            tmp: CString::default(),
            options: CString::default(),
            over_tmp: false,
            opt: None,
            user: None,
            doors: OnceLock::new(),
            refusal: Mutex::default(),
        };
        let refused = |why: Errno| {
            let room = room();
            room.give_up(io::Error::from_raw_os_error(why as i32));
            (room.settle(0).is_some(), works.load(Ordering::Relaxed))
        };
        // A machine that is busy for a moment says nothing of the next one.
        assert_eq!([refused(Errno::EAGAIN), refused(Errno::EAGAIN)], [(true, true); 2]);
        assert_eq!([refused(Errno::EPERM), refused(Errno::EPERM)], [(true, false), (false, false)]);
    }

    #[test]
    fn what_is_needed_is_not_covered() {
        let check =
            |needed: &str, expected| assert_eq!(is_free("/tmp", &[Path::new(needed)]), expected, "{needed}");
        check("/srv/project", true);
        check("/tmp/project", false);
        check("/tmpfiles", true);
    }

    #[test]
    fn later_layers_lie_over_earlier_ones() {
        let folder = tempfile::tempdir().expect("a folder");
        let layer = |name: &str, files: &[&str]| {
            for file in files {
                let path = folder.path().join(name).join(file);
                fs::create_dir_all(path.parent().expect("a folder")).expect("made");
                fs::write(path, name).expect("written");
            }
            folder.path().join(name)
        };
        let layers = [layer("a", &["bin/x", "bin/y"]), layer("b", &["bin/y", "z"])];
        let merged = opt(&layers, folder.path()).expect("merged").expect("there are layers");
        let read = |file: &str| fs::read_to_string(merged.join(file)).expect("it is there");
        assert_eq!([read("bin/x"), read("bin/y"), read("z")], ["a", "b", "b"]);
        assert_eq!(
            fs::read_to_string(layers[0].join("bin/y")).expect("there"),
            "a",
            "the layer is as it was"
        );
    }
}
