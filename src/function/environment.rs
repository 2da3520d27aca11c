//! One execution environment: a process that speaks the Runtime API, handling one event after the other.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::desk::{Answer, Desk};
use super::logs::{self, Measured};
use super::memory::Memory;
use super::output::{Live, Output};
use super::process::{Exit, Process};
use super::runtime_api::RuntimeApi;
use super::variables::{self, Setting};
use super::world::{Call, World};
use super::{interpreter, outcome};
use crate::clock::real;
use crate::config::{FunctionKind, FunctionSpec};
use crate::delivery::{Outcome, Report};

/// How long an environment may take to start before it is started once more, under the function's own limit.
pub const INIT_MAX: Duration = Duration::from_secs(10);
/// The limit of a function without one: the longest that AWS allows.
pub const LIMIT_MAX: Duration = Duration::from_secs(900);
/// How long we wait for what a process sent before it ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A process and all that belongs to it. Dropping it ends them.
pub struct Environment {
    process: Process,
    desk: Arc<Desk>,
    api: RuntimeApi,
    output: Arc<Output>,
    memory: Memory,
    _reader: JoinSet<()>,
    /// Which version of the code it runs.
    version: u64,
    started: Instant,
    life: Life,
    idle_since: Instant,
}

/// Where in its life an environment is.
enum Life {
    /// It has not asked for an event yet.
    Starting,
    /// It starts for the second time, under the function's own limit; what was logged the first time.
    Restarting(String),
    /// It has handled an event.
    Warm,
}

/// What became of an event.
pub enum Handled {
    /// It was handled; the environment can take the next one.
    Warm(Outcome),
    /// It was handled, and the environment is of no more use.
    Ended(Outcome),
    /// The process was gone before it got the event: nothing has happened to it.
    Gone,
    /// The environment did not start in time; what it logged.
    TooSlow(String),
}

/// How the wait for an answer ended.
enum End {
    Answer(Answer),
    Exit(Exit),
    Timeout,
}

impl Environment {
    /// Starts a process of this function. Errors say what is missing and the way out.
    pub async fn start(world: &World, spec: &FunctionSpec, version: u64) -> Result<Environment, String> {
        let words = words(world, spec).await?;
        let refused = |error: io::Error| format!("cannot start function {}: {error}", spec.name);
        let (clock, timeline) = (world.clock.clone(), world.timeline.clone());
        let live = Live { clock, timeline, function: spec.name.clone() };
        let (output, stdout, stderr) = Output::pipe(live).map_err(refused)?;
        let written = Arc::clone(&output);
        let desk = Arc::new(Desk::calling(move || written.end_start()));
        let api = RuntimeApi::listen(Arc::clone(&desk), 0).await.map_err(refused)?;
        let mut command = command(&words, &variables::task_root(spec))?;
        let stream = world.log_stream(&spec.name);
        let setting =
            Setting { spec, place: &world.place, runtimes: world.interpreters.folder(), log_stream: &stream };
        let address = api.address().to_string();
        command.envs(variables::of(&setting, &[("AWS_LAMBDA_RUNTIME_API", &address)]));
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let started = Instant::now();
        let process = world.spawner.start(command).await.map_err(|error| cannot_run(&words, &error))?;
        let mut reader = JoinSet::new();
        reader.spawn(Arc::clone(&output).read_to_end());
        let (memory, life) = (Memory::default(), Life::Starting);
        Ok(Environment {
            process,
            desk,
            api,
            output,
            memory,
            _reader: reader,
            version,
            started,
            life,
            idle_since: started,
        })
    }

    /// This start is the second one, under the function's own limit; `log` is that of the first.
    pub fn restarting(mut self, log: String) -> Environment {
        self.life = Life::Restarting(log);
        self
    }

    /// Whether it can take an event of this version of the code.
    pub fn is_fit(&self, version: u64) -> bool {
        self.version == version && self.process.exited().is_none()
    }
    /// How long it has had nothing to do.
    pub fn idle_for(&self) -> Duration {
        self.idle_since.elapsed()
    }

    /// Hands the event over and waits for what becomes of it.
    pub async fn handle(&mut self, call: &Call<'_>, world: &World, spec: &FunctionSpec) -> Handled {
        let limit = spec.timeout.unwrap_or(LIMIT_MAX);
        self.output.label(call.shown_id);
        let mut answer = self.desk.put(Arc::new(world.event(call, &spec.name, limit)));
        let (at, init, mut log) = match std::mem::replace(&mut self.life, Life::Warm) {
            Life::Warm => match self.until_handed(&mut answer, limit).await {
                Ok(at) => (at, None, String::new()),
                Err(_) => return Handled::Gone,
            },
            life => {
                let (mut log, most, phase) = match life {
                    Life::Restarting(log) => (log, limit, "invoke"),
                    _ => (String::new(), INIT_MAX, "init"),
                };
                let waited = self.until_handed(&mut answer, most).await;
                match waited {
                    Ok(at) => {
                        log.push_str(&self.output.take_start());
                        (at, Some(at.duration_since(self.started)), log)
                    }
                    Err(End::Timeout) if phase == "init" => return self.too_slow(log).await,
                    Err(end) => return self.init_failed(end, phase, (call, spec), log).await,
                }
            }
        };
        log.push_str(&logs::start(call.request_id));
        let end = self.until_end(&mut answer, at, limit).await;
        self.conclude(end, (call, spec), (at, init), log).await
    }

    /// When the event was handed over, or what happened instead.
    async fn until_handed(
        &self,
        answer: &mut oneshot::Receiver<Answer>,
        most: Duration,
    ) -> Result<Instant, End> {
        if let Some(at) = self.desk.handed_at() {
            return Ok(at);
        }
        tokio::select! {
            // In this order: a quick runtime has answered by now what it was handed a moment ago, and an answer
            // to what was never handed over is the error of its start.
            biased;
            at = self.desk.until_handed() => Ok(at),
            Ok(answer) = &mut *answer => Err(End::Answer(answer)),
            exit = self.process.until_exit() => {
                // What it said before it ended counts: an init error, or even that it took the event.
                real::within(LAST_WORDS, self.api.until_unconnected()).await;
                match (answer.try_recv(), self.desk.handed_at()) {
                    (Ok(answer @ Answer::InitError(..)), _) => Err(End::Answer(answer)),
                    (_, Some(at)) => Ok(at),
                    (_, None) => Err(End::Exit(exit)),
                }
            }
            () = real::sleep(most) => Err(End::Timeout),
        }
    }

    async fn until_end(&self, answer: &mut oneshot::Receiver<Answer>, at: Instant, limit: Duration) -> End {
        tokio::select! {
            biased;
            Ok(answer) = &mut *answer => End::Answer(answer),
            exit = self.process.until_exit() => {
                real::within(LAST_WORDS, self.api.until_unconnected()).await;
                answer.try_recv().map_or(End::Exit(exit), End::Answer)
            }
            () = real::sleep(limit.saturating_sub(at.elapsed())) => End::Timeout,
        }
    }

    /// The event's outcome, with the rest of the log.
    async fn conclude(
        &mut self,
        end: End,
        (call, spec): (&Call<'_>, &FunctionSpec),
        (at, init): (Instant, Option<Duration>),
        mut log: String,
    ) -> Handled {
        let duration = at.elapsed();
        let limit = spec.timeout.unwrap_or(LIMIT_MAX);
        let used_mb = self.memory.used_mb(self.process.id());
        if matches!(end, End::Timeout) {
            self.kill().await;
        }
        log.push_str(&self.output.take());
        let (warm, status) = match &end {
            End::Answer(answer) => {
                let started = !matches!(answer, Answer::InitError(..));
                (started && self.process.exited().is_none(), outcome::status(answer))
            }
            End::Exit(exit) => {
                log.push_str(&logs::exited(call.request_id, *exit));
                (false, logs::status_error(logs::EXIT_ERROR))
            }
            End::Timeout => {
                log.push_str(&logs::timed_out(real::now(), call.request_id, limit));
                (false, logs::TIMEOUT.to_owned())
            }
        };
        let (request_id, memory_mb, status) = (call.request_id, spec.memory_mb, status.as_str());
        log.push_str(&logs::end_and_report(&Measured {
            request_id,
            duration,
            memory_mb,
            used_mb,
            init,
            status,
        }));
        let report = Report { duration, init, log };
        let outcome = match end {
            End::Answer(answer) => outcome::answered(answer, report),
            End::Exit(exit) => outcome::exited(call.request_id, exit, report),
            End::Timeout => outcome::timed_out(call.request_id, limit, report),
        };
        self.idle_since = Instant::now();
        if warm { Handled::Warm(outcome) } else { Handled::Ended(outcome) }
    }

    /// It did not start in time: it may try once more.
    async fn too_slow(&mut self, mut log: String) -> Handled {
        let took = self.started.elapsed();
        self.kill().await;
        log.push_str(&self.output.take());
        log.push_str(&logs::init_report(took, "init", logs::TIMEOUT));
        Handled::TooSlow(log)
    }

    /// It did not start.
    async fn init_failed(
        &mut self,
        end: End,
        phase: &str,
        (call, spec): (&Call<'_>, &FunctionSpec),
        mut log: String,
    ) -> Handled {
        let took = self.started.elapsed();
        log.push_str(&self.output.take());
        let status = match &end {
            End::Answer(answer) => outcome::status(answer),
            End::Exit(_) => logs::status_error(logs::EXIT_ERROR),
            End::Timeout => logs::TIMEOUT.to_owned(),
        };
        log.push_str(&logs::init_report(took, phase, &status));
        log.push_str(&logs::start(call.request_id));
        self.conclude(end, (call, spec), (self.started, None), log).await
    }

    async fn kill(&self) {
        self.process.kill();
        self.process.until_exit().await;
    }
}

/// The words that start a process of this function.
pub async fn words(world: &World, spec: &FunctionSpec) -> Result<Vec<OsString>, String> {
    match &spec.kind {
        FunctionKind::Handler { runtime, code, .. } => {
            if !code.exists() {
                let code = code.display();
                return Err(format!(
                    "function {} has no code: {code} does not exist; correct `code`",
                    spec.name
                ));
            }
            world
                .interpreters
                .command(runtime, code)
                .await
                .map_err(|error| format!("function {}: {error}", spec.name))
        }
        FunctionKind::Run { command, .. } | FunctionKind::Exec { command } => {
            let Some((program, rest)) = command.split_first() else {
                return Err(format!("function {} names no program to start", spec.name));
            };
            let found =
                find(program, &spec.folder).map_err(|error| format!("function {}: {error}", spec.name))?;
            Ok([found.into_os_string()].into_iter().chain(rest.iter().map(OsString::from)).collect())
        }
        _ => Err(format!("function {} is no process of ours", spec.name)),
    }
}

/// The program that a word names: a path, from `folder` if it is relative, or a name on PATH.
fn find(program: &str, folder: &Path) -> Result<PathBuf, String> {
    let here = folder.join(program);
    if program.contains('/') {
        return match here.metadata() {
            _ if interpreter::is_program(&here) => Ok(here),
            Ok(_) => Err(format!("{} is not a program; make it executable (chmod +x)", here.display())),
            Err(error) => {
                Err(format!("cannot start {}: {error}; build it, or correct the path", here.display()))
            }
        };
    }
    interpreter::on_path(program).into_iter().next().ok_or_else(|| {
        let hint = if interpreter::is_program(&here) {
            format!("; write ./{program} for the one in {}", folder.display())
        } else {
            String::new()
        };
        format!("there is no program {program} on PATH; install it, or give its path{hint}")
    })
}

/// A command of these words with nothing of our environment.
pub fn command(words: &[OsString], folder: &Path) -> Result<Command, String> {
    let Some((program, rest)) = words.split_first() else {
        return Err("there is no program to start".to_owned());
    };
    if !folder.is_dir() {
        return Err(format!("cannot start in {}: there is no such folder", folder.display()));
    }
    let mut command = Command::new(program);
    command.args(rest).current_dir(folder).env_clear();
    Ok(command)
}

/// Why a program could not be started.
pub fn cannot_run(words: &[OsString], error: &io::Error) -> String {
    let program = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let hint = match error.raw_os_error() {
        Some(libc::ENOEXEC) => "; is it built for this machine, and does a script begin with #!?",
        Some(libc::EACCES) => "; make it executable (chmod +x)",
        Some(libc::ENOENT) => "; does it exist, and the interpreter that its first line names?",
        _ => "",
    };
    format!("cannot start {program}: {error}{hint}")
}
