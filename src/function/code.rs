//! Whether a function's code has changed, asked for every event and answered without touching the disk while
//! nothing has.
//!
//! The kernel tells us of changes in the watched folders; only then are the code files looked at again, and
//! only a change of their sizes or times counts. So a function may write into its own folder. What counts as
//! code: Python and Node sources, native modules, `package.json`, `bootstrap`; for `run` the files that its
//! command names and those that match `watch`; and all files of layers. Hidden folders, `node_modules`, `__pycache__`, `target` and
//! virtual environments are not looked into.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::variables::task_root;
use crate::config::{FunctionKind, FunctionSpec};
use crate::glob;

/// How many folders are watched and how many files looked at, at the most.
const FOLDERS_MAX: usize = 500;
const FILES_MAX: usize = 20_000;
/// How often the files are looked at where the kernel does not tell.
const POLL: Duration = Duration::from_millis(500);

const ENDINGS: [&str; 8] = ["py", "so", "js", "mjs", "cjs", "node", "wasm", "pem"];
const NAMES: [&str; 2] = ["package.json", "bootstrap"];
const SKIPPED: [&str; 5] = ["node_modules", "__pycache__", "target", "venv", "env"];

/// The code of one function.
pub struct Code {
    root: PathBuf,
    scope: Scope,
    /// Folders of which every file counts.
    layers: Vec<PathBuf>,
    told: Arc<AtomicBool>,
    seen: Mutex<Option<Seen>>,
}

/// Which files are code.
enum Scope {
    /// All source files below the root.
    Tree,
    /// The source files that lie in the root itself.
    Folder,
    /// These files, and what matches the globs.
    Named(Vec<PathBuf>, Vec<String>),
    /// None: the function is no code of ours.
    Nothing,
}

struct Seen {
    fingerprint: u64,
    version: u64,
    looked: Instant,
    /// The folders that are watched; None where the kernel cannot tell.
    watcher: Option<(RecommendedWatcher, Vec<PathBuf>)>,
}

impl Code {
    /// The code of this function. Nothing is looked at yet.
    pub fn of(spec: &FunctionSpec) -> Code {
        let scope = match &spec.kind {
            FunctionKind::Handler { code, .. } if code.is_file() => Scope::Folder,
            FunctionKind::Handler { .. } => Scope::Tree,
            FunctionKind::Run { command, build, watch } => {
                // What is built changes by being built: there only `watch` counts.
                let words = if build.is_some() { &[] } else { command.as_slice() };
                let files = words.iter().map(|word| spec.folder.join(word)).filter(|path| path.is_file());
                Scope::Named(files.collect(), watch.clone())
            }
            _ => Scope::Nothing,
        };
        let layers = spec.layers.clone();
        Code { root: task_root(spec), scope, layers, told: Arc::default(), seen: Mutex::default() }
    }

    /// A number that is another one after each change of the code.
    pub fn version(&self) -> u64 {
        if matches!(self.scope, Scope::Nothing) {
            return 0;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let told = self.told.swap(false, Ordering::AcqRel);
        match seen.as_mut() {
            None => {
                // Watched before looked at: a change between the two is told of.
                let mut now = Seen { fingerprint: 0, version: 1, looked: Instant::now(), watcher: None };
                let folders = self.look().folders;
                now.watcher = self.watch(folders);
                now.fingerprint = self.look().fingerprint;
                seen.insert(now).version
            }
            Some(seen) => {
                let blind = seen.watcher.is_none() && seen.looked.elapsed() >= POLL;
                if told || blind {
                    self.look_again(seen);
                }
                seen.version
            }
        }
    }

    fn look_again(&self, seen: &mut Seen) {
        let now = self.look();
        seen.looked = Instant::now();
        if seen.watcher.as_ref().is_some_and(|(_, folders)| *folders != now.folders) {
            seen.watcher = self.watch(now.folders);
        }
        if now.fingerprint != seen.fingerprint {
            seen.fingerprint = now.fingerprint;
            seen.version += 1;
        }
    }

    /// Watches these folders. None if the kernel cannot: then we look for ourselves, now and then.
    fn watch(&self, folders: Vec<PathBuf>) -> Option<(RecommendedWatcher, Vec<PathBuf>)> {
        let told = Arc::clone(&self.told);
        let heard = move |event: notify::Result<notify::Event>| {
            // Reading is no change; an error may hide one.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                told.store(true, Ordering::Release);
            }
        };
        let mut watcher = notify::recommended_watcher(heard).ok()?;
        for folder in &folders {
            watcher.watch(folder, RecursiveMode::NonRecursive).ok()?;
        }
        Some((watcher, folders))
    }

    fn look(&self) -> Look {
        let mut look = Look::default();
        match &self.scope {
            Scope::Nothing => {}
            Scope::Folder => look.folder(&self.root, false, &is_source),
            Scope::Tree => look.folder(&self.root, true, &is_source),
            Scope::Named(files, globs) => {
                for file in files {
                    look.file(file);
                    look.folders.extend(file.parent().map(Path::to_owned));
                }
                if !globs.is_empty() {
                    let wanted = |path: &Path| {
                        let relative = path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy();
                        globs.iter().any(|glob| glob_matches(glob.trim_start_matches("./"), &relative))
                    };
                    look.folder(&self.root, true, &wanted);
                }
            }
        }
        self.layers.iter().for_each(|layer| look.folder(layer, true, &|_| true));
        look.folders.sort();
        look.folders.dedup();
        look.finish()
    }
}

/// What the code files look like.
#[derive(Default)]
struct Look {
    folders: Vec<PathBuf>,
    files: BTreeMap<PathBuf, (u64, u128)>,
    fingerprint: u64,
}

impl Look {
    fn folder(&mut self, folder: &Path, deep: bool, wanted: &dyn Fn(&Path) -> bool) {
        if self.folders.len() >= FOLDERS_MAX {
            return;
        }
        self.folders.push(folder.to_owned());
        // A folder that cannot be read has no code: the interpreter will say so.
        let Ok(entries) = folder.read_dir() else { return };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if deep && !name.starts_with('.') && !SKIPPED.contains(&name.as_ref()) {
                    self.folder(&path, deep, wanted);
                }
            } else if wanted(&path) {
                self.file(&path);
            }
        }
    }

    fn file(&mut self, path: &Path) {
        if self.files.len() < FILES_MAX
            && let Ok(found) = path.metadata()
        {
            let changed =
                found.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
            self.files.insert(path.to_owned(), (found.len(), changed.as_nanos()));
        }
    }

    fn finish(mut self) -> Look {
        let mut hash = DefaultHasher::new();
        self.files.hash(&mut hash);
        self.fingerprint = hash.finish();
        self
    }
}

fn is_source(path: &Path) -> bool {
    let named = path.file_name().is_some_and(|name| NAMES.iter().any(|known| name == *known));
    named || path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}

/// Whether a path matches a glob: `*` and `?` stay within one name, `**` goes through any number of folders.
fn glob_matches(glob: &str, path: &str) -> bool {
    let (glob, path): (Vec<&str>, Vec<&str>) = (glob.split('/').collect(), path.split('/').collect());
    parts_match(&glob, &path)
}

fn parts_match(glob: &[&str], path: &[&str]) -> bool {
    match glob.split_first() {
        None => path.is_empty(),
        Some((&"**", rest)) => (0..=path.len()).any(|skipped| parts_match(rest, &path[skipped..])),
        Some((first, rest)) => path
            .split_first()
            .is_some_and(|(name, below)| glob::matches(first, name) && parts_match(rest, below)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_in_a_shell() {
        let check = |glob, path, expected| assert_eq!(glob_matches(glob, path), expected, "{glob} {path}");
        check("*.go", "main.go", true);
        check("*.go", "cmd/main.go", false);
        check("**/*.go", "cmd/x/main.go", true);
        check("src/**/*.rs", "src/lib.rs", true);
        check("src/**", "src/a/b", true);
        check("Cargo.t?ml", "Cargo.toml", true);
    }
}
