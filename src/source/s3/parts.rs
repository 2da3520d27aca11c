//! Uploads in parts as they are kept: rows, and a blob for each part.

use std::sync::Arc;

use md5::{Digest, Md5};
use serde_json::{Map, Value, json};
use sqlx::Row;

use super::Bucket;
use super::api::errors;
use super::api::meta::{Checksum, MetaPart};
use super::api::xml::listings::Part;
use super::order::broken;
use super::vault::{Deed, Draft};
use crate::aws::AwsError;
use crate::aws::checksum::{Algorithm, Hasher};
use crate::clock::Timestamp;
use crate::store::Write;

const BEGIN: &str = "INSERT INTO s3_upload (bucket, key, upload, created, meta)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1)";
const UPLOAD: &str =
    "SELECT key, upload, created, meta FROM s3_upload WHERE bucket = ?1 AND key = ?2 AND upload = ?3";
const UPLOADS: &str =
    "SELECT key, upload, created, meta FROM s3_upload WHERE bucket = ?1 ORDER BY key, upload";
const PUT_PART: &str = "INSERT OR REPLACE INTO s3_part (upload, number, size, etag, checksum, blob, modified)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
     FROM json_each(?1) WHERE EXISTS (SELECT 1 FROM s3_upload WHERE upload = value ->> 0)";
const PART: &str = "SELECT blob FROM s3_part WHERE upload = ?1 AND number = ?2";
const PARTS: &str =
    "SELECT number, size, etag, checksum, blob, modified FROM s3_part WHERE upload = ?1 ORDER BY number";
const FORGET_UPLOAD: &str = "DELETE FROM s3_upload WHERE (bucket, key, upload) IN
     (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1))";
const FORGET_PARTS: &str = "DELETE FROM s3_part WHERE upload IN (SELECT value FROM json_each(?1))";

/// How the parts begin in what is known of an object.
const PARTS_BEGIN: &str = "\"parts\":[";

/// An upload under way.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The key.
    pub key: String,
    /// Its id.
    pub id: String,
    /// When it began, simulated.
    pub created: Timestamp,
    /// What its object will have, as JSON.
    pub meta: Option<String>,
}

/// A part that has arrived.
pub struct NewPart {
    /// From 1.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// Its eTag, without quotes.
    pub etag: String,
    /// Its checksum.
    pub checksum: Option<Checksum>,
    /// Its content.
    pub draft: Draft,
}

/// A part as it is kept.
#[derive(Clone, Debug)]
pub struct Stored {
    /// From 1.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// Its eTag, without quotes.
    pub etag: String,
    /// Its checksum.
    pub checksum: Option<Checksum>,
    /// Where its content lies.
    pub blob: String,
    /// When it arrived, simulated.
    pub modified: Timestamp,
}

impl Stored {
    /// As listings show it.
    pub fn listed(&self) -> Part {
        let Stored { number, size, etag, checksum, modified, .. } = self.clone();
        Part { number, modified, etag, size, checksum }
    }
    /// As its object remembers it.
    pub fn kept(&self) -> MetaPart {
        MetaPart { number: self.number, size: self.size, checksum: self.checksum.clone() }
    }
}

/// The eTag of an object in parts: the MD5 of their MD5s, and how many there are.
pub fn etag_of(parts: &[Stored]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(hex::decode(&part.etag).unwrap_or_default());
    }
    format!("{}-{}", hex::encode(md5.finalize()), parts.len())
}

/// What is known of an object, as JSON, in the two texts that are kept: all but its parts, and its parts.
pub fn apart(meta: Option<&str>) -> (Option<String>, Option<String>) {
    let whole = || (meta.map(str::to_owned), None);
    let read = meta.filter(|text| text.contains(PARTS_BEGIN)).map(serde_json::from_str::<Map<String, Value>>);
    let Some(Ok(mut fields)) = read else { return whole() };
    match fields.remove("parts") {
        Some(parts) => (Some(Value::Object(fields).to_string()), Some(parts.to_string())),
        None => whole(),
    }
}

/// The two as one again.
pub fn together(meta: Option<String>, parts: Option<String>) -> Option<String> {
    let Some(parts) = parts else { return meta };
    let others =
        meta.as_deref().and_then(|text| text.strip_prefix('{')?.strip_suffix('}')).unwrap_or_default();
    let comma = if others.is_empty() { "" } else { "," };
    Some(format!("{{{others}{comma}{PARTS_BEGIN}{}}}", parts.strip_prefix('[').unwrap_or_default()))
}

/// The rows that end an upload.
pub fn forget_upload(bucket: &str, (key, id): (&str, &str)) -> Vec<Write> {
    vec![
        Write { sql: FORGET_UPLOAD, rows: vec![json!([bucket, key, id])] },
        Write { sql: FORGET_PARTS, rows: vec![json!(id)] },
    ]
}

/// The checksum of a draft by this algorithm; None if there is none of this name.
pub async fn checksum_of(draft: &Draft, algorithm: &str) -> Result<Option<Checksum>, AwsError> {
    let Some(algorithm) = Algorithm::named(algorithm) else { return Ok(None) };
    let mut file = std::fs::File::open(draft.path()).map_err(|error| broken(&error))?;
    let reading = tokio::task::spawn_blocking(move || {
        let mut hash = Hashing(Hasher::new(algorithm));
        std::io::copy(&mut file, &mut hash).map(|_| hash.0.finish())
    });
    let value = reading.await.map_err(|error| broken(&error))?.map_err(|error| broken(&error))?;
    Ok(Some(Checksum { algorithm: algorithm.name().to_owned(), value, kind: String::new() }))
}

struct Hashing(Hasher);

impl std::io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Bucket {
    /// Begins an upload.
    pub async fn begin_upload(&self, (key, id): (&str, &str), meta: Option<String>) -> Result<(), AwsError> {
        let created = self.ground.clock.now().as_micros();
        let rows = vec![json!([self.spec.name, key, id, created, meta])];
        self.write_rows(vec![Write { sql: BEGIN, rows }]).await
    }

    /// The upload of this key and id, if it is under way.
    pub async fn upload(&self, (key, id): (&str, &str)) -> Result<Option<Upload>, AwsError> {
        let query = sqlx::query(UPLOAD).bind(&self.spec.name).bind(key).bind(id);
        let row = query.fetch_optional(self.ground.store.read()).await.map_err(|error| broken(&error))?;
        row.as_ref().map(upload).transpose().map_err(|error| broken(&error))
    }

    /// All uploads under way, in the order of keys.
    pub async fn uploads(&self) -> Result<Vec<Upload>, AwsError> {
        let rows = sqlx::query(UPLOADS).bind(&self.spec.name).fetch_all(self.ground.store.read()).await;
        let rows = rows.map_err(|error| broken(&error))?;
        rows.iter().map(upload).collect::<Result<_, _>>().map_err(|error| broken(&error))
    }

    /// Keeps a part; one that had its number goes away. When it is written.
    pub async fn put_part(self: &Arc<Self>, upload: &str, part: NewPart) -> Result<Timestamp, AwsError> {
        let before: Option<String> = sqlx::query_scalar(PART)
            .bind(upload)
            .bind(part.number)
            .fetch_optional(self.ground.store.read())
            .await
            .map_err(|error| broken(&error))?;
        let (blob, modified) = (self.new_blob(), self.ground.clock.now());
        self.keep(part.draft, &blob)?;
        // Plain texts always become JSON.
        let checksum = part.checksum.map(|checksum| serde_json::to_string(&checksum).unwrap_or_default());
        let row = json!([upload, part.number, part.size, part.etag, checksum, blob, modified.as_micros()]);
        self.write_rows(vec![Write { sql: PUT_PART, rows: vec![row] }]).await?;
        if let Some(before) = before {
            self.forget_blobs(&[before]);
        }
        Ok(modified)
    }

    /// The parts of an upload, ascending.
    pub async fn parts(&self, upload: &str) -> Result<Vec<Stored>, AwsError> {
        let rows = sqlx::query(PARTS).bind(upload).fetch_all(self.ground.store.read()).await;
        let rows = rows.map_err(|error| broken(&error))?;
        rows.iter().map(stored).collect::<Result<_, _>>().map_err(|error| broken(&error))
    }

    /// Gives an upload up.
    pub async fn abort_upload(&self, (key, id): (&str, &str)) -> Result<(), AwsError> {
        let parts = self.parts(id).await?;
        self.write_rows(forget_upload(&self.spec.name, (key, id))).await?;
        self.forget_blobs(&parts.into_iter().map(|part| part.blob).collect::<Vec<_>>());
        Ok(())
    }

    /// A draft that holds these parts, one after the other.
    pub async fn joined(self: &Arc<Self>, upload: &str, parts: &[Stored]) -> Result<Draft, AwsError> {
        let upload = upload.to_owned();
        let (bucket, blobs) = (self.clone(), parts.iter().map(|part| part.blob.clone()).collect::<Vec<_>>());
        let joining = tokio::task::spawn_blocking(move || {
            let mut draft = bucket.draft()?;
            for blob in &blobs {
                // A part is gone when somebody else has ended the upload meanwhile.
                let opened = bucket.vault.open_blob(blob);
                let mut part = opened.map_err(|_| errors::no_such_upload(&upload))?;
                std::io::copy(&mut part, &mut draft.file).map_err(|error| broken(&error))?;
            }
            Ok(draft)
        });
        joining.await.map_err(|error| broken(&error))?
    }

    async fn write_rows(&self, writes: Vec<Write>) -> Result<(), AwsError> {
        self.ground.store.write(writes).await.map_err(|error| broken(&error))
    }

    fn forget_blobs(&self, blobs: &[String]) {
        for blob in blobs {
            if let Err(error) = self.vault.perform(&Deed::Forget(blob.clone())) {
                self.notice(
                    "warning",
                    format!("a part that is needed no more stays in the state folder: {error}"),
                );
            }
        }
    }
}

fn upload(row: &sqlx::sqlite::SqliteRow) -> Result<Upload, sqlx::Error> {
    let created = Timestamp::from_micros(row.try_get(2)?);
    Ok(Upload { key: row.try_get(0)?, id: row.try_get(1)?, created, meta: row.try_get(3)? })
}

fn stored(row: &sqlx::sqlite::SqliteRow) -> Result<Stored, sqlx::Error> {
    let (size, checksum): (i64, Option<&str>) = (row.try_get(1)?, row.try_get(3)?);
    Ok(Stored {
        number: row.try_get(0)?,
        size: size.cast_unsigned(),
        etag: row.try_get(2)?,
        checksum: checksum.and_then(|text| serde_json::from_str(text).ok()),
        blob: row.try_get(4)?,
        modified: Timestamp::from_micros(row.try_get(5)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::s3::api::meta::Meta;

    #[test]
    fn parts_are_kept_apart_and_come_together_again() {
        let mut meta = Meta::default();
        let mut check = |change: fn(&mut Meta), has_parts: bool| {
            change(&mut meta);
            let text = serde_json::to_string(&meta).expect("texts");
            let (rest, parts) = apart(Some(&text));
            assert_eq!(parts.is_some(), has_parts, "{text}");
            let rest_of: Meta = serde_json::from_str(rest.as_deref().expect("some")).expect("JSON");
            assert_eq!(rest_of, Meta { parts: Vec::new(), ..meta.clone() });
            let whole = together(rest, parts).expect("some");
            assert_eq!(serde_json::from_str::<Meta>(&whole).expect(&whole), meta);
        };
        check(|_| (), false);
        check(|meta| drop(meta.user.insert("parts".into(), "\"parts\":[]".into())), false);
        check(|meta| meta.parts = vec![MetaPart { number: 1, size: 5, checksum: None }; 2], true);
        check(|meta| meta.user.clear(), true);
        assert_eq!(apart(None), (None, None));
        assert_eq!(apart(Some("")), (Some(String::new()), None));
        assert_eq!(together(None, None), None);
    }
}
