//! The desk between one environment and its runtime: the event that lies there, who waits for it, and the
//! Runtime API's state machine. Pure but for waking who waits.
//!
//! ```text
//! Started ──next──▶ Ready ──event──▶ Running ──response or error──▶ RuntimeResponseSent ──next──▶ Ready
//!    └──init/error──▶ InitError ──next──▶ Ready
//! ```

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use crate::clock::{Timestamp, real};

/// What a runtime gets from `next`.
#[derive(Debug)]
pub struct Event {
    /// The invocation's id, a UUID.
    pub request_id: String,
    /// The event itself.
    pub payload: Bytes,
    /// The function's ARN, as invoked.
    pub arn: String,
    /// `Root=1-8hex-24hex;Parent=16hex;Sampled=0`.
    pub trace_id: String,
    /// How long the invocation may take from the moment it is handed over.
    pub limit: Duration,
}

/// What a runtime said about an event, or about its own start.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// The result, any bytes.
    Response(Bytes),
    /// The function failed; the body as posted, and the error type of the header.
    Error(Bytes, String),
    /// The code could not be loaded; the body as posted, and the error type of the header.
    InitError(Bytes, String),
    /// The result was larger than the Runtime API takes.
    TooLarge,
}

/// Why the Runtime API refuses a call.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    /// The id is not that of the running invocation.
    UnknownId,
    /// This call is not allowed now: the state, and the state it would lead to.
    Transition(&'static str, &'static str),
}

/// An event as handed over.
#[derive(Clone, Debug)]
pub struct Handed {
    /// The event.
    pub event: Arc<Event>,
    /// When the invocation must be over, real time.
    pub deadline: Timestamp,
    /// When it was handed over first.
    pub at: Instant,
}

/// What came of a call of `next`.
pub enum Next {
    /// There is an event.
    Now(Handed),
    /// There is none yet; it comes here.
    Later(oneshot::Receiver<Handed>),
}

/// The desk of one environment.
#[derive(Default)]
pub struct Desk {
    state: Mutex<State>,
    /// Rung when an event is taken from the desk that had to lie there.
    taken: Notify,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// The event on the desk or in work.
    event: Option<Arc<Event>>,
    handed: Option<Handed>,
    answer: Option<oneshot::Sender<Answer>>,
    waiting: Vec<oneshot::Sender<Handed>>,
    /// An init error that came before any event.
    init_error: Option<Answer>,
    /// To be called just before the first event is handed over.
    at_first: Option<Box<dyn FnOnce() + Send>>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Phase {
    #[default]
    Started,
    InitError,
    Ready,
    Running,
    ResponseSent,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Phase::Started => "Started",
            Phase::InitError => "InitError",
            Phase::Ready => "Ready",
            Phase::Running => "Running",
            Phase::ResponseSent => "RuntimeResponseSent",
        }
    }
}

impl Desk {
    /// A desk that calls this just before it hands over its first event: the start ends there, to the byte.
    pub fn calling(at_first: impl FnOnce() + Send + 'static) -> Desk {
        let state = State { at_first: Some(Box::new(at_first)), ..State::default() };
        Desk { state: Mutex::new(state), taken: Notify::new() }
    }

    /// Lays an event on the desk; who waits gets it at once. The answer comes by the receiver.
    pub fn put(&self, event: Arc<Event>) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        if let Some(error) = state.init_error.take() {
            sender.send(error).ok();
            return receiver;
        }
        state.answer = Some(sender);
        state.event = Some(event);
        state.handed = None;
        // A client that went away while it waited has dropped its receiver: the event is not lost with it.
        while let Some(waiter) = state.waiting.pop() {
            if !waiter.is_closed() && waiter.send(state.hand_over()).is_ok() {
                break;
            }
            state.handed = None;
            state.phase = Phase::Ready;
        }
        receiver
    }

    /// When the event on the desk was handed over, if it was.
    pub fn handed_at(&self) -> Option<Instant> {
        self.state().handed.as_ref().map(|handed| handed.at)
    }

    /// Waits until the event on the desk is handed over.
    pub async fn until_handed(&self) -> Instant {
        loop {
            let rung = self.taken.notified();
            if let Some(at) = self.handed_at() {
                return at;
            }
            rung.await;
        }
    }

    /// Clears the desk: whoever still answers an event that has no answer is too late.
    pub fn clear(&self) {
        let mut state = self.state();
        (state.event, state.answer) = (None, None);
        if state.phase == Phase::Running {
            state.handed = None;
        }
    }

    /// A call of `next`. While an invocation runs it gets the same event again.
    pub fn next(&self) -> Next {
        let mut state = self.state();
        match state.phase {
            // A process that somebody else started, and now starts again.
            Phase::InitError => state.init_error = None,
            Phase::Running => {
                if let Some(handed) = &state.handed {
                    return Next::Now(handed.clone());
                }
            }
            Phase::Started | Phase::Ready | Phase::ResponseSent => {}
        }
        state.phase = Phase::Ready;
        if state.event.is_some() && state.answer.is_some() {
            let handed = state.hand_over();
            self.taken.notify_one();
            return Next::Now(handed);
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.retain(|waiter| !waiter.is_closed());
        state.waiting.push(sender);
        Next::Later(receiver)
    }

    /// Whether an answer for this id would be taken, before its body is read. `to` names the state it leads to.
    pub fn check_answer(&self, request_id: &str, to: &'static str) -> Result<(), Refusal> {
        self.state().check(request_id, to)
    }

    /// A call of `response` or `error`.
    pub fn answer(&self, request_id: &str, to: &'static str, answer: Answer) -> Result<(), Refusal> {
        let mut state = self.state();
        state.check(request_id, to)?;
        state.phase = Phase::ResponseSent;
        if let Some(sender) = state.answer.take() {
            // Nobody waiting means that the invocation timed out in this very moment.
            sender.send(answer).ok();
        }
        Ok(())
    }

    /// A call of `init/error`.
    pub fn fail_init(&self, answer: Answer) -> Result<(), Refusal> {
        let mut state = self.state();
        if state.phase != Phase::Started {
            return Err(Refusal::Transition(state.phase.name(), Phase::InitError.name()));
        }
        state.phase = Phase::InitError;
        match state.answer.take() {
            Some(sender) => drop(sender.send(answer)),
            None => state.init_error = Some(answer),
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn hand_over(&mut self) -> Handed {
        if let Some(call) = self.at_first.take() {
            call();
        }
        let event = self
            .event
            .clone()
            .unwrap_or_else(|| unreachable!("an event is handed over only when there is one"));
        self.phase = Phase::Running;
        let handed = Handed { deadline: real::now().plus(event.limit), event, at: Instant::now() };
        self.handed = Some(handed.clone());
        handed
    }

    fn check(&self, request_id: &str, to: &'static str) -> Result<(), Refusal> {
        let known = self.handed.as_ref().is_some_and(|handed| handed.event.request_id == request_id);
        match (known, self.phase) {
            (false, _) => Err(Refusal::UnknownId),
            (true, Phase::Running) => Ok(()),
            (true, phase) => Err(Refusal::Transition(phase.name(), to)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str) -> Arc<Event> {
        let (arn, trace_id) = (String::new(), String::new());
        Arc::new(Event {
            request_id: id.into(),
            payload: Bytes::new(),
            arn,
            trace_id,
            limit: Duration::from_secs(3),
        })
    }
    fn response() -> Answer {
        Answer::Response(Bytes::from_static(b"1"))
    }
    fn id_of(next: Next) -> Option<String> {
        match next {
            Next::Now(handed) => Some(handed.event.request_id.clone()),
            Next::Later(_) => None,
        }
    }

    #[test]
    fn a_runtime_goes_round() {
        let desk = Desk::default();
        let Next::Later(mut first) = desk.next() else { panic!("there is no event yet") };
        let mut answer = desk.put(event("a"));
        assert_eq!(first.try_recv().map(|handed| handed.event.request_id.clone()), Ok("a".into()));
        assert_eq!(id_of(desk.next()), Some("a".into()), "the same event again while it runs");
        assert_eq!(desk.answer("b", "InvocationResponse", response()), Err(Refusal::UnknownId));
        assert_eq!(desk.answer("a", "InvocationResponse", response()), Ok(()));
        assert_eq!(answer.try_recv(), Ok(response()));
        let again = desk.answer("a", "InvocationResponse", response());
        assert_eq!(again, Err(Refusal::Transition("RuntimeResponseSent", "InvocationResponse")));
        let late = desk.fail_init(response());
        assert_eq!(late, Err(Refusal::Transition("RuntimeResponseSent", "InitError")));
        let _answer = desk.put(event("c"));
        assert_eq!(id_of(desk.next()), Some("c".into()));
    }

    #[test]
    fn the_first_hand_over_is_called_out_once_before_it_happens() {
        let (sender, calls) = std::sync::mpsc::channel();
        let desk = Desk::calling(move || sender.send(()).expect("heard"));
        let _answer = desk.put(event("a"));
        assert!(calls.try_recv().is_err(), "nobody has asked for it");
        assert_eq!(id_of(desk.next()).as_deref(), Some("a"));
        desk.answer("a", "", response()).expect("taken");
        let _answer = desk.put(event("b"));
        assert_eq!(id_of(desk.next()).as_deref(), Some("b"));
        assert_eq!(calls.try_iter().count(), 1);
    }

    #[test]
    fn who_died_waiting_gets_no_event() {
        let desk = Desk::default();
        drop(desk.next());
        let _answer = desk.put(event("a"));
        assert!(desk.handed_at().is_none());
        assert_eq!(id_of(desk.next()), Some("a".into()));
    }

    #[test]
    fn an_init_error_before_the_event_is_kept_for_it() {
        let desk = Desk::default();
        assert_eq!(desk.fail_init(Answer::InitError(Bytes::new(), "Runtime.X".into())), Ok(()));
        assert_eq!(desk.put(event("a")).try_recv(), Ok(Answer::InitError(Bytes::new(), "Runtime.X".into())));
        assert!(matches!(desk.next(), Next::Later(_)), "started anew");
    }
}
