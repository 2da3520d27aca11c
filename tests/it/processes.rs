//! The program as people run it: started, killed, started again, twice at once, and in the way of others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::program::{Up, dropwire, has, is_alive, raw, run, sh, skipped, until};
use crate::simulator::Project;

const HELLO: &str = "[function.hello]\nbuiltin = \"echo\"\non = [\"topic:news\", \"s3:inbox\"]\n";

/// A function that writes down each call (request id, message id) when it begins, and then waits at a gate from
/// the `$1`-th call on, until there is a file `open`.
const GATED: &str = r#"
event=$(cat)
id=$(printf '%s' "$event" | sed 's/.*"MessageId":"\([^"]*\)".*/\1/')
echo "$AWS_LAMBDA_REQUEST_ID $id" >> calls
if [ ! -e open ] && [ "$(wc -l < calls)" -gt "$1" ]; then
  echo $$ >> pids
  read -r _ < gate
fi
printf '%s' "$event"
"#;

/// A project whose function `slow` is [`GATED`].
fn gated(passes: usize, concurrency: usize) -> Project {
    let wiring = format!(
        "[function.slow]\nexec = \"sh slow.sh {passes}\"\nconcurrency = {concurrency}\ntimeout = \"60s\"\n\
         on = \"topic:news\"\n"
    );
    let project = Project::new(&wiring);
    project.write("slow.sh", GATED);
    sh(project.root(), "mkfifo gate; touch calls pids");
    project
}

/// The calls so far: request id and message id.
fn calls(folder: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(folder.join("calls")).expect("calls");
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.map(|(request, message)| (request.to_owned(), message.to_owned())).collect()
}

/// The process ids that were written down so far.
fn pids(folder: &Path) -> Vec<i32> {
    let text = fs::read_to_string(folder.join("pids")).unwrap_or_default();
    text.lines().map(|line| line.parse().expect("a process id")).collect()
}

fn until_quiet(up: &Up) -> Value {
    until("quiet", || {
        let status = up.ask(&["status"]);
        (status["waiting"] == 0 && status["running"] == 0).then_some(status)
    })
}

fn attempts(up: &Up, event: &str) -> Vec<Value> {
    up.ask(&["show", event])["deliveries"][0]["attempts"].as_array().expect("attempts").clone()
}

#[test]
fn what_runs_when_dropwire_is_killed_is_run_again_as_the_same_attempt() {
    let project = gated(5, 2);
    let up = Up::start(project.root());
    let fired = up.ask(&["fire", "topic", "news", "hi", "--times", "30"]);
    let events: Vec<&str> =
        fired["events"].as_array().expect("events").iter().filter_map(Value::as_str).collect();
    assert_eq!(events.len(), 30);
    let running =
        until("two calls at the gate", || Some(pids(project.root())).filter(|pids| pids.len() == 2));
    let before = calls(project.root());
    // What is settled now must not be repeated; what runs now must be.
    let settled: BTreeSet<String> = events
        .iter()
        .flat_map(|event| attempts(&up, event))
        .map(|attempt| attempt["request_id"].as_str().expect("an id").to_owned())
        .collect();
    up.kill();
    for pid in running {
        until("the end of a function's process", || (!is_alive(pid)).then_some(()));
    }
    project.write("open", "");
    let up = Up::start(project.root());
    until_quiet(&up);
    let mut by_request: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (request, message) in calls(project.root()) {
        by_request.entry(request).or_default().push(message);
    }
    assert_eq!(by_request.len(), 30, "every event was delivered");
    for (request, messages) in &by_request {
        let ran = before.iter().any(|(id, _)| id == request);
        let expected = if ran && !settled.contains(request) { 2 } else { 1 };
        assert_eq!(messages.len(), expected, "calls of {request}");
        assert!(
            messages.iter().all(|message| *message == messages[0]),
            "{request} is always the same message"
        );
    }
    for event in events {
        let attempts = attempts(&up, event);
        assert_eq!((attempts.len(), &attempts[0]["number"]), (1, &json!(1)), "{event}: {attempts:?}");
    }
    up.down();
}

#[test]
fn messages_survive_being_killed_again_and_again() {
    let wiring =
        "[function.count]\nexec = \"sh count.sh\"\nconcurrency = 2\ntimeout = \"60s\"\non = \"topic:news\"\n";
    let project = Project::new(wiring);
    project.write("count.sh", "cat > /dev/null; echo \"$AWS_LAMBDA_REQUEST_ID x\" >> calls\n");
    project.write("calls", "");
    let mut messages = 0;
    for round in 1..=3 {
        let up = Up::start(project.root());
        let fired = up.ask(&["fire", "topic", "news", "hi", "--times", "40"]);
        messages += fired["events"].as_array().map_or(0, Vec::len);
        until("some calls", || (calls(project.root()).len() >= round * 15).then_some(()));
        up.kill();
    }
    let up = Up::start(project.root());
    until_quiet(&up);
    let ids: Vec<String> = calls(project.root()).into_iter().map(|(id, _)| id).collect();
    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert_eq!((messages, distinct.len()), (120, 120));
    // Only what ran, or was not yet written down, when it was killed comes a second time.
    assert!(ids.len() <= 120 + 3 * 40, "{} calls", ids.len());
    up.down();
}

#[test]
fn files_survive_being_killed_again_and_again() {
    let project = Project::new("[function.keep]\nbuiltin = \"sink\"\non = \"s3:inbox\"\n");
    fs::create_dir_all(project.path("buckets/inbox")).expect("a folder");
    // The first sight of a folder is no event, so it must be over before files come.
    let up = Up::start(project.root());
    up.down();
    for round in 0..3 {
        let up = Up::start(project.root());
        let script =
            format!("i=0; while [ $i -lt 200 ]; do echo $i > buckets/inbox/{round}-$i; i=$((i + 1)); done");
        sh(project.root(), &script);
        until("some events", || {
            (up.ask(&["status"])["events"].as_i64() >= Some(round * 200 + 50)).then_some(())
        });
        up.kill();
        // While it is dead, too.
        project.write(&format!("buckets/inbox/{round}-dead"), "x");
    }
    let up = Up::start(project.root());
    until("all events", || (up.ask(&["status"])["events"].as_i64() >= Some(603)).then_some(()));
    let status = until_quiet(&up);
    assert_eq!(
        (status["events"].as_i64(), status["given_up"].as_i64()),
        (Some(603), Some(0)),
        "none is there twice"
    );
    up.down();
}

#[test]
fn no_process_of_a_function_survives_a_killed_dropwire() {
    let project = Project::new(
        "[function.tree]\nexec = \"sh tree.sh\"\ntimeout = \"60s\"\non = \"topic:news\"\n\
         [function.warm]\nrun = \"sh warm.sh\"\ntimeout = \"60s\"\non = \"topic:news\"\n",
    );
    // A child of a child, in the background, deaf to everything that can be ignored.
    let tree = "trap '' HUP INT TERM; sh -c \"trap '' HUP INT TERM; echo \\$\\$ >> pids; read -r _ < gate\" & \
                echo $$ >> pids; read -r _ < gate\n";
    project.write("tree.sh", tree);
    project.write("warm.sh", tree);
    sh(project.root(), "mkfifo gate; touch pids");
    let up = Up::start(project.root());
    up.ask(&["fire", "topic", "news", "hi"]);
    let pids = until("four processes", || Some(pids(project.root())).filter(|pids| pids.len() == 4));
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    up.kill();
    for pid in pids {
        until("the end of a function's process", || (!is_alive(pid)).then_some(()));
    }
}

#[test]
fn no_process_of_a_python_function_survives_a_killed_dropwire() {
    if !has("python3") {
        return;
    }
    let project = Project::new(
        "[function.py]\nruntime = \"python3.12\"\nhandler = \"app.handler\"\ncode = \"py\"\ntimeout = \"60s\"\non = \"topic:news\"\n",
    );
    project.write(
        "py/app.py",
        "import os, subprocess\n\ndef handler(event, context):\n    child = subprocess.Popen(['cat', '../gate'])\n    \
         open('../pids', 'w').write(f'{os.getpid()}\\n{child.pid}\\n')\n    child.wait()\n",
    );
    sh(project.root(), "mkfifo gate; touch pids");
    let up = Up::start(project.root());
    up.ask(&["fire", "topic", "news", "hi"]);
    let pids = until("two processes", || Some(pids(project.root())).filter(|pids| pids.len() == 2));
    up.kill();
    for pid in pids {
        until("the end of a function's process", || (!is_alive(pid)).then_some(()));
    }
}

#[test]
fn a_function_has_a_temporary_folder_where_mounts_are_forbidden() {
    let forbid = "echo 0 > /proc/sys/user/max_mnt_namespaces";
    let tried = Command::new("unshare").args(["--user", "--map-root-user", "sh", "-euc", forbid]).output();
    if !tried.is_ok_and(|output| output.status.success()) {
        return skipped("namespaces cannot be had here");
    }
    if !has("python3") {
        return;
    }
    let project =
        Project::new("[function.py]\nruntime = \"python3.12\"\nhandler = \"app.handler\"\ncode = \"py\"\n");
    project.write(
        "py/app.py",
        "import os, tempfile\n\ndef handler(event, context):\n    \
         open(os.path.join(tempfile.gettempdir(), 'left'), 'w').close()\n    return tempfile.gettempdir()\n",
    );
    let up = Up::start_without(project.root(), forbid);
    let (code, said, complained) = run(project.root(), &["invoke", "py", "{}"]);
    assert_eq!(code, 0, "{complained}");
    let folder: String = serde_json::from_str(&said).expect("a path");
    // Where mounts are allowed, nobody else sees what lies there.
    assert!(Path::new(&folder).join("left").is_file(), "{folder}");
    let warning = up.line_with("no /tmp and /opt to themselves");
    assert!(warning.contains("level=warning") && warning.contains("did not allow the mounts"), "{warning}");
    up.down();
    assert!(!Path::new(&folder).exists(), "nothing is left");
}

#[test]
fn a_second_dropwire_joins_the_one_that_runs() {
    let project = Project::new(HELLO);
    let up = Up::start(project.root());
    let mut second = dropwire(project.root(), &["up", "-o", "plain"]);
    let mut second =
        second.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().expect("up");
    let mut said = std::io::BufReader::new(second.stderr.take().expect("its errors"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).expect("a line");
    second.kill().expect("killed");
    second.wait().expect("gone");
    assert!(
        line.contains(&format!("joined the dropwire that runs here already (pid {})", up.pid())),
        "{line}"
    );
    let (code, _, errors) = run(project.root(), &["up", "--seed", "7"]);
    assert!(code == 4 && errors.contains("--seed") && errors.contains("dropwire down"), "{code} {errors}");
    assert_eq!(up.ask(&["status"])["pid"], up.pid(), "the first one is left alone");
    up.down();
}

#[test]
fn a_port_that_is_taken_is_named_or_passed_over() {
    let project = Project::new(HELLO);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let (code, _, errors) = run(project.root(), &["up", "--port", &port, "--strict-port"]);
    assert!(
        code == 4 && errors.contains(&format!("127.0.0.1:{port}")) && errors.contains("--port 0"),
        "{code} {errors}"
    );
    let up = Up::start_with(project.root(), &["--port", &port]);
    assert_ne!(up.door().0, format!("127.0.0.1:{port}"));
    up.down();
}

#[test]
fn a_fresh_start_puts_the_old_state_aside() {
    let project = Project::new(HELLO);
    let up = Up::start(project.root());
    up.ask(&["fire", "topic", "news", "hi", "--wait"]);
    up.down();
    let up = Up::start(project.root());
    assert_eq!(up.ask(&["status"])["events"], 1);
    up.down();
    let up = Up::start_with(project.root(), &["--fresh", "--port", "0"]);
    assert_eq!(up.ask(&["status"])["events"], 0);
    up.down();
    let old = sh(project.root(), "ls .dropwire/old-*/state.db");
    assert_eq!(old.lines().count(), 1, "{old}");
}

#[test]
fn the_state_of_a_newer_dropwire_is_left_alone() {
    let project = Project::new(HELLO);
    Up::start(project.root()).down();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'from the future', 1, x'00', 0)";
    change_state(&project.path(".dropwire/state.db"), newer);
    let (code, _, errors) = run(project.root(), &["up", "--port", "0"]);
    assert!(code == 4 && errors.contains("newer dropwire") && errors.contains("--fresh"), "{code} {errors}");
    Up::start_with(project.root(), &["--fresh", "--port", "0"]).down();
}

#[tokio::main(flavor = "current_thread")]
async fn change_state(file: &Path, statement: &'static str) {
    use sqlx::{ConnectOptions, Connection};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut connection = options.connect().await.expect("the state");
    sqlx::query(statement).execute(&mut connection).await.expect("changed");
    connection.close().await.expect("closed");
}

#[test]
fn a_damaged_state_is_named_with_the_way_out() {
    let project = Project::new(HELLO);
    Up::start(project.root()).down();
    let state = project.path(".dropwire/state.db");
    let whole = fs::read(&state).expect("the state");
    // No database at all, and one that is damaged behind its first page.
    let mut damaged = whole.clone();
    damaged[4096..].fill(0xa5);
    for bytes in [b"this is no database, but it is long enough to be looked at".repeat(100), damaged] {
        fs::write(&state, &bytes).expect("written");
        let (code, _, errors) = run(project.root(), &["up", "--port", "0", "--until-idle"]);
        assert!(code == 4 && errors.contains("state.db") && errors.contains("--fresh"), "{code} {errors}");
        assert_eq!(fs::read(&state).expect("the state"), bytes, "it is left as it was");
    }
    let up = Up::start_with(project.root(), &["--fresh", "--port", "0"]);
    up.ask(&["fire", "topic", "news", "hi", "--wait"]);
    up.down();
}

#[test]
fn exit_codes_tell_what_kind_of_trouble_it_is() {
    let project = Project::new(
        "[function.good]\nbuiltin = \"echo\"\n[function.bad]\nbuiltin = \"fail\"\n[function.bad.wire.w]\n\
         topic = \"news\"\nretries = 0\n[function.late]\nbuiltin = \"sleep\"\nargs = { for = \"15m\" }\n\
         timeout = \"15m\"\non = \"topic:late\"\n",
    );
    let code = |words: &[&str]| run(project.root(), words).0;
    assert_eq!(code(&["status"]), 5);
    assert_eq!(code(&["down"]), 5);
    assert_eq!(code(&["fire", "topic", "news", "x"]), 5);
    let up = Up::start(project.root());
    assert_eq!(code(&["status"]), 0);
    assert_eq!(code(&["invoke", "good", "{}"]), 0);
    assert_eq!(code(&["no-such-command"]), 2);
    assert_eq!(code(&["show"]), 2);
    assert_eq!(code(&["show", "e999"]), 6);
    assert_eq!(code(&["invoke", "nobody"]), 6);
    assert_eq!(code(&["fire", "s3", "nowhere/cat.png"]), 6);
    assert_eq!(code(&["invoke", "bad"]), 7);
    assert_eq!(code(&["fire", "topic", "news", "x", "--wait"]), 7);
    assert_eq!(code(&["fire", "topic", "late", "x", "--wait", "--timeout", "10ms"]), 8);
    up.down();
    project.write("dropwire.toml", "[function.good]\nbuiltin = \"eco\"\ntimout = 3\n");
    assert_eq!(code(&["check"]), 3);
    assert_eq!(code(&["up"]), 3);
}

#[test]
fn every_complaint_about_a_wiring_comes_at_once_with_its_place() {
    let wiring = "[function.a]\nbuiltin = \"echo\"\nexec = \"true\"\n[function.b]\nbuiltin = \"echo\"\n\
                  timout = 3\non = [\"s3:uploads/*.png\", \"s3:upload\"]\n[function.c]\nbuiltin = \"echo\"\n\
                  on = \"s3:uploads/*.png\"\n[bucket.uploads]\n";
    let project = Project::new(wiring);
    let (code, _, errors) = run(project.root(), &["up"]);
    assert_eq!(code, 3, "{errors}");
    for words in ["dropwire.toml:3:", "dropwire.toml:6:", "`timeout`", "`uploads`", "overlap"] {
        assert!(errors.contains(words), "{words} is missing in:\n{errors}");
    }
}

#[test]
fn it_runs_in_the_background_and_is_found_from_below() {
    let project = Project::new(HELLO);
    let (code, said, errors) = run(project.root(), &["up", "--detach", "--port", "0"]);
    assert_eq!(code, 0, "{said}{errors}");
    let below = project.path("buckets/inbox");
    let (code, status, _) = run(&below, &["status", "--json"]);
    let status: Value = serde_json::from_str(&status).expect("JSON");
    let pid = status["data"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a pid");
    assert!(code == 0 && is_alive(pid));
    assert_eq!(run(&below, &["down"]).0, 0);
    assert!(!is_alive(pid));
    assert!(!project.path(".dropwire/running.json").exists());
}

#[test]
fn a_terminated_dropwire_ends_in_order() {
    let project = Project::new(HELLO);
    for signal in [nix::sys::signal::Signal::SIGTERM, nix::sys::signal::Signal::SIGINT] {
        let up = Up::start(project.root());
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(up.pid()), signal).expect("sent");
        until("its end", || (!is_alive(up.pid())).then_some(()));
        assert!(!project.path(".dropwire/running.json").exists(), "{signal}");
    }
}

#[test]
fn until_idle_tells_what_was_given_up() {
    let project = Project::new(
        "[function.bad]\nbuiltin = \"fail\"\n[function.bad.wire.w]\nbucket = \"inbox\"\nretries = 0\n",
    );
    let idle = || run(project.root(), &["up", "--until-idle", "--port", "0"]);
    assert_eq!(idle().0, 0);
    project.write("buckets/inbox/a", "x");
    let (code, said, errors) = idle();
    assert!(code == 7 && errors.contains("1 delivery given up"), "{code} {said} {errors}");
}

#[test]
fn the_control_api_answers_nobody_else() {
    let project = Project::new(HELLO);
    let up = Up::start(project.root());
    let (address, token) = up.door();
    let body = r#"{"kind":"topic","topic":"news","body":"x","subject":null,"attributes":[]}"#;
    let request = |method: &str, path: &str, headers: &[&str]| {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let text = format!(
            "{method} /_dropwire/v1/{path} HTTP/1.1\r\n{headers}content-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        raw(&address, &text)
    };
    let (host, token) = (format!("host: {address}"), format!("x-dropwire-token: {token}"));
    assert_eq!(request("POST", "fire", &[&host, &token]), 200);
    assert_eq!(request("GET", "status", &[&host]), 200);
    assert_eq!(request("POST", "fire", &[&host]), 403, "no token");
    assert_eq!(request("POST", "fire", &[&host, "x-dropwire-token: guess"]), 403);
    assert_eq!(request("POST", "fire", &[&host, &token, "origin: https://evil.example"]), 403);
    assert_eq!(request("POST", "fire", &["host: evil.example", &token]), 403);
    assert_eq!(request("GET", "status", &["host: evil.example"]), 403, "reading is refused as well");
    assert_eq!(request("GET", "events", &[&host, "origin: https://evil.example"]), 403);
    assert_eq!(request("POST", "stop", &[&host]), 403);
    assert_eq!(up.ask(&["status"])["events"], 1, "nothing of it had any effect");
    let file = project.path(".dropwire/running.json");
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(file).expect("the file"));
    assert_eq!(mode & 0o077, 0, "the token is for its owner's eyes");
    up.down();
}

#[test]
fn an_empty_folder_is_a_wiring_too() {
    let project = Project::new("");
    fs::remove_file(project.path("dropwire.toml")).expect("removed");
    let (code, said, errors) = run(project.root(), &["up", "--until-idle", "--port", "0"]);
    assert_eq!(code, 0, "{said}{errors}");
}
