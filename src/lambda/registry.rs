//! The service's world and its rows in the state database: decide, write, then alter.
//!
//! Changes take turns: each is decided by what the one before it left, written in one transaction, and made in memory
//! by the writer itself as soon as that is committed. So a caller who goes away in the middle leaves nothing undone.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use serde_json::{Value, json};
use sqlx::Row;
use tokio::sync::{Mutex, watch};

use super::errors::broken;
use super::things::{Key, Thing};
use super::world::{Edit, World};
use crate::aws::AwsError;
use crate::store::{Rows, Store, StoreError};

const READ: &str = "SELECT name, part, body FROM lambda_thing";
const PUT: &str = "INSERT INTO lambda_thing (kind, name, part, body)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1) WHERE true
    ON CONFLICT (name, kind, part) DO UPDATE SET body = excluded.body";
const REMOVE: &str = "DELETE FROM lambda_thing WHERE (name, kind, part) IN
    (SELECT value ->> 1, value ->> 0, value ->> 2 FROM json_each(?1))";
const REMOVE_FUNCTION: &str = "DELETE FROM lambda_thing
    WHERE name IN (SELECT value FROM json_each(?1)) AND kind NOT IN ('mapping', 'layer', 'layer-version')";

/// The world, shared with the writer.
#[derive(Default)]
struct Shared {
    world: RwLock<World>,
    generation: watch::Sender<u64>,
    settled: watch::Sender<u64>,
}

/// The world and its rows. Clones share it.
#[derive(Clone)]
pub struct Registry {
    store: Store,
    shared: Arc<Shared>,
    turn: Arc<Mutex<()>>,
}

impl Registry {
    /// Reads everything back.
    pub async fn open(store: Store) -> Result<Registry, StoreError> {
        let mut world = World::default();
        for row in sqlx::query(READ).fetch_all(store.read()).await? {
            let (name, part, body): (String, String, &str) =
                (row.try_get("name")?, row.try_get("part")?, row.try_get("body")?);
            let unusable = |error: serde_json::Error| {
                StoreError::Unusable(format!(
                    "cannot read `{name}` of the Lambda service from the state database: {error}; was it written by \
                     another version of dropwire? `dropwire up --fresh` starts anew"
                ))
            };
            let thing: Thing = serde_json::from_str(body).map_err(unusable)?;
            world.apply(vec![Edit::put(Key { name, part }, thing)]);
        }
        // What was left unsettled is settled: the app begins with all of it.
        world.generation = 1;
        let shared = Shared { world: RwLock::new(world), ..Shared::default() };
        shared.generation.send_replace(1);
        Ok(Registry { store, shared: Arc::new(shared), turn: Arc::default() })
    }

    /// The world as it is. Not to be held over an `await`.
    pub fn world(&self) -> RwLockReadGuard<'_, World> {
        self.shared.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides on a change by the world as it is, writes it down and makes it. On the disk when it returns.
    pub async fn change<T>(
        &self,
        decide: impl FnOnce(&World) -> Result<(T, Vec<Edit>), AwsError>,
    ) -> Result<T, AwsError> {
        let turn = self.turn.clone().lock_owned().await;
        let (answer, edits, rows) = {
            let world = self.world();
            let (answer, edits) = decide(&world)?;
            let rows = rows(&edits);
            (answer, edits, rows)
        };
        if edits.is_empty() {
            return Ok(answer);
        }
        let shared = self.shared.clone();
        let after = Box::new(move |result: Result<_, StoreError>| {
            if result.is_ok() {
                shared.alter(|world| world.apply(edits));
            }
            drop(turn);
        });
        let written = self.store.commit(rows, after).await.map_err(broken)?;
        written.await.map_err(|_| broken(StoreError::Stopping))?.map_err(broken)?;
        Ok(answer)
    }

    /// Alters what is not kept: what lies around. The app has to apply something if `alter` says so.
    pub fn alter(&self, alter: impl FnOnce(&mut World) -> bool) {
        self.shared.alter(alter);
    }

    /// A generation that grows with every change that the app has to apply.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.generation.subscribe()
    }

    /// The app has applied everything up to this generation.
    pub fn applied(&self, generation: u64) {
        self.shared.world.write().unwrap_or_else(PoisonError::into_inner).settle(generation);
        self.shared.settled.send_replace(generation);
    }

    /// Waits until the app has applied everything that has been changed so far.
    pub async fn until_in_force(&self) {
        let wanted = self.world().generation;
        let mut settled = self.shared.settled.subscribe();
        // It fails when nobody is left who could apply anything.
        settled.wait_for(|generation| *generation >= wanted).await.ok();
    }
}

impl Shared {
    fn alter(&self, alter: impl FnOnce(&mut World) -> bool) {
        let mut world = self.world.write().unwrap_or_else(PoisonError::into_inner);
        if alter(&mut world) {
            let generation = world.generation;
            drop(world);
            // Two that alter at once may come here in any order: the larger number counts.
            self.generation.send_modify(|told| *told = generation.max(*told));
        }
    }
}

/// The rows of these edits, in their order.
fn rows(edits: &[Edit]) -> Vec<Rows> {
    let mut all = Vec::new();
    let mut one = |sql: &'static str, row: &Value| {
        let mut rows = Rows::of(sql);
        rows.push(row);
        all.push(rows);
    };
    for edit in edits {
        match edit {
            Edit::Put(key, thing) => {
                // Our records always become JSON.
                let body = serde_json::to_string(thing).unwrap_or_default();
                one(PUT, &json!([thing.kind().word(), key.name, key.part, body]));
            }
            Edit::Remove(kind, key) => one(REMOVE, &json!([kind.word(), key.name, key.part])),
            Edit::RemoveFunction(name) => one(REMOVE_FUNCTION, &json!(name)),
            Edit::Unsettled(..) | Edit::Moving(..) => {}
        }
    }
    all
}
