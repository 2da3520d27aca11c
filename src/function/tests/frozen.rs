//! What goes on in an environment rests between two events.

use super::*;

/// How far a function has counted in the background: read while nobody may be counting.
fn counted(bench: &Bench) -> u64 {
    let text = std::fs::read_to_string(bench.path().join("count")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

fn state(bench: &Bench) -> &'static str {
    bench.functions.list()[0].environments[0].state
}

/// Its background work counts in a file; it rests with the environment and goes on with the next event.
async fn check(bench: &Bench) {
    bench.reply("1").await;
    until("it is frozen", || state(bench) == "frozen").await;
    let at_rest = counted(bench);
    // Long enough for many turns of a counter that is not at rest.
    real::sleep(Duration::from_millis(100)).await;
    assert_eq!(counted(bench), at_rest);
    bench.reply("50").await;
    assert!(counted(bench) > at_rest, "it goes on");
    until("it is frozen again", || state(bench) == "frozen").await;
    assert_eq!(bench.functions.list()[0].cold_starts, 1);
}

const PYTHON: &str = "
import threading, time
count = 0
def run():
    global count
    while True:
        count += 1
        open('count.new', 'w').write(str(count))
        import os; os.replace('count.new', 'count')
        time.sleep(0.001)
threading.Thread(target=run, daemon=True).start()
def handler(event, context):
    time.sleep(event / 1000)
";

const NODE: &str = "
const fs = require('fs');
let count = 0;
setInterval(() => { fs.writeFileSync('count.new', `${++count}`); fs.renameSync('count.new', 'count') }, 1);
exports.handler = (event) => new Promise((done) => setTimeout(done, event));
";

#[tokio::test]
async fn threads_of_python_rest_between_events() {
    if !installed("python3") {
        return;
    }
    let bench = Bench::handler("python3.12", "app.handler", ("app.py", PYTHON));
    check(&bench).await;
    bench.functions.stop().await;
}

#[tokio::test]
async fn timers_of_node_rest_between_events() {
    if !installed("node") {
        return;
    }
    let bench = Bench::handler("nodejs20.x", "app.handler", ("app.js", NODE));
    check(&bench).await;
    bench.functions.stop().await;
}

#[tokio::test]
async fn nothing_rests_while_nobody_is_hurried() {
    if !installed("python3") {
        return;
    }
    let mut bench = Bench::handler("python3.12", "app.handler", ("app.py", PYTHON));
    bench.spec.timeout = Some(Duration::from_millis(20));
    bench.functions.unhurried();
    bench.reply("100").await;
    let before = counted(&bench);
    until("it goes on by itself", || counted(&bench) > before + 20).await;
    assert_eq!(state(&bench), "idle");
    bench.functions.stop().await;
}
