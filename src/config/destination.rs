//! Destinations: what is told of the end of an asynchronous invocation, or of a batch that was given up.

use std::time::Duration;

use super::check;
use super::complaint::Complaint;
use super::parse::Draft;
use super::reader::{Placed, Reader, Section, Setting};
use super::{Asynchronous, LATEST, names};
use crate::arn::{Arn, Place};

/// What a destination is, with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// `"queue:NAME"`, or just `"NAME"`.
    Queue(String),
    /// `"topic:NAME"`
    Topic(String),
    /// `"function:NAME"`; from AWS calls also `NAME:QUALIFIER`.
    Function(String),
    /// `"s3:BUCKET"`
    Bucket(String),
}

impl Destination {
    /// Its ARN.
    pub fn arn(&self, place: &Place) -> Arn {
        match self {
            Destination::Queue(name) => Arn::queue(place, name),
            Destination::Topic(name) => Arn::topic(place, name),
            Destination::Function(name) => Arn::function(place, name),
            Destination::Bucket(name) => Arn::bucket(name),
        }
    }

    /// The destination that this ARN names; none if it is of no kind that there is.
    pub fn of(arn: &Arn) -> Option<Destination> {
        let name = || arn.name().to_owned();
        match arn.kind() {
            "queue" => Some(Destination::Queue(name())),
            "topic" => Some(Destination::Topic(name())),
            "s3" => Some(Destination::Bucket(name())),
            "function" => {
                let qualifier = arn.qualifier().filter(|qualifier| *qualifier != LATEST);
                let qualifier = qualifier.map_or(String::new(), |qualifier| format!(":{qualifier}"));
                Some(Destination::Function(name() + &qualifier))
            }
            _ => None,
        }
    }

    /// The word of the wiring file, and the name.
    fn parts(&self) -> (&'static str, &str) {
        match self {
            Destination::Queue(name) => ("queue", name),
            Destination::Topic(name) => ("topic", name),
            Destination::Function(name) => ("function", name),
            Destination::Bucket(name) => ("bucket", name),
        }
    }
}

/// The keys that name a destination.
pub(super) const KEYS: [&str; 3] = ["dlq", "on_failure", "on_success"];

/// What each key may name, as AWS has it; `stream` is a wire that starts at a table.
fn allowed(key: &str, stream: bool) -> &'static [&'static str] {
    match (key, stream) {
        ("dlq", _) => &["queue", "topic"],
        ("on_success", _) => &["queue", "topic", "function"],
        (_, true) => &["queue", "topic", "bucket"],
        (_, false) => &["queue", "topic", "function", "bucket"],
    }
}

/// The destinations of a wire or a function, each with its place.
#[derive(Default)]
pub(super) struct Destinations {
    pub dlq: Option<Placed<Destination>>,
    pub on_failure: Option<Placed<Destination>>,
    pub on_success: Option<Placed<Destination>>,
}

impl Destinations {
    /// Reads the three keys. `function` is whose destinations they are.
    pub fn read(reader: &mut Reader, section: &Section, function: &str, stream: bool) -> Destinations {
        let mut read = |key: &str| {
            let setting = section.get(key)?;
            let destination = destination(reader, &setting)?;
            fitting(reader, &destination, (key, function, stream)).then_some(destination)
        };
        let [dlq, on_failure, on_success] = KEYS.map(&mut read);
        Destinations { dlq, on_failure, on_success }
    }

    /// All of them.
    pub fn all(self) -> Vec<Placed<Destination>> {
        [self.dlq, self.on_failure, self.on_success].into_iter().flatten().collect()
    }
}

/// The value without its place.
pub(super) fn value(destination: &Option<Placed<Destination>>) -> Option<Destination> {
    destination.as_ref().map(|destination| destination.value.clone())
}

/// What a function says of all its asynchronous invocations, with the places of its destinations.
pub(super) fn asynchronous(
    reader: &mut Reader,
    section: &Section,
    function: &str,
) -> (Asynchronous, Vec<Placed<Destination>>) {
    let destinations = Destinations::read(reader, section, function, false);
    let retries = section.get("retries").and_then(|setting| reader.integer(&setting, 0..=2));
    let ages = Duration::from_secs(60)..=Duration::from_hours(6);
    let asynchronous = Asynchronous {
        retries: retries.and_then(|count| u32::try_from(count).ok()),
        age_max: section.get("age").and_then(|setting| reader.duration(&setting, ages)),
        on_success: value(&destinations.on_success),
        on_failure: value(&destinations.on_failure),
        dlq: value(&destinations.dlq),
    };
    (asynchronous, destinations.all())
}

/// `"queue:NAME"`, `"topic:NAME"`, `"function:NAME"`, `"s3:BUCKET"`, or `"NAME"` for a queue. The place is the name's.
fn destination(reader: &mut Reader, setting: &Setting) -> Option<Placed<Destination>> {
    let text = reader.text_like(setting, "a destination such as \"queue:NAME\" or \"topic:NAME\"")?;
    let (scheme, name) = text.value.split_once(':').unwrap_or(("queue", &text.value));
    let name_owned = name.to_owned();
    let value = match scheme {
        "queue" => Destination::Queue(name_owned),
        "topic" => Destination::Topic(name_owned),
        "function" => Destination::Function(name_owned),
        "s3" => Destination::Bucket(name_owned),
        "bus" => {
            reader.not_yet(&text.span, "event buses", Some(WRITTEN));
            return None;
        }
        _ => {
            let near = if scheme == "bucket" { Some("s3") } else { names::nearest(scheme, SCHEMES) };
            let label =
                near.map_or("no kind of destination".into(), |near| format!("did you mean `{near}:`?"));
            let complaint = Complaint::new("W213", format!("`{}` names no destination", setting.key));
            reader.complain(complaint.at(&text.span, label).help(WRITTEN));
            return None;
        }
    };
    let span = reader.inside(&text, text.value.len() - name.len(), name.len());
    Some(Placed { value, span })
}

const SCHEMES: &[&str] = &["queue", "topic", "function", "s3"];
const WRITTEN: &str = "write `queue:NAME`, `topic:NAME`, `function:NAME` or `s3:BUCKET`";

/// W213 for what AWS would not take there.
fn fitting(
    reader: &mut Reader,
    destination: &Placed<Destination>,
    (key, function, stream): (&str, &str, bool),
) -> bool {
    let (kind, name) = destination.value.parts();
    if !allowed(key, stream).contains(&kind) {
        let of = if stream { " of a table's wire" } else { "" };
        let complaint = Complaint::new("W213", format!("`{key}`{of} cannot be a {kind}"));
        let note =
            format!("AWS takes {} here, so this would fail when deployed", listed(allowed(key, stream)));
        reader.complain(complaint.at(&destination.span, "not taken").note(note));
        return false;
    }
    if kind == "function" && name == function {
        let complaint = Complaint::new("W213", format!("function `{function}` is its own destination"));
        let note = "AWS refuses that: it would invoke itself for ever";
        reader.complain(complaint.at(&destination.span, "itself").note(note));
        return false;
    }
    true
}

/// "a queue, a topic or a bucket"
fn listed(kinds: &[&str]) -> String {
    let kinds: Vec<String> = kinds.iter().map(|kind| format!("a {kind}")).collect();
    match kinds.split_last() {
        Some((last, first)) if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => kinds.concat(),
    }
}

/// What is wrong between a destination and what is declared: W206 for a queue that is not, W202 for a function that is
/// not. Topics and buckets are made with defaults, as where a wire starts.
pub(super) fn check(reader: &mut Reader, draft: &mut Draft, destination: &Placed<Destination>) {
    let (kind, name) = destination.value.parts();
    match kind {
        "topic" | "bucket" => check::make_or_complain(reader, draft, (kind, name), &destination.span),
        _ if draft.place(kind, name).is_some() => {}
        "function" => {
            let complaint = Complaint::new("W202", format!("no function called `{name}`"));
            let near = names::nearest(name, &draft.declared("function")).map(str::to_owned);
            reader.complain(match near {
                Some(near) => {
                    let complaint = complaint.at(&destination.span, format!("did you mean `{near}`?"));
                    draft.beside_declaration(complaint, "function", &near)
                }
                None => complaint.at(&destination.span, "not declared"),
            });
        }
        _ => undeclared_queue(reader, draft, destination, name),
    }
}

/// W206 for a queue that nobody declares: an event must not vanish into a typo.
fn undeclared_queue(reader: &mut Reader, draft: &Draft, queue: &Placed<Destination>, name: &str) {
    let complaint = Complaint::new("W206", format!("no queue called `{name}`"));
    reader.complain(match names::nearest(name, &draft.declared("queue")) {
        Some(near) => {
            let complaint = complaint.at(&queue.span, format!("did you mean `{near}`?"));
            draft.beside_declaration(complaint, "queue", near)
        }
        None => match names::broken_rule("queue", name) {
            Some(rule) => {
                complaint.at(&queue.span, "not declared").note(format!("a queue is called by {rule}"))
            }
            None => complaint
                .at(&queue.span, "not declared")
                .help(format!("add a line that declares it: `[queue.{name}]`")),
        },
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(destination: Destination, arn: &str) {
        let own = destination.arn(&Place::default());
        assert_eq!((own.as_str(), Destination::of(&own)), (arn, Some(destination)));
    }

    #[test]
    fn a_destination_is_an_arn_and_back() {
        check(Destination::Queue("q".into()), "arn:aws:sqs:us-east-1:000000000000:q");
        check(Destination::Topic("t".into()), "arn:aws:sns:us-east-1:000000000000:t");
        check(Destination::Bucket("b".into()), "arn:aws:s3:::b");
        check(Destination::Function("f".into()), "arn:aws:lambda:us-east-1:000000000000:function:f");
        check(
            Destination::Function("f:prod".into()),
            "arn:aws:lambda:us-east-1:000000000000:function:f:prod",
        );
        let latest = Arn::function(&Place::default(), "f").qualified(LATEST);
        assert_eq!(Destination::of(&latest), Some(Destination::Function("f".into())));
    }
}
