//! Functions as people have them: real processes, real sockets.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::{Functions, Invocation, interpreter};
use crate::arn::Place;
use crate::clock::{Clock, real};
use crate::config::{FunctionKind, FunctionSpec};
use crate::delivery::{Failure, Outcome, Reply};
use crate::random::Random;
use crate::timeline::Timeline;

mod environments;
mod extensions;
mod frozen;
mod honest;
mod idle;
mod kinds;
mod left_behind;
mod lines;
mod memory;
mod node;
mod python;
mod rooms;
mod streams;

const ID: &str = "00000000-0000-4000-8000-000000000001";
/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// One function `f` in a folder of its own.
struct Bench {
    folder: tempfile::TempDir,
    functions: Functions,
    spec: FunctionSpec,
    timeline: Timeline,
    clock: Clock,
}

impl Bench {
    /// A function of this kind. Nothing is started yet.
    fn of(kind: FunctionKind) -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let timeline = Timeline::default();
        let spec = FunctionSpec {
            timeout: Some(Duration::from_secs(20)),
            concurrency: 2,
            ..FunctionSpec::new("f", kind, folder.path().to_owned())
        };
        let state = folder.path().join(".dropwire");
        let clock = Clock::system();
        let functions =
            Functions::new(Place::default(), clock.clone(), timeline.clone(), Random::seeded(1), state);
        Bench { folder, functions, spec, timeline, clock }
    }

    /// A handler of this runtime, with its code in one file.
    fn handler(runtime: &str, handler: &str, (file, code): (&str, &str)) -> Bench {
        let kind =
            FunctionKind::Handler { runtime: runtime.into(), handler: handler.into(), code: "/".into() };
        let mut bench = Bench::of(kind);
        if let FunctionKind::Handler { code, .. } = &mut bench.spec.kind {
            *code = bench.folder.path().to_owned();
        }
        bench.write(file, code);
        bench
    }

    /// A shell script as `run`.
    fn script(text: &str) -> Bench {
        let command = vec!["/bin/sh".into(), "-c".into(), text.into()];
        Bench::of(FunctionKind::Run { command, build: None, watch: Vec::new() })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
    fn write(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    /// Declares the function as its spec says now.
    async fn declare(&self) -> Vec<super::Problem> {
        let mut problems = self.functions.replace(BTreeMap::from([("f".into(), self.spec.clone())])).await;
        problems.extend(self.functions.check().await);
        problems
    }
    async fn invoke(&self, event: &str) -> Outcome {
        if self.functions.get("f").is_none() {
            assert_eq!(self.declare().await, []);
        }
        let invoked = self.functions.invoke("f", Invocation::of(Bytes::from(event.to_owned()), ID));
        real::within(PATIENCE, invoked).await.expect("an answer in time").expect("the function is declared")
    }
    async fn reply(&self, event: &str) -> Reply {
        match self.invoke(event).await {
            Outcome::Done(reply) => reply,
            other => panic!("it should succeed: {other:#?}"),
        }
    }
    async fn result(&self, event: &str) -> Value {
        serde_json::from_slice(&self.reply(event).await.payload).expect("JSON")
    }
    async fn failure(&self, event: &str) -> Failure {
        match self.invoke(event).await {
            Outcome::Failed(failure) => failure,
            other => panic!("it should fail: {other:#?}"),
        }
    }
}

/// Waits until something is so.
async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let tried = async {
        while !so() {
            real::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(real::within(PATIENCE, tried).await.is_some(), "waited in vain until {what}");
}

/// Whether this program is installed; says so if it is not.
fn installed(program: &str) -> bool {
    let found = !interpreter::on_path(program).is_empty();
    if !found {
        // Past the test harness, which would keep it to itself.
        let said = writeln!(std::io::stderr(), "skipped: a test needs {program}, which is not on PATH");
        said.expect("stderr is open");
    }
    found
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

/// The keys of an object, in their order.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// Whether a process of this id runs (and is no zombie).
fn runs(id: &str) -> bool {
    let Ok(pid) = id.trim().parse() else { return false };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_zombie = stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok() && !is_zombie
}
