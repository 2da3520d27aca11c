//! Objects that end by the rules of their bucket, on a clock that is moved.

use super::listings::{hidden, older};
use super::*;
use crate::source::s3::api::lifecycle::Due;
use crate::source::s3::api::lifecycle_request;
use crate::source::s3::expire;
use crate::source::s3::index::Rows;
use crate::source::s3::list::Asked;
use crate::source::s3::object::Object;

const RULES: &[u8] = b"<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status>\
    <Filter><Prefix>tmp/</Prefix></Filter><Expiration><Days>2</Days></Expiration>\
    <NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>\
    </Rule></LifecycleConfiguration>";
const MARKERS: &[u8] = b"<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status>\
    <Filter><Prefix></Prefix></Filter><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker>\
    </Expiration></Rule></LifecycleConfiguration>";
const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn an_object_ends_at_the_midnight_after_its_days() {
    let mut world = World::at(Clock::frozen_at(Timestamp::from_millis(1_700_000_000_000))).await;
    world.start().await;
    world.put_object("tmp/a", "a").await;
    world.put_object("kept", "b").await;
    let rules = lifecycle_request::read(RULES, String::new).expect("rules");
    world.bucket().live_by(rules);
    world.clock.set_to(world.clock.now().plus(DAY * 2));
    world.put_object("fence", "").await;
    assert_eq!(
        world.events().await,
        ["Put tmp/a", "Put kept", "Put fence"],
        "two days, and not yet midnight"
    );
    world.clock.set_to(world.clock.now().plus(DAY));
    world.until("the end of tmp/a", |events| events.contains(&"Delete tmp/a".to_owned())).await;
    let record = &world.records("tmp/a").await[1];
    assert_eq!(record["eventName"], "LifecycleExpiration:Delete");
    // Its row can be read before its file is gone; the next order comes after both.
    world.put_object("fence", "").await;
    assert!(!world.path("tmp/a").exists());
    assert!(world.path("kept").exists());
}

#[tokio::test]
async fn a_clock_that_is_moved_on_while_something_ends_skips_no_midnight() {
    let mut world = World::at(Clock::frozen_at(Timestamp::from_millis(1_700_000_000_000))).await;
    world.start().await;
    for number in 0..200 {
        world.put_object(&format!("kept/{number}"), "").await;
    }
    world.put_object("tmp/a", "a").await;
    world.bucket().live_by(lifecycle_request::read(RULES, String::new).expect("rules"));
    // Each midnight begins a sweep, and the clock does not wait for it.
    for _ in 0..6 {
        world.clock.set_to(world.clock.now().plus(DAY / 2));
        tokio::task::yield_now().await;
    }
    world.until("the end of tmp/a", |events| events.contains(&"Delete tmp/a".to_owned())).await;
}

#[tokio::test]
async fn a_clock_that_is_moved_on_waits_at_each_midnight_for_what_ends_then() {
    let mut world = World::at(Clock::frozen_at(Timestamp::from_millis(1_700_000_000_000))).await;
    world.start().await;
    world.bucket().live_by(lifecycle_request::read(RULES, String::new).expect("rules"));
    for number in 0..50 {
        world.put_object(&format!("tmp/{number}"), "a").await;
    }
    let (clock, queue) = (world.clock.clone(), world.outlet.queue.clone());
    let to = clock.now().plus(DAY * 9);
    clock.advance_to(to, || queue.quiet(), || queue.next_due_of_all()).await;
    let events = world.events().await;
    assert_eq!(events.len(), 100, "all have ended when the clock is there");
    for number in 0..50 {
        // From 22:13:20 on the 14th; two days later, at the next midnight.
        let record = &world.records(&format!("tmp/{number}")).await[1];
        assert_eq!(record["eventTime"], "2023-11-17T00:00:00.000Z");
    }
}

#[tokio::test]
async fn versions_end_when_they_were_old_for_long_enough() {
    let mut world = World::at(Clock::frozen_at(Timestamp::from_millis(1_700_000_000_000))).await;
    world.start().await;
    world.keep_versions(Versioning::Enabled).await;
    let one = world.put_object("tmp/a", "one").await.expect("a version");
    world.put_object("tmp/a", "two").await;
    let rules = lifecycle_request::read(RULES, String::new).expect("rules");
    world.bucket().live_by(rules);
    world.clock.set_to(world.clock.now().plus(DAY * 3));
    world.until("both rules", |events| events.len() >= 4).await;
    let mut events = world.events().await[2..].to_vec();
    events.sort();
    assert_eq!(events, ["Delete tmp/a", "DeleteMarkerCreated tmp/a"]);
    let gone = world.bucket().object("tmp/a", Some(&one)).await.expect("reads");
    assert!(gone.is_none(), "{gone:?}");
}

impl World {
    async fn frozen() -> World {
        let mut world = World::at(Clock::frozen_at(Timestamp::from_millis(1_700_000_000_000))).await;
        world.start().await;
        world
    }

    fn live_by(&self, rules: &[u8]) {
        self.bucket().live_by(lifecycle_request::read(rules, String::new).expect("rules"));
    }

    /// The versions of a key as a listing has them, the latest first.
    async fn listed(&self, key: &str) -> Vec<Object> {
        let asked = Asked { prefix: key.to_owned(), max: 1000, ..Asked::default() };
        self.bucket().list_versions(&asked, None).await.expect("lists").objects
    }
}

#[tokio::test]
async fn a_delete_marker_at_the_end_of_a_page_is_not_alone_for_that() {
    let world = World::frozen().await;
    world.keep_versions(Versioning::Enabled).await;
    world.put_object("b", "").await;
    world.delete_object("b", None).await;
    let mut rows = Rows::default();
    (0..999).for_each(|number| rows.put("inbox", &hidden(&format!("a{number:03}"), 1 << 60)));
    rows.put_version("inbox", "z", &older(1, true));
    world.store.write(rows.writes()).await.expect("writes");
    world.live_by(MARKERS);
    let events = world.until("the end of z", |events| events.contains(&"Delete z".to_owned())).await;
    assert_eq!(events, ["Put b", "DeleteMarkerCreated b", "Delete z"]);
}

#[tokio::test]
async fn what_was_written_since_it_was_judged_does_not_end() {
    let world = World::frozen().await;
    world.put_object("a", "old").await;
    let judged = world.listed("a").await;
    world.put_object("a", "new").await;
    expire::end(world.bucket(), vec![(judged[0].clone(), Due::Expire)]).await.expect("ends nothing");
    assert_eq!(std::fs::read_to_string(world.path("a")).expect("reads"), "new");
    // The version before is current again when the one above it is gone.
    world.keep_versions(Versioning::Enabled).await;
    let above = world.put_object("a", "newer").await;
    let judged = world.listed("a").await;
    world.delete_object("a", above.as_deref()).await;
    expire::end(world.bucket(), vec![(judged[1].clone(), Due::Delete)]).await.expect("ends nothing");
    assert_eq!(std::fs::read_to_string(world.path("a")).expect("reads"), "new");
    // Deleted since: there is nothing to end, and no second marker.
    let judged = world.listed("a").await;
    world.delete_object("a", None).await;
    expire::end(world.bucket(), vec![(judged[0].clone(), Due::Expire)]).await.expect("ends nothing");
    assert_eq!(world.listed("a").await.len(), 2);
    let events = world.events().await;
    assert_eq!(events, ["Put a", "Put a", "Put a", "Delete a", "DeleteMarkerCreated a"]);
}

#[tokio::test]
async fn thousands_of_versions_of_a_key_end_in_one_go() {
    let world = World::frozen().await;
    world.keep_versions(Versioning::Enabled).await;
    let mut rows = Rows::default();
    rows.put("inbox", &hidden("tmp/k", 1 << 60));
    (1..=2100).for_each(|number| rows.put_version("inbox", "tmp/k", &older(number, false)));
    world.store.write(rows.writes()).await.expect("writes");
    world.live_by(RULES);
    // The last of a page is gone when the next one is read.
    world.until("the end of all", |events| events.len() == 2101).await;
    assert_eq!(world.listed("tmp/k").await.len(), 2, "the last one, below a marker");
}

#[tokio::test]
async fn ends_are_ordered_together() {
    let world = World::new().await;
    // Nobody takes its orders.
    let bucket = Bucket::open(world.spec.clone(), world.ground()).expect("opens");
    let mut rows = Rows::default();
    (0..50).for_each(|number| rows.put("inbox", &hidden(&format!("k{number}"), 1)));
    world.store.write(rows.writes()).await.expect("writes");
    let page = bucket.list_versions(&Asked { max: 50, ..Asked::default() }, None).await.expect("lists");
    let doomed = page.objects.into_iter().map(|object| (object, Due::Expire)).collect();
    let mut ends = std::pin::pin!(expire::end(&bucket, doomed));
    assert!(futures_util::poll!(ends.as_mut()).is_pending());
    assert_eq!(bucket.orders.0.max_capacity() - bucket.orders.0.capacity(), 50);
}

#[tokio::test]
async fn what_failed_is_tried_again_and_keeps_nothing_else() {
    let mut world = World::frozen().await;
    let (mut rows, mut broken) = (Rows::default(), hidden("tmp/broken", 1));
    broken.extra.meta = Some("no JSON".to_owned());
    rows.put("inbox", &broken);
    rows.put("inbox", &hidden("tmp/whole", 1));
    world.store.write(rows.writes()).await.expect("writes");
    world.live_by(RULES);
    world.until("the end of the other", |events| *events == ["Delete tmp/whole"]).await;
    world.notice("tried again").await;
    let mut rows = Rows::default();
    rows.put("inbox", &hidden("tmp/broken", 1));
    world.store.write(rows.writes()).await.expect("writes");
    // Nobody moves the clock.
    world.until("the end of both", |events| events.len() == 2).await;
}
