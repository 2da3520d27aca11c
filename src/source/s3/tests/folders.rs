//! Folders: made and filled at once, renamed, removed, unreadable; the bucket's own.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_is_lost_in_a_folder_that_was_just_made() {
    let world = World::running().await;
    let mut expected = Vec::new();
    for i in 0..200 {
        world.mkdir(&format!("n{i}/x/y"));
        world.write(&format!("n{i}/x/y/f"), "x");
        expected.push(format!("Put n{i}/x/y/f"));
    }
    world.until("all", |events| events.len() >= 200).await;
    // All are watched from now on.
    for i in 0..200 {
        world.write(&format!("n{i}/x/y/g"), "x");
        expected.push(format!("Put n{i}/x/y/g"));
    }
    world.check(&expected.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_is_lost_in_a_folder_that_is_being_filled() {
    let world = World::running().await;
    for i in 0..300 {
        world.mkdir(&format!("n{i}/x"));
        for k in 0..20 {
            world.write(&format!("n{i}/x/{k}"), "x");
        }
    }
    world.until("all", |events| events.len() >= 6_000).await;
    let mut events = world.all().await;
    events.dedup();
    assert_eq!(events.len(), 6_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_empty_file_in_a_folder_that_was_just_made() {
    let world = World::running().await;
    world.sh("mkdir -p a/b; touch a/b/_SUCCESS");
    world.check(&["Put a/b/_SUCCESS"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_folder_renamed_within() {
    let world = World::running().await;
    world.sh("mkdir -p a/x; printf 1 >a/1; printf 2 >a/x/2");
    world.check(&["Put a/1", "Put a/x/2"]).await;
    world.sh("mv a b");
    let moved = ["Put a/1", "Put a/x/2", "Put b/1", "Put b/x/2", "Delete a/1", "Delete a/x/2"];
    world.check(&moved).await;
    // The new one is watched under its new name, and so is a new one of the old name.
    world.sh("mkdir -p a/x; printf 3 >b/x/3; printf 4 >a/x/4");
    let more: Vec<&str> = moved.iter().copied().chain(["Put b/x/3", "Put a/x/4"]).collect();
    world.check(&more).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn folders_that_change_places_again_and_again() {
    let world = World::running().await;
    world.sh("mkdir -p a/x b/x; printf 1 >a/x/k; printf 22 >b/x/k");
    world.check(&["Put a/x/k", "Put b/x/k"]).await;
    for _ in 0..20 {
        world.sh("mv a t; mv b a; mv t b");
    }
    world.all().await;
    world.sh("printf 1 >a/x/last; printf 1 >b/x/last");
    let events = world.all().await;
    for last in ["Put a/x/last", "Put b/x/last"] {
        assert_eq!(events.iter().filter(|event| *event == last).count(), 1, "{last}: {events:?}");
    }
    assert!(
        !events.iter().any(|event| event.contains(" t/") && event.starts_with("Delete"))
            || events.iter().any(|event| event.starts_with("Put t/")),
        "{events:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_folder_copied_in_moved_in_removed_and_moved_out() {
    let world = World::running().await;
    world.sh("mkdir -p ../src/x; for i in 1 2 3; do printf $i >../src/x/$i; done; cp -r ../src c; cp -r ../src ../m; mv ../m m");
    let mut expected: Vec<String> =
        ["c", "m"].iter().flat_map(|at| (1..=3).map(move |i| format!("Put {at}/x/{i}"))).collect();
    world.check(&expected.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.sh("rm -rf c; mv m ../gone");
    let gone: Vec<String> = expected.iter().map(|event| event.replace("Put", "Delete")).collect();
    expected.extend(gone);
    world.check(&expected.iter().map(String::as_str).collect::<Vec<_>>()).await;
    // What was moved out is not ours any more.
    world.sh("printf x >../gone/x/9");
    world.check(&expected.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn files_and_folders_that_take_each_others_place() {
    let world = World::running().await;
    world.sh("printf x >k; mkdir d; printf y >d/1");
    world.check(&["Put k", "Put d/1"]).await;
    world.sh("rm k; mkdir k; printf z >k/1; rm -r d; printf w >d");
    world.check(&["Put k", "Put d/1", "Delete k", "Put k/1", "Delete d/1", "Put d"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_buckets_own_folder_goes_and_comes_back() {
    let mut world = World::running().await;
    world.sh("mkdir d; printf x >d/1; printf y >2");
    world.check(&["Put d/1", "Put 2"]).await;
    std::fs::remove_dir_all(&world.spec.folder).expect("removes");
    world.notice("is gone").await;
    world.until("both removals", |events| events.len() >= 6).await;
    world.mkdir("");
    world.notice("is back").await;
    world.sh("mkdir d; printf x >d/1; printf z >3");
    world.check(&["Put d/1", "Put 2", "Delete d/1", "Delete 2", "Put d/1", "Put 3"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_buckets_own_folder_is_renamed_away_and_back() {
    let world = World::running().await;
    world.write("k", "x");
    world.check(&["Put k"]).await;
    world.sh("mv ../inbox ../away");
    world.until("the removal", |events| events.contains(&"Delete k".into())).await;
    std::fs::write(world.dir.path().join("project/buckets/away/elsewhere"), "x").expect("writes");
    std::fs::rename(world.dir.path().join("project/buckets/away"), &world.spec.folder).expect("renames");
    let begun = world
        .until("the return", |events| events.iter().filter(|event| *event == "Put k").count() == 2)
        .await;
    assert!(begun.contains(&"Put elsewhere".into()), "{begun:?}");
    world.write("l", "x");
    world.until("a later file", |events| events.contains(&"Put l".into())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_cannot_be_read_is_named_and_stays_and_is_tried_again() {
    let mut world = World::running().await;
    world.sh("mkdir ../closed; chmod 0 ../closed");
    if std::fs::read_dir(world.path("../closed")).is_ok() {
        // Root reads everything.
        return;
    }
    world.sh("mkdir d; printf 1 >d/1; printf 2 >2");
    world.check(&["Put d/1", "Put 2"]).await;
    world.kill().await;
    world.sh("printf 3 >d/3; chmod 0 d; printf 4 >4; chmod 0 4");
    world.start().await;
    world.notice("d/ cannot be listed").await;
    world.notice("4 cannot be read").await;
    world.check(&["Put d/1", "Put 2"]).await;
    world.sh("chmod 700 d; chmod 600 4");
    world.check(&["Put d/1", "Put 2", "Put d/3", "Put 4"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn keys_longer_than_s3_has_are_passed_by() {
    let mut world = World::running().await;
    let deep = vec!["d".repeat(200); 6].join("/");
    world.mkdir(&deep);
    world.notice("the longest key that S3 has").await;
    world.write(&format!("{deep}/f"), "x");
    let fits = format!("{}/f", vec!["d".repeat(200); 5].join("/"));
    world.write(&fits, "x");
    world.check(&[&format!("Put {fits}")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn paths_longer_than_the_system_has_do_no_harm() {
    let mut world = World::running().await;
    // Deeper than any path can name, made step by step.
    world
        .sh("n=$(printf 'd%.0s' $(seq 200)); for i in $(seq 30); do mkdir $n; cd -P ./$n; done; printf x >f");
    world.notice("the longest key that S3 has").await;
    world.write("k", "x");
    world.check(&["Put k"]).await;
    world.sh("rm -rf d*");
    world.check(&["Put k"]).await;
}
