//! The index held against the database.

use super::*;
use crate::clock::Timestamp;
use crate::store::Store;

fn object(key: &str, seconds: i64) -> Known {
    let stamp = Stamp { size: 7, mtime: -1, inode: u64::MAX - 1 };
    let sequencer = Sequencer::at(Timestamp::from_millis(seconds * 1000));
    Known { key: key.into(), stamp, etag: "e".into(), sequencer, extra: Extra::default() }
}

#[tokio::test]
async fn rows_are_read_as_they_were_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&folder.path().join("state.db")).await.expect("opens");
    store.write(begin("b", "/f")).await.expect("writes");
    let keys = ["a", "a!", "a/b", "a/ü", "a0", "A%+ \n'"];
    let mut rows = Rows::default();
    // After the year 2038 a sequencer is larger than a signed number.
    keys.iter().for_each(|key| rows.put("b", &object(key, 3_000_000_000)));
    rows.put("other", &object("a/z", 1));
    store.write(rows.writes()).await.expect("writes");
    let fetched = fetch(store.read(), "b", &["A%+ \n'", "a/b", "nothing"]).await.expect("reads");
    assert_eq!(fetched.len(), 2);
    assert!(fetched.contains(&object("a/b", 3_000_000_000)), "{fetched:?}");
    let listed = async |prefix: &str, after: &str| -> Vec<String> {
        let page = page(store.read(), "b", prefix, after).await.expect("reads");
        page.into_iter().map(|known| known.key).collect()
    };
    assert_eq!(listed("", "").await, ["A%+ \n'", "a", "a!", "a/b", "a/ü", "a0"]);
    assert_eq!(listed("", "a/b").await, ["a/ü", "a0"]);
    assert_eq!(listed("a/", "").await, ["a/b", "a/ü"]);
    let mut rows = Rows::default();
    rows.drop("b", "a/b", Sequencer::at(Timestamp::from_millis(5000)));
    rows.drop("b", "a/ü", Sequencer::at(Timestamp::from_millis(4000)));
    store.write(rows.writes()).await.expect("writes");
    store.write(seen("b")).await.expect("writes");
    assert!(listed("a/", "").await.is_empty());
    let floor = Sequencer::at(Timestamp::from_millis(5000));
    let expected = Remembered { folder: "/f".into(), seen: true, floor };
    assert_eq!(remembered(store.read(), "b").await.expect("reads"), Some(expected));
    store.write(begin("b", "/g")).await.expect("writes");
    assert!(listed("", "").await.is_empty());
    let begun = remembered(store.read(), "b").await.expect("reads").expect("a row");
    assert_eq!((begun.seen, begun.floor), (false, floor));
}

#[tokio::test]
async fn parts_are_kept_beside_what_is_known_of_an_object_in_all_it_goes_through() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&folder.path().join("state.db")).await.expect("opens");
    store.write(begin("b", "/f")).await.expect("writes");
    let mut whole = object("k", 1);
    whole.extra.meta = Some(r#"{"class":"GLACIER","parts":[{"number":1,"size":5}]}"#.to_owned());
    let mut rows = Rows::default();
    rows.put("b", &whole);
    store.write(rows.writes()).await.expect("writes");
    let query = sqlx::query_scalar("SELECT meta FROM s3_object");
    let meta: String = query.fetch_one(store.read()).await.expect("reads");
    assert_eq!(meta, r#"{"class":"GLACIER"}"#);
    assert_eq!(fetch(store.read(), "b", &["k"]).await.expect("reads"), [whole.clone()]);
    let mut rows = Rows::default();
    rows.archive("b", "k");
    rows.drop("b", "k", whole.sequencer.next());
    store.write(rows.writes()).await.expect("writes");
    let older = newest(store.read(), "b", "k").await.expect("reads").pop().expect("a version");
    assert_eq!(older.meta, whole.extra.meta);
    let mut rows = Rows::default();
    rows.put_version("b", "k", &older);
    store.write(rows.writes()).await.expect("writes");
    assert_eq!(version(store.read(), "b", ("k", "")).await.expect("reads"), Some(older));
}
