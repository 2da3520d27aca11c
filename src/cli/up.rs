//! `dropwire up`: starts, says what is wired, and shows what happens; or joins the one that runs already.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::app::{App, Options, StartError};
use crate::clock::real;
use crate::timeline::Timeline;

use super::client::Client;
use super::failure::{Done, Failure, exit};
use super::feed::Feed;
use super::page::Look;
use super::story::Detail;
use super::view::{End, Interrupts, View};
use super::voice::Voice;
use super::{banner, clock, detach, list, terminal, wiring};

/// How often a server elsewhere is asked whether it is idle.
const IDLE_LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The pair that calls have to be signed with. Never flags: everybody on a machine can read those.
const ACCESS_KEY: &str = "DROPWIRE_ACCESS_KEY_ID";
const SECRET_KEY: &str = "DROPWIRE_SECRET_ACCESS_KEY";

/// How to start.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  dropwire up
  dropwire up shop --clock 2026-01-05T09:00:00Z --seed 42
  dropwire up --detach                (dropwire down stops it)
  dropwire up --until-idle            (in CI: exit code 7 if something was given up)")]
pub struct Args {
    /// The folder
    folder: Option<PathBuf>,
    /// The wiring file, dropwire.toml by default
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Listen there too: an address, or a name. Beyond this machine callers have to sign, so that needs the
    /// environment's DROPWIRE_ACCESS_KEY_ID and DROPWIRE_SECRET_ACCESS_KEY. Given again: a further name that clients use
    #[arg(long, value_name = "ADDR")]
    host: Vec<String>,
    /// The port of the control API; if it is taken, the next free one
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Fail if the port is taken
    #[arg(long)]
    strict_port: bool,
    /// How time begins: real, frozen, a time, or x60
    #[arg(long, value_name = "HOW", value_parser = clock::parse_start)]
    clock: Option<crate::config::ClockStart>,
    /// What ids are drawn from
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Forget the saved state
    #[arg(long)]
    fresh: bool,
    /// Do not pick up edits of the wiring file
    #[arg(long)]
    no_watch: bool,
    /// No timeouts and no freezing: for functions in a debugger
    #[arg(long)]
    no_timeouts: bool,
    /// In the background
    #[arg(short, long, conflicts_with = "until_idle")]
    detach: bool,
    /// Stop when nothing waits or runs any more
    #[arg(long)]
    until_idle: bool,
    /// Show only failures
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Show also what functions write
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    later: Later,
}

/// Flags of a later version, which are refused rather than ignored.
#[derive(Debug, clap::Args)]
struct Later {
    #[arg(short, long, hide = true)]
    profile: Option<String>,
    #[arg(long, hide = true)]
    open: bool,
    #[arg(long, hide = true)]
    share: bool,
    #[arg(long, hide = true)]
    no_console: bool,
}

/// Starts or joins.
pub async fn run(voice: &Voice, args: Args, began: Instant) -> Done {
    args.later.refuse()?;
    let dir = args.folder.as_ref().map_or(voice.dir.clone(), |folder| voice.dir.join(folder));
    let root = wiring::root(&dir, args.file.as_deref());
    if let Some(client) = Client::of(&root).await {
        return join(voice, &args, client).await;
    }
    let config = wiring::load(&dir, args.file.as_deref())?;
    if args.detach {
        return detach::run(voice, &root, args.words(&dir)).await;
    }
    let timeline = Timeline::default();
    // From before the start: what is told meanwhile is shown as well.
    let told = timeline.follow();
    let options = Options {
        timeline,
        config,
        port: args.port,
        strict_port: args.strict_port,
        hosts: args.host.clone(),
        pair: (terminal::variable(ACCESS_KEY), terminal::variable(SECRET_KEY)),
        clock: args.clock,
        seed: args.seed,
        fresh: args.fresh,
        watch_wiring: !args.no_watch,
        unhurried: args.no_timeouts,
        ready_since: began,
    };
    // From here on signals end it in order: nothing is left half done.
    let mut interrupts = Interrupts::begin()?;
    let app = tokio::select! {
        started = App::start(options) => started.map_err(could_not_start)?,
        () = interrupts.next() => return Ok(exit::INTERRUPTED),
    };
    let shown = serve(voice, (&args, Feed::Here(told)), &app, &mut interrupts).await;
    let given_up = app.status().await.given_up;
    interrupts.or_at_once(app.stop()).await;
    match shown? {
        End::Reached if given_up > 0 => Err(given_up_failure(given_up)),
        _ => Ok(0),
    }
}

/// Shows what happens in this process until it is to stop.
async fn serve(
    voice: &Voice,
    (args, feed): (&Args, Feed),
    app: &Arc<App>,
    interrupts: &mut Interrupts,
) -> Result<End, Failure> {
    let mut view = View::new(voice, feed, args.detail());
    let (status, wires) = (app.status().await, app.wires_shown().await);
    voice.print(&banner::render(&status, &wires, args.banner_page(voice), view.has_keys()))?;
    let client = if view.has_keys() { Client::of(&app.config().root).await } else { None };
    if args.until_idle {
        let idle = async {
            tokio::select! { () = app.quiet() => {}, () = app.until_stopped() => {} }
        };
        return view.show(client.as_ref(), interrupts, idle).await;
    }
    let end = view.show(client.as_ref(), interrupts, app.until_stopped()).await?;
    // Being asked to stop is no news about what was given up.
    Ok(if end == End::Reached { End::Over } else { end })
}

/// Shows what happens in the process that runs for this folder already, and leaves it alone afterwards.
async fn join(voice: &Voice, args: &Args, client: Client) -> Done {
    let pid = client.running.pid;
    if let Some(flag) = args.only_at_start() {
        let message = format!("a dropwire (pid {pid}) already runs here, so {flag} cannot be had");
        let failure = Failure::start("E409", message, "stop it first");
        return Err(failure.trying("dropwire down"));
    }
    let status = client.status().await?;
    if args.detach {
        return voice.answer(&status, |page| banner::headline(&status, page));
    }
    let mut interrupts = Interrupts::begin()?;
    let mut view = View::new(voice, Feed::elsewhere(client.follow().await?), args.detail());
    let wires = list::fetch(&client, "wires").await?;
    voice.print(&banner::render(&status, &wires, voice.page, view.has_keys()))?;
    voice.remark(&format!(
        "  joined the dropwire that runs here already (pid {pid}); leaving it does not stop it"
    ));
    let end = match args.until_idle {
        true => view.show(Some(&client), &mut interrupts, idle(&client)).await?,
        false => view.show(Some(&client), &mut interrupts, std::future::pending()).await?,
    };
    match end {
        End::Over => voice.remark("the server stopped"),
        End::Reached => {
            let given_up = client.status().await?.given_up;
            if given_up > status.given_up {
                return Err(given_up_failure(given_up - status.given_up));
            }
        }
        End::Quit => {}
    }
    Ok(0)
}

async fn idle(client: &Client) {
    loop {
        match client.status().await {
            Ok(status) if status.waiting + status.running > 0 => real::sleep(IDLE_LOOK_AGAIN).await,
            _ => return,
        }
    }
}

impl Args {
    fn detail(&self) -> Detail {
        match (self.quiet, self.verbose) {
            (true, _) => Detail::Failures,
            (_, true) => Detail::Everything,
            _ => Detail::Chain,
        }
    }

    /// Quiet is one line, whatever the look.
    fn banner_page(&self, voice: &Voice) -> super::page::Page {
        let mut page = voice.page;
        if self.quiet && page.look == Look::Pretty {
            page.look = Look::Plain;
        }
        page
    }

    /// The first flag that a running server cannot take up.
    fn only_at_start(&self) -> Option<&'static str> {
        let flags = [
            (!self.host.is_empty(), "--host"),
            (self.port.is_some(), "--port"),
            (self.strict_port, "--strict-port"),
            (self.clock.is_some(), "--clock"),
            (self.seed.is_some(), "--seed"),
            (self.fresh, "--fresh"),
            (self.no_watch, "--no-watch"),
            (self.no_timeouts, "--no-timeouts"),
        ];
        flags.into_iter().find(|(given, _)| *given).map(|(_, flag)| flag)
    }

    /// The command line that starts the same in the foreground.
    fn words(&self, dir: &Path) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["up".into(), dir.into(), "-o".into(), "plain".into()];
        if let Some(file) = &self.file {
            words.extend(["-f".into(), file.into()]);
        }
        if let Some(port) = self.port {
            words.extend(["--port".into(), port.to_string().into()]);
        }
        for host in &self.host {
            words.extend(["--host".into(), host.into()]);
        }
        if let Some(seed) = self.seed {
            words.extend(["--seed".into(), seed.to_string().into()]);
        }
        if let Some(start) = &self.clock {
            words.extend(["--clock".into(), clock::start_words(start).into()]);
        }
        let flags = [
            (self.strict_port, "--strict-port"),
            (self.fresh, "--fresh"),
            (self.no_watch, "--no-watch"),
            (self.no_timeouts, "--no-timeouts"),
            (self.quiet, "--quiet"),
            (self.verbose, "--verbose"),
        ];
        words.extend(flags.into_iter().filter(|(given, _)| *given).map(|(_, flag)| flag.into()));
        words
    }
}

impl Later {
    fn refuse(&self) -> Result<(), Failure> {
        let refused = [
            (
                self.profile.is_some(),
                "--profile",
                "write the settings into a wiring file of its own and give it with -f",
            ),
            (self.open, "--open", "there is no page to open in this version"),
            (self.share, "--share", "`--host` lets other machines in"),
            (self.no_console, "--no-console", "there is no console in this version, so nothing to turn off"),
        ];
        match refused.into_iter().find(|(given, _, _)| *given) {
            Some((_, flag, instead)) => Err(Failure::not_yet(flag, instead)),
            None => Ok(()),
        }
    }
}

fn could_not_start(error: StartError) -> Failure {
    Failure {
        code: error.code.into(),
        message: error.message,
        exit: u8::try_from(error.exit).unwrap_or(exit::START),
        ..Failure::default()
    }
}

fn given_up_failure(given_up: i64) -> Failure {
    let what = super::words::count(usize::try_from(given_up).unwrap_or(0), "delivery")
        .replace("deliverys", "deliveries");
    Failure::function(format!("{what} given up"), "`dropwire up` and `dropwire dead list` show them")
}

#[cfg(test)]
mod tests;
