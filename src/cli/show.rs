//! `dropwire show`: one event, its tries, and what was logged.

use crate::control::functions::{FunctionShown, InvocationShown};
use crate::control::{AttemptShown, DeliveryShown, EventShown};

use super::client::{Client, encoded, event_id};
use super::failure::{Done, Failure};
use super::page::{Page, aligned, fact};
use super::story;
use super::voice::Voice;
use super::words;

mod function;

/// How many lines of a record or log are shown without being asked for all.
const LINES_SHOWN: usize = 6;

/// Which event.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  dropwire show e7k2
  dropwire show e7k2 --event > event.json
  dropwire show e7k2.1 --logs
  dropwire show hello                  (a function: its versions, environments, counts)")]
pub struct Args {
    /// The event, or one attempt; a function; a direct invocation
    id: String,
    /// Print the record, and nothing else
    #[arg(long, conflicts_with = "logs")]
    event: bool,
    /// Show all of what was logged
    #[arg(long)]
    logs: bool,
}

/// Shows it.
pub async fn run(voice: &Voice, args: Args) -> Done {
    let client = Client::find(&voice.dir).await?;
    let found: Result<EventShown, Failure> =
        client.get(&format!("events/{}", encoded(event_id(&args.id)))).await;
    let event = match found {
        Ok(event) => event,
        // Neither a function nor a direct invocation has a record.
        Err(failure) if args.event => return Err(failure),
        // It is no event: perhaps a function, or a direct invocation.
        Err(failure) => return other(voice, &client, &args.id).await.unwrap_or(Err(failure)),
    };
    if args.event {
        return voice.answer(&event.record, |_| format!("{:#}", event.record));
    }
    let attempt = args.id.split_once('.').and_then(|(_, number)| number.parse().ok());
    let log_lines = if args.logs { usize::MAX } else { LINES_SHOWN };
    voice.answer(&event, |page| match page.is_pretty() {
        true => pretty(&event, page, attempt, log_lines),
        false => plain(&event, attempt, log_lines),
    })
}

/// A function or a direct invocation of this name, if there is one.
async fn other(voice: &Voice, client: &Client, id: &str) -> Option<Done> {
    if let Ok(shown) = client.get::<FunctionShown>(&format!("functions/{}", encoded(id))).await {
        return Some(voice.answer(&shown, |page| match page.is_pretty() {
            true => function::pretty(&shown, page),
            false => function::plain(&shown),
        }));
    }
    // Request ids are hexadecimal; anything shorter than what is printed names none.
    let is_id = id.len() >= 8 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let path = format!("invocations/{}", encoded(id));
    let shown = client.get::<InvocationShown>(&path).await.ok().filter(|_| is_id)?;
    Some(voice.answer(&shown, |page| function::invocation(&shown, page)))
}

fn pretty(event: &EventShown, page: Page, attempt: Option<u32>, log_lines: usize) -> String {
    let cause = event.cause.as_ref().map_or(String::new(), |cause| format!("   cause: {cause}"));
    let place = story::place(&event.source, &event.name, &words::harmless(&event.subject));
    let mut text = format!(
        "{}  {} {}   {}   {}{cause}\n",
        page.name(&event.id),
        event.source,
        place,
        event.event,
        words::time_of_day(&event.at)
    );
    if event.deliveries.is_empty() {
        text.push_str(&page.aside("no wire wanted it\n"));
    }
    for delivery in &event.deliveries {
        text.push_str(&delivery_words(delivery, page));
        let rows: Vec<Vec<String>> =
            wanted(delivery, attempt).map(|attempt| attempt_row(attempt, page)).collect();
        text.push_str(&aligned(&rows));
        for attempt in wanted(delivery, attempt)
            .filter(|attempt| log_lines == usize::MAX || own_lines(&attempt.log).next().is_some())
        {
            text.push_str(&log_words(attempt, page, log_lines));
        }
    }
    let record = event.record.to_string();
    let room = page.columns.unwrap_or(100).saturating_sub(30).max(20);
    text.push_str(&format!(
        "event   {}   {}\n",
        words::cut(&record, room),
        page.aside("--event for all of it")
    ));
    let id = &event.id;
    text.push_str(&page.aside(&format!("Next:   dropwire replay {id}     dropwire why {id}\n")));
    text
}

fn delivery_words(delivery: &DeliveryShown, page: Page) -> String {
    let state = match delivery.state.as_str() {
        "done" => page.good("done"),
        "given up" => page.bad("given up"),
        other => other.to_owned(),
    };
    let due =
        delivery.due.as_ref().map_or(String::new(), |due| format!(", due at {}", words::time_of_day(due)));
    let reason = delivery.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
    format!("→ {}   {state}{due}{reason}   {}\n", page.name(&delivery.function), page.aside(&delivery.wire))
}

fn attempt_row(attempt: &AttemptShown, page: Page) -> Vec<String> {
    let sign = if attempt.error.is_none() { page.good("✓") } else { page.bad("✗") };
    let init = attempt.init_ms.map_or(String::new(), |init| format!(" (start {})", words::took(init)));
    vec![
        format!("  #{} {sign} {}", attempt.number, words::time_of_day(&attempt.at)),
        format!("{}{init}", words::took(attempt.duration_ms)),
        words::harmless(attempt.error.as_deref().unwrap_or("")),
    ]
}

fn log_words(attempt: &AttemptShown, page: Page, most: usize) -> String {
    let lines: Vec<&str> = match most {
        usize::MAX => attempt.log.lines().collect(),
        _ => own_lines(&attempt.log).collect(),
    };
    let hidden = lines.len().saturating_sub(most);
    let mut text = String::new();
    for (number, line) in lines.iter().skip(hidden).enumerate() {
        let label = if number == 0 { format!("log #{}", attempt.number) } else { String::new() };
        text.push_str(&format!("{label:<8}{}\n", page.aside(&words::harmless(line))));
    }
    if hidden > 0 {
        text.push_str(&page.aside(&format!("        {hidden} lines before; --logs for all of it\n")));
    }
    text
}

/// What the function itself wrote, without the platform's lines around it.
fn own_lines(log: &str) -> impl Iterator<Item = &str> {
    let marks = ["START RequestId: ", "END RequestId: ", "REPORT RequestId: ", "INIT_START ", "INIT_REPORT "];
    log.lines().filter(move |line| !marks.iter().any(|mark| line.starts_with(mark)))
}

fn plain(event: &EventShown, attempt: Option<u32>, log_lines: usize) -> String {
    let mut facts =
        vec![event.at.clone(), "event".into(), fact("id", &event.id), fact("source", &event.source)];
    facts.extend([fact("name", &event.name), fact("event", &event.event), fact("subject", &event.subject)]);
    facts.extend(event.cause.iter().map(|cause| fact("cause", cause)));
    let mut text = format!("{}\n", facts.join(" "));
    for delivery in &event.deliveries {
        let mut facts =
            vec!["delivery".into(), fact("function", &delivery.function), fact("wire", &delivery.wire)];
        facts.push(fact("state", &delivery.state));
        facts.extend(delivery.due.iter().map(|due| fact("due", due)));
        facts.extend(delivery.reason.iter().map(|reason| fact("reason", reason)));
        text.push_str(&format!("{}\n", facts.join(" ")));
        for attempt in wanted(delivery, attempt) {
            let id = format!("{}.{}", event.id, attempt.number);
            let mut facts = vec!["attempt".into(), fact("id", &id), fact("function", &delivery.function)];
            facts.extend([fact("at", &attempt.at), format!("duration_ms={}", attempt.duration_ms)]);
            facts.push(fact("request_id", &attempt.request_id));
            facts.extend(attempt.error.iter().map(|error| fact("error", error)));
            text.push_str(&format!("{}\n", facts.join(" ")));
            let lines: Vec<&str> = attempt.log.lines().collect();
            for line in lines.iter().skip(lines.len().saturating_sub(log_lines)) {
                text.push_str(&format!("log {} {}\n", fact("id", &id), fact("text", line)));
            }
        }
    }
    text
}

/// The attempts to show: all, or the one asked for.
fn wanted(delivery: &DeliveryShown, number: Option<u32>) -> impl Iterator<Item = &AttemptShown> {
    delivery.attempts.iter().filter(move |attempt| number.is_none_or(|number| attempt.number == number))
}
