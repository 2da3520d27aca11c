//! Responses piece by piece, and logs as JSON.

use tokio::sync::mpsc;

use super::*;
use crate::config::{LogFormat, Logging};
use crate::function::Piece;

/// Invokes it with a stream, and gives back what came by it and how it ended.
async fn streamed(bench: &Bench, event: &str) -> (Vec<String>, Outcome) {
    let (sender, mut pieces) = mpsc::channel(1);
    let mut invocation = Invocation::of(Bytes::from(event.to_owned()), ID);
    invocation.stream = Some(sender);
    let invoked = bench.functions.invoke("f", invocation);
    let read = async {
        let mut all = Vec::new();
        while let Some(piece) = pieces.recv().await {
            all.push(match piece {
                Piece::ContentType(kind) => kind,
                Piece::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            });
            // The function goes on only when it sees that this piece has arrived.
            std::fs::write(bench.path().join("seen"), all.len().to_string()).expect("written");
        }
        all
    };
    let (outcome, all) =
        real::within(PATIENCE, async { tokio::join!(invoked, read) }).await.expect("in time");
    (all, outcome.expect("declared"))
}

const STREAM: &str = "
const fs = require('fs');
const seen = async (count) => {
  while (!(fs.existsSync('seen') && fs.readFileSync('seen', 'utf8') === String(count))) await new Promise((r) => setTimeout(r, 1));
};
exports.handler = awslambda.streamifyResponse(async (event, out) => {
  if (event === 'early') throw new Error('early');
  if (event === 'big') { for (let i = 0; i < 300; i++) { if (!out.write(Buffer.alloc(100000, 'x'))) await new Promise((r) => out.once('drain', r)); } out.end(); return; }
  out.setContentType('text/plain');
  out.write('one');
  await seen(2);
  if (event === 'late') throw new TypeError('late');
  if (event === 'exit') process.exit(4);
  out.write('two');
  await seen(3);
  out.end('three');
});
";

#[tokio::test]
async fn pieces_arrive_while_the_function_runs() {
    if !installed("node") {
        return;
    }
    let bench = Bench::handler("nodejs20.x", "index.handler", ("index.js", STREAM));
    bench.declare().await;
    for _ in 0..2 {
        std::fs::remove_file(bench.path().join("seen")).ok();
        let (pieces, outcome) = streamed(&bench, "1").await;
        assert_eq!(pieces, ["text/plain", "one", "two", "three"]);
        assert!(matches!(&outcome, Outcome::Done(reply) if reply.payload.is_empty()), "{outcome:?}");
    }
    let (pieces, outcome) = streamed(&bench, "\"early\"").await;
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!((pieces.len(), failure.summary.as_str()), (0, "Error: early"));
    let (pieces, outcome) = streamed(&bench, "\"late\"").await;
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!((pieces[1].as_str(), failure.summary.as_str()), ("one", "TypeError: late"));
    assert_eq!(json(&failure.payload)["errorType"], "TypeError");
    let (pieces, outcome) = streamed(&bench, "\"big\"").await;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    assert_eq!(pieces[1..].iter().map(String::len).sum::<usize>(), 30_000_000);
    assert_eq!(bench.functions.list()[0].cold_starts, 1);
    let (pieces, outcome) = streamed(&bench, "\"exit\"").await;
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(
        (pieces[1].as_str(), failure.summary.as_str()),
        ("one", "Runtime.TruncatedResponse: Response truncated")
    );
    bench.functions.stop().await;
}

#[tokio::test]
async fn a_stream_that_nobody_reads_comes_to_its_end() {
    if !installed("node") {
        return;
    }
    let bench = Bench::handler("nodejs20.x", "index.handler", ("index.js", STREAM));
    bench.declare().await;
    let (sender, pieces) = mpsc::channel(1);
    drop(pieces);
    let mut invocation = Invocation::of(Bytes::from_static(b"\"big\""), ID);
    invocation.stream = Some(sender);
    let outcome = real::within(PATIENCE, bench.functions.invoke("f", invocation)).await;
    assert!(matches!(outcome, Some(Some(Outcome::Done(_)))), "{outcome:?}");
    // Without a stream the answer is collected.
    let seen = async {
        for count in ["2", "3"].into_iter().cycle() {
            std::fs::write(bench.path().join("seen"), count).expect("written");
            real::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        reply = bench.reply("1") => assert_eq!(reply.payload, "onetwothree"),
        () = seen => {}
    }
    bench.functions.stop().await;
}

#[tokio::test]
async fn who_does_not_stream_answers_as_a_whole() {
    if !installed("python3") {
        return;
    }
    let code = "def handler(e, c):\n    return [c.client_context.custom, c.invoked_function_arn, \
        __import__('os').environ['_X_AMZN_TRACE_ID']]\n";
    let bench = Bench::handler("python3.12", "app.handler", ("app.py", code));
    bench.declare().await;
    let (sender, _pieces) = mpsc::channel(1);
    let invocation = Invocation {
        arn: Some("arn:x:1".into()),
        client_context: Some(r#"{"custom":{"a":1}}"#.into()),
        trace_id: Some("Root=1-2-3".into()),
        stream: Some(sender),
        ..Invocation::of(Bytes::from_static(b"1"), ID)
    };
    let Some(Outcome::Done(reply)) = bench.functions.invoke("f", invocation).await else {
        panic!("it fails")
    };
    let said = json(&reply.payload);
    assert_eq!((&said[0]["a"], &said[1]), (&1.into(), &"arn:x:1".into()));
    assert!(said[2].as_str().is_some_and(|trace| trace.starts_with("Root=1-2-3;Parent=")), "{said}");
    bench.functions.stop().await;
}

#[tokio::test]
async fn logs_are_json_where_that_is_asked_for() {
    let python = "import logging\ndef handler(e, c):\n    logging.debug('no')\n    logging.info('yes')\n    \
        raise ValueError('bad')\n";
    let node = "exports.handler = async () => { console.debug('no'); console.log('yes'); throw new RangeError('bad') }";
    for (program, runtime, file, code) in
        [("python3", "python3.12", "app.py", python), ("node", "nodejs20.x", "app.js", node)]
    {
        if !installed(program) {
            continue;
        }
        let mut bench = Bench::handler(runtime, "app.handler", (file, code));
        let format = LogFormat::Json { application: "INFO".into(), system: "INFO".into() };
        bench.spec.logging = Logging { format, group: Some("shared".into()) };
        let log = bench.failure("1").await.report.log;
        let lines: Vec<Value> = log.lines().map(|line| json(line.as_bytes())).collect();
        let types: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
        let expected = ["initStart", "initRuntimeDone", "initReport", "start", "runtimeDone", "report"];
        assert_eq!(types, expected.map(|name| format!("platform.{name}")), "{log}");
        let own: Vec<&Value> = lines.iter().filter(|line| line["type"].is_null()).collect();
        assert_eq!(own.len(), 2, "{log}");
        assert_eq!(
            (&own[0]["level"], &own[0]["message"], &own[0]["requestId"]),
            (&"INFO".into(), &"yes".into(), &ID.into())
        );
        assert_eq!(own[1]["level"], "ERROR");
        assert!(own[1].to_string().contains("\"errorMessage\":\"bad\""), "{log}");
        bench.spec.logging.format = LogFormat::Json { application: "FATAL".into(), system: "WARN".into() };
        bench.declare().await;
        let log = bench.failure("1").await.report.log;
        assert!(!log.contains("platform."), "{log}");
        bench.functions.stop().await;
    }
}
