//! Uploads in parts.

use bytes::Bytes;
use http::StatusCode;
use hyper::body::Body as HttpBody;

use super::super::api::meta::{Checksum, Meta};
use super::super::api::xml::answers::{Completed, Copied, Initiated};
use super::super::api::xml::listings::{self, Part};
use super::super::api::xml::requests::{self, Complete};
use super::super::api::{conditions, errors, headers, lifecycle, whole};
use super::super::event::How;
use super::super::order::{Act, Put};
use super::super::parts::{self, NewPart, Stored, Upload};
use super::content::{PIECE_MAX, receive};
use super::copies::of_source;
use super::objects::{condition, kept, meta_of};
use super::{Ask, S3Api, Unread, added_to, document, number, with_version};
use crate::aws::checksum::Algorithm;
use crate::aws::{Answer, AwsError};
use crate::clock::Timestamp;

/// Bytes in a part that is not the last.
const PART_MIN: u64 = 5 << 20;
/// How many a page has at most.
const PAGE_MAX: u32 = 1000;
/// What letters an upload's id has.
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";

impl S3Api {
    pub(super) async fn create_upload(&self, ask: &Ask<'_>) -> Result<Answer, AwsError> {
        let mut meta = headers::of_put(ask.headers(), &self.owner())?;
        let algorithm = match ask.header("x-amz-checksum-algorithm") {
            Some(name) => Algorithm::named(name).ok_or_else(|| {
                errors::invalid_request("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
            })?,
            None => Algorithm::Crc64Nvme,
        };
        let composite =
            ask.header("x-amz-checksum-type").map_or(!matches!(algorithm, Algorithm::Crc64Nvme), |kind| {
                kind.eq_ignore_ascii_case("COMPOSITE")
            });
        match algorithm {
            Algorithm::Crc64Nvme if composite => return Err(no_such_kind("COMPOSITE", algorithm)),
            Algorithm::Sha1 | Algorithm::Sha256 if !composite => {
                return Err(no_such_kind("FULL_OBJECT", algorithm));
            }
            _ => {}
        }
        let kind = if composite { "COMPOSITE" } else { "FULL_OBJECT" };
        meta.checksum =
            Some(Checksum { algorithm: algorithm.name().into(), value: String::new(), kind: kind.into() });
        // Those of one key are listed in the order in which they began.
        let upload = format!("{:016x}{}", self.clock.now().as_micros(), self.random.text(LETTERS, 48));
        ask.bucket.begin_upload((ask.key, &upload), kept(&meta)).await?;
        let told = Initiated { bucket: ask.bucket.spec.name.clone(), key: ask.key.to_owned(), upload };
        let answer = document(told.document()).with("x-amz-server-side-encryption", "AES256");
        let answer = with_abortion(ask, answer, self.clock.now());
        let answer = match ask.header("x-amz-checksum-algorithm") {
            Some(_) => {
                answer.with("x-amz-checksum-algorithm", algorithm.name()).with("x-amz-checksum-type", kind)
            }
            None => answer,
        };
        Ok(answer)
    }

    /// The upload that the query names, and what its object will have.
    async fn upload(&self, ask: &Ask<'_>) -> Result<(Upload, Meta), AwsError> {
        let id = ask.query("uploadId").unwrap_or_default();
        let found = ask.bucket.upload((ask.key, id)).await?.ok_or_else(|| errors::no_such_upload(id))?;
        let meta = meta_of(found.meta.as_deref())?;
        Ok((found, meta))
    }

    pub(super) async fn upload_part<B>(&self, ask: &Ask<'_>, body: Unread<B>) -> Result<Answer, AwsError>
    where
        B: HttpBody<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let (number, (upload, meta)) = (part_number(ask)?, self.upload(ask).await?);
        let drafted = receive(&ask.bucket, ask.headers(), body, PIECE_MAX).await?;
        let etag = drafted.etag();
        let checksum = drafted.checksum("");
        let wanted = meta.checksum.as_ref().map(|checksum| checksum.algorithm.as_str()).unwrap_or_default();
        let checksum = match checksum.filter(|checksum| checksum.algorithm == wanted) {
            Some(checksum) => Some(checksum),
            // Reckoned by another one: its own is read from what has arrived.
            None => parts::checksum_of(&drafted.draft, wanted).await?,
        };
        let size = drafted.received.size;
        let part =
            NewPart { number, size, etag: etag.clone(), checksum: checksum.clone(), draft: drafted.draft };
        ask.bucket.put_part(&upload.id, part).await?;
        let answer = Answer::empty(StatusCode::OK).with("etag", &format!("\"{etag}\""));
        let answer = answer.with("x-amz-server-side-encryption", "AES256");
        Ok(match checksum {
            Some(checksum) => {
                let name = format!("x-amz-checksum-{}", checksum.algorithm.to_lowercase());
                added_to(answer, &[(name, checksum.value)])
            }
            None => answer,
        })
    }

    pub(super) async fn copy_part(&self, ask: &Ask<'_>) -> Result<Answer, AwsError> {
        let (number, (upload, meta)) = (part_number(ask)?, self.upload(ask).await?);
        let (from, source) = self.source(ask).await?;
        let range = conditions::copy_range(ask.header("x-amz-copy-source-range"), source.size)?;
        let range = range.unwrap_or(0..source.size);
        let size = range.end - range.start;
        if size > PIECE_MAX {
            return Err(errors::entity_too_large(size, PIECE_MAX));
        }
        let algorithm = meta.checksum.as_ref().and_then(|checksum| Algorithm::named(&checksum.algorithm));
        let algorithm = algorithm.unwrap_or(Algorithm::Crc64Nvme);
        let copied = self.copy(&ask.bucket, &source, (range, algorithm)).await?;
        let checksum = Some(copied.checksum);
        let etag = copied.etag.clone();
        let part = NewPart { number, size, etag, checksum: checksum.clone(), draft: copied.draft };
        let modified = ask.bucket.put_part(&upload.id, part).await?;
        let told = Copied { modified, etag: copied.etag, checksum };
        Ok(of_source(document(told.part_document()), &from, &source))
    }

    pub(super) async fn complete_upload(&self, ask: &Ask<'_>, body: &[u8]) -> Result<Answer, AwsError> {
        let id = ask.query("uploadId").unwrap_or_default().to_owned();
        let asked = Complete::read(body, &id)?;
        let (upload, mut meta) = match self.upload(ask).await {
            Err(error) => return self.completed_before(ask, &id).await?.ok_or(error),
            Ok(found) => found,
        };
        let stored = ask.bucket.parts(&upload.id).await?;
        let chosen = chosen(&asked, &stored, &id)?;
        let size: u64 = chosen.iter().map(|part| part.size).sum();
        let etag = parts::etag_of(&chosen);
        let algorithm = meta.checksum.as_ref().and_then(|checksum| Algorithm::named(&checksum.algorithm));
        if let (Some(checksum), Some(algorithm)) = (&mut meta.checksum, algorithm) {
            checksum.value = reckoned(algorithm, &checksum.kind, &chosen).unwrap_or_default();
        }
        whole::check(ask.headers(), size, meta.checksum.as_ref())?;
        meta.checksum = meta.checksum.filter(|checksum| !checksum.value.is_empty());
        meta.parts = chosen.iter().map(|part| part.kept()).collect();
        let draft = ask.bucket.joined(&id, &chosen).await?;
        meta.upload = Some(id.clone());
        let put = Put {
            check: condition(ask),
            ends: Some(id.clone()),
            writes: parts::forget_upload(&ask.bucket.spec.name, (ask.key, &id)),
            forget: stored.iter().map(|part| part.blob.clone()).collect(),
            ..Put::of(draft, &etag, kept(&meta), How::CompleteMultipartUpload)
        };
        let done = ask.bucket.order(ask.key, Act::Put(Box::new(put)), ask.caller.clone()).await?;
        Ok(completed(ask, (etag, meta.checksum), done.version.as_deref()))
    }

    /// The same answer once more, for who did not hear it: the object is still the one that this upload became.
    async fn completed_before(&self, ask: &Ask<'_>, id: &str) -> Result<Option<Answer>, AwsError> {
        let Some(object) = ask.bucket.object(ask.key, None).await? else { return Ok(None) };
        let meta = meta_of(object.meta.as_deref())?;
        let is_it = !object.marker && meta.upload.as_deref() == Some(id);
        Ok(is_it.then(|| completed(ask, (object.etag, meta.checksum), object.version.as_deref())))
    }

    pub(super) async fn abort_upload(&self, ask: &Ask<'_>) -> Result<Answer, AwsError> {
        let (upload, _) = self.upload(ask).await?;
        ask.bucket.abort_upload((ask.key, &upload.id)).await?;
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    }

    pub(super) async fn list_parts(&self, ask: &Ask<'_>) -> Result<Answer, AwsError> {
        let (upload, meta) = self.upload(ask).await?;
        let (max, marker) = (number(ask, "max-parts", PAGE_MAX)?, ask.query("part-number-marker"));
        let marker = marker.and_then(|text| text.parse().ok()).unwrap_or(0);
        let stored = ask.bucket.parts(&upload.id).await?;
        let after: Vec<&Stored> = stored.iter().filter(|part| part.number > marker).collect();
        let parts: Vec<Part> = after.iter().take(max as usize).map(|part| part.listed()).collect();
        let created = upload.created;
        let told = listings::Parts {
            bucket: ask.bucket.spec.name.clone(),
            upload: self.listed(upload, &meta),
            marker,
            next_marker: parts.last().map_or(0, |part| part.number),
            max,
            is_truncated: after.len() > parts.len(),
            parts,
        };
        Ok(with_abortion(ask, document(told.document()), created))
    }

    pub(super) async fn list_uploads(&self, ask: &Ask<'_>) -> Result<Answer, AwsError> {
        let text = |name: &str| ask.query(name).unwrap_or_default().to_owned();
        let (key_marker, upload_id_marker) = (text("key-marker"), text("upload-id-marker"));
        let (prefix, delimiter) = (text("prefix"), text("delimiter"));
        let max = number(ask, "max-uploads", PAGE_MAX)?;
        let (mut page, mut uploads, mut last) = (listings::Page::default(), Vec::new(), None);
        for upload in ask.bucket.uploads().await? {
            let is_before = match upload_id_marker.is_empty() {
                true => upload.key <= key_marker && !key_marker.is_empty(),
                false => (&upload.key, &upload.id) <= (&key_marker, &upload_id_marker),
            };
            if is_before || !upload.key.starts_with(&prefix) {
                continue;
            }
            let cut = Some(&delimiter).filter(|text| !text.is_empty());
            let at = cut.and_then(|text| Some((upload.key[prefix.len()..].find(text)?, text.len())));
            let rolled = at.map(|(at, length)| upload.key[..prefix.len() + at + length].to_owned());
            // One that this page or the one before it has told of.
            let is_told =
                |prefix: &String| page.common_prefixes.last() == Some(prefix) || key_marker == *prefix;
            if rolled.as_ref().is_some_and(is_told) {
                continue;
            }
            if uploads.len() + page.common_prefixes.len() == max as usize {
                // Of nothing there is no next page.
                page.is_truncated = max > 0;
                break;
            }
            match rolled {
                Some(prefix) => {
                    last = Some((prefix.clone(), String::new()));
                    page.common_prefixes.push(prefix);
                }
                None => {
                    last = Some((upload.key.clone(), upload.id.clone()));
                    let meta = meta_of(upload.meta.as_deref())?;
                    uploads.push(self.listed(upload, &meta));
                }
            }
        }
        page = listings::Page {
            bucket: ask.bucket.spec.name.clone(),
            prefix,
            delimiter: Some(delimiter).filter(|text| !text.is_empty()),
            max,
            encoding: super::lists::encoding(ask)?,
            ..page
        };
        let (next_key_marker, next_upload_id_marker) = last.filter(|_| page.is_truncated).unwrap_or_default();
        let told = listings::Uploads {
            page,
            key_marker,
            upload_id_marker,
            next_key_marker,
            next_upload_id_marker,
            uploads,
        };
        Ok(document(told.document()))
    }

    fn listed(&self, upload: Upload, meta: &Meta) -> listings::Upload {
        listings::Upload {
            key: upload.key,
            id: upload.id,
            initiated: upload.created,
            class: meta.class().to_owned(),
            owner: self.owner(),
            checksum: meta
                .checksum
                .as_ref()
                .map(|checksum| (checksum.algorithm.clone(), checksum.kind.clone())),
        }
    }
}

/// What is answered when all parts have become an object.
fn completed(ask: &Ask<'_>, (etag, checksum): (String, Option<Checksum>), version: Option<&str>) -> Answer {
    let (bucket, key) = (ask.bucket.spec.name.clone(), ask.key.to_owned());
    let host = ask.header("host").unwrap_or("127.0.0.1");
    // The bucket stands in the path or in the host, as the caller has it.
    let location = format!("http://{host}{}", ask.head.uri.path());
    let told = Completed { location, bucket, key, etag, checksum };
    let answer = document(told.document()).with("x-amz-server-side-encryption", "AES256");
    with_version(answer, version)
}

/// The answer with the time at which a rule of the lifecycle will give up the upload.
fn with_abortion(ask: &Ask<'_>, answer: Answer, created: Timestamp) -> Answer {
    match lifecycle::abort_headers(&ask.bucket.lifecycle(), ask.key, created) {
        Some((date, rule)) => answer.with("x-amz-abort-date", &date).with("x-amz-abort-rule-id", &rule),
        None => answer,
    }
}

fn no_such_kind(kind: &str, algorithm: Algorithm) -> AwsError {
    let name = algorithm.name().to_lowercase();
    errors::invalid_request(format!(
        "The {kind} checksum type cannot be used with the {name} checksum algorithm."
    ))
}

fn part_number(ask: &Ask<'_>) -> Result<u32, AwsError> {
    let text = ask.query("partNumber").unwrap_or_default();
    let number = text.parse().ok().filter(|number| (1..=10_000).contains(number));
    number.ok_or_else(|| {
        let message = "Part number must be an integer between 1 and 10000, inclusive";
        errors::invalid_argument(message, "partNumber", text)
    })
}

/// The parts that the caller names, as they are stored.
fn chosen(asked: &Complete, stored: &[Stored], upload: &str) -> Result<Vec<Stored>, AwsError> {
    let mut chosen = Vec::new();
    for (at, part) in asked.parts.iter().enumerate() {
        let requests::Completed { number, etag, checksums } = part;
        let missing = || errors::invalid_part(upload, *number, etag);
        let found = stored.iter().find(|stored| stored.number == *number).ok_or_else(missing)?;
        let known = found.checksum.as_ref();
        let differs = |(algorithm, value): &(&str, String)| {
            known.is_some_and(|known| known.algorithm == *algorithm && known.value != *value)
        };
        if found.etag != *etag || checksums.iter().any(differs) {
            return Err(missing());
        }
        if at + 1 < asked.parts.len() && found.size < PART_MIN {
            return Err(errors::entity_too_small(found.size, PART_MIN, *number, etag));
        }
        chosen.push(found.clone());
    }
    Ok(chosen)
}

/// The checksum of an object, from those of its parts.
fn reckoned(algorithm: Algorithm, kind: &str, parts: &[Stored]) -> Option<String> {
    let values: Option<Vec<(String, u64)>> =
        parts.iter().map(|part| Some((part.checksum.as_ref()?.value.clone(), part.size))).collect();
    let values = values?;
    match kind {
        "FULL_OBJECT" => algorithm.full_object(&values),
        _ => algorithm.composite(&values.into_iter().map(|(value, _)| value).collect::<Vec<_>>()),
    }
}
