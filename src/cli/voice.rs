//! How a command speaks: results on stdout in the look that was asked for, everything else on stderr.

use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};

use super::failure::{Done, Failure};
use super::page::{Look, Page, Tone};
use super::terminal;

/// The version of the JSON that commands print.
pub const JSON_VERSION: u8 = 1;

/// One command's way to speak.
#[derive(Clone, Debug)]
pub struct Voice {
    /// What results are written on.
    pub page: Page,
    /// The folder it was called for.
    pub dir: PathBuf,
    command: &'static str,
}

impl Voice {
    /// Speaks for `command`. Without a wish it is pretty on a screen, else plain.
    pub fn new(command: &'static str, wish: Option<Look>, dir: PathBuf) -> Voice {
        let look = wish.unwrap_or(if terminal::is_screen() { Look::Pretty } else { Look::Plain });
        let columns = match look {
            Look::Pretty => terminal::columns(),
            _ => None,
        };
        let page = Page { look, columns };
        Voice { page, dir, command }
    }

    /// Prints a result: the JSON envelope around `data`, or what `text` makes of it.
    pub fn answer<T: Serialize>(&self, data: &T, text: impl FnOnce(Page) -> String) -> Done {
        match self.page.look {
            Look::Json => self.envelope(serde_json::to_value(data).unwrap_or_default(), None)?,
            _ => self.print(&text(self.page))?,
        }
        Ok(0)
    }

    /// Prints text to stdout as it is, a line end added where it has none.
    pub fn print(&self, text: &str) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.is_empty() && !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// Prints one object of a stream of JSON.
    pub fn print_json<T: Serialize>(&self, object: &T) -> io::Result<()> {
        let mut text = serde_json::to_string(object)?;
        text.push('\n');
        self.print(&text)
    }

    /// Says something that is no result.
    pub fn remark(&self, text: &str) {
        // Nobody to listen is no reason to fail.
        writeln!(anstream::stderr(), "{text}").ok();
    }

    /// Says why the command failed.
    pub fn complain(&self, failure: &Failure) {
        if failure.is_nobody_reading() {
            return;
        }
        if self.page.look == Look::Json {
            let data = failure.data.as_deref().cloned().unwrap_or(Value::Null);
            self.envelope(data, Some(failure)).ok();
            return;
        }
        self.remark(failure_text(failure).trim_end());
    }

    fn envelope(&self, data: Value, error: Option<&Failure>) -> io::Result<()> {
        self.print_json(&json!({
            "v": JSON_VERSION,
            "command": self.command,
            "ok": error.is_none(),
            "data": data,
            "warnings": [],
            "error": error,
        }))
    }
}

/// `error[E404]: …`, the hint below it, and what to try.
fn failure_text(failure: &Failure) -> String {
    if let Some(text) = &failure.text {
        return text.to_string();
    }
    let page = Page { look: Look::Pretty, columns: None };
    let head = page.tone(Tone::Bad, &format!("error[{}]", failure.code));
    let mut text = format!("{head}: {}\n", failure.message);
    if !failure.hint.is_empty() {
        text.push_str(&format!("  hint: {}\n", failure.hint));
    }
    let said = |command: &&String| !failure.hint.contains(command.as_str());
    for command in failure.try_.iter().filter(said) {
        text.push_str(&format!("  try:  {command}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(failure: Failure, expected: &str) {
        let text = failure_text(&failure);
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), expected);
    }

    #[test]
    fn failures_say_a_way_out_once() {
        check(Failure::no_server(), "error[E503]: no server is running here\n  hint: `dropwire up` first\n");
        check(
            Failure::not_found("no event `e9zz`", "").trying("dropwire list events"),
            "error[E404]: no event `e9zz`\n  try:  dropwire list events\n",
        );
    }
}
