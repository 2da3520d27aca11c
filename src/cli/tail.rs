//! `dropwire tail`: follows events, attempts and what functions write, from outside.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::control::{ClockShown, EventListed};
use crate::timeline::{Moment, Told};

use super::client::{Client, encoded, event_id};
use super::failure::{Done, Failure};
use super::feed::{Fed, Feed};
use super::page::{Look, Page, fact};
use super::story::{self, Detail, Story};
use super::voice::{JSON_VERSION, Voice};
use super::words::{self, parse_duration};

/// How many past events one question asks for.
const PAST_PAGE: usize = 500;
/// How many events are remembered, so that a failed attempt can be shown with its event.
const REMEMBERED_MAX: usize = 4096;

/// What to follow.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  dropwire tail
  dropwire tail --failed
  dropwire tail --fn thumbnail --grep cat
  dropwire tail --since 5m --json")]
pub struct Args {
    /// Only events of this kind of source: s3, table, topic
    #[arg(long, value_name = "KIND", value_parser = source)]
    source: Option<String>,
    /// Only this function
    #[arg(long = "fn", value_name = "FUNCTION")]
    function: Option<String>,
    /// Only what failed
    #[arg(long)]
    failed: bool,
    /// Show what came in this much (simulated) time before, first
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    since: Option<Duration>,
    /// Only lines that contain this text (as it is: no regular expression)
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
}

/// Follows until the server ends, or Ctrl-C.
pub async fn run(voice: &Voice, args: Args) -> Done {
    let client = Client::find(&voice.dir).await?;
    let mut feed = Feed::elsewhere(client.follow().await?);
    if let Some(since) = args.since {
        voice.print(&past(&client, voice.page, &args, since).await?)?;
    }
    let mut story = Story::new(voice.page, Detail::Everything);
    let mut sieve = Sieve::new(args);
    let mut pending = String::new();
    loop {
        tokio::select! {
            biased;
            fed = feed.next() => match fed {
                Fed::Told(told) => sieve.sift(told).iter().for_each(|told| pending.push_str(&story.tell(told))),
                Fed::Missed(count) => pending.push_str(&story.missed(count)),
                Fed::Over => {
                    voice.print(&pending)?;
                    voice.remark("the server stopped");
                    return Ok(0);
                }
            },
            () = std::future::ready(()), if !pending.is_empty() => {
                voice.print(&std::mem::take(&mut pending))?;
            }
        }
    }
}

/// What the flags let pass.
struct Sieve {
    args: Args,
    /// Recent events in the order they came: those that passed, and those that wait for a failed attempt.
    recent: std::collections::VecDeque<(String, Arc<Told>, bool)>,
}

impl Sieve {
    fn new(args: Args) -> Sieve {
        Sieve { args, recent: Default::default() }
    }

    /// What to show now that this was told: nothing, it, or its event and it.
    fn sift(&mut self, told: Arc<Told>) -> Vec<Arc<Told>> {
        if let Moment::Emitted { id, .. } = &told.moment {
            let of_source = self.args.source.as_ref().is_none_or(|source| source_of(&told.moment) == source);
            let passes = of_source && !self.args.failed && self.is_wanted(&told.moment);
            if of_source {
                self.recent.push_back((id.clone(), told.clone(), passes));
            }
            if self.recent.len() > REMEMBERED_MAX {
                self.recent.pop_front();
            }
            return if passes { vec![told] } else { Vec::new() };
        }
        if !self.is_wanted(&told.moment) {
            return Vec::new();
        }
        let mut shown = Vec::new();
        match attempt_of(&told.moment) {
            None if self.args.source.is_some() => return Vec::new(),
            None => {}
            Some(id) => match self.recent.iter_mut().rfind(|(event, _, _)| event == event_id(id)) {
                Some((_, event, seen)) if !*seen => {
                    *seen = true;
                    shown.push(event.clone());
                }
                Some(_) => {}
                None if self.args.source.is_some() => return Vec::new(),
                None => {}
            },
        }
        // The event is only context: a search must not bring it up.
        if self.args.grep.is_some() {
            shown.clear();
        }
        shown.push(told);
        shown
    }

    fn is_wanted(&self, moment: &Moment) -> bool {
        let of_function = self.args.function.as_ref().is_none_or(|wanted| match moment {
            Moment::Emitted { wanted_by, .. } => wanted_by.contains(wanted),
            Moment::Started { function, .. }
            | Moment::Line { function, .. }
            | Moment::Ended { function, .. } => function == wanted,
            Moment::Invoked { function, .. } => function.split(':').next() == Some(wanted.as_str()),
            Moment::Notice { .. } => false,
        });
        let failed = !self.args.failed
            || matches!(moment, Moment::Ended { ok: false, .. } | Moment::Invoked { ok: false, .. });
        let matches = || self.args.grep.as_ref().is_none_or(|text| story::plain_facts(moment).contains(text));
        of_function && failed && matches()
    }
}

fn source_of(moment: &Moment) -> &str {
    match moment {
        Moment::Emitted { source, .. } => source,
        _ => "",
    }
}

fn attempt_of(moment: &Moment) -> Option<&str> {
    match moment {
        Moment::Started { id, .. } | Moment::Ended { id, .. } => Some(id),
        Moment::Line { id, .. } => id.as_deref(),
        _ => None,
    }
}

/// The kinds as the wiring file calls them; AWS's names are understood.
fn source(text: &str) -> Result<String, String> {
    match text {
        "s3" | "table" | "topic" => Ok(text.to_owned()),
        "bucket" => Ok("s3".into()),
        "dynamodb" => Ok("table".into()),
        "sns" => Ok("topic".into()),
        _ => Err("s3, table and topic are the sources of this version".into()),
    }
}

/// The events that came in the time before, oldest first.
async fn past(client: &Client, page: Page, args: &Args, since: Duration) -> Result<String, Failure> {
    let clock: ClockShown = client.get("clock").await?;
    let from = Timestamp::parse(&clock.time).map_or(0, |now| now.as_millis()) - since.as_millis() as i64;
    let mut filters = String::new();
    for (key, value) in [("source", &args.source), ("fn", &args.function)] {
        if let Some(value) = value {
            filters.push_str(&format!("&{key}={}", encoded(value)));
        }
    }
    if args.failed {
        filters.push_str("&failed=1");
    }
    let mut found: Vec<EventListed> = Vec::new();
    loop {
        let before = found.first().map_or(String::new(), |event| format!("&before={}", encoded(&event.id)));
        let mut older: Vec<EventListed> =
            client.get(&format!("events?limit={PAST_PAGE}{filters}{before}")).await?;
        let asked_all = older.len() < PAST_PAGE;
        let count = older.len();
        older.retain(|event| Timestamp::parse(&event.at).is_some_and(|at| at.as_millis() >= from));
        let reached = older.len() < count;
        older.append(&mut found);
        found = older;
        if asked_all || reached {
            break;
        }
    }
    let lines = found.iter().map(|event| past_line(event, page));
    Ok(lines.filter(|line| args.grep.as_ref().is_none_or(|text| line.contains(text))).collect())
}

/// A past event on one line, with what became of it.
pub fn past_line(event: &EventListed, page: Page) -> String {
    let subject = words::harmless(&event.subject);
    match page.look {
        Look::Json => {
            let line = serde_json::json!({
                "v": JSON_VERSION, "at": event.at, "kind": "past", "id": event.id, "source": event.source,
                "name": event.name, "event": event.event, "subject": event.subject, "deliveries": event.deliveries,
            });
            format!("{line}\n")
        }
        Look::Plain => {
            let mut facts =
                vec![event.at.clone(), "event".into(), fact("id", &event.id), fact("source", &event.source)];
            facts.extend([
                fact("name", &event.name),
                fact("event", &event.event),
                fact("subject", &event.subject),
            ]);
            facts.extend(event.deliveries.iter().map(|delivery| fact("delivery", delivery)));
            format!("{}\n", facts.join(" "))
        }
        Look::Pretty => {
            let time = page.aside(words::time_of_day(&event.at));
            let place = story::place(&event.source, &event.name, &subject);
            let room = page
                .columns
                .map_or(usize::MAX, |columns| columns.saturating_sub(21 + event.id.len() + 2).max(20));
            let text = format!("{place}  {}   {}", event.event, event.deliveries.join(" · "));
            format!(
                "{time}  {}  {:<6} {}\n",
                page.name(&event.id),
                event.source,
                words::cut(text.trim_end(), room)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::samples::{emitted, failed, started, succeeded, told};
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn check(flags: &[&str], expected: &[&str]) {
        let words = ["tail"].iter().chain(flags);
        let mut sieve = Sieve::new(Line::parse_from(words).args);
        let moments = [
            emitted("e1", None),
            started("e1.1", "thumbnail"),
            succeeded("e1.1"),
            emitted("e2", None),
            failed("e2.1"),
        ];
        let shown: Vec<String> = moments
            .into_iter()
            .flat_map(|moment| sieve.sift(Arc::new(told(moment))))
            .map(|told| story::plain_facts(&told.moment).split(' ').take(2).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(shown, expected, "{flags:?}");
    }

    #[test]
    fn the_flags_let_pass_what_they_say() {
        check(&[], &["emitted id=e1", "started id=e1.1", "ended id=e1.1", "emitted id=e2", "ended id=e2.1"]);
        check(&["--failed"], &["emitted id=e2", "ended id=e2.1"]);
        check(&["--fn", "notify"], &["emitted id=e2", "ended id=e2.1"]);
        check(&["--source", "sns"], &[]);
        check(&["--grep", "Timeout"], &["ended id=e2.1"]);
    }
}
