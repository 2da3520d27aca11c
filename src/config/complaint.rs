//! What is wrong with a wiring file: collected, in the order of the file, and shown the way rustc shows errors.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// A stretch of the file, in bytes.
pub(super) type Span = Range<usize>;

/// All that is wrong with a wiring file. Its `Display` is the plain rendering, without the summary.
#[derive(Clone)]
pub struct Complaints {
    name: String,
    text: String,
    list: Vec<Complaint>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// For `dropwire explain`: `W101`.
    pub code: &'static str,
    /// One line that says what is wrong.
    pub title: String,
    /// Line, from 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// Column in characters, from 1; 0 when the file as a whole is meant.
    pub column: usize,
    primary: Option<(Span, String)>,
    context: Vec<(Span, String)>,
    notes: Vec<String>,
    helps: Vec<String>,
}

impl Complaints {
    /// Every complaint in rustc's layout, one blank line between them.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let shown: Vec<String> = self.list.iter().map(|one| self.show(one, &renderer)).collect();
        shown.join("\n\n")
    }

    /// The complaints in the order of the file.
    pub fn list(&self) -> &[Complaint] {
        &self.list
    }

    /// The closing line: how many there are, that nothing runs, and where to read on.
    pub fn summary(&self) -> String {
        let count = match self.list.len() {
            1 => "1 error".to_owned(),
            several => format!("{several} errors"),
        };
        let code = self.list.first().map_or("CODE", |first| first.code);
        format!("{}: {count}. Nothing was started. `dropwire explain {code}` tells more.", self.name)
    }

    /// Sorts them and finds their lines. `text` is what the spans point into.
    pub(super) fn new(name: &str, text: &str, mut list: Vec<Complaint>) -> Complaints {
        for one in &mut list {
            one.locate(text);
        }
        list.sort_by_key(|one| (one.line, one.column));
        Complaints { name: name.to_owned(), text: text.to_owned(), list }
    }

    fn show(&self, one: &Complaint, renderer: &Renderer) -> String {
        let mut group = Level::ERROR.primary_title(one.title.as_str()).id(one.code).elements(
            one.primary.iter().map(|(span, label)| {
                let labelled = |kind: AnnotationKind, span: &Span, label: &str| {
                    let label = (!label.is_empty()).then(|| label.to_owned());
                    kind.span(within(&self.text, span)).label(label)
                };
                let beside = one.context.iter();
                Snippet::source(self.text.as_str())
                    .path(self.name.as_str())
                    .annotation(labelled(AnnotationKind::Primary, span, label))
                    .annotations(beside.map(|(span, label)| labelled(AnnotationKind::Context, span, label)))
            }),
        );
        group = group.elements(one.notes.iter().map(|text| Level::NOTE.message(text.as_str())));
        group = group.elements(one.helps.iter().map(|text| Level::HELP.message(text.as_str())));
        renderer.render(&[group])
    }
}

impl fmt::Display for Complaints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl fmt::Debug for Complaints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\n{}", self.render(false), self.summary())
    }
}

impl std::error::Error for Complaints {}

impl Complaint {
    pub(super) fn new(code: &'static str, title: impl Into<String>) -> Complaint {
        Complaint {
            code,
            title: title.into(),
            line: 0,
            column: 0,
            primary: None,
            context: Vec::new(),
            notes: Vec::new(),
            helps: Vec::new(),
        }
    }

    /// The place that is wrong, and what to read next to it.
    pub(super) fn at(mut self, span: &Span, label: impl Into<String>) -> Complaint {
        self.primary = Some((span.clone(), label.into()));
        self
    }

    /// Another place that has to do with it.
    pub(super) fn beside(mut self, span: &Span, label: impl Into<String>) -> Complaint {
        self.context.push((span.clone(), label.into()));
        self
    }

    /// Why it is wrong.
    pub(super) fn note(mut self, text: impl Into<String>) -> Complaint {
        self.notes.push(text.into());
        self
    }

    /// What to do about it.
    pub(super) fn help(mut self, text: impl Into<String>) -> Complaint {
        self.helps.push(text.into());
        self
    }

    fn locate(&mut self, text: &str) {
        if let Some((span, _)) = &self.primary {
            (self.line, self.column) = position(text, span.start);
        }
    }
}

/// Line and column, both from 1, of the byte `offset`; the column counts characters.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..within(text, &(offset..offset)).start];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The span cut to the text and to whole characters: a parser may point one past the end.
fn within(text: &str, span: &Span) -> Span {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.ceil_char_boundary(span.end.min(text.len()));
    start..end.max(start)
}
