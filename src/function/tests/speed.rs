//! How fast warm invocations are. Run on demand: `cargo test --release function::tests::speed -- --ignored --nocapture`.

use std::time::Instant;

use super::*;

/// A runtime in C that echoes: what a compiled client takes at the least.
const CLIENT: &str = r#"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static char b[65536];
static int take(int s) {
  int have = 0; char *end;
  do { int n = read(s, b + have, sizeof b - 1 - have); if (n <= 0) exit(0); have += n; b[have] = 0; } while (!(end = strstr(b, "\r\n\r\n")));
  int length = atoi(strstr(b, "Content-Length: ") + 16), want = end + 4 - b + length;
  while (have < want) { int n = read(s, b + have, sizeof b - 1 - have); if (n <= 0) exit(0); have += n; }
  return have;
}
int main(void) {
  char *api = getenv("AWS_LAMBDA_RUNTIME_API"), out[1024], id[64];
  struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(atoi(strchr(api, ':') + 1)) };
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(s, (struct sockaddr *)&a, sizeof a)) return 1;
  for (;;) {
    const char *next = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n";
    if (write(s, next, strlen(next)) < 0) return 1;
    take(s);
    sscanf(strstr(b, "Aws-Request-Id: ") + 16, "%63[^\r]", id);
    int n = snprintf(out, sizeof out, "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\ntrue", id);
    if (write(s, out, n) < 0) return 1;
    take(s);
  }
}
"#;

async fn measure(name: &str, bench: &Bench, (lanes, count): (usize, usize)) {
    let event = Bytes::from(format!(r#"{{"Records":[{{"x":"{}"}}]}}"#, "y".repeat(800)));
    let lane = async |count: usize| {
        for _ in 0..count {
            let outcome = bench.functions.invoke("f", Invocation::of(event.clone(), ID)).await;
            assert!(matches!(outcome, Some(Outcome::Done(_))), "{outcome:?}");
        }
    };
    let all = async |count: usize| futures_util::future::join_all((0..lanes).map(|_| lane(count))).await;
    all(50).await;
    let begun = Instant::now();
    all(count).await;
    let each = begun.elapsed() / u32::try_from(count).expect("small");
    let rate = lanes as f64 / each.as_secs_f64();
    eprintln!("{name}, {lanes} at once: {:.3} ms each, {rate:.0} a second", each.as_secs_f64() * 1000.0);
}

/// A function that is this client.
async fn compiled() -> Bench {
    let mut bench =
        Bench::of(FunctionKind::Run { command: vec!["./client".into()], build: None, watch: Vec::new() });
    bench.write("client.c", CLIENT);
    let built = std::process::Command::new("cc")
        .args(["-O2", "-o", "client", "client.c"])
        .current_dir(bench.path())
        .status();
    assert!(built.is_ok_and(|status| status.success()), "cc is needed");
    bench.spec.concurrency = 4;
    assert_eq!(bench.declare().await, []);
    bench
}

/// Our own resident memory, kB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn memory_stays_as_it_is() {
    let bench = compiled().await;
    let many = async |count: usize| {
        for _ in 0..count {
            let outcome = bench.functions.invoke("f", Invocation::of(Bytes::from_static(b"1"), ID)).await;
            assert!(matches!(outcome, Some(Outcome::Done(_))), "{outcome:?}");
        }
    };
    many(1000).await;
    let before = resident();
    many(99_000).await;
    let after = resident();
    eprintln!("resident after 1,000: {before} kB, after 100,000: {after} kB");
    assert!(after <= before + before / 10);
    bench.functions.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn cold_starts() {
    let mut bench = compiled().await;
    let mut times = Vec::new();
    for round in 0..100 {
        bench.spec.env.insert("ROUND".into(), round.to_string());
        bench.declare().await;
        let begun = Instant::now();
        let outcome = bench.functions.invoke("f", Invocation::of(Bytes::from_static(b"1"), ID)).await;
        times.push(begun.elapsed());
        assert!(matches!(outcome, Some(Outcome::Done(_))), "{outcome:?}");
    }
    let mut spawns = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        std::process::Command::new("/bin/true").status().expect("it runs");
        spawns.push(begun.elapsed());
    }
    times.sort();
    spawns.sort();
    eprintln!(
        "cold start: median {:?}, slowest {:?}; a bare process: median {:?}",
        times[50], times[99], spawns[50]
    );
    bench.functions.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn many_functions() {
    let bench = compiled().await;
    let before = resident();
    let spec = |number: usize| FunctionSpec { name: format!("f{number}"), ..bench.spec.clone() };
    let begun = Instant::now();
    bench.functions.replace((0..1000).map(|number| (format!("f{number}"), spec(number))).collect()).await;
    eprintln!("1,000 functions: {:?}, {} kB", begun.elapsed(), resident() - before);
    bench.functions.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn warm_invocations() {
    let bench = compiled().await;
    for lanes in [1, 4] {
        measure("compiled", &bench, (lanes, 3000)).await;
    }
    bench.functions.stop().await;
    let mut bench =
        Bench::handler("python3.12", "a.handler", ("a.py", "def handler(e, c):\n    return True\n"));
    bench.spec.concurrency = 4;
    assert_eq!(bench.declare().await, []);
    for lanes in [1, 4] {
        measure("python", &bench, (lanes, 2000)).await;
    }
    bench.functions.stop().await;
    let mut bench = Bench::handler("nodejs20.x", "a.handler", ("a.js", "exports.handler = async () => true"));
    bench.spec.concurrency = 4;
    assert_eq!(bench.declare().await, []);
    for lanes in [1, 4] {
        measure("node", &bench, (lanes, 2000)).await;
    }
    bench.functions.stop().await;
    let bench = Bench::of(FunctionKind::Exec { command: vec!["/bin/cat".into()] });
    assert_eq!(bench.declare().await, []);
    measure("exec cat", &bench, (1, 200)).await;
}
