//! `dropwire logs`: what a function wrote, and with `-f` what it writes.

use std::collections::HashSet;

use crate::control::LogShown;
use crate::timeline::Moment;

use super::client::{Client, encoded};
use super::failure::Done;
use super::page::{Look, Page, fact};
use super::voice::{JSON_VERSION, Voice};
use super::words;

/// Whose.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  dropwire logs hello
  dropwire logs hello -f
  dropwire logs hello -n 3")]
pub struct Args {
    /// The function
    function: String,
    /// Go on with what it writes from now on
    #[arg(short, long)]
    follow: bool,
    /// How many attempts back
    #[arg(short = 'n', long = "last", value_name = "N", default_value_t = 20)]
    limit: u32,
}

/// Shows them.
pub async fn run(voice: &Voice, args: Args) -> Done {
    let client = Client::find(&voice.dir).await?;
    // To listen before reading what is past: a line must not fall between the two.
    let lines = match args.follow {
        true => Some(client.follow().await?),
        false => None,
    };
    let path = format!("logs/{}?limit={}", encoded(&args.function), args.limit);
    let past: Vec<LogShown> = client.get(&path).await?;
    let Some(mut lines) = lines else {
        return voice.answer(&past, |page| past.iter().map(|log| past_text(log, page)).collect());
    };
    let seen: HashSet<&str> = past.iter().map(|log| log.id.as_str()).collect();
    for log in &past {
        voice.print(&past_text(log, voice.page))?;
    }
    while let Some(told) = lines.next().await {
        if let Moment::Line { id, function, text } = &told.moment
            && *function == args.function
            && !id.as_deref().is_some_and(|id| seen.contains(id))
        {
            let id = id.as_deref().unwrap_or("-");
            voice.print(&line(&told.at.iso_millis(), id, text, voice.page))?;
        }
    }
    voice.remark("the server stopped");
    Ok(0)
}

fn past_text(log: &LogShown, page: Page) -> String {
    log.log.lines().map(|text| line(&log.at, &log.id, text, page)).collect()
}

fn line(at: &str, id: &str, text: &str, page: Page) -> String {
    match page.look {
        Look::Json => {
            let line =
                serde_json::json!({ "v": JSON_VERSION, "at": at, "kind": "line", "id": id, "text": text });
            format!("{line}\n")
        }
        Look::Plain => format!("{at} {} {}\n", fact("id", id), fact("text", text)),
        Look::Pretty => {
            let head = format!("{}  {id:<8}", words::time_of_day(at));
            format!("{} {}\n", page.aside(&head), words::harmless(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(look: Look, expected: &str) {
        let page = Page { look, columns: None };
        let text = line("2026-01-05T09:00:00.001Z", "e7k2.1", "hi there", page);
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), expected);
    }

    #[test]
    fn a_line_in_each_look() {
        check(Look::Pretty, "09:00:00.001  e7k2.1   hi there\n");
        check(Look::Plain, "2026-01-05T09:00:00.001Z id=e7k2.1 text=\"hi there\"\n");
        check(
            Look::Json,
            "{\"v\":1,\"at\":\"2026-01-05T09:00:00.001Z\",\"kind\":\"line\",\"id\":\"e7k2.1\",\"text\":\"hi there\"}\n",
        );
    }
}
