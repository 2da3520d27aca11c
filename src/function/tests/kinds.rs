//! The kinds without an environment of ours: `exec`, `url`, `attach` and the builtins.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::*;
use crate::config::Builtin;

fn exec(script: &str) -> Bench {
    Bench::of(FunctionKind::Exec { command: vec!["/bin/sh".into(), "-c".into(), script.into()] })
}

#[tokio::test]
async fn exec_takes_the_event_on_stdin() {
    assert_eq!(exec("cat").result(r#"{"a":1}"#).await, serde_json::json!({"a": 1}));
    assert_eq!(exec("true").result("1").await, Value::Null);
    assert_eq!(exec("echo plain text").result("1").await, "plain text");
    assert_eq!(exec("echo $AWS_LAMBDA_REQUEST_ID").result("1").await, ID);
    let big = format!("\"{}\"", "x".repeat(3 << 20));
    assert_eq!(exec("echo '\"not read\"'").result(&big).await, "not read");
    let reply = exec("echo log >&2; echo 1").reply("1").await;
    assert!(reply.report.log.contains("$LATEST\nlog\nEND "), "{}", reply.report.log);
}

#[tokio::test]
async fn exec_fails_by_its_exit_code() {
    let failure = exec("echo ignored; echo why >&2; exit 4").failure("1").await;
    let text = format!("RequestId: {ID} Error: Runtime exited with error: exit status 4");
    assert_eq!(
        json(&failure.payload),
        serde_json::json!({"errorType": "Runtime.ExitError", "errorMessage": text})
    );
    assert_eq!(failure.summary, "exit 4");
    assert!(failure.report.log.contains("\nwhy\n"));
    let mut slow = exec("sleep 60");
    slow.spec.timeout = Some(Duration::from_millis(50));
    assert_eq!(slow.failure("1").await.summary, "Timeout after 0.05 s");
    let large = exec("head -c 7000000 /dev/zero").failure("1").await;
    assert!(large.summary.starts_with("Function.ResponseSizeTooLarge"), "{}", large.summary);
}

#[tokio::test]
async fn what_is_not_there_is_unavailable_and_says_the_way_out() {
    let check = async |kind: FunctionKind, says: &str| {
        let bench = Bench::of(kind);
        let problems = bench.declare().await;
        assert!(problems.iter().any(|problem| problem.text.contains(says)), "{problems:?}");
        match bench.invoke("1").await {
            Outcome::Unavailable(text) => assert!(text.contains(says), "{text}"),
            other => panic!("{other:?}"),
        }
    };
    check(
        FunctionKind::Exec { command: vec!["no-such-program".into()] },
        "no program no-such-program on PATH",
    )
    .await;
    let run = FunctionKind::Run { command: vec!["./bin/x".into()], build: None, watch: Vec::new() };
    check(run, "build it, or correct the path").await;
    let handler = |runtime: &str| FunctionKind::Handler {
        runtime: runtime.into(),
        handler: "a.b".into(),
        code: "/".into(),
    };
    check(handler("ruby3.2"), "start the program with `run`").await;
    check(handler("provided.al2023"), "needs a program named bootstrap").await;
    check(FunctionKind::Url { url: "https://x".into() }, "only http://").await;
}

/// Answers each connection's only request with this, and gives back what it was sent.
fn serve(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/x", listener.local_addr().expect("an address"));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a request");
        let (_, body) = receive(&mut BufReader::new(stream.try_clone().expect("a clone")));
        stream.write_all(answer.as_bytes()).expect("an answer");
        body
    });
    (url, server)
}

/// The head and the body of one HTTP message.
fn receive(stream: &mut BufReader<TcpStream>) -> (String, String) {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).expect("a line");
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
    (head, String::from_utf8(body).expect("text"))
}

#[tokio::test]
async fn url_posts_the_event() {
    let (url, server) = serve("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue");
    assert_eq!(Bench::of(FunctionKind::Url { url }).result(r#"{"a":1}"#).await, true);
    assert_eq!(server.join().expect("served"), r#"{"a":1}"#);
    let (url, _server) = serve(
        "HTTP/1.1 200 OK\r\nX-Amz-Function-Error: Unhandled\r\nContent-Length: 17\r\n\r\n{\"errorType\":\"X\"}",
    );
    assert_eq!(Bench::of(FunctionKind::Url { url }).failure("1").await.summary, "X");
    let (url, _server) = serve("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno");
    assert_eq!(
        Bench::of(FunctionKind::Url { url }).failure("1").await.summary,
        "Function.HttpStatus: 500 Internal Server Error: no"
    );
    let url = "http://127.0.0.1:1/".to_owned();
    assert!(matches!(Bench::of(FunctionKind::Url { url }).invoke("1").await, Outcome::Unavailable(_)));
}

#[tokio::test]
async fn builtins_do_as_they_are_told() {
    let builtin = |builtin| Bench::of(FunctionKind::Builtin(builtin));
    assert_eq!(builtin(Builtin::Echo).result("[1]").await, serde_json::json!([1]));
    assert_eq!(builtin(Builtin::Sink).result("[1]").await, Value::Null);
    let failure = builtin(Builtin::Flaky { fail_first: 1, error: "Oops".into() }).failure("1").await;
    assert!(failure.summary.starts_with("Oops: "), "{}", failure.summary);
    let failure = builtin(Builtin::Fail { error: "Oops".into() }).failure("1").await;
    assert_eq!(json(&failure.payload)["errorType"], "Oops");
    assert_eq!(builtin(Builtin::Sleep { duration: Duration::from_millis(2) }).result("1").await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_somebody_else_is_attached() {
    let mut bench = Bench::of(FunctionKind::Attach);
    bench.spec.timeout = None;
    let mut told = bench.timeline.follow();
    assert_eq!(bench.declare().await, []);
    let notice = serde_json::to_value(&*told.recv().await.expect("a notice")).expect("JSON");
    let address = notice["text"]
        .as_str()
        .and_then(|text| text.split("AWS_LAMBDA_RUNTIME_API=").nth(1))
        .expect("an address");
    let kept = std::fs::read_to_string(bench.path().join(".dropwire/attach/f")).expect("the port is kept");
    assert!(address.ends_with(&format!(":{}", kept.trim())));
    let address = address.to_owned();
    let client = std::thread::spawn(move || {
        let next = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n";
        let open = || BufReader::new(TcpStream::connect(&address).expect("connected"));
        let mut first = open();
        first.get_mut().write_all(next.as_bytes()).expect("asked");
        let (head, _) = receive(&mut first);
        drop(first);
        // Started anew in the middle of the event: the same event again.
        let mut second = open();
        second.get_mut().write_all(next.as_bytes()).expect("asked");
        assert!(receive(&mut second).0.contains(&format!("Lambda-Runtime-Aws-Request-Id: {ID}\r\n")));
        let mut say = |path: String, body: &str| {
            let head = format!(
                "POST /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            second.get_mut().write_all(format!("{head}{body}").as_bytes()).expect("said");
            let (head, body) = receive(&mut second);
            format!("{} {body}", head.split(' ').nth(1).expect("a status"))
        };
        let wrong = say("invocation/wrong/response".into(), "1");
        let right = say(format!("invocation/{ID}/response"), "2");
        (
            head,
            wrong,
            right,
            say(format!("invocation/{ID}/response"), "3"),
            say("init/error".into(), "{}"),
            say("nope".into(), ""),
        )
    });
    assert_eq!(bench.result("1").await, 2);
    let (head, wrong, right, again, init, nope) = client.join().expect("served");
    for line in [
        "Content-Type: application/json",
        "Lambda-Runtime-Deadline-Ms: 1",
        "Lambda-Runtime-Trace-Id: Root=1-",
    ] {
        assert!(head.contains(line), "{head}");
    }
    assert!(head.contains(
        "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:f\r\n"
    ));
    assert_eq!(wrong, r#"400 {"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}"#);
    assert_eq!(right, "202 {\"status\":\"OK\"}\n");
    assert!(again.contains("from RuntimeResponseSent to InvocationResponse failed"), "{again}");
    assert!(
        init.starts_with("403 ")
            && init.contains("from RuntimeResponseSent to InitError failed for runtime."),
        "{init}"
    );
    assert!(nope.starts_with("404 "));
    bench.functions.stop().await;
}

#[tokio::test]
async fn a_process_of_somebody_else_can_have_no_extensions() {
    let bench = Bench::of(FunctionKind::Attach);
    assert_eq!(bench.declare().await, []);
    let port = std::fs::read_to_string(bench.path().join(".dropwire/attach/f")).expect("the port is kept");
    let port: u16 = port.trim().parse().expect("a port");
    let answers = tokio::task::spawn_blocking(move || {
        let mut connection = BufReader::new(TcpStream::connect(("127.0.0.1", port)).expect("connected"));
        let register = "POST /2020-01-01/extension/register HTTP/1.1\r\nLambda-Extension-Name: inner";
        [register, "PUT /2022-07-01/telemetry HTTP/1.1"].map(|head| {
            let body = r#"{"events":["INVOKE"]}"#;
            let call = format!("{head}\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            connection.get_mut().write_all(call.as_bytes()).expect("asked");
            receive(&mut connection)
        })
    });
    for (head, body) in answers.await.expect("served") {
        assert!(
            head.starts_with("HTTP/1.1 404 ") && body.contains("the Runtime API has no call"),
            "{head}{body}"
        );
    }
    bench.functions.stop().await;
}
