//! How environments come, are used again, and go.

use super::*;
use crate::delivery::Target;

#[tokio::test]
async fn a_start_that_fails_is_made_once_more_as_part_of_the_event() {
    let bench = Bench::script("echo said; exit 1");
    let failure = bench.failure("1").await;
    assert_eq!(failure.summary, "exit 1");
    let log: Vec<&str> = failure.report.log.lines().collect();
    assert_eq!(log[..2], ["INIT_START Runtime Version: provided:local.v0", "said"], "{log:?}");
    let reported = |line: &str, phase: &str| {
        let ends = format!("\tPhase: {phase}\tStatus: error\tError Type: Runtime.ExitError");
        assert!(line.starts_with("INIT_REPORT Init Duration: ") && line.ends_with(&ends), "{line}");
    };
    reported(log[2], "init");
    assert_eq!(log[3], "said");
    reported(log[4], "invoke");
    assert_eq!(log[5], format!("START RequestId: {ID} Version: $LATEST"));
    assert_eq!(bench.functions.list()[0].environments[0].state, "reset");
    // The same environment is started anew for the next event, under the function's own limit.
    let failure = bench.failure("1").await;
    let log: Vec<&str> = failure.report.log.lines().collect();
    assert_eq!(log[0], "said");
    reported(log[1], "invoke");
    let state = &bench.functions.list()[0];
    assert_eq!((state.cold_starts, state.environments.len()), (1, 1));
    bench.functions.stop().await;
}

#[tokio::test]
async fn a_start_over_ten_seconds_is_made_once_more() {
    let mut bench = Bench::script("echo begun; exec sleep 1000");
    bench.spec.timeout = Some(Duration::from_millis(100));
    let failure = bench.failure("1").await;
    let log = failure.report.log;
    assert!(log.contains("\tPhase: init\tStatus: timeout\nbegun\nINIT_REPORT "), "{log}");
    assert!(log.contains("\tPhase: invoke\tStatus: timeout\nSTART "), "{log}");
    assert_eq!(failure.summary, "Timeout after 0.10 s");
    bench.functions.stop().await;
}

#[tokio::test]
async fn a_crash_resets_the_environment_and_keeps_it() {
    if !installed("python3") {
        return;
    }
    let bench = Bench::handler(
        "python3.12",
        "app.handler",
        (
            "app.py",
            "import os\nruns = 0\ndef handler(e, c):\n    global runs\n    runs += 1\n    \
             if e == 'crash': os._exit(1)\n    return [runs, c.log_stream_name, os.getpid()]\n",
        ),
    );
    let before = bench.result("1").await;
    bench.failure("\"crash\"").await;
    let state = bench.functions.list()[0].environments[0].clone();
    assert_eq!((state.state, state.invocations, state.pid), ("reset", 2, 0));
    let reply = bench.reply("1").await;
    let after = json(&reply.payload);
    assert_eq!(
        (&after[0], &after[1]),
        (&1.into(), &before[1]),
        "globals are lost, the log stream is the same"
    );
    assert_ne!(after[2], before[2]);
    assert!(!reply.report.log.contains("Init Duration"), "its start counts as part of the event");
    assert!(reply.report.duration > Duration::from_millis(5), "{:?}", reply.report.duration);
    assert_eq!(bench.functions.list()[0].cold_starts, 1);
    bench.functions.stop().await;
}

#[tokio::test]
async fn the_limit_is_kept_and_direct_calls_wait_in_line() {
    if !installed("python3") {
        return;
    }
    let mut bench = Bench::handler(
        "python3.12",
        "app.handler",
        ("app.py", "import time\ndef handler(e, c):\n    time.sleep(e)\n    return 1\n"),
    );
    bench.spec.concurrency = 1;
    bench.declare().await;
    let function = bench.functions.get("f").expect("declared");
    assert_eq!(function.concurrency(), 1);
    let one = || bench.functions.invoke("f", Invocation::of(Bytes::from_static(b"0.05"), ID));
    let (first, second) = tokio::join!(one(), one());
    assert!(matches!((first, second), (Some(Outcome::Done(_)), Some(Outcome::Done(_)))));
    let state = &bench.functions.list()[0];
    assert_eq!((state.ok, state.cold_starts, state.warm, state.busy), (2, 1, 1, 0));
    bench.functions.stop().await;
}

#[tokio::test]
async fn a_changed_declaration_gets_new_environments() {
    if !installed("python3") {
        return;
    }
    let mut bench = Bench::handler(
        "python3.12",
        "app.handler",
        ("app.py", "import os\ndef handler(e, c):\n    return os.environ.get('X', '')\n"),
    );
    assert_eq!(bench.result("1").await, "");
    bench.spec.concurrency = 5;
    bench.declare().await;
    let state = &bench.functions.list()[0];
    assert_eq!((state.warm, state.cold_starts), (1, 1), "concurrency needs no new environment");
    bench.spec.env.insert("X".into(), "new".into());
    bench.declare().await;
    assert_eq!(bench.result("1").await, "new");
    bench.functions.replace(BTreeMap::new()).await;
    assert!(bench.functions.get("f").is_none());
    bench.functions.stop().await;
}

#[tokio::test]
async fn stopping_leaves_no_process() {
    let bench = Bench::script("sleep 1000 & echo $! > child; echo $$ > self; wait");
    assert_eq!(bench.declare().await, []);
    let invoked = bench.functions.invoke("f", Invocation::of(Bytes::from_static(b"1"), ID));
    let read = |name: &str| std::fs::read_to_string(bench.path().join(name)).unwrap_or_default();
    let stopped = async {
        until("both run", || !read("self").is_empty()).await;
        bench.functions.stop().await;
    };
    let (outcome, ()) = tokio::join!(invoked, stopped);
    assert!(matches!(outcome, Some(Outcome::Over(_))), "{outcome:?}");
    assert!(!runs(&read("self")));
    until("its child is gone", || !runs(&read("child"))).await;
}

#[tokio::test]
async fn an_attempt_that_is_given_up_leaves_no_process() {
    if !installed("python3") {
        return;
    }
    let code = "import os, time\ndef handler(e, c):\n    with open('self', 'w') as file: file.write(str(os.getpid()))\n    \
        time.sleep(1000)\n";
    let mut bench = Bench::handler("python3.12", "app.handler", ("app.py", code));
    // Longer than the test waits: what ends it is not that time is up.
    bench.spec.timeout = Some(PATIENCE * 2);
    assert_eq!(bench.declare().await, []);
    let read = || std::fs::read_to_string(bench.path().join("self")).unwrap_or_default();
    tokio::select! {
        _ = bench.functions.invoke("f", Invocation::of(Bytes::from_static(b"1"), ID)) => panic!("it never answers"),
        () = until("it runs", || !read().is_empty()) => {}
    }
    until("it is gone", || !runs(&read())).await;
    bench.functions.stop().await;
}

#[tokio::test]
async fn what_is_built_is_built_before_it_runs() {
    let script = "#!/bin/sh\nexit 9\n";
    let build = |text: &str| Some(vec!["/bin/sh".into(), "-c".into(), text.into()]);
    let good = format!("printf '{script}' > made; chmod +x made; echo x >> builds");
    let (command, watch) = (vec!["./made".into()], vec!["*.src".into()]);
    let mut bench =
        Bench::of(FunctionKind::Run { command: command.clone(), build: build(&good), watch: watch.clone() });
    let builds = |bench: &Bench| {
        std::fs::read_to_string(bench.path().join("builds")).unwrap_or_default().lines().count()
    };
    assert_eq!(bench.failure("1").await.summary, "exit 9");
    assert_eq!(bench.failure("1").await.summary, "exit 9");
    assert_eq!(builds(&bench), 1);
    bench.write("a.src", "changed");
    let again = async {
        while builds(&bench) < 2 {
            bench.failure("1").await;
        }
    };
    assert!(real::within(PATIENCE, again).await.is_some());
    bench.spec.kind = FunctionKind::Run { command, build: build("echo broken; exit 2"), watch };
    bench.declare().await;
    let Outcome::Unavailable(text) = bench.invoke("1").await else { panic!("it cannot be built") };
    assert!(text.contains("exit status 2\nbroken"), "{text}");
    bench.functions.stop().await;
}

#[tokio::test]
async fn lines_are_told_while_they_are_written() {
    let bench = Bench::script("echo one; sleep 1000");
    assert_eq!(bench.declare().await, []);
    let mut told = bench.timeline.follow();
    tokio::select! {
        _ = bench.functions.invoke("f", Invocation::of(Bytes::from_static(b"1"), ID)) => panic!("it never answers"),
        told = told.recv() => {
            let told = serde_json::to_value(&*told.expect("a moment")).expect("JSON");
            assert_eq!((&told["kind"], &told["text"]), (&"line".into(), &"one".into()));
        }
    }
    bench.functions.stop().await;
}

#[tokio::test]
async fn a_runtime_that_ends_before_its_first_event_has_its_log_shown() {
    if !installed("python3") {
        return;
    }
    let code = "import os, socket, sys, time\n\
        raw = socket.create_connection(os.environ['AWS_LAMBDA_RUNTIME_API'].split(':'))\n\
        raw.sendall(b'GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\n\
        raw.close()\ntime.sleep(0.2)\nraise ValueError('why')\n";
    let command = vec!["python3".into(), "runtime.py".into()];
    let bench = Bench::of(FunctionKind::Run { command, build: None, watch: Vec::new() });
    bench.write("runtime.py", code);
    let failure = bench.failure("1").await;
    assert_eq!(failure.summary, "exit 1");
    assert!(failure.report.log.contains("ValueError: why"), "{}", failure.report.log);
    bench.functions.stop().await;
}
