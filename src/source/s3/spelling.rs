//! File systems that take `Foo` and `foo` for one name: APFS, NTFS, exFAT, FAT, and ext4 where it was asked to. S3 tells
//! the two apart, and so do we: a file is the object of the name that is written in its folder, and of no other. Which
//! kind it is, the bucket's own folder tells; folders below it that are of another kind are taken for the same.
//!
//! ```text
//!   put Foo ──▶ is foo there? ──yes──▶ Foo lies in the state folder, and foo stays what it is
//!   foo, renamed to Foo ──▶ looked at as foo: otherwise written ──▶ foo was removed, and Foo was written
//! ```

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::folder::OWN_PREFIX;
use super::platform;

/// What file systems that know Windows have in no name.
const NOT_IN_NAMES: [char; 8] = ['\\', ':', '*', '?', '"', '<', '>', '|'];

/// How a file system takes names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// It takes names that differ in upper and lower case alone for one.
    pub is_blind: bool,
    /// It takes only names that Windows takes.
    pub is_strict: bool,
    /// It writes names in lower case.
    pub lowers: bool,
}

impl Ways {
    /// Why nothing can have this name there, if so.
    pub fn refusal(self, name: &str) -> Option<&'static str> {
        let is_foreign = |c: char| c.is_control() || NOT_IN_NAMES.contains(&c);
        if self.is_strict && (name.contains(is_foreign) || name.ends_with(['.', ' '])) {
            return Some("that file system cannot hold such a name");
        }
        (self.lowers && name.chars().any(char::is_uppercase))
            .then_some("that file system knows lower case only")
    }

    /// What is the same for keys that are the same for this file system. None where only it knows: what is one letter
    /// beyond ASCII is its own affair.
    pub fn folded(self, key: &str) -> Option<String> {
        match self.is_blind {
            true => key.is_ascii().then(|| key.to_ascii_lowercase()),
            false => Some(key.to_owned()),
        }
    }

    /// Finds out about the file system of this folder.
    fn of(folder: &OwnedFd) -> io::Result<Ways> {
        let by_names = told_by_names(folder)?;
        if by_names == Some(false) {
            return Ok(Ways::default());
        }
        let Ok(own) = Own::make(folder, "Case") else {
            // Nothing can be written there, so nothing need fit.
            return Ok(Ways { is_blind: by_names == Some(true), ..Ways::default() });
        };
        if !is_there(folder, &other_case(&own.name)) {
            return Ok(Ways::default());
        }
        let lowers = !own.is_written_so();
        let holds = |name: &str| Own::make(folder, name).is_ok_and(|own| own.is_written_so());
        let is_strict = !(holds("dot.") && holds("a:b?"));
        Ok(Ways { is_blind: true, is_strict, lowers })
    }
}

/// How the file system of a bucket's folder takes names, found out when it is first asked.
#[derive(Debug, Default)]
pub struct Nature(OnceLock<Ways>);

impl Nature {
    /// The same, if it was found out before.
    pub fn known(&self) -> Option<Ways> {
        self.0.get().copied()
    }

    /// How the file system of this folder takes names.
    pub fn ways(&self, folder: &OwnedFd) -> Ways {
        if let Some(ways) = self.0.get() {
            return *ways;
        }
        match Ways::of(folder) {
            Ok(ways) => *self.0.get_or_init(|| ways),
            // Asked again next time.
            Err(_) => Ways::default(),
        }
    }
}

/// Whether the names that are in the folder say that it is blind for case; None if they say nothing.
fn told_by_names(folder: &OwnedFd) -> io::Result<Option<bool>> {
    let cased = platform::find(open_again(folder)?, |name, _| {
        let name = name.to_str().filter(|name| *name != other_case(name) && !name.starts_with(OWN_PREFIX));
        name.map(str::to_owned)
    })?;
    let Some(name) = cased else { return Ok(None) };
    let other = other_case(&name);
    let is_taken_for_it = is_there(folder, &other) && !is_listed(folder, &other)?;
    // It may have been removed since it was listed.
    Ok(is_there(folder, &name).then_some(is_taken_for_it))
}

fn is_there(folder: &OwnedFd, name: &str) -> bool {
    platform::stat(folder, name).is_ok()
}

fn is_one(folder: &OwnedFd, a: &str, b: &str) -> bool {
    match (platform::stat(folder, a), platform::stat(folder, b)) {
        (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
        _ => false,
    }
}

fn other_case(name: &str) -> String {
    let other =
        |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    name.chars().map(other).collect()
}

/// A file of ours, there for a moment, to see what becomes of its name.
struct Own<'a> {
    folder: &'a OwnedFd,
    name: String,
}

impl<'a> Own<'a> {
    fn make(folder: &'a OwnedFd, name: &str) -> nix::Result<Own<'a>> {
        let name = format!("{OWN_PREFIX}{}-{name}", std::process::id());
        let flags = OFlag::O_CREAT | OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        drop(File::from(openat(folder, name.as_str(), flags, Mode::from_bits_truncate(0o600))?));
        Ok(Own { folder, name })
    }
    fn is_written_so(&self) -> bool {
        is_listed(self.folder, &self.name).unwrap_or(false)
    }
}

impl Drop for Own<'_> {
    fn drop(&mut self) {
        unlinkat(self.folder, self.name.as_str(), UnlinkatFlags::NoRemoveDir).ok();
    }
}

/// Whether there is something in the folder whose name is written so.
pub fn is_listed(folder: &OwnedFd, name: &str) -> io::Result<bool> {
    let found = platform::find(open_again(folder)?, |listed, _| (listed == name).then_some(()))?;
    Ok(found.is_some())
}

/// Another descriptor of the folder, which is listed from its beginning.
fn open_again(folder: &OwnedFd) -> nix::Result<OwnedFd> {
    platform::open_folder(folder, "")
}

/// How what a key names is written in the bucket's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// As the key is.
    So,
    /// As this key.
    Otherwise(String),
    /// Not at all: it is gone.
    Nowhere,
}

/// The names in a bucket's folders as they are written there. Each folder is listed once, and once more when a name is
/// missing in it.
#[derive(Debug, Default)]
pub struct Names(HashMap<String, HashSet<String>>);

impl Names {
    /// How that is written which the file system finds under this key.
    pub fn written(&mut self, root: &OwnedFd, key: &str) -> nix::Result<Written> {
        let mut way = String::with_capacity(key.len());
        for name in key.split('/').filter(|name| !name.is_empty()) {
            let Some(found) = self.find(root, &way, name)? else { return Ok(Written::Nowhere) };
            if !way.is_empty() {
                way.push('/');
            }
            way.push_str(&found);
        }
        Ok(if way == key.trim_end_matches('/') { Written::So } else { Written::Otherwise(way) })
    }

    /// How a name in a folder is written; None if nothing has it.
    fn find(&mut self, root: &OwnedFd, folder: &str, name: &str) -> nix::Result<Option<String>> {
        if self.0.get(folder).is_some_and(|names| names.contains(name)) {
            return Ok(Some(name.to_owned()));
        }
        let at = platform::open_folder(root, folder)?;
        let mut names = HashSet::new();
        let listed = platform::list(open_again(&at)?, |name, _| {
            names.extend(name.to_str().map(str::to_owned));
        });
        listed.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
        let found = match names.contains(name) {
            true => Some(name.to_owned()),
            false => {
                let lower = name.to_lowercase();
                let alike: Vec<&String> =
                    names.iter().filter(|other| other.to_lowercase() == lower).collect();
                // Inodes are not what they are said to be everywhere.
                let only = if let [one] = alike[..] { Some(one) } else { None };
                only.or_else(|| names.iter().find(|other| is_one(&at, name, other))).cloned()
            }
        };
        self.0.insert(folder.to_owned(), names);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_is_not_blind_is_known_by_what_is_in_it_or_by_trying() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = platform::open_root(dir.path()).expect("opens");
        assert_eq!(Ways::of(&root).expect("tells"), Ways::default());
        // Nothing of ours stays, and names without letters say nothing.
        assert_eq!(std::fs::read_dir(dir.path()).expect("reads").count(), 0);
        std::fs::write(dir.path().join("1-ä"), "").expect("writes");
        assert_eq!(told_by_names(&root).expect("tells"), None);
        std::fs::write(dir.path().join("a"), "").expect("writes");
        assert_eq!(told_by_names(&root).expect("tells"), Some(false));
        std::fs::write(dir.path().join("A"), "").expect("writes");
        assert_eq!(told_by_names(&root).expect("tells"), Some(false));
    }

    #[test]
    fn names_that_some_file_systems_cannot_hold_are_refused_there_only() {
        let strict = Ways { is_blind: true, is_strict: true, lowers: false };
        for name in ["a:b", "what?", "a\\b", "dot.", "space ", "bell\u{7}"] {
            assert!(strict.refusal(name).is_some(), "{name}");
            assert_eq!(Ways::default().refusal(name), None, "{name}");
        }
        for name in ["a.b", ".hidden", "a b", "ä", "Foo"] {
            assert_eq!(strict.refusal(name), None, "{name}");
        }
        let lowers = Ways { lowers: true, ..strict };
        assert!(lowers.refusal("Foo").is_some() && lowers.refusal("Ä").is_some());
        assert_eq!(lowers.refusal("foo"), None);
    }

    #[test]
    fn what_is_written_so_is_found_so_though_it_came_a_moment_ago() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = platform::open_root(dir.path()).expect("opens");
        let mut names = Names::default();
        std::fs::create_dir(dir.path().join("d")).expect("makes");
        assert_eq!(names.written(&root, "d"), Ok(Written::So));
        assert_eq!(names.written(&root, "d/f"), Ok(Written::Nowhere));
        std::fs::write(dir.path().join("d/f"), "").expect("writes");
        assert_eq!(names.written(&root, "d/f"), Ok(Written::So));
        assert_eq!(names.written(&root, "d/"), Ok(Written::So));
        assert_eq!(names.written(&root, ""), Ok(Written::So));
        // As where two spellings are one file, but both are there.
        std::fs::hard_link(dir.path().join("d/f"), dir.path().join("d/F")).expect("links");
        assert_eq!(names.written(&root, "d/F"), Ok(Written::So));
    }
}
