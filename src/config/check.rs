//! The rules between things: wires and their sources, near names, queues, overlaps, nested folders.

use std::path::{Path, PathBuf};

use super::complaint::{Complaint, Span};
use super::parse::{Draft, DraftWire, check_name};
use super::reader::Reader;
use super::{From, Origin, TopicSpec, destination, functions, names, s3_events, sources};
use crate::event::pattern::{Dialect, Pattern};

/// Applies every rule to the whole draft. Sources that only a wire names are made here.
pub(super) fn all(reader: &mut Reader, draft: &mut Draft) {
    let unstarted = std::mem::take(&mut draft.unstarted);
    for function in &unstarted {
        functions::complain_of_unstarted(reader, draft, function);
    }
    for named in std::mem::take(&mut draft.destinations) {
        destination::check(reader, draft, &named);
    }
    let wires = std::mem::take(&mut draft.wires);
    for wire in &wires {
        source(reader, draft, wire);
        wire.destinations.iter().for_each(|named| destination::check(reader, draft, named));
        silent_events(draft, wire);
    }
    for (place, wire) in wires.iter().enumerate() {
        pairs(reader, draft, wire, &wires[..place]);
    }
    draft.wires = wires;
    folders(reader, draft);
}

/// What is wrong with a filter, and at which byte of it.
pub(super) fn filter_problem(text: &str, dialect: Dialect) -> Option<(String, usize)> {
    Pattern::parse(text, dialect).err().map(|error| (error.reason, error.offset))
}

fn source(reader: &mut Reader, draft: &mut Draft, wire: &DraftWire) {
    make_or_complain(reader, draft, named_source(&wire.spec.from), &wire.source);
}

/// W201 for a bucket, table or topic that is not declared but looks like one that is; else it is made with defaults.
pub(super) fn make_or_complain(
    reader: &mut Reader,
    draft: &mut Draft,
    (kind, name): (&'static str, &str),
    place: &Span,
) {
    if draft.place(kind, name).is_some() {
        return;
    }
    let near = names::nearest(name, &draft.declared(kind)).map(str::to_owned);
    let complaint = Complaint::new("W201", format!("no {kind} called `{name}`"));
    if let Some(near) = near {
        let complaint = complaint.at(place, format!("did you mean `{near}`?"));
        reader.complain(draft.beside_declaration(complaint, kind, &near));
        return;
    }
    if kind == "table" {
        let help = format!("add `[table.{name}]` with its key, for example `key = \"id:S\"`");
        reader.complain(complaint.at(place, "a table has to be declared").help(help));
        return;
    }
    let known = &draft.config;
    if known.buckets.contains_key(name) && kind == "bucket"
        || known.topics.contains_key(name) && kind == "topic"
    {
        return;
    }
    check_name(reader, kind, name, place);
    let origin = reader.origin(place);
    let by_hand = format!("(write it down: [{kind}.{name}])");
    if kind == "bucket" {
        let spec = sources::default_bucket(&reader.root, name, origin);
        draft.config.buckets.insert(name.to_owned(), spec);
        draft
            .config
            .remarks
            .push(format!("bucket {name} is made with defaults: folder buckets/{name} {by_hand}"));
    } else {
        draft.config.topics.insert(name.to_owned(), TopicSpec { name: name.to_owned(), origin });
        draft.config.remarks.push(format!("topic {name} is made with defaults {by_hand}"));
    }
}

fn named_source(from: &From) -> (&'static str, &str) {
    match from {
        From::Bucket { bucket, .. } => ("bucket", bucket),
        From::Table { table, .. } => ("table", table),
        From::Topic { topic, .. } => ("topic", topic),
    }
}

/// Remarks on events that AWS has but nothing in a bucket of ours causes.
fn silent_events(draft: &mut Draft, wire: &DraftWire) {
    let From::Bucket { events, .. } = &wire.spec.from else {
        return;
    };
    for event in events.iter().filter(|event| !s3_events::happens_here(event)) {
        let Origin { file, line } = &wire.spec.origin;
        draft.config.remarks.push(format!("{file}:{line}: {event} never happens to objects here"));
    }
}

/// What no two wires may have in common. Complains once for each wire, about the first one it clashes with.
fn pairs(reader: &mut Reader, draft: &Draft, wire: &DraftWire, earlier: &[DraftWire]) {
    let (kind, name) = named_source(&wire.spec.from);
    let allowed = draft.config.buckets.get(name).is_some_and(|bucket| bucket.allow_overlap);
    let ambiguous = |other: &&DraftWire| s3_events::ambiguous(&other.spec.from, &wire.spec.from);
    if let Some(other) = earlier.iter().find(ambiguous).filter(|_| !allowed) {
        reader.complain(
            Complaint::new("W204", "two wires of one bucket overlap")
                .at(&wire.place, "matches the same keys")
                .beside(&other.place, "and this one")
                .note("Amazon S3 refuses overlapping prefixes for one event type, so this would fail when deployed")
                .help(format!(
                    "narrow one of them, or set `overlap = \"allow\"` in `[bucket.{name}]` to try it here only"
                )),
        );
    }
    let twin = |other: &&DraftWire| {
        kind != "bucket"
            && other.spec.function == wire.spec.function
            && named_source(&other.spec.from) == (kind, name)
    };
    if let Some(other) = earlier.iter().find(twin) {
        let title = format!("function `{}` is wired to {kind} `{name}` twice", wire.spec.function);
        reader.complain(
            Complaint::new("W212", title)
                .at(&wire.place, "the second wire")
                .beside(&other.place, "the first wire")
                .note(format!(
                    "AWS keeps one wire from a {kind} to a function, so this would fail when deployed"
                ))
                .help("make one wire of the two; what it lets pass goes into one `filter`"),
        );
    }
}

/// W121 for folders of two buckets inside each other, W122 for one around dropwire's own files.
fn folders(reader: &mut Reader, draft: &Draft) {
    let state = reader.root.join(".dropwire");
    let state = real(&reader.root).map_or(state, |root| root.join(".dropwire"));
    let mut seen: Vec<(&str, PathBuf)> = Vec::new();
    for (name, bucket) in &draft.config.buckets {
        let folder = real(&bucket.folder).unwrap_or_else(|| bucket.folder.clone());
        // A bucket that only a wire names has the place of that wire.
        let by_wire =
            || draft.wires.iter().find(|wire| named_source(&wire.spec.from) == ("bucket", name.as_str()));
        let place = |name: &str| draft.place("bucket", name).cloned();
        let Some(span) = place(name).or_else(|| by_wire().map(|wire| wire.source.clone())) else {
            continue;
        };
        if state.starts_with(&folder) || folder.starts_with(&state) {
            let complaint = Complaint::new("W122", format!("bucket `{name}` would see dropwire's own files"));
            let label = format!("its folder is {}", bucket.folder.display());
            let help = "give it a folder of its own, such as `buckets/NAME`";
            reader.complain(
                complaint.at(&span, label).note(format!("dropwire writes to {}", state.display())).help(help),
            );
        }
        let nested = |other: &Path| folder.starts_with(other) || other.starts_with(&folder);
        if let Some((other, other_folder)) = seen.iter().find(|(_, other)| nested(other)) {
            let how = if *other_folder == folder { "share one folder" } else { "lie in each other" };
            let complaint =
                Complaint::new("W121", format!("the folders of buckets `{other}` and `{name}` {how}"));
            let complaint = complaint
                .at(&span, format!("`{name}` is {}", bucket.folder.display()))
                .note("every file belongs to one bucket, as an object does")
                .help("give each bucket a folder of its own");
            reader.complain(draft.beside_declaration(complaint, "bucket", other));
        }
        seen.push((name, folder));
    }
}

/// The folder without symbolic links, as far as it exists.
fn real(folder: &Path) -> Option<PathBuf> {
    folder.canonicalize().ok()
}
