//! The command line: one file a command, and what they share.

mod aws;
mod banner;
mod check;
mod client;
mod clock;
mod completions;
mod dead;
mod detach;
mod down;
mod env;
mod explain;
mod failure;
mod feed;
mod fire;
mod init;
mod invoke;
mod keys;
mod list;
mod logs;
mod overview;
mod page;
mod replay;
mod show;
mod status;
mod story;
mod table;
mod tail;
mod terminal;
mod told;
mod up;
mod view;
mod voice;
mod wait;
mod why;
mod wiring;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};

use failure::{Done, Failure};
use page::Look;
use voice::Voice;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "dropwire",
    version,
    override_help = overview::OVERVIEW,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = false
)]
pub struct Cli {
    /// How results look; by default pretty on a screen, else plain
    #[arg(
        short,
        long = "output",
        value_enum,
        value_name = "LOOK",
        global = true,
        help_heading = "Everywhere"
    )]
    output: Option<Look>,
    /// Short for `-o json`
    #[arg(long, global = true, conflicts_with = "output", help_heading = "Everywhere")]
    json: bool,
    /// The folder to look from for a running dropwire, or to start in
    #[arg(
        long,
        value_name = "DIR",
        global = true,
        default_value = ".",
        hide_default_value = true,
        help_heading = "Everywhere"
    )]
    dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start, and show what happens
    Up(up::Args),
    /// Stop the dropwire that runs here
    Down(down::Args),
    /// How the dropwire that runs here is
    Status(status::Args),
    /// Make a source emit an event
    Fire(fire::Args),
    /// Call a function
    Invoke(invoke::Args),
    /// Send an event again, as it was
    Replay(replay::Args),
    /// Follow events and logs
    Tail(tail::Args),
    /// One event: its record, its tries, what was logged
    Show(show::Args),
    /// Why an event reached what it reached, or why a function was not called
    Why(why::Args),
    /// Functions, wires, buckets, tables, topics, queues, events
    List(list::Args),
    /// What a function wrote
    Logs(logs::Args),
    /// Show, freeze, advance or speed up the simulated time
    Clock(clock::Args),
    /// Dead letters: list, show, redrive, drop
    Dead(dead::Args),
    /// A working example in 5 seconds
    Init(init::Args),
    /// Check the wiring file
    Check(check::Args),
    /// What an error code means
    Explain(explain::Args),
    /// Table files
    Table(table::Args),
    /// Print environment variables for the shell
    Env(env::Args),
    /// The installed aws command line, pointed here
    Aws(aws::Args),
    /// Print the shell's completion script
    Completions(completions::Args),
    /// Print what may follow these words
    #[command(hide = true)]
    Complete(completions::Words),
}

/// Runs the command line. The exit codes are in [`failure::exit`].
pub fn run() -> ExitCode {
    let began = Instant::now();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Whoever asked may be gone; that is no second error.
            error.print().ok();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(failure::exit::USAGE));
        }
    };
    let wish = if cli.json { Some(Look::Json) } else { cli.output };
    let voice = Voice::new(cli.command.name(), wish, cli.dir);
    let done = runtime(&cli.command).map_err(Failure::from).and_then(|runtime| {
        let done = runtime.block_on(cli.command.perform(&voice, began));
        // A blocked read of stdin must not keep the program from ending.
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            voice.complain(&failure);
            ExitCode::from(failure.exit)
        }
    }
}

impl Command {
    async fn perform(self, voice: &Voice, began: Instant) -> Done {
        match self {
            Command::Up(args) => up::run(voice, args, began).await,
            Command::Down(_) => down::run(voice).await,
            Command::Status(_) => status::run(voice).await,
            Command::Fire(args) => fire::run(voice, args).await,
            Command::Invoke(args) => invoke::run(voice, args).await,
            Command::Replay(args) => replay::run(voice, args).await,
            Command::Tail(args) => tail::run(voice, args).await,
            Command::Show(args) => show::run(voice, args).await,
            Command::Why(args) => why::run(voice, args).await,
            Command::List(args) => list::run(voice, args).await,
            Command::Logs(args) => logs::run(voice, args).await,
            Command::Clock(args) => clock::run(voice, args).await,
            Command::Dead(args) => dead::run(voice, args).await,
            Command::Init(args) => init::run(voice, args),
            Command::Check(args) => check::run(voice, args),
            Command::Explain(args) => explain::run(voice, args),
            Command::Table(args) => table::run(voice, args).await,
            Command::Env(args) => env::run(voice, args).await,
            Command::Aws(args) => aws::run(voice, args).await,
            Command::Completions(args) => completions::run(voice, args),
            Command::Complete(words) => completions::complete(voice, words).await,
        }
    }

    /// As it is typed.
    fn name(&self) -> &'static str {
        match self {
            Command::Up(_) => "up",
            Command::Down(_) => "down",
            Command::Status(_) => "status",
            Command::Fire(_) => "fire",
            Command::Invoke(_) => "invoke",
            Command::Replay(_) => "replay",
            Command::Tail(_) => "tail",
            Command::Show(_) => "show",
            Command::Why(_) => "why",
            Command::List(_) => "list",
            Command::Logs(_) => "logs",
            Command::Clock(_) => "clock",
            Command::Dead(_) => "dead",
            Command::Init(_) => "init",
            Command::Check(_) => "check",
            Command::Explain(_) => "explain",
            Command::Table(_) => "table",
            Command::Env(_) => "env",
            Command::Aws(_) => "aws",
            Command::Completions(_) => "completions",
            Command::Complete(_) => "complete",
        }
    }
}

/// Only the server has work for more than one thread.
fn runtime(command: &Command) -> std::io::Result<tokio::runtime::Runtime> {
    match command {
        Command::Up(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    }
    .enable_all()
    .build()
}

#[cfg(test)]
mod tests;
