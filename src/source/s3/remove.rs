//! Removing: objects, versions for good, and what comes back then.

use super::event::{Caller, Change, Sequencer};
use super::folder::{Extra, Known, Stamp};
use super::ground::Ground;
use super::index::{self, Older};
use super::order::{Answered, Delete, Done, Versioning, broken, kept_version};
use super::settle::News;
use super::vault::{Deed, Room};
use super::work::Worker;
use crate::aws::AwsError;

impl Worker {
    /// Does what DeleteObject asks, if its condition holds for the version that it names.
    pub(super) async fn delete(
        &mut self,
        key: String,
        delete: Delete,
        (caller, ground): (&Caller, Ground),
        news: &mut News,
    ) -> Answered {
        let Delete { version, check, expired } = delete;
        if let Some(check) = check {
            match version.as_deref().map(kept_version) {
                Some(wanted) if ground.known.as_ref().is_none_or(|known| known.extra.version != wanted) => {
                    let older = self.older(&key, wanted).await?.filter(|older| !older.marker);
                    check(older.map(|older| known_as(&key, older)).as_ref())?;
                }
                _ => check(ground.known.as_ref())?,
            }
        }
        match version {
            Some(version) => self.remove_version(key, (&version, expired), (caller, ground), news).await,
            None => self.remove(key, expired, (Some(caller), ground), news).await,
        }
    }

    /// Removes the object, or, where versions are kept, marks it as deleted.
    pub(super) async fn remove(
        &mut self,
        key: String,
        expired: bool,
        (caller, mut ground): (Option<&Caller>, Ground),
        news: &mut News,
    ) -> Answered {
        self.ours.forget(&key);
        let sequencer = self.sequencer(ground.known.as_ref());
        self.floor = self.floor.max(sequencer);
        let bucket = self.bucket.spec.name.clone();
        if let Some(known) = &ground.known {
            // What somebody else removed is gone, and may be back by now: moved away, and here again.
            if !known.extra.hidden && caller.is_some() {
                news.deeds.push(Deed::remove(&key, known.stamp));
            }
            news.rows.drop(&bucket, &key, sequencer);
        }
        self.supersede(&key, &mut ground, news).await?;
        if self.bucket.versioning() == Versioning::Off {
            let change = Change::Removed { version: "", expired };
            news.events.push(self.tell(&key, change, (sequencer, caller)));
            return Ok(Done { sequencer, ..Done::default() });
        }
        let version = self.new_version(sequencer);
        news.rows.raise_floor(&bucket, sequencer);
        news.rows.mark(&bucket, &key, (sequencer, &version));
        let change = Change::Marked { version: &version, expired };
        news.events.push(self.tell(&key, change, (sequencer, caller)));
        Ok(Done { version: self.shown(&version), marker: true, sequencer })
    }

    /// Removes one version for good; the one before it becomes the present one if it was.
    async fn remove_version(
        &mut self,
        key: String,
        (version, expired): (&str, bool),
        (caller, ground): (&Caller, Ground),
        news: &mut News,
    ) -> Answered {
        let (bucket, wanted) = (self.bucket.spec.name.clone(), kept_version(version));
        self.ours.forget(&key);
        let sequencer = self.sequencer(ground.known.as_ref());
        self.floor = self.floor.max(sequencer);
        let present = ground.known.as_ref().filter(|known| known.extra.version == wanted);
        let older = match present {
            // The lifecycle ends versions that are not current: this one is so again, or was written anew.
            Some(_) if expired => {
                return Ok(Done { version: Some(version.to_owned()), marker: false, sequencer });
            }
            Some(_) => None,
            None => self.older(&key, wanted).await?,
        };
        news.rows.raise_floor(&bucket, sequencer);
        let mut marker = false;
        if let Some(known) = present {
            if !known.extra.hidden {
                news.deeds.push(Deed::remove(&key, known.stamp));
            }
            news.deeds.extend(known.extra.blob.clone().map(Deed::Forget));
            news.rows.drop(&bucket, &key, sequencer);
            self.bring_back(&key, None, news).await?;
        } else if let Some(older) = older {
            marker = older.marker;
            news.rows.drop_version(&bucket, &key, older.sequencer);
            news.deeds.extend(older.blob.clone().map(Deed::Forget));
            if marker && ground.known.is_none() {
                self.bring_back(&key, Some(older.sequencer), news).await?;
            }
        } else {
            // AWS answers that it is gone, and tells nobody.
            return Ok(Done { version: Some(version.to_owned()), marker: false, sequencer });
        }
        let change = Change::Removed { version: wanted, expired };
        news.events.push(self.tell(&key, change, (sequencer, Some(caller))));
        Ok(Done { version: Some(version.to_owned()), marker, sequencer })
    }

    /// The latest older version, apart from `gone`, becomes the object again if it is no delete marker.
    async fn bring_back(
        &mut self,
        key: &str,
        gone: Option<Sequencer>,
        news: &mut News,
    ) -> Result<(), AwsError> {
        let (bucket, name) = (self.bucket.clone(), self.bucket.spec.name.clone());
        let newest = index::newest(&self.surveyor.pool, &name, key).await.map_err(|error| broken(&error))?;
        let Some(older) = newest.into_iter().find(|older| Some(older.sequencer) != gone) else {
            return Ok(());
        };
        let Some(blob) = older.blob.clone().filter(|_| !older.marker) else { return Ok(()) };
        let (at, number) = (key.to_owned(), bucket.ground.random.number());
        let made = tokio::task::spawn_blocking(move || {
            let draft = bucket.vault.bring(bucket.vault.open_blob(&blob)?, number)?;
            let room = bucket.vault.room(&at)?;
            Ok::<_, std::io::Error>((draft.stamp()?, draft, room))
        });
        let made = made.await.map_err(|error| broken(&error))?;
        let (stamp, draft, room) = made.map_err(|error| broken(&error))?;
        let hidden = room != Room::Folder;
        news.rows.drop_version(&name, key, older.sequencer);
        let Older { sequencer, version, etag, blob, meta, .. } = older;
        let extra = Extra { version, hidden, blob, meta };
        news.rows.restore(&name, &Known { key: key.to_owned(), stamp, etag, sequencer, extra });
        if !hidden {
            self.ours.wrote(key, stamp);
            news.deeds.push(Deed::Show(draft.path().to_owned(), key.to_owned()));
            news.drafts.push(draft.close());
        }
        Ok(())
    }
}

/// An older version as conditions see it.
fn known_as(key: &str, older: Older) -> Known {
    let Older { sequencer, version, size, etag, blob, meta, .. } = older;
    let extra = Extra { version, hidden: true, blob, meta };
    Known { key: key.to_owned(), stamp: Stamp { size, mtime: 0, inode: 0 }, etag, sequencer, extra }
}
