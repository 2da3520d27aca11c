//! S3 as people reach it, with boto3 and the aws command line. Both are looked for in `target/clients/python`, where
//! `.ci/run` installs them.

use std::path::PathBuf;
use std::process::Command;

use crate::clients::installed;
use crate::simulator::Project;

/// Tells one story of `tests/clients/python/s3_stories.py`.
async fn tell(story: &str) {
    let Some(python) = installed("python/bin/python") else { return };
    let project = Project::new("[bucket.uploads]\n[function.hello]\nexec = \"cat\"\non = \"s3:uploads\"\n");
    let simulator = project.start().await;
    let stories = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients/python/s3_stories.py");
    let mut command = Command::new(python);
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
    simulator.stop().await;
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
    tell("notifications").await;
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
