//! Who waits for an environment, and how many there are.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;

use super::*;
use crate::delivery::Throttle;
use crate::function::FunctionState;

const SLEEPER: &str =
    "import time\ndef handler(e, c):\n    time.sleep(e / 1000)\n    return c.log_stream_name\n";

fn sleeper(concurrency: usize) -> Bench {
    let mut bench = Bench::handler("python3.12", "app.handler", ("app.py", SLEEPER));
    bench.spec.concurrency = concurrency;
    bench
}

fn once(bench: &Bench, event: &'static str) -> impl Future<Output = Option<Outcome>> {
    let functions = bench.functions.clone();
    async move { functions.invoke("f", Invocation::of(Bytes::from_static(event.as_bytes()), ID)).await }
}

/// Lets 32 clients invoke a function at once, five times; returns what it is like then.
async fn invoked_by_many(bench: &Bench) -> FunctionState {
    assert_eq!(bench.declare().await, []);
    bench.reply("0").await;
    for _ in 0..5 {
        let outcomes = join_all((0..32).map(|_| once(bench, "0"))).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Some(Outcome::Done(_)))), "{outcomes:?}");
    }
    let state = bench.functions.list().remove(0);
    let handled: u64 = state.environments.iter().map(|one| one.invocations).sum();
    assert!(state.ok == 161 && handled == 161, "each has its answer, and nobody is asked twice: {state:?}");
    assert_eq!(state.environments.len() as u64, state.cold_starts, "none has ended: {state:?}");
    let used = state.environments.iter().filter(|one| one.invocations > 0).count() as u64;
    assert_eq!(state.warm_starts, 161 - used, "all but the first event of each: {state:?}");
    state
}

// How many are started follows from how long starts and events take, which is the machine's affair: it is decided
// by facts alone, and those are tested with the decision.
#[tokio::test]
async fn many_clients_of_a_quick_function_get_no_more_processes_than_they_could_use() {
    if !installed("python3") {
        return;
    }
    let bench = sleeper(1000);
    let state = invoked_by_many(&bench).await;
    assert!((1..=32).contains(&state.cold_starts), "{} for 32 clients", state.cold_starts);
    bench.functions.stop().await;
}

#[tokio::test]
async fn many_clients_share_the_processes_that_there_may_be() {
    if !installed("python3") {
        return;
    }
    let bench = sleeper(3);
    let state = invoked_by_many(&bench).await;
    assert!((1..=3).contains(&state.cold_starts), "{} where 3 may be", state.cold_starts);
    assert!(state.warm_starts >= 158, "{state:?}");
    bench.functions.stop().await;
}

#[tokio::test]
async fn a_slow_function_gets_as_many_as_it_needs() {
    if !installed("python3") {
        return;
    }
    let bench = sleeper(8);
    bench.declare().await;
    bench.reply("0").await;
    let outcomes = join_all((0..8).map(|_| once(&bench, "2000"))).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Some(Outcome::Done(_)))), "{outcomes:?}");
    assert!(bench.functions.list()[0].cold_starts >= 6, "{}", bench.functions.list()[0].cold_starts);
    bench.functions.stop().await;
}

#[tokio::test]
async fn who_comes_while_there_is_a_start_for_everybody_gets_one_too() {
    let mut bench = Bench::script("exec sleep 1000");
    bench.spec.concurrency = 8;
    bench.declare().await;
    let starts = async |count| {
        // Before the first start is over: that would change much.
        let started = until("it starts", || bench.functions.list()[0].cold_starts >= count);
        assert!(real::within(Duration::from_secs(8), started).await.is_some(), "{count}");
    };
    let come = async {
        starts(2).await;
        tokio::select! {
            outcome = once(&bench, "1") => panic!("it never answers: {outcome:?}"),
            () = starts(3) => {}
        }
    };
    tokio::select! {
        outcomes = join_all((0..2).map(|_| once(&bench, "1"))) => panic!("they never answer: {outcomes:?}"),
        () = come => {}
    }
    bench.functions.stop().await;
}

#[tokio::test]
async fn who_goes_away_in_line_loses_no_environment() {
    if !installed("python3") {
        return;
    }
    let bench = sleeper(1);
    bench.declare().await;
    bench.reply("0").await;
    let done = AtomicUsize::new(0);
    let impatient = async {
        for wait in 0..40 {
            // Goes away at another moment each time, some of them just when it is its turn.
            real::within(Duration::from_micros(100 * wait), once(&bench, "0")).await;
        }
    };
    let patient = join_all((0..40).map(|_| async {
        if let Some(Outcome::Done(_)) = once(&bench, "1").await {
            done.fetch_add(1, Ordering::Relaxed);
        }
    }));
    assert!(real::within(PATIENCE, async { tokio::join!(impatient, patient) }).await.is_some());
    assert_eq!(done.load(Ordering::Relaxed), 40);
    assert_eq!(bench.functions.list()[0].busy, 0);
    bench.functions.stop().await;
}

#[tokio::test]
async fn what_is_reserved_is_a_limit() {
    if !installed("python3") {
        return;
    }
    let bench = sleeper(10);
    bench.functions.reserve(BTreeMap::from([("f".to_owned(), 2)]));
    assert_eq!(bench.functions.unreserved(), 998);
    bench.declare().await;
    let outcomes = join_all((0..3).map(|_| once(&bench, "50"))).await;
    let refused: Vec<_> = outcomes.iter().filter(|one| matches!(one, Some(Outcome::Throttled(_)))).collect();
    assert!(matches!(refused[..], [Some(Outcome::Throttled(Throttle::Reserved))]), "{outcomes:?}");
    bench.functions.reserve(BTreeMap::from([("f".to_owned(), 0)]));
    assert!(matches!(once(&bench, "0").await, Some(Outcome::Throttled(Throttle::Zero))));
    bench.functions.stop().await;
}

#[tokio::test]
async fn provisioned_environments_are_there_before_the_first_event() {
    if !installed("python3") {
        return;
    }
    let code = "import os\ndef handler(e, c):\n    if e == 'exit': os._exit(1)\n    \
        return os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']\n";
    let mut bench = Bench::handler("python3.12", "app.handler", ("app.py", code));
    bench.spec.concurrency = 5;
    bench.declare().await;
    assert_eq!(bench.functions.provisioned("f"), (0, 0));
    bench.functions.provision(BTreeMap::from([("f".to_owned(), 2)]));
    until("both are ready", || bench.functions.provisioned("f") == (2, 0)).await;
    let reply = bench.reply("1").await;
    assert_eq!(json(&reply.payload), "provisioned-concurrency");
    assert!(
        !reply.report.log.contains("Init Duration: ") || reply.report.init.is_none(),
        "{}",
        reply.report.log
    );
    bench.failure("\"exit\"").await;
    until("the one that ended is replaced", || bench.functions.provisioned("f") == (2, 0)).await;
    let pid = bench.functions.list()[0].environments[0].pid;
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(pid).expect("an id")),
        nix::sys::signal::Signal::SIGKILL,
    )
    .expect("killed");
    until("the one that died is replaced", || {
        let all = bench.functions.list()[0].environments.clone();
        bench.functions.provisioned("f") == (2, 0) && all.iter().all(|one| one.pid != pid)
    })
    .await;
    bench.functions.provision(BTreeMap::new());
    until("they have ended", || bench.functions.provisioned("f") == (0, 0)).await;
    bench.functions.stop().await;
}

#[tokio::test]
async fn code_that_does_not_start_leaves_the_old_one_serving() {
    if !installed("python3") {
        return;
    }
    let code = |result: &str| format!("def handler(e, c):\n    return '{result}'\n");
    let bench = Bench::handler("python3.12", "app.handler", ("app.py", &code("one")));
    assert_eq!(bench.result("1").await, "one");
    let mut told = bench.timeline.follow();
    bench.write("app.py", "def handler(e, c)\n");
    let mut logs = String::new();
    let noticed = async {
        while !logs.contains("so the code from before goes on") {
            let reply = bench.reply("1").await;
            assert_eq!(json(&reply.payload), "one");
            logs.push_str(&reply.report.log);
        }
    };
    assert!(real::within(PATIENCE, noticed).await.is_some(), "{logs}");
    assert!(logs.contains("Runtime.UserCodeSyntaxError"), "{logs}");
    for _ in 0..3 {
        assert_eq!(bench.result("1").await, "one");
    }
    assert_eq!(bench.functions.list()[0].cold_starts, 2, "it is tried once");
    let mut notices = 0;
    while let Ok(moment) = told.try_recv() {
        let text = serde_json::to_string(&*moment).expect("JSON");
        notices += usize::from(text.contains("\"notice\"") && text.contains("does not start"));
    }
    assert_eq!(notices, 1);
    bench.write("app.py", &code("two"));
    let changed = async { while bench.result("1").await != "two" {} };
    assert!(real::within(PATIENCE, changed).await.is_some());
    assert_eq!(bench.functions.list()[0].cold_starts, 3);
    bench.functions.stop().await;
}

/// A handler that answers with this, and starts only when there is a file `go` if it is told to wait.
fn version(result: &str, waits: bool) -> String {
    let wait = "open('begun', 'w').close()\nwhile not os.path.exists('go'): time.sleep(0.005)\n";
    let wait = if waits { wait } else { "" };
    format!("import os, time\n{wait}def handler(e, c):\n    time.sleep(e)\n    return '{result}'\n")
}

#[tokio::test]
async fn provisioned_environments_end_with_what_asked_for_them() {
    if !installed("python3") {
        return;
    }
    let mut bench = Bench::handler("python3.12", "app.handler", ("app.py", &version("one", true)));
    bench.spec.concurrency = 5;
    bench.declare().await;
    let provision = |count| bench.functions.provision(BTreeMap::from([("f".to_owned(), count)]));
    provision(1);
    until("it starts", || bench.path().join("begun").exists()).await;
    provision(0);
    bench.write("go", "");
    until("it ends after its start", || bench.functions.list()[0].environments.is_empty()).await;
    provision(1);
    until("it is ready", || bench.functions.provisioned("f") == (1, 0)).await;
    let busy = async {
        until("it has an event", || bench.functions.provisioned("f") == (1, 1)).await;
        provision(0);
    };
    let (outcome, ()) = tokio::join!(once(&bench, "0.5"), busy);
    assert!(matches!(outcome, Some(Outcome::Done(_))), "{outcome:?}");
    until("it ends after its event", || bench.functions.list()[0].environments.is_empty()).await;
    bench.functions.stop().await;
}

#[tokio::test]
async fn provisioned_environments_are_as_many_after_code_that_did_not_start() {
    if !installed("python3") {
        return;
    }
    let mut bench = Bench::handler("python3.12", "app.handler", ("app.py", &version("one", false)));
    bench.spec.concurrency = 5;
    bench.declare().await;
    let provision = |count| bench.functions.provision(BTreeMap::from([("f".to_owned(), count)]));
    provision(1);
    until("it is ready", || bench.functions.provisioned("f") == (1, 0)).await;
    let mut told = bench.timeline.follow();
    // The provisioned one is the first that fails.
    let wait = "while not os.path.exists('go'): time.sleep(0.005)\n";
    let asked = "os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'] == 'on-demand'";
    bench.write("app.py", &format!("import os, time\nif {asked}:\n    {wait}raise ValueError\n"));
    until("the change is heard", || {
        provision(1);
        bench.functions.list()[0].cold_starts == 2
    })
    .await;
    provision(2);
    let refused = async {
        while !serde_json::to_string(&*told.recv().await.expect("a moment"))
            .expect("JSON")
            .contains("does not start")
        {}
    };
    assert!(real::within(PATIENCE, refused).await.is_some());
    bench.write("go", "");
    bench.write("app.py", &version("two", false));
    let changed = async { while bench.result("0").await != "two" {} };
    assert!(real::within(PATIENCE, changed).await.is_some());
    until("all are there again", || bench.functions.provisioned("f") == (2, 0)).await;
    bench.functions.stop().await;
}

#[tokio::test]
async fn old_environments_end_once_new_code_has_started() {
    if !installed("python3") {
        return;
    }
    let bench = Bench::handler("python3.12", "app.handler", ("app.py", &version("one", false)));
    bench.declare().await;
    let both = until("both are there", || bench.functions.list()[0].environments.len() == 2);
    let sleep = || async {
        while bench.functions.list()[0].environments.len() < 2 {
            once(&bench, "0.5").await;
        }
    };
    tokio::join!(both, sleep(), sleep());
    bench.write("app.py", &version("two", false));
    let changed = async { while bench.result("0").await != "two" {} };
    assert!(real::within(PATIENCE, changed).await.is_some());
    until("the new one is alone", || bench.functions.list()[0].environments.len() == 1).await;
    bench.functions.stop().await;
}

#[tokio::test]
async fn code_that_changes_while_other_new_code_starts_is_what_the_next_event_gets() {
    if !installed("python3") {
        return;
    }
    let bench = Bench::handler("python3.12", "app.handler", ("app.py", &version("one", false)));
    assert_eq!(bench.result("0").await, "one");
    let code = crate::function::code::Code::of(&bench.spec);
    let before = code.version();
    bench.write("app.py", &version("two", true));
    until("the change is told", || code.version() != before).await;
    let second = code.version();
    let changed = async {
        until("it starts", || bench.path().join("begun").exists()).await;
        bench.write("app.py", &version("three", false));
        until("the change is told", || code.version() != second).await;
        let next = bench.result("0");
        tokio::pin!(next);
        // It joins the line as soon as it is polled, so before the start is over.
        tokio::select! {
            biased;
            result = &mut next => panic!("nothing has started that could answer {result}"),
            () = std::future::ready(()) => {}
        }
        bench.write("go", "");
        next.await
    };
    let waits = async {
        while !bench.path().join("go").exists() {
            once(&bench, "0").await;
        }
    };
    let (result, ()) = tokio::join!(changed, waits);
    assert_eq!(result, "three");
    bench.functions.stop().await;
}

#[tokio::test]
async fn a_changed_layer_is_changed_code() {
    if !installed("python3") {
        return;
    }
    let code = "import inner\ndef handler(e, c):\n    return inner.SAID\n";
    let mut bench = Bench::handler("python3.12", "app.handler", ("app.py", code));
    let layer = tempfile::tempdir().expect("a folder");
    let write = |text: &str| {
        std::fs::create_dir_all(layer.path().join("python")).expect("made");
        std::fs::write(layer.path().join("python/inner.py"), text).expect("written");
    };
    write("SAID = 'one'\n");
    bench.spec.layers = vec![layer.path().to_owned()];
    assert_eq!(bench.result("1").await, "one");
    write("SAID = 'other'\n");
    let changed = async { while bench.result("1").await != "other" {} };
    assert!(real::within(PATIENCE, changed).await.is_some());
    bench.functions.stop().await;
}

/// Asks for its first event and is gone.
const FLEETING: &str = "exec python3 -c '
import os, socket, time
due = int(os.environ[\"LATER\"]) * 10000
host, port = os.environ[\"AWS_LAMBDA_RUNTIME_API\"].split(\":\")
asks = socket.create_connection((host, int(port)))
asks.sendall(b\"GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n\")
begun = time.perf_counter_ns()
while time.perf_counter_ns() - begun < due: pass
os.kill(os.getpid(), 9)
'";

#[tokio::test]
async fn whoever_gets_an_environment_that_dies_hears_so() {
    if !installed("python3") {
        return;
    }
    for later in 0..60 {
        let mut bench = Bench::script(FLEETING);
        bench.spec.env.insert("LATER".into(), later.to_string());
        bench.spec.timeout = Some(Duration::from_secs(2));
        bench.declare().await;
        let outcome = real::within(PATIENCE, once(&bench, "1")).await;
        assert!(matches!(outcome, Some(Some(Outcome::Failed(_)))), "{later}: {outcome:?}");
        bench.functions.stop().await;
    }
}

#[tokio::test]
async fn new_code_gets_the_port_of_a_process_that_sat_in_a_debugger() {
    if !installed("python3") {
        return;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = port.expect("a free port").port();
    let code = |version: &str| {
        format!(
            "import socket\nheld = socket.create_server(('127.0.0.1', {port}))\ndef handler(e, c):\n    \
             if e == 'hold': open('gate').read()\n    return '{version}'\n"
        )
    };
    let mut bench = Bench::handler("python3.12", "app.handler", ("app.py", &code("v1")));
    bench.spec.concurrency = 1;
    bench.functions.unhurried();
    nix::unistd::mkfifo(&bench.path().join("gate"), nix::sys::stat::Mode::S_IRWXU).expect("a gate");
    bench.declare().await;
    let functions = bench.functions.clone();
    let mut held = tokio::task::JoinSet::new();
    held.spawn(
        async move { functions.invoke("f", Invocation::of(Bytes::from_static(b"\"hold\""), ID)).await },
    );
    let gate = bench.path().join("gate");
    // It opens when the function does.
    let opening = tokio::task::spawn_blocking(move || std::fs::File::options().write(true).open(gate));
    let gate = opening.await.expect("waits").expect("opens");
    bench.write("app.py", &code("v2"));
    let mut next = Box::pin(once(&bench, "1"));
    // Nothing begins beside it, however long it is held.
    let beside = real::within(Duration::from_secs(1), &mut next).await;
    assert!(beside.is_none(), "{beside:?}");
    assert_eq!(bench.functions.list()[0].cold_starts, 1);
    drop(gate);
    let answers = [held.join_next().await.expect("is there").expect("is held"), next.await];
    let said = answers.map(|answer| match answer {
        Some(Outcome::Done(reply)) => String::from_utf8_lossy(&reply.payload).into_owned(),
        other => panic!("{other:?}"),
    });
    assert_eq!(said, ["\"v1\"", "\"v2\""]);
    bench.functions.stop().await;
}
