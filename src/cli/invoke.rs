//! `dropwire invoke`: calls a function and waits for its answer.

use std::io::Read;

use crate::control::Invoked;

use super::client::{Client, encoded};
use super::failure::{Done, Failure};
use super::page::Look;
use super::voice::Voice;
use super::words;

/// Whom to call with what.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  dropwire invoke hello '{\"name\":\"Ada\"}'
  dropwire invoke hello @event.json > answer.json
  echo '{}' | dropwire invoke hello -

The answer goes to stdout, the function's log to stderr. Exit code 7 when the function fails.")]
pub struct Args {
    /// The function
    function: String,
    /// JSON, @FILE, or - for stdin
    #[arg(default_value = "{}", hide_default_value = true)]
    payload: String,
}

/// Calls the function.
pub async fn run(voice: &Voice, args: Args) -> Done {
    let payload = text_of(&args.payload)?;
    let client = Client::find(&voice.dir).await?;
    let path = format!("invoke/{}", encoded(&args.function));
    let invoked: Invoked = client.post_bytes(&path, payload.into()).await?;
    if voice.page.look != Look::Json {
        if !invoked.log.is_empty() {
            voice.remark(invoked.log.trim_end());
        }
        voice.print(&invoked.payload)?;
    }
    if !invoked.ok {
        let reason = invoked.error.as_deref().unwrap_or("it gave no reason");
        let message =
            format!("{} failed after {}: {reason}", args.function, words::took(invoked.duration_ms));
        let mut failure = Failure::function(message, "").trying(format!("dropwire logs {}", args.function));
        failure.data = serde_json::to_value(&invoked).ok().map(Box::new);
        return Err(failure);
    }
    match voice.page.look {
        Look::Json => voice.answer(&invoked, |_| String::new()),
        _ => Ok(0),
    }
}

/// The text itself, or what `@FILE` or `-` stand for.
pub fn text_of(text: &str) -> Result<String, Failure> {
    if text == "-" {
        let mut read = String::new();
        std::io::stdin()
            .read_to_string(&mut read)
            .map_err(|error| Failure::usage(format!("stdin cannot be read: {error}"), ""))?;
        return Ok(read);
    }
    let Some(file) = text.strip_prefix('@') else {
        return Ok(text.to_owned());
    };
    std::fs::read_to_string(file).map_err(|error| {
        Failure::usage(format!("{file} cannot be read: {error}"), "after `@` stands a file's path")
    })
}
