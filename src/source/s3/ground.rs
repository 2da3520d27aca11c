//! What is found out about the keys of orders before anything is decided.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::event::Sequencer;
use super::folder::Known;
use super::order::{Act, Order, Put, Versioning};
use super::vault::{Draft, Room};
use super::work::Worker;
use super::{Bucket, SourceError, index};
use crate::clock::Timestamp;

/// What was found out about an order's key before anything is decided.
#[derive(Default)]
pub(super) struct Ground {
    /// The object as it is; None where there is none, or where `later_than` says that it matters not.
    pub known: Option<Known>,
    /// What the change comes after, whatever there is.
    pub later_than: Option<Sequencer>,
    /// Where it can lie; None where nothing is written.
    pub room: Option<Result<Room, String>>,
    /// A second name for the file that is there now, which keeps its content.
    pub kept: Option<Draft>,
}

impl Ground {
    /// That of a change that nobody asked for.
    pub(super) fn of(known: Option<Known>) -> Ground {
        Ground { known, ..Ground::default() }
    }
}

/// What tells whether a change is later than all others of the bucket. Then a put needs not know what it replaces: its
/// sequencer is the higher one in any case, and no content goes away but that of the file.
#[derive(Default)]
pub(super) struct Newness {
    /// The highest sequencer among the objects with files that were there before us; None until all are read.
    pub read: Option<Sequencer>,
    /// The highest that we gave.
    pub given: Sequencer,
    /// Whether there may be contents that no file stands for.
    pub has_blobs: bool,
}

impl Newness {
    /// What a change at this time comes after, if it is later than all others and replaces files only; `floor` is higher
    /// than the sequencers of objects that were removed.
    fn latest_before(&self, now: Timestamp, floor: Sequencer) -> Option<Sequencer> {
        let latest = self.read?.max(self.given).max(floor);
        (!self.has_blobs && Sequencer::at(now) > latest).then_some(latest)
    }
}

/// So few keys are looked for where they are asked for, if what they shall hold has at most so many bytes; others are
/// handed over, since a content may have to be copied.
const FEW: usize = 16;
/// See above.
const SMALL: u64 = 64 << 10;

impl Worker {
    /// Finds out what is known of the keys, where that matters, and what the file system says of them. In versioned
    /// buckets it keeps what would be lost.
    pub(super) async fn find_out(&self, round: Vec<Order>) -> Result<(Vec<Order>, Vec<Ground>), SourceError> {
        let bucket = self.bucket.clone();
        let keys: Vec<String> = round.iter().map(|order| order.key.clone()).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let needs_nothing = |order: &Order| matches!(&order.act, Act::Put(put) if put.check.is_none());
        let latest = self.newness.latest_before(bucket.ground.clock.now(), self.floor);
        let later_than =
            latest.filter(|_| bucket.versioning() == Versioning::Off && round.iter().all(needs_nothing));
        let fetching = async {
            match later_than {
                Some(_) => Ok(Vec::new()),
                None => index::fetch(&self.surveyor.pool, &bucket.spec.name, &keys).await,
            }
        };
        // Both at once: neither needs the other.
        let (known, (round, rooms)) = tokio::join!(fetching, look_for_rooms(bucket.clone(), round));
        let known = known.map_err(|error| self.unreadable(error))?;
        let mut known: HashMap<String, Known> =
            known.into_iter().map(|known| (known.key.clone(), known)).collect();
        let grounds = round.iter().zip(rooms);
        let grounds = grounds
            .map(|(order, room)| Ground { known: known.remove(&order.key), later_than, room, kept: None })
            .collect();
        match self.bucket.versioning() {
            Versioning::Off => Ok((round, grounds)),
            Versioning::Enabled | Versioning::Suspended => Ok(keep_contents(bucket, round, grounds).await),
        }
    }
}

/// Where the objects that are put can lie; provides what they need for it.
async fn look_for_rooms(
    bucket: Arc<Bucket>,
    mut round: Vec<Order>,
) -> (Vec<Order>, Vec<Option<Result<Room, String>>>) {
    let is_small = |order: &Order| match &order.act {
        Act::Put(put) => put.draft.file.metadata().is_ok_and(|found| found.len() <= SMALL),
        _ => true,
    };
    // Where names have to be looked for in their folders, that can take long.
    let is_blind = bucket.vault.ways().is_blind;
    let is_little = !is_blind && round.len() <= FEW && round.iter().all(is_small);
    let looking = move || {
        let rooms = round.iter_mut().map(|order| match &mut order.act {
            Act::Put(put) => Some(room_for(&bucket, &order.key, put)),
            _ => None,
        });
        let rooms = rooms.collect();
        (round, rooms)
    };
    match is_little {
        true => looking(),
        // It can only fail if it panicked or the runtime ends; then everybody hears that it was broken off.
        false => tokio::task::spawn_blocking(looking).await.unwrap_or_default(),
    }
}

fn room_for(bucket: &Bucket, key: &str, put: &mut Put) -> Result<Room, String> {
    let room = bucket.vault.room(key).map_err(|error| error.to_string())?;
    if !put.draft.path().exists() {
        return Err("its draft was removed".into());
    }
    provide(bucket, put, &room).map_err(|error| error.to_string())?;
    Ok(room)
}

/// Gives the files that are there second names, where their contents are to be kept.
async fn keep_contents(
    bucket: Arc<Bucket>,
    round: Vec<Order>,
    mut grounds: Vec<Ground>,
) -> (Vec<Order>, Vec<Ground>) {
    let alters = |order: &Order| matches!(order.act, Act::Put(_) | Act::Delete(_));
    let keeping = move || {
        for (_, ground) in round.iter().zip(&mut grounds).filter(|(order, _)| alters(order)) {
            let Some(known) = ground.known.as_ref().filter(|known| known.extra.blob.is_none()) else {
                continue;
            };
            let number = || bucket.ground.random.number();
            let linked = bucket.vault.link(&known.key, known.stamp, number());
            // What cannot be moved to where it is kept is not kept.
            ground.kept = linked.and_then(|draft| bucket.vault.near(draft, number()).ok());
        }
        (round, grounds)
    };
    // As above.
    tokio::task::spawn_blocking(keeping).await.unwrap_or_default()
}

/// Makes what a put needs and does not have yet: a copy, where versions are kept since a moment ago; and a draft from
/// where it can be moved to the contents that no file stands for.
fn provide(bucket: &Bucket, put: &mut Put, room: &Room) -> io::Result<()> {
    let number = || bucket.ground.random.number();
    match (bucket.versioning() != Versioning::Off, &put.copy) {
        (true, None) => put.copy = Some(bucket.vault.copy(put.draft.file.try_clone()?, number())?),
        (false, Some(_)) => put.copy = None,
        _ => {}
    }
    if put.copy.is_none() && matches!(room, Room::Nowhere(_)) {
        bucket.vault.move_near(&mut put.draft, number())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_later_than_all_else_needs_not_know_what_was_there() {
        let (time, at) = (Timestamp::from_millis, |millis| Sequencer::at(Timestamp::from_millis(millis)));
        let newness = |read, given, has_blobs| Newness { read, given, has_blobs };
        let check = |newness: Newness, floor, expected| {
            assert_eq!(newness.latest_before(time(5), floor), expected);
        };
        check(newness(Some(at(1)), at(2), false), at(3), Some(at(3)));
        check(newness(Some(at(1)), at(4), false), at(3), Some(at(4)));
        check(newness(Some(at(4)), at(2), false), at(3), Some(at(4)));
        check(newness(Some(at(5)), at(2), false), at(3), None);
        check(newness(Some(at(1)), at(5), false), at(3), None);
        check(newness(Some(at(1)), at(2), false), at(6), None);
        check(newness(Some(at(1)), at(2), true), at(3), None);
        check(newness(None, at(2), false), at(3), None);
    }
}
