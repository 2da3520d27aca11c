//! Listings held against a slow reference, page by page.

use std::collections::BTreeSet;

use super::*;
use crate::source::s3::event::Sequencer;
use crate::source::s3::folder::{Extra, Known, Stamp};
use crate::source::s3::index::{Older, Rows};
use crate::source::s3::list::{Asked, Page};
use crate::source::s3::version_id;

/// An object that lies in the state folder alone, as far as its row says.
pub(super) fn hidden(key: &str, number: u64) -> Known {
    let (stamp, blob) = (Stamp { size: 1, mtime: 1, inode: 1 }, Some("00".to_owned()));
    let version = version_id::of(Sequencer::numbered(number), &Random::seeded(number));
    let extra = Extra { version, hidden: true, blob, meta: None };
    Known { key: key.into(), stamp, etag: "e".into(), sequencer: Sequencer::numbered(number), extra }
}

/// A version that is not the present one, or a delete marker.
pub(super) fn older(number: u64, marker: bool) -> Older {
    let sequencer = Sequencer::numbered(number);
    let version = version_id::of(sequencer, &Random::seeded(number));
    Older { sequencer, version, marker, size: 1, etag: "e".into(), blob: None, meta: None }
}

/// A bucket that knows these keys and watches nothing.
async fn bucket(keys: &BTreeSet<String>) -> (World, Arc<Bucket>) {
    let world = World::new().await;
    let mut rows = Rows::default();
    for key in keys {
        let stamp = Stamp { size: 1, mtime: 1, inode: 1 };
        let (etag, sequencer) = ("e".to_owned(), Sequencer::default());
        rows.put("inbox", &Known { key: key.clone(), stamp, etag, sequencer, extra: Extra::default() });
    }
    world.store.write(rows.writes()).await.expect("writes");
    let bucket = Bucket::open(world.spec.clone(), world.ground()).expect("opens");
    (world, bucket)
}

/// What S3 would list: keys, and common prefixes with a `*` behind them.
fn expected(keys: &BTreeSet<String>, prefix: &str, delimiter: &str) -> Vec<String> {
    let mut listed = Vec::new();
    for key in keys.iter().filter(|key| key.starts_with(prefix)) {
        let rolled = (!delimiter.is_empty()).then(|| key[prefix.len()..].find(delimiter)).flatten();
        let entry = match rolled {
            Some(at) => format!("{}*", &key[..prefix.len() + at + delimiter.len()]),
            None => key.clone(),
        };
        if listed.last() != Some(&entry) {
            listed.push(entry);
        }
    }
    listed
}

#[tokio::test]
async fn pages_hold_what_a_slow_listing_holds() {
    let random = Random::seeded(7);
    let mut keys = BTreeSet::new();
    for _ in 0..600 {
        let length = 1 + usize::try_from(random.number() % 7).expect("small");
        keys.insert(random.text("ab/-0%_é\u{7f}\u{d7ff}\u{e000}\u{10000}\u{10ffff}", length));
    }
    let (_world, bucket) = bucket(&keys).await;
    for prefix in ["", "a", "a/", "/", "é", "%", "_", "\u{10ffff}", "a/b", "\u{d7ff}", "\u{10ffff}\u{10ffff}"]
    {
        for delimiter in ["", "/", "b", "-0", "%", "_", "é", "\u{d7ff}", "\u{10ffff}", "a\u{10ffff}", "//"] {
            for max in [1, 3, 1000] {
                let mut asked =
                    Asked { prefix: prefix.into(), delimiter: delimiter.into(), max, ..Asked::default() };
                let mut listed: Vec<String> = Vec::new();
                loop {
                    let page = bucket.list(&asked).await.expect("lists");
                    let mut entries: Vec<String> =
                        page.objects.iter().map(|object| object.key.clone()).collect();
                    entries.extend(page.prefixes.iter().map(|prefix| format!("{prefix}*")));
                    assert!(entries.len() <= max, "{prefix:?} {delimiter:?} {max}: {entries:?}");
                    listed.extend(entries);
                    let Some(next) = page.next else { break };
                    asked.after = next.key;
                }
                listed.sort();
                let mut expected = expected(&keys, prefix, delimiter);
                expected.sort();
                assert_eq!(listed, expected, "{prefix:?} {delimiter:?} {max}");
            }
        }
    }
}

#[tokio::test]
async fn a_listing_begins_after_any_text() {
    let keys: BTreeSet<String> = ["a", "a/1", "a/2", "b", "c/1"].map(str::to_owned).into();
    let (_world, bucket) = bucket(&keys).await;
    for (after, expected) in
        [("", "a a/* b c/*"), ("a", "a/* b c/*"), ("a/1", "a/* b c/*"), ("a/", "b c/*"), ("c", "c/*")]
    {
        let asked = Asked { delimiter: "/".into(), after: after.into(), max: 10, ..Asked::default() };
        let page = bucket.list(&asked).await.expect("lists");
        let mut entries: Vec<String> = page.objects.iter().map(|object| object.key.clone()).collect();
        entries.extend(page.prefixes.iter().map(|prefix| format!("{prefix}*")));
        entries.sort();
        assert_eq!(entries.join(" "), expected, "after {after:?}");
    }
}

#[tokio::test]
async fn versions_are_listed_key_by_key_the_latest_first() {
    let world = World::running().await;
    world.keep_versions(Versioning::Enabled).await;
    for key in ["a", "a", "d/1", "d/2", "z"] {
        world.put_object(key, key).await;
    }
    world.delete_object("a", None).await;
    let mut asked = Asked { max: 2, ..Asked::default() };
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = world.bucket().list_versions(&asked, after).await.expect("lists");
        assert!(page.objects.len() <= 2);
        for object in &page.objects {
            let word = if object.marker { "marker" } else { "version" };
            seen.push(format!("{} {word}{}", object.key, if object.latest { " latest" } else { "" }));
        }
        let Some(next) = page.next else { break };
        (asked.after, after) = (next.key, next.sequencer);
    }
    let expected = [
        "a marker latest",
        "a version",
        "a version",
        "d/1 version latest",
        "d/2 version latest",
        "z version latest",
    ];
    assert_eq!(seen, expected);
    let asked = Asked { delimiter: "/".into(), max: 10, ..Asked::default() };
    let page = world.bucket().list_versions(&asked, None).await.expect("lists");
    assert_eq!((page.objects.len(), page.prefixes), (4, vec!["d/".to_owned()]));
}

/// What a page holds: keys with the numbers of their writes, a star at the latest, and common prefixes.
fn entries(page: &Page) -> Vec<(String, u64)> {
    let objects = page.objects.iter().map(|object| {
        let star = if object.latest { "*" } else { "" };
        (format!("{}{star}", object.key), object.sequencer.number())
    });
    objects.chain(page.prefixes.iter().map(|prefix| (prefix.clone(), 0))).collect()
}

/// Versions of odd keys: the rows, and what a listing of all of them holds.
fn versions() -> (Rows, Vec<(String, u64)>) {
    let (mut rows, mut all, random) = (Rows::default(), Vec::new(), Random::seeded(8));
    let mut keys = BTreeSet::new();
    while keys.len() < 120 {
        let length = 1 + usize::try_from(random.number() % 5).expect("small");
        keys.insert(random.text("ab/%_é\u{d7ff}\u{10ffff}", length));
    }
    for (at, key) in keys.iter().enumerate() {
        // Some have no present object, and some many versions.
        let count = if at % 30 == 7 { 60 } else { random.number() % 4 };
        if count == 0 || at % 3 > 0 {
            rows.put("inbox", &hidden(key, 1000));
            all.push((key.clone(), 1000));
        }
        for number in (1..=count).rev() {
            rows.put_version("inbox", key, &older(number, number % 2 == 0));
            all.push((key.clone(), number));
        }
    }
    (rows, all)
}

#[tokio::test]
async fn pages_of_versions_hold_what_a_slow_listing_holds() {
    let (world, (rows, all)) = (World::new().await, versions());
    let bucket = Bucket::open(world.spec.clone(), world.ground()).expect("opens");
    world.store.write(rows.writes()).await.expect("writes");
    for prefix in ["", "a", "a/", "%", "_", "\u{10ffff}"] {
        for delimiter in ["", "/", "b", "é", "\u{10ffff}", "\u{d7ff}"] {
            let mut expected: Vec<(String, u64)> = Vec::new();
            let mut before = None;
            for (key, number) in all.iter().filter(|(key, _)| key.starts_with(prefix)) {
                let rolled = (!delimiter.is_empty()).then(|| key[prefix.len()..].find(delimiter)).flatten();
                let star = if before == Some(key) { "" } else { "*" };
                before = Some(key);
                let entry = match rolled {
                    Some(at) => (key[..prefix.len() + at + delimiter.len()].to_owned(), 0),
                    None => (format!("{key}{star}"), *number),
                };
                if expected.last() != Some(&entry) {
                    expected.push(entry);
                }
            }
            expected.sort();
            for max in [1, 3, 17, 1000] {
                let (prefix, delimiter) = (prefix.to_owned(), delimiter.to_owned());
                let mut asked = Asked { prefix, delimiter, max, ..Asked::default() };
                let (mut listed, mut after) = (Vec::new(), None);
                loop {
                    let page = bucket.list_versions(&asked, after).await.expect("lists");
                    assert!(page.objects.len() + page.prefixes.len() <= max);
                    listed.extend(entries(&page));
                    let Some(next) = page.next else { break };
                    after = match &next.version {
                        Some(id) => bucket.sequencer_of(&next.key, id).await.expect("reads"),
                        None => None,
                    };
                    assert_eq!(after, next.sequencer);
                    asked.after = next.key;
                }
                listed.sort();
                assert_eq!(listed, expected, "{asked:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_key_with_thousands_of_versions_is_listed_to_its_end() {
    let world = World::new().await;
    let bucket = Bucket::open(world.spec.clone(), world.ground()).expect("opens");
    let mut rows = Rows::default();
    rows.put("inbox", &hidden("k", 5000));
    (1..=2500).for_each(|number| rows.put_version("inbox", "k", &older(number, false)));
    rows.put("inbox", &hidden("l", 1));
    world.store.write(rows.writes()).await.expect("writes");
    let (mut asked, mut after, mut seen) = (Asked { max: 1000, ..Asked::default() }, None, Vec::new());
    loop {
        let page = real::within(DEADLINE, bucket.list_versions(&asked, after)).await.expect("ends");
        let page = page.expect("lists");
        seen.extend(entries(&page));
        let Some(next) = page.next else { break };
        (asked.after, after) = (next.key, next.sequencer);
    }
    let mut expected = vec![("k*".to_owned(), 5000)];
    expected.extend((1..=2500).rev().map(|number| ("k".to_owned(), number)));
    expected.push(("l*".to_owned(), 1));
    assert!(seen == expected, "{} rows", seen.len());
}

#[tokio::test]
async fn a_listing_goes_on_behind_a_version_that_is_gone() {
    let world = World::running().await;
    world.keep_versions(Versioning::Enabled).await;
    let mut ids = Vec::new();
    for number in 0..7 {
        ids.insert(0, world.put_object("a", &number.to_string()).await.expect("a version"));
    }
    world.put_object("b", "").await;
    let mut asked = Asked { max: 3, ..Asked::default() };
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = world.bucket().list_versions(&asked, after).await.expect("lists");
        let last = page.objects.last().expect("some").version.clone().expect("an id");
        for object in &page.objects {
            seen.push((object.version.clone().expect("an id"), object.latest));
        }
        let Some(next) = page.next else { break };
        // It is gone; what is newer stays.
        world.delete_object("a", Some(&last)).await;
        after = world.bucket().sequencer_of(&next.key, &last).await.expect("reads");
        assert!(after.is_some(), "{last}");
        asked.after = next.key;
    }
    let seen: Vec<(&str, bool)> = seen.iter().map(|(id, latest)| (id.as_str(), *latest)).collect();
    let expected: Vec<(&str, bool)> = ids.iter().enumerate().map(|(at, id)| (id.as_str(), at == 0)).collect();
    assert_eq!(seen[..7], expected);
    assert_eq!(seen.len(), 8);
    // All that was listed is gone: what comes next is the latest.
    let page =
        world.bucket().list_versions(&Asked { max: 2, ..Asked::default() }, None).await.expect("lists");
    for object in &page.objects {
        world.delete_object("a", object.version.as_deref()).await;
    }
    let next = page.next.expect("more");
    (asked.after, asked.max) = (next.key, 9);
    let page = world.bucket().list_versions(&asked, next.sequencer).await.expect("lists");
    assert_eq!(
        page.objects.iter().map(|object| object.latest).collect::<Vec<_>>(),
        [true, false, false, true]
    );
    assert_eq!(world.bucket().sequencer_of("a", "null").await.expect("reads"), Some(Sequencer::LAST));
    assert_eq!(world.bucket().sequencer_of("a", "no id").await.expect("reads"), None);
}

#[tokio::test]
async fn what_is_listed_is_not_opened() {
    let world = World::running().await;
    world.keep_versions(Versioning::Enabled).await;
    let one = world.put_object("a", "one").await;
    world.put_object("a", "two").await;
    let page =
        world.bucket().list_versions(&Asked { max: 9, ..Asked::default() }, None).await.expect("lists");
    assert_eq!(page.objects.len(), 2);
    assert!(page.objects.iter().all(|object| object.open().is_err()));
    let object = world.bucket().object("a", one.as_deref()).await.expect("reads").expect("is there");
    object.open().expect("its content");
}

impl World {
    /// What is listed at this moment, as a call lists it.
    async fn listed_now(&self) -> Vec<String> {
        assert!(self.bucket().catch_up_within(DEADLINE).await, "never knows all");
        let all = Asked { max: 10_000, ..Asked::default() };
        let page = self.bucket().list(&all).await.expect("lists");
        page.objects.into_iter().map(|object| object.key).collect()
    }
}

#[tokio::test]
async fn a_listing_tells_of_all_that_happened_before_it() {
    let world = World::running().await;
    assert!(world.listed_now().await.is_empty());
    for round in 0..20 {
        let key = format!("f{round:02}");
        world.write(&key, "x");
        assert_eq!(world.listed_now().await, std::slice::from_ref(&key));
        std::fs::rename(world.path(&key), world.path("moved")).expect("renames");
        assert_eq!(world.listed_now().await, ["moved"]);
        std::fs::remove_file(world.path("moved")).expect("removes");
        assert!(world.listed_now().await.is_empty());
    }
}

#[tokio::test]
async fn a_listing_tells_of_new_folders_large_files_and_crowds() {
    let world = World::running().await;
    world.mkdir("d/e");
    world.write("d/e/f", "x");
    assert_eq!(world.listed_now().await, ["d/e/f"]);
    std::fs::write(world.path("large"), vec![7; 20 << 20]).expect("writes");
    assert_eq!(world.listed_now().await, ["d/e/f", "large"]);
    world.sh("seq 0 499 | xargs touch; for i in $(seq 0 499); do echo > $i; done");
    assert_eq!(world.listed_now().await.len(), 502);
    std::fs::rename(world.path("d"), world.path("D")).expect("renames");
    let listed = world.listed_now().await;
    assert!(listed.contains(&"D/e/f".to_owned()) && !listed.contains(&"d/e/f".to_owned()));
    // Many ask at once, and each is told of what came before.
    let all = (0..64).map(|_| world.listed_now());
    assert!(futures_util::future::join_all(all).await.iter().all(|listed| listed.len() == 502));
}

#[tokio::test]
async fn a_listing_waits_for_nothing_where_nothing_is_watched_nor_for_a_mark_that_was_lost() {
    let mut world = World::new().await;
    world.polled = true;
    world.write("f", "x");
    world.start().await;
    assert_eq!(world.listed_now().await, ["f"]);
    world.kill().await;
    world.polled = false;
    world.start().await;
    // It comes back when it is needed.
    std::fs::remove_file(world.bucket().vault.mark()).expect("removes");
    for key in ["g", "h"] {
        world.write(key, "x");
        assert!(world.listed_now().await.contains(&key.to_owned()));
    }
}

#[tokio::test]
async fn a_listing_waits_for_the_survey_that_looks_at_what_came_before() {
    let world = World::running().await;
    for round in 0..30 {
        for nth in 0..5 {
            world.mkdir(&format!("{round}/a{nth}"));
        }
        let key = format!("{round}/b/f");
        world.mkdir(&format!("{round}/b"));
        world.write(&key, "x");
        assert!(world.listed_now().await.contains(&key), "{key}");
    }
}

#[tokio::test]
async fn a_listing_waits_for_large_files_that_wait_for_a_reader() {
    let world = World::running().await;
    for nth in 0..5 {
        std::fs::write(world.path(&nth.to_string()), vec![nth; 9 << 20]).expect("writes");
    }
    assert_eq!(world.listed_now().await, ["0", "1", "2", "3", "4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_waits_for_nothing_that_comes_after_it() {
    let world = World::running().await;
    let (path, stop) = (world.path("churn"), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let stopped = stop.clone();
    let churn = std::thread::spawn(move || {
        // There is always something that went away a moment ago.
        for nth in 0.. {
            if stopped.load(std::sync::atomic::Ordering::Relaxed) {
                return;
            }
            let file = path.with_extension(nth.to_string());
            std::fs::write(&file, "x").and_then(|()| std::fs::remove_file(&file)).expect("comes and goes");
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    for round in 0..5 {
        let key = format!("kept{round}");
        world.write(&key, "x");
        assert!(world.listed_now().await.contains(&key), "{key}");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    churn.join().expect("ends");
}
