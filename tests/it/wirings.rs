//! The wiring edited while dropwire runs.

use std::sync::Arc;

use dropwire::timeline::Moment;

use crate::simulator::{Project, Simulator};

const HELLO: &str = "[function.hello]\nbuiltin = \"echo\"\non = \"topic:news\"\n";

async fn until_noticed(simulator: &mut Simulator, words: &str) -> String {
    simulator
        .until(words, |moment| match moment {
            Moment::Notice { text, .. } if text.contains(words) => Some(text.clone()),
            _ => None,
        })
        .await
}

/// One with a function by convention.
fn without_a_wiring_file() -> Project {
    let project = Project::new("");
    std::fs::remove_file(project.path("dropwire.toml")).expect("removed");
    project.write("functions/hear/main.sh", "cat\n");
    project
}

#[tokio::test]
async fn a_good_edit_is_taken_up() {
    let project = Project::new(HELLO);
    let mut simulator = project.start().await;
    let more = "[function.more]\nbuiltin = \"echo\"\non = [\"topic:news\", \"s3:inbox\"]\n";
    project.write("dropwire.toml", &format!("{HELLO}{more}"));
    until_noticed(&mut simulator, "2 functions, 3 wires").await;
    simulator.publish("news", "hi").await;
    simulator.until_taken("hello", 1).await;
    simulator.until_taken("more", 1).await;
    project.write("buckets/inbox/a.txt", "x");
    let events = simulator.until_taken("more", 2).await;
    assert_eq!(events[1]["Records"][0]["s3"]["object"]["key"], "a.txt");
    simulator.stop().await;
}

#[tokio::test]
async fn a_function_that_is_taken_out_hears_no_more() {
    let project = Project::new(&format!("{HELLO}[function.old]\nbuiltin = \"echo\"\non = \"topic:news\"\n"));
    let mut simulator = project.start().await;
    project.write("dropwire.toml", HELLO);
    until_noticed(&mut simulator, "1 functions, 1 wires").await;
    simulator.publish("news", "hi").await;
    simulator.until_taken("hello", 1).await;
    simulator.app.quiet().await;
    assert_eq!(simulator.attempts("old").await.len(), 0);
    simulator.stop().await;
}

#[tokio::test]
async fn a_broken_edit_leaves_the_last_good_wiring_in_force() {
    let project = Project::new(HELLO);
    let mut simulator = project.start().await;
    project.write("dropwire.toml", &HELLO.replace("builtin", "bultin"));
    until_noticed(&mut simulator, "the last good wiring stays in force").await;
    let problems = simulator.problems().await;
    assert!(problems.contains("bultin") && problems.contains("dropwire.toml:2:"), "{problems}");
    simulator.publish("news", "hi").await;
    simulator.until_taken("hello", 1).await;
    // Mended, by a save as editors do it.
    project.write(
        "dropwire.toml.new",
        &format!("{HELLO}[function.two]\nbuiltin = \"echo\"\non = \"topic:news\"\n"),
    );
    std::fs::rename(project.path("dropwire.toml.new"), project.path("dropwire.toml")).expect("saved");
    until_noticed(&mut simulator, "2 functions").await;
    assert_eq!(simulator.problems().await, "");
    simulator.stop().await;
}

#[tokio::test]
async fn a_changed_function_takes_the_next_event() {
    let wiring = |words: &str| format!("[function.say]\nexec = \"printf '{words}'\"\non = \"topic:news\"\n");
    let project = Project::new(&wiring("one"));
    let mut simulator = project.start().await;
    simulator.publish("news", "hi").await;
    assert_eq!(simulator.until_taken("say", 1).await, ["one"]);
    project.write("dropwire.toml", &wiring("two"));
    until_noticed(&mut simulator, "the wiring changed").await;
    simulator.publish("news", "hi").await;
    assert_eq!(simulator.until_taken("say", 2).await, ["one", "two"]);
    simulator.stop().await;
}

#[tokio::test]
async fn a_new_bucket_folder_is_a_bucket_where_there_is_no_wiring_file() {
    let project = without_a_wiring_file();
    let mut simulator = project.start().await;
    std::fs::create_dir_all(project.path("buckets/inbox")).expect("a folder");
    until_noticed(&mut simulator, "1 functions, 1 wires").await;
    project.write("buckets/inbox/a.txt", "x");
    let events = simulator.until_taken("hear", 1).await;
    assert_eq!(events[0]["Records"][0]["s3"]["object"]["key"], "a.txt");
    simulator.stop().await;
}

#[tokio::test]
async fn a_folder_becomes_a_function_when_there_is_something_to_run_in_it() {
    let project = without_a_wiring_file();
    let mut simulator = project.start().await;
    std::fs::create_dir_all(project.path("functions/late")).expect("a folder");
    until_noticed(&mut simulator, "the wiring changed: 1 functions").await;
    project.write("functions/late/main.sh", "cat\n");
    until_noticed(&mut simulator, "the wiring changed: 2 functions").await;
    std::fs::remove_dir_all(project.path("functions/late")).expect("removed");
    until_noticed(&mut simulator, "the wiring changed: 1 functions").await;
    // Its watch went with it.
    std::fs::create_dir_all(project.path("functions/late")).expect("a folder");
    until_noticed(&mut simulator, "the wiring changed: 1 functions").await;
    project.write("functions/late/main.sh", "cat\n");
    until_noticed(&mut simulator, "the wiring changed: 2 functions").await;
    simulator.stop().await;
}

#[tokio::test]
async fn what_an_edit_only_moves_to_another_line_runs_on_undisturbed() {
    let both = format!("{HELLO}[bucket.inbox]\n[table.orders]\nkey = \"id:S\"\n");
    let project = Project::new(&both);
    let mut simulator = project.start().await;
    let parts = |simulator: &Simulator| {
        let app = &simulator.app;
        (app.bucket("inbox").expect("the bucket"), app.table("orders").expect("the table"))
    };
    let (bucket, table) = parts(&simulator);
    project.write("dropwire.toml", &format!("# Our shop.\n[function.more]\nbuiltin = \"echo\"\n\n{both}"));
    until_noticed(&mut simulator, "2 functions, 1 wires").await;
    let (bucket_now, table_now) = parts(&simulator);
    assert!(Arc::ptr_eq(&bucket, &bucket_now) && Arc::ptr_eq(&table, &table_now));
    simulator.stop().await;
}
