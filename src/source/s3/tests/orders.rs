//! What the S3 API asks of a bucket: each happening is one event, and what is answered is there after a crash.

use std::io::{Read, Write as _};

use super::*;
use crate::aws::AwsError;
use crate::source::s3::event::{Caller, How, Retouch};
use crate::source::s3::order::{Act, Answered, Delete, Put, Remover, Versioning};

impl World {
    pub(super) async fn order(&self, key: &str, act: Act) -> Answered {
        let caller =
            Caller { request_id: "REQUEST".into(), host_id: "HOST".into(), address: "127.0.0.9".into() };
        self.bucket().order(key, act, caller).await
    }

    pub(super) fn put_act(&self, content: &str) -> Act {
        let mut draft = self.bucket().draft().expect("a draft");
        draft.file.write_all(content.as_bytes()).expect("writes");
        let (etag, how) = (etag_of(content), How::Put);
        Act::Put(Box::new(Put::of(draft, &etag, Some("{\"a\":1}".to_owned()), how)))
    }

    pub(super) async fn put_object(&self, key: &str, content: &str) -> Option<String> {
        self.order(key, self.put_act(content)).await.expect("is written").version
    }

    pub(super) async fn delete_object(&self, key: &str, version: Option<&str>) -> (Option<String>, bool) {
        let act = Act::Delete(Delete { version: version.map(str::to_owned), check: None, expired: false });
        let done = self.order(key, act).await.expect("is removed");
        (done.version, done.marker)
    }

    pub(super) fn content(&self, key: &str) -> Option<String> {
        std::fs::read_to_string(self.path(key)).ok()
    }

    /// All files below the state folder's part for S3, but for the one that is always there.
    pub(super) fn litter(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.dir.path().join("s3")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("reads") {
                let path = entry.expect("an entry").path();
                match path.is_dir() {
                    true => folders.push(path),
                    false if path == self.bucket().vault.mark() => {}
                    false => found.push(path),
                }
            }
        }
        found
    }

    pub(super) async fn open(&self, key: &str) -> Option<String> {
        let object = self.bucket().object(key, None).await.expect("reads")?;
        let mut text = String::new();
        object.open().expect("opens").read_to_string(&mut text).expect("reads");
        Some(text)
    }
}

#[tokio::test]
async fn an_object_that_is_put_is_a_file_and_one_event() {
    let world = World::running().await;
    world.put_object("a/b.txt", "one").await;
    assert_eq!(world.content("a/b.txt").as_deref(), Some("one"));
    world.put_object("a/b.txt", "two").await;
    world.write("c.txt", "by hand");
    world.delete_object("a/b.txt", None).await;
    world.delete_object("never", None).await;
    assert_eq!(world.content("a/b.txt"), None);
    world.check(&["Put a/b.txt", "Put a/b.txt", "Put c.txt", "Delete a/b.txt", "Delete never"]).await;
    let record = &world.records("a/b.txt").await[0];
    assert_eq!(record["responseElements"]["x-amz-request-id"], "REQUEST");
    assert_eq!(record["requestParameters"]["sourceIPAddress"], "127.0.0.9");
    assert_eq!(record["s3"]["object"]["eTag"], etag_of("one"));
    assert!(world.litter().is_empty(), "{:?}", world.litter());
}

#[tokio::test]
async fn keys_that_no_file_can_have_lie_in_the_state_folder_alone() {
    let mut world = World::running().await;
    let long = "x".repeat(300);
    let odd = ["n/m", "../out", "a//b", "folder/", "/abs", ".", "d", &long];
    world.put_object("n", "a file").await;
    world.put_object("d/inside", "makes a folder of d").await;
    for key in odd {
        world.put_object(key, key).await;
        assert_eq!(world.open(key).await.as_deref(), Some(key), "{key}");
    }
    world.kill().await;
    world.start().await;
    for key in odd {
        assert_eq!(world.open(key).await.as_deref(), Some(key), "{key} after a crash");
    }
    let around: Vec<_> = std::fs::read_dir(world.path("..")).expect("reads").collect();
    assert_eq!(around.len(), 1, "nothing beside the bucket's folder: {around:?}");
    for key in odd {
        world.delete_object(key, None).await;
        assert_eq!(world.open(key).await, None, "{key}");
    }
    assert!(world.litter().is_empty(), "{:?}", world.litter());
    let mut expected: Vec<String> = odd.iter().map(|key| format!("Put {key}")).collect();
    expected.extend(odd.iter().map(|key| format!("Delete {key}")));
    expected.extend(["Put n".to_owned(), "Put d/inside".to_owned()]);
    world.check(&expected.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn keys_that_need_a_name_as_file_and_as_folder_come_at_once() {
    let world = World::running().await;
    let keys = ["n", "n/m", "n/m/o", "p/q/r", "p", "p/q", "p/", "s", "s/t"];
    let puts = keys.map(|key| world.order(key, world.put_act(key)));
    for (key, put) in keys.iter().zip(futures_util::future::join_all(puts).await) {
        put.unwrap_or_else(|error| panic!("{key}: {error:?}"));
        assert_eq!(world.open(key).await.as_deref(), Some(*key));
    }
    let mut told: Vec<String> = keys.map(|key| format!("Put {key}")).into();
    told.sort();
    let mut events = world.until("all are told", |events| events.len() >= keys.len()).await;
    events.sort();
    assert_eq!(events, told);
}

#[tokio::test]
async fn a_refused_condition_leaves_nothing_behind() {
    let world = World::running().await;
    world.write("k", "by hand");
    let Act::Put(mut put) = world.put_act("by a call") else { panic!("a put") };
    put.check = Some(Box::new(|known| match known {
        Some(_) => Err(AwsError::new(412, "PreconditionFailed", "it is there")),
        None => Ok(()),
    }));
    let refused = world.order("k", Act::Put(put)).await.expect_err("it is there already");
    assert_eq!(refused.code, "PreconditionFailed");
    assert_eq!(world.content("k").as_deref(), Some("by hand"));
    world.check(&["Put k"]).await;
    assert!(world.litter().is_empty(), "{:?}", world.litter());
}

#[tokio::test]
async fn what_is_refused_in_a_bucket_with_versions_leaves_nothing_behind() {
    let world = World::running().await;
    world.put_object("k", "before versions").await;
    world.keep_versions(Versioning::Enabled).await;
    let check: crate::source::s3::order::Check =
        Box::new(|_| Err(AwsError::new(412, "PreconditionFailed", "never")));
    let act = Act::Delete(Delete { version: None, check: Some(check), expired: false });
    world.order("k", act).await.expect_err("is refused");
    let Act::Put(mut put) = world.put_act("two") else { panic!("a put") };
    put.check = Some(Box::new(|_| Err(AwsError::new(412, "PreconditionFailed", "never"))));
    world.order("k", Act::Put(put)).await.expect_err("is refused");
    assert!(world.litter().is_empty(), "{:?}", world.litter());
    assert_eq!(world.content("k").as_deref(), Some("before versions"));
    assert_eq!(world.events().await, ["Put k"]);
}

#[tokio::test]
async fn a_call_that_fails_midway_has_done_nothing() {
    let world = World::running().await;
    world.keep_versions(Versioning::Enabled).await;
    world.put_object("k", "one").await;
    let two = world.put_object("k", "two").await;
    // Somebody tidies up in the state folder: the version before cannot come back.
    let one =
        world.litter().into_iter().find(|blob| std::fs::read_to_string(blob).is_ok_and(|text| text == "one"));
    std::fs::remove_file(one.expect("a content")).expect("removes");
    let act = Act::Delete(Delete { version: two, check: None, expired: false });
    let error = world.order("k", act).await.expect_err("cannot be done");
    assert_eq!(error.code, "InternalError");
    assert_eq!(world.open("k").await.as_deref(), Some("two"));
    assert_eq!(world.content("k").as_deref(), Some("two"));
    assert_eq!(world.events().await, ["Put k", "Put k"]);
}

#[tokio::test]
async fn a_draft_left_by_a_crash_does_not_replace_what_was_written_since() {
    let mut world = World::running().await;
    let draft = world.bucket().draft().expect("a draft");
    std::fs::write(draft.path(), "old").expect("writes");
    let left = draft.path().to_owned();
    std::mem::forget(draft);
    world.put_object("k", "new").await;
    world.kill().await;
    let deed = serde_json::json!({"Show": [left, "k"]});
    let path = world.store.path().to_owned();
    let address = format!("sqlite:{}", path.display());
    let mut connection =
        <sqlx::SqliteConnection as sqlx::Connection>::connect(&address).await.expect("connects");
    let sql = "INSERT INTO s3_deed (bucket, id, deed) VALUES ('inbox', 1000, ?1)";
    sqlx::query(sql).bind(deed.to_string()).execute(&mut connection).await.expect("writes");
    drop(connection);
    world.start().await;
    assert_eq!(world.content("k").as_deref(), Some("new"));
    assert!(world.litter().is_empty(), "{:?}", world.litter());
    world.check(&["Put k"]).await;
}

#[tokio::test]
async fn versions_stay_whoever_writes_the_next_one() {
    let world = World::running().await;
    world.put_object("k", "before versions").await;
    world.keep_versions(Versioning::Enabled).await;
    let one = world.put_object("k", "one").await.expect("a version");
    world.write("k", "by hand");
    world.until("three puts", |events| events.len() == 3).await;
    let three = world.put_object("k", "three").await.expect("a version");
    let read = async |version: &str| -> Option<String> {
        let object = world.bucket().object("k", Some(version)).await.expect("reads")?;
        let mut text = String::new();
        object.open().expect("opens").read_to_string(&mut text).expect("reads");
        Some(text)
    };
    assert_eq!(read("null").await.as_deref(), Some("before versions"));
    assert_eq!(read(&one).await.as_deref(), Some("one"));
    assert_eq!(read(&three).await.as_deref(), Some("three"));
    let (marker, is_marker) = world.delete_object("k", None).await;
    assert!(is_marker);
    assert_eq!(world.content("k"), None);
    // The marker goes, and the version before it is there again, as a file.
    world.delete_object("k", marker.as_deref()).await;
    assert_eq!(world.content("k").as_deref(), Some("three"));
    // So goes the present version: what people wrote is there again.
    world.delete_object("k", Some(&three)).await;
    assert_eq!(world.content("k").as_deref(), Some("by hand"));
    // Every write made one event, and what it did to files made none.
    world.put_object("fence", "").await;
    let expected =
        ["Put k", "Put k", "Put k", "Put k", "DeleteMarkerCreated k", "Delete k", "Delete k", "Put fence"];
    assert_eq!(world.events().await, expected);
    assert_eq!(world.records("k").await[0]["s3"]["object"].get("versionId"), None);
    assert_eq!(world.records("k").await[1]["s3"]["object"]["versionId"], one.as_str());
}

#[tokio::test]
async fn what_was_committed_and_not_done_is_done_after_a_crash() {
    let mut world = World::running().await;
    world.put_object("old", "old").await;
    let draft = world.bucket().draft().expect("a draft");
    std::fs::write(draft.path(), "new").expect("writes");
    let left = draft.path().to_owned();
    // A crash between the commit and its deeds, and another draft that nobody committed.
    std::mem::forget(draft);
    std::mem::forget(world.bucket().draft().expect("another"));
    world.kill().await;
    let stat = std::fs::metadata(&left).expect("is there");
    let old = std::fs::metadata(world.path("old")).expect("is there");
    let sql = "INSERT INTO s3_object (bucket, key, size, mtime, inode, etag, sequencer) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    use std::os::unix::fs::MetadataExt;
    let nanos = |found: &std::fs::Metadata| found.mtime() * 1_000_000_000 + found.mtime_nsec();
    let path = world.store.path().to_owned();
    let mut connection =
        <sqlx::SqliteConnection as sqlx::Connection>::connect(&format!("sqlite:{}", path.display()))
            .await
            .expect("connects");
    sqlx::query(sql)
        .bind("inbox")
        .bind("new")
        .bind(3_i64)
        .bind(nanos(&stat))
        .bind(stat.ino().cast_signed())
        .bind(etag_of("new"))
        .bind("000000000100000000")
        .execute(&mut connection)
        .await
        .expect("writes");
    sqlx::query("DELETE FROM s3_object WHERE key = 'old'").execute(&mut connection).await.expect("writes");
    let deeds = [
        serde_json::json!({"Show": [left, "new"]}),
        serde_json::json!({"Remove": ["old", old.len(), nanos(&old), old.ino()]}),
    ];
    for (id, deed) in deeds.iter().enumerate() {
        sqlx::query("INSERT INTO s3_deed (bucket, id, deed) VALUES ('inbox', ?1, ?2)")
            .bind(i64::try_from(id).expect("small") + 100)
            .bind(deed.to_string())
            .execute(&mut connection)
            .await
            .expect("writes");
    }
    drop(connection);
    world.start().await;
    assert_eq!(world.content("new").as_deref(), Some("new"));
    assert_eq!(world.content("old"), None);
    assert!(world.litter().is_empty(), "{:?}", world.litter());
    world.check(&["Put old"]).await;
}

#[tokio::test]
async fn an_upload_in_parts_is_told_once_and_keeps_its_etag() {
    let world = World::running().await;
    let Act::Put(put) = world.put_act("parts") else { panic!("a put") };
    let put = Put { etag: "0123-2".into(), how: How::CompleteMultipartUpload, ..*put };
    world.order("k", Act::Put(Box::new(put))).await.expect("is written");
    world.check(&["CompleteMultipartUpload k"]).await;
    let object = world.bucket().object("k", None).await.expect("reads").expect("it is there");
    assert_eq!((object.etag.as_str(), object.meta.is_some()), ("0123-2", true));
    // What people write over it is told, of the same size in the same moment too.
    world.write("k", "PARTS");
    world.check(&["CompleteMultipartUpload k", "Put k"]).await;
}

#[tokio::test]
async fn every_call_is_told_where_the_clock_stands() {
    let mut world =
        World::at(Clock::frozen_at(Timestamp::parse("2026-01-05T09:00:00Z").expect("a time"))).await;
    world.start().await;
    world.put_object("k", "one").await;
    for n in 0..3 {
        let edit: crate::source::s3::order::Edit = Box::new(move |_| Ok(Some(format!("{{\"n\":{n}}}"))));
        let act = Act::Edit { version: None, what: Retouch::Tagged, edit };
        world.order("k", act).await.expect("is tagged");
    }
    world.keep_versions(Versioning::Enabled).await;
    let two = world.put_object("k", "two").await;
    let three = world.put_object("k", "three").await;
    world.delete_object("k", two.as_deref()).await;
    world.delete_object("k", three.as_deref()).await;
    assert_eq!(world.open("k").await.as_deref(), Some("one"), "the one before versions came back");
    // Also after a new start at the same time.
    world.kill().await;
    world.start().await;
    world.write("k", "by hand");
    world.until("told", |events| events.iter().filter(|event| *event == "Put k").count() == 7).await;
    let (_, first) = world.delete_object("k", None).await;
    let (_, second) = world.delete_object("k", None).await;
    assert!(first && second, "two markers");
    let mut events = world.events().await;
    events.sort();
    let expected = [&["Delete k"; 2][..], &["DeleteMarkerCreated k"; 2], &["Put k"; 7]].concat();
    assert_eq!(events, expected);
    let markers =
        sqlx::query("SELECT count(*) FROM s3_version WHERE marker").fetch_one(world.store.read()).await;
    assert_eq!(markers.expect("reads").get::<i64, _>(0), 2);
}

#[tokio::test]
async fn a_large_file_that_was_just_dropped_is_removed_with_its_object() {
    let world = World::running().await;
    world.write("large", &"x".repeat(9 << 20));
    world.delete_object("large", None).await;
    assert_eq!(world.content("large"), None);
    world.check(&["Put large", "Delete large"]).await;
}

#[tokio::test]
async fn conditions_hold_for_files_that_were_there_before() {
    let mut world = World::new().await;
    world.write("old", "before us");
    world.start().await;
    let shown = world.bucket().object("old", None).await.expect("reads").expect("it is there").etag;
    let is_it = move |known: Option<&crate::source::s3::folder::Known>| {
        assert_eq!(known.map(|known| known.shown_etag()), Some(shown));
        Ok(())
    };
    let Act::Put(mut put) = world.put_act("new") else { panic!("a put") };
    put.check = Some(Box::new(is_it));
    world.order("old", Act::Put(put)).await.expect("is written");
    world.check(&["Put old"]).await;
}

#[tokio::test]
async fn whoever_waits_when_a_bucket_ends_hears_so() {
    let world = World::new().await;
    let bucket = Bucket::open(world.spec.clone(), world.ground()).expect("opens");
    let stop = CancellationToken::new();
    let mut running = JoinSet::new();
    running.spawn(bucket.clone().run(stop.clone()));
    bucket.ready().await;
    stop.cancel();
    running.join_next().await.expect("it ran").expect("it ends").expect("well");
    let caller = Caller { request_id: "R".into(), host_id: "H".into(), address: "127.0.0.1".into() };
    let refused =
        real::within(DEADLINE, bucket.order("k", Act::Look(None), caller)).await.expect("an answer");
    assert_eq!(refused.expect_err("nobody is there").status.as_u16(), 503);
}

#[tokio::test]
async fn a_link_stays_where_an_object_gets_its_key() {
    let world = World::running().await;
    std::fs::write(world.dir.path().join("outside"), "theirs").expect("writes");
    std::os::unix::fs::symlink(world.dir.path().join("outside"), world.path("link")).expect("links");
    world.put_object("link", "ours").await;
    assert_eq!(world.open("link").await.as_deref(), Some("ours"));
    assert!(world.path("link").is_symlink());
    assert_eq!(std::fs::read_to_string(world.dir.path().join("outside")).expect("reads"), "theirs");
    world.check(&["Put link"]).await;
}

#[tokio::test]
async fn a_bucket_with_a_file_in_it_is_not_closed() {
    let world = World::running().await;
    world.mkdir("a/b");
    world.write("a/b/c", "just dropped");
    let refused = world.order("", Act::Close(Remover::default())).await.expect_err("there is a file");
    assert_eq!(refused.code, "BucketNotEmpty");
    world.delete_object("a/b/c", None).await;
    // Whoever wants to remove it goes away.
    world.order("", Act::Close(Remover::default())).await.expect("it is empty");
    world.put_object("k", "again").await;
    world.delete_object("k", None).await;
    let remover = Remover::default();
    world.order("", Act::Close(remover.clone())).await.expect("it is empty");
    let refused = world.order("k", world.put_act("late")).await.expect_err("it is closed");
    assert_eq!(refused.code, "NoSuchBucket");
}

#[tokio::test]
async fn what_a_call_wrote_is_told_when_it_comes_back() {
    let world = World::running().await;
    world.put_object("k", "by a call").await;
    world.sh("mv k away");
    world.check(&["Put k", "Delete k", "Put away"]).await;
    world.sh("mv away k");
    world.check(&["Put k", "Delete k", "Put away", "Put k", "Delete away"]).await;
}

#[tokio::test]
async fn versions_are_kept_from_one_order_to_the_next() {
    let world = World::running().await;
    // All at once, so that the change comes among the others.
    let put = |key: &'static str| world.order(key, world.put_act(key));
    let kept = world.order("", Act::KeepVersions(Versioning::Enabled));
    let (a, b, kept, c) = tokio::join!(put("a"), put("b"), kept, put("c"));
    kept.expect("is kept");
    for (key, done) in [("a", a), ("b", b), ("c", c)] {
        let version = done.expect("is written").version;
        // Whoever was given a version finds it, whatever people do to the file.
        world.write(key, "overwritten");
        if let Some(version) = version {
            let object = world.bucket().object(key, Some(&version)).await.expect("reads").expect("is there");
            let mut text = String::new();
            object.open().expect("opens").read_to_string(&mut text).expect("reads");
            assert_eq!(text, key);
        }
    }
    assert!(world.put_object("d", "x").await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_wrote_a_moment_before_a_call_is_a_version_too() {
    let world = World::running().await;
    world.keep_versions(Versioning::Enabled).await;
    for round in 0..20 {
        let key = format!("k{round}");
        // While this one is decided, both the word of the file and the call come in, and either may be heard first.
        let gate = Arc::new(std::sync::Barrier::new(2));
        let mut slow = world.put_act("slow");
        if let Act::Put(put) = &mut slow {
            let gate = gate.clone();
            put.check = Some(Box::new(move |_| {
                gate.wait();
                gate.wait();
                Ok(())
            }));
        }
        let orders = &world.bucket().orders.0;
        let meanwhile = async {
            gate.wait();
            world.write(&key, "of a person");
            let queued = async {
                while orders.capacity() == orders.max_capacity() {
                    tokio::task::yield_now().await;
                }
                gate.wait();
            };
            tokio::join!(world.put_object(&key, "of a call"), queued);
        };
        let (bucket, mut first) = (world.bucket().clone(), tokio::task::JoinSet::new());
        first.spawn(async move { bucket.order("slow", slow, Caller::of(&[b"slow"], "127.0.0.1")).await });
        meanwhile.await;
        first.join_next().await.expect("one").expect("ends").expect("is written");
        assert_eq!(world.content(&key).as_deref(), Some("of a call"));
    }
    let asked = crate::source::s3::list::Asked { max: 100, ..Default::default() };
    let page = world.bucket().list_versions(&asked, None).await.expect("lists");
    assert_eq!(page.objects.iter().filter(|object| object.key != "slow").count(), 40, "none is lost");
}
