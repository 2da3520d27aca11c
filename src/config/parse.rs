//! Reads the wiring file: TOML into a draft, the draft checked, and the config or all that is wrong.

use std::path::{Path, PathBuf};

use toml_edit::Document;

use super::complaint::{Complaint, Complaints, Span};
use super::reader::{Placed, Places, Reader, Section, Setting};
use super::{Config, Destination, Sim, WireSpec, check, conventions, functions, names, sources, units};
use crate::arn::Place;

/// The tables that this version reads.
const TABLES: &[&str] = &["sim", "function", "bucket", "table", "topic", "queue"];

/// The tables of a later version, with how a sentence names them.
const LATER: &[(&str, &str)] = &[
    ("mail", "inbound mail"),
    ("logs", "log groups"),
    ("api", "HTTP APIs"),
    ("schedule", "schedules"),
    ("bus", "event buses"),
    ("profile", "profiles"),
];

impl Config {
    /// Reads `DIR/dropwire.toml`, or `file` if given. Without a file, the folders alone say what there is.
    pub fn load(dir: &Path, file: Option<&Path>) -> Result<Config, Complaints> {
        let default = Path::new("dropwire.toml");
        let path = dir.join(file.unwrap_or(default));
        if file.is_none() && !path.exists() {
            return Ok(conventions::config(&absolute(dir)));
        }
        Config::read(&path, &file.unwrap_or(default).to_string_lossy())
    }

    /// The same again, as it is now, with the file under the name that it had in messages.
    pub fn reload(&self) -> Result<Config, Complaints> {
        match &self.file {
            Some(file) if file.exists() => Config::read(file, &self.file_name),
            _ => Config::load(&self.root, None),
        }
    }

    fn read(path: &Path, name: &str) -> Result<Config, Complaints> {
        let bytes = std::fs::read(path).map_err(|error| unreadable(name, path, &error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            unreadable(name, path, &format!("it is not UTF-8: byte {good} is the first wrong one"))
        })?;
        let root = path.parent().unwrap_or(Path::new("."));
        let mut config = Config::parse(root, name, &text)?;
        config.file = Some(absolute(path));
        Ok(config)
    }

    /// The same from text: `dir` is where it would lie, `name` is how messages call it.
    pub fn parse(dir: &Path, name: &str, text: &str) -> Result<Config, Complaints> {
        let root = absolute(dir);
        let document = Document::parse(text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            let complaint = Complaint::new("W100", "this is not TOML").at(&span, error.message());
            Complaints::new(name, text, vec![complaint])
        })?;
        let mut draft = Draft {
            config: Config {
                file: Some(root.join(name)),
                file_name: name.to_owned(),
                ..Config::empty(root.clone())
            },
            wires: Vec::new(),
            places: Places::new(),
            unstarted: Vec::new(),
            destinations: Vec::new(),
        };
        let mut reader = Reader::new(root, name, text);
        read(&mut reader, &mut draft, &Section::root(document.as_table()));
        draft.wires.sort_by_key(|wire| wire.place.start);
        check::all(&mut reader, &mut draft);
        draft.config.wires = draft.wires.into_iter().map(|wire| wire.spec).collect();
        reader.finish(draft.config)
    }

    /// Nothing declared yet.
    pub(super) fn empty(root: PathBuf) -> Config {
        Config {
            root,
            file: None,
            file_name: String::new(),
            sim: Sim::default(),
            functions: Default::default(),
            buckets: Default::default(),
            tables: Default::default(),
            topics: Default::default(),
            queues: Default::default(),
            wires: Vec::new(),
            remarks: Vec::new(),
        }
    }
}

/// The config as read so far, with the places that the rules between things need.
pub(super) struct Draft {
    pub config: Config,
    pub wires: Vec<DraftWire>,
    /// Functions of which nothing says how they start.
    pub unstarted: Vec<Placed<String>>,
    /// The destinations that functions name.
    pub destinations: Vec<Placed<Destination>>,
    places: Places,
}

/// A wire and where its parts are written.
pub(super) struct DraftWire {
    pub spec: WireSpec,
    /// The short wire's text, or the header of the named one.
    pub place: Span,
    /// The name of its source.
    pub source: Span,
    /// The destinations it names.
    pub destinations: Vec<Placed<Destination>>,
}

impl Draft {
    /// Notes where a thing is declared; W105 if AWS would not take its name.
    pub fn declare(&mut self, reader: &mut Reader, kind: &'static str, setting: &Setting) {
        self.places.insert((kind, setting.key.to_owned()), setting.span.clone());
        check_name(reader, kind, setting.key, &setting.key_span);
    }

    /// The names that the file declares of this kind.
    pub fn declared(&self, kind: &str) -> Vec<&str> {
        self.places.keys().filter(|(of, _)| *of == kind).map(|(_, name)| name.as_str()).collect()
    }

    /// Where a thing is declared, if it is.
    pub fn place(&self, kind: &'static str, name: &str) -> Option<&Span> {
        self.places.get(&(kind, name.to_owned()))
    }

    /// Adds the place where a thing is declared to a complaint.
    pub fn beside_declaration(&self, complaint: Complaint, kind: &'static str, name: &str) -> Complaint {
        match self.place(kind, name) {
            Some(place) => complaint.beside(place, format!("`{name}` is declared here")),
            None => complaint,
        }
    }
}

/// W105 if AWS would not take this name.
pub(super) fn check_name(reader: &mut Reader, kind: &str, name: &str, span: &Span) {
    if let Some(rule) = names::broken_rule(kind, name) {
        let complaint = Complaint::new("W105", format!("a {kind} cannot be called `{name}`"));
        reader.complain(complaint.at(span, "AWS would not take this name").note(format!("allowed: {rule}")));
    }
}

fn read(reader: &mut Reader, draft: &mut Draft, root: &Section) {
    let known: Vec<&str> = TABLES.iter().copied().chain(LATER.iter().map(|(key, _)| *key)).collect();
    reader.only(root, &known);
    for (key, what) in LATER {
        if let Some(setting) = root.get(key) {
            reader.not_yet(&setting.key_span, what, None);
        }
    }
    if let Some(setting) = root.get("sim")
        && let Some(section) = reader.section(&setting, "`sim`".into())
    {
        sim(reader, draft, &section);
    }
    type Read = fn(&mut Reader, &mut Draft, &Setting);
    let kinds: [(&str, Read); 5] = [
        ("bucket", sources::bucket),
        ("table", sources::table),
        ("topic", sources::topic),
        ("queue", sources::queue),
        ("function", functions::function),
    ];
    for (kind, read) in kinds {
        let Some(setting) = root.get(kind) else {
            continue;
        };
        let Some(section) = reader.section(&setting, format!("`{kind}`")) else {
            continue;
        };
        for thing in section.settings() {
            read(reader, draft, &thing);
        }
    }
}

fn sim(reader: &mut Reader, draft: &mut Draft, section: &Section) {
    let sim = &mut draft.config.sim;
    reader.only(section, &["region", "account", "port", "clock", "seed", "event_version", "smtp"]);
    if let Some(setting) = section.get("smtp") {
        reader.not_yet(&setting.key_span, "inbound mail", None);
    }
    let mut checked = |key: &str, expected: &str, fits: fn(&str) -> bool| {
        let setting = section.get(key)?;
        let text = reader.text_like(&setting, expected)?.value;
        if !fits(&text) {
            reader.wrong(&setting, expected);
        }
        Some(text)
    };
    let region = checked("region", "a region such as \"eu-west-1\"", is_region);
    let account = checked("account", "12 digits in quotes", is_account);
    let clock_expected =
        "\"real\", \"frozen\", a time such as \"2026-01-05T09:00:00Z\", or a rate such as \"x60\"";
    let clock = checked("clock", clock_expected, |text| units::clock_start(text).is_some());
    let version = section.get("event_version").and_then(|setting| reader.choice(&setting, &["2.6", "2.1"]));
    let port = section.get("port").and_then(|setting| reader.integer(&setting, 0..=65_535));
    let seed = section.get("seed").and_then(|setting| reader.integer(&setting, 0..=i64::MAX));
    let place = Place::default();
    sim.place = Place { region: region.unwrap_or(place.region), account: account.unwrap_or(place.account) };
    sim.port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or(sim.port);
    sim.clock = clock.and_then(|text| units::clock_start(&text)).unwrap_or(sim.clock);
    sim.seed = seed.and_then(|seed| u64::try_from(seed).ok());
    if version == Some(1) {
        sim.event_version = "2.1".into();
    }
}

fn is_region(text: &str) -> bool {
    let allowed = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '-';
    let parts: Vec<&str> = text.split('-').collect();
    text.chars().all(allowed) && parts.len() >= 3 && parts.iter().all(|part| !part.is_empty())
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.chars().all(|digit| digit.is_ascii_digit())
}

/// W108: nothing of the file could be read.
fn unreadable(name: &str, path: &Path, reason: &str) -> Complaints {
    let complaint = Complaint::new("W108", format!("cannot read the wiring file `{name}`: {reason}"));
    let help = "name another one with `--file`, or none: folders alone are wired by convention";
    Complaints::new(name, "", vec![complaint.note(format!("looked for {}", path.display())).help(help)])
}

/// The path from the root of the file system; as it is where the current folder is unknown.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
