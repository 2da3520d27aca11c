//! Orders of the S3 API, done by the bucket's worker: what is asked becomes events, rows and deeds of one commit.

use super::SourceError;
use super::api::errors;
use super::event::{Caller, Change, Retouch, Sequencer, Tale};
use super::flight::Decided;
use super::folder::{Extra, Hint, Known};
use super::ground::Ground;
use super::index::{self, Older};
use super::look::Depth;
use super::order::{
    Act, Answered, Done, Edit, Order, Put, Remover, VERSIONING, Versioning, broken, kept_version,
    shown_version,
};
use super::round::{self, Round};
use super::settle::News;
use super::vault::{Deed, Room};
use super::version_id;
use super::work::Worker;
use crate::aws::AwsError;
use crate::event::Event;

impl Worker {
    /// Does what is asked, in rounds.
    pub(super) async fn take_orders(&mut self, mut orders: Vec<Order>) -> Result<(), SourceError> {
        let ways = self.bucket.vault.ways();
        for order in orders.extract_if(.., |order| matches!(order.act, Act::CatchUp)) {
            self.caught.join(order.answer);
        }
        while !orders.is_empty() {
            let (round, first, later) = round::first(orders, ways, &self.flights.rounds());
            match first.is_empty() {
                true => self.land_first().await,
                false => self.obey(round, first).await?,
            }
            orders = later;
        }
        Ok(())
    }

    async fn obey(&mut self, round: Round, orders: Vec<Order>) -> Result<(), SourceError> {
        let keeps_versions = self.bucket.versioning() != Versioning::Off;
        let is_plain =
            |order: &Order| matches!(order.act, Act::Put(_)) && !order.wants_a_look(keeps_versions);
        if keeps_versions || !orders.iter().all(is_plain) {
            self.land_all().await;
        }
        let orders = self.look_before(orders).await?;
        let (orders, grounds) = self.find_out(orders).await?;
        let mut news = News::default();
        let mut decided = Vec::new();
        for (order, ground) in orders.into_iter().zip(grounds) {
            let Order { key, act, caller, answer, .. } = order;
            let (mut own, first) = (News::default(), news.deeds.len());
            let done = self.decide(key.clone(), act, (&caller, ground), &mut own).await;
            if done.is_ok() {
                // Of what is refused or fails midway, nothing is done.
                news.append(own);
            }
            decided.push(Decided { key, answer, done, deeds: first..news.deeds.len() });
        }
        // Where it is not even sent, its orders know.
        if let Ok(commit) = self.send(news, decided).await {
            self.take_off(round, commit).await;
        }
        Ok(())
    }

    /// Looks at the files of those keys where it matters what there is. Orders for a large file that is still to be read
    /// wait for that.
    async fn look_before(&mut self, round: Vec<Order>) -> Result<Vec<Order>, SourceError> {
        let keeps_versions = self.bucket.versioning() != Versioning::Off;
        let looks: Vec<String> = round
            .iter()
            .filter(|order| order.wants_a_look(keeps_versions))
            .map(|order| order.key.clone())
            .collect();
        self.asked_for = looks.iter().cloned().collect();
        let looks = looks.into_iter().map(|key| self.item(key, Hint::Found)).collect();
        // What was there before the bucket was first looked through is no news.
        let depth = self.first.unwrap_or(Depth::Small);
        let settled = self.settle(looks, depth).await;
        self.asked_for.clear();
        settled?;
        let is_read =
            |order: &Order| order.wants_a_look(keeps_versions) && self.reading.contains_key(&order.key);
        let (waiting, round): (Vec<_>, Vec<_>) = round.into_iter().partition(is_read);
        for order in waiting {
            let order = Order { looked: true, ..order };
            self.waiting.entry(order.key.clone()).or_default().push(order);
        }
        Ok(round)
    }

    async fn decide(
        &mut self,
        key: String,
        act: Act,
        (caller, ground): (&Caller, Ground),
        news: &mut News,
    ) -> Answered {
        if self.bucket.is_closed() {
            return Err(errors::no_such_bucket(&self.bucket.spec.name));
        }
        match act {
            Act::CatchUp => Ok(Done::default()),
            Act::Look(opens) => {
                if let (Some(opens), Some(known)) = (opens, ground.known)
                    && let Some(opened) = self.bucket.open_in_turn(known).await
                {
                    // Whoever asked may have gone away.
                    opens.send(opened).ok();
                }
                Ok(Done::default())
            }
            Act::Close(remover) => self.close(&remover).await,
            Act::KeepVersions(versioning) => {
                self.bucket.set(VERSIONING, Some(&versioning)).await?;
                self.bucket.is_kept_so(versioning);
                Ok(Done::default())
            }
            Act::Put(put) => self.put(key, *put, (caller, ground), news).await,
            Act::Delete(delete) => self.delete(key, delete, (caller, ground), news).await,
            Act::Edit { version, what, edit } => {
                self.edit((key, version), (what, edit), (caller, ground), news).await
            }
        }
    }

    /// Nothing happens in the bucket while it is removed, if there is nothing in it.
    async fn close(&mut self, remover: &Remover) -> Answered {
        let (bucket, name) = (self.bucket.clone(), self.bucket.spec.name.as_str());
        let (objects, versions) = bucket.has_any().await?;
        let at = bucket.clone();
        let files = tokio::task::spawn_blocking(move || at.vault.holds_files(&at.spec.ignore));
        let files = files.await.map_err(|error| broken(&error))?.map_err(|error| broken(&error))?;
        match (objects || files, versions) {
            (true, _) => Err(errors::bucket_not_empty(name)),
            (false, true) => Err(errors::bucket_has_versions(name)),
            (false, false) => {
                bucket.close_for(remover);
                Ok(Done::default())
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
        if let Some(upload) = &put.ends
            && self.bucket.upload((&key, upload)).await?.is_none()
        {
            return Err(errors::no_such_upload(upload));
        }
        let room = ground.room.take().unwrap_or(Err("it was not looked for".into()));
        let room = room.map_err(|error| broken(&error))?;
        let stamp = put.draft.stamp().map_err(|error| broken(&error))?;
        // The clock may have been set back since it was looked at.
        let sequencer = match ground.later_than {
            Some(latest) => self.sequencer_after(latest),
            None => self.sequencer(ground.known.as_ref()),
        };
        let (bucket, hidden) = (self.bucket.spec.name.clone(), room != Room::Folder);
        let mut extra = Extra { version: self.new_version(sequencer), hidden, blob: None, meta: put.meta };
        self.supersede(&key, &mut ground, news).await?;
        let draft = put.draft.path().to_owned();
        if let Some(copy) = put.copy {
            let blob = self.bucket.new_blob();
            news.deeds.push(Deed::Keep(copy.path().to_owned(), blob.clone()));
            news.drafts.push(copy.close());
            extra.blob = Some(blob);
        }
        if !hidden {
            self.ours.wrote(&key, stamp);
            news.deeds.push(Deed::Show(draft, key.clone()));
            news.drafts.push(put.draft.close());
        } else if extra.blob.is_none() {
            let blob = self.bucket.new_blob();
            news.deeds.push(Deed::Keep(draft, blob.clone()));
            news.drafts.push(put.draft.close());
            extra.blob = Some(blob);
            self.newness.has_blobs = true;
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
                (known.shown_etag(), known.extra.version, edited)
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
            news.drafts.push(kept.close());
            known.extra.blob = Some(blob);
            // An older version has no file whose stamp would tell it.
            known.etag = known.shown_etag();
            news.rows.refresh(&bucket, known);
        }
        match &known.extra.blob {
            Some(_) if stays => news.rows.archive(&bucket, key),
            Some(blob) => news.deeds.push(Deed::Forget(blob.clone())),
            None => {}
        }
        Ok(())
    }

    pub(super) async fn older(&self, key: &str, version: &str) -> Result<Option<Older>, AwsError> {
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

    pub(super) fn shown(&self, version: &str) -> Option<String> {
        (self.bucket.versioning() != Versioning::Off).then(|| shown_version(version))
    }
}
