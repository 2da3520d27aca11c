//! Environments that have nothing to do, by the simulated clock.

use super::*;
use crate::clock::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);

/// A function that says which process it is, on a clock that stands.
fn bench() -> Bench {
    let code = "import os\ndef handler(e, c):\n    return os.getpid()\n";
    let bench = Bench::handler("python3.12", "app.handler", ("app.py", code));
    bench.clock.set_to(Timestamp::parse("2026-01-05T09:00:00Z").expect("a time"));
    bench.clock.freeze();
    bench
}

fn pass(bench: &Bench, minutes: u32) {
    bench.clock.set_to(bench.clock.now().plus(MINUTE * minutes));
}

/// How many environments there are.
fn count(bench: &Bench) -> usize {
    bench.functions.list()[0].environments.len()
}

#[tokio::test]
async fn an_environment_ends_after_ten_minutes_of_the_clock_without_an_event() {
    if !installed("python3") {
        return;
    }
    let bench = bench();
    let first = bench.result("1").await;
    pass(&bench, 9);
    assert_eq!(bench.result("1").await, first);
    // An event begins the ten minutes anew.
    pass(&bench, 9);
    assert_eq!(bench.result("1").await, first);
    pass(&bench, 10);
    until("it has ended", || count(&bench) == 0).await;
    until("its process too", || !runs(&first.to_string())).await;
    assert_ne!(bench.result("1").await, first);
    assert_eq!(bench.functions.list()[0].cold_starts, 2);
    // One that started later has its ten minutes as well.
    pass(&bench, 11);
    until("it has ended", || count(&bench) == 0).await;
    bench.functions.stop().await;
}

#[tokio::test]
async fn an_event_of_the_same_moment_gets_no_environment_that_is_over() {
    if !installed("python3") {
        return;
    }
    let bench = bench();
    let first = bench.result("1").await;
    pass(&bench, 10);
    // Nobody has had a chance to end it yet.
    assert_eq!(count(&bench), 1);
    assert_ne!(bench.result("1").await, first);
    bench.functions.stop().await;
}

#[tokio::test]
async fn an_environment_that_ends_tells_its_extensions() {
    if !installed("python3") {
        return;
    }
    let bench = super::extensions::bench();
    bench.reply("1").await;
    until("it rests", || bench.functions.list()[0].environments[0].state != "busy").await;
    pass(&bench, 10);
    let heard = "event SHUTDOWN eventType shutdownReason deadlineMs\nbecause spindown\n";
    until("it has heard", || super::extensions::notes(&bench).ends_with(heard)).await;
    until("it has ended", || count(&bench) == 0).await;
    bench.reply("1").await;
    assert_eq!(bench.functions.list()[0].cold_starts, 2);
    bench.functions.stop().await;
}

#[tokio::test]
async fn time_that_is_moved_back_is_where_it_counts_from() {
    if !installed("python3") {
        return;
    }
    let bench = bench();
    let first = bench.result("1").await;
    let pool = std::sync::Arc::clone(bench.functions.get("f").expect("it is there").pool());
    bench.clock.set_to(Timestamp::parse("2020-01-01T00:00:00Z").expect("a time"));
    until("it is heard", || pool.next_end() == Timestamp::parse("2020-01-01T00:10:00Z")).await;
    assert_eq!(bench.result("1").await, first, "nothing has ended");
    bench.clock.set_to(Timestamp::parse("2019-01-01T00:00:00Z").expect("a time"));
    until("it is heard", || pool.next_end() == Timestamp::parse("2019-01-01T00:10:00Z")).await;
    pass(&bench, 10);
    until("it has ended", || count(&bench) == 0).await;
    bench.functions.stop().await;
}

#[tokio::test]
async fn provisioned_environments_wait_for_as_long_as_it_takes() {
    if !installed("python3") {
        return;
    }
    let bench = bench();
    bench.declare().await;
    bench.functions.provision(BTreeMap::from([("f".to_owned(), 1)]));
    until("it is ready", || bench.functions.provisioned("f") == (1, 0)).await;
    let first = bench.result("1").await;
    pass(&bench, 60 * 24);
    assert_eq!(bench.result("1").await, first);
    assert_eq!(bench.functions.list()[0].cold_starts, 1);
    bench.functions.stop().await;
}

#[tokio::test]
async fn whoever_sits_in_a_debugger_keeps_his_environment() {
    if !installed("python3") {
        return;
    }
    let bench = bench();
    bench.functions.unhurried();
    let first = bench.result("1").await;
    pass(&bench, 100);
    assert_eq!(bench.result("1").await, first);
    assert_eq!(bench.functions.list()[0].cold_starts, 1);
    bench.functions.stop().await;
}
