//! A walk through a folder in the order of keys: depth first, names in byte order. Blocks.

use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use tokio::sync::mpsc;

use super::folder::{Found, KEY_MAX, is_ignored};
use super::look::stamp_of;
use super::platform::{self, Kind};

/// How many files are sent on at once.
const BATCH: usize = 1024;

/// Something to say about a key: it is said once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Remark {
    /// What it is about.
    pub key: String,
    /// What is so: `is a symbolic link and is not followed`.
    pub text: String,
}

/// Part of what a walk found, in order.
#[derive(Debug, Default)]
pub struct Batch {
    /// Files, and folders that could not be read.
    pub found: Vec<Found>,
    /// What was passed by.
    pub remarks: Vec<Remark>,
}

/// One walk.
pub struct Walk<'a> {
    /// The bucket's folder, open.
    pub root: OwnedFd,
    /// Names that are passed by.
    pub ignore: &'a [String],
    /// Called with each folder's key before it is listed.
    pub enter: &'a dyn Fn(&str),
    /// Where it goes.
    pub out: mpsc::Sender<Batch>,
    /// What was found and not yet sent.
    pub batch: Batch,
}

/// The names in one folder, in few pieces of memory: a folder can hold a million.
#[derive(Default)]
struct Listing {
    names: String,
    /// Start in `names`, length, whether it is a folder (then its name ends with `/`).
    entries: Vec<(usize, usize, bool)>,
}

impl Listing {
    fn push(&mut self, name: &str, is_folder: bool) {
        let start = self.names.len();
        self.names.push_str(name);
        if is_folder {
            self.names.push('/');
        }
        self.entries.push((start, self.names.len() - start, is_folder));
    }
    fn sort(&mut self) {
        let names = &self.names;
        let name = |(start, length, _): &(usize, usize, bool)| &names[*start..start + length];
        self.entries.sort_unstable_by(|a, b| name(a).cmp(name(b)));
    }
    fn iter(&self) -> impl Iterator<Item = (&str, bool)> {
        self.entries
            .iter()
            .map(|(start, length, is_folder)| (&self.names[*start..start + length], *is_folder))
    }
}

impl Walk<'_> {
    /// Walks the folder `key`, which ends with `/` or is empty, and sends what it finds. Ends early when
    /// nobody listens any more.
    pub fn run(&mut self, key: &str) {
        if self.folder(key).is_continue() {
            let _ = self.send();
        }
    }

    fn folder(&mut self, key: &str) -> ControlFlow<()> {
        (self.enter)(key);
        let listing = match self.list(key) {
            Ok(listing) => listing,
            // Removed, or replaced by something else, in the meantime.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return ControlFlow::Continue(()),
            Err(errno) => {
                let text = format!("cannot be listed: {}; what is in it is not looked at", errno.desc());
                self.batch.remarks.push(Remark { key: key.to_owned(), text });
                return self.push(Found { key: key.to_owned(), stamp: None });
            }
        };
        for (name, is_folder) in listing.iter() {
            let path = format!("{key}{name}");
            if path.len() > KEY_MAX {
                self.remark(Remark::too_long(&path));
            } else if is_folder {
                self.folder(&path)?;
            } else {
                self.file(path)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn file(&mut self, key: String) -> ControlFlow<()> {
        let stamp = match platform::stat(&self.root, key.as_str()) {
            Ok(stat) if platform::kind_of(&stat) == Kind::File => Some(stamp_of(&stat)),
            // It became something else; there will be a hint.
            Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR) => return ControlFlow::Continue(()),
            Err(_) => None,
        };
        self.push(Found { key, stamp })
    }

    fn list(&mut self, key: &str) -> nix::Result<Listing> {
        let folder = platform::open_folder(&self.root, key)?;
        let again =
            folder.try_clone().map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
        let mut listing = Listing::default();
        let listed = platform::list(again, |name, kind| {
            let Some(text) = name.to_str() else {
                let shown = format!("{key}{}", Path::new(name).display());
                return self.remark(Remark::no_key(&shown));
            };
            if is_ignored(self.ignore, text) {
                return;
            }
            let kind = match kind {
                Kind::Unknown => {
                    platform::stat(&folder, name).map_or(Kind::Unknown, |stat| platform::kind_of(&stat))
                }
                kind => kind,
            };
            match kind {
                Kind::File => listing.push(text, false),
                Kind::Folder => listing.push(text, true),
                Kind::Link => self.remark(Remark::other(&format!("{key}{text}"), "a symbolic link")),
                Kind::Special => {
                    self.remark(Remark::other(&format!("{key}{text}"), "a fifo, socket or device"))
                }
                // Gone again.
                Kind::Unknown => {}
            }
        });
        listed.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
        listing.sort();
        Ok(listing)
    }

    fn remark(&mut self, remark: Remark) {
        // A folder full of links must not fill the memory; so many are enough to say.
        if self.batch.remarks.len() < BATCH {
            self.batch.remarks.push(remark);
        }
    }

    fn push(&mut self, found: Found) -> ControlFlow<()> {
        self.batch.found.push(found);
        if self.batch.found.len() >= BATCH { self.send() } else { ControlFlow::Continue(()) }
    }

    fn send(&mut self) -> ControlFlow<()> {
        let batch = std::mem::take(&mut self.batch);
        if self.out.blocking_send(batch).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn walk(folder: &Path, key: &str, ignore: &[String]) -> (Vec<String>, Vec<String>, Vec<Remark>) {
        let (sender, mut receiver) = mpsc::channel(1000);
        let entered = RefCell::new(Vec::new());
        let root = platform::open_root(folder).expect("opens");
        let enter = |key: &str| entered.borrow_mut().push(key.to_owned());
        Walk { root, ignore, enter: &enter, out: sender, batch: Batch::default() }.run(key);
        let (mut keys, mut remarks) = (Vec::new(), Vec::new());
        while let Some(batch) = receiver.blocking_recv() {
            keys.extend(batch.found.into_iter().map(|found| found.key));
            remarks.extend(batch.remarks);
        }
        (keys, entered.into_inner(), remarks)
    }

    #[test]
    fn files_come_in_the_order_of_keys_and_folders_are_entered_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = ["a!", "a-b", "a.txt", "a/b/c", "a/b0", "a/ü %+\n", "a0", "z/.git/x", "z/y.tmp", "z/z"];
        for key in keys {
            let path = folder.path().join(key);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("makes folders");
            std::fs::write(path, key).expect("writes");
        }
        let (found, entered, remarks) = walk(folder.path(), "", &["*.tmp".into(), ".git".into()]);
        let mut expected: Vec<&str> =
            keys.iter().copied().filter(|k| !k.contains(".tmp") && !k.contains(".git")).collect();
        expected.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(entered, ["", "a/", "a/b/", "z/"]);
        assert_eq!(remarks, []);
        assert_eq!(walk(folder.path(), "a/", &[]).0, ["a/b/c", "a/b0", "a/ü %+\n"]);
        assert_eq!(walk(folder.path(), "gone/", &[]).0, Vec::<String>::new());
    }

    #[test]
    fn what_is_no_object_is_remarked_and_passed_by() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink("..", at("up")).expect("links");
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("makes a fifo");
        std::fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"x\xff")), "x").expect("writes");
        let mut deep = folder.path().to_owned();
        for _ in 0..6 {
            deep.push("d".repeat(200));
        }
        std::fs::create_dir_all(&deep).expect("makes folders");
        let (found, _, remarks) = walk(folder.path(), "", &[]);
        assert_eq!(found, Vec::<String>::new());
        for word in ["symbolic link", "fifo", "no UTF-8", "1,024 bytes"] {
            assert_eq!(
                remarks.iter().filter(|remark| remark.text.contains(word)).count(),
                1,
                "{word}: {remarks:?}"
            );
        }
    }
}
