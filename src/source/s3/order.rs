//! What the S3 API asks of a bucket's worker. One worker does everything that happens to a bucket, so that each
//! happening makes one event: never one for the call and another for the file.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use http::StatusCode;
use tokio::sync::{mpsc, oneshot};

use super::event::{Caller, How, Retouch, Sequencer};
use super::folder::{Known, refusal};
use super::service::{LIFECYCLE, NOTIFICATION};
use super::vault::Draft;
use super::{Bucket, index};
use crate::aws::AwsError;
use crate::store::Write;

/// Says whether a call may go on, given the object as it is; the failure if not.
pub type Check = Box<dyn FnOnce(Option<&Known>) -> Result<(), AwsError> + Send + Sync>;
/// Given what the API knows of an object, what it shall know; None changes nothing and is no event.
pub type Edit = Box<dyn FnOnce(Option<&str>) -> Result<Option<String>, AwsError> + Send + Sync>;
/// What comes of an order.
pub type Answered = Result<Done, AwsError>;

/// Something to do to one key.
pub struct Order {
    /// The key.
    pub key: String,
    /// What to do.
    pub act: Act,
    /// Who made the call.
    pub caller: Caller,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answered>,
    /// Whether its file was looked at already.
    pub looked: bool,
}

impl Order {
    /// Whether the file is looked at before anything is decided.
    pub(super) fn wants_a_look(&self, keeps_versions: bool) -> bool {
        // What no file can be called is not looked for: `.` would be the folder itself.
        !self.looked
            && refusal(&self.key).is_none()
            && match &self.act {
                Act::Look(_) | Act::Edit { .. } => true,
                // What somebody has written there a moment ago is a version too.
                Act::Put(put) => put.check.is_some() || keeps_versions,
                Act::Delete(_) => true,
                Act::Close(_) | Act::CatchUp | Act::KeepVersions(_) => false,
            }
    }
}

/// Whoever removes a bucket. When it is dropped before that is done, the bucket is as it was.
pub type Remover = Arc<()>;

/// What can be done to a key.
pub enum Act {
    /// Look at its file now, and open the object for whoever asks for that.
    Look(Option<oneshot::Sender<(Known, File)>>),
    /// Write the object.
    Put(Box<Put>),
    /// Remove the object.
    Delete(Delete),
    /// Answer when all that happened before is known. The key says nothing.
    CatchUp,
    /// Keep versions so from now on. The key says nothing.
    KeepVersions(Versioning),
    /// Let nothing happen in the bucket as long as it has this remover, if it is empty. The key says nothing.
    Close(Remover),
    /// Change what is known of it, not its content.
    Edit {
        /// The id of the version; None for the present one.
        version: Option<String>,
        /// What is done.
        what: Retouch,
        /// The change.
        edit: Edit,
    },
}

/// An object to write.
pub struct Put {
    /// Its content.
    pub draft: Draft,
    /// Another draft of the same, which stays when people change the file: where versions are kept.
    pub copy: Option<Draft>,
    /// Its eTag, without quotes.
    pub etag: String,
    /// Headers, metadata, tags and checksums as JSON.
    pub meta: Option<String>,
    /// By which call.
    pub how: How,
    /// Its condition, if it has one.
    pub check: Option<Check>,
    /// The upload in parts that it ends, which must not have ended before.
    pub ends: Option<String>,
    /// Rows written with it.
    pub writes: Vec<Write>,
    /// Blobs that are needed no more then.
    pub forget: Vec<String>,
}

impl Put {
    /// This content, without conditions.
    pub fn of(draft: Draft, etag: &str, meta: Option<String>, how: How) -> Put {
        let (copy, check, ends, writes, forget) = (None, None, None, Vec::new(), Vec::new());
        Put { draft, copy, etag: etag.to_owned(), meta, how, check, ends, writes, forget }
    }
}

/// An object to remove.
pub struct Delete {
    /// The id of the version, `null` for the null version; None removes the object, or marks it as deleted.
    pub version: Option<String>,
    /// Its condition, if it has one.
    pub check: Option<Check>,
    /// Whether it is the lifecycle that does it.
    pub expired: bool,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// The version that was written or removed: its id, `null`, or None in a bucket without versions.
    pub version: Option<String>,
    /// Whether that is a delete marker.
    pub marker: bool,
    /// The sequencer of the change.
    pub sequencer: Sequencer,
}

/// Whether a bucket keeps versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Versioning {
    /// It never did.
    #[default]
    Off,
    /// It does.
    Enabled,
    /// It did.
    Suspended,
}

/// The setting that holds it.
pub const VERSIONING: &str = "versioning";

/// Versions as the API names them: the empty one is `null`.
pub fn shown_version(version: &str) -> String {
    if version.is_empty() { "null".to_owned() } else { version.to_owned() }
}

/// The same the other way round.
pub fn kept_version(shown: &str) -> &str {
    if shown == "null" { "" } else { shown }
}

/// Nobody comes after it: whoever waits hears so.
pub(super) async fn refuse_all(orders: &mut mpsc::Receiver<Order>) {
    orders.close();
    while orders.recv().await.is_some() {}
}

impl Bucket {
    /// Has the worker do something to a key. Committed when it returns.
    pub async fn order(self: &Arc<Self>, key: &str, mut act: Act, caller: Caller) -> Answered {
        if let Act::Put(put) = &mut act {
            self.complete(put).await?;
        }
        let (answer, answered) = oneshot::channel();
        let order = Order { key: key.to_owned(), act, caller, answer, looked: false };
        if self.orders.0.send(order).await.is_err() {
            return Err(stopped());
        }
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Seals the draft of an object, and makes the copy that a bucket with versions keeps: before its turn comes, so that
    /// nobody waits for it but who asked.
    async fn complete(self: &Arc<Self>, put: &mut Put) -> Result<(), AwsError> {
        super::vault::seal(&put.draft.file).map_err(|error| broken(&error))?;
        if self.versioning() != Versioning::Off && put.copy.is_none() {
            let (bucket, file) = (self.clone(), put.draft.file.try_clone().map_err(|error| broken(&error))?);
            let copying = move || bucket.vault.copy(file, bucket.ground.random.number());
            let copied = tokio::task::spawn_blocking(copying).await.map_err(|error| broken(&error))?;
            put.copy = Some(copied.map_err(|error| broken(&error))?);
        }
        Ok(())
    }

    /// Versions are kept so.
    pub(super) fn is_kept_so(&self, versioning: Versioning) {
        self.settings().versioning = versioning;
    }

    /// Reads what was set before this start.
    pub async fn recall(&self) -> Result<(), AwsError> {
        self.is_kept_so(self.get(VERSIONING).await?.unwrap_or_default());
        self.live_by(self.get(LIFECYCLE).await?.unwrap_or_default());
        self.notify(self.get(NOTIFICATION).await?.unwrap_or_default());
        Ok(())
    }

    /// Sets something of this bucket, or takes it back.
    pub async fn set(&self, name: &str, value: Option<&impl serde::Serialize>) -> Result<(), AwsError> {
        let writes = index::setting(&self.spec.name, name, value).map_err(|error| broken(&error))?;
        self.ground.store.write(writes).await.map_err(|error| broken(&error))
    }

    /// What was set; None if nothing was.
    pub async fn get<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, AwsError> {
        let found = index::set(self.ground.store.read(), &self.spec.name, name).await;
        let Some(text) = found.map_err(|error| broken(&error))? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| broken(&error))
    }

    /// Begins a draft for an object of this bucket.
    pub fn draft(&self) -> Result<Draft, AwsError> {
        self.vault.draft(self.ground.random.number()).map_err(|error| broken(&error))
    }

    /// Where the draft of an object may go without an order: a part of an upload.
    pub fn new_blob(&self) -> String {
        format!("{:016x}", self.ground.random.number())
    }

    /// Keeps a draft as a blob.
    pub fn keep(&self, draft: Draft, blob: &str) -> Result<(), AwsError> {
        let path: PathBuf = draft.path().to_owned();
        let kept = self.vault.perform(&super::vault::Deed::Keep(path, blob.to_owned()));
        kept.map_err(|error| broken(&error))
    }
}

fn stopped() -> AwsError {
    let error =
        AwsError::new(503, "ServiceUnavailable", "dropwire is stopping, or the bucket is being opened");
    error.header("retry-after", "1")
}

/// The failure that says that the machine did not do what was asked.
pub fn broken(error: &dyn std::fmt::Display) -> AwsError {
    let status = StatusCode::INTERNAL_SERVER_ERROR.as_u16();
    AwsError::new(
        status,
        "InternalError",
        format!("We encountered an internal error: {error}. Please try again."),
    )
}
