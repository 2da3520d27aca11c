//! The memory of a function is a real limit.

use super::*;

fn check(failure: &Failure) {
    let text = format!("RequestId: {ID} Error: Runtime exited with error: signal: killed");
    let payload = format!(r#"{{"errorType":"Runtime.ExitError","errorMessage":"{text}"}}"#);
    assert_eq!(failure.payload, payload);
    let log = &failure.report.log;
    assert!(log.contains(&format!("{text}\nRuntime.ExitError\nEND ")), "{log}");
    assert!(log.contains("\tMax Memory Used: 128 MB\t"), "{log}");
    assert!(log.ends_with("\tStatus: error\tError Type: Runtime.OutOfMemory\n"), "{log}");
}

#[tokio::test]
async fn who_takes_more_than_there_is_is_killed() {
    if !cfg!(target_os = "linux") || !installed("python3") {
        return;
    }
    let code = "import time\nkept = []\n\
        def handler(event, context):\n\
        \x20   for size in event['take']: kept.append(b'x' * (size << 20))\n\
        \x20   if event.get('drop'): kept.clear()\n\
        \x20   time.sleep(event.get('then', 0))\n\
        \x20   return len(kept)\n";
    let bench = Bench::handler("python3.12", "app.handler", ("app.py", code));
    assert_eq!(bench.result(r#"{"take":[20, 20]}"#).await, 2);
    let reply = bench.reply(r#"{"take":[20]}"#).await;
    let used = reply.report.log.split("Max Memory Used: ").nth(1).and_then(|rest| rest.split(' ').next());
    let used: u64 = used.and_then(|used| used.parse().ok()).expect("a number");
    assert!((60..110).contains(&used), "{}", reply.report.log);
    // It goes on after it has taken too much, and does not come to its end.
    check(&bench.failure(r#"{"take":[200], "then": 60}"#).await);
    assert_eq!(bench.result(r#"{"take":[20]}"#).await, 1, "a new start");
    // A short spike counts as well.
    check(&bench.failure(r#"{"take":[150], "drop": true}"#).await);
    bench.functions.stop().await;
}

#[tokio::test]
async fn what_a_function_starts_counts_as_well() {
    if !cfg!(target_os = "linux") || !installed("python3") {
        return;
    }
    let code = "import subprocess, sys\ndef handler(event, context):\n    \
        subprocess.run([sys.executable, '-c', 'x = b\"x\" * (200 << 20); import time; time.sleep(60)'])\n";
    let bench = Bench::handler("python3.12", "app.handler", ("app.py", code));
    check(&bench.failure("1").await);
    let command = ["python3", "-c", "x = b'x' * (200 << 20); import time; time.sleep(60)"];
    let exec = Bench::of(FunctionKind::Exec { command: command.map(str::to_owned).to_vec() });
    check(&exec.failure("1").await);
    bench.functions.stop().await;
}

#[tokio::test]
async fn what_children_share_with_their_parent_counts_once() {
    if !cfg!(target_os = "linux") || !installed("python3") {
        return;
    }
    let code = "import os, subprocess, time\nkept = b'x' * (70 << 20)\n\
        def wait(pids):\n\
        \x20   for pid in pids: os.waitpid(pid, 0)\n\
        def fork(work):\n\
        \x20   pid = os.fork()\n\
        \x20   if pid: return pid\n\
        \x20   work()\n\
        \x20   os._exit(0)\n\
        def handler(event, context):\n\
        \x20   end = time.monotonic() + 2\n\
        \x20   while event == 'run' and time.monotonic() < end: subprocess.run(['/bin/true'])\n\
        \x20   if event == 'fork': wait([fork(lambda: time.sleep(1)) for _ in range(4)])\n\
        \x20   if event == 'take': wait([fork(lambda: (b'y' * (100 << 20), time.sleep(60)))])\n\
        \x20   return event\n";
    let bench = Bench::handler("python3.12", "app.handler", ("app.py", code));
    for event in ["run", "fork"] {
        let result = bench.reply(&format!("\"{event}\"")).await;
        assert_eq!(json(&result.payload), event);
        let used = result.report.log.split("Max Memory Used: ").nth(1).unwrap_or_default();
        assert!(!used.starts_with("128 MB"), "{event}: {used}");
    }
    check(&bench.failure("\"take\"").await);
    bench.functions.stop().await;
}

#[tokio::test]
async fn a_small_function_of_node_fits() {
    if !installed("node") {
        return;
    }
    let code = "exports.handler = async () => { let all = []; for (let i = 0; i < 200; i++) { \
        all = [Buffer.alloc(1 << 20, 1), 'x'.repeat(1 << 18).split('').length] } return all[1] }";
    let bench = Bench::handler("nodejs20.x", "app.handler", ("app.js", code));
    for _ in 0..5 {
        assert_eq!(bench.result("1").await, 1 << 18);
    }
    bench.functions.stop().await;
}
