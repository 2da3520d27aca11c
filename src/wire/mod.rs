//! Wires: who wants which event, and how it is delivered. `wants` is pure, and `why` prints what it says.

use crate::arn::Arn;
use crate::delivery::policy::{AsyncPolicy, DeliveryPolicy};
use crate::event;
use crate::event::pattern::Pattern;
use crate::random;

mod wants;
mod wiring;

pub use wants::{Finding, WIRE_MEMBER, explain, sent_over, wants};
pub use wiring::{WiresBySource, Wiring};

/// From a source, through a filter, to a target, under a delivery policy.
#[derive(Clone, Debug)]
pub struct Wire {
    /// `FUNCTION/NAME`, unique.
    pub id: String,
    /// Where it starts.
    pub source: Arn,
    /// What it lets pass.
    pub filter: Filter,
    /// Where it leads.
    pub target: Arn,
    /// How it delivers, retries and gives up.
    pub policy: DeliveryPolicy,
    /// What gets an event given up, as it is: a queue or a topic.
    pub dead_letters: Option<Arn>,
    /// What gets the record of a failure: a queue, a topic, a bucket, a bus, or (asynchronous invocation) a function.
    pub on_failure: Option<Arn>,
    /// What gets the record of each success (asynchronous invocation only): a queue, a topic, a function, a bus.
    pub on_success: Option<Arn>,
    /// Where it is declared, as `dropwire.toml:12`; empty if nowhere.
    pub declared_at: String,
}

/// Why a function's destination is sent something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// An invocation succeeded.
    Success,
    /// A delivery was given up: the record of that.
    Failure,
    /// A delivery was given up: the event itself.
    DeadLetter,
}

impl Occasion {
    /// All of them.
    pub const ALL: [Occasion; 3] = [Occasion::Success, Occasion::Failure, Occasion::DeadLetter];

    /// The word of the wiring file.
    pub fn word(self) -> &'static str {
        match self {
            Occasion::Success => "on_success",
            Occasion::Failure => "on_failure",
            Occasion::DeadLetter => "dlq",
        }
    }
    /// What the event of a sending is called.
    pub fn event_name(self) -> &'static str {
        match self {
            Occasion::Success => event::ON_SUCCESS,
            Occasion::Failure => event::ON_FAILURE,
            Occasion::DeadLetter => event::DEAD_LETTER,
        }
    }
}

impl Wire {
    /// The wire of all asynchronous invocations of this function, or of one version or alias of it.
    pub fn asynchronous(
        function: Arn,
        policy: AsyncPolicy,
        dead_letters: Option<Arn>,
        on_failure: Option<Arn>,
        on_success: Option<Arn>,
    ) -> Wire {
        let qualifier = function.qualifier().map_or(String::new(), |qualifier| format!(":{qualifier}"));
        Wire {
            id: format!("{}{qualifier}{ASYNC}", function.name()),
            source: function.clone(),
            filter: Filter::Invocations,
            target: function,
            policy: DeliveryPolicy::Async(policy),
            dead_letters,
            on_failure,
            on_success,
            declared_at: String::new(),
        }
    }

    /// What is to be told on this occasion, if anything is.
    pub fn destination(&self, occasion: Occasion) -> Option<&Arn> {
        match occasion {
            Occasion::Success => self.on_success.as_ref(),
            Occasion::Failure => self.on_failure.as_ref(),
            Occasion::DeadLetter => self.dead_letters.as_ref(),
        }
    }

    /// The wire that carries what the destination of this occasion is sent; none if there is no destination, or it
    /// is a queue, which is written to at once. A function is invoked as anybody would invoke it: over its own
    /// asynchronous wire, so under its own policy and with its own destinations.
    pub fn to_destination(&self, occasion: Occasion) -> Option<Wire> {
        let to = self.destination(occasion)?;
        match to.kind() {
            "queue" => None,
            "function" => Some(Wire::asynchronous(to.clone(), AsyncPolicy::lambda(), None, None, None)),
            _ => {
                let id = format!("{}/{}", self.id.strip_suffix(ASYNC).unwrap_or(&self.id), occasion.word());
                Some(Wire {
                    source: self.target.clone(),
                    filter: Filter::Sent(id.clone()),
                    id,
                    target: to.clone(),
                    policy: DeliveryPolicy::Async(AsyncPolicy::destination()),
                    dead_letters: None,
                    on_failure: None,
                    on_success: None,
                    declared_at: self.declared_at.clone(),
                })
            }
        }
    }

    /// Whether nobody declared it: it is there because there is a function, or a destination.
    pub fn is_made(&self) -> bool {
        matches!(self.filter, Filter::Invocations | Filter::Sent(_))
    }

    /// What it leads to, in words: a function's name alone, anything else with its kind.
    pub fn leads_to(&self) -> String {
        match self.target.kind() {
            "function" => self.target.name().to_owned(),
            kind => format!("{kind} {}", self.target.name()),
        }
    }

    /// The id that Lambda would give this event source mapping.
    pub fn mapping_id(&self) -> String {
        random::uuid_of(&[b"mapping", self.id.as_bytes()], 4)
    }

    /// What fills the slots of a record that this wire takes.
    pub fn word(&self, slot: &str) -> String {
        match slot {
            "subscription" => self.subscription(),
            _ => match self.id.strip_prefix(NOTIFICATION).and_then(|rest| rest.split_once('/')) {
                // Callers name notifications as they like; what stands in a record is JSON.
                Some((_, id)) => serde_json::Value::from(id).to_string().trim_matches('"').to_owned(),
                // Other ids are made of names that need no JSON escape.
                None => self.id.clone(),
            },
        }
    }
    /// The ARN that SNS would give this subscription: the topic's, and an id that follows from the wire's.
    pub fn subscription(&self) -> String {
        format!("{}:{}", self.source, random::uuid_of(&[b"subscription", self.id.as_bytes()], 4))
    }
}

/// How the ids of wires begin that are notifications of a bucket, set by a call: `notification/BUCKET/ID`.
pub const NOTIFICATION: &str = "notification/";
/// How the ids of asynchronous wires end.
const ASYNC: &str = "/async";

/// What a wire lets pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Everything.
    All,
    /// By the event's name and the object's key (S3).
    Keys {
        /// Names, with `*` at the end for any: `ObjectCreated:*`. One must match.
        events: Vec<String>,
        /// The key begins with it.
        prefix: String,
        /// The key ends with it.
        suffix: String,
    },
    /// By the record; one of the patterns must match (event source mappings).
    Record(Vec<Pattern>),
    /// By an SNS message's attributes.
    Attributes(Pattern),
    /// By an SNS message's body.
    Body(Pattern),
    /// Asynchronous invocations of the function that the wire starts at (and leads to).
    Invocations,
    /// What a destination is sent over the wire of this id, and nothing else.
    Sent(String),
    /// Nothing, for this reason: where it leads must not be told.
    Nothing(String),
}
