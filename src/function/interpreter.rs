//! Which program runs the code of a `runtime`: an installed Python or Node with our own Runtime API client.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::process::Command;

use crate::clock::real;

const PYTHON: &str = include_str!("runtimes/python.py");
const NODE: &str = include_str!("runtimes/node.cjs");

/// How long an interpreter may take to say who it is.
const PROBE_MAX: Duration = Duration::from_secs(20);

/// The interpreters that were found, and the folder with our clients.
pub struct Interpreters {
    folder: PathBuf,
    /// Program and version of what runs each runtime.
    found: Mutex<BTreeMap<String, (PathBuf, String)>>,
}

impl Interpreters {
    /// `folder` is where our clients are written to when they are first needed.
    pub fn new(folder: PathBuf) -> Interpreters {
        Interpreters { folder, found: Mutex::default() }
    }

    /// The folder of our clients.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The words that start the code in `code` by this runtime. Errors say what is missing and the way out.
    pub async fn command(&self, runtime: &str, code: &Path) -> Result<Vec<OsString>, String> {
        if runtime.starts_with("provided") {
            let bootstrap = code.join("bootstrap");
            return match is_program(&bootstrap) {
                true => Ok(vec![bootstrap.into()]),
                false => Err(format!(
                    "runtime {runtime} needs a program named bootstrap, and {} is none; build it and make it \
                     executable, or name the program with `run`",
                    bootstrap.display()
                )),
            };
        }
        let (language, client, text) = match runtime {
            _ if runtime.starts_with("python") => (Language::Python, "python.py", PYTHON),
            _ if runtime.starts_with("nodejs") => (Language::Node, "node.cjs", NODE),
            _ => {
                return Err(format!(
                    "runtime {runtime} is not one that runs here (python…, nodejs…, provided… do); start the program \
                     with `run` if it speaks the Runtime API, or with `exec` if it reads the event from stdin"
                ));
            }
        };
        let interpreter = self.find(language, runtime).await?;
        let client = self.write(client, text).map_err(|error| {
            format!("cannot write the client of runtime {runtime} to {}: {error}", self.folder.display())
        })?;
        Ok(vec![interpreter.into_os_string(), client.into_os_string()])
    }

    /// The interpreter of exactly this version if it is installed, else the one that is.
    async fn find(&self, language: Language, runtime: &str) -> Result<PathBuf, String> {
        let exact = if language == Language::Python { Some(runtime) } else { None };
        let names: Vec<&str> = exact.into_iter().chain(language.names().iter().copied()).collect();
        if let Some(known) = self.known(runtime) {
            return Ok(known);
        }
        for program in names.iter().flat_map(|name| on_path(name)) {
            if let Some((real, version)) = probe(&program, language).await {
                let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                found.insert(runtime.to_owned(), (real.clone(), version));
                return Ok(real);
            }
        }
        let minimum = if language == Language::Python { "Python 3.8" } else { "Node 18" };
        Err(format!(
            "runtime {runtime} needs {minimum} or newer, and none of {} on PATH is one; install it, or start the \
             function with `run`",
            names.join(", ")
        ))
    }

    fn known(&self, runtime: &str) -> Option<PathBuf> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.get(runtime).map(|(program, _)| program.clone()).filter(|program| program.exists())
    }

    /// What runs this runtime, as logs say: `python:3.11.v7`, `nodejs:20.v20`; the interpreter's own version, which
    /// may be another than that of the runtime.
    pub fn version(&self, runtime: &str) -> String {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        match found.get(runtime) {
            Some((_, version)) => version.clone(),
            None => format!("{}.v0", runtime.replacen("provided.", "provided:", 1)),
        }
    }

    /// Writes a client if it is not there as it should be.
    fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.folder.join(name);
        if std::fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
            return Ok(path);
        }
        std::fs::create_dir_all(&self.folder)?;
        // Written beside and moved, so that no process reads half of it.
        let draft = self.folder.join(format!("{name}.{}", std::process::id()));
        std::fs::write(&draft, text)?;
        std::fs::rename(&draft, &path)?;
        Ok(path)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Language {
    Python,
    Node,
}

impl Language {
    fn names(self) -> &'static [&'static str] {
        match self {
            Language::Python => &["python3", "python"],
            Language::Node => &["node", "nodejs"],
        }
    }
    /// A program that prints its version and where it really is, and fails if it is too old.
    fn probe(self) -> [&'static str; 2] {
        match self {
            Language::Python => [
                "-c",
                "import sys; v = sys.version_info; assert v >= (3, 8); print('python:%d.%d.v%d' % v[:3]); \
                     print(sys.executable)",
            ],
            Language::Node => [
                "-e",
                "const v = process.versions.node.split('.'); if (v[0] < 18) process.exit(1); \
                 console.log(`nodejs:${v[0]}.v${v[1]}`); console.log(process.execPath)",
            ],
        }
    }
}

/// What the interpreter says is its own path: what is on PATH may be a slow script that looks for it. And its version.
async fn probe(program: &Path, language: Language) -> Option<(PathBuf, String)> {
    let mut command = Command::new(program);
    command.args(language.probe()).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = real::within(PROBE_MAX, command.output()).await?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (version, path) = text.trim().split_once('\n')?;
    let said = PathBuf::from(path.trim());
    (output.status.success() && is_program(&said)).then(|| (said, version.trim().to_owned()))
}

/// Every program of this name on PATH, in its order.
pub fn on_path(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).filter(|file| is_program(file)).collect()
}

/// Whether this is a file that may be run.
pub fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
