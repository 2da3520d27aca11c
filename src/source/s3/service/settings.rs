//! What is set of buckets and objects: versions, tags, access lists, CORS, lifecycle.

use http::StatusCode;

use super::super::api::acl::{self, Grant};
use super::super::api::meta::Meta;
use super::super::api::operation::Operation;
use super::super::api::tags::{self, Of, Tag};
use super::super::api::xml::answers;
use super::super::api::xml::requests;
use super::super::api::{cors, errors, lifecycle, lifecycle_request};
use super::super::event::Retouch;
use super::super::order::{Act, Edit, Versioning};
use super::objects::{meta_of, text_of};
use super::{Ask, CORS, S3Api, document, with_version};
use crate::aws::{Answer, AwsError};

/// The setting that holds a bucket's tags.
pub const TAGS: &str = "tags";
/// The setting that holds a bucket's lifecycle.
pub const LIFECYCLE: &str = "lifecycle";
/// The setting that holds a bucket's access list.
pub const ACL: &str = "acl";

impl S3Api {
    /// The operations on settings.
    pub(super) async fn settle(
        &self,
        operation: Operation,
        ask: &Ask<'_>,
        body: &[u8],
    ) -> Result<Answer, AwsError> {
        let bucket = &ask.bucket;
        let name = bucket.spec.name.as_str();
        match operation {
            Operation::GetBucketVersioning => {
                let said = match bucket.versioning() {
                    Versioning::Off => None,
                    Versioning::Enabled => Some(requests::Versioning::Enabled),
                    Versioning::Suspended => Some(requests::Versioning::Suspended),
                };
                Ok(document(answers::versioning(said)))
            }
            Operation::PutBucketVersioning => {
                let versioning = match requests::Versioning::read(body)? {
                    requests::Versioning::Enabled => Versioning::Enabled,
                    requests::Versioning::Suspended => Versioning::Suspended,
                };
                bucket.order("", Act::KeepVersions(versioning), ask.caller.clone()).await?;
                Ok(Answer::empty(StatusCode::OK))
            }
            Operation::GetBucketTagging => {
                let tags: Option<Vec<Tag>> = bucket.get(TAGS).await?;
                Ok(document(tags::document_of(&tags.ok_or_else(|| errors::no_such_tag_set(name))?)))
            }
            Operation::PutBucketTagging => {
                self.set(ask, TAGS, Some(&tags::read(body, Of::Bucket)?), StatusCode::NO_CONTENT).await
            }
            Operation::DeleteBucketTagging => self.unset(ask, TAGS).await,
            Operation::GetBucketAcl => {
                let grants: Option<Vec<Grant>> = bucket.get(ACL).await?;
                let owner = self.owner();
                Ok(document(acl::document_of(&owner, &grants.unwrap_or_else(|| acl::private(&owner)))))
            }
            Operation::PutBucketAcl => {
                let grants = self.grants(ask, body)?;
                self.set(ask, ACL, Some(&grants), StatusCode::OK).await
            }
            other => self.settle_rules(other, ask, body).await,
        }
    }

    /// The operations on rules: CORS and lifecycle.
    async fn settle_rules(
        &self,
        operation: Operation,
        ask: &Ask<'_>,
        body: &[u8],
    ) -> Result<Answer, AwsError> {
        let bucket = &ask.bucket;
        let name = bucket.spec.name.as_str();
        match operation {
            Operation::GetBucketCors => {
                let rules: Option<Vec<cors::Rule>> = bucket.get(CORS).await?;
                Ok(document(cors::document_of(&rules.ok_or_else(|| errors::no_such_cors(name))?)))
            }
            Operation::PutBucketCors => self.set(ask, CORS, Some(&cors::read(body)?), StatusCode::OK).await,
            Operation::DeleteBucketCors => self.unset(ask, CORS).await,
            Operation::GetBucketLifecycle => {
                let rules: Option<Vec<lifecycle::Rule>> = bucket.get(LIFECYCLE).await?;
                let rules = rules.ok_or_else(|| errors::no_such_lifecycle(name))?;
                Ok(document(lifecycle::document_of(&rules)))
            }
            Operation::PutBucketLifecycle => {
                let rules = lifecycle_request::read(body, || self.random.uuid(4))?;
                let _alone = self.alone.lock().await;
                let done = self.set(ask, LIFECYCLE, Some(&rules), StatusCode::OK).await?;
                bucket.live_by(rules);
                Ok(done)
            }
            Operation::DeleteBucketLifecycle => {
                let _alone = self.alone.lock().await;
                let done = self.unset(ask, LIFECYCLE).await?;
                bucket.live_by(Vec::new());
                Ok(done)
            }
            other => self.settle_object(other, ask, body).await,
        }
    }

    async fn settle_object(
        &self,
        operation: Operation,
        ask: &Ask<'_>,
        body: &[u8],
    ) -> Result<Answer, AwsError> {
        match operation {
            Operation::GetObjectTagging => {
                let object = self.present(ask, ask.version()?).await?;
                let meta = meta_of(object.meta.as_deref())?;
                Ok(with_version(document(tags::document_of(&meta.tags)), object.version.as_deref()))
            }
            Operation::PutObjectTagging => {
                let tags = tags::read(body, Of::Object)?;
                let edit = edit(move |meta| meta.tags.clone_from(&tags));
                self.edit(ask, (Retouch::Tagged, edit), StatusCode::OK).await
            }
            Operation::DeleteObjectTagging => {
                let edit = edit(|meta| meta.tags.clear());
                self.edit(ask, (Retouch::Untagged, edit), StatusCode::NO_CONTENT).await
            }
            Operation::GetObjectAcl => {
                let object = self.present(ask, ask.version()?).await?;
                let (meta, owner) = (meta_of(object.meta.as_deref())?, self.owner());
                let grants = meta.grants.unwrap_or_else(|| acl::private(&owner));
                Ok(with_version(document(acl::document_of(&owner, &grants)), object.version.as_deref()))
            }
            Operation::PutObjectAcl => {
                let (grants, private) = (self.grants(ask, body)?, acl::private(&self.owner()));
                // One that changes nothing is no event.
                let edit: Edit = Box::new(move |text| {
                    let mut meta = meta_of(text)?;
                    if meta.grants.as_ref().unwrap_or(&private) == &grants {
                        return Ok(None);
                    }
                    meta.grants = Some(grants).filter(|grants| *grants != private);
                    Ok(Some(text_of(&meta)))
                });
                self.edit(ask, (Retouch::Acl, edit), StatusCode::OK).await
            }
            Operation::GetBucketNotification | Operation::PutBucketNotification => {
                self.notification(operation, ask, body).await
            }
            other => Err(errors::not_built(&format!("{other:?}"))),
        }
    }

    async fn set(
        &self,
        ask: &Ask<'_>,
        name: &str,
        value: Option<&impl serde::Serialize>,
        status: StatusCode,
    ) -> Result<Answer, AwsError> {
        ask.bucket.set(name, value).await?;
        Ok(Answer::empty(status))
    }

    async fn unset(&self, ask: &Ask<'_>, name: &str) -> Result<Answer, AwsError> {
        ask.bucket.set(name, None::<&()>).await?;
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    }

    async fn edit(
        &self,
        ask: &Ask<'_>,
        (what, edit): (Retouch, Edit),
        status: StatusCode,
    ) -> Result<Answer, AwsError> {
        let version = ask.version()?.map(str::to_owned);
        let done = ask.bucket.order(ask.key, Act::Edit { version, what, edit }, ask.caller.clone()).await;
        match done {
            Ok(done) => Ok(with_version(Answer::empty(status), done.version.as_deref())),
            Err(error) if error.code == "NoSuchKey" => Err(self.nothing_to_edit(ask).await?),
            Err(error) => Err(error),
        }
    }

    /// Why there is nothing to edit. Who writes hears of a delete marker what those who read hear when they name it.
    async fn nothing_to_edit(&self, ask: &Ask<'_>) -> Result<AwsError, AwsError> {
        let version = ask.version()?;
        let marker = ask.bucket.object(ask.key, version).await?.filter(|object| object.marker);
        Ok(match (marker, version) {
            (Some(marker), _) => {
                errors::marker_not_allowed(&ask.head.method, marker.version.as_deref().unwrap_or("null"))
            }
            (None, Some(version)) => errors::no_such_version(ask.key, version),
            (None, None) => errors::no_such_key(ask.key),
        })
    }

    /// What a request for an access list says, in its headers or its body.
    fn grants(&self, ask: &Ask<'_>, body: &[u8]) -> Result<Vec<Grant>, AwsError> {
        let owner = self.owner();
        match acl::of_headers(ask.headers(), &owner)? {
            Some(_) if !body.is_empty() => Err(errors::bad_request("This request does not support content")),
            Some(grants) => Ok(grants),
            None if body.is_empty() => Err(errors::missing_body()),
            None => acl::read(body, &owner),
        }
    }
}

/// An edit of what is known of an object.
fn edit(change: impl Fn(&mut Meta) + Send + Sync + 'static) -> Edit {
    Box::new(move |text| {
        let mut meta = meta_of(text)?;
        change(&mut meta);
        Ok(Some(text_of(&meta)))
    })
}
