//! The live view: moments as lines that people read. Indentation is causality.

use std::collections::{HashMap, VecDeque};

use dropwire::timeline::{Moment, Told};
use serde::Serialize;

use super::client::event_id;
use super::page::{Look, Page, Tone, fact, visible_width};
use super::voice::JSON_VERSION;
use super::words;

/// How many events and attempts are remembered, to indent and to finish what they cause.
const REMEMBERED_MAX: usize = 8192;
/// How many of a failed attempt's last lines are shown below it.
const LAST_LINES_MAX: usize = 5;
/// Deeper chains are not indented further.
const LEVEL_MAX: usize = 9;
/// The width of the time and the blanks after it.
const TIME_WIDTH: usize = 14;
/// Narrower screens go without the column of ids.
const ID_COLUMN_FROM: usize = 72;
/// Wider ones do not pull it further away.
const WIDTH_MAX: usize = 110;

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
    attempts: HashMap<String, Attempt>,
    oldest: VecDeque<String>,
}

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
                self.remember(id);
                let attempt = self.attempts.entry(id.clone()).or_default();
                attempt.batch = *batch;
                match self.detail {
                    Detail::Everything => self.started(time, id, function),
                    _ => String::new(),
                }
            }
            Moment::Line { id, function, text } => self.line(id.as_deref(), function, text),
            Moment::Ended { .. } => self.ended(time, told),
            Moment::Notice { level, text } => self.notice(time, level, text),
        }
    }

    fn emitted(&mut self, time: &str, moment: &Moment) -> String {
        let Moment::Emitted { id, cause, unwanted, wanted_by, .. } = moment else {
            return String::new();
        };
        let depth = cause.as_ref().and_then(|cause| self.depth_of(cause));
        let depth_here = depth.map_or(0, |depth| depth + 1);
        self.remember(id);
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
        row.add(Tone::Body, &format!("{source:<width$}", width = if level > 0 { 4 } else { 7 }));
        row.add_flexible(&place);
        if !rest.is_empty() {
            row.add(Tone::Aside, &format!("  {rest}"));
        }
        if let (Some(cause), None) = (cause, depth) {
            row.add(Tone::Aside, &format!("  caused by {cause}"));
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
        if let Some(attempt) = id.and_then(|id| self.attempts.get_mut(id)) {
            attempt.lines.push_back(text);
            if attempt.lines.len() > LAST_LINES_MAX {
                attempt.lines.pop_front();
            }
        }
        String::new()
    }

    fn ended(&mut self, time: &str, told: &Told) -> String {
        let Moment::Ended { id, ok, .. } = &told.moment else {
            return String::new();
        };
        let attempt = self.attempts.remove(id).unwrap_or_default();
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

    fn remember(&mut self, id: &str) {
        self.oldest.push_back(id.to_owned());
        if self.oldest.len() > REMEMBERED_MAX
            && let Some(old) = self.oldest.pop_front()
        {
            self.depths.remove(&old);
            self.attempts.remove(&old);
        }
    }
}

/// One line of the view while it is put together.
struct Row {
    level: usize,
    parts: Vec<(Tone, String)>,
    /// Which part may be cut.
    flexible: Option<usize>,
}

impl Row {
    fn at(level: usize) -> Row {
        Row { level, parts: Vec::new(), flexible: None }
    }
    fn add(&mut self, tone: Tone, text: &str) {
        self.parts.push((tone, text.to_owned()));
    }
    fn add_flexible(&mut self, text: &str) {
        self.flexible = Some(self.parts.len());
        self.add(Tone::Body, text);
    }

    fn write(mut self, page: Page, time: &str, id: &str) -> String {
        let indent = indent(self.level);
        let columns = page.columns.unwrap_or(100).min(WIDTH_MAX);
        let id_width = if columns >= ID_COLUMN_FROM { id.chars().count() + 2 } else { 0 };
        let room = columns.saturating_sub(TIME_WIDTH + indent + id_width);
        let wide: usize = self.parts.iter().map(|(_, text)| text.chars().count()).sum();
        if let Some((_, text)) = self.flexible.and_then(|index| self.parts.get_mut(index))
            && wide > room
        {
            let left = text.chars().count().saturating_sub(wide - room);
            *text = words::cut(text, left.max(8));
        }
        let body: String = self.parts.iter().map(|(tone, text)| page.tone(*tone, text)).collect();
        let mut line = format!("{}  {:indent$}{body}", page.aside(time), "");
        if id_width > 0 {
            let blanks = room.saturating_sub(visible_width(&body)) + 2;
            line.push_str(&format!("{:blanks$}{}", "", page.aside(id)));
        }
        line.push('\n');
        line
    }
}

/// What an attempt came to: `✗   notify  try 1/4  exit 1   next try in 1 s`.
fn ended_words(row: &mut Row, told: &Told, batch: usize) {
    let Moment::Ended {
        function,
        attempt,
        attempts_max,
        ok,
        duration_ms,
        init_ms,
        error,
        retry_at,
        gave_up,
        ..
    } = &told.moment
    else {
        return;
    };
    let (sign, tone) = if *ok { ("✓   ", Tone::Good) } else { ("✗   ", Tone::Bad) };
    row.add(tone, sign);
    row.add(Tone::Name, function);
    if batch > 1 {
        row.add(Tone::Aside, &format!("  {}", words::count(batch, "event")));
    }
    if !ok || *attempt > 1 {
        let of = attempts_max.map_or(String::new(), |most| format!("/{most}"));
        row.add(Tone::Body, &format!("  try {attempt}{of}"));
    }
    match error {
        Some(error) => {
            row.add(Tone::Body, "  ");
            row.add_flexible(&words::harmless(error));
        }
        None => row.add(Tone::Body, &format!("  {}", words::took(*duration_ms))),
    }
    if let Some(init) = init_ms {
        row.add(Tone::Aside, &format!(" (start {})", words::took(*init)));
    }
    if let Some(retry_at) = retry_at {
        let wait = words::span(retry_at.since(told.at));
        row.add(Tone::Aside, &format!("   next try in {wait}"));
    }
    if let Some(gave_up) = gave_up {
        row.add(Tone::Bad, &format!("   given up: {gave_up}"));
    }
}

/// The source's word, the place in it, and what else is worth saying of an event.
fn event_words(moment: &Moment) -> (&str, String, String) {
    let Moment::Emitted { source, name, event, subject, size, .. } = moment else {
        return ("", String::new(), String::new());
    };
    let subject = words::harmless(subject);
    let place = place(source, name, &subject);
    let mut rest = Vec::new();
    if source != "topic" {
        rest.push(event.clone());
    }
    if let Some(size) = size {
        rest.push(words::size(*size));
    }
    (source, place, rest.join("  "))
}

/// `uploads/cat.png` for objects, `orders  o-1` for everything else.
pub fn place(source: &str, name: &str, subject: &str) -> String {
    match (source, subject) {
        (_, "") => name.to_owned(),
        ("s3", _) => format!("{name}/{subject}"),
        _ => format!("{name}  {subject}"),
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
        Moment::Emitted { .. } | Moment::Notice { .. } => None,
    }
}

/// Whether those who want to hear only of failures want to hear of this.
fn is_trouble(moment: &Moment) -> bool {
    match moment {
        Moment::Ended { ok, .. } => !ok,
        Moment::Notice { level, .. } => *level != "info",
        _ => false,
    }
}

fn indent(level: usize) -> usize {
    level.saturating_sub(1) * 3
}

#[cfg(test)]
pub mod samples;
#[cfg(test)]
mod tests;
