//! One line of the live view: its parts, and how they fit the screen.

use crate::timeline::{Moment, Told};

use super::super::page::{Page, Tone, visible_width};
use super::super::words;

/// The width of the time and the blanks after it.
pub(super) const TIME_WIDTH: usize = 14;
/// Narrower screens go without the column of ids.
const ID_COLUMN_FROM: usize = 72;
/// Wider ones do not pull it further away.
const WIDTH_MAX: usize = 110;

/// One line of the view while it is put together.
pub(super) struct Row {
    level: usize,
    parts: Vec<(Tone, String)>,
    /// Which part may be cut.
    flexible: Option<usize>,
}

impl Row {
    pub(super) fn at(level: usize) -> Row {
        Row { level, parts: Vec::new(), flexible: None }
    }
    pub(super) fn add(&mut self, tone: Tone, text: &str) {
        self.parts.push((tone, text.to_owned()));
    }
    pub(super) fn add_flexible(&mut self, text: &str) {
        self.flexible = Some(self.parts.len());
        self.add(Tone::Body, text);
    }

    pub(super) fn write(mut self, page: Page, time: &str, id: &str) -> String {
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
pub(super) fn ended_words(row: &mut Row, told: &Told, batch: usize) {
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

/// What a direct invocation came to: `  ✓ 12 ms (start 94 ms)`.
pub(super) fn invoked_words(row: &mut Row, moment: &Moment) {
    let Moment::Invoked { ok, duration_ms, init_ms, error, .. } = moment else {
        return;
    };
    let (sign, tone) = if *ok { ("  ✓ ", Tone::Good) } else { ("  ✗ ", Tone::Bad) };
    row.add(tone, sign);
    match error {
        Some(error) => row.add_flexible(&words::harmless(error)),
        None => row.add(Tone::Body, &words::took(*duration_ms)),
    }
    if let Some(init) = init_ms {
        row.add(Tone::Aside, &format!(" (start {})", words::took(*init)));
    }
}

/// The source's word, the place in it, and what else is worth saying of an event.
pub(super) fn event_words(moment: &Moment) -> (&str, String, String) {
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

/// How far a level is to the right.
pub(super) fn indent(level: usize) -> usize {
    level.saturating_sub(1) * 3
}
