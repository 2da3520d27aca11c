//! What a result is written on: pretty for people, plain for scripts of one line a fact, JSON for programs.

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

/// How results look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Look {
    /// Aligned and coloured, for a screen
    Pretty,
    /// One line per fact, never cut, no escape codes
    Plain,
    /// One JSON object; of streams one a line
    Json,
}

/// A look, and how wide it may be.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// How results look.
    pub look: Look,
    /// Columns, if a screen limits them.
    pub columns: Option<usize>,
}

/// What a piece of text means, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Body,
    /// It worked.
    Good,
    /// It failed.
    Bad,
    /// Look here.
    Warn,
    /// A name.
    Name,
    /// Beside the point.
    Aside,
}

impl Page {
    /// Whether it is for people.
    pub fn is_pretty(self) -> bool {
        self.look == Look::Pretty
    }
    /// The text in its tone; other looks than pretty stay without escape codes.
    pub fn tone(self, tone: Tone, text: &str) -> String {
        if !self.is_pretty() || tone == Tone::Body || text.is_empty() {
            return text.to_owned();
        }
        let style = style(tone);
        // The line end stays outside: a style must not reach into the next line.
        let (body, end) = text.strip_suffix('\n').map_or((text, ""), |body| (body, "\n"));
        format!("{style}{body}{style:#}{end}")
    }
    /// It worked.
    pub fn good(self, text: &str) -> String {
        self.tone(Tone::Good, text)
    }
    /// It failed.
    pub fn bad(self, text: &str) -> String {
        self.tone(Tone::Bad, text)
    }
    /// Beside the point.
    pub fn aside(self, text: &str) -> String {
        self.tone(Tone::Aside, text)
    }
    /// A name.
    pub fn name(self, text: &str) -> String {
        self.tone(Tone::Name, text)
    }
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Body => Style::new(),
        Tone::Good => AnsiColor::Green.on_default(),
        Tone::Bad => AnsiColor::Red.on_default(),
        Tone::Warn => AnsiColor::Yellow.on_default(),
        Tone::Name => AnsiColor::Cyan.on_default(),
        Tone::Aside => Style::new().dimmed(),
    }
}

/// `key=value` with a value that needs it quoted, as the plain look writes facts.
pub fn fact(key: &str, value: &str) -> String {
    let bare = |sign: char| !sign.is_whitespace() && !sign.is_control() && sign != '"' && sign != '=';
    match !value.is_empty() && value.chars().all(bare) {
        true => format!("{key}={value}"),
        false => format!("{key}={}", serde_json::Value::from(value)),
    }
}

/// Rows as columns that line up, two blanks between them; the last column is not padded.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| visible_width(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if column + 1 < row.len() {
                let blanks = widths[column].saturating_sub(visible_width(cell)) + 2;
                line.extend(std::iter::repeat_n(' ', blanks));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How many characters are seen of a text that may carry escape codes.
pub fn visible_width(text: &str) -> usize {
    anstream::adapter::strip_str(text).map(|piece| piece.chars().count()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &str) {
        assert_eq!(fact("key", value), expected);
    }

    #[test]
    fn facts_are_quoted_where_a_reader_would_stumble() {
        check("e7k2", "key=e7k2");
        check("a b", r#"key="a b""#);
        check("", r#"key="""#);
        check("two\nlines", r#"key="two\nlines""#);
        check(r#"{"a":1}"#, r#"key="{\"a\":1}""#);
    }

    #[test]
    fn columns_line_up_whatever_their_colours() {
        let page = Page { look: Look::Pretty, columns: None };
        let rows = [vec![page.good("ab"), "x".into()], vec!["abcd".into(), "y".into()]];
        let text = anstream::adapter::strip_str(&aligned(&rows)).to_string();
        assert_eq!(text, "ab    x\nabcd  y\n");
    }

    #[test]
    fn only_pretty_pages_carry_escape_codes() {
        for (look, coloured) in [(Look::Pretty, true), (Look::Plain, false), (Look::Json, false)] {
            let page = Page { look, columns: None };
            assert_eq!(page.bad("x").contains('\u{1b}'), coloured, "{look:?}");
        }
    }
}
