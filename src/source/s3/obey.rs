//! Orders of the S3 API, done by the bucket's worker: what is asked becomes events, rows and deeds of one commit.

use std::collections::{HashMap, HashSet};

use super::SourceError;
use super::event::{Caller, Change, Retouch, Sequencer, Tale};
use super::folder::{Extra, Hint, Known};
use super::ground::Ground;
use super::index::{self, Older};
use super::look::Depth;
use super::order::{
    Act, Answered, Delete, Done, Edit, Order, Put, Versioning, broken, kept_version, shown_version,
};
use super::settle::News;
use super::vault::{Deed, Room};
use super::version_id;
use super::work::Worker;
use crate::aws::AwsError;
use crate::event::Event;

impl Worker {
    /// Does what is asked, in rounds in which no key comes twice.
    pub(super) async fn take_orders(&mut self, mut orders: Vec<Order>) -> Result<(), SourceError> {
        while !orders.is_empty() {
            let mut keys = HashSet::new();
            let (round, later): (Vec<_>, Vec<_>) =
                orders.into_iter().partition(|order| keys.insert(order.key.clone()));
            self.obey(round).await?;
            orders = later;
        }
        self.tidy_deeds().await;
        Ok(())
    }

    async fn obey(&mut self, round: Vec<Order>) -> Result<(), SourceError> {
        let looks: Vec<String> =
            round.iter().filter(|order| order.wants_a_look()).map(|order| order.key.clone()).collect();
        let looks = looks.into_iter().map(|key| self.item(key, Hint::Found)).collect();
        self.settle(looks, Depth::Small).await?;
        let keys: Vec<&str> = round.iter().map(|order| order.key.as_str()).collect();
        let known = index::fetch(&self.surveyor.pool, &self.bucket.spec.name, &keys).await;
        let known = known.map_err(|error| self.unreadable(error))?;
        let known: HashMap<String, Known> =
            known.into_iter().map(|known| (known.key.clone(), known)).collect();
        let (round, grounds) = self.find_out(round, known).await;
        let mut news = News::default();
        let mut answers = Vec::new();
        for (order, ground) in round.into_iter().zip(grounds) {
            let Order { key, act, caller, answer } = order;
            let mut own = News::default();
            let done = self.decide(key, act, (&caller, ground), &mut own).await;
            if done.is_ok() {
                // Of what is refused or fails midway, nothing is done.
                news.append(own);
            }
            answers.push((answer, done));
        }
        let written = self.commit(news).await;
        let failure = written.as_ref().err().map(|error| broken(&error));
        for (answer, done) in answers {
            // Whoever asked may have gone away; it is done all the same.
            answer.send(failure.clone().map_or(done, Err)).ok();
        }
        // A full disk is the caller's answer, not the end of the bucket.
        Ok(())
    }

    async fn decide(
        &mut self,
        key: String,
        act: Act,
        (caller, ground): (&Caller, Ground),
        news: &mut News,
    ) -> Answered {
        match act {
            Act::Look => Ok(Done::default()),
            Act::Put(put) => self.put(key, *put, (caller, ground), news).await,
            Act::Delete(delete) => {
                if let Some(check) = delete.check {
                    check(ground.known.as_ref())?;
                }
                let delete = Delete { check: None, ..delete };
                match delete.version.clone() {
                    Some(version) => {
                        self.remove_version(key, (&version, delete.expired), (caller, ground), news).await
                    }
                    None => self.remove(key, delete.expired, (Some(caller), ground), news).await,
                }
            }
            Act::Edit { version, what, edit } => {
                self.edit((key, version), (what, edit), (caller, ground), news).await
            }
        }
    }

    async fn put(
        &mut self,
        key: String,
        put: Put,
        (caller, mut ground): (&Caller, Ground),
        news: &mut News,
    ) -> Answered {
        if let Some(check) = put.check {
            check(ground.known.as_ref())?;
        }
        let room = ground.room.take().unwrap_or(Err("it was not looked for".into()));
        let room = room.map_err(|error| broken(&error))?;
        let stamp = put.draft.stamp().map_err(|error| broken(&error))?;
        let sequencer = self.sequencer(ground.known.as_ref());
        let (bucket, hidden) = (self.bucket.spec.name.clone(), room != Room::Folder);
        let mut extra = Extra { version: self.new_version(sequencer), hidden, blob: None, meta: put.meta };
        self.supersede(&key, &mut ground, news).await?;
        let draft = put.draft.path().to_owned();
        if let Some(copy) = ground.copy.take() {
            let blob = self.bucket.new_blob();
            news.deeds.push(Deed::Keep(copy.path().to_owned(), blob.clone()));
            news.drafts.push(copy);
            extra.blob = Some(blob);
        }
        if !hidden {
            news.deeds.push(Deed::Show(draft, key.clone()));
            news.drafts.push(put.draft);
        } else if extra.blob.is_none() {
            let blob = self.bucket.new_blob();
            news.deeds.push(Deed::Keep(draft, blob.clone()));
            news.drafts.push(put.draft);
            extra.blob = Some(blob);
        }
        news.deeds.extend(put.forget.into_iter().map(Deed::Forget));
        news.writes.extend(put.writes);
        let object = Known { key, stamp, etag: put.etag, sequencer, extra };
        news.rows.put(&bucket, &object);
        let version = object.extra.version.as_str();
        let change = Change::Written { how: put.how, size: stamp.size, etag: &object.etag, version };
        news.events.push(self.tell(&object.key, change, (sequencer, Some(caller))));
        Ok(Done { version: self.shown(version), marker: false, sequencer })
    }

    /// Removes the object, or, where versions are kept, marks it as deleted.
    pub(super) async fn remove(
        &mut self,
        key: String,
        expired: bool,
        (caller, mut ground): (Option<&Caller>, Ground),
        news: &mut News,
    ) -> Answered {
        let sequencer = self.sequencer(ground.known.as_ref());
        self.floor = self.floor.max(sequencer);
        let bucket = self.bucket.spec.name.clone();
        if let Some(known) = &ground.known {
            if !known.extra.hidden {
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
            let draft = bucket.vault.copy(&mut bucket.vault.open_blob(&blob)?, number)?;
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
            news.deeds.push(Deed::Show(draft.path().to_owned(), key.to_owned()));
            news.drafts.push(draft);
        }
        Ok(())
    }

    async fn edit(
        &mut self,
        (key, version): (String, Option<String>),
        (what, edit): (Retouch, Edit),
        (caller, ground): (&Caller, Ground),
        news: &mut News,
    ) -> Answered {
        let bucket = self.bucket.spec.name.clone();
        let sequencer = self.sequencer(ground.known.as_ref());
        let wanted = version.as_deref().map(kept_version);
        let present = ground.known.filter(|known| wanted.is_none_or(|wanted| known.extra.version == wanted));
        let missing = || AwsError::new(404, "NoSuchKey", "The specified key does not exist.");
        let (etag, version, edited) = match (present, wanted) {
            (Some(mut known), _) => {
                let edited = edit(known.extra.meta.as_deref())?;
                if let Some(meta) = &edited {
                    known.extra.meta = Some(meta.clone());
                    news.rows.put(&bucket, &known);
                }
                (known.etag, known.extra.version, edited)
            }
            (None, None) => return Err(missing()),
            (None, Some(wanted)) => {
                let mut older =
                    self.older(&key, wanted).await?.filter(|older| !older.marker).ok_or_else(missing)?;
                let edited = edit(older.meta.as_deref())?;
                if edited.is_some() {
                    older.meta.clone_from(&edited);
                    news.rows.put_version(&bucket, &key, &older);
                }
                (older.etag, older.version, edited)
            }
        };
        if edited.is_some() {
            let change = Change::Retouched { what, etag: &etag, version: &version };
            news.events.push(self.tell(&key, change, (sequencer, Some(caller))));
        }
        Ok(Done { version: self.shown(&version), marker: false, sequencer })
    }

    /// Makes room for another version: what is there is archived in a bucket with versions, and goes away in others.
    pub(super) async fn supersede(
        &mut self,
        key: &str,
        ground: &mut Ground,
        news: &mut News,
    ) -> Result<(), AwsError> {
        let (bucket, versioning) = (self.bucket.spec.name.clone(), self.bucket.versioning());
        if versioning == Versioning::Suspended
            && let Some(null) = self.older(key, "").await?
        {
            news.rows.drop_version(&bucket, key, null.sequencer);
            news.deeds.extend(null.blob.map(Deed::Forget));
        }
        let Some(known) = &mut ground.known else { return Ok(()) };
        let stays = match versioning {
            Versioning::Off => false,
            Versioning::Enabled => true,
            Versioning::Suspended => !known.extra.version.is_empty(),
        };
        if stays && let Some(kept) = ground.kept.take() {
            let blob = self.bucket.new_blob();
            news.deeds.push(Deed::Keep(kept.path().to_owned(), blob.clone()));
            news.drafts.push(kept);
            known.extra.blob = Some(blob);
            news.rows.refresh(&bucket, known);
        }
        match &known.extra.blob {
            Some(_) if stays => news.rows.archive(&bucket, key),
            Some(blob) => news.deeds.push(Deed::Forget(blob.clone())),
            None => {}
        }
        Ok(())
    }

    async fn older(&self, key: &str, version: &str) -> Result<Option<Older>, AwsError> {
        let found = index::version(&self.surveyor.pool, &self.bucket.spec.name, (key, version)).await;
        found.map_err(|error| broken(&error))
    }

    /// The event of this change.
    pub(super) fn tell(
        &self,
        key: &str,
        change: Change<'_>,
        (sequencer, caller): (Sequencer, Option<&Caller>),
    ) -> Event {
        let at = self.bucket.ground.clock.now();
        self.bucket.voice.describe(&Tale { key, change, sequencer, at, caller })
    }

    /// The id of a version that is written now; empty where versions are not kept.
    pub(super) fn new_version(&self, sequencer: Sequencer) -> String {
        match self.bucket.versioning() {
            Versioning::Enabled => version_id::of(sequencer, &self.bucket.ground.random),
            Versioning::Off | Versioning::Suspended => String::new(),
        }
    }

    fn shown(&self, version: &str) -> Option<String> {
        (self.bucket.versioning() != Versioning::Off).then(|| shown_version(version))
    }
}
