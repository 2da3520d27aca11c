//! The Lambda API as people reach it: with boto3 and the aws command line. Both are looked for in
//! `target/clients/python`, where `.ci/run` installs them.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::clients::installed;
use crate::simulator::{Project, Simulator};

/// A project with a table beside the functions that the stories make.
fn project() -> Project {
    Project::new("[table.orders]\nkey = \"id:S\"\nsqlite = \"shop.db\"\n[queue.dead]\n")
}

/// Runs a command to its end beside the dropwire of this test.
async fn run(mut command: Command) -> Output {
    let ran = tokio::task::spawn_blocking(move || command.output());
    ran.await.expect("it runs").expect("it starts")
}

/// Tells one story of `tests/clients/python/stories.py`.
async fn tell(story: &str) {
    tell_in(&project(), story).await;
}

async fn tell_in(project: &Project, story: &str) {
    let Some(python) = installed("python/bin/python") else { return };
    let simulator = project.start().await;
    let stories = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients/python/stories.py");
    let mut command = Command::new(python);
    command.arg(stories).arg(story).arg(endpoint(&simulator)).arg(project.root());
    let output = run(command).await;
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && said.contains("told to the end"), "{said}\n{complained}");
    simulator.stop().await;
}

fn endpoint(simulator: &Simulator) -> String {
    format!("http://{}", simulator.app.running().address)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_lives() {
    tell("life").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_and_aliases_are_kept_apart() {
    tell("versions").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invocations_end_as_on_aws() {
    tell("invoking").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reserved_function_is_throttled() {
    tell("concurrency").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_and_tags_are_kept() {
    tell("policies").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_has_an_address() {
    tell("urls").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_lie_under_functions() {
    tell("layers").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_streams() {
    tell("streaming").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_rust_client_streams() {
    let Some(program) = installed("rust/debug/streams") else { return };
    let wiring = format!("[function.streams]\nrun = '''{}'''\ntimeout = \"20s\"\n", program.display());
    tell_in(&Project::new(&wiring), "rust_streams").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_retried_and_its_end_is_told() {
    let wiring = "[sim]\nclock = \"frozen\"\n[queue.dead]\n[queue.failed]\n[topic.news]\n[bucket.kept]\n";
    tell_in(&Project::new(wiring), "asynchronous").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_calls_another() {
    tell("own_calls").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn extensions_of_a_layer_live_with_their_function() {
    tell("extensions").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_is_a_wire() {
    tell("mappings").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aws_refuses_is_refused() {
    tell("refusals").await;
}

/// `aws lambda …` in the project folder.
async fn aws(simulator: &Simulator, project: &Project, words: &[&str]) -> Output {
    let program = installed("python/bin/aws").expect("checked before");
    let mut command = Command::new(program);
    command
        .arg("--endpoint-url")
        .arg(endpoint(simulator))
        .arg("lambda")
        .args(words)
        .current_dir(project.root());
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_PAGER", ""),
    ] {
        command.env(name, value);
    }
    run(command).await
}

/// The walk of many tutorials, as it is typed.
const CREATE: [&str; 15] = [
    "create-function",
    "--function-name",
    "awslambdausingcli",
    "--runtime",
    "nodejs8.10",
    "--role",
    "arn:aws:iam::625297745038:role/lambdaapipolicy",
    "--handler",
    "index.handler",
    "--timeout",
    "5",
    "--memory-size",
    "256",
    "--zip-file",
    "fileb://index.zip",
];
const INVOKE: [&str; 8] = [
    "invoke",
    "--function-name",
    "awslambdausingcli",
    "--log-type",
    "Tail",
    "--payload",
    "file://input.txt",
    "outputfile.txt",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_classic_walk_works_word_for_word() {
    if installed("python/bin/aws").is_none() {
        return;
    }
    let project = project();
    let simulator = project.start().await;
    project.write(
        "index.js",
        "exports.handler = (event, context, callback) => {\n  callback(null, `Hello ${event.name} and address is ${event.addr}`);\n};\n",
    );
    project.write("input.txt", "{\"name\":\"Roy Singh\",\"addr\":\"Mumbai\"}");
    let mut zip = Command::new(installed("python/bin/python").expect("beside aws"));
    zip.args(["-m", "zipfile", "-c", "index.zip", "index.js"]).current_dir(project.root());
    assert!(run(zip).await.status.success());
    let output = aws(&simulator, &project, &CREATE).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&made["Runtime"], &made["Timeout"], &made["MemorySize"]),
        (&"nodejs8.10".into(), &5.into(), &256.into())
    );
    let output = aws(&simulator, &project, &INVOKE).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&said["StatusCode"], &said["ExecutedVersion"]), (&200.into(), &"$LATEST".into()));
    assert!(said["LogResult"].is_string() && said.get("FunctionError").is_none(), "{said}");
    let output = std::fs::read_to_string(project.path("outputfile.txt")).expect("an output file");
    assert_eq!(output, "\"Hello Roy Singh and address is Mumbai\"");
    let output =
        aws(&simulator, &project, &["delete-function", "--function-name", "awslambdausingcli"]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    simulator.stop().await;
}
