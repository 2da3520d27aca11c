//! What happened while nobody watched: first sight, restarts, and ends without notice.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_was_there_before_is_no_event_unless_asked_for() {
    for emit in [false, true] {
        let mut world = World::new().await;
        world.spec.emit_existing = emit;
        world.sh("printf old >old; mkdir d; printf older >d/older");
        world.start().await;
        let mut expected = if emit { vec!["Put old", "Put d/older"] } else { vec![] };
        world.check(&expected).await;
        world.sh("printf new >new; printf newer >d/older; rm old");
        expected.extend(["Put new", "Put d/older", "Delete old"]);
        world.check(&expected).await;
        world.kill().await;
        world.start().await;
        world.check(&expected).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn changes_made_while_off_are_told_at_the_start() {
    let mut world = World::running().await;
    world.sh("mkdir -p d e; printf 1 >d/same; printf 1 >d/changed; printf 1 >d/gone; printf 1 >e/all; printf 1 >moved");
    let mut expected = vec!["Put d/same", "Put d/changed", "Put d/gone", "Put e/all", "Put moved"];
    world.check(&expected).await;
    world.kill().await;
    world.sh(
        "printf 22 >d/changed; rm d/gone; rm -r e; printf 3 >d/new; mkdir f; mv moved f/; chmod 600 d/same",
    );
    world.start().await;
    expected.extend([
        "Put d/changed",
        "Delete d/gone",
        "Delete e/all",
        "Put d/new",
        "Delete moved",
        "Put f/moved",
    ]);
    world.check(&expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn another_folder_is_seen_for_the_first_time() {
    let mut world = World::running().await;
    world.write("k", "x");
    world.check(&["Put k"]).await;
    world.kill().await;
    let other = world.dir.path().join("other");
    std::fs::create_dir(&other).expect("makes a folder");
    std::fs::write(other.join("was-there"), "x").expect("writes");
    world.spec.folder = other;
    world.start().await;
    world.write("k", "x");
    world.check(&["Put k", "Put k"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_end_without_notice_loses_nothing_and_tells_nothing_twice() {
    let mut world = World::running().await;
    let folder = world.spec.folder.clone();
    let writer = std::thread::spawn(move || {
        for i in 0..3000 {
            std::fs::write(folder.join(format!("k{i:04}")), "x").expect("writes");
        }
    });
    let mut ends = 0;
    while !writer.is_finished() || ends < 10 {
        world.kill().await;
        world.start().await;
        ends += 1;
    }
    let events = world.until("all", |events| events.len() >= 3000).await;
    let mut told = world.all().await;
    told.dedup();
    assert_eq!((told.len(), events.len()), (3000, 3000), "after {ends} ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_end_during_the_first_sight_begins_it_again() {
    let mut world = World::new().await;
    for i in 0..500 {
        world.write(&format!("k{i}"), "x");
    }
    for _ in 0..5 {
        let bucket = Bucket::open(world.spec.clone(), world.ground()).expect("opens");
        let mut tasks = JoinSet::new();
        tasks.spawn(bucket.run(CancellationToken::new()));
        tokio::task::yield_now().await;
        tasks.shutdown().await;
    }
    world.start().await;
    world.check(&[]).await;
    world.sh("rm k7");
    world.check(&["Delete k7"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_file_open_at_the_start_is_told_when_it_is_closed() {
    use std::io::Write;
    let mut world = World::new().await;
    let mut file = std::fs::File::create(world.path("k")).expect("creates");
    file.write_all(b"written before").expect("writes");
    world.start().await;
    assert_eq!(world.all().await, Vec::<String>::new());
    drop(file);
    world.check(&["Put k"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_bucket_without_its_folder_says_what_to_do() {
    let world = World::new().await;
    let mut spec = world.spec.clone();
    std::fs::remove_dir(&spec.folder).expect("removes");
    assert!(Bucket::open(spec.clone(), world.ground()).is_ok(), "the default folder is made");
    assert!(spec.folder.is_dir());
    spec.folder = world.dir.path().join("nowhere");
    let error = Bucket::open(spec.clone(), world.ground()).err().expect("is refused").0;
    for word in ["dropwire.toml:12", "bucket inbox", "nowhere", "make it"] {
        assert!(error.contains(word), "{word}: {error}");
    }
    spec.folder = world.dir.path().join("state.db");
    let error = Bucket::open(spec, world.ground()).err().expect("is refused").0;
    assert!(error.contains("that is no folder"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn it_stops_when_told() {
    let mut world = World::new().await;
    let bucket = Bucket::open(world.spec.clone(), world.ground()).expect("opens");
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    tasks.spawn(bucket.clone().run(stop.clone()));
    bucket.ready().await;
    stop.cancel();
    let ended =
        real::within(DEADLINE, tasks.join_next()).await.flatten().expect("ends").expect("does not panic");
    assert!(ended.is_ok());
    world.kill().await;
}
