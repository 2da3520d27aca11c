//! One look at what lies under a key: gone, a folder, unfinished, or an object and the hash of its content.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use md5::{Digest, Md5};
use nix::errno::Errno;
use nix::sys::stat::FileStat;

use super::folder::{Hint, Sight, Stamp, State, is_finished};
use super::platform::{self, Kind, Writers};
use super::spelling::{Names, Nature, Written};
use crate::clock::real;

/// Files from this size on, in bytes, are read apart, so that small ones do not wait for them.
const LARGE: u64 = 8 << 20;
/// How much is read at once.
const BLOCK: usize = 128 << 10;

/// What to look at, and why.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The key.
    pub key: String,
    /// Why.
    pub hint: Hint,
    /// The stamp it had a quiet time ago, if it was seen then.
    pub settled: Option<Stamp>,
    /// The stamp that our own write gave it: while it has that, it is what we wrote.
    pub ours: Option<Stamp>,
}

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Reads small files; large ones are only named.
    Small,
    /// Reads files of any size.
    Whole,
    /// Reads only what was written after this time (nanoseconds since 1970): all else was there before us.
    Since(i64),
}

/// Who looks at one bucket's folder.
#[derive(Debug)]
pub struct Eye {
    /// The bucket's folder.
    pub folder: PathBuf,
    /// Whether the file system can tell who has a file open.
    pub asks_writers: bool,
    /// How the file system takes names.
    pub nature: Arc<Nature>,
    /// Set when nobody waits for the answer any more.
    pub stop: Arc<AtomicBool>,
}

/// Nanoseconds since 1970 of this machine's time.
pub fn now_nanos() -> i64 {
    real::now().as_micros().saturating_mul(1000)
}

/// The stamp that `stat` tells.
pub fn stamp_of(stat: &FileStat) -> Stamp {
    Stamp {
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mtime: nanos(stat.st_mtime, stat.st_mtime_nsec),
        inode: stat.st_ino,
    }
}

/// What is seen where nothing is written as the key is, on a file system that does not tell the two apart.
fn otherwise(root: &OwnedFd, key: &str, names: &mut Names) -> nix::Result<Option<Sight>> {
    platform::stat(root, key)?;
    Ok(match names.written(root, key)? {
        Written::So => None,
        Written::Otherwise(key) => Some(Sight::Otherwise(key)),
        Written::Nowhere => Some(Sight::Gone),
    })
}

fn nanos(seconds: i64, nanos: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

impl Eye {
    /// Looks at each of these. Blocks.
    pub fn look_at_all(&self, asks: &[Ask], depth: Depth) -> Vec<Sight> {
        let root = match platform::open_root(&self.folder) {
            Ok(root) => root,
            Err(errno) => return vec![failed(errno); asks.len()],
        };
        let (mut block, mut names) = (vec![0; BLOCK], Names::default());
        let is_blind = self.nature.ways(&root).is_blind;
        let mut look = |ask: &Ask| {
            if is_blind && let Some(sight) = otherwise(&root, &ask.key, &mut names)? {
                return Ok(sight);
            }
            self.look_at(&root, ask, depth, &mut block)
        };
        asks.iter().map(|ask| look(ask).unwrap_or_else(failed)).collect()
    }

    fn look_at(&self, root: &OwnedFd, ask: &Ask, depth: Depth, block: &mut [u8]) -> nix::Result<Sight> {
        // Opening a fifo or a device can have effects: what it is comes first.
        let seen = platform::stat(root, ask.key.as_str())?;
        match platform::kind_of(&seen) {
            Kind::File => {}
            Kind::Folder => return Ok(Sight::Folder),
            Kind::Link => return Ok(Sight::Other("a symbolic link")),
            Kind::Special | Kind::Unknown => return Ok(Sight::Other("a fifo, socket or device")),
        }
        let file = platform::open_file(root, &ask.key)?;
        let before = nix::sys::stat::fstat(&file)?;
        if platform::kind_of(&before) != Kind::File {
            return Ok(Sight::Busy);
        }
        if ask.ours == Some(stamp_of(&before)) {
            return Ok(Sight::Object(stamp_of(&before), String::new()));
        }
        let writers = self.writers(&file, ask.hint);
        if writers == Writers::Somebody {
            return Ok(Sight::Busy);
        }
        let state = State {
            stamp: stamp_of(&before),
            ctime: nanos(before.st_ctime, before.st_ctime_nsec),
            closed: writers == Writers::Nobody,
        };
        if let Depth::Since(start) = depth
            && state.stamp.mtime.min(state.ctime) <= start
        {
            return Ok(Sight::Object(state.stamp, String::new()));
        }
        if !is_finished(&state, ask.hint, ask.settled, now_nanos()) {
            return Ok(Sight::Unsettled(state.stamp));
        }
        if state.stamp.size >= LARGE && depth != Depth::Whole {
            return Ok(Sight::Large(state.stamp));
        }
        let mut file = File::from(file);
        let Some(etag) = self.hash(&mut file, block)? else {
            return Ok(Sight::Busy);
        };
        let after = nix::sys::stat::fstat(&file)?;
        let there = platform::stat(root, ask.key.as_str())?;
        let unchanged = stamp_of(&after) == state.stamp && stamp_of(&there) == state.stamp;
        Ok(if unchanged { Sight::Object(state.stamp, etag) } else { Sight::Busy })
    }

    /// Who writes to the file. The kernel tells of a close a moment before it takes the writer off its books,
    /// so after such a hint we ask a few times.
    fn writers(&self, file: &OwnedFd, hint: Hint) -> Writers {
        if !self.asks_writers {
            return Writers::Unknown;
        }
        let tries = if hint == Hint::Finished { 5 } else { 1 };
        for _ in 1..tries {
            let writers = platform::writers(file);
            if writers != Writers::Somebody {
                return writers;
            }
            std::thread::sleep(Duration::from_micros(20));
        }
        platform::writers(file)
    }

    /// The MD5 of the content in hex; None if nobody waits for it any more.
    fn hash(&self, file: &mut File, block: &mut [u8]) -> nix::Result<Option<String>> {
        let mut hash = Md5::new();
        loop {
            match file.read(block) {
                Ok(0) => return Ok(Some(hex::encode(hash.finalize()))),
                Ok(read) => hash.update(&block[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)),
            }
            if self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
        }
    }
}

/// What an error of the system means for a key.
fn failed(errno: Errno) -> Sight {
    match errno {
        Errno::ENOENT | Errno::ENOTDIR => Sight::Gone,
        Errno::ELOOP => Sight::Other("behind a symbolic link"),
        // Somebody holds a lease, or a folder above was renamed just now.
        Errno::EAGAIN => Sight::Busy,
        other => Sight::Refused(other.desc().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt, symlink};

    use super::*;

    fn eye(folder: &std::path::Path) -> Eye {
        Eye { folder: folder.into(), asks_writers: true, nature: Arc::default(), stop: Arc::default() }
    }

    fn look(eye: &Eye, key: &str, hint: Hint) -> Sight {
        let ask = Ask { key: key.into(), hint, settled: None, ours: None };
        eye.look_at_all(&[ask], Depth::Small).remove(0)
    }

    fn etag(sight: Sight) -> String {
        match sight {
            Sight::Object(_, etag) => etag,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_finished_file_is_an_object_and_nothing_else_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let (at, eye) = (|name: &str| folder.path().join(name), eye(folder.path()));
        std::fs::create_dir(at("d")).expect("makes a folder");
        std::fs::write(at("d/f"), "hello").expect("writes");
        symlink("d/f", at("link")).expect("links");
        symlink("d", at("dlink")).expect("links");
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("makes a fifo");
        assert_eq!(etag(look(&eye, "d/f", Hint::Finished)), "5d41402abc4b2a76b9719d911017c592");
        assert_eq!(look(&eye, "d", Hint::Finished), Sight::Folder);
        assert_eq!(look(&eye, "nothing", Hint::Finished), Sight::Gone);
        assert_eq!(look(&eye, "d/f/x", Hint::Finished), Sight::Gone);
        for other in ["link", "dlink/f", "fifo"] {
            assert!(matches!(look(&eye, other, Hint::Finished), Sight::Other(_)), "{other}");
        }
        let gone = Eye { folder: at("gone"), ..eye };
        assert_eq!(look(&gone, "d/f", Hint::Finished), Sight::Gone);
    }

    #[test]
    fn what_is_open_for_writing_is_busy_and_a_fresh_empty_file_is_unsettled() {
        let folder = tempfile::tempdir().expect("a folder");
        let eye = eye(folder.path());
        let writer = std::fs::File::create(folder.path().join("f")).expect("creates");
        writer.write_all_at(b"half", 0).expect("writes");
        if cfg!(target_os = "linux") {
            assert_eq!(look(&eye, "f", Hint::Finished), Sight::Busy);
        }
        writer.set_len(0).expect("truncates");
        drop(writer);
        assert!(matches!(look(&eye, "f", Hint::Found), Sight::Unsettled(_)));
        assert_eq!(etag(look(&eye, "f", Hint::Finished)), "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn where_writers_cannot_be_asked_a_found_file_must_be_quiet() {
        let folder = tempfile::tempdir().expect("a folder");
        let eye = Eye { asks_writers: false, ..eye(folder.path()) };
        std::fs::write(folder.path().join("f"), "x").expect("writes");
        let Sight::Unsettled(stamp) = look(&eye, "f", Hint::Found) else {
            panic!("a fresh file is not finished")
        };
        let settled = Ask { key: "f".into(), hint: Hint::Found, settled: Some(stamp), ours: None };
        assert!(matches!(eye.look_at_all(&[settled], Depth::Small)[0], Sight::Object(..)));
    }

    #[test]
    fn what_we_wrote_ourselves_is_not_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let eye = eye(folder.path());
        std::fs::write(folder.path().join("f"), "hello").expect("writes");
        let Sight::Object(stamp, _) = look(&eye, "f", Hint::Finished) else { panic!("it is finished") };
        let ask = |ours| Ask { key: "f".into(), hint: Hint::Finished, settled: None, ours: Some(ours) };
        let sights = eye.look_at_all(&[ask(stamp), ask(Stamp { mtime: 1, ..stamp })], Depth::Small);
        assert_eq!(sights[0], Sight::Object(stamp, String::new()));
        assert_eq!(etag(sights[1].clone()), "5d41402abc4b2a76b9719d911017c592", "another stamp is read");
    }

    #[test]
    fn what_was_there_before_is_not_read_and_large_files_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let eye = eye(folder.path());
        std::fs::File::create(folder.path().join("f"))
            .and_then(|f| f.set_len(LARGE))
            .expect("makes a large file");
        let ask = |depth| {
            let ask = Ask { key: "f".into(), hint: Hint::Found, settled: None, ours: None };
            eye.look_at_all(&[ask], depth).remove(0)
        };
        assert!(matches!(ask(Depth::Small), Sight::Large(stamp) if stamp.size == LARGE));
        assert_eq!(etag(ask(Depth::Since(i64::MAX))), "");
        assert!(matches!(ask(Depth::Since(0)), Sight::Large(_)));
        assert_eq!(etag(ask(Depth::Whole)).len(), 32);
        eye.stop.store(true, Ordering::Relaxed);
        assert_eq!(ask(Depth::Whole), Sight::Busy);
    }
}
