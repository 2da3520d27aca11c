//! `up --detach`: starts the same program in the background and waits until it answers.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::clock::real;

use super::banner;
use super::client::{Client, STATE_FOLDER};
use super::failure::{Done, Failure};
use super::page::Look;
use super::voice::Voice;

/// What the background process writes.
const LOG_FILE: &str = "up.log";
/// One that has not come up after this is given up.
const START_MAX: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How many of its last lines are shown if it fails.
const LINES_SHOWN: usize = 20;

/// Starts `dropwire` with these words for the folder `root`, and prints the headline once it answers.
pub async fn run(voice: &Voice, root: &Path, words: Vec<OsString>) -> Done {
    let log = root.join(STATE_FOLDER).join(LOG_FILE);
    let mut child = spawn(root, &log, words).map_err(|error| {
        Failure::start("E504", format!("the background process cannot be started: {error}"), "")
    })?;
    let came_up = real::within(START_MAX, answer(root, &mut child)).await;
    let Some(Some(client)) = came_up else {
        // Nobody would look after one that comes up later.
        child.kill().ok();
        return Err(failure(&log));
    };
    let status = client.status().await?;
    match voice.page.look {
        Look::Pretty => voice.print(&banner::headline(&status, voice.page))?,
        look => match look {
            Look::Json => return voice.answer(&status, |_| String::new()),
            _ => voice.print(&banner::render(&status, &[], voice.page, false))?,
        },
    }
    voice.remark("  in the background: `dropwire tail` follows, `dropwire down` stops it");
    Ok(0)
}

fn spawn(root: &Path, log: &Path, words: Vec<OsString>) -> std::io::Result<Child> {
    let state = root.join(STATE_FOLDER);
    fs::create_dir_all(&state)?;
    let ignore = state.join(".gitignore");
    if !ignore.exists() {
        fs::write(ignore, "*\n")?;
    }
    let out = OpenOptions::new().create(true).write(true).truncate(true).open(log)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(words).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
    // A group of its own: the terminal's Ctrl-C is not for it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn()
}

/// Waits until it answers; none if it ended.
async fn answer(root: &Path, child: &mut Child) -> Option<Client> {
    loop {
        if let Some(client) = Client::of(root).await {
            return Some(client);
        }
        if !matches!(child.try_wait(), Ok(None)) {
            return None;
        }
        real::sleep(LOOK_AGAIN).await;
    }
}

fn failure(log: &Path) -> Failure {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n");
    let message = format!("dropwire did not come up; the end of {}:\n{last}", log.display());
    Failure::start("E504", message, "`dropwire up` without --detach shows it all")
}
