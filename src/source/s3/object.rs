//! Objects as they are read: the row, held against the file that stands for it now.

use std::fs::File;
use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::Bucket;
use super::event::{Caller, Sequencer};
use super::folder::Known;
use super::index::{self, Older};
use super::look::stamp_of;
use super::order::{Act, Versioning, broken, kept_version, shown_version};
use crate::aws::AwsError;
use crate::clock::Timestamp;

/// How often a file is looked at again that changes while it is read.
const TRIES: usize = 3;

/// An object, or a version of one, or a delete marker.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Its eTag, without quotes.
    pub etag: String,
    /// When it was written, simulated.
    pub modified: Timestamp,
    /// Of its write: which of all writes to the key it is.
    pub sequencer: Sequencer,
    /// Its version as the API names it; None in a bucket that never had versions.
    pub version: Option<String>,
    /// Whether it is a delete marker.
    pub marker: bool,
    /// Whether it is the key's latest version.
    pub latest: bool,
    /// Headers, metadata, tags and checksums as JSON.
    pub meta: Option<String>,
    content: Option<Arc<File>>,
}

impl Object {
    /// Its content, from the beginning.
    pub fn open(&self) -> io::Result<File> {
        match &self.content {
            Some(file) => file.try_clone(),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }
}

impl Bucket {
    /// The object of this key as it is now, or this version of it (`null` for the null version), opened. Without a
    /// version a delete marker is an answer too: it says that there is nothing. What people have just dropped is
    /// there; what somebody is still writing is not yet.
    pub async fn object(
        self: &Arc<Self>,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<Object>, AwsError> {
        let wanted = version.map(kept_version);
        let mut unsteady = None;
        for _ in 0..TRIES {
            unsteady = None;
            let known = self.known(key).await?;
            let known = known.filter(|known| wanted.is_none_or(|wanted| known.extra.version == wanted));
            if known.is_none() && wanted.is_some() {
                break;
            }
            let (bucket, row, at) = (self.clone(), known.clone(), key.to_owned());
            let opened = tokio::task::spawn_blocking(move || bucket.open_known(&at, row.as_ref()));
            match opened.await.map_err(|error| broken(&error))? {
                Opened::AsKnown(content) => {
                    return Ok(known.map(|known| self.present(known, Some(Arc::new(content)))));
                }
                Opened::Nothing => break,
                // The worker has not seen this yet: it is told to look.
                Opened::Otherwise => {
                    unsteady = known;
                    let caller =
                        Caller { request_id: String::new(), host_id: String::new(), address: String::new() };
                    let (opens, opened) = oneshot::channel();
                    self.order(key, Act::Look(Some(opens)), caller).await?;
                    // It opens it too: in its turn no call writes it anew.
                    let opened = opened.await.ok();
                    if let Some((known, content)) =
                        opened.filter(|(known, _)| wanted.is_none_or(|wanted| known.extra.version == wanted))
                    {
                        return Ok(Some(self.present(known, Some(Arc::new(content)))));
                    }
                }
            }
        }
        if let Some(known) = unsteady {
            return self.kept_or_later(known).await;
        }
        match wanted {
            Some(wanted) => {
                let found = index::version(self.ground.store.read(), &self.spec.name, (key, wanted)).await;
                match found.map_err(|error| broken(&error))? {
                    Some(older) => Ok(Some(self.opened(key, older).await?)),
                    None => Ok(None),
                }
            }
            None if self.versioning() == Versioning::Off => Ok(None),
            None => {
                let newest = index::newest(self.ground.store.read(), &self.spec.name, key).await;
                let newest = newest.map_err(|error| broken(&error))?.into_iter().next();
                Ok(newest.filter(|older| older.marker).map(|older| self.older_object(key, older, true)))
            }
        }
    }

    /// An object whose file somebody is writing: what is kept of it, where versions are; else it must be asked for later.
    async fn kept_or_later(&self, known: Known) -> Result<Option<Object>, AwsError> {
        let kept = known.extra.blob.as_deref().and_then(|blob| self.vault.open_blob(blob).ok());
        match kept {
            Some(content) => Ok(Some(self.present(known, Some(Arc::new(content))))),
            None if known.extra.hidden => Err(broken(&"the object's content is gone from the state folder")),
            None => {
                let message = format!("somebody is writing the file of {}; please try again", known.key);
                Err(AwsError::new(503, "SlowDown", message).header("retry-after", "1"))
            }
        }
    }

    /// An older version, opened.
    async fn opened(self: &Arc<Self>, key: &str, older: Older) -> Result<Object, AwsError> {
        let (bucket, blob) = (self.clone(), older.blob.clone());
        let opening = tokio::task::spawn_blocking(move || bucket.vault.open_blob(&blob?).ok());
        let content = opening.await.map_err(|error| broken(&error))?.map(Arc::new);
        Ok(Object { content, ..self.older_object(key, older, false) })
    }

    /// What is known of a key.
    pub(super) async fn known(&self, key: &str) -> Result<Option<Known>, AwsError> {
        let found = index::fetch(self.ground.store.read(), &self.spec.name, &[key]).await;
        Ok(found.map_err(|error| broken(&error))?.pop())
    }

    fn open_known(&self, key: &str, known: Option<&Known>) -> Opened {
        if let Some(known) = known.filter(|known| known.extra.hidden) {
            let blob = known.extra.blob.as_deref().unwrap_or_default();
            // Where it was written anew since, the row is another one by now.
            return self.vault.open_blob(blob).map_or(Opened::Otherwise, Opened::AsKnown);
        }
        if super::folder::refusal(key).is_some() {
            return Opened::Nothing;
        }
        let file =
            self.vault.open_file(key).ok().filter(|file| file.metadata().is_ok_and(|found| found.is_file()));
        match (file, known) {
            (None, None) => Opened::Nothing,
            (Some(file), Some(known))
                if nix::sys::stat::fstat(&file).is_ok_and(|stat| stamp_of(&stat) == known.stamp) =>
            {
                Opened::AsKnown(file)
            }
            _ => Opened::Otherwise,
        }
    }

    /// Opens what this row stands for, if it does.
    pub(super) async fn open_in_turn(self: &Arc<Self>, known: Known) -> Option<(Known, File)> {
        let bucket = self.clone();
        let opening = move || match bucket.open_known(&known.key, Some(&known)) {
            Opened::AsKnown(content) => Some((known, content)),
            Opened::Nothing | Opened::Otherwise => None,
        };
        tokio::task::spawn_blocking(opening).await.ok().flatten()
    }

    /// The object that this row stands for.
    pub(super) fn present(&self, known: Known, content: Option<Arc<File>>) -> Object {
        let etag = known.shown_etag();
        let Known { key, stamp, sequencer, extra, .. } = known;
        let version = (self.versioning() != Versioning::Off).then(|| shown_version(&extra.version));
        Object {
            key,
            size: stamp.size,
            etag,
            modified: sequencer.time(),
            sequencer,
            version,
            marker: false,
            latest: true,
            meta: extra.meta,
            content,
        }
    }

    /// The object that this row of an older version stands for, not opened: a listing has many.
    pub(super) fn older_object(&self, key: &str, older: Older, latest: bool) -> Object {
        let Older { sequencer, version, marker, size, etag, meta, .. } = older;
        Object {
            key: key.to_owned(),
            size,
            etag,
            modified: sequencer.time(),
            sequencer,
            version: Some(shown_version(&version)),
            marker,
            latest,
            meta,
            content: None,
        }
    }
}

/// What lies under a key.
enum Opened {
    /// What the row says.
    AsKnown(File),
    /// Nothing, as we know.
    Nothing,
    /// Something else than the row says.
    Otherwise,
}

/// The eTag of a file that was never read.
pub(super) fn stamped(size: u64, mtime: i64, inode: u64) -> String {
    let parts = [size.to_be_bytes(), mtime.to_be_bytes(), inode.to_be_bytes()];
    let digest = crate::random::digest(&[&parts.concat()]);
    format!("{}-1", hex::encode(&digest[..16]))
}
