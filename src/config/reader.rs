//! The TOML document read setting by setting. What is wrong is noted with its place, and reading goes on.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use toml_edit::{Item, TableLike, Value};

use super::complaint::{Complaint, Complaints, Span, position};
use super::{Config, Origin, names, units};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed<T> {
    pub value: T,
    pub span: Span,
}

/// One table of the file.
pub(super) struct Section<'a> {
    /// Its own name: "audit".
    pub name: &'a str,
    /// As messages call it: "function `audit`".
    pub what: String,
    /// Its header.
    pub span: Span,
    table: &'a dyn TableLike,
}

/// One key of a table with what it is set to.
pub(super) struct Setting<'a> {
    pub key: &'a str,
    pub key_span: Span,
    pub item: &'a Item,
    pub span: Span,
    /// The section it stands in, as messages call it.
    pub of: String,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub fn root(table: &'a dyn TableLike) -> Section<'a> {
        Section { name: "", what: "the wiring file".into(), span: 0..0, table }
    }

    pub fn get(&self, key: &str) -> Option<Setting<'a>> {
        self.table.get_key_value(key).map(|(key, item)| self.setting(key.get(), item))
    }

    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub fn settings(&self) -> Vec<Setting<'a>> {
        self.table.iter().map(|(key, item)| self.setting(key, item)).collect()
    }

    fn setting(&self, key: &'a str, item: &'a Item) -> Setting<'a> {
        let key_span = self.table.key(key).and_then(|key| key.span());
        let span = item.span().or_else(|| key_span.clone()).unwrap_or(self.span.clone());
        let key_span = key_span.unwrap_or_else(|| span.clone());
        Setting { key, key_span, item, span, of: self.what.clone() }
    }
}

/// The file being read, and what was found wrong with it so far.
pub(super) struct Reader<'t> {
    pub root: PathBuf,
    name: &'t str,
    pub text: &'t str,
    complaints: Vec<Complaint>,
}

impl<'t> Reader<'t> {
    pub fn new(root: PathBuf, name: &'t str, text: &'t str) -> Reader<'t> {
        Reader { root, name, text, complaints: Vec::new() }
    }

    pub fn complain(&mut self, complaint: Complaint) {
        self.complaints.push(complaint);
    }

    /// The config if nothing was wrong.
    pub fn finish(self, config: Config) -> Result<Config, Complaints> {
        if self.complaints.is_empty() {
            return Ok(config);
        }
        Err(Complaints::new(self.name, self.text, self.complaints))
    }

    /// Where a span begins, as the rest of the program says it.
    pub fn origin(&self, span: &Span) -> Origin {
        Origin { file: self.name.to_owned(), line: position(self.text, span.start).0 }
    }

    /// A path of the file as an absolute one, without `.` and `..`.
    pub fn path(&self, written: &str) -> PathBuf {
        flatten(&self.root.join(written))
    }

    /// Where `part` (from byte `offset` of the value) stands, if the value is written as it reads; else all of it.
    pub fn inside(&self, whole: &Placed<String>, offset: usize, length: usize) -> Span {
        let written = self.text.get(whole.span.clone()).unwrap_or_default();
        match written.find(whole.value.as_str()) {
            Some(quote) => {
                let start = whole.span.start + quote + offset;
                start..(start + length).min(whole.span.end)
            }
            None => whole.span.clone(),
        }
    }

    /// The table that a setting is; W102 if it is none.
    pub fn section<'a>(&mut self, setting: &Setting<'a>, what: String) -> Option<Section<'a>> {
        match setting.item.as_table_like() {
            Some(table) => Some(Section { name: setting.key, what, span: setting.span.clone(), table }),
            None => {
                self.wrong(setting, "a table");
                None
            }
        }
    }

    /// W101 for every key that is not one of `known`.
    pub fn only(&mut self, section: &Section, known: &[&str]) {
        for setting in section.settings() {
            if known.contains(&setting.key) {
                continue;
            }
            let title = format!("{} has no setting called `{}`", section.what, setting.key);
            let complaint = Complaint::new("W101", title);
            let complaint = match names::nearest(setting.key, known) {
                Some(near) => complaint.at(&setting.key_span, format!("did you mean `{near}`?")),
                None if known.is_empty() => complaint.at(&setting.key_span, "it has no settings"),
                None => {
                    let help = format!("its settings are {}", names::listed(known, "and"));
                    complaint.at(&setting.key_span, "not known here").help(help)
                }
            };
            self.complain(complaint);
        }
    }

    /// W902: AWS has it, this version of dropwire not yet.
    pub fn not_yet(&mut self, span: &Span, what: &str, note: Option<&str>) {
        let title = format!("dropwire 0.1 has no {what} yet");
        let mut complaint = Complaint::new("W902", title).at(span, "not supported by this version");
        if let Some(note) = note {
            complaint = complaint.note(note);
        }
        self.complain(complaint);
    }

    /// W102: the value is of the wrong type or outside of what is allowed.
    pub fn wrong(&mut self, setting: &Setting, expected: &str) {
        let title = format!("`{}` of {} cannot be {}", setting.key, setting.of, shown(setting.item));
        self.complain(Complaint::new("W102", title).at(&setting.span, format!("expected {expected}")));
    }

    pub fn text(&mut self, setting: &Setting) -> Option<Placed<String>> {
        self.text_like(setting, "a text in quotes")
    }

    /// A text; `expected` says what kind of.
    pub fn text_like(&mut self, setting: &Setting, expected: &str) -> Option<Placed<String>> {
        match setting.item.as_str() {
            Some(text) => Some(Placed { value: text.to_owned(), span: setting.span.clone() }),
            None => {
                self.wrong(setting, expected);
                None
            }
        }
    }

    /// One text, or an array of texts.
    pub fn texts(&mut self, setting: &Setting, expected: &str) -> Option<Vec<Placed<String>>> {
        if setting.item.is_str() {
            return self.text(setting).map(|text| vec![text]);
        }
        let Some(array) = setting.item.as_array() else {
            self.wrong(setting, expected);
            return None;
        };
        let mut texts = Vec::new();
        for (place, value) in array.iter().enumerate() {
            let span = value.span().unwrap_or_else(|| setting.span.clone());
            match value.as_str() {
                Some(text) => texts.push(Placed { value: text.to_owned(), span }),
                None => {
                    let title =
                        format!("`{}` of {} holds something else than texts", setting.key, setting.of);
                    let label = format!("number {} cannot be {}", place + 1, shown_value(value));
                    self.complain(Complaint::new("W102", title).at(&span, label));
                }
            }
        }
        (texts.len() == array.len()).then_some(texts)
    }

    /// The words of a command: one text, split as a shell would, or an array of words.
    pub fn words(&mut self, setting: &Setting) -> Option<Placed<Vec<String>>> {
        let expected = "a command such as \"sh run.sh\", or an array of its words";
        let texts = self.texts(setting, expected)?;
        let words =
            match (setting.item.as_str(), units::shell_words(setting.item.as_str().unwrap_or_default())) {
                (None, _) => texts.into_iter().map(|text| text.value).collect(),
                (Some(_), Some(words)) => words,
                (Some(_), None) => {
                    self.wrong(setting, "a command whose quotes are closed");
                    return None;
                }
            };
        if words.first().is_none_or(|program: &String| program.is_empty()) {
            self.wrong(setting, expected);
            return None;
        }
        Some(Placed { value: words, span: setting.span.clone() })
    }

    pub fn truth(&mut self, setting: &Setting) -> Option<bool> {
        let truth = setting.item.as_bool();
        if truth.is_none() {
            self.wrong(setting, "true or false");
        }
        truth
    }

    pub fn integer(&mut self, setting: &Setting, range: RangeInclusive<i64>) -> Option<i64> {
        let integer = setting.item.as_integer().filter(|integer| range.contains(integer));
        if integer.is_none() {
            self.wrong(setting, &format!("a whole number from {} to {}", range.start(), range.end()));
        }
        integer
    }

    /// `"10s"`, `"500ms"`, or whole seconds.
    pub fn duration(&mut self, setting: &Setting, range: RangeInclusive<Duration>) -> Option<Duration> {
        let duration = units::duration(setting.item).filter(|duration| range.contains(duration));
        if duration.is_none() {
            let (least, most) = (units::short(*range.start()), units::short(*range.end()));
            self.wrong(setting, &format!("a time such as \"10s\" or whole seconds, from {least} to {most}"));
        }
        duration
    }

    /// One of a few words, given back as its number in `words`.
    pub fn choice(&mut self, setting: &Setting, words: &[&str]) -> Option<usize> {
        let choice = setting.item.as_str().and_then(|text| words.iter().position(|word| *word == text));
        if choice.is_none() {
            let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            self.wrong(setting, &quoted.join(" or "));
        }
        choice
    }
}

/// Where each thing is declared, by kind ("bucket") and name.
pub(super) type Places = BTreeMap<(&'static str, String), Span>;

fn flatten(path: &Path) -> PathBuf {
    let mut flat = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                flat.pop();
            }
            other => flat.push(other),
        }
    }
    flat
}

fn shown(item: &Item) -> String {
    match item {
        Item::Value(value) => shown_value(value),
        Item::ArrayOfTables(_) => "an array of tables".into(),
        Item::Table(_) | Item::None => "a table".into(),
    }
}

fn shown_value(value: &Value) -> String {
    match value {
        Value::String(text) if text.value().chars().count() > 40 => "this text".into(),
        Value::String(text) => format!("{:?}", text.value()),
        Value::Integer(number) => number.value().to_string(),
        Value::Float(number) => number.value().to_string(),
        Value::Boolean(truth) => truth.value().to_string(),
        Value::Datetime(_) => "a date".into(),
        Value::Array(_) => "an array".into(),
        Value::InlineTable(_) => "a table".into(),
    }
}
