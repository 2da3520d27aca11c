//! Buckets: made and removed by calls, listed, and what they say of themselves.

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use hyper::body::Body as HttpBody;
use serde_json::json;
use sqlx::Row;

use super::super::api::xml::listings;
use super::super::api::xml::requests::CreateBucket;
use super::super::api::{acl, errors, names};
use super::super::index;
use super::super::order::{Act, Remover};
use super::settings::{ACL, TAGS};
use super::{Ask, S3Api, Unread, broken, document};
use crate::aws::{Answer, AwsError};
use crate::clock::Timestamp;
use crate::config::MADE_BY_CALL;
use crate::store::{Store, Write};

const ALL: &str = "SELECT bucket, body FROM s3_setting WHERE name = 'made' ORDER BY bucket";
const FORGET_SETTINGS: &str = "DELETE FROM s3_setting WHERE bucket IN (SELECT value FROM json_each(?1))";
const FORGET_BUCKET: &str = "DELETE FROM s3_bucket WHERE bucket IN (SELECT value FROM json_each(?1))";
const FORGET_PARTS: &str = "DELETE FROM s3_part WHERE upload IN
     (SELECT upload FROM s3_upload WHERE bucket IN (SELECT value FROM json_each(?1)))";
const FORGET_UPLOADS: &str = "DELETE FROM s3_upload WHERE bucket IN (SELECT value FROM json_each(?1))";

/// The buckets that calls have made.
#[derive(Clone)]
pub struct Made(pub Store);

impl Made {
    /// Their names, and when each was made.
    pub async fn all(&self) -> Result<Vec<(String, Timestamp)>, sqlx::Error> {
        let rows = sqlx::query(ALL).fetch_all(self.0.read()).await?;
        let made = rows.iter().map(|row| {
            let micros = row.try_get::<&str, _>(1)?.parse().unwrap_or_default();
            Ok((row.try_get(0)?, Timestamp::from_micros(micros)))
        });
        made.collect()
    }
}

impl S3Api {
    pub(super) async fn create_bucket<B>(
        &self,
        name: &str,
        head: &Parts,
        body: Unread<B>,
    ) -> Result<Answer, AwsError>
    where
        B: HttpBody<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        names::check(name)?;
        let body = self.document(&head.headers, body).await?;
        let asked = CreateBucket::read(&body)?;
        let region = self.place.region.as_str();
        match asked.location.as_deref() {
            Some(location) if location != region => return Err(errors::illegal_location(Some(location))),
            None if region != "us-east-1" => return Err(errors::illegal_location(None)),
            _ => {}
        }
        let lock = "x-amz-bucket-object-lock-enabled";
        if head.headers.get(lock).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true")) {
            return Err(errors::header_not_built(lock));
        }
        let grants = acl::of_headers(&head.headers, &self.owner())?;
        let answer = Answer::empty(StatusCode::OK).with("location", &format!("/{name}"));
        let _alone = self.alone.lock().await;
        if self.buckets.get(name).is_some() {
            // In us-east-1 making one's own bucket again is no failure.
            return if region == "us-east-1" { Ok(answer) } else { Err(errors::bucket_already_yours(name)) };
        }
        let now = self.clock.now().as_micros();
        let mut writes = index::setting(name, "made", Some(&now)).map_err(|error| broken(&error))?;
        if !asked.tags.is_empty() {
            writes.extend(index::setting(name, TAGS, Some(&asked.tags)).map_err(|error| broken(&error))?);
        }
        if let Some(grants) = grants {
            writes.extend(index::setting(name, ACL, Some(&grants)).map_err(|error| broken(&error))?);
        }
        self.made.0.write(writes).await.map_err(|error| broken(&error))?;
        self.buckets.apply().await;
        if self.buckets.get(name).is_none() {
            self.forget(name).await?;
            return Err(errors::internal(format!(
                "the folder of bucket {name} cannot be made or watched; `dropwire status` says why"
            )));
        }
        Ok(answer)
    }

    pub(super) async fn delete_bucket(&self, ask: &Ask<'_>) -> Result<Answer, AwsError> {
        let name = ask.bucket.spec.name.as_str();
        let (objects, versions) = ask.bucket.has_any().await?;
        if objects {
            return Err(errors::bucket_not_empty(name));
        }
        if versions {
            return Err(errors::bucket_has_versions(name));
        }
        if ask.bucket.spec.origin.file != MADE_BY_CALL {
            let message = format!(
                "Access Denied: the bucket {name} is declared in the wiring file or is a folder of this project; take it out there"
            );
            return Err(AwsError::new(403, "AccessDenied", message).member("BucketName", name));
        }
        // Whoever makes it anew waits until nothing is left of it.
        let _alone = self.alone.lock().await;
        if self.buckets.get(name).is_none() {
            return Err(errors::no_such_bucket(name));
        }
        // Nothing is written to it from here on, unless this ends before it begins to be forgotten.
        let remover = Remover::default();
        ask.bucket.order("", Act::Close(remover.clone()), ask.caller.clone()).await?;
        ask.bucket.is_removed_by(Some(remover));
        if let Err(error) = self.forget(name).await {
            ask.bucket.is_removed_by(None);
            return Err(error);
        }
        self.buckets.apply().await;
        let bucket = ask.bucket.clone();
        let removing = tokio::task::spawn_blocking(move || {
            bucket.vault.remove_empty();
            bucket.vault.discard()
        });
        removing.await.map_err(|error| broken(&error))?.map_err(|error| broken(&error))?;
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    }

    async fn forget(&self, name: &str) -> Result<(), AwsError> {
        let writes = [FORGET_SETTINGS, FORGET_PARTS, FORGET_UPLOADS, FORGET_BUCKET];
        let writes = writes.map(|sql| Write { sql, rows: vec![json!(name)] });
        self.made.0.write(writes.to_vec()).await.map_err(|error| broken(&error))
    }

    pub(super) async fn list_buckets(&self, query: &[(String, String)]) -> Result<Answer, AwsError> {
        let value =
            |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let made = self.made.all().await.map_err(|error| broken(&error))?;
        let (prefix, after) = (value("prefix"), value("continuation-token").unwrap_or_default());
        let max = match value("max-buckets") {
            None => 10_000,
            Some(text) => text.parse().ok().filter(|max| (1..=10_000).contains(max)).ok_or_else(|| {
                let message = "Argument max-buckets must be an integer between 1 and 10000";
                errors::invalid_argument(message, "max-buckets", text)
            })?,
        };
        let region = self.place.region.clone();
        let mut buckets: Vec<(String, Timestamp, String)> = self
            .buckets
            .all()
            .into_iter()
            .filter(|(name, _)| {
                *name > after && prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix))
            })
            .map(|(name, bucket)| {
                let at = made.iter().find(|(made, _)| *made == name).map(|(_, at)| *at);
                (name, at.unwrap_or_else(|| bucket.since()), region.clone())
            })
            .collect();
        let more = buckets.len() > max;
        buckets.truncate(max);
        let continuation_token = buckets.last().filter(|_| more).map(|(name, ..)| name.clone());
        let told = listings::Buckets { owner: self.owner(), buckets, continuation_token, prefix };
        Ok(document(told.document()))
    }

    pub(super) fn head_bucket(&self) -> Answer {
        let answer = Answer::empty(StatusCode::OK).with("x-amz-bucket-region", &self.place.region);
        answer.with("x-amz-access-point-alias", "false")
    }

    pub(super) fn location(&self) -> Answer {
        document(super::super::api::xml::answers::location(&self.place.region))
    }
}
