//! `dropwire down`: asks the dropwire that runs here to stop, and waits until it has.

use std::time::Duration;

use crate::clock::real;
use serde_json::json;

use super::client::Client;
use super::failure::{Done, Failure};
use super::voice::Voice;

/// A dropwire that is not gone after this hangs.
const STOP_MAX: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Stops.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  dropwire down\n  dropwire down --dir ../shop")]
pub struct Args {}

/// Stops the dropwire that runs here.
pub async fn run(voice: &Voice) -> Done {
    let client = Client::find(&voice.dir).await?;
    client.stop().await?;
    let pid = client.running.pid;
    let gone = async {
        while is_alive(pid) {
            real::sleep(LOOK_AGAIN).await;
        }
    };
    if real::within(STOP_MAX, gone).await.is_none() {
        let message =
            format!("dropwire (pid {pid}) was asked to stop and still runs after {} s", STOP_MAX.as_secs());
        return Err(Failure::too_late(
            message,
            format!("`kill {pid}` ends it; nothing that was stored is lost"),
        ));
    }
    voice.answer(&json!({ "pid": pid }), |_| format!("stopped (pid {pid})"))
}

#[cfg(unix)]
fn is_alive(pid: u32) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok() && !is_unreaped(pid)
}

/// It has ended, and only whoever started it has not asked how: then its number lives on.
#[cfg(unix)]
fn is_unreaped(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before it, in brackets, may hold anything.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
}

/// Without signals, the answer to `stop` has to do.
#[cfg(not(unix))]
fn is_alive(_pid: u32) -> bool {
    false
}
