//! Extensions, external and internal, and what they subscribe to.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::clock::Timestamp;

/// An external extension in Python: registers, subscribes if it is told to, and writes down what it gets.
const EXTENSION: &str = r#"#!/usr/bin/env python3
import http.client, http.server, json, os, sys, threading
name, api = os.path.basename(sys.argv[0]), os.environ['AWS_LAMBDA_RUNTIME_API']
folder = os.environ['NOTES']
def note(text):
    with open(os.path.join(folder, 'notes'), 'a') as notes: notes.write(text + '\n')
def call(method, path, body=None, **headers):
    connection = http.client.HTTPConnection(api)
    connection.request(method, path, body, headers={name.replace('_', '-'): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read().decode()
print('extension starts', flush=True)
if os.environ.get('EXIT'): sys.exit(int(os.environ['EXIT']))
note('no body %d %s' % call('POST', '/2020-01-01/extension/register', '{', Lambda_Extension_Name=name)[::2])
status, headers, body = call('POST', '/2020-01-01/extension/register', '{"events":["INVOKE","SHUTDOWN"]}',
                             Lambda_Extension_Name=name, Lambda_Extension_Accept_Feature='accountId')
note('registered %d %s' % (status, body))
note('hidden %s' % [key for key in os.environ if key.startswith(('_HANDLER', 'LAMBDA_', 'AWS_LAMBDA_LOG_GROUP', 'AWS_LAMBDA_LOG_STREAM', 'AWS_EXECUTION_ENV', '_X_AMZN_TRACE', 'AWS_XRAY_'))])
me = headers['Lambda-Extension-Identifier']
def fails(when):
    if os.environ.get('FAILS') == when:
        gate = os.path.join(folder, 'gate')
        if os.path.exists(gate): open(gate).read()
        call('POST', '/2020-01-01/extension/%s/error' % when, '{}', Lambda_Extension_Identifier=me,
             Lambda_Extension_Function_Error_Type='Extension.Reason')
        threading.Event().wait()
fails('init')
class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        for one in json.loads(self.rfile.read(int(self.headers['Content-Length']))):
            note('told %s %s at %s' % (one['type'], json.dumps(one['record']), one['time']))
        self.send_response(200); self.send_header('Content-Length', '0'); self.end_headers()
    def log_message(self, *words): pass
server = http.server.HTTPServer(('127.0.0.1', 0), Sink)
threading.Thread(target=server.serve_forever, daemon=True).start()
wanted = {'schemaVersion': '2022-07-01', 'types': ['platform', 'function', 'extension'],
          'buffering': {'timeoutMs': 25},
          'destination': {'protocol': 'HTTP', 'URI': 'http://sandbox.localdomain:%d/x' % server.server_port}}
note('subscribed %d %s' % call('PUT', '/2022-07-01/telemetry', json.dumps(wanted), Lambda_Extension_Identifier=me)[::2])
while True:
    status, headers, body = call('GET', '/2020-01-01/extension/event/next', Lambda_Extension_Identifier=me)
    event = json.loads(body)
    if headers['Lambda-Extension-Event-Identifier']: note('numbered')
    note('event %s %s' % (event['eventType'], ' '.join(event)))
    if event['eventType'] == 'SHUTDOWN':
        note('because %s' % event['shutdownReason'])
        break
    if event['eventType'] == 'INVOKE' and os.environ.get('AGAIN'):
        for path in '/2022-07-01/telemetry', '/2020-08-15/logs':
            late = call('PUT', path, json.dumps(wanted), Lambda_Extension_Identifier=me)
            note('late %d %s' % (late[0], late[2].strip()))
    fails('exit')
    if os.environ.get('CRASH'): sys.exit(int(os.environ['CRASH']))
    if os.environ.get('LATE'): threading.Event().wait()
"#;

const HANDLER: &str = "import os, time\ndef handler(e, c):\n    print('handled')\n    time.sleep(0.01)\n    \
    if e == 'exit': os._exit(3)\n    if e == 'hang': time.sleep(1000)\n    return os.path.exists('/opt/extensions/watcher')\n";

pub fn bench() -> Bench {
    let mut bench = Bench::handler("python3.12", "app.handler", ("app.py", HANDLER));
    bench.write("layer/extensions/watcher", EXTENSION);
    let program = bench.path().join("layer/extensions/watcher");
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).expect("made a program");
    bench.spec.layers = vec![bench.path().join("layer")];
    bench.spec.env.insert("NOTES".into(), bench.path().to_string_lossy().into_owned());
    bench
}

pub fn notes(bench: &Bench) -> String {
    std::fs::read_to_string(bench.path().join("notes")).unwrap_or_default()
}

#[tokio::test]
async fn an_extension_that_cannot_be_started_is_named() {
    if !installed("python3") {
        return;
    }
    let bench = bench();
    bench.write("layer/extensions/watcher", "#!/no/such/interpreter\n");
    let failure = bench.failure("1").await;
    let said = json(&failure.payload);
    assert_eq!(said["errorType"], "Extension.LaunchError", "{said}");
    assert!(said["errorMessage"].as_str().is_some_and(|text| text.contains("watcher")), "{said}");
}

#[tokio::test]
async fn more_extensions_than_aws_takes_are_refused() {
    if !installed("python3") {
        return;
    }
    let bench = bench();
    for number in 0..10 {
        let name = format!("layer/extensions/more{number}");
        bench.write(&name, EXTENSION);
        let program = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(bench.path().join(name), program).expect("made a program");
    }
    assert_eq!(bench.declare().await, []);
    let outcome = bench.functions.invoke("f", Invocation::of(Bytes::from_static(b"1"), ID)).await;
    let Some(Outcome::Unavailable(text)) = outcome else { panic!("{outcome:?}") };
    assert!(text.contains("11 extensions"), "{text}");
}

#[tokio::test]
async fn an_external_extension_lives_with_the_environment() {
    if !installed("python3") {
        return;
    }
    let mut bench = bench();
    bench.spec.env.insert("AGAIN".into(), "1".into());
    let reply = bench.reply("1").await;
    let log = &reply.report.log;
    assert!(log.contains("extension starts\n"), "{log}");
    assert!(log.contains("EXTENSION\tName: watcher\tState: Ready\tEvents: [INVOKE,SHUTDOWN]\n"), "{log}");
    assert!(
        log.contains("TELEMETRY\tName: watcher\tState: Subscribed\tTypes: [Platform, Function, Extension]\n"),
        "{log}"
    );
    bench.reply("2").await;
    let told = ["told platform.report", "told platform.runtimeDone", "told function \"handled\""];
    // It rests with its environment, so what it is told arrives with the next events.
    let heard = async {
        while !told.iter().all(|told| notes(&bench).matches(told).count() >= 2) {
            bench.reply("3").await;
        }
    };
    assert!(real::within(PATIENCE, heard).await.is_some(), "{}", notes(&bench));
    bench.functions.stop().await;
    let notes = notes(&bench);
    let said = r#"registered 200 {"functionName":"f","functionVersion":"$LATEST","handler":"app.handler","accountId":"000000000000"}"#;
    for expected in [
        said,
        "no body 403 {\"errorMessage\":\"Invalid registration request format\",\"errorType\":\"InvalidRequestFormat\"}",
        "hidden []",
        "numbered\nevent INVOKE",
        "subscribed 200 \"OK\"",
        r#"late 403 {"errorMessage":"Telemetry API subscription is closed already","errorType":"Telemetry.SubscriptionClosed"}"#,
        r#"late 403 {"errorMessage":"Logs API subscription is closed already","errorType":"Logs.SubscriptionClosed"}"#,
        "event INVOKE eventType deadlineMs requestId invokedFunctionArn tracing\n",
        "event SHUTDOWN eventType shutdownReason deadlineMs\nbecause spindown\n",
        "told platform.initStart",
        "told platform.initReport",
        "told platform.telemetrySubscription",
        "told platform.extension",
        "told platform.start {\"requestId\"",
    ] {
        assert!(notes.contains(expected), "{expected}: {notes}");
    }
    let times = |what: &str| -> Vec<Timestamp> {
        let told = notes.lines().filter(|line| line.starts_with(what));
        told.filter_map(|line| line.rsplit_once(" at ").and_then(|(_, at)| Timestamp::parse(at))).collect()
    };
    let (started, handled) = (times("told platform.start "), times("told function \"handled\""));
    assert!(!handled.is_empty() && started.len() >= handled.len(), "{notes}");
    assert!(started.iter().zip(&handled).all(|(start, line)| start <= line), "{notes}");
}

#[tokio::test]
async fn an_extension_hears_why_its_runtime_ended() {
    if !installed("python3") {
        return;
    }
    let bench = bench();
    let failure = bench.failure("\"exit\"").await;
    assert_eq!(failure.summary, "exit 3");
    until("it has heard", || notes(&bench).contains("because failure\n")).await;
    until("all has ended", || bench.functions.list()[0].environments[0].state == "reset").await;
    bench.reply("1").await;
    assert_eq!(bench.functions.list()[0].cold_starts, 1, "the same environment");
    bench.functions.stop().await;
}

#[tokio::test]
async fn an_extension_that_does_not_start_stops_its_environment() {
    if !installed("python3") {
        return;
    }
    let mut bench = bench();
    bench.spec.env.insert("EXIT".into(), "5".into());
    let failure = bench.failure("1").await;
    let payload = json(&failure.payload);
    assert_eq!(payload["errorType"], "Extension.Crash");
    assert_eq!(payload["errorMessage"], format!("RequestId: {ID} Error: exit status 5"));
    let log = failure.report.log;
    assert!(log.contains("Phase: init\tStatus: error\tError Type: Extension.Crash\n"), "{log}");
    bench.functions.stop().await;
}

#[tokio::test]
async fn an_extension_hears_of_a_runtime_that_ended_after_its_answer() {
    if !installed("python3") {
        return;
    }
    let mut bench = bench();
    let command = vec!["python3".into(), "runtime.py".into()];
    bench.spec.kind = FunctionKind::Run { command, build: None, watch: Vec::new() };
    bench.write("runtime.py", super::honest::RUNTIME);
    // Longer than the test waits: what is noticed is not that time is up.
    bench.spec.timeout = Some(PATIENCE * 2);
    bench.spec.concurrency = 1;
    bench.reply("\"exit\"").await;
    until("it has heard", || notes(&bench).contains("because failure\n")).await;
    bench.reply("1").await;
    bench.functions.stop().await;
}

#[tokio::test]
async fn an_extension_that_is_late_is_told_in_the_log() {
    if !installed("python3") {
        return;
    }
    let mut bench = bench();
    bench.spec.env.insert("LATE".into(), "1".into());
    bench.spec.timeout = Some(Duration::from_secs(2));
    bench.spec.concurrency = 1;
    let late = "dropwire: an extension did not ask for its next event in time";
    assert!(!bench.reply("1").await.report.log.contains(late));
    // The two seconds are those of the extension; its next start may take as long as it takes here.
    bench.functions.unhurried();
    let log = bench.reply("2").await.report.log;
    assert!(log.contains(late), "{log}");
    assert_eq!(bench.functions.list()[0].cold_starts, 1, "the same environment");
    bench.functions.stop().await;
}

#[tokio::test]
async fn an_extension_hears_that_time_was_up() {
    if !installed("python3") {
        return;
    }
    let mut bench = bench();
    bench.spec.timeout = Some(Duration::from_secs(2));
    let failure = bench.failure("\"hang\"").await;
    assert_eq!(failure.summary, "Timeout after 2.00 s");
    let heard = "event SHUTDOWN eventType shutdownReason deadlineMs\nbecause timeout\n";
    until("it has heard", || notes(&bench).ends_with(heard)).await;
    until("all has ended", || bench.functions.list()[0].environments[0].state == "reset").await;
    bench.functions.stop().await;
}

#[tokio::test]
async fn an_extension_that_exits_ends_its_invocation() {
    if !installed("python3") {
        return;
    }
    let mut bench = bench();
    bench.spec.env.insert("CRASH".into(), "6".into());
    let failure = bench.failure("\"hang\"").await;
    let payload = json(&failure.payload);
    assert_eq!(payload["errorType"], "Extension.Crash");
    assert_eq!(payload["errorMessage"], format!("RequestId: {ID} Error: exit status 6"));
    assert!(notes(&bench).contains("event INVOKE "), "{}", notes(&bench));
    bench.functions.stop().await;
}

#[tokio::test]
async fn an_extension_that_cannot_go_on_says_so() {
    if !installed("python3") {
        return;
    }
    for (when, kind) in [("init", "Extension.InitError"), ("exit", "Extension.ExitError")] {
        let mut bench = bench();
        bench.spec.env.insert("FAILS".into(), when.into());
        let failure = bench.failure("\"hang\"").await;
        assert_eq!(json(&failure.payload)["errorType"], kind);
        let got_an_event = notes(&bench).contains("event INVOKE");
        assert_eq!(got_an_event, when == "exit", "{}", notes(&bench));
        bench.functions.stop().await;
    }
}

#[tokio::test]
async fn an_extension_within_the_runtime_that_cannot_start_says_so() {
    const CODE: &str = "import http.client, os, threading\n\
        def call(path, **headers):\n    \
            connection = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])\n    \
            headers = {name.replace('_', '-'): value for name, value in headers.items()}\n    \
            connection.request('POST', '/2020-01-01/extension/' + path, '{\"events\":[]}', headers)\n    \
            return connection.getresponse().headers\n\
        me = call('register', Lambda_Extension_Name='within')['Lambda-Extension-Identifier']\n\
        call('init/error', Lambda_Extension_Identifier=me, Lambda_Extension_Function_Error_Type='Extension.Reason')\n\
        threading.Event().wait()\n";
    if !installed("python3") {
        return;
    }
    let bench = Bench::handler("python3.12", "app.handler", ("app.py", CODE));
    let said = json(&bench.failure("1").await.payload);
    assert_eq!(said["errorType"], "Extension.InitError", "{said}");
}

#[tokio::test]
async fn an_extension_that_cannot_go_on_after_the_answer_ends_its_environment() {
    if !installed("python3") {
        return;
    }
    let mut bench = bench();
    bench.spec.env.insert("FAILS".into(), "exit".into());
    // Longer than the test waits: what is noticed is not that time is up.
    bench.spec.timeout = Some(PATIENCE * 2);
    let gate = bench.path().join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).expect("a gate");
    bench.reply("1").await;
    // Opens as soon as the extension is there.
    tokio::task::spawn_blocking(|| std::fs::write(gate, "")).await.expect("no panic").expect("it is open");
    until("it is reset", || bench.functions.list()[0].environments[0].state == "reset").await;
    bench.functions.stop().await;
}

#[tokio::test]
async fn the_end_waits_for_no_extension_that_is_never_done() {
    if !installed("python3") {
        return;
    }
    let mut bench = bench();
    bench.spec.env.insert("LATE".into(), "1".into());
    bench.spec.timeout = Some(PATIENCE * 4);
    bench.reply("1").await;
    assert!(real::within(PATIENCE, bench.functions.stop()).await.is_some());
    assert!(bench.functions.list()[0].environments.is_empty());
}
