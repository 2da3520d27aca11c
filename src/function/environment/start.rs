//! How the processes of an environment are started: extensions first, then the runtime.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::task::JoinSet;

use super::End;
use super::card::Card;
use super::run::{Run, until_first_exit};
use super::words::{cannot_run, command, words};
use crate::clock::real;
use crate::config::FunctionSpec;
use crate::function::desk::Desk;
use crate::function::extensions::{EXTENSIONS_MAX, ExtensionFailure};
use crate::function::frost::Frost;
use crate::function::interpreter::is_program;
use crate::function::maker::Maker;
use crate::function::output::{Live, Output};
use crate::function::platform;
use crate::function::process::Process;
use crate::function::room::Place;
use crate::function::runtime_api::{About, Guests, RuntimeApi};
use crate::function::telemetry::Telemetry;
use crate::function::variables::{self, Setting};

/// How many files a process may have open, as recorded.
const FILES_MAX: u64 = 1024;

/// What an environment is started with.
pub struct Ground<'a> {
    /// What it is made from.
    pub maker: &'a Maker,
    /// Who it is.
    pub card: &'a Arc<Card>,
    /// What it has for itself of the file system.
    pub place: &'a mut Option<Place>,
}

/// Starts the extensions, waits until they have registered, and starts the runtime, within `limit`. With why it is
/// over already if an extension failed. Errors say what is missing and the way out.
pub async fn start(ground: Ground<'_>, limit: Duration) -> Result<(Run, Option<End>), String> {
    let Ground { maker, card, place } = ground;
    let (world, spec, begun) = (&maker.world, &maker.spec, Instant::now());
    let words = words(world, spec).await?;
    let refused = |error: io::Error| format!("cannot start function {}: {error}", spec.name);
    let program = words.first().map(PathBuf::from).unwrap_or_default();
    let place = match place {
        Some(place) => place,
        None => place.insert(Place::make(world, spec, (&card.id, &program)).map_err(refused)?),
    };
    let telemetry = Arc::new(Telemetry::new(world));
    let live = |kind| Live {
        clock: world.clock.clone(),
        timeline: world.timeline.clone(),
        function: spec.name.clone(),
        telemetry: Some((Arc::clone(&telemetry), kind)),
    };
    let (output, reading) = Output::pipe(live("function")).map_err(refused)?;
    let mut readers = JoinSet::new();
    readers.spawn(reading);
    let frost = Frost::new(world, card);
    let rests = Arc::clone(&frost);
    let desk = Arc::new(Desk::calling(move || rests.rest()));
    let guests = Guests {
        desk: Arc::clone(&desk),
        output: Some(Arc::clone(&output)),
        telemetry: Some(Arc::clone(&telemetry)),
        about: about(maker, card),
    };
    let api = RuntimeApi::listen(guests, 0).await.map_err(refused)?;
    let variables = variables_of(maker, card, (place, &api));
    let (mut guests, mut said) = (Extensions::default(), None);
    let programs = external(spec)?;
    if !programs.is_empty() {
        let (theirs, reading) = Output::pipe(live("extension")).map_err(refused)?;
        readers.spawn(reading);
        programs.iter().for_each(|(name, _)| desk.extensions.expect(name));
        guests = start_extensions(maker, programs, (place, &theirs), &variables).await;
        theirs.close_ends();
        said = Some(theirs);
        if guests.failed.is_none() {
            let left = limit.saturating_sub(begun.elapsed());
            guests.failed = until_registered(&desk, &guests.started, left).await;
        }
    }
    let Extensions { started: extensions, failed } = guests;
    let runtime = launch(maker, &words, (place, &output), variables.iter()).await?;
    output.close_ends();
    card.set_pid(runtime.id());
    let groups = extensions.iter().map(|(_, process)| process).chain([&runtime]);
    frost.attend(&desk, groups.map(|process| process.group().clone()).collect());
    let memory = world.meter.of(&runtime, spec.memory_mb);
    memory.begin();
    let run =
        Run { runtime, extensions, desk, api, output, said, telemetry, memory, frost, _readers: readers };
    Ok((run, failed))
}

fn about(maker: &Maker, card: &Card) -> About {
    About {
        function: maker.spec.name.clone(),
        version: maker.spec.version.clone(),
        handler: variables::handler(&maker.spec.kind),
        account: maker.world.place.account.to_string(),
        environment: card.id.clone(),
        format: maker.spec.logging.format.clone(),
    }
}

fn variables_of(
    maker: &Maker,
    card: &Card,
    (place, api): (&Place, &RuntimeApi),
) -> BTreeMap<OsString, OsString> {
    let (services, tmp) = (maker.world.services(), place.tmp());
    let setting = Setting {
        spec: &maker.spec,
        place: &maker.world.place,
        runtimes: maker.world.interpreters.folder(),
        log_stream: &card.log_stream,
        services: services.as_ref(),
        provisioned: card.provisioned,
        tmp: Some(&tmp),
    };
    variables::of(&setting, &[("AWS_LAMBDA_RUNTIME_API", &api.address().to_string())])
}

/// The external extensions, as far as they could be started.
#[derive(Default)]
struct Extensions {
    started: Vec<(String, Process)>,
    failed: Option<End>,
}

async fn start_extensions(
    maker: &Maker,
    programs: Vec<(String, PathBuf)>,
    (place, output): (&Place, &Output),
    variables: &BTreeMap<OsString, OsString>,
) -> Extensions {
    let mut extensions = Extensions::default();
    for (name, program) in programs {
        let shown = variables.iter().filter(|(name, _)| variables::is_shown_to_extensions(name));
        match launch(maker, &[program.into()], (place, output), shown).await {
            Ok(process) => extensions.started.push((name, process)),
            Err(said) => {
                let kind = "Extension.LaunchError";
                extensions.failed = Some(End::Extension(ExtensionFailure { name, kind, said }));
                break;
            }
        }
    }
    extensions
}

/// Starts one process of an environment.
async fn launch<'a>(
    maker: &Maker,
    words: &[OsString],
    (place, output): (&Place, &Output),
    variables: impl Iterator<Item = (&'a OsString, &'a OsString)>,
) -> Result<Process, String> {
    let mut command: Command = command(words, &variables::task_root(&maker.spec))?;
    let ends =
        output.ends().map_err(|error| format!("cannot start function {}: {error}", maker.spec.name))?;
    command.envs(variables).stdin(Stdio::null()).stdout(ends.0).stderr(ends.1);
    platform::limit_files(&mut command, FILES_MAX);
    let process = maker.world.spawner.start_in(command, Some(place.room())).await;
    let process = process.map_err(|error| cannot_run(words, &error))?;
    if let Some(text) = place.room().settle(process.id()) {
        maker.world.timeline.notice(maker.world.clock.now(), "warning", text);
    }
    Ok(process)
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

/// The external extensions of a function's layers: every program in their `extensions` folders, by name.
fn external(spec: &FunctionSpec) -> Result<Vec<(String, PathBuf)>, String> {
    let mut found = std::collections::BTreeMap::new();
    for layer in &spec.layers {
        let Ok(entries) = layer.join("extensions").read_dir() else { continue };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| is_program(path)) {
            if let Some(name) = path.file_name() {
                // A later layer lies over an earlier one.
                found.insert(name.to_string_lossy().into_owned(), path);
            }
        }
    }
    if found.len() > EXTENSIONS_MAX {
        let (name, count) = (&spec.name, found.len());
        return Err(format!(
            "function {name}: its layers bring {count} extensions, and {EXTENSIONS_MAX} are the most"
        ));
    }
    Ok(found.into_iter().collect())
}
