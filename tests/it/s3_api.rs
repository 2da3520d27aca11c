//! S3 as people reach it: with boto3, the AWS SDK for JavaScript and the aws command line. They are looked for in
//! `target/clients`, where `.ci/run` installs them.

use std::cell::RefCell;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use dropwire::timeline::Moment;

use crate::clients::installed;
use crate::simulator::{Project, Simulator};

/// Tells one story of `tests/clients/python/s3_stories.py`.
async fn tell(story: &str) {
    let Some(python) = installed("python/bin/python") else { return };
    tell_with(&python, "python/s3_stories.py", story).await.1.stop().await;
}

/// Tells one story of `tests/clients/node/s3_stories.mjs`.
async fn tell_with_node(story: &str) {
    if let Some((_, simulator)) = told_with_node(story).await {
        simulator.stop().await;
    }
}

/// The same; none if its client is not installed.
async fn told_with_node(story: &str) -> Option<(Project, Simulator)> {
    installed("node/node_modules/@aws-sdk/client-s3")?;
    Some(tell_with(Path::new("node"), "node/s3_stories.mjs", story).await)
}

/// Tells a story, and leaves the dropwire that it was told to.
async fn tell_with(program: &Path, stories: &str, story: &str) -> (Project, Simulator) {
    let project = Project::new("[bucket.uploads]\n[function.hello]\nexec = \"cat\"\non = \"s3:uploads\"\n");
    let simulator = project.start().await;
    let stories = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(stories);
    let mut command = Command::new(program);
    let endpoint = format!("http://{}", simulator.app.running().address);
    command.arg(stories).arg(story).arg(endpoint).arg(project.root());
    let told =
        tokio::task::spawn_blocking(move || command.output()).await.expect("it runs").expect("it starts");
    let said = String::from_utf8_lossy(&told.stdout);
    assert!(
        told.status.success() && said.contains("told to the end"),
        "{said}\n{}",
        String::from_utf8_lossy(&told.stderr)
    );
    (project, simulator)
}

/// The events of a story, and their keys.
async fn events_of((project, mut simulator): (Project, Simulator)) -> Vec<String> {
    // One that comes after all of its own.
    project.write("buckets/uploads/the end", "told");
    let events = RefCell::new(Vec::new());
    let is_last = |moment: &Moment| match moment {
        Moment::Emitted { subject, .. } if subject == "the end" => Some(()),
        Moment::Emitted { event, subject, .. } => {
            events.borrow_mut().push(format!("{event} {subject}"));
            None
        }
        _ => None,
    };
    simulator.until("the last event", is_last).await;
    simulator.stop().await;
    events.into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_objects_and_objects_are_files() {
    tell("files").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_keys_stay_in_their_bucket() {
    tell("odd_keys").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_objects_come_in_parts() {
    tell("parts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_are_made_and_remember() {
    tell("buckets").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_forms_and_pages_are_held_to_their_rules() {
    tell("signed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_come_in_pages() {
    tell("listings").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_emptied_while_it_is_listed() {
    tell("emptied").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_says_whom_a_bucket_notifies() {
    let Some(python) = installed("python/bin/python") else { return };
    let (_project, mut simulator) = tell_with(&python, "python/s3_stories.py", "notifications").await;
    // Its function did not let the bucket in then, and people see that.
    let shut = |moment: &Moment| match moment {
        Moment::Emitted { id, subject, .. } if subject == "in/shut" => Some(id.clone()),
        _ => None,
    };
    let id = simulator.until("what nobody was told of", shut).await;
    let why = simulator.get(&format!("why/{id}")).await.to_string();
    assert!(why.contains("the policy of function written does not let bucket made invoke it"), "{why}");
    assert!(why.contains("--source-arn arn:aws:s3:::made"), "{why}");
    // Later there is no such alias at all.
    let address = simulator.app.running().address.clone();
    let deleted = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(&address).expect("connects");
        let path = "/2015-03-31/functions/written/aliases/live";
        write!(stream, "DELETE {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
            .expect("asks");
        std::io::read_to_string(stream).expect("is answered")
    });
    let deleted = deleted.await.expect("is asked");
    assert!(deleted.starts_with("HTTP/1.1 204"), "{deleted}");
    simulator.app.lambda().until_in_force().await;
    let why = simulator.get(&format!("why/{id}")).await.to_string();
    assert!(why.contains("there is no function written:live"), "{why}");
    simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_puts_files_and_gets_objects() {
    tell_with_node("files").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_streams_with_checksums_behind() {
    tell_with_node("streams").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_knows_every_refusal() {
    tell_with_node("refusals").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_uploads_what_nobody_knows_the_length_of() {
    tell_with_node("uploads").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_asks_about_parts() {
    let Some(told) = told_with_node("parts").await else { return };
    // An object that came in parts is told of once.
    assert_eq!(events_of(told).await, ["ObjectCreated:CompleteMultipartUpload m"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn node_pages_through_unfinished_uploads() {
    tell_with_node("unfinished").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_signs_addresses() {
    tell_with_node("signed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_fills_in_forms() {
    tell_with_node("forms").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_lists_copies_and_deletes_odd_keys() {
    tell_with_node("listings").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_names_buckets_in_paths_and_hosts() {
    tell_with_node("hosts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_rules_on_pages_of_other_sites() {
    tell_with_node("pages").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_take_over_what_they_should() {
    tell("copies").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_as_aws_tells_it() {
    tell("markers").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_have_conditions() {
    tell("deletions").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_have_tags_and_checksums() {
    tell("forms").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_command_line_moves_files() {
    let Some(aws) = installed("python/bin/aws") else { return };
    let project = Project::new("[bucket.uploads]\n[bucket.copies]\n");
    std::fs::write(project.root().join("f.txt"), "hello").expect("writes");
    let simulator = project.start().await;
    let endpoint = format!("http://{}", simulator.app.running().address);
    let run = async |words: &str| {
        let mut command = Command::new(&aws);
        command.args(["--endpoint-url", &endpoint, "s3"]).args(words.split(' ')).current_dir(project.root());
        for (name, value) in
            [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_DEFAULT_REGION", "us-east-1")]
        {
            command.env(name, value);
        }
        let ran =
            tokio::task::spawn_blocking(move || command.output()).await.expect("it runs").expect("it starts");
        assert!(ran.status.success(), "{words}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).into_owned()
    };
    run("cp f.txt s3://uploads/in/f.txt").await;
    assert_eq!(
        std::fs::read_to_string(project.root().join("buckets/uploads/in/f.txt")).expect("reads"),
        "hello"
    );
    let listed = run("ls s3://uploads/in/").await;
    assert!(listed.contains("5 f.txt"), "{listed}");
    run("mv s3://uploads/in/f.txt s3://copies/g.txt").await;
    run("sync s3://copies back").await;
    assert_eq!(std::fs::read_to_string(project.root().join("back/g.txt")).expect("reads"), "hello");
    assert!(!project.root().join("buckets/uploads/in/f.txt").exists());
    run("rm s3://copies/g.txt").await;
    assert_eq!(run("ls s3://copies").await, "");
    simulator.stop().await;
}
