//! Functions of all kinds at the end of a wire: those that work, and all the ways in which they do not.

use serde_json::{Value, json};

use crate::program::{has, is_root, sh, until};
use crate::simulator::{Project, Simulator};

/// A project with one more function, `hello`, that must not be disturbed by what befalls the first.
fn beside_hello(function: &str) -> Project {
    Project::new(&format!(
        "[sim]\nclock = \"2026-01-05T09:00:00Z\"\n{function}\n[function.hello]\nbuiltin = \"echo\"\non = \"topic:news\"\n"
    ))
}

async fn check_hello(simulator: &Simulator) {
    simulator.publish("news", "hi").await;
    simulator.until_taken("hello", 1).await;
}

/// The first attempt of this function's, once it has ended.
async fn until_failed(simulator: &Simulator, function: &str) -> (String, Value, String) {
    let attempt = simulator.until_so("an attempt", async || {
        simulator.attempts(function).await.into_iter().next().ok_or_else(|| "none".to_owned())
    });
    let attempt = attempt.await;
    let answer = serde_json::from_str(&attempt.result).unwrap_or(Value::Null);
    (attempt.error.unwrap_or_default(), answer, attempt.log)
}

#[tokio::test]
async fn a_python_handler_gets_the_event_and_its_answer_comes_back() {
    if !has("python3") {
        return;
    }
    let project = Project::new(
        "[function.py]\nruntime = \"python3.12\"\nhandler = \"app.handler\"\ncode = \"py\"\nenv = { WHO = \"me\" }\n\
         timeout = \"20s\"\non = \"s3:inbox\"\n",
    );
    project.write(
        "py/app.py",
        "import os\n\ndef handler(event, context):\n    print('seen by', os.environ['WHO'])\n    \
         return {'event': event, 'id': context.aws_request_id, 'left': context.get_remaining_time_in_millis()}\n",
    );
    let simulator = project.start().await;
    project.write("buckets/inbox/two words.txt", "hello");
    let answer = simulator.until_taken("py", 1).await.remove(0);
    assert_eq!(answer["event"]["Records"][0]["s3"]["object"]["key"], "two+words.txt");
    let attempt = simulator.attempts("py").await.remove(0);
    assert_eq!(answer["id"], attempt.request_id);
    assert!(answer["left"].as_i64().is_some_and(|left| left > 0 && left <= 20_000), "{answer}");
    assert!(attempt.log.contains("\nseen by me\n"), "{}", attempt.log);
    simulator.stop().await;
}

#[tokio::test]
async fn a_node_handler_gets_the_event_and_its_answer_comes_back() {
    if !has("node") {
        return;
    }
    let project = Project::new(
        "[function.js]\nruntime = \"nodejs8.10\"\nhandler = \"index.handler\"\ncode = \"js\"\ntimeout = \"20s\"\n\
         on = \"s3:inbox\"\n",
    );
    project.write(
        "js/index.js",
        "exports.handler = async (event, context) => { console.log('seen'); return { event, id: context.awsRequestId }; };\n",
    );
    let simulator = project.start().await;
    project.write("buckets/inbox/a.txt", "hello");
    let answer = simulator.until_taken("js", 1).await.remove(0);
    assert_eq!(answer["event"]["Records"][0]["s3"]["object"]["size"], 5);
    let attempt = simulator.attempts("js").await.remove(0);
    assert_eq!(answer["id"], attempt.request_id);
    assert!(attempt.log.contains("seen\n"), "{}", attempt.log);
    simulator.stop().await;
}

#[tokio::test]
async fn an_exception_is_a_failure_with_its_type_and_the_next_event_finds_it_well() {
    if !has("python3") {
        return;
    }
    let project = beside_hello(
        "[function.py]\nruntime = \"python3.12\"\nhandler = \"app.handler\"\ncode = \"py\"\ntimeout = \"20s\"\non = \"topic:orders\"\n",
    );
    project.write(
        "py/app.py",
        "def handler(event, context):\n    if event['Records'][0]['Sns']['Message'] == 'bad':\n        \
         raise ValueError('no good')\n    return 'fine'\n",
    );
    let simulator = project.start().await;
    simulator.publish("orders", "bad").await;
    let (error, answer, log) = until_failed(&simulator, "py").await;
    assert_eq!((&answer["errorType"], &answer["errorMessage"]), (&json!("ValueError"), &json!("no good")));
    assert!(error.contains("ValueError") && log.contains("no good"), "{error} {log}");
    simulator.publish("orders", "good").await;
    assert_eq!(simulator.until_taken("py", 1).await, ["fine"]);
    simulator.stop().await;
}

#[tokio::test]
async fn a_function_whose_program_has_gone_keeps_its_events_until_it_is_back() {
    let project = beside_hello("[function.lost]\nexec = \"./program\"\non = \"topic:news\"\n");
    project.write("program", "#!/bin/sh\ncat\n");
    sh(project.root(), "chmod +x program");
    let simulator = project.start().await;
    sh(project.root(), "mv program moved");
    check_hello(&simulator).await;
    let event = simulator
        .until_so("a refusal", async || {
            let event = simulator.get("events/e1").await;
            let lost =
                event["deliveries"].as_array().and_then(|all| all.iter().find(|d| d["function"] == "lost"));
            match lost {
                Some(lost) if lost["attempts"] != json!([]) && lost["state"] == "waiting" => Ok(lost.clone()),
                _ => Err(event.to_string()),
            }
        })
        .await;
    assert!(event["attempts"][0]["error"].as_str().is_some_and(|e| e.contains("program")), "{event:#}");
    // Once the program is there, the event that waits is delivered.
    sh(project.root(), "mv moved program");
    simulator.post("clock", json!({"do": "advance", "millis": 600_000})).await;
    assert_eq!(simulator.until_taken("lost", 1).await.len(), 1);
    simulator.stop().await;
}

#[tokio::test]
async fn a_program_that_exits_at_once_fails_its_event_and_is_tried_again() {
    let project =
        beside_hello("[function.quits]\nrun = \"sh -c 'echo bye >&2; exit 3'\"\non = \"topic:news\"\n");
    let simulator = project.start().await;
    check_hello(&simulator).await;
    let (error, answer, log) = until_failed(&simulator, "quits").await;
    assert!(error.contains("exit 3") || error.contains("exit status 3"), "{error}");
    assert_eq!(answer["errorType"], "Runtime.ExitError", "{answer}");
    assert!(log.contains("bye"), "{log}");
    simulator.post("clock", json!({"do": "advance", "millis": 600_000})).await;
    let numbers: Vec<u32> = simulator.attempts("quits").await.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    simulator.stop().await;
}

#[tokio::test]
async fn a_function_that_takes_too_long_is_ended_and_its_event_tried_again() {
    // It waits for ever for somebody to write into a pipe.
    let project =
        beside_hello("[function.hangs]\nexec = \"sh hangs.sh\"\ntimeout = \"1s\"\non = \"topic:news\"\n");
    project.write("hangs.sh", "[ -p gate ] || mkfifo gate; read -r _ < gate\n");
    let simulator = project.start().await;
    check_hello(&simulator).await;
    let (error, answer, log) = until_failed(&simulator, "hangs").await;
    assert_eq!(answer["errorType"], "Sandbox.Timedout", "{answer}");
    assert!(
        error.contains("Timeout after 1.00 s") && log.contains("Task timed out after 1.00 seconds"),
        "{error} {log}"
    );
    simulator.stop().await;
}

#[tokio::test]
async fn a_function_that_crashes_fails_its_event() {
    let project = beside_hello("[function.crashes]\nexec = \"sh -c 'kill -SEGV $$'\"\non = \"topic:news\"\n");
    let simulator = project.start().await;
    check_hello(&simulator).await;
    let (error, answer, _) = until_failed(&simulator, "crashes").await;
    assert_eq!(answer["errorType"], "Runtime.ExitError", "{answer}");
    assert!(error.contains("segmentation fault"), "{error}");
    simulator.stop().await;
}

#[tokio::test]
async fn what_a_script_prints_need_not_be_json() {
    let project =
        beside_hello("[function.says]\nexec = \"printf 'it is \\\"done\\\"'\"\non = \"topic:news\"\n");
    let simulator = project.start().await;
    simulator.publish("news", "hi").await;
    assert_eq!(simulator.until_taken("says", 1).await, ["it is \"done\""]);
    simulator.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_no_json_does_no_harm() {
    if !has("python3") {
        return;
    }
    let project =
        beside_hello("[function.odd]\nrun = \"python3 odd.py\"\ntimeout = \"20s\"\non = \"topic:news\"\n");
    project.write(
        "odd.py",
        "import http.client, os\nhost = os.environ['AWS_LAMBDA_RUNTIME_API']\nbase = '/2018-06-01/runtime/invocation/'\n\
         while True:\n    c = http.client.HTTPConnection(host)\n    c.request('GET', base + 'next')\n    r = c.getresponse()\n    \
         r.read()\n    c.request('POST', base + r.headers['Lambda-Runtime-Aws-Request-Id'] + '/response', b'{no json \\xff')\n    \
         c.getresponse().read()\n",
    );
    let simulator = project.start().await;
    check_hello(&simulator).await;
    let attempt = simulator
        .until_so("an attempt", async || {
            simulator.attempts("odd").await.into_iter().next().ok_or_else(|| "none".to_owned())
        })
        .await;
    // Lambda passes on whatever the runtime said; only who asked for JSON minds.
    assert!(attempt.result.starts_with("{no json"), "{attempt:?}");
    let event = simulator.get("events/e1").await;
    let odd =
        event["deliveries"].as_array().and_then(|all| all.iter().find(|d| d["function"] == "odd")).cloned();
    assert!(odd.is_some_and(|odd| odd["state"] != "running"), "{event:#}");
    simulator.stop().await;
}

#[tokio::test]
async fn ten_megabytes_of_log_do_no_harm() {
    let project =
        beside_hello("[function.loud]\nexec = \"sh loud.sh\"\ntimeout = \"60s\"\non = \"topic:news\"\n");
    project.write("loud.sh", "head -c 10000000 /dev/zero | tr '\\0' x >&2; echo done\n");
    let simulator = project.start().await;
    check_hello(&simulator).await;
    assert_eq!(simulator.until_taken("loud", 1).await, ["done"]);
    let log = &simulator.attempts("loud").await[0].log;
    assert!(log.len() < 10_000_000 && log.contains("REPORT RequestId"), "{} bytes", log.len());
    simulator.stop().await;
}

#[test]
fn a_bucket_whose_folder_cannot_be_read_is_one_problem_and_the_rest_goes_on() {
    let project = Project::new(
        "[bucket.shut]\nfolder = \"shut\"\n[bucket.open]\nfolder = \"open\"\nexisting = \"emit\"\n\
         [function.hear]\nexec = \"sh -c 'cat > heard'\"\non = \"s3:open\"\n",
    );
    project.write("shut/a", "x");
    project.write("open/a", "x");
    // Root reads every folder, so that root runs a copy of the program as somebody else.
    let program = project.path("dropwire");
    std::fs::copy(env!("CARGO_BIN_EXE_dropwire"), &program).expect("a copy");
    sh(project.root(), "chmod 777 .; chmod 755 dropwire open; chmod 000 shut");
    let words = std::fs::File::create(project.path("said")).expect("a file");
    let mut command = std::process::Command::new(program);
    command.args(["up", "--port", "0", "-o", "plain"]).current_dir(project.root());
    command.stdin(std::process::Stdio::null()).stdout(words.try_clone().expect("the file")).stderr(words);
    if is_root() {
        std::os::unix::process::CommandExt::uid(&mut command, 65_534);
    }
    let mut up = command.spawn().expect("dropwire runs");
    let heard = std::panic::catch_unwind(|| {
        until("the other bucket's event", || project.path("heard").exists().then_some(()));
    });
    up.kill().expect("killed");
    up.wait().expect("gone");
    sh(project.root(), "chmod 755 shut");
    let said = std::fs::read_to_string(project.path("said")).expect("text");
    for words in ["cannot read the folder", "/shut", "dropwire.toml:1", "Permission denied"] {
        assert!(said.contains(words), "{words} is missing in:\n{said}");
    }
    assert!(heard.is_ok(), "{said}");
}

#[tokio::test]
async fn a_message_larger_than_sns_takes_is_refused_and_leaves_nothing() {
    let project = Project::new("[function.hello]\nbuiltin = \"sink\"\non = \"topic:news\"\n");
    let simulator = project.start().await;
    let fire = |bytes: usize| json!({"kind": "topic", "topic": "news", "body": "x".repeat(bytes), "subject": null, "attributes": []});
    let (status, refusal) = simulator.post("fire", fire(262_145)).await;
    assert_eq!(status, 400, "{refusal}");
    let message = refusal["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("news") && (message.contains("262144") || message.contains("too long")),
        "{refusal}"
    );
    assert_eq!(simulator.get("status").await["events"], 0);
    assert_eq!(simulator.post("fire", fire(262_144)).await.0, 200);
    simulator.until_taken("hello", 1).await;
    simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrency_is_how_many_run_at_once() {
    let project = Project::new(
        "[function.two]\nexec = \"sh two.sh\"\nconcurrency = 2\ntimeout = \"60s\"\non = \"topic:news\"\n",
    );
    // Each waits until two have begun; a third at the same time would be seen.
    project.write(
        "two.sh",
        "mkdir -p now; : > now/$$; ls now | wc -l >> most; [ -e open ] || read -r _ < gate; rm now/$$; cat\n",
    );
    std::process::Command::new("mkfifo").arg(project.path("gate")).status().expect("mkfifo");
    let simulator = project.start().await;
    for _ in 0..6 {
        simulator.publish("news", "hi").await;
    }
    until("two at once", || {
        let most = std::fs::read_to_string(project.path("most")).unwrap_or_default();
        (most.lines().count() == 2).then_some(())
    });
    project.write("open", "");
    // Both are let go: an opened pipe that is closed again is an end of input.
    drop(std::fs::OpenOptions::new().write(true).open(project.path("gate")).expect("the gate"));
    simulator.until_taken("two", 6).await;
    let most = std::fs::read_to_string(project.path("most")).expect("written");
    assert!(most.lines().all(|line| line.trim() == "1" || line.trim() == "2"), "{most}");
    simulator.stop().await;
}
