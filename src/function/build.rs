//! The build command of a `run` function: run before the first start, and after each change of its code.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;
use tokio::sync::Mutex;

use super::world::World;
use crate::config::FunctionSpec;

/// How soon a build that failed is tried again when nothing has changed that we know of.
const AGAIN: Duration = Duration::from_secs(5);
/// How many of its last lines are told when it fails.
const LINES: usize = 12;

/// The last build of one function. Only one runs at a time; who comes meanwhile waits for its result.
#[derive(Default)]
pub struct Build(Mutex<Option<Built>>);

struct Built {
    version: u64,
    at: Instant,
    result: Result<(), String>,
}

impl Build {
    /// Builds unless this version of the code is built already. The error is the end of what the build said.
    pub async fn ensure(
        &self,
        world: &World,
        (spec, words): (&FunctionSpec, &[String]),
        version: u64,
    ) -> Result<(), String> {
        let mut last = self.0.lock().await;
        if let Some(built) = last.as_ref().filter(|built| built.version == version)
            && (built.result.is_ok() || built.at.elapsed() < AGAIN)
        {
            return built.result.clone();
        }
        let result = run(world, spec, words).await;
        *last = Some(Built { version, at: Instant::now(), result: result.clone() });
        result
    }
}

async fn run(world: &World, spec: &FunctionSpec, words: &[String]) -> Result<(), String> {
    let shown = words.join(" ");
    let refused = |error: &str| format!("function {}: cannot build it with `{shown}`: {error}", spec.name);
    let Some((program, rest)) = words.split_first() else {
        return Ok(());
    };
    let say = |level, text: String| world.timeline.notice(world.clock.now(), level, text);
    say("info", format!("building {} with `{shown}`", spec.name));
    // A build is the user's own tool: it has all of our environment, other than a function.
    let program = if program.contains('/') { spec.folder.join(program) } else { program.into() };
    let mut command = Command::new(program);
    command.args(rest).current_dir(&spec.folder).stdin(Stdio::null());
    let (ours, theirs) = std::io::pipe().map_err(|error| refused(&error.to_string()))?;
    let both = theirs.try_clone().map_err(|error| refused(&error.to_string()))?;
    command.stdout(theirs).stderr(both);
    let process = world.spawner.start(command).await.map_err(|error| refused(&error.to_string()))?;
    let pipe = tokio::net::unix::pipe::Receiver::from_owned_fd(ours.into())
        .map_err(|error| refused(&error.to_string()))?;
    let tail = std::sync::Mutex::new(VecDeque::new());
    let lines = tell(pipe, &tail, |line| say("info", format!("build {}: {line}", spec.name)));
    // The reader ends when the process and all its children have.
    let ((), exit) = tokio::join!(lines, process.until_exit());
    if exit.summary() == "exit 0" {
        return Ok(());
    }
    let tail = tail.into_inner().unwrap_or_else(PoisonError::into_inner);
    Err(refused(&format!("{exit}\n{}", Vec::from(tail).join("\n"))))
}

async fn tell(pipe: impl AsyncRead + Unpin, tail: &std::sync::Mutex<VecDeque<String>>, say: impl Fn(&str)) {
    let mut lines = BufReader::new(pipe).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line).into_owned();
        say(&line);
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.push_back(line);
        if tail.len() > LINES {
            tail.pop_front();
        }
    }
}
