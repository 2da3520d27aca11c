//! Files that come, change and go in a bucket's folder, and the functions that hear of them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::program::sh;
use crate::simulator::{Project, Simulator};

/// One function that hears of everything in `buckets/inbox`, one event at a time.
const EVERYTHING: &str = r#"
    [function.hear]
    builtin = "echo"
    concurrency = 1
    on = ["s3:inbox ObjectCreated:*", "s3:inbox ObjectRemoved:*"]
    "#;

/// `Put a.txt` or `Delete a.txt`: what happened, and the key as the record has it.
fn in_words(event: &Value) -> String {
    let record = &event["Records"][0];
    let name = record["eventName"].as_str().and_then(|name| name.split(':').nth(1));
    format!("{} {}", name.unwrap_or("?"), record["s3"]["object"]["key"].as_str().unwrap_or("?"))
}

/// Waits until exactly this was heard, in whatever order, and then until all else would have been: a file that
/// comes and goes is told of after what happened before it.
async fn check_heard(project: &Project, simulator: &Simulator, expected: &[&str]) {
    static FENCES: AtomicUsize = AtomicUsize::new(0);
    let fence = format!("zz-{}", FENCES.fetch_add(1, Ordering::Relaxed));
    for event in expected {
        until_heard(simulator, event).await;
    }
    let path = format!("buckets/inbox/{fence}");
    project.write(&path, "");
    until_heard(simulator, &format!("Put {fence}")).await;
    fs::remove_file(project.path(&path)).expect("removed");
    let mut events = until_heard(simulator, &format!("Delete {fence}")).await;
    events.retain(|event| !event.contains(" zz-"));
    events.sort();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(events, expected);
}

/// Everything that was heard, once this was.
async fn until_heard(simulator: &Simulator, awaited: &str) -> Vec<String> {
    simulator
        .until_so(awaited, async || {
            let events: Vec<String> = simulator.taken("hear").await.iter().map(in_words).collect();
            if events.iter().any(|event| event == awaited) { Ok(events) } else { Err(format!("{events:?}")) }
        })
        .await
}

/// Runs `script` in the bucket's folder, which holds `there` from before the start, and compares what was heard.
async fn check(there: &[&str], script: &str, expected: &[&str]) {
    let project = Project::new(EVERYTHING);
    for name in there {
        project.write(&format!("buckets/inbox/{name}"), name);
    }
    let simulator = project.start().await;
    sh(&project.path("buckets/inbox"), script);
    check_heard(&project, &simulator, expected).await;
    simulator.stop().await;
}

#[tokio::test]
async fn a_file_that_is_created_overwritten_and_deleted_is_three_events() {
    let project = Project::new(EVERYTHING);
    let simulator = project.start().await;
    project.write("buckets/inbox/a.txt", "one");
    simulator.until_taken("hear", 1).await;
    project.write("buckets/inbox/a.txt", "three");
    simulator.until_taken("hear", 2).await;
    fs::remove_file(project.path("buckets/inbox/a.txt")).expect("removed");
    let events = simulator.until_taken("hear", 3).await;
    assert_eq!(events.iter().map(in_words).collect::<Vec<_>>(), ["Put a.txt", "Put a.txt", "Delete a.txt"]);
    let object = |i: usize| &events[i]["Records"][0]["s3"]["object"];
    assert_eq!((object(0)["size"].as_i64(), object(1)["size"].as_i64()), (Some(3), Some(5)));
    assert_eq!(object(0)["eTag"], "f97c5d29941bfb1b2fdab0874906ab82", "the MD5 of `one`");
    assert!(object(2).get("size").is_none() && object(2).get("eTag").is_none(), "{}", object(2));
    assert!((0..2).all(|i| object(i)["sequencer"].as_str() < object(i + 1)["sequencer"].as_str()));
    simulator.stop().await;
}

#[tokio::test]
async fn a_file_renamed_into_the_folder_is_put() {
    check(&[], "echo x > ../../outside; mv ../../outside in.txt", &["Put in.txt"]).await;
}

#[tokio::test]
async fn a_file_renamed_out_of_the_folder_is_deleted() {
    check(&["a.txt"], "mv a.txt ../../outside", &["Delete a.txt"]).await;
}

#[tokio::test]
async fn a_file_renamed_within_the_folder_is_put_and_deleted() {
    check(&["a.txt"], "mkdir sub; mv a.txt sub/b.txt", &["Delete a.txt", "Put sub/b.txt"]).await;
}

#[tokio::test]
async fn a_hard_link_is_an_object_of_its_own() {
    check(&["a.txt"], "ln a.txt b.txt", &["Put b.txt"]).await;
}

#[tokio::test]
async fn a_link_that_leaves_the_folder_is_not_followed_and_said_so() {
    let project = Project::new(EVERYTHING);
    let mut simulator = project.start().await;
    project.write("secret/key.txt", "x");
    sh(&project.path("buckets/inbox"), "ln -s ../../secret out");
    let said = simulator.until("a word about the link", |moment| match moment {
        dropwire::timeline::Moment::Notice { text, .. } if text.contains("out") => Some(text.clone()),
        _ => None,
    });
    let said = said.await;
    assert!(said.contains("not followed"), "{said}");
    project.write("secret/another.txt", "x");
    check_heard(&project, &simulator, &[]).await;
    simulator.stop().await;
}

#[tokio::test]
async fn a_folder_that_is_copied_in_is_an_event_for_every_file() {
    let script = "mkdir -p ../../tree/a/b/c; for f in 1 a/2 a/b/3 a/b/c/4; do echo $f > ../../tree/$f; done; \
                  cp -r ../../tree .";
    let expected = ["Put tree/1", "Put tree/a/2", "Put tree/a/b/3", "Put tree/a/b/c/4"];
    check(&[], script, &expected).await;
}

#[tokio::test]
async fn a_folder_that_is_removed_is_an_event_for_every_file() {
    check(&["a/1", "a/b/2", "c"], "rm -r a", &["Delete a/1", "Delete a/b/2"]).await;
}

#[tokio::test]
async fn an_editor_that_saves_through_another_file_makes_one_event() {
    // As vim, gedit, sed -i and most others do it: the new text in a file beside it, then a rename over the old.
    check(&["a.txt"], "echo new > .a.txt.swp; mv .a.txt.swp a.txt", &["Put a.txt"]).await;
    check(&["a.txt"], "mv a.txt a.txt~; echo new > a.txt; rm a.txt~", &["Put a.txt"]).await;
}

#[tokio::test]
async fn a_slow_writer_makes_one_event_when_it_is_through() {
    let project = Project::new(EVERYTHING);
    let simulator = project.start().await;
    let mut slow = File::create(project.path("buckets/inbox/slow.bin")).expect("a file");
    for part in ["half ", "and ", "half"] {
        slow.write_all(part.as_bytes()).expect("written");
        slow.sync_all().expect("on the disk");
        check_heard(&project, &simulator, &[]).await;
    }
    drop(slow);
    until_heard(&simulator, "Put slow.bin").await;
    let events = simulator.taken("hear").await;
    let slow = events.iter().find(|event| in_words(event) == "Put slow.bin").expect("it is there");
    assert_eq!(slow["Records"][0]["s3"]["object"]["size"], 13);
    check_heard(&project, &simulator, &["Put slow.bin"]).await;
    simulator.stop().await;
}

#[tokio::test]
async fn odd_names_come_as_s3_writes_them() {
    let names = [
        ("two words.txt", "two+words.txt"),
        ("a+b.txt", "a%2Bb.txt"),
        ("100%.txt", "100%25.txt"),
        ("%20.txt", "%2520.txt"),
        ("日本🦀.txt", "%E6%97%A5%E6%9C%AC%F0%9F%A6%80.txt"),
        ("new\nline", "new%0Aline"),
        ("-rf", "-rf"),
        ("it's \"quoted\"", "it%27s+%22quoted%22"),
        ("a/b c/d&e=f", "a/b+c/d%26e%3Df"),
    ];
    let project = Project::new(EVERYTHING);
    let simulator = project.start().await;
    for (name, _) in names {
        project.write(&format!("buckets/inbox/{name}"), "x");
    }
    let expected: Vec<String> = names.iter().map(|(_, key)| format!("Put {key}")).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check_heard(&project, &simulator, &expected).await;
    simulator.stop().await;
}

#[tokio::test]
async fn what_changed_while_dropwire_was_off_is_told_at_the_next_start() {
    let project = Project::new(EVERYTHING);
    for name in ["kept", "changed", "removed"] {
        project.write(&format!("buckets/inbox/{name}"), name);
    }
    let simulator = project.start().await;
    check_heard(&project, &simulator, &[]).await;
    simulator.stop().await;
    project.write("buckets/inbox/changed", "longer than before");
    project.write("buckets/inbox/new/file", "x");
    fs::remove_file(project.path("buckets/inbox/removed")).expect("removed");
    let simulator = project.start().await;
    let expected = ["Delete removed", "Put changed", "Put new/file"];
    check_heard(&project, &simulator, &expected).await;
    simulator.stop().await;
    let simulator = project.start().await;
    // Nothing is told twice.
    check_heard(&project, &simulator, &expected).await;
    simulator.stop().await;
}

#[tokio::test]
async fn two_thousand_files_at_once_are_each_delivered_once() {
    let project = Project::new(&EVERYTHING.replace("concurrency = 1", "concurrency = 4"));
    let simulator = project.start().await;
    sh(
        &project.path("buckets/inbox"),
        "mkdir -p many/a many/b; i=0; while [ $i -lt 1000 ]; do echo $i > many/a/$i; echo $i > many/b/$i; \
         i=$((i + 1)); done",
    );
    simulator
        .until_so("all files", async || {
            let count = simulator.attempts("hear").await.len();
            if count >= 2000 { Ok(()) } else { Err(format!("{count} attempts")) }
        })
        .await;
    let events: Vec<String> = simulator.taken("hear").await.iter().map(in_words).collect();
    let distinct: BTreeSet<&String> = events.iter().collect();
    assert_eq!(distinct.len(), 2000);
    project.write("buckets/inbox/zz", "");
    let events = until_heard(&simulator, "Put zz").await;
    assert_eq!(events.len(), 2001, "none came twice");
    simulator.stop().await;
}

#[tokio::test]
async fn wires_choose_by_event_prefix_and_suffix() {
    let project = Project::new(
        r#"
        [function.pictures]
        builtin = "echo"
        on = "s3:inbox/incoming/*.png"
        [function.removed]
        builtin = "echo"
        on = "s3:inbox/incoming/* ObjectRemoved:*"
        [function.hear]
        builtin = "echo"
        [function.hear.wire.ends]
        bucket = "inbox"
        events = ["ObjectCreated:*", "ObjectRemoved:*"]
        prefix = "zz"
        "#,
    );
    project.write("buckets/inbox/incoming/old.txt", "x");
    let simulator = project.start().await;
    sh(
        &project.path("buckets/inbox"),
        "echo x > incoming/a.png; echo x > incoming/a.txt; echo x > a.png; rm incoming/old.txt",
    );
    check_heard(&project, &simulator, &[]).await;
    simulator.app.quiet().await;
    let taken = async |function| simulator.taken(function).await.iter().map(in_words).collect::<Vec<_>>();
    assert_eq!(taken("pictures").await, ["Put incoming/a.png"]);
    assert_eq!(taken("removed").await, ["Delete incoming/old.txt"]);
    simulator.stop().await;
}

#[tokio::test]
async fn a_shell_script_gets_the_event_and_its_answer_and_its_words_are_kept() {
    let project = Project::new("[function.hello]\nexec = \"sh hello.sh\"\non = \"s3:inbox\"\n");
    project
        .write("hello.sh", "event=$(cat); echo \"heard ${#event} characters\" >&2; printf '%s' \"$event\"\n");
    let simulator = project.start().await;
    project.write("buckets/inbox/a.txt", "x");
    let events = simulator.until_taken("hello", 1).await;
    assert_eq!(in_words(&events[0]), "Put a.txt");
    let log = simulator.attempts("hello").await.remove(0).log;
    assert!(
        log.contains("START RequestId: ") && log.contains("\nheard ") && log.contains("\nREPORT "),
        "{log}"
    );
    simulator.stop().await;
}

#[tokio::test]
async fn a_pipe_that_is_written_for_long_holds_nobody_up() {
    let project = Project::new(EVERYTHING);
    let simulator = project.start().await;
    // `tee` writes as long as its input is open: the gate is ours.
    let mut tee = std::process::Command::new("tee")
        .arg("slow.txt")
        .current_dir(project.path("buckets/inbox"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("tee");
    let mut gate = tee.stdin.take().expect("its input");
    gate.write_all(b"half").expect("written");
    // What it passes on has been written to the file.
    let mut passed = [0; 4];
    std::io::Read::read_exact(tee.stdout.as_mut().expect("its output"), &mut passed).expect("passed on");
    check_heard(&project, &simulator, &[]).await;
    drop(gate);
    tee.wait().expect("it ends");
    until_heard(&simulator, "Put slow.txt").await;
    check_heard(&project, &simulator, &["Put slow.txt"]).await;
    simulator.stop().await;
}
