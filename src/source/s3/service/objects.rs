//! Objects: put, get, head, delete, and what is asked about them.

use bytes::Bytes;
use http::StatusCode;
use hyper::body::Body as HttpBody;

use super::super::api::conditions::{self, Facts};
use super::super::api::meta::Meta;
use super::super::api::xml::answers::{AttributeParts, Attributes, Deleted, Fate, PartsPage};
use super::super::api::xml::listings::Part;
use super::super::api::xml::requests;
use super::super::api::{dates, errors, headers, lifecycle, route};
use super::super::event::How;
use super::super::folder::Known;
use super::super::object::Object;
use super::super::order::{Act, Check, Delete, Put};
use super::super::version_id;
use super::content::{PIECE_MAX, body_of, receive};
use super::{Ask, S3Api, Unread, added_to, broken, document, number, with_version};
use crate::aws::{Answer, AwsError};

/// What is known of an object beside its content.
pub fn meta_of(text: Option<&str>) -> Result<Meta, AwsError> {
    match text {
        None | Some("") => Ok(Meta::default()),
        Some(text) => serde_json::from_str(text).map_err(|error| broken(&error)),
    }
}

/// What is known of an object beside its content, as it is kept.
pub fn text_of(meta: &Meta) -> String {
    // Texts and numbers always become JSON.
    serde_json::to_string(meta).unwrap_or_default()
}

/// What is kept of it; None where there is nothing to keep.
pub fn kept(meta: &Meta) -> Option<String> {
    (!meta.is_plain()).then(|| text_of(meta))
}

impl S3Api {
    pub(super) async fn put_object<B>(&self, ask: &Ask<'_>, body: Unread<B>) -> Result<Answer, AwsError>
    where
        B: HttpBody<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let mut meta = headers::of_put(ask.headers(), &self.owner())?;
        if let Some(check) = condition(ask) {
            // Refused before its body is read, if it is clear already; and again when it is written.
            check(ask.bucket.known(ask.key).await?.as_ref())?;
        }
        let drafted = receive(&ask.bucket, ask.headers(), body, PIECE_MAX).await?;
        let (etag, size) = (drafted.etag(), drafted.received.size);
        meta.checksum = drafted.checksum("FULL_OBJECT");
        let put = Put { check: condition(ask), ..Put::of(drafted.draft, &etag, kept(&meta), How::Put) };
        let done = ask.bucket.order(ask.key, Act::Put(Box::new(put)), ask.caller.clone()).await?;
        let mut answer = Answer::empty(StatusCode::OK).with("etag", &format!("\"{etag}\""));
        answer = checksum_headers(answer, &meta).with("x-amz-server-side-encryption", "AES256");
        answer = with_version(answer, done.version.as_deref());
        Ok(self.with_expiration(ask, answer, (size, &meta, done.sequencer.time())))
    }

    pub(super) async fn get_object(&self, ask: &Ask<'_>) -> Result<Answer, AwsError> {
        let object = self.present(ask, ask.version()?).await?;
        conditions::of_get(ask.headers(), Facts { etag: &object.etag, modified: object.modified })?;
        let meta = meta_of(object.meta.as_deref())?;
        if ask.head.method == http::Method::GET {
            must_be_at_hand(&meta)?;
        }
        let part = part_range(ask, &meta, object.size)?;
        let asked = match &part {
            // Of nothing no bytes can be named.
            Some(range) => Some(range.clone()).filter(|range| !range.is_empty()),
            None => conditions::range(ask.header("range"), object.size)?,
        };
        let range = part.clone().or(asked.clone()).unwrap_or(0..object.size);
        let mut answer =
            Answer::empty(if asked.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK });
        if asked.is_some() {
            let last = range.end.saturating_sub(1);
            answer = answer.with("content-range", &format!("bytes {}-{last}/{}", range.start, object.size));
        }
        answer = added_to(answer, &headers::told(&meta));
        answer = added_to(answer, &headers::overrides(ask.query));
        answer =
            object_headers(answer, &object).with("content-length", &(range.end - range.start).to_string());
        if part.is_some() && !meta.parts.is_empty() {
            answer = answer.with("x-amz-mp-parts-count", &meta.parts.len().to_string());
        }
        let whole = asked.is_none() && range == (0..object.size);
        if whole && ask.header("x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"))
        {
            answer = checksum_headers(answer, &meta);
        }
        if ask.head.method == http::Method::GET {
            let file = object.open().map_err(|_| errors::no_such_key(ask.key))?;
            answer.body = body_of(file, range)?;
        }
        Ok(match object.latest {
            true => self.with_expiration(ask, answer, (object.size, &meta, object.modified)),
            false => answer,
        })
    }

    pub(super) async fn attributes(&self, ask: &Ask<'_>) -> Result<Answer, AwsError> {
        let asked = headers::attributes(ask.headers())?;
        let object = self.present(ask, ask.version()?).await?;
        let meta = meta_of(object.meta.as_deref())?;
        let wants = |name: &str| asked.contains(&name);
        let parts =
            (wants("ObjectParts") && !meta.parts.is_empty()).then(|| parts_of(ask, &meta)).transpose()?;
        let told = Attributes {
            etag: wants("ETag").then(|| object.etag.clone()),
            checksum: meta.checksum.clone().filter(|_| wants("Checksum")),
            parts,
            class: wants("StorageClass").then(|| meta.class().to_owned()),
            size: wants("ObjectSize").then_some(object.size),
        };
        let answer = document(told.document()).with("last-modified", &dates::http(object.modified));
        Ok(with_version(answer, object.version.as_deref()))
    }

    /// The object as it is now, or this version of it; a failure if it is not there.
    pub(super) async fn present(&self, ask: &Ask<'_>, version: Option<&str>) -> Result<Object, AwsError> {
        match (ask.bucket.object(ask.key, version).await?, version) {
            (Some(marker), _) if marker.marker => {
                let shown = marker.version.as_deref().unwrap_or("null");
                Err(match version {
                    Some(_) => errors::marker_not_allowed(&ask.head.method, shown)
                        .header("last-modified", dates::http(marker.modified)),
                    None => errors::deleted(ask.key, shown),
                })
            }
            (Some(object), _) => Ok(object),
            (None, Some(version)) => Err(errors::no_such_version(ask.key, version)),
            (None, None) => Err(errors::no_such_key(ask.key)),
        }
    }

    pub(super) async fn delete_object(&self, ask: &Ask<'_>) -> Result<Answer, AwsError> {
        let version = ask.version()?.map(str::to_owned);
        let matching = ask.header("if-match").map(|etag| requests::unquoted(etag).to_owned());
        let check = matching.map(|etag| -> Check {
            let key = ask.key.to_owned();
            Box::new(move |known| match known {
                None => Err(errors::no_such_key(&key)),
                Some(known) if etag == "*" || known.shown_etag() == etag => Ok(()),
                Some(_) => Err(errors::precondition_failed("If-Match")),
            })
        });
        let check = like(ask, check)?;
        let act = Act::Delete(Delete { version, check, expired: false });
        let done = ask.bucket.order(ask.key, act, ask.caller.clone()).await?;
        let mut answer = Answer::empty(StatusCode::NO_CONTENT);
        if done.marker {
            answer = answer.with("x-amz-delete-marker", "true");
        }
        Ok(with_version(answer, done.version.as_deref()))
    }

    pub(super) async fn delete_objects(&self, ask: &Ask<'_>, body: &[u8]) -> Result<Answer, AwsError> {
        headers::must_vouch(ask.headers())?;
        let asked = requests::Delete::read(body)?;
        let deeds = asked.objects.into_iter().map(|doomed| async move {
            let requests::Doomed { key, version, etag, modified, size } = doomed;
            let conditional = etag.is_some() || modified.is_some() || size.is_some();
            let is_it = move |known: &Known| {
                etag.as_ref().is_none_or(|etag| known.shown_etag() == *etag)
                    && modified.is_none_or(|then| known.sequencer.time().as_seconds() == then.as_seconds())
                    && size.is_none_or(|size| known.stamp.size.cast_signed() == size)
            };
            let named = key.clone();
            let check: Check = Box::new(move |known| match known {
                Some(known) if !is_it(known) => Err(errors::precondition_failed("If-Match")),
                None if conditional => Err(errors::no_such_key(&named)),
                _ => Ok(()),
            });
            let check = Some(check);
            let act = Act::Delete(Delete { version: version.clone(), check, expired: false });
            let is_possible = || match version.as_deref().map(version_id::possible) {
                // Alone in its request it would be a bad argument; here the others are not to suffer from it.
                Some(Err(_)) => Err(errors::no_such_version(&key, version.as_deref().unwrap_or_default())),
                _ => Ok(()),
            };
            let done = match route::check_length(&key).and_then(|()| is_possible()) {
                Ok(()) => ask.bucket.order(&key, act, ask.caller.clone()).await,
                Err(error) => Err(error),
            };
            match done {
                Ok(done) => {
                    let marker = done.version.filter(|_| done.marker);
                    Fate::Deleted { key, version, marker }
                }
                Err(error) => {
                    Fate::Failed { key, version, code: error.code.to_owned(), message: error.message }
                }
            }
        });
        let fates = futures_util::future::join_all(deeds).await;
        Ok(document(Deleted { fates, quiet: asked.quiet }.document()))
    }

    /// The answer with `x-amz-expiration`, where a rule of the lifecycle will end the object.
    pub(super) fn with_expiration(
        &self,
        ask: &Ask<'_>,
        answer: Answer,
        (size, meta, modified): (u64, &Meta, crate::clock::Timestamp),
    ) -> Answer {
        let rules = ask.bucket.lifecycle();
        let standing = lifecycle::Standing::Current;
        let candidate = lifecycle::Candidate { key: ask.key, size, tags: &meta.tags, modified, standing };
        match lifecycle::expiration_header(&rules, &candidate) {
            Some(value) => answer.with("x-amz-expiration", &value),
            None => answer,
        }
    }
}

/// A failure for an object of a class that keeps it in an archive: there is no restoring here.
pub fn must_be_at_hand(meta: &Meta) -> Result<(), AwsError> {
    match meta.class() {
        class @ ("GLACIER" | "DEEP_ARCHIVE") => Err(errors::invalid_object_state(class)),
        _ => Ok(()),
    }
}

/// The condition of a write, if the request has one.
pub fn condition(ask: &Ask<'_>) -> Option<Check> {
    let conditional = ["if-match", "if-none-match"].iter().any(|name| ask.headers().contains_key(*name));
    conditional.then(|| -> Check {
        let (headers, key) = (ask.headers().clone(), ask.key.to_owned());
        Box::new(move |known: Option<&Known>| {
            let etag = known.map(Known::shown_etag);
            conditions::of_put(&headers, &key, etag.as_deref())
        })
    })
}

/// The condition of a deletion, with what its further headers want.
fn like(ask: &Ask<'_>, check: Option<Check>) -> Result<Option<Check>, AwsError> {
    let Some(likeness) = conditions::of_delete(ask.headers())? else { return Ok(check) };
    let key = ask.key.to_owned();
    Ok(Some(Box::new(move |known: Option<&Known>| {
        check.map_or(Ok(()), |check| check(known))?;
        let known = known.ok_or_else(|| errors::no_such_key(&key))?;
        likeness.check(known.stamp.size, known.sequencer.time())
    })))
}

/// What every answer about an object says.
fn object_headers(answer: Answer, object: &Object) -> Answer {
    let answer = answer
        .with("etag", &format!("\"{}\"", object.etag))
        .with("last-modified", &dates::http(object.modified))
        .with("accept-ranges", "bytes")
        .with("x-amz-server-side-encryption", "AES256");
    with_version(answer, object.version.as_deref())
}

/// The answer with the object's checksum.
pub fn checksum_headers(answer: Answer, meta: &Meta) -> Answer {
    let Some(checksum) = &meta.checksum else { return answer };
    let name = format!("x-amz-checksum-{}", checksum.algorithm.to_lowercase());
    let kind = Some(checksum.kind.as_str()).filter(|kind| !kind.is_empty()).unwrap_or("FULL_OBJECT");
    let added = [(name, checksum.value.clone()), ("x-amz-checksum-type".to_owned(), kind.to_owned())];
    added_to(answer, &added)
}

/// The bytes of the part that `partNumber` names.
fn part_range(ask: &Ask<'_>, meta: &Meta, size: u64) -> Result<Option<std::ops::Range<u64>>, AwsError> {
    if ask.query("partNumber").is_none() {
        return Ok(None);
    }
    if ask.header("range").is_some() {
        let message = "Cannot specify both Range header and partNumber query parameter";
        return Err(errors::invalid_request(message));
    }
    let (wanted, count) = (number(ask, "partNumber", 10_000)?, u32::try_from(meta.parts.len()).unwrap_or(0));
    if meta.parts.is_empty() {
        return if wanted == 1 { Ok(Some(0..size)) } else { Err(errors::invalid_part_number(wanted, 1)) };
    }
    let mut start = 0;
    for part in &meta.parts {
        if part.number == wanted {
            return Ok(Some(start..start + part.size));
        }
        start += part.size;
    }
    Err(errors::invalid_part_number(wanted, count))
}

fn parts_of(ask: &Ask<'_>, meta: &Meta) -> Result<AttributeParts, AwsError> {
    let count = u32::try_from(meta.parts.len()).unwrap_or(u32::MAX);
    let numbered = |name| ask.header(name).and_then(|text| text.parse::<u32>().ok());
    let (max, marker) =
        (numbered("x-amz-max-parts").unwrap_or(1000), numbered("x-amz-part-number-marker").unwrap_or(0));
    let after: Vec<_> = meta.parts.iter().filter(|part| part.number > marker).collect();
    let parts: Vec<Part> = after
        .iter()
        .take(max as usize)
        .map(|part| Part {
            number: part.number,
            size: part.size,
            checksum: part.checksum.clone(),
            ..Part::default()
        })
        .collect();
    let next_marker = parts.last().map_or(0, |part| part.number);
    let is_truncated = after.len() > parts.len();
    let page = PartsPage { marker, next_marker, max, is_truncated, parts };
    Ok(AttributeParts { count, page: meta.checksum.is_some().then_some(page) })
}
