//! What the command line knows of the terminal and of the environment variables: the one place that asks.

use std::io::IsTerminal;
use std::process::{Command, Stdio};

/// The value of an environment variable, if it is set and not empty.
#[expect(clippy::disallowed_methods, reason = "the one place where the command line reads the environment")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether results go to a person's screen.
pub fn is_screen() -> bool {
    std::io::stdout().is_terminal() && variable("TERM").as_deref() != Some("dumb")
}

/// Whether somebody can answer: stdin and stderr are a terminal, and no build server runs us.
pub fn is_attended() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && variable("CI").is_none()
}

/// How many columns the screen has; none if it is no screen or it does not say.
pub fn columns() -> Option<usize> {
    if !is_screen() {
        return None;
    }
    let told = variable("COLUMNS").and_then(|text| text.parse().ok());
    told.or_else(asked_columns).filter(|columns| *columns >= 20)
}

/// Whether error output may carry colours.
pub fn is_stderr_coloured() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

/// `stty` with these words, on our own terminal; what it printed, if it succeeded.
pub fn stty(words: &[&str]) -> Option<String> {
    let mut command = Command::new("stty");
    command.args(words).stdin(Stdio::inherit()).stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

/// Asking the driver needs an unsafe call, so `stty`, which every Unix has, does it for us.
fn asked_columns() -> Option<usize> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    let size = stty(&["size"])?;
    size.split_whitespace().nth(1)?.parse().ok()
}
