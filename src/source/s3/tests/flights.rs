//! Rounds of orders that are on their way at once.

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::*;

#[tokio::test]
async fn what_is_asked_of_a_key_happens_in_the_order_in_which_it_was_asked() {
    let world = World::running().await;
    let mut expected = Vec::new();
    for turn in 0..10 {
        let mut asked = Vec::new();
        for number in 0..25 {
            asked.push(("k".to_owned(), format!("{turn} {number}")));
            asked.push((format!("other/{turn}/{number}"), String::new()));
        }
        // So few take their places in the order in which they are polled first.
        let puts = asked.iter().map(|(key, content)| world.order(key, world.put_act(content)));
        join_all(puts).await.into_iter().for_each(|put| drop(put.expect("is written")));
        assert_eq!(world.content("k"), Some(format!("{turn} 24")));
        expected.extend((0..25).map(|number| etag_of(&format!("{turn} {number}"))));
    }
    let records = world.records("k").await;
    let told: Vec<_> = records.iter().map(|record| &record["s3"]["object"]["eTag"]).collect();
    assert_eq!(told, expected.iter().collect::<Vec<_>>());
    let sequencer = |record: &serde_json::Value| record["s3"]["object"]["sequencer"].to_string();
    assert!(records.is_sorted_by(|one, next| sequencer(one) < sequencer(next)));
    assert_eq!(world.events().await.len(), 500);
    assert!(world.litter().is_empty(), "{:?}", world.litter());
}

#[tokio::test]
async fn a_file_dropped_between_calls_is_told_in_its_turn() {
    let world = World::running().await;
    for number in 0..20 {
        let key = format!("k{number}");
        let mut puts: FuturesUnordered<_> =
            (0..40).map(|_| world.order(&key, world.put_act("by a call"))).collect();
        for _ in 0..=2 * number {
            puts.next().await.expect("one more").expect("is written");
        }
        // All others come after it, or but for the one that is on its way.
        world.write(&key, "by hand");
        while let Some(put) = puts.next().await {
            put.expect("is written");
        }
        if number % 2 == 0 {
            world.write(&key, "by hand, at last");
        }
        let content = world.content(&key).expect("is there");
        let told_last = async || {
            let records = world.records(&key).await;
            records.last().is_some_and(|record| record["s3"]["object"]["eTag"] == etag_of(&content))
        };
        let begun = Instant::now();
        while !told_last().await {
            // Long before all is looked through again.
            let is_soon = begun.elapsed() < DEADLINE / 4;
            assert!(is_soon, "{key}: what is told last is what is there: {content}");
            real::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[tokio::test]
async fn a_clock_set_back_before_a_start_does_not_set_sequencers_back() {
    let clock = Clock::frozen_at(Timestamp::from_millis(1_700_000_000_000));
    let mut world = World::at(clock).await;
    world.start().await;
    world.put_object("a", "one").await;
    world.put_object("b", "one").await;
    world.kill().await;
    world.clock.set_to(Timestamp::from_millis(1_600_000_000_000));
    world.start().await;
    for key in ["a", "b", "new"] {
        world.put_object(key, "two").await;
    }
    for key in ["a", "b"] {
        let records = world.records(key).await;
        let sequencer = |nth: usize| records[nth]["s3"]["object"]["sequencer"].as_str().expect("a sequencer");
        assert!(sequencer(0) < sequencer(1), "{records:?}");
    }
}

#[tokio::test]
async fn a_content_that_no_file_stood_for_goes_away_when_a_file_does() {
    let mut world = World::running().await;
    world.put_object("n/m", "makes a folder of n").await;
    world.put_object("n", "hidden").await;
    assert_eq!(world.litter().len(), 1);
    world.kill().await;
    std::fs::remove_dir_all(world.path("n")).expect("removes");
    world.start().await;
    world.put_object("n", "a file").await;
    assert_eq!(world.content("n").as_deref(), Some("a file"));
    assert!(world.litter().is_empty(), "{:?}", world.litter());
}

#[tokio::test]
async fn what_was_on_its_way_when_a_worker_ended_is_there_whole_or_not_at_all() {
    let (mut world, mut answered) = (World::running().await, Vec::new());
    for turn in 0..5 {
        let asked: Vec<_> = (0..700).map(|number| format!("{turn}/{}", number % 690)).collect();
        let puts =
            asked.iter().map(async |key| world.order(key, world.put_act(key)).await.map(|_| key.clone()));
        let mut puts: FuturesUnordered<_> = puts.collect();
        // Some are answered, some on their way, and some not looked at.
        for _ in 0..=60 * turn {
            answered.push(puts.next().await.expect("one more").expect("is written"));
        }
        drop(puts);
        world.kill().await;
        world.start().await;
    }
    let mut there = std::collections::BTreeMap::<String, usize>::new();
    for event in world.events().await {
        *there.entry(event.strip_prefix("Put ").expect("a put").to_owned()).or_default() += 1;
    }
    let is_there = |key: &String| there.contains_key(key);
    assert!(answered.iter().all(is_there), "{answered:?} {there:?}");
    for turn in 0..5 {
        for number in 0..690 {
            let key = format!("{turn}/{number}");
            // Those that were asked for twice may have been written once or twice.
            let most = if number < 10 { 2 } else { 1 };
            assert!(there.get(&key).is_none_or(|count| *count <= most), "{key}: {there:?}");
            assert_eq!(world.content(&key).is_some(), is_there(&key), "{key}");
            assert_eq!(world.open(&key).await.is_some(), is_there(&key), "{key}");
        }
    }
    assert!(world.litter().is_empty(), "{:?}", world.litter());
}

#[tokio::test]
async fn an_object_can_be_read_while_it_is_written_anew() {
    let world = World::running().await;
    // One that no file stands for, and one of a file.
    for key in ["folder/", "k"] {
        world.put_object(key, "0").await;
        let writing = async {
            for number in 1..200 {
                world.put_object(key, &number.to_string()).await;
            }
        };
        let mut writing = std::pin::pin!(writing);
        let mut last = 0;
        loop {
            tokio::select! {
                biased;
                found = world.open(key) => {
                    let found: u32 = found.expect("it is never gone").parse().expect("a number");
                    assert!(found >= last, "{key}: {found} after {last}");
                    last = found;
                }
                () = &mut writing => break,
            }
        }
        assert!(last > 0, "{key}: some were read between the writes");
    }
}
