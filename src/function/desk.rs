//! The desk between one environment and its runtime: the event that lies there, who waits for it, and the
//! Runtime API's state machine. Pure but for waking who waits, and for looking whether they are still there.
//!
//! ```text
//! Started ──next──▶ Ready ──event──▶ Running ──response or error──▶ RuntimeResponseSent ──next──▶ Ready
//!    └──init/error──▶ InitError ──next──▶ Ready
//! ```

use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::{Notify, oneshot};

use super::event::{Answer, Event, Handed, Refusal};
use super::extensions::Extensions;
use crate::clock::real;

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
    /// Rung when somebody called `next` and there was no event, or could not start.
    changed: Notify,
    /// The extensions of this environment.
    pub extensions: Extensions,
    /// Called when there is nothing to do and everybody waits.
    when_quiet: Option<Box<dyn Fn() + Send + Sync>>,
}

/// Somebody who waits for an event: where it goes, and the connection, to see whether it is still there.
struct Waiter {
    sender: oneshot::Sender<Handed>,
    connection: Option<Arc<TcpStream>>,
}

impl Waiter {
    /// The other side may have died without our having noticed: the kernel knows.
    fn is_gone(&self) -> bool {
        let closed = |stream: &Arc<TcpStream>| match stream.peek(&mut [0]) {
            Ok(count) => count == 0,
            // A connection that was reset is an error too.
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        };
        self.sender.is_closed() || self.connection.as_ref().is_some_and(closed)
    }
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// The event on the desk or in work.
    event: Option<Arc<Event>>,
    handed: Option<Handed>,
    answer: Option<oneshot::Sender<Answer>>,
    waiting: Vec<Waiter>,
    /// An init error that came before any event.
    init_error: Option<Answer>,
    /// When `next` was called first.
    ready_at: Option<Instant>,
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
    /// A desk that calls this whenever there is nothing to do and everybody waits.
    pub fn calling(when_quiet: impl Fn() + Send + Sync + 'static) -> Desk {
        Desk { when_quiet: Some(Box::new(when_quiet)), ..Desk::default() }
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
            if !waiter.is_gone() && waiter.sender.send(state.hand_over()).is_ok() {
                break;
            }
            state.handed = None;
            state.phase = Phase::Ready;
        }
        receiver
    }

    /// Waits until the event on the desk is handed over: when that was, and its answer if that came as quickly. If the
    /// answer or `end` comes first, the event is taken off the desk, and nobody gets it any more.
    pub async fn until_taken(
        &self,
        answer: impl Future<Output = Option<Answer>>,
        end: impl Future<Output = ()>,
    ) -> (Option<Instant>, Option<Answer>) {
        if let Some(at) = self.handed_at() {
            return (Some(at), None);
        }
        let answered = tokio::select! {
            biased;
            at = self.until_handed() => return (Some(at), None),
            answered = answer => answered,
            () = end => None,
        };
        // It may have been handed over, and answered, since it was looked at a moment ago.
        (self.take_back(), answered)
    }

    /// Takes the event off the desk, unless it was handed over: when, then.
    fn take_back(&self) -> Option<Instant> {
        let mut state = self.state();
        let at = state.handed.as_ref().map(|handed| handed.at);
        if at.is_none() {
            (state.event, state.answer) = (None, None);
        }
        at
    }

    fn handed_at(&self) -> Option<Instant> {
        self.state().handed.as_ref().map(|handed| handed.at)
    }

    async fn until_handed(&self) -> Instant {
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

    /// Waits until the start is over: the runtime and all extensions have called `next`. When the runtime did it
    /// first, or the error of the start.
    pub async fn until_ready(&self) -> Result<Instant, Answer> {
        loop {
            let rung = self.changed.notified();
            if let Some(ready) = self.ready() {
                return ready;
            }
            rung.await;
        }
    }

    fn ready(&self) -> Option<Result<Instant, Answer>> {
        let extensions = self.extensions.are_ready();
        let mut state = self.state();
        match state.init_error.take() {
            Some(error) => Some(Err(error)),
            None => state.ready_at.filter(|_| extensions).map(Ok),
        }
    }

    /// Whether there is nothing to do and everybody waits for the next event.
    pub fn is_quiet(&self) -> bool {
        let state = self.state();
        let waits =
            state.phase == Phase::Ready && state.waiting.iter().any(|waiter| !waiter.sender.is_closed());
        waits && self.extensions.are_quiet()
    }

    /// Waits until the last invocation is over for the extensions too: all have called `next`.
    pub async fn until_quiet(&self) {
        loop {
            let rung = self.changed.notified();
            if self.is_quiet() {
                return;
            }
            rung.await;
        }
    }

    /// An extension has called `next`, or failed.
    pub fn ring(&self) {
        self.changed.notify_waiters();
        if let Some(call) = self.when_quiet.as_ref().filter(|_| self.is_quiet()) {
            call();
        }
    }

    /// The event that is in work.
    pub fn in_work(&self) -> Option<Arc<Event>> {
        let state = self.state();
        state.event.clone().filter(|_| state.phase == Phase::Running)
    }

    /// A call of `next`. While an invocation runs it gets the same event again. The connection is looked at again
    /// before an event is handed over that way.
    pub fn next(&self, connection: Option<Arc<TcpStream>>) -> Next {
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
        let is_first = state.ready_at.is_none();
        state.ready_at.get_or_insert_with(Instant::now);
        let (sender, receiver) = oneshot::channel();
        let waiter = Waiter { sender, connection };
        // Its call may be all that is left of a client that is gone.
        if state.event.is_some() && state.answer.is_some() && !waiter.is_gone() {
            let handed = state.hand_over();
            self.taken.notify_one();
            return Next::Now(handed);
        }
        state.waiting.retain(|waiter| !waiter.sender.is_closed());
        state.waiting.push(waiter);
        drop(state);
        if is_first {
            self.extensions.close();
        }
        self.ring();
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
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn hand_over(&mut self) -> Handed {
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
#[path = "desk_tests.rs"]
mod tests;
