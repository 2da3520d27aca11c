//! What the operating system is asked and the standard library has no words for.
//!
//! Everything below the bucket's folder is reached from the folder's own descriptor and never through a
//! symbolic link. Keys are at most 1,024 bytes, so that paths from there are never too long.
#![expect(unsafe_code, reason = "leases and directory streams are libc's; each call is wrapped here")]

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstatat};

/// How a file is opened to be read: never waiting (a fifo), never through a link, never as a terminal of ours.
const READ: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC);
const FOLDER: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// What something in a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A fifo, socket or device.
    Special,
    /// The file system does not say while listing.
    Unknown,
}

/// The kind that a mode of `stat` tells.
pub fn kind_of(stat: &FileStat) -> Kind {
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => Kind::File,
        libc::S_IFDIR => Kind::Folder,
        libc::S_IFLNK => Kind::Link,
        _ => Kind::Special,
    }
}

/// Opens the bucket's folder itself, which may be named through links.
pub fn open_root(folder: &Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    nix::fcntl::open(folder, flags, Mode::empty())
}

/// Opens the file `key` below `root` to be read.
pub fn open_file(root: &OwnedFd, key: &str) -> nix::Result<OwnedFd> {
    open_beneath(root, key, READ)
}

/// Opens the folder `key` below `root`; empty is the root itself.
pub fn open_folder(root: &OwnedFd, key: &str) -> nix::Result<OwnedFd> {
    open_beneath(root, if key.is_empty() { "." } else { key }, FOLDER)
}

/// `stat` of what `path` names below `folder`, links not followed.
pub fn stat(folder: &OwnedFd, path: &(impl nix::NixPath + ?Sized)) -> nix::Result<FileStat> {
    fstatat(folder, path, AtFlags::AT_SYMLINK_NOFOLLOW)
}

#[cfg(target_os = "linux")]
fn open_beneath(root: &OwnedFd, path: &str, flags: OFlag) -> nix::Result<OwnedFd> {
    use nix::fcntl::{OpenHow, ResolveFlag, openat2};
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
    match openat2(root, path, OpenHow::new().flags(flags).resolve(resolve)) {
        // Old kernels do not know the call, and some containers forbid it.
        Err(Errno::ENOSYS | Errno::EPERM) => open_stepwise(root, path, flags),
        result => result,
    }
}

#[cfg(not(target_os = "linux"))]
fn open_beneath(root: &OwnedFd, path: &str, flags: OFlag) -> nix::Result<OwnedFd> {
    open_stepwise(root, path, flags)
}

/// The same with one call for each segment of the path.
fn open_stepwise(root: &OwnedFd, path: &str, flags: OFlag) -> nix::Result<OwnedFd> {
    let path = path.trim_end_matches('/');
    match path.rsplit_once('/') {
        None => openat(root, path, flags, Mode::empty()),
        Some((folder, name)) => {
            let mut at = None;
            for segment in folder.split('/') {
                at = Some(openat(at.as_ref().unwrap_or(root), segment, FOLDER, Mode::empty())?);
            }
            openat(at.as_ref().unwrap_or(root), name, flags, Mode::empty())
        }
    }
}

/// Who has a file open for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// Nobody: it is finished.
    Nobody,
    /// Somebody, anywhere on this machine.
    Somebody,
    /// It cannot be asked: not our file, or the file system keeps no leases.
    Unknown,
}

/// Asks whether anybody has the file open for writing.
///
/// A read lease is granted only while nobody does, so we take one and drop it at once. Whoever opens the
/// file in between waits for the microsecond until it is dropped, and the kernel sends us the lease's
/// signal. By default that is SIGIO, which ends a process; we choose SIGURG, which is ignored by default.
#[cfg(target_os = "linux")]
pub fn writers(file: &OwnedFd) -> Writers {
    const F_SETSIG: libc::c_int = 10;
    let fd = file.as_raw_fd();
    // SAFETY: these calls take an open descriptor and a number and touch no memory of ours.
    let (signal, lease) = unsafe {
        let signal = libc::fcntl(fd, F_SETSIG, libc::SIGURG);
        let lease = if signal == 0 { libc::fcntl(fd, libc::F_SETLEASE, libc::F_RDLCK) } else { -1 };
        (signal, lease)
    };
    if signal != 0 {
        return Writers::Unknown;
    }
    if lease == 0 {
        // SAFETY: as above.
        unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_UNLCK) };
        return Writers::Nobody;
    }
    if Errno::last() == Errno::EAGAIN { Writers::Somebody } else { Writers::Unknown }
}

/// Asks whether anybody has the file open for writing: this system cannot tell.
#[cfg(not(target_os = "linux"))]
pub fn writers(_file: &OwnedFd) -> Writers {
    Writers::Unknown
}

/// The name of the file system that `folder` lies on, if it is one that does not tell of every change:
/// others may write to it without this kernel knowing.
#[cfg(target_os = "linux")]
pub fn silent_file_system(folder: &OwnedFd) -> Option<&'static str> {
    let kind = nix::sys::statfs::fstatfs(folder).ok()?.filesystem_type().0;
    // The numbers are those of linux/magic.h and of the drivers.
    match kind as u32 {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x0102_1997 => Some("9p"),
        0x6573_5546 => Some("FUSE"),
        0x786f_4256 => Some("vboxsf"),
        0xbacb_acbc => Some("vmhgfs"),
        0x7c7c_6673 => Some("prl_fs"),
        0x5346_414f => Some("AFS"),
        0x00c3_6400 => Some("Ceph"),
        0x7375_7245 => Some("Coda"),
        _ => None,
    }
}

/// The name of a file system that does not tell of every change: not asked on this system.
#[cfg(not(target_os = "linux"))]
pub fn silent_file_system(_folder: &OwnedFd) -> Option<&'static str> {
    None
}

/// Calls `each` with the name and kind of everything in a folder, `.` and `..` left out.
pub fn list(folder: OwnedFd, mut each: impl FnMut(&OsStr, Kind)) -> io::Result<()> {
    let all = find(folder, |name, kind| {
        each(name, kind);
        None::<()>
    });
    all.map(|_| ())
}

/// The same until `each` has found something.
pub fn find<T>(folder: OwnedFd, mut each: impl FnMut(&OsStr, Kind) -> Option<T>) -> io::Result<Option<T>> {
    let stream = Stream::open(folder)?;
    loop {
        Errno::clear();
        // SAFETY: the stream is open, and used by this thread only.
        let entry = unsafe { libc::readdir(stream.0) };
        if entry.is_null() {
            return match Errno::last() {
                Errno::UnknownErrno => Ok(None),
                errno => Err(errno.into()),
            };
        }
        // SAFETY: readdir gave an entry that is valid until the next call; its name ends with a NUL.
        let (name, kind) = unsafe { (CStr::from_ptr((*entry).d_name.as_ptr()), (*entry).d_type) };
        let kind = match kind {
            libc::DT_REG => Kind::File,
            libc::DT_DIR => Kind::Folder,
            libc::DT_LNK => Kind::Link,
            libc::DT_UNKNOWN => Kind::Unknown,
            _ => Kind::Special,
        };
        let name = name.to_bytes();
        if name != b"."
            && name != b".."
            && let Some(found) = each(OsStr::from_bytes(name), kind)
        {
            return Ok(Some(found));
        }
    }
}

/// An open directory stream.
struct Stream(*mut libc::DIR);

impl Stream {
    fn open(folder: OwnedFd) -> io::Result<Stream> {
        // SAFETY: the descriptor is open; when the stream is made it owns it.
        let stream = unsafe { libc::fdopendir(folder.as_fd().as_raw_fd()) };
        if stream.is_null() {
            return Err(io::Error::last_os_error());
        }
        // The stream closes it.
        let _ = folder.into_raw_fd();
        Ok(Stream(stream))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: the stream was opened by us and is closed once.
        unsafe { libc::closedir(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_noticed_until_it_closes() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = open_root(folder.path()).expect("opens");
        let writer = std::fs::File::create(folder.path().join("f")).expect("creates");
        let file = open_file(&root, "f").expect("opens");
        assert_ne!(writers(&file), Writers::Nobody);
        drop(writer);
        assert_ne!(writers(&file), Writers::Somebody);
        // Dropping the lease leaves writers free at once, and breaking one does not end this process.
        for _ in 0..1000 {
            writers(&file);
            std::fs::File::options().append(true).open(folder.path().join("f")).expect("opens for writing");
        }
    }

    #[test]
    fn a_lease_that_is_broken_all_the_time_ends_nobody() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = open_root(folder.path()).expect("opens");
        let path = folder.path().join("f");
        std::fs::write(&path, "x").expect("writes");
        let file = open_file(&root, "f").expect("opens");
        std::thread::scope(|scope| {
            let writer = scope
                .spawn(|| (0..20_000).all(|_| std::fs::File::options().append(true).open(&path).is_ok()));
            while !writer.is_finished() {
                writers(&file);
            }
            assert!(writer.join().expect("the writer ends"));
        });
    }

    #[test]
    fn links_are_never_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = open_root(folder.path()).expect("opens");
        std::fs::create_dir(folder.path().join("d")).expect("makes a folder");
        std::fs::write(folder.path().join("d/f"), "x").expect("writes");
        std::os::unix::fs::symlink("d", folder.path().join("to-d")).expect("links");
        std::os::unix::fs::symlink("d/f", folder.path().join("to-f")).expect("links");
        for open in [open_beneath, open_stepwise] {
            assert!(open(&root, "d/f", READ).is_ok());
            for path in ["to-d/f", "to-f", "nothing", "d/f/x"] {
                assert!(open(&root, path, READ).is_err(), "{path}");
            }
        }
    }

    #[test]
    fn a_listing_tells_names_and_kinds() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("d")).expect("makes a folder");
        std::fs::write(folder.path().join("f"), "x").expect("writes");
        std::os::unix::fs::symlink("d", folder.path().join("l")).expect("links");
        let root = open_root(folder.path()).expect("opens");
        let mut seen = Vec::new();
        list(open_folder(&root, "").expect("opens"), |name, kind| seen.push((name.to_owned(), kind)))
            .expect("lists");
        seen.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(seen, [("d".into(), Kind::Folder), ("f".into(), Kind::File), ("l".into(), Kind::Link)]);
    }
}
