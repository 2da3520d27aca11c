//! Copies: of objects, and of their bytes into parts of uploads.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use md5::{Digest, Md5};

use super::super::Bucket;
use super::super::api::conditions::{self, Facts};
use super::super::api::copy::{self, CopySource, Directive};
use super::super::api::meta::{Checksum, Meta};
use super::super::api::xml::answers::Copied;
use super::super::api::{errors, headers};
use super::super::event::How;
use super::super::object::Object;
use super::super::order::{Act, Put};
use super::super::vault::Draft;
use super::super::version_id;
use super::content::PIECE_MAX;
use super::objects::{condition, kept, meta_of, must_be_at_hand};
use super::{Ask, S3Api, broken, document, with_version};
use crate::aws::checksum::{Algorithm, Hasher};
use crate::aws::{Answer, AwsError};

/// What is read at once, in bytes.
const BLOCK: usize = 256 << 10;

/// A copy of bytes.
pub struct Copy {
    /// The copy.
    pub draft: Draft,
    /// Its MD5 in hex.
    pub etag: String,
    /// Its checksum.
    pub checksum: Checksum,
}

impl S3Api {
    pub(super) async fn copy_object(&self, ask: &Ask<'_>) -> Result<Answer, AwsError> {
        let (from, source) = self.source(ask).await?;
        let itself = from.bucket == ask.bucket.spec.name && from.key == ask.key && from.version.is_none();
        if itself && !copy::changes_something(ask.headers())? {
            return Err(copy::changes_nothing());
        }
        if source.size > PIECE_MAX {
            return Err(errors::invalid_request(format!(
                "The specified copy source is larger than the maximum allowable size for a copy source: {PIECE_MAX}"
            )));
        }
        let before = meta_of(source.meta.as_deref())?;
        let asked = headers::of_put(ask.headers(), &self.owner())?;
        let mut meta = match copy::metadata(ask.headers())? {
            Directive::Copy => {
                let headers = copy::taken_over(before.headers, &asked.headers);
                Meta { headers, user: before.user, ..asked.clone() }
            }
            Directive::Replace => asked.clone(),
        };
        meta.class = asked.class;
        meta.tags = match copy::tagging(ask.headers())? {
            Directive::Copy => before.tags,
            Directive::Replace => asked.tags,
        };
        let algorithm = ask.header("x-amz-checksum-algorithm").and_then(Algorithm::named);
        let algorithm = algorithm
            .or_else(|| before.checksum.as_ref().and_then(|checksum| Algorithm::named(&checksum.algorithm)))
            .unwrap_or(Algorithm::Crc64Nvme);
        let copied = self.copy(&ask.bucket, &source, (0..source.size, algorithm)).await?;
        meta.checksum = Some(Checksum { kind: "FULL_OBJECT".to_owned(), ..copied.checksum });
        let put =
            Put { check: condition(ask), ..Put::of(copied.draft, &copied.etag, kept(&meta), How::Copy) };
        let done = ask.bucket.order(ask.key, Act::Put(Box::new(put)), ask.caller.clone()).await?;
        let told = Copied { modified: done.sequencer.time(), etag: copied.etag, checksum: meta.checksum };
        let answer = document(told.document()).with("x-amz-server-side-encryption", "AES256");
        Ok(with_version(of_source(answer, &from, &source), done.version.as_deref()))
    }

    /// What the request copies, if its conditions hold.
    pub(super) async fn source(&self, ask: &Ask<'_>) -> Result<(CopySource, Object), AwsError> {
        let from = CopySource::of(ask.headers())?;
        let bucket = self.buckets.get(&from.bucket).ok_or_else(|| errors::no_such_bucket(&from.bucket))?;
        self.check_owner(ask.headers(), "x-amz-source-expected-bucket-owner")?;
        let version = from.version.as_deref().map(version_id::possible).transpose()?;
        let found = bucket.object(&from.key, version).await?;
        let object = match (found, &from.version) {
            (Some(object), Some(_)) if object.marker => {
                return Err(errors::invalid_request(
                    "The source of a copy request may not specifically refer to a delete marker by version id.",
                ));
            }
            (Some(object), _) if !object.marker => object,
            (_, Some(version)) => return Err(errors::no_such_version(&from.key, version)),
            (_, None) => return Err(errors::no_such_key(&from.key)),
        };
        must_be_at_hand(&meta_of(object.meta.as_deref())?)?;
        conditions::of_copy_source(ask.headers(), Facts { etag: &object.etag, modified: object.modified })?;
        Ok((from, object))
    }

    /// Copies some bytes of an object into a draft of a bucket.
    pub(super) async fn copy(
        &self,
        bucket: &Arc<Bucket>,
        source: &Object,
        (range, algorithm): (std::ops::Range<u64>, Algorithm),
    ) -> Result<Copy, AwsError> {
        let (bucket, file) = (bucket.clone(), source.open().map_err(|_| errors::no_such_key(&source.key))?);
        let copying = tokio::task::spawn_blocking(move || {
            let mut draft = bucket.draft()?;
            let copied = copied((file, range), &mut draft.file, algorithm).map_err(|error| broken(&error))?;
            Ok((draft, copied))
        });
        let (draft, (etag, value)) = copying.await.map_err(|error| broken(&error))??;
        let checksum = Checksum { algorithm: algorithm.name().to_owned(), value, kind: String::new() };
        Ok(Copy { draft, etag, checksum })
    }
}

/// The answer with the version that was copied.
pub fn of_source(answer: Answer, from: &CopySource, source: &Object) -> Answer {
    match source.version.as_ref().filter(|version| *version != "null" || from.version.is_some()) {
        Some(version) => answer.with("x-amz-copy-source-version-id", version),
        None => answer,
    }
}

/// Copies bytes; their MD5 in hex and their checksum.
fn copied(
    (mut from, range): (File, std::ops::Range<u64>),
    to: &mut File,
    algorithm: Algorithm,
) -> std::io::Result<(String, String)> {
    let (mut md5, mut checksum) = (Md5::new(), Hasher::new(algorithm));
    let mut block = vec![0; BLOCK];
    let mut left = range.end - range.start;
    from.seek(SeekFrom::Start(range.start))?;
    while left > 0 {
        let wanted = BLOCK.min(usize::try_from(left).unwrap_or(BLOCK));
        from.read_exact(&mut block[..wanted])?;
        md5.update(&block[..wanted]);
        checksum.update(&block[..wanted]);
        to.write_all(&block[..wanted])?;
        left -= wanted as u64;
    }
    Ok((hex::encode(md5.finalize()), checksum.finish()))
}
