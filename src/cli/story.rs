//! The live view: moments as lines that people read. Indentation is causality.

use std::collections::{HashMap, VecDeque};

use crate::timeline::{Moment, Told};
use serde::Serialize;

use super::client::event_id;
use super::page::{Look, Page, Tone, fact};
use super::voice::JSON_VERSION;
use super::words;
use row::{Row, TIME_WIDTH, ended_words, event_words, indent, invoked_words};

mod row;

pub use row::place;

/// How many events and attempts are remembered, to indent and to finish what they cause.
const REMEMBERED_MAX: usize = 8192;
/// How many of a failed attempt's last lines are shown below it.
const LAST_LINES_MAX: usize = 5;
/// Deeper chains are not indented further.
const LEVEL_MAX: usize = 9;

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Only what failed, and notices.
    Failures,
    /// Events and how their deliveries ended.
    Chain,
    /// Also when attempts begin, and every line that functions write.
    Everything,
}

/// Turns moments into lines, remembering what caused what.
pub struct Story {
    page: Page,
    detail: Detail,
    depths: HashMap<String, usize>,
    attempts: HashMap<Running, Attempt>,
    oldest: VecDeque<Running>,
}

/// The id of an attempt, which all functions of an event have in common, and the function; or of an event, and nothing.
type Running = (String, String);

/// What is remembered of an attempt that runs.
#[derive(Default)]
struct Attempt {
    batch: usize,
    lines: VecDeque<String>,
}

impl Story {
    /// Nothing has happened yet.
    pub fn new(page: Page, detail: Detail) -> Story {
        Story { page, detail, depths: HashMap::new(), attempts: HashMap::new(), oldest: VecDeque::new() }
    }

    /// The lines for a moment, each with its end; empty if it is not worth one.
    pub fn tell(&mut self, told: &Told) -> String {
        match self.page.look {
            Look::Json => json_line(told),
            Look::Plain => self.plain(told),
            Look::Pretty => self.pretty(told),
        }
    }

    /// The line for moments that came too fast to show.
    pub fn missed(&self, count: u64) -> String {
        match self.page.look {
            Look::Json => format!("{{\"v\":{JSON_VERSION},\"kind\":\"missed\",\"count\":{count}}}\n"),
            Look::Plain => format!("missed count={count}\n"),
            Look::Pretty => self.page.aside(&format!("… {count} moments not shown\n")),
        }
    }

    fn plain(&self, told: &Told) -> String {
        match &told.moment {
            _ if self.detail == Detail::Failures && !is_trouble(&told.moment) => String::new(),
            moment => format!("{} {}\n", told.at, plain_facts(moment)),
        }
    }

    fn pretty(&mut self, told: &Told) -> String {
        let time = told.at.iso_millis();
        let time = words::time_of_day(&time);
        match &told.moment {
            Moment::Emitted { .. } => self.emitted(time, &told.moment),
            Moment::Started { id, function, batch, .. } => {
                self.remember(id, function);
                let attempt = self.attempts.entry((id.clone(), function.clone())).or_default();
                attempt.batch = *batch;
                match self.detail {
                    Detail::Everything => self.started(time, id, function),
                    _ => String::new(),
                }
            }
            Moment::Line { id, function, text } => self.line(id.as_deref(), function, text),
            Moment::Ended { .. } => self.ended(time, told),
            Moment::Invoked { .. } => self.invoked(time, &told.moment),
            Moment::Notice { level, text } => self.notice(time, level, text),
        }
    }

    fn emitted(&mut self, time: &str, moment: &Moment) -> String {
        let Moment::Emitted { id, cause, unwanted, wanted_by, .. } = moment else {
            return String::new();
        };
        let depth = cause.as_ref().and_then(|cause| self.depth_of(cause));
        let depth_here = depth.map_or(0, |depth| depth + 1);
        self.remember(id, "");
        self.depths.insert(id.clone(), depth_here);
        if self.detail == Detail::Failures {
            return String::new();
        }
        let level = (depth_here * 2).min(LEVEL_MAX);
        let mut row = Row::at(level);
        if level > 0 {
            row.add(Tone::Aside, "└─  ");
        }
        let (source, place, rest) = event_words(moment);
        let width = if level > 0 { 4 } else { 7 };
        row.add(Tone::Body, &format!("{:<width$}", format!("{source} ")));
        row.add_flexible(&place);
        if !rest.is_empty() {
            row.add(Tone::Aside, &format!("  {rest}"));
        }
        if let (Some(cause), None) = (cause, depth) {
            row.add(Tone::Aside, &format!("  {}", cause_words(cause)));
        }
        let mut text = row.write(self.page, time, id);
        if wanted_by.is_empty() {
            let reason =
                unwanted.as_deref().map_or(String::new(), |why| format!(": {}", words::harmless(why)));
            let below = if level > 0 { indent(level) + 4 } else { 0 };
            text.push_str(&self.below(below, &format!("no wire wants it{reason}")));
        }
        text
    }

    fn started(&self, time: &str, id: &str, function: &str) -> String {
        let mut row = Row::at(self.attempt_level(id));
        row.add(Tone::Aside, "└─ …   ");
        row.add(Tone::Body, function);
        row.add(Tone::Aside, "  started");
        row.write(self.page, time, id)
    }

    fn line(&mut self, id: Option<&str>, function: &str, text: &str) -> String {
        let text = words::harmless(text);
        let level = id.map_or(0, |id| self.attempt_level(id));
        if self.detail == Detail::Everything {
            let function = if id.is_none() { format!("{function} ") } else { String::new() };
            return self.below(indent(level) + 3, &format!("│ {function}{text}"));
        }
        let running = id.map(|id| (id.to_owned(), function.to_owned()));
        if let Some(attempt) = running.and_then(|running| self.attempts.get_mut(&running)) {
            attempt.lines.push_back(text);
            if attempt.lines.len() > LAST_LINES_MAX {
                attempt.lines.pop_front();
            }
        }
        String::new()
    }

    fn ended(&mut self, time: &str, told: &Told) -> String {
        let Moment::Ended { id, function, ok, .. } = &told.moment else {
            return String::new();
        };
        let attempt = self.attempts.remove(&(id.clone(), function.clone())).unwrap_or_default();
        if *ok && self.detail == Detail::Failures {
            return String::new();
        }
        let level = self.attempt_level(id);
        let mut row = Row::at(level);
        row.add(Tone::Aside, "└─ ");
        ended_words(&mut row, told, attempt.batch);
        let mut text = row.write(self.page, time, id);
        if !ok {
            for line in &attempt.lines {
                text.push_str(&self.below(indent(level) + 7, &format!("│ {line}")));
            }
        }
        text
    }

    /// A direct invocation: one line, `call   hello  ✓ 12 ms (start 94 ms)`.
    fn invoked(&self, time: &str, moment: &Moment) -> String {
        let Moment::Invoked { request_id, function, ok, .. } = moment else {
            return String::new();
        };
        if *ok && self.detail == Detail::Failures {
            return String::new();
        }
        let mut row = Row::at(0);
        row.add(Tone::Body, "call   ");
        row.add(Tone::Name, function);
        invoked_words(&mut row, moment);
        row.write(self.page, time, words::short_id(request_id))
    }

    fn notice(&self, time: &str, level: &str, text: &str) -> String {
        let (sign, tone) = match level {
            "error" => ("✗", Tone::Bad),
            "warning" => ("!", Tone::Warn),
            _ => ("·", Tone::Aside),
        };
        let mut told = String::new();
        for (number, line) in text.lines().enumerate() {
            let line = words::harmless(line);
            match number {
                0 => {
                    let time = self.page.aside(time);
                    told.push_str(&format!("{time}  {}\n", self.page.tone(tone, &format!("{sign} {line}"))));
                }
                _ => told.push_str(&self.below(2, &line)),
            }
        }
        told
    }

    /// A line without a time, below the one it belongs to.
    fn below(&self, indent: usize, text: &str) -> String {
        let blanks = TIME_WIDTH + indent;
        let room = self.page.columns.map_or(usize::MAX, |columns| columns.saturating_sub(blanks).max(20));
        format!("{:blanks$}{}\n", "", self.page.aside(&words::cut(text, room)))
    }

    fn depth_of(&self, id: &str) -> Option<usize> {
        self.depths.get(event_id(id)).copied()
    }

    fn attempt_level(&self, id: &str) -> usize {
        (self.depth_of(id).unwrap_or(0) * 2 + 1).min(LEVEL_MAX)
    }

    fn remember(&mut self, id: &str, function: &str) {
        self.oldest.push_back((id.to_owned(), function.to_owned()));
        if self.oldest.len() > REMEMBERED_MAX
            && let Some(old) = self.oldest.pop_front()
        {
            self.depths.remove(&old.0);
            self.attempts.remove(&old);
        }
    }
}

/// `caused by e7k2.1`, or what the cause says itself: `replay of e7k4`.
pub fn cause_words(cause: &str) -> String {
    match cause.contains(' ') {
        true => cause.to_owned(),
        false => format!("caused by {cause}"),
    }
}

/// The moment as one line of facts.
pub fn plain_facts(moment: &Moment) -> String {
    let value = serde_json::to_value(moment).unwrap_or_default();
    let object = value.as_object().cloned().unwrap_or_default();
    let kind = object.get("kind").and_then(|kind| kind.as_str()).unwrap_or("");
    let mut facts = vec![kind.to_owned()];
    for (key, value) in object.iter().filter(|(key, _)| *key != "kind") {
        match value {
            serde_json::Value::Null => {}
            serde_json::Value::String(text) => facts.push(fact(key, text)),
            serde_json::Value::Array(items) => {
                let items: Vec<&str> = items.iter().filter_map(|item| item.as_str()).collect();
                if !items.is_empty() {
                    facts.push(fact(key, &items.join(",")));
                }
            }
            other => facts.push(fact(key, &other.to_string())),
        }
    }
    if let Some(cause) = attempt_cause(moment) {
        facts.push(fact("cause", cause));
    }
    facts.join(" ")
}

/// The moment as one object of a stream, the event as the cause of its attempts.
fn json_line(told: &Told) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        v: u8,
        #[serde(flatten)]
        told: &'a Told,
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<&'a str>,
    }
    let line = Line { v: JSON_VERSION, told, cause: attempt_cause(&told.moment) };
    serde_json::to_string(&line).map_or(String::new(), |text| text + "\n")
}

/// The event that an attempt belongs to.
fn attempt_cause(moment: &Moment) -> Option<&str> {
    match moment {
        Moment::Started { id, .. } | Moment::Ended { id, .. } => Some(event_id(id)),
        Moment::Line { id, .. } => id.as_deref().map(event_id),
        Moment::Emitted { .. } | Moment::Invoked { .. } | Moment::Notice { .. } => None,
    }
}

/// Whether those who want to hear only of failures want to hear of this.
fn is_trouble(moment: &Moment) -> bool {
    match moment {
        Moment::Ended { ok, .. } | Moment::Invoked { ok, .. } => !ok,
        Moment::Notice { level, .. } => *level != "info",
        _ => false,
    }
}

#[cfg(test)]
pub mod samples;
#[cfg(test)]
mod tests;
