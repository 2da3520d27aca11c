//! The desk, as runtimes and environments use it.

use std::time::Duration;

use bytes::Bytes;

use super::*;

fn event(id: &str) -> Arc<Event> {
    Arc::new(Event { request_id: id.into(), limit: Duration::from_secs(3), ..Event::default() })
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

#[tokio::test]
async fn an_event_that_is_taken_and_answered_while_it_is_looked_at_was_taken() {
    let desk = Desk::default();
    let mut answer = desk.put(event("a"));
    let quick = async {
        assert_eq!(id_of(desk.next(None)), Some("a".into()));
        assert_eq!(desk.answer("a", "InvocationResponse", response()), Ok(()));
        answer.try_recv().ok()
    };
    let (at, answered) = desk.until_taken(quick, std::future::pending()).await;
    assert!(at.is_some(), "it was handed over");
    assert_eq!(answered, Some(response()));

    let mut answer = desk.put(event("b"));
    let last_moment = async { drop(desk.next(None)) };
    let (at, answered) = desk.until_taken(std::future::pending(), last_moment).await;
    assert!(at.is_some() && answered.is_none(), "it was handed over, and has no answer yet");
    assert_eq!(desk.answer("b", "InvocationResponse", response()), Ok(()));
    assert_eq!(answer.try_recv(), Ok(response()));
}

#[tokio::test]
async fn an_event_that_nobody_took_is_not_handed_over_any_more() {
    let desk = Desk::default();
    let mut answer = desk.put(event("a"));
    let (at, answered) = desk.until_taken(std::future::pending(), std::future::ready(())).await;
    assert!(at.is_none() && answered.is_none());
    assert_eq!(id_of(desk.next(None)), None, "it goes to another environment");
    assert!(answer.try_recv().is_err());
}

#[test]
fn a_runtime_goes_round() {
    let desk = Desk::default();
    let Next::Later(mut first) = desk.next(None) else { panic!("there is no event yet") };
    let mut answer = desk.put(event("a"));
    assert_eq!(first.try_recv().map(|handed| handed.event.request_id.clone()), Ok("a".into()));
    assert_eq!(id_of(desk.next(None)), Some("a".into()), "the same event again while it runs");
    assert_eq!(desk.answer("b", "InvocationResponse", response()), Err(Refusal::UnknownId));
    assert_eq!(desk.answer("a", "InvocationResponse", response()), Ok(()));
    assert_eq!(answer.try_recv(), Ok(response()));
    let again = desk.answer("a", "InvocationResponse", response());
    assert_eq!(again, Err(Refusal::Transition("RuntimeResponseSent", "InvocationResponse")));
    let late = desk.fail_init(response());
    assert_eq!(late, Err(Refusal::Transition("RuntimeResponseSent", "InitError")));
    let _answer = desk.put(event("c"));
    assert_eq!(id_of(desk.next(None)), Some("c".into()));
}

#[test]
fn it_says_when_there_is_nothing_to_do() {
    let (sender, calls) = std::sync::mpsc::channel();
    let desk = Desk::calling(move || sender.send(()).expect("heard"));
    let first = desk.next(None);
    assert_eq!(calls.try_iter().count(), 1);
    let _answer = desk.put(event("a"));
    assert!(!desk.is_quiet() && matches!(first, Next::Later(_)));
    desk.answer("a", "", response()).expect("taken");
    assert!(!desk.is_quiet(), "it has not come back yet");
    let _answer = desk.put(event("b"));
    assert_eq!(id_of(desk.next(None)).as_deref(), Some("b"));
    assert_eq!(calls.try_iter().count(), 0, "there was always something to do");
}

#[test]
fn who_died_waiting_without_a_word_gets_no_event() {
    for unread in [&b""[..], b"x"] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
        let (mut connection, _) = listener.accept().expect("accepted");
        connection.set_nonblocking(true).expect("set");
        // Who ends with something unread resets the connection.
        std::io::Write::write_all(&mut connection, unread).expect("written");
        let desk = Desk::default();
        let _waits = desk.next(Some(Arc::new(connection)));
        drop(client);
        let _answer = desk.put(event("a"));
        assert!(desk.handed_at().is_none(), "nobody is there");
        assert_eq!(id_of(desk.next(None)).as_deref(), Some("a"));
    }
}

#[test]
fn who_died_waiting_gets_no_event() {
    let desk = Desk::default();
    drop(desk.next(None));
    let _answer = desk.put(event("a"));
    assert!(desk.handed_at().is_none());
    assert_eq!(id_of(desk.next(None)), Some("a".into()));
}

#[test]
fn an_init_error_before_the_event_is_kept_for_it() {
    let desk = Desk::default();
    assert_eq!(desk.fail_init(Answer::InitError(Bytes::new(), "Runtime.X".into())), Ok(()));
    assert_eq!(desk.put(event("a")).try_recv(), Ok(Answer::InitError(Bytes::new(), "Runtime.X".into())));
    assert!(matches!(desk.next(None), Next::Later(_)), "started anew");
}
