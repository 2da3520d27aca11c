//! What is found out about the keys of orders before anything is decided.

use std::collections::HashMap;
use std::io;

use super::Bucket;
use super::folder::Known;
use super::order::{Act, Order, Put, Versioning};
use super::vault::{Draft, Room};
use super::work::Worker;

/// What was found out about an order's key before anything is decided.
#[derive(Default)]
pub(super) struct Ground {
    /// The object as it is.
    pub known: Option<Known>,
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

impl Worker {
    /// Finds out what the file system says of the keys. In versioned buckets it keeps what would be lost.
    pub(super) async fn find_out(
        &self,
        mut round: Vec<Order>,
        mut known: HashMap<String, Known>,
    ) -> (Vec<Order>, Vec<Ground>) {
        let (bucket, versioned) = (self.bucket.clone(), self.bucket.versioning() != Versioning::Off);
        let finding = tokio::task::spawn_blocking(move || {
            let mut grounds = Vec::new();
            for order in &mut round {
                let mut ground = Ground { known: known.remove(&order.key), ..Ground::default() };
                let number = || bucket.ground.random.number();
                if let Act::Put(put) = &mut order.act {
                    let is_there = put.draft.path().exists();
                    let room = bucket.vault.room(&order.key).map_err(|error| error.to_string());
                    ground.room = Some(if is_there { room } else { Err("its draft was removed".into()) });
                    if let Err(error) = provide(&bucket, put, (ground.room.as_ref(), versioned)) {
                        ground.room = Some(Err(error.to_string()));
                    }
                }
                let alters = matches!(order.act, Act::Put(_) | Act::Delete(_));
                if let Some(known) = ground.known.as_ref().filter(|_| versioned && alters)
                    && known.extra.blob.is_none()
                {
                    let linked = bucket.vault.link(&known.key, known.stamp, number());
                    // What cannot be moved to where it is kept is not kept.
                    ground.kept = linked.and_then(|draft| bucket.vault.near(draft, number()).ok());
                }
                grounds.push(ground);
            }
            (round, grounds)
        });
        // It can only fail if it panicked or the runtime ends; then everybody hears that it was broken off.
        finding.await.unwrap_or_default()
    }
}

/// Makes what a put needs and does not have yet: a copy, where versions are kept since a moment ago; and a draft from
/// where it can be moved to the contents that no file stands for.
fn provide(
    bucket: &Bucket,
    put: &mut Put,
    (room, versioned): (Option<&Result<Room, String>>, bool),
) -> io::Result<()> {
    let number = || bucket.ground.random.number();
    match (versioned, &put.copy) {
        (true, None) => put.copy = Some(bucket.vault.copy(put.draft.file.try_clone()?, number())?),
        (false, Some(_)) => put.copy = None,
        _ => {}
    }
    if put.copy.is_none() && matches!(room, Some(Ok(Room::Nowhere(_)))) {
        bucket.vault.move_near(&mut put.draft, number())?;
    }
    Ok(())
}
