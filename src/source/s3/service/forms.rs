//! Uploads by the forms of web pages.

use bytes::Bytes;
use http::StatusCode;
use hyper::body::Body as HttpBody;

use super::super::api::form::{Fields, Form};
use super::super::api::meta::{Checksum, Meta};
use super::super::api::xml::answers::Posted;
use super::super::api::{errors, headers};
use super::super::event::How;
use super::super::order::{Act, Put};
use super::content::{PIECE_MAX, Writing};
use super::objects::kept;
use super::{Ask, S3Api, Unread, document, with_version};
use crate::aws::checksum::{Algorithm, Hasher};
use crate::aws::sigv4::{Policy, admit_form};
use crate::aws::upload::{Piece, Upload, Wanted, sent_checksum};
use crate::aws::{Answer, AwsError};

impl S3Api {
    pub(super) async fn post_object<B>(&self, ask: &Ask<'_>, body: Unread<B>) -> Result<Answer, AwsError>
    where
        B: HttpBody<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let mut form = Form::new(ask.header("content-type").unwrap_or_default())?;
        let mut upload = Upload::new(body.0, body.1, ask.headers(), Wanted::default())?;
        let (mut size, mut md5) = (0, md5::Md5::default());
        let mut writing = Writing::new(ask.bucket.draft()?, upload.length().unwrap_or_default());
        let (mut checksum, mut said) = (Hasher::new(Algorithm::Crc64Nvme), None);
        let mut policy = None;
        while let Piece::Bytes(piece) = upload.next().await? {
            let content = form.push(&piece)?;
            if policy.is_none()
                && let Some(fields) = form.fields()
            {
                policy = Some(self.allowed(ask, fields)?);
                if let Some((algorithm, value)) = sent_checksum(&fields.headers())? {
                    (checksum, said) = (Hasher::new(algorithm), Some(value));
                }
            }
            size += content.len() as u64;
            let most =
                policy.as_ref().and_then(Option::as_ref).and_then(Policy::size_max).unwrap_or(PIECE_MAX);
            if size > most.min(PIECE_MAX) {
                return Err(errors::entity_too_large(size, most));
            }
            md5::Digest::update(&mut md5, &content);
            checksum.update(&content);
            writing.push(&content).await?;
        }
        let fields = form.finish()?;
        let policy = match policy {
            Some(policy) => policy,
            None => self.allowed(ask, &fields)?,
        };
        if let Some(policy) = policy {
            policy.allows_size(size)?;
        }
        let key = fields.key()?;
        let etag = hex::encode(md5::Digest::finalize(md5));
        let meta = self.described(&fields, (checksum, said))?;
        let put = Put::of(writing.finish().await?, &etag, kept(&meta), How::Post);
        let done = ask.bucket.order(&key, Act::Put(Box::new(put)), ask.caller.clone()).await?;
        let answer = self.posted(ask, &fields, (key, &etag));
        Ok(with_version(answer.with("etag", &format!("\"{etag}\"")), done.version.as_deref()))
    }

    /// What a form says of its object; a failure if its content has another checksum than was said.
    fn described(&self, fields: &Fields, checked: (Hasher, Option<String>)) -> Result<Meta, AwsError> {
        let mut meta = headers::of_put(&fields.headers(), &self.owner())?;
        meta.tags = fields.tags()?.unwrap_or(meta.tags);
        let (checksum, said) = checked;
        let (algorithm, value) = (checksum.algorithm().name(), checksum.finish());
        if said.is_some_and(|said| said != value) {
            return Err(errors::bad_checksum(algorithm));
        }
        let kind = "FULL_OBJECT".to_owned();
        meta.checksum = Some(Checksum { algorithm: algorithm.to_owned(), value, kind });
        Ok(meta)
    }

    /// Whether the form is signed well and allowed by its policy, as far as its fields tell; the policy.
    fn allowed(&self, ask: &Ask<'_>, fields: &Fields) -> Result<Option<Policy>, AwsError> {
        let mut said = fields.fields.clone();
        for (name, value) in &mut said {
            if name.eq_ignore_ascii_case("key") {
                *value = fields.key()?;
            }
        }
        said.push(("bucket".to_owned(), ask.bucket.spec.name.clone()));
        admit_form(&said, &self.keys)?;
        let Some(policy) = fields.get("policy") else { return Ok(None) };
        let policy = Policy::read(policy)?;
        policy.allows_fields(&said, self.clock.now())?;
        Ok(Some(policy))
    }

    /// What the form wants to be answered.
    fn posted(&self, ask: &Ask<'_>, fields: &Fields, (key, etag): (String, &str)) -> Answer {
        let bucket = ask.bucket.spec.name.clone();
        let host = ask.header("host").unwrap_or("127.0.0.1");
        // The bucket stands in the path or in the host, as the caller has it.
        let path = ask.head.uri.path().trim_end_matches('/');
        let location =
            format!("http://{host}{path}/{}", super::super::api::xml::write::Encoding::Url.of(&key));
        let redirect = fields.get("success_action_redirect").or_else(|| fields.get("redirect"));
        if let Some(to) = redirect.filter(|to| !to.is_empty()) {
            let with = if to.contains('?') { '&' } else { '?' };
            let encoded =
                |text: &str| super::super::api::xml::write::Encoding::Url.of(text).replace('/', "%2F");
            let to = format!("{to}{with}bucket={bucket}&key={}&etag=%22{etag}%22", encoded(&key));
            return Answer::empty(StatusCode::SEE_OTHER).with("location", &to);
        }
        let answer = match fields.get("success_action_status") {
            Some("200") => Answer::empty(StatusCode::OK),
            Some("201") => {
                let told = Posted { location: location.clone(), bucket, key, etag: etag.to_owned() };
                Answer { status: StatusCode::CREATED, ..document(told.document()) }
            }
            _ => Answer::empty(StatusCode::NO_CONTENT),
        };
        answer.with("location", &location)
    }
}
