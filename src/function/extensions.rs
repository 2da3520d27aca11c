//! The extensions of one environment: who is registered for what, who waits, and what each gets. Pure but for
//! waking who waits.
//!
//! External ones are programs that we start before the runtime and that register under their file name; internal
//! ones are part of the runtime's own process. All register before the runtime asks for its first event.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

/// How many there may be in all.
pub const EXTENSIONS_MAX: usize = 10;

/// What an extension gets from `next`: the event's JSON.
pub type Message = Bytes;

/// The extensions of one environment.
#[derive(Default)]
pub struct Extensions {
    state: Mutex<State>,
    /// Rung when one registers or fails.
    changed: Notify,
}

#[derive(Default)]
struct State {
    members: Vec<Member>,
    /// The runtime has asked for its first event: nobody can register any more.
    closed: bool,
    /// The initialization is over: nobody can subscribe any more.
    settled: bool,
    failed: Option<ExtensionFailure>,
}

/// One extension.
struct Member {
    name: String,
    external: bool,
    /// Empty until it has registered.
    id: String,
    invoke: bool,
    shutdown: bool,
    /// Whether it has called `next` and got nothing since.
    waits: bool,
    waiter: Option<oneshot::Sender<Message>>,
    /// What came while it was not waiting.
    pending: Option<Message>,
}

/// An extension cannot go on: it said so, or could not even begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionFailure {
    /// Its name.
    pub name: String,
    /// `Extension.InitError`, `Extension.ExitError` or `Extension.LaunchError`.
    pub kind: &'static str,
    /// The error type that it gave, or why it could not begin.
    pub said: String,
}

/// Why a call is refused: error type and message, with status 403.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(pub &'static str, pub String);

/// What a member looks like in the log: name, state, events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// The events that it is registered for.
    pub events: Vec<&'static str>,
}

impl Extensions {
    /// This program is about to be started and will register under its file name.
    pub fn expect(&self, name: &str) {
        self.state().members.push(Member::new(name, true));
    }

    /// Registers an extension: `id` becomes its identifier.
    pub fn register(&self, name: &str, events: &[String], id: &str) -> Result<(), Refused> {
        let mut state = self.state();
        let refused = |kind, text: String| Err(Refused(kind, text));
        if name.is_empty() {
            return refused("Extension.InvalidExtensionName", "Empty extension name".to_owned());
        }
        let known = state.members.iter().position(|member| member.name == name);
        if let Some(bad) = events.iter().find(|event| *event != "INVOKE" && *event != "SHUTDOWN") {
            return refused("Extension.InvalidEventType", format!("{bad}: unknown event type"));
        }
        if known.is_none() && events.iter().any(|event| event == "SHUTDOWN") {
            let text = "SHUTDOWN: event not supported for internal extensions";
            return refused("Extension.InvalidEventType", text.to_owned());
        }
        if known.is_some_and(|at| !state.members[at].id.is_empty()) {
            let text = format!(
                "State transition from Registered to Registered failed for extension {name}. Error: State transition is not allowed"
            );
            return refused("Extension.InvalidExtensionState", text);
        }
        if state.closed {
            return refused(
                "Extension.RegistrationClosed",
                "Extension registration closed already".to_owned(),
            );
        }
        let at = match known {
            Some(at) => at,
            None if state.members.len() >= EXTENSIONS_MAX => {
                let text = format!("Extension limit ({EXTENSIONS_MAX}) reached");
                return refused("Extension.TooManyExtensions", text);
            }
            None => {
                state.members.push(Member::new(name, false));
                state.members.len() - 1
            }
        };
        let member = &mut state.members[at];
        member.id = id.to_owned();
        member.invoke = events.iter().any(|event| event == "INVOKE");
        member.shutdown = events.iter().any(|event| event == "SHUTDOWN");
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    /// The name of the extension with this identifier (the header's value, if it was sent), if it may still subscribe to
    /// what the `api` of this name tells: during the initialization.
    pub fn subscriber(&self, id: Option<&str>, api: &'static str) -> Result<String, Refused> {
        let state = self.state();
        let name = state.find(id).map(|at| state.members[at].name.clone())?;
        if state.settled {
            let kind = if api == "Logs" { "Logs.SubscriptionClosed" } else { "Telemetry.SubscriptionClosed" };
            return Err(Refused(kind, format!("{api} API subscription is closed already")));
        }
        Ok(name)
    }

    /// The initialization is over: nobody subscribes any more.
    pub fn settle(&self) {
        self.state().settled = true;
    }

    /// A call of `next`: what it gets comes by the receiver, maybe at once.
    pub fn next(&self, id: Option<&str>) -> Result<oneshot::Receiver<Message>, Refused> {
        let mut state = self.state();
        let at = state.find(id)?;
        let member = &mut state.members[at];
        let (sender, receiver) = oneshot::channel();
        match member.pending.take() {
            Some(message) => drop(sender.send(message)),
            None => {
                member.waits = true;
                member.waiter = Some(sender);
            }
        }
        Ok(receiver)
    }

    /// A call of `init/error` or `exit/error`.
    pub fn fail(&self, id: Option<&str>, (kind, said): (&'static str, &str)) -> Result<(), Refused> {
        let mut state = self.state();
        let at = state.find(id)?;
        let name = state.members[at].name.clone();
        if kind == INIT_ERROR && state.members[at].waits {
            let text = format!(
                "State transition from Ready to InitError failed for extension {name}. Error: State transition is not allowed"
            );
            return Err(Refused("Extension.InvalidExtensionState", text));
        }
        state.failed = Some(ExtensionFailure { name, kind, said: said.to_owned() });
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Waits until one has failed. To be cancelled when that is of no interest any more.
    pub async fn until_failed(&self) -> ExtensionFailure {
        loop {
            let rung = self.changed.notified();
            if let Some(failed) = self.state().failed.clone() {
                return failed;
            }
            rung.await;
        }
    }

    /// Waits until all programs that were started have registered, or one has failed.
    pub async fn until_registered(&self) {
        loop {
            let rung = self.changed.notified();
            {
                let state = self.state();
                if state.failed.is_some() || state.members.iter().all(|member| !member.id.is_empty()) {
                    return;
                }
            }
            rung.await;
        }
    }

    /// From now on nobody can register.
    pub fn close(&self) {
        self.state().closed = true;
    }

    /// Whether all have registered and called `next`.
    pub fn are_ready(&self) -> bool {
        self.state().members.iter().all(|member| member.waits)
    }

    /// Whether all that get invocations wait for the next one.
    pub fn are_quiet(&self) -> bool {
        self.state().members.iter().all(|member| member.waits || !member.invoke)
    }

    /// Whether any of them gets invocations.
    pub fn hear_invocations(&self) -> bool {
        self.state().members.iter().any(|member| member.invoke)
    }

    /// Whether there are any.
    pub fn are_any(&self) -> bool {
        !self.state().members.is_empty()
    }

    /// Gives this to all that are registered for invocations.
    pub fn tell_invocation(&self, message: &Message) {
        self.tell(message, |member| member.invoke);
    }

    /// Gives this to all that are registered for the end.
    pub fn tell_shutdown(&self, message: &Message) {
        self.tell(message, |member| member.shutdown && member.external);
    }

    fn tell(&self, message: &Message, to: impl Fn(&Member) -> bool) {
        for member in self.state().members.iter_mut().filter(|member| to(member)) {
            member.waits = false;
            let unsent = match member.waiter.take() {
                Some(waiter) => waiter.send(message.clone()).err(),
                None => Some(message.clone()),
            };
            member.pending = unsent;
        }
    }

    /// All that have registered, for the log.
    pub fn shown(&self) -> Vec<Shown> {
        let state = self.state();
        let shown = |member: &Member| Shown {
            name: member.name.clone(),
            events: [("INVOKE", member.invoke), ("SHUTDOWN", member.shutdown)]
                .into_iter()
                .filter_map(|(name, wanted)| wanted.then_some(name))
                .collect(),
        };
        state.members.iter().filter(|member| !member.id.is_empty()).map(shown).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error type of an extension that cannot start.
pub const INIT_ERROR: &str = "Extension.InitError";
/// The error type of an extension that cannot go on.
pub const EXIT_ERROR: &str = "Extension.ExitError";

impl State {
    fn find(&self, id: Option<&str>) -> Result<usize, Refused> {
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            let text = "Missing Lambda-Extension-Identifier header".to_owned();
            return Err(Refused("Extension.MissingExtensionIdentifier", text));
        };
        if !is_uuid(id) {
            let text = "Invalid Lambda-Extension-Identifier".to_owned();
            return Err(Refused("Extension.InvalidExtensionIdentifier", text));
        }
        let unknown = || Refused("Extension.UnknownExtensionIdentifier", format!("Unknown extension {id}"));
        self.members.iter().position(|member| member.id == id).ok_or_else(unknown)
    }
}

impl Member {
    fn new(name: &str, external: bool) -> Member {
        Member {
            name: name.to_owned(),
            external,
            id: String::new(),
            invoke: false,
            shutdown: false,
            waits: false,
            waiter: None,
            pending: None,
        }
    }
}

fn is_uuid(text: &str) -> bool {
    let digit = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00000000-0000-4000-8000-000000000001";

    fn refusal<T>(result: Result<T, Refused>) -> &'static str {
        result.err().map_or("", |refused| refused.0)
    }

    #[test]
    fn who_may_register_for_what() {
        let extensions = Extensions::default();
        extensions.expect("outer");
        let register = |name: &str, events: &[&str]| {
            let events: Vec<String> = events.iter().map(|event| (*event).to_owned()).collect();
            refusal(extensions.register(name, &events, ID))
        };
        assert_eq!(register("", &[]), "Extension.InvalidExtensionName");
        assert_eq!(register("outer", &["START"]), "Extension.InvalidEventType");
        assert_eq!(register("inner", &["SHUTDOWN"]), "Extension.InvalidEventType");
        assert_eq!(register("outer", &["INVOKE", "SHUTDOWN"]), "");
        assert_eq!(register("outer", &[]), "Extension.InvalidExtensionState");
        for number in 1..EXTENSIONS_MAX {
            assert_eq!(register(&format!("inner{number}"), &["INVOKE"]), "");
        }
        assert_eq!(register("one more", &[]), "Extension.TooManyExtensions");
        extensions.close();
        assert_eq!(register("late", &[]), "Extension.RegistrationClosed");
    }

    #[test]
    fn identifiers_are_looked_at() {
        let extensions = Extensions::default();
        assert_eq!(refusal(extensions.next(None)), "Extension.MissingExtensionIdentifier");
        assert_eq!(refusal(extensions.next(Some("x"))), "Extension.InvalidExtensionIdentifier");
        assert_eq!(refusal(extensions.next(Some(ID))), "Extension.UnknownExtensionIdentifier");
    }

    #[test]
    fn who_subscribes_does_so_while_the_environment_starts() {
        let extensions = Extensions::default();
        extensions.expect("outer");
        extensions.register("outer", &["INVOKE".to_owned()], ID).expect("registered");
        let subscriber = |api| extensions.subscriber(Some(ID), api);
        assert_eq!(subscriber("Telemetry"), Ok("outer".to_owned()));
        // Though it waits for its first event already.
        let _waits = extensions.next(Some(ID)).expect("known");
        assert_eq!(subscriber("Logs"), Ok("outer".to_owned()));
        extensions.settle();
        assert_eq!(refusal(subscriber("Telemetry")), "Telemetry.SubscriptionClosed");
        assert_eq!(refusal(subscriber("Logs")), "Logs.SubscriptionClosed");
    }

    #[test]
    fn each_gets_what_it_registered_for() {
        let extensions = Extensions::default();
        assert!(extensions.are_ready() && extensions.are_quiet());
        extensions.expect("outer");
        assert!(!extensions.are_ready());
        extensions.register("outer", &["INVOKE".to_owned()], ID).expect("registered");
        let mut first = extensions.next(Some(ID)).expect("known");
        assert!(extensions.are_ready() && extensions.are_quiet());
        extensions.tell_invocation(&Message::from_static(b"one"));
        assert!(!extensions.are_quiet());
        assert_eq!(first.try_recv().expect("told"), "one");
        extensions.tell_shutdown(&Message::from_static(b"end"));
        let mut second = extensions.next(Some(ID)).expect("known");
        assert!(second.try_recv().is_err() && extensions.are_quiet(), "it did not ask for the end");
        extensions.fail(Some(ID), (EXIT_ERROR, "Oops")).expect("taken");
        assert_eq!(
            refusal(extensions.fail(Some(ID), (INIT_ERROR, "Oops"))),
            "Extension.InvalidExtensionState"
        );
    }
}
