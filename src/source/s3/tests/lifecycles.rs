//! Objects that end by the rules of their bucket, on a clock that is moved.

use super::*;
use crate::source::s3::api::lifecycle_request;

const RULES: &[u8] = b"<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status>\
    <Filter><Prefix>tmp/</Prefix></Filter><Expiration><Days>2</Days></Expiration>\
    <NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>\
    </Rule></LifecycleConfiguration>";
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
async fn versions_end_when_they_were_old_for_long_enough() {
    let mut world = World::at(Clock::frozen_at(Timestamp::from_millis(1_700_000_000_000))).await;
    world.start().await;
    world.bucket().keep_versions(Versioning::Enabled).await.expect("is kept");
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
