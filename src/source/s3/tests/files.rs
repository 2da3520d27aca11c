//! Single files: written, overwritten, renamed, linked, removed, saved by editors.

use std::io::Write;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_written_file_is_one_event_and_its_removal_another() {
    let world = World::running().await;
    world.write("a b+ü.txt", "hello");
    world.check(&["Put a b+ü.txt"]).await;
    let record = &world.records("a b+ü.txt").await[0];
    assert_eq!(record["s3"]["object"]["key"], "a+b%2B%C3%BC.txt");
    assert_eq!(record["s3"]["object"]["size"], 5);
    assert_eq!(record["s3"]["object"]["eTag"], etag_of("hello"));
    std::fs::remove_file(world.path("a b+ü.txt")).expect("removes");
    world.check(&["Put a b+ü.txt", "Delete a b+ü.txt"]).await;
    let records = world.records("a b+ü.txt").await;
    let sequencer = |i: usize| records[i]["s3"]["object"]["sequencer"].as_str().map(str::to_owned);
    assert!(sequencer(0) < sequencer(1));
    assert!(records[1]["s3"]["object"]["size"].is_null());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_slow_writer_is_one_event_after_it_closed() {
    let world = World::running().await;
    let mut file = std::fs::File::create(world.path("slow")).expect("creates");
    // First steadily, then nothing for longer than any quiet time.
    for pause in [100; 10].into_iter().chain([2_500, 1]) {
        file.write_all(b"0123456789").expect("writes");
        real::sleep(Duration::from_millis(pause)).await;
        assert_eq!(world.events().await, Vec::<String>::new());
    }
    drop(file);
    world.check(&["Put slow"]).await;
    assert_eq!(world.records("slow").await[0]["s3"]["object"]["size"], 120);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn overwriting_is_a_write_even_with_the_same_content() {
    let world = World::running().await;
    for round in 1..=5 {
        world.write("k", "same");
        world.check(&vec!["Put k"; round]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn two_writes_in_one_tick_of_the_clock_are_told_by_content() {
    let world = World::running().await;
    for i in 0..50_u32 {
        // The same size; the times may be the same as well.
        world.write("k", &format!("{i:04}"));
        let etag = etag_of(&format!("{i:04}"));
        let begun = Instant::now();
        while world
            .records("k")
            .await
            .last()
            .is_none_or(|record| record["s3"]["object"]["eTag"] != etag.as_str())
        {
            assert!(begun.elapsed() < DEADLINE, "write {i} was lost");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_no_write_is_no_event() {
    let world = World::running().await;
    world.write("k", "x");
    world.check(&["Put k"]).await;
    world.sh(
        "chmod 600 k; touch -a k; cat k >/dev/null; ls -l >/dev/null; : >>k; ln k other.tmp; rm other.tmp",
    );
    world.check(&["Put k"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn touched_empty_truncated_and_made_files() {
    let world = World::running().await;
    world.sh("touch touched; : >empty; printf abc >cut; ");
    world.check(&["Put touched", "Put empty", "Put cut"]).await;
    world.sh("truncate -s 1 cut; touch -d 2001-01-01 touched");
    world.check(&["Put touched", "Put empty", "Put cut", "Put cut", "Put touched"]).await;
    assert_eq!(world.records("cut").await[1]["s3"]["object"]["size"], 1);
    let node = nix::sys::stat::mknod(
        &world.path("node"),
        nix::sys::stat::SFlag::S_IFREG,
        nix::sys::stat::Mode::S_IRWXU,
        0,
    );
    node.expect("makes a node");
    world.until("the node that nobody ever opened", |events| events.contains(&"Put node".into())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_rename_within_is_a_write_and_a_removal() {
    let world = World::running().await;
    world.write("a", "x");
    world.check(&["Put a"]).await;
    world.sh("mv a b");
    world.check(&["Put a", "Put b", "Delete a"]).await;
    // There and back again before anybody looks twice.
    world.sh("mv b c; mv c b");
    let events = world.all().await;
    assert!(!events.contains(&"Delete b".into()), "{events:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn renames_over_and_from_outside_and_to_outside() {
    let world = World::running().await;
    world.sh("printf x >../out; touch -d 2020-01-01 ../out; cp -p ../out ../twin; mv ../out k");
    world.check(&["Put k"]).await;
    // The same size and time: only the file itself differs.
    world.sh("mv ../twin k");
    world.check(&["Put k", "Put k"]).await;
    world.sh("mv k ../away");
    world.check(&["Put k", "Put k", "Delete k"]).await;
    let records = world.records("k").await;
    let sequencers: Vec<_> =
        records.iter().map(|r| r["s3"]["object"]["sequencer"].as_str().map(str::to_owned)).collect();
    assert!(sequencers.is_sorted_by(|a, b| a < b), "{sequencers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn hard_links_are_objects_of_their_own() {
    let world = World::running().await;
    world.write("a", "x");
    world.check(&["Put a"]).await;
    world.sh("ln a b; printf y >../out; ln ../out c");
    world.check(&["Put a", "Put b", "Put c"]).await;
    world.sh("rm a");
    world.check(&["Put a", "Put b", "Put c", "Delete a"]).await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_nameless_file_that_gets_a_name_waits_for_its_writer() {
    use nix::fcntl::{AtFlags, OFlag};
    let world = World::running().await;
    let flags = OFlag::O_TMPFILE | OFlag::O_WRONLY;
    let file = nix::fcntl::open(&world.spec.folder, flags, nix::sys::stat::Mode::S_IRWXU).expect("opens");
    let mut file = std::fs::File::from(file);
    file.write_all(b"half").expect("writes");
    let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    let at = nix::fcntl::AT_FDCWD;
    nix::unistd::linkat(at, link.as_str(), at, &world.path("k"), AtFlags::AT_SYMLINK_FOLLOW).expect("links");
    assert_eq!(world.all().await, Vec::<String>::new());
    file.write_all(b" and half").expect("writes");
    drop(file);
    world.check(&["Put k"]).await;
    assert_eq!(world.records("k").await[0]["s3"]["object"]["size"], 13);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_editors_save_is_one_write() {
    let world = World::running().await;
    world.write("k", "one");
    world.check(&["Put k"]).await;
    // With a backup beside it, as vim does.
    world.sh("mv k k.tmp; sleep 0.02; printf two >k; rm k.tmp");
    world.check(&["Put k", "Put k"]).await;
    // Through a new file of another name.
    world.sh("printf three >k.tmp; mv k.tmp k");
    world.check(&["Put k", "Put k", "Put k"]).await;
    // sed -i makes its own names, which are no objects for longer than the save.
    world.sh("sed -i s/three/four/ k");
    let events = world.all().await;
    assert_eq!(events.iter().filter(|event| *event == "Put k").count(), 4, "{events:?}");
    assert!(!events.contains(&"Delete k".into()), "{events:?}");
    // Removed and written anew at once.
    world.sh("rm k; printf five >k");
    let events = world.all().await;
    assert_eq!(events.iter().filter(|event| *event == "Put k").count(), 5, "{events:?}");
    assert!(!events.contains(&"Delete k".into()), "{events:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn odd_names_are_keys_like_any_other() {
    let world = World::running().await;
    let names = [
        "a b",
        "a+b",
        "ü日本🦀",
        "100%",
        "new\nline",
        "-rf",
        "'\"\\",
        "*?[x]",
        "\u{10ffff}",
        "..x",
        "\u{1a}",
    ];
    let names: Vec<String> = names.iter().map(|name| name.to_string()).chain(["n".repeat(255)]).collect();
    names.iter().for_each(|name| world.write(name, name));
    let puts: Vec<String> = names.iter().map(|name| format!("Put {name}")).collect();
    world.check(&puts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    names.iter().for_each(|name| std::fs::remove_file(world.path(name)).expect("removes"));
    let both: Vec<String> =
        puts.into_iter().chain(names.iter().map(|name| format!("Delete {name}"))).collect();
    world.check(&both.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_ignored_is_no_object() {
    let world = World::running().await;
    world.sh("printf x >a.tmp; mkdir -p .git/x; printf x >.git/x/y; mv a.tmp b.tmp; printf x >tmp");
    world.check(&["Put tmp"]).await;
    world.sh("mv b.tmp b; mv tmp tmp.tmp");
    world.check(&["Put tmp", "Put b", "Delete tmp"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn links_and_fifos_are_passed_by_with_a_word() {
    let mut world = World::running().await;
    world.sh(
        "printf secret >../secret; ln -s ../secret out; ln -s . loop; ln -s nowhere dangling; mkfifo fifo",
    );
    world.check(&[]).await;
    for key in ["out", "loop", "dangling", "fifo"] {
        world.sh(&format!("mv {key} {key}2"));
        let text = world.notice(&format!("{key}2 is a")).await;
        assert!(text.contains("not followed") || text.contains("no object"), "{text}");
    }
    // An object that is replaced by a link is gone.
    world.write("k", "x");
    world.check(&["Put k"]).await;
    world.sh("ln -sf ../secret k");
    world.check(&["Put k", "Delete k"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn names_that_are_no_text_are_passed_by_with_a_word() {
    use std::os::unix::ffi::OsStrExt;
    let mut world = World::running().await;
    std::fs::write(world.spec.folder.join(std::ffi::OsStr::from_bytes(b"x\xff")), "x").expect("writes");
    world.notice("no UTF-8").await;
    world.check(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn large_files_do_not_hold_up_small_ones() {
    let world = World::running().await;
    let large = std::fs::File::create(world.path("large")).expect("creates");
    large.set_len(64 << 20).expect("sizes");
    drop(large);
    world.write("small", "x");
    world.until("the small file", |events| events == ["Put small"]).await;
    world.check(&["Put small", "Put large"]).await;
    assert_eq!(world.records("large").await[0]["s3"]["object"]["eTag"], "7f614da9329cd3aebf59b91aadc30bf0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_frozen_clock_gives_the_same_records_in_every_run() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mut world = World::at(Clock::frozen_at(Timestamp::from_millis(1_700_000_000_000))).await;
        world.start().await;
        world.write("k", "1");
        world.until("one", |events| events.len() == 1).await;
        world.write("k", "2");
        world.until("two", |events| events.len() == 2).await;
        world.sh("rm k");
        world.until("three", |events| events.len() == 3).await;
        world.write("k", "3");
        world.until("four", |events| events.len() == 4).await;
        let records = world.records("k").await;
        let sequencers: Vec<_> =
            records.iter().map(|r| r["s3"]["object"]["sequencer"].as_str().map(str::to_owned)).collect();
        assert!(sequencers.is_sorted_by(|a, b| a < b), "{sequencers:?}");
        runs.push(records);
    }
    assert_eq!(runs[0], runs[1]);
}
