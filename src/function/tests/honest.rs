//! Runtimes that do not keep to the rules get an honest answer, and the next event a working environment.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;

/// A runtime that does with each event what it says.
pub(super) const RUNTIME: &str = r#"
import http.client, json, os, socket, sys, time
api = os.environ['AWS_LAMBDA_RUNTIME_API']
connection = http.client.HTTPConnection(api)
def call(method, path, body=None):
    connection.request(method, '/2018-06-01/runtime/' + path, body)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read().decode()
def post(path, body):
    status, _, text = call('POST', path, body)
    print(status, json.loads(text).get('errorType', 'OK'), flush=True)
while True:
    _, headers, event = call('GET', 'invocation/next')
    event, mine = json.loads(event), 'invocation/' + headers['Lambda-Runtime-Aws-Request-Id'] + '/response'
    if event == 'large':
        post(mine, b'x' * 7000000)
        sys.exit(1)
    if event == 'cut':
        raw = socket.create_connection(api.split(':'))
        raw.sendall(('POST /2018-06-01/runtime/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf' % mine).encode())
        raw.close()
        continue
    if event == 'other':
        post('invocation/00000000-0000-4000-8000-00000000000f/response', '1')
    if event == 'init':
        post('init/error', '{}')
    if event == 'mode':
        connection.request('POST', '/2018-06-01/runtime/' + mine, '1', {'Lambda-Runtime-Function-Response-Mode': 'odd'})
        answer = connection.getresponse()
        print(answer.status, json.loads(answer.read())['errorType'], flush=True)
    post(mine, json.dumps(os.getpid()))
    if event == 'twice':
        post(mine, '2')
    if event == 'exit':
        sys.exit(0)
"#;

fn runtime() -> Bench {
    let command = vec!["python3".into(), "runtime.py".into()];
    let bench = Bench::of(FunctionKind::Run { command, build: None, watch: Vec::new() });
    bench.write("runtime.py", RUNTIME);
    bench
}

#[tokio::test]
async fn calls_out_of_turn_are_refused_and_told_in_the_log() {
    if !installed("python3") {
        return;
    }
    let bench = runtime();
    let first = bench.result("1").await;
    let check = async |event: &str, said: &[&str]| {
        let mut log = bench.reply(event).await.report.log;
        // What comes after the answer is in the log of the next event.
        log.push_str(&bench.reply("1").await.report.log);
        assert!(said.iter().any(|said| log.contains(said)), "{event}: {log}");
        assert_eq!(bench.result("1").await, first, "the same process");
    };
    check("\"other\"", &["\n400 InvalidRequestID\n"]).await;
    check("\"other\"", &["dropwire answered 400 Bad Request to POST /2018-06-01/runtime/invocation/"]).await;
    check("\"twice\"", &["\n403 InvalidStateTransition\n", "\n400 InvalidRequestID\n"]).await;
    check("\"init\"", &["\n403 InvalidStateTransition\n"]).await;
    check("\"mode\"", &["\n400 InvalidFunctionResponseMode\n"]).await;
    bench.functions.stop().await;
}

#[tokio::test]
async fn a_result_that_breaks_off_is_a_failure() {
    if !installed("python3") {
        return;
    }
    let bench = runtime();
    let failure = bench.failure("\"cut\"").await;
    assert_eq!(json(&failure.payload)["errorType"], "Runtime.TruncatedResponse");
    assert!(failure.report.log.ends_with("\tStatus: error\tError Type: Runtime.TruncatedResponse\n"));
    assert_eq!(bench.functions.list()[0].environments[0].state, "reset");
    bench.result("1").await;
    bench.functions.stop().await;
}

#[tokio::test]
async fn who_ends_after_its_answer_is_replaced_without_a_failure() {
    if !installed("python3") {
        return;
    }
    let bench = runtime();
    let first = bench.result("\"exit\"").await;
    assert_ne!(bench.result("1").await, first);
    let failure = bench.failure("\"large\"").await;
    assert_eq!(json(&failure.payload)["errorType"], "Function.ResponseSizeTooLarge");
    for _ in 0..3 {
        bench.result("1").await;
    }
    bench.functions.stop().await;
}

#[tokio::test]
async fn who_was_killed_while_it_waited_gets_no_event() {
    if !installed("python3") {
        return;
    }
    let bench = runtime();
    for _ in 0..10 {
        let pid = bench.result("1").await.as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("an id");
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("killed");
        let gone = async {
            while runs(&pid.to_string()) {
                tokio::task::yield_now().await;
            }
        };
        assert!(real::within(PATIENCE, gone).await.is_some());
        // At once: nobody may have noticed yet.
        assert_ne!(bench.result("1").await, pid);
    }
    bench.functions.stop().await;
}

/// Its runtime registers an extension of its own, and ends in its own time when it is asked to.
const INTERNAL: &str = "
import http.client, json, os, signal, sys, threading, time
def handler(event, context): return 1
def extension():
    connection = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])
    connection.request('POST', '/2020-01-01/extension/register', json.dumps({'events': ['INVOKE']}), {'Lambda-Extension-Name': 'inner'})
    answer = connection.getresponse(); answer.read()
    ready.set()
    while True:
        connection.request('GET', '/2020-01-01/extension/event/next', headers={'Lambda-Extension-Identifier': answer.headers['Lambda-Extension-Identifier']})
        connection.getresponse().read()
        time.sleep(0.05)
        open('heard', 'a').write('x')
ready = threading.Event()
threading.Thread(target=extension, daemon=True).start()
ready.wait()
def end(*_):
    open('ended', 'w').write('in peace')
    os._exit(0)
signal.signal(signal.SIGTERM, end)
";

#[tokio::test]
async fn an_internal_extension_is_waited_for_and_ends_with_a_word() {
    if !installed("python3") {
        return;
    }
    let bench = Bench::handler("python3.12", "app.handler", ("app.py", INTERNAL));
    let heard = || std::fs::read_to_string(bench.path().join("heard")).unwrap_or_default().len();
    let log = bench.reply("1").await.report.log;
    assert!(log.contains("EXTENSION\tName: inner\tState: Ready\tEvents: [INVOKE]\n"), "{log}");
    assert_eq!(heard(), 0, "the answer does not wait for it");
    bench.reply("2").await;
    assert_eq!(heard(), 1, "the next event does");
    assert_eq!(bench.functions.list()[0].cold_starts, 1);
    bench.functions.stop().await;
    assert_eq!(std::fs::read_to_string(bench.path().join("ended")).expect("written"), "in peace");
}
