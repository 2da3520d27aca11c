//! `dropwire clock`: shows, freezes, moves or speeds up the simulated time.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::ClockStart;
use crate::control::{ClockChange, ClockShown};
use clap::Subcommand;

use super::client::Client;
use super::failure::Done;
use super::page::{Page, fact};
use super::voice::Voice;
use super::words::{self, parse_duration};

/// What to do with it; without a word it is shown.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  dropwire clock
  dropwire clock freeze
  dropwire clock advance 12h
  dropwire clock set 2026-03-29T00:30:00Z
  dropwire clock rate x60
  dropwire clock next                 (jump to the next due thing)
  dropwire clock run")]
pub struct Args {
    #[command(subcommand)]
    change: Option<Change>,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Stand still; timers wait, events still flow
    Freeze,
    /// Move on; what falls due runs in order, each at its time
    Advance {
        /// How far: 90s, 5m, 12h, 1h30m
        #[arg(value_parser = parse_duration)]
        by: Duration,
    },
    /// Move to a time
    Set {
        /// When, as RFC 3339: 2026-03-29T00:30:00Z
        #[arg(value_parser = parse_time)]
        time: String,
    },
    /// Run on with real time
    Run,
    /// Run faster or slower
    Rate {
        /// Simulated seconds in a real one: x60
        #[arg(value_parser = parse_rate)]
        rate: f64,
    },
    /// Move on to the next due thing
    Next,
}

/// Shows or changes it.
pub async fn run(voice: &Voice, args: Args) -> Done {
    let client = Client::find(&voice.dir).await?;
    let before: ClockShown = client.get("clock").await?;
    let Some(change) = args.change else {
        return voice.answer(&before, |page| shown(&before, page));
    };
    let is_move = matches!(change, Change::Advance { .. } | Change::Set { .. } | Change::Next);
    let after: ClockShown = client.post("clock", &change.request()).await?;
    voice.answer(&after, |page| match is_move {
        true => moved(&before, &after, page),
        false => repaced(&after, page),
    })
}

/// `real`, `frozen`, `x60`, or a time, as `up --clock` takes it.
pub fn parse_start(text: &str) -> Result<ClockStart, String> {
    match text {
        "real" => Ok(ClockStart::Real),
        "frozen" => Ok(ClockStart::Frozen),
        _ if text.starts_with('x') => parse_rate(text).map(ClockStart::Scaled),
        _ => Timestamp::parse(text)
            .map(ClockStart::At)
            .ok_or_else(|| "write real, frozen, x60, or a time such as 2026-01-05T09:00:00Z".into()),
    }
}

/// What [`parse_start`] reads.
pub fn start_words(start: &ClockStart) -> String {
    match start {
        ClockStart::Real => "real".into(),
        ClockStart::Frozen => "frozen".into(),
        ClockStart::At(time) => time.iso_millis(),
        ClockStart::Scaled(rate) => format!("x{rate}"),
    }
}

impl Change {
    fn request(self) -> ClockChange {
        match self {
            Change::Freeze => ClockChange::Freeze,
            Change::Run => ClockChange::Run,
            Change::Next => ClockChange::Next,
            Change::Rate { rate } => ClockChange::Rate { rate },
            Change::Set { time } => ClockChange::Set { time },
            Change::Advance { by } => {
                let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
                ClockChange::Advance { millis }
            }
        }
    }
}

fn shown(clock: &ClockShown, page: Page) -> String {
    if !page.is_pretty() {
        let next = clock.next_due.as_ref().map_or(String::new(), |due| format!(" {}", fact("next_due", due)));
        return format!("{} {}{next}\n", fact("time", &clock.time), fact("pace", &clock.pace));
    }
    let next = match &clock.next_due {
        Some(due) => format!(
            "next: in {}, at {}",
            words::span(words::between(&clock.time, due)),
            words::date_and_time(due)
        ),
        None => "nothing is due".into(),
    };
    let pace = pace_words(&clock.pace);
    format!("{}   {pace}\n{}\n", page.name(&words::date_and_time(&clock.time)), page.aside(&next))
}

/// What a move came to: from when to when, and what was due on the way.
fn moved(before: &ClockShown, after: &ClockShown, page: Page) -> String {
    if !page.is_pretty() {
        let passed = after.passed.iter().map(|due| format!("passed {}\n", fact("due", due)));
        return passed.collect::<String>() + &shown(after, page);
    }
    let (from, to) = (words::date_and_time(&before.time), words::date_and_time(&after.time));
    let mut text = format!("{from} → {to}   {}\n", ran(after.passed.len()));
    for due in &after.passed {
        text.push_str(&format!("{}\n", words::date_and_time(due)));
    }
    text
}

/// What another pace came to.
fn repaced(after: &ClockShown, page: Page) -> String {
    let now = words::date_and_time(&after.time);
    match (page.is_pretty(), after.pace.as_str()) {
        (false, _) => shown(after, page),
        (true, "frozen") => format!("frozen at {now}. Timers wait. Events still flow.\n"),
        (true, pace) => format!("{now}   {}\n", pace_words(pace)),
    }
}

fn ran(passed: usize) -> String {
    match passed {
        0 => "nothing was due".into(),
        1 => "ran what was due at 1 time:".into(),
        _ => format!("ran what was due at {passed} times, in order:"),
    }
}

fn pace_words(pace: &str) -> String {
    match pace {
        "real" => "running, real time".into(),
        "frozen" => "frozen. Timers wait. Events still flow.".into(),
        "moved" => "running, not at the machine's time".into(),
        rate => format!("running at {rate}"),
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let digits = text.strip_prefix('x').unwrap_or(text);
    let plain = !digits.is_empty() && digits.chars().all(|sign| sign.is_ascii_digit() || sign == '.');
    let rate = digits.parse().ok().filter(|_| plain);
    rate.filter(|rate: &f64| (0.001..=100_000.0).contains(rate))
        .ok_or_else(|| "write x60 for 60 simulated seconds in a real one; x0.001 to x100000".into())
}

fn parse_time(text: &str) -> Result<String, String> {
    // The seconds may be left out, as people do.
    let whole = match text.strip_suffix('Z') {
        Some(time) if time.matches(':').count() == 1 => format!("{time}:00Z"),
        _ => text.to_owned(),
    };
    Timestamp::parse(&whole)
        .map(|time| time.iso_millis())
        .ok_or_else(|| "write a time such as 2026-03-29T00:30:00Z".into())
}

#[cfg(test)]
mod tests {
    use super::super::page::Look;
    use super::*;

    fn check_start(text: &str, expected: Option<ClockStart>) {
        assert_eq!(parse_start(text).ok(), expected, "{text}");
    }

    fn clock(time: &str, pace: &str, passed: &[&str]) -> ClockShown {
        ClockShown {
            time: time.into(),
            pace: pace.into(),
            next_due: None,
            passed: passed.iter().map(|due| (*due).to_owned()).collect(),
        }
    }

    #[test]
    fn starts_are_read_as_in_the_wiring_file() {
        check_start("real", Some(ClockStart::Real));
        check_start("frozen", Some(ClockStart::Frozen));
        check_start("x60", Some(ClockStart::Scaled(60.0)));
        check_start("1970-01-01T00:00:01Z", Some(ClockStart::At(Timestamp::from_millis(1000))));
        check_start("xinf", None);
        check_start("x0", None);
        check_start("noon", None);
    }

    #[test]
    fn changes_say_what_they_did() {
        let page = Page { look: Look::Pretty, columns: None };
        let noon = clock("2026-11-22T12:00:00.000Z", "frozen", &[]);
        let later = clock("2026-11-22T13:00:00.000Z", "frozen", &["2026-11-22T12:30:00.000Z"]);
        assert_eq!(
            repaced(&noon, page),
            "frozen at 2026-11-22 12:00:00 UTC. Timers wait. Events still flow.\n"
        );
        assert_eq!(
            moved(&noon, &later, page),
            "2026-11-22 12:00:00 UTC → 2026-11-22 13:00:00 UTC   ran what was due at 1 time:\n\
             2026-11-22 12:30:00 UTC\n"
        );
    }

    #[test]
    fn times_may_leave_out_the_seconds() {
        assert_eq!(parse_time("2026-03-29T00:30Z"), Ok("2026-03-29T00:30:00.000Z".into()));
        assert!(parse_time("tomorrow").is_err());
    }
}
