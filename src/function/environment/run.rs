//! The processes of one environment from one start to their end: the runtime, the external extensions, and what
//! stands between them and us.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::select_all;
use tokio::process::Command;
use tokio::task::JoinSet;

use super::End;
use super::card::Card;
use super::words::{cannot_run, command, words};
use crate::clock::real;
use crate::function::desk::Desk;
use crate::function::frost::Frost;
use crate::function::interpreter::is_program;
use crate::function::maker::Maker;
use crate::function::memory::Memory;
use crate::function::output::{Live, Output};
use crate::function::platform;
use crate::function::process::{Exit, Process};
use crate::function::room::Place;
use crate::function::runtime_api::{About, Guests, RuntimeApi};
use crate::function::variables::{self, Setting};

/// How many files a process may have open, as recorded.
const FILES_MAX: u64 = 1024;

/// How long we wait for what a process sent before it ended.
pub const LAST_WORDS: Duration = Duration::from_secs(1);

/// The processes of one environment. Dropping them kills them.
pub struct Run {
    /// The runtime's process.
    pub runtime: Process,
    /// Name and process of each external extension.
    extensions: Vec<(String, Process)>,
    /// Where runtime and extensions meet us.
    pub desk: Arc<Desk>,
    /// Where they reach the desk.
    pub api: RuntimeApi,
    /// What all of them write.
    pub output: Arc<Output>,
    /// What they have used.
    pub memory: Arc<Memory>,
    /// Whether they are stopped.
    pub frost: Arc<Frost>,
    _reader: JoinSet<()>,
}

impl Run {
    /// Starts the extensions, waits until they have registered, and starts the runtime. With why it is over already
    /// if an extension failed. Errors say what is missing and the way out.
    pub async fn start(
        maker: &Maker,
        card: &Arc<Card>,
        (place, limit): (&mut Option<Place>, Duration),
    ) -> Result<(Run, Option<End>), String> {
        let (world, spec) = (&maker.world, &maker.spec);
        let begun = Instant::now();
        let words = words(world, spec).await?;
        let refused = |error: io::Error| format!("cannot start function {}: {error}", spec.name);
        let program = words.first().map(PathBuf::from).unwrap_or_default();
        let place = match place {
            Some(place) => place,
            None => place.insert(Place::make(world, spec, (&card.id, &program)).map_err(refused)?),
        };
        let (clock, timeline) = (world.clock.clone(), world.timeline.clone());
        let live = Live { clock, timeline, function: spec.name.clone() };
        let (output, reading) = Output::pipe(live).map_err(refused)?;
        let frost = Frost::new(world, card);
        let rests = Arc::clone(&frost);
        let desk = Arc::new(Desk::calling(move || rests.rest()));
        let about = About {
            function: spec.name.clone(),
            version: spec.version.clone(),
            handler: variables::handler(&spec.kind),
            account: world.place.account.to_string(),
            environment: card.id.clone(),
        };
        let guests = Guests { desk: Arc::clone(&desk), output: Some(Arc::clone(&output)), about };
        let api = RuntimeApi::listen(guests, 0).await.map_err(refused)?;
        let address = api.address().to_string();
        let endpoint = world.endpoint();
        let tmp = place.tmp();
        let setting = Setting {
            spec,
            place: &world.place,
            runtimes: world.interpreters.folder(),
            log_stream: &card.log_stream,
            endpoint: endpoint.as_deref(),
            provisioned: card.provisioned,
            tmp: Some(&tmp),
        };
        let variables = variables::of(&setting, &[("AWS_LAMBDA_RUNTIME_API", &address)]);
        let prepare = |mut command: Command| -> io::Result<Command> {
            let (stdout, stderr) = output.ends()?;
            command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
            platform::limit_files(&mut command, FILES_MAX);
            Ok(command)
        };
        let mut launched = Vec::new();
        let programs = external(&spec.layers);
        programs.iter().for_each(|(name, _)| desk.extensions.expect(name));
        for (name, program) in programs {
            let words = [program.into_os_string()];
            let mut command = command(&words, &variables::task_root(spec))?;
            command.envs(variables.iter().filter(|(name, _)| variables::is_shown_to_extensions(name)));
            let command = prepare(command).map_err(refused)?;
            let process = world.spawner.start_in(command, Some(place.room())).await;
            let process = process.map_err(|error| cannot_run(&words, &error))?;
            place.room().settle(process.id());
            launched.push((name, process));
        }
        let failed = until_registered(&desk, &launched, limit.saturating_sub(begun.elapsed())).await;
        let mut command = command(&words, &variables::task_root(spec))?;
        command.envs(&variables);
        let command = prepare(command).map_err(refused)?;
        let runtime = world.spawner.start_in(command, Some(place.room())).await;
        let runtime = runtime.map_err(|error| cannot_run(&words, &error))?;
        place.room().settle(runtime.id());
        output.close_ends();
        card.set_pid(runtime.id());
        let mut reader = JoinSet::new();
        reader.spawn(reading);
        let groups = launched.iter().map(|(_, process)| process).chain([&runtime]);
        frost.attend(&desk, groups.map(|process| process.group().clone()).collect());
        let memory = world.meter.of(&runtime, spec.memory_mb);
        memory.begin();
        let run = Run { runtime, extensions: launched, desk, api, output, memory, frost, _reader: reader };
        Ok((run, failed))
    }

    /// Waits until all of it has asked for an event: when the runtime did; or what happened instead.
    pub async fn until_ready(&self, limit: Duration) -> Result<Instant, End> {
        tokio::select! {
            // In this order: what was said counts before the end of who said it.
            biased;
            ready = self.desk.until_ready() => ready.map_err(End::Answer),
            end = self.until_broken() => match end {
                // What it said before it ended counts, if it is that it cannot start.
                End::Exit(exit) => {
                    real::within(LAST_WORDS, self.api.until_unconnected()).await;
                    match futures_util::FutureExt::now_or_never(self.desk.until_ready()) {
                        Some(Err(answer)) => Err(End::Answer(answer)),
                        _ if self.memory.is_exceeded() => Err(End::OutOfMemory),
                        _ => Err(End::Exit(exit)),
                    }
                }
                end => Err(end),
            },
            () = real::sleep(limit) => Err(End::Timeout),
        }
    }

    /// Waits until something of it is gone, or cannot go on.
    pub async fn until_broken(&self) -> End {
        if !self.desk.extensions.are_any() {
            return End::Exit(self.runtime.until_exit().await);
        }
        tokio::select! {
            biased;
            exit = self.runtime.until_exit() => End::Exit(exit),
            failed = self.desk.extensions.until_failed() => End::Extension(failed),
            exit = until_first_exit(&self.extensions) => End::Crash(exit),
        }
    }

    /// Whether all its processes are.
    pub fn is_alive(&self) -> bool {
        self.runtime.exited().is_none()
            && self.extensions.iter().all(|(_, process)| process.exited().is_none())
    }

    /// Whether it has extensions of their own process.
    pub fn has_external(&self) -> bool {
        !self.extensions.is_empty()
    }

    /// Waits until its runtime has ended.
    pub fn watch_exit(&self) -> impl Future<Output = ()> + Send + 'static {
        self.runtime.exit_watch()
    }

    /// Waits until the extensions are done with the last event too; false if that takes longer than `limit`. None
    /// if no extension gets events: then the runtime may be late on its own account.
    pub fn until_quiet(&self, limit: Duration) -> Option<impl Future<Output = bool> + Send + 'static> {
        let desk = Arc::clone(&self.desk);
        let waits = desk.extensions.hear_invocations() && !desk.is_quiet();
        waits.then_some(async move { real::within(limit, desk.until_quiet()).await.is_some() })
    }

    /// Waits until all external extensions have ended.
    pub async fn until_extensions_exit(&self) {
        for (_, process) in &self.extensions {
            process.until_exit().await;
        }
    }

    /// Kills all of it, and waits until it is gone.
    pub async fn kill(&self) {
        self.runtime.kill();
        self.extensions.iter().for_each(|(_, process)| process.kill());
        self.runtime.until_exit().await;
        self.until_extensions_exit().await;
    }
}

/// Waits until all external extensions have registered; what happened instead, if it did.
async fn until_registered(desk: &Desk, launched: &[(String, Process)], limit: Duration) -> Option<End> {
    if launched.is_empty() {
        return None;
    }
    tokio::select! {
        biased;
        failed = desk.extensions.until_failed() => Some(End::Extension(failed)),
        () = desk.extensions.until_registered() => None,
        exit = until_first_exit(launched) => Some(End::Crash(exit)),
        () = real::sleep(limit) => Some(End::Timeout),
    }
}

/// The first of these processes that ends. Never, if there are none.
async fn until_first_exit(processes: &[(String, Process)]) -> Exit {
    if processes.is_empty() {
        return std::future::pending().await;
    }
    let ends = processes.iter().map(|(_, process)| Box::pin(process.until_exit()));
    select_all(ends).await.0
}

/// The external extensions of these layers: every program in their `extensions` folders, by name.
fn external(layers: &[PathBuf]) -> Vec<(String, PathBuf)> {
    let mut found = std::collections::BTreeMap::new();
    for layer in layers {
        let Ok(entries) = layer.join("extensions").read_dir() else { continue };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| is_program(path)) {
            if let Some(name) = path.file_name() {
                // A later layer lies over an earlier one.
                found.insert(name.to_string_lossy().into_owned(), path);
            }
        }
    }
    found.into_iter().collect()
}
