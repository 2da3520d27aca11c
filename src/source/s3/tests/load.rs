//! Many files, lost hints, and folders that give none.

use super::event::{Change, Sequencer, Tale};
use super::*;

/// Makes `count` files in folders of a thousand.
fn fill(folder: &Path, count: usize) {
    for i in 0..count {
        let at = folder.join(format!("d{:03}", i / 1000));
        if i % 1000 == 0 {
            std::fs::create_dir_all(&at).expect("makes a folder");
        }
        std::fs::write(at.join(format!("{i:06}")), "x").expect("writes");
    }
}

#[tokio::test]
async fn ten_thousand_files_at_once_are_ten_thousand_events() {
    let world = World::running().await;
    fill(&world.path("../src"), 10_000);
    let begun = Instant::now();
    world.sh("cp -r ../src in");
    let copied = begun.elapsed();
    world.until("all", |events| events.len() >= 10_000).await;
    println!("10,000 files: copied in {copied:?}, all told after {:?}", begun.elapsed());
    let mut events = world.all().await;
    events.dedup();
    assert_eq!(events.len(), 10_000);
    world.sh("rm -rf in");
    world.until("all gone", |events| events.len() >= 20_002).await;
    assert_eq!(world.all().await.len(), 20_000);
}

#[tokio::test]
async fn lost_hints_lose_no_events() {
    let world = World::running().await;
    let (count, folder) = (2_000, world.spec.folder.clone());
    world.sh("printf x >gone; printf x >noise0; printf x >noise1");
    world.check(&["Put gone", "Put noise0", "Put noise1"]).await;
    world.sh("rm gone");
    // This thread runs the bucket as well: while it makes noise nobody takes hints, until no more can wait.
    for i in 0..100_000 {
        let noise = folder.join(format!("noise{}", i % 2));
        std::fs::File::options().append(true).open(noise).expect("opens");
    }
    for i in 0..count {
        std::fs::write(folder.join(format!("k{i}")), "x").expect("writes");
    }
    world.until("all", |events| events.len() > count + 3).await;
    let events = world.all().await;
    let mut keys: Vec<&String> = events.iter().filter(|event| event.starts_with("Put k")).collect();
    let all = keys.len();
    keys.dedup();
    assert_eq!((keys.len(), all), (count, count));
}

#[tokio::test]
async fn a_folder_that_gives_no_hints_is_polled() {
    let mut world = World::new().await;
    world.polled = true;
    world.write("old", "x");
    world.start().await;
    world.notice("looked through every second").await;
    world.sh("mkdir d; printf 1 >d/1; printf 2 >2; touch empty; rm old");
    world.check(&["Put d/1", "Put 2", "Put empty", "Delete old"]).await;
    world.sh("printf 22 >2; mv d e");
    world.check(&["Put d/1", "Put 2", "Put empty", "Delete old", "Put 2", "Put e/1", "Delete d/1"]).await;
}

#[tokio::test]
async fn a_polled_file_is_not_told_while_it_is_written() {
    use std::io::Write;
    let mut world = World::new().await;
    world.polled = true;
    world.start().await;
    let mut file = std::fs::File::create(world.path("slow")).expect("creates");
    for _ in 0..30 {
        file.write_all(b"0123456789").expect("writes");
        real::sleep(Duration::from_millis(100)).await;
        assert_eq!(world.events().await, Vec::<String>::new());
    }
    drop(file);
    world.check(&["Put slow"]).await;
    assert_eq!(world.records("slow").await[0]["s3"]["object"]["size"], 300);
}

/// Run by hand, in release: `cargo test --release s3::tests::load::figures -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn figures() {
    let mut world = World::running().await;
    let (mut writes, mut emits) = (Vec::new(), Vec::new());
    for i in 0..500 {
        let begun = world.write_and_close(&format!("single{i}"));
        world.emitted().await;
        writes.push(begun.elapsed());
        let at = world.clock.now();
        let key = i.to_string();
        let tale = Tale {
            key: &key,
            change: Change::Removed { version: "", expired: false },
            sequencer: Sequencer::default(),
            at,
            caller: None,
        };
        let event = world.bucket().voice.describe(&tale);
        let begun = Instant::now();
        world.outlet.emit_with(vec![event], Vec::new()).await.expect("emits");
        world.emitted().await;
        emits.push(begun.elapsed());
    }
    writes.sort();
    emits.sort();
    println!("close to durable: median {:?}, p99 {:?}", writes[250], writes[495]);
    println!("of that an emit: median {:?}, p99 {:?}", emits[250], emits[495]);
    for count in [10_000, 50_000] {
        world.sh("rm -rf ../src");
        fill(&world.path("../src"), count);
        let before = world.outlet_calls().await;
        let (begun, memory) = (Instant::now(), resident());
        world.sh(&format!("cp -r ../src in{count}"));
        let copied = begun.elapsed();
        while world.outlet_calls().await < before + count as i64 {
            real::sleep(Duration::from_millis(5)).await;
        }
        let took = begun.elapsed();
        println!(
            "{count} files: copied in {copied:?}, all durable after {took:?}, {} kB more memory",
            resident() - memory
        );
    }
    world.kill().await;
    for round in ["just written, so read again", "unchanged"] {
        let begun = Instant::now();
        world.start().await;
        println!("60,500 known files, {round}: ready after {:?}", begun.elapsed());
        world.kill().await;
        // Beyond the time in which files count as just written.
        real::sleep(Duration::from_secs(3)).await;
    }
}

impl World {
    /// Writes a file; returns when it was closed.
    fn write_and_close(&self, key: &str) -> Instant {
        let mut file = std::fs::File::create(self.path(key)).expect("creates");
        std::io::Write::write_all(&mut file, b"hello").expect("writes");
        drop(file);
        Instant::now()
    }
    /// Waits until an event was told.
    async fn emitted(&mut self) {
        while !matches!(self.told.recv().await.expect("goes on").moment, Moment::Emitted { .. }) {}
    }
    /// How many events are stored.
    async fn outlet_calls(&self) -> i64 {
        let count = sqlx::query("SELECT coalesce(max(no), 0) FROM event").fetch_one(self.store.read()).await;
        count.expect("reads").get(0)
    }
}

/// Memory of this process, in kB.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Run by hand, in release: `cargo test --release s3::tests::load::large_buckets -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn large_buckets() {
    for count in [0, 1_000_000] {
        let world = World::running().await;
        world.keep_versions(Versioning::Enabled).await;
        for start in (0..count).step_by(10_000) {
            let mut rows = crate::source::s3::index::Rows::default();
            for number in start..start + 10_000 {
                let key = format!("d{:03}/{number:07}", number / 1000);
                let mut object = listings::hidden(&key, 1 << 60);
                object.extra.meta = Some(r#"{"headers":{"content-type":"text/plain"}}"#.to_owned());
                rows.put("inbox", &object);
                rows.put_version("inbox", &key, &listings::older(1, false));
            }
            world.store.write(rows.writes()).await.expect("writes");
        }
        world.time_pages(count).await;
        let mut puts = Vec::new();
        for number in 0..500 {
            let begun = Instant::now();
            world.put_object(&format!("d500/0{number:06}x"), "x").await;
            puts.push(begun.elapsed());
        }
        puts.sort();
        println!("{count} objects: put median {:?}, p99 {:?}", puts[250], puts[495]);
    }
}

impl World {
    /// Says how long pages of a thousand take at the beginning, in the middle and at the end of the keys.
    async fn time_pages(&self, count: usize) {
        for (after, delimiter) in
            [("", ""), ("", "/"), ("d500/", ""), ("d500/0500500", ""), ("d998/0998000", "")]
        {
            let asked = list::Asked {
                after: after.into(),
                delimiter: delimiter.into(),
                max: 1000,
                ..list::Asked::default()
            };
            for turn in 0..2 {
                let begun = Instant::now();
                self.bucket().list(&asked).await.expect("lists");
                let listed = begun.elapsed();
                let begun = Instant::now();
                self.bucket().list_versions(&asked, None).await.expect("lists");
                let versions = begun.elapsed();
                if turn == 1 {
                    println!(
                        "{count} objects, after {after:?} by {delimiter:?}: {listed:?}, versions {versions:?}"
                    );
                }
            }
        }
    }
}
