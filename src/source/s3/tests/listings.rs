//! Listings held against a slow reference, page by page.

use std::collections::BTreeSet;

use super::*;
use crate::source::s3::event::Sequencer;
use crate::source::s3::folder::{Extra, Known, Stamp};
use crate::source::s3::index::Rows;
use crate::source::s3::list::Asked;

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
        keys.insert(random.text("ab/-0é\u{d7ff}\u{10ffff}", length));
    }
    let (_world, bucket) = bucket(&keys).await;
    for prefix in ["", "a", "a/", "/", "é", "\u{10ffff}", "a/b", "\u{d7ff}"] {
        for delimiter in ["", "/", "b", "-0", "\u{10ffff}"] {
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
    world.bucket().keep_versions(Versioning::Enabled).await.expect("is kept");
    for key in ["a", "a", "d/1", "d/2", "z"] {
        world.put_object(key, key).await;
    }
    world.delete_object("a", None).await;
    let mut asked = Asked { max: 2, ..Asked::default() };
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = world.bucket().list_versions(&asked, after.as_deref()).await.expect("lists");
        assert!(page.objects.len() <= 2);
        for object in &page.objects {
            let word = if object.marker { "marker" } else { "version" };
            seen.push(format!("{} {word}{}", object.key, if object.latest { " latest" } else { "" }));
        }
        let Some(next) = page.next else { break };
        (asked.after, after) = (next.key, next.version);
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
