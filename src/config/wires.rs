//! The short wires of `on`: `s3:BUCKET[/GLOB] [EVENT]`, `table:NAME`, `topic:NAME`; and globs as prefix and suffix.

use std::time::Duration;

use super::complaint::{Complaint, Span};
use super::reader::{Placed, Reader};
use super::{From, names, s3_events};

/// What the short wires of a later version begin with, and how a sentence names it.
const LATER: &[(&str, &str)] = &[
    ("mail", "inbound mail"),
    ("logs", "log groups"),
    ("http", "HTTP APIs"),
    ("schedule", "schedules"),
    ("every", "schedules"),
    ("cron", "schedules"),
    ("queue", "queues that start functions"),
    ("bus", "event buses"),
];

/// What the short wires of this version begin with.
const SCHEMES: &[&str] = &["s3", "table", "topic"];

/// Reads one short wire: where it starts, and the place of the source's name.
pub(super) fn short(reader: &mut Reader, wire: &Placed<String>) -> Option<(From, Span)> {
    let Some((scheme, rest)) = wire.value.split_once(':') else {
        no_scheme(reader, wire);
        return None;
    };
    if let Some((_, what)) = LATER.iter().find(|(later, _)| *later == scheme) {
        reader.not_yet(&wire.span, what, Some("wires start at `s3:`, `table:` and `topic:`"));
        return None;
    }
    let name_at = |reader: &Reader, name: &str| reader.inside(wire, scheme.len() + 1, name.len());
    match scheme {
        "s3" => bucket(reader, wire, rest),
        "table" | "topic" if rest.is_empty() || rest.contains(char::is_whitespace) => {
            let what = format!("`{scheme}:` is followed by one name");
            let help = "events, filters and the like go into a wire with a name, `[function.NAME.wire.NAME]`";
            reader.complain(Complaint::new("W209", what).at(&wire.span, "this wire").help(help));
            None
        }
        "table" => Some((table(rest), name_at(reader, rest))),
        "topic" => Some((topic(rest), name_at(reader, rest))),
        _ => {
            no_scheme(reader, wire);
            None
        }
    }
}

/// A table wire without any options.
pub(super) fn table(name: &str) -> From {
    From::Table {
        table: name.to_owned(),
        filter: Vec::new(),
        batch: 100,
        window: Duration::ZERO,
        from_horizon: false,
        bisect: false,
        report_failures: false,
    }
}

/// A topic wire without any options.
pub(super) fn topic(name: &str) -> From {
    From::Topic { topic: name.to_owned(), filter: None, body_scope: false }
}

/// The event name without `s3:`, if S3 has it; else W208.
pub(super) fn event(reader: &mut Reader, written: &str, span: &Span) -> Option<String> {
    let plain = written.strip_prefix("s3:").unwrap_or(written);
    if s3_events::known(plain) {
        return Some(plain.to_owned());
    }
    let title = format!("S3 has no event called `{written}`");
    let all: Vec<&str> = s3_events::WILDCARDS.iter().chain(s3_events::NAMES).copied().collect();
    let complaint = Complaint::new("W208", title);
    reader.complain(match names::nearest(plain, &all) {
        Some(near) => complaint.at(span, format!("did you mean `{near}`?")),
        None => complaint
            .at(span, "not an event name")
            .note("`*` stands only for the whole part after the colon, as in `ObjectCreated:*`")
            .help("mostly it is `ObjectCreated:*` or `ObjectRemoved:*`"),
    });
    None
}

/// A glob as the prefix and suffix that S3 can match; the reason if it says more than these.
pub(super) fn prefix_and_suffix(glob: &str) -> Result<(&str, &str), String> {
    if let Some(sign) = glob.chars().find(|sign| "?[]{}".contains(*sign)) {
        return Err(format!("`{sign}` cannot be matched"));
    }
    let (prefix, suffix) = glob.split_once('*').unwrap_or((glob, ""));
    if suffix.contains('*') {
        return Err("more than one `*`".into());
    }
    if prefix.len() > 1024 || suffix.len() > 1024 {
        return Err("more than 1024 bytes".into());
    }
    Ok((prefix, suffix))
}

/// W205: this glob is more than a prefix and a suffix.
pub(super) fn complain_of_glob(reader: &mut Reader, glob: &str, span: &Span, reason: &str) {
    let title = format!("S3 cannot filter by `{}`", glob.chars().take(80).collect::<String>());
    reader.complain(
        Complaint::new("W205", title)
            .at(span, reason)
            .note("Amazon S3 filters keys by one prefix and one suffix, and `*` also matches `/`")
            .help("use one `*` at the most, as in `incoming/*.png`; let the function look at the rest"),
    );
}

/// `BUCKET[/GLOB] [EVENT]`
fn bucket(reader: &mut Reader, wire: &Placed<String>, rest: &str) -> Option<(From, Span)> {
    let (place, event_name) = match rest.split_once(char::is_whitespace) {
        Some((place, event)) => (place, Some(event.trim())),
        None => (rest, None),
    };
    let (name, glob) = place.split_once('/').unwrap_or((place, ""));
    let start = "s3:".len();
    if name.is_empty() {
        let help = "for example `s3:uploads/incoming/*.png`";
        reader.complain(
            Complaint::new("W209", "`s3:` is followed by a bucket").at(&wire.span, "this wire").help(help),
        );
        return None;
    }
    let events = match event_name.filter(|written| !written.is_empty()) {
        None => Some("ObjectCreated:*".to_owned()),
        Some(written) => {
            // The event name is the last thing in the text, blanks aside.
            let span = reader.inside(wire, wire.value.trim_end().len() - written.len(), written.len());
            event(reader, written, &span)
        }
    };
    match prefix_and_suffix(glob) {
        Ok((prefix, suffix)) => {
            let from = From::Bucket {
                bucket: name.to_owned(),
                events: vec![events?],
                prefix: prefix.to_owned(),
                suffix: suffix.to_owned(),
            };
            Some((from, reader.inside(wire, start, name.len())))
        }
        Err(reason) => {
            let span = reader.inside(wire, start + name.len() + 1, glob.len());
            complain_of_glob(reader, glob, &span, &reason);
            None
        }
    }
}

/// W209: it begins with nothing that a wire can start at.
fn no_scheme(reader: &mut Reader, wire: &Placed<String>) {
    let scheme = wire.value.split(':').next().unwrap_or_default();
    let near = if scheme == "bucket" { Some("s3") } else { names::nearest(scheme, SCHEMES) };
    let label = match near {
        Some(near) => format!("did you mean `{near}:`?"),
        None => "not a wire".to_owned(),
    };
    reader.complain(
        Complaint::new("W209", "a wire begins with the kind of its source")
            .at(&wire.span, label)
            .help("write `s3:BUCKET/PREFIX*SUFFIX EVENT`, `table:NAME` or `topic:NAME`"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_glob(glob: &str, expected: Result<(&str, &str), &str>) {
        assert_eq!(prefix_and_suffix(glob), expected.map_err(str::to_owned), "{glob}");
    }

    #[test]
    fn a_glob_is_a_prefix_and_a_suffix() {
        check_glob("", Ok(("", "")));
        check_glob("*", Ok(("", "")));
        check_glob("incoming/", Ok(("incoming/", "")));
        check_glob("incoming/*.png", Ok(("incoming/", ".png")));
        check_glob("*.png", Ok(("", ".png")));
        check_glob("a/*/b*", Err("more than one `*`"));
        check_glob("**/x", Err("more than one `*`"));
        check_glob("a?", Err("`?` cannot be matched"));
        check_glob("{a,b}", Err("`{` cannot be matched"));
    }

    fn check_short(wire: &str, expected: Option<From>) {
        let text = format!("on = \"{wire}\"");
        let mut reader = Reader::new("/".into(), "t", &text);
        let placed = Placed { value: wire.to_owned(), span: 5..text.len() };
        assert_eq!(short(&mut reader, &placed).map(|(from, _)| from), expected, "{wire}");
    }

    fn from_bucket(bucket: &str, event: &str, (prefix, suffix): (&str, &str)) -> Option<From> {
        let events = vec![event.to_owned()];
        Some(From::Bucket { bucket: bucket.into(), events, prefix: prefix.into(), suffix: suffix.into() })
    }

    #[test]
    fn short_wires_name_a_source_and_what_passes() {
        check_short("s3:uploads", from_bucket("uploads", "ObjectCreated:*", ("", "")));
        check_short("s3:uploads/", from_bucket("uploads", "ObjectCreated:*", ("", "")));
        check_short("s3:uploads/in/*.png", from_bucket("uploads", "ObjectCreated:*", ("in/", ".png")));
        check_short("s3:uploads ObjectRemoved:*", from_bucket("uploads", "ObjectRemoved:*", ("", "")));
        check_short("s3:u-1/a  s3:ObjectCreated:Put ", from_bucket("u-1", "ObjectCreated:Put", ("a", "")));
        check_short("table:orders", Some(table("orders")));
        check_short("topic:order-events", Some(topic("order-events")));
        for wrong in
            ["", ":", "s3:", "s3:/x", "s3", "uploads", "table:", "topic:a b", "mail:x", "every:5 minutes"]
        {
            check_short(wrong, None);
        }
        check_short("s3:uploads Object*", None);
        check_short("s3:uploads a b", None);
    }
}
