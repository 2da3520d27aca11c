//! The S3 API: what AWS's clients ask of buckets, done on the folders that stand for them.
//!
//! ```text
//! request ─▶ admit (signed well?) ─▶ route ─▶ an operation on a bucket ─▶ answer, or S3's failure
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Body as HttpBody;
use tokio::sync::watch;

use super::Bucket;
use super::api::acl::Owner;
use super::api::operation::Operation;
use super::api::route::{self, Route, route};
use super::api::{cors, errors, headers, refused};
use super::event::Caller;
use super::order::broken;
use super::version_id;
use crate::arn::Place;
use crate::aws::sigv4::{self, Keys, Payload};
use crate::aws::upload::{Piece, Upload, Wanted};
use crate::aws::{Answer, AwsError, Body, identify, query_of, xml};
use crate::clock::Clock;
use crate::random::Random;

mod buckets;
mod content;
mod copies;
mod forms;
mod leftover;
mod lists;
mod notification;
mod objects;
mod settings;
mod uploads;

pub use buckets::Made;
use leftover::Watched;
pub(super) use notification::NOTIFICATION;
pub use notification::{Notified, Publish, Reachable, wires};
pub(super) use objects::meta_of;
pub(super) use settings::LIFECYCLE;

/// The largest document that a request may carry, in bytes.
const DOCUMENT_MAX: usize = 2 << 20;
/// The setting that holds a bucket's CORS rules.
const CORS: &str = "cors";

/// The buckets there are, as the S3 API finds them.
#[derive(Default)]
pub struct Buckets {
    open: RwLock<BTreeMap<String, Arc<Bucket>>>,
    /// Counts what calls have made and removed.
    asked: watch::Sender<u64>,
    /// What has been applied of it.
    applied: watch::Sender<u64>,
}

impl Buckets {
    /// From now on these are the buckets.
    pub fn replace(&self, buckets: BTreeMap<String, Arc<Bucket>>) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = buckets;
    }
    /// The bucket of this name.
    pub fn get(&self, name: &str) -> Option<Arc<Bucket>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
    /// All of them, by name.
    pub fn all(&self) -> Vec<(String, Arc<Bucket>)> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.iter().map(|(name, bucket)| (name.clone(), bucket.clone())).collect()
    }
    /// Resolves each time that a call has made or removed a bucket, or rewired one.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.asked.subscribe()
    }
    /// What was asked up to this number is in force.
    pub fn applied(&self, number: u64) {
        self.applied.send_replace(number);
    }
    /// Has what was changed applied, and waits for it.
    async fn apply(&self) {
        let mut number = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            number = *asked;
        });
        // The sender lives as long as this value.
        self.applied.subscribe().wait_for(|applied| *applied >= number).await.ok();
    }
}

/// The S3 API of one dropwire.
pub struct S3Api {
    /// The buckets.
    pub buckets: Arc<Buckets>,
    /// The buckets that calls have made.
    pub made: Made,
    /// What notifications can go to.
    pub reachable: Reachable,
    /// How topics are told that they are notified.
    pub publish: Publish,
    /// Whose signatures count.
    pub keys: Keys,
    /// The names below which buckets have hosts of their own, beside localhost.
    pub hosts: Vec<String>,
    /// Region and account.
    pub place: Place,
    /// The simulated clock.
    pub clock: Clock,
    /// What ids are drawn from.
    pub random: Random,
    /// Held while a bucket is made, removed or told how it is to behave.
    pub alone: tokio::sync::Mutex<()>,
}

/// Where a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address.
    pub address: String,
    /// Whether a page of another site asks.
    pub is_foreign_page: bool,
}

/// One request whose bucket is known.
struct Ask<'a> {
    head: &'a Parts,
    query: &'a [(String, String)],
    bucket: Arc<Bucket>,
    /// Empty where the bucket as a whole is meant.
    key: &'a str,
    caller: &'a Caller,
}

impl Ask<'_> {
    /// The first value of this name in the query.
    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
    fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }
    fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }
    /// The version that is meant; None for the present one.
    fn version(&self) -> Result<Option<&str>, AwsError> {
        match self.query("versionId") {
            Some("") => {
                Err(errors::invalid_argument("Version id cannot be the empty string", "versionId", ""))
            }
            version => version.map(version_id::possible).transpose(),
        }
    }
}

/// A body that has not been read, and how it is sent.
struct Unread<B>(B, Payload);

impl S3Api {
    /// Whether the host that a request names is that of a bucket there is, and no other service is meant: all its paths
    /// are keys.
    pub fn owns<B>(&self, request: &Request<B>) -> bool {
        let named = route::bucket_by_host(request.headers(), &self.hosts);
        if named.is_none_or(|bucket| self.buckets.get(&bucket).is_none()) {
            return false;
        }
        let query = query_of(request.uri().query().unwrap_or_default());
        identify::service("/", &query, request.headers()).is_none_or(|service| service == "s3")
    }

    /// Answers one request.
    pub async fn answer<B>(&self, request: Request<B>, from: &Peer) -> Answer
    where
        B: HttpBody<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let (head, body) = request.into_parts();
        let mut body = Watched::new(body);
        let caller = Caller::of(&[&self.random.bytes()], &from.address);
        let answered = match from.is_foreign_page {
            true => self.let_page_in(&head).await,
            false => Ok(()),
        };
        let answered = match answered {
            Ok(()) => self.serve(&head, &mut body, &caller).await,
            Err(error) => Err(error),
        };
        let (answered, added) = match self.cors_of(&head).await {
            Ok(added) => (answered, added),
            Err(error) => (answered.and(Err(error)), Vec::new()),
        };
        let mut answer = answered.unwrap_or_else(|error| {
            let error = error.member("HostId", caller.host_id.clone());
            xml::failure("s3", &error, &caller.request_id)
        });
        answer = added_to(answer, &added);
        let bodiless = head.method == Method::HEAD || answer.status == StatusCode::NOT_MODIFIED;
        if bodiless && !answer.status.is_success() {
            answer.body = Body::Whole(Bytes::new());
            answer.headers.remove(http::header::CONTENT_TYPE);
        }
        if !body.drop_rest(&head.headers).await {
            answer = answer.with("connection", "close");
        }
        answer = answer.with("x-amz-request-id", &caller.request_id).with("x-amz-id-2", &caller.host_id);
        answer.with("server", "AmazonS3")
    }

    async fn serve<B>(&self, head: &Parts, body: B, caller: &Caller) -> Result<Answer, AwsError>
    where
        B: HttpBody<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let Route { bucket, key, operation } = route(head, &self.hosts)?;
        let query = query_of(head.uri.query().unwrap_or_default());
        let resource = head.uri.path();
        if operation == Operation::Preflight {
            return self.preflight(bucket.as_deref(), head).await;
        }
        let payload = match operation {
            // A form is signed by its fields.
            Operation::PostObject => Payload::Plain { sha256: None },
            _ => {
                let admitted = sigv4::admit(head, &self.keys, self.clock.now());
                admitted.map_err(|error| error.member("Resource", resource))?.payload
            }
        };
        let Some(name) = bucket else { return self.list_buckets(&query).await };
        refused::check(operation, &head.headers)?;
        let body = Unread(body, payload);
        if operation == Operation::CreateBucket {
            return self.create_bucket(&name, head, body).await;
        }
        let bucket = self.buckets.get(&name).ok_or_else(|| errors::no_such_bucket(&name))?;
        self.check_owner(&head.headers, "x-amz-expected-bucket-owner")?;
        let key = key.as_deref().unwrap_or_default();
        let ask = Ask { head, query: &query, bucket, key, caller };
        match operation {
            Operation::PutObject => self.put_object(&ask, body).await,
            Operation::UploadPart => self.upload_part(&ask, body).await,
            Operation::PostObject => self.post_object(&ask, body).await,
            other => {
                let document = self.document(&headers::of_document(other, &head.headers), body).await?;
                self.operate(other, &ask, &document).await
            }
        }
    }

    /// The operations that carry at most a document.
    async fn operate(&self, operation: Operation, ask: &Ask<'_>, body: &[u8]) -> Result<Answer, AwsError> {
        if matches!(
            operation,
            Operation::ListObjects | Operation::ListObjectsV2 | Operation::ListObjectVersions
        ) {
            ask.bucket.surveyed().await?;
        }
        match operation {
            Operation::GetObject | Operation::HeadObject => self.get_object(ask).await,
            Operation::GetObjectAttributes => self.attributes(ask).await,
            Operation::CopyObject => self.copy_object(ask).await,
            Operation::DeleteObject => self.delete_object(ask).await,
            Operation::DeleteObjects => self.delete_objects(ask, body).await,
            Operation::ListObjects => self.list_objects(ask).await,
            Operation::ListObjectsV2 => self.list_objects_v2(ask).await,
            Operation::ListObjectVersions => self.list_object_versions(ask).await,
            Operation::CreateMultipartUpload => self.create_upload(ask).await,
            Operation::UploadPartCopy => self.copy_part(ask).await,
            Operation::ListParts => self.list_parts(ask).await,
            Operation::CompleteMultipartUpload => self.complete_upload(ask, body).await,
            Operation::AbortMultipartUpload => self.abort_upload(ask).await,
            Operation::ListMultipartUploads => self.list_uploads(ask).await,
            Operation::HeadBucket => Ok(self.head_bucket()),
            Operation::GetBucketLocation => Ok(self.location()),
            Operation::DeleteBucket => self.delete_bucket(ask).await,
            Operation::NotBuilt(name) => Err(errors::not_built(name)),
            other => self.settle(other, ask, body).await,
        }
    }

    /// A document, read to its end.
    async fn document<B>(&self, headers: &HeaderMap, body: Unread<B>) -> Result<Bytes, AwsError>
    where
        B: HttpBody<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let mut upload = Upload::new(body.0, body.1, headers, Wanted::default())?;
        let mut document = bytes::BytesMut::new();
        loop {
            match upload.next().await? {
                Piece::End(_) => return Ok(document.freeze()),
                Piece::Bytes(piece) if document.len() + piece.len() > DOCUMENT_MAX => {
                    return Err(errors::entity_too_large(
                        (document.len() + piece.len()) as u64,
                        DOCUMENT_MAX as u64,
                    ));
                }
                Piece::Bytes(piece) => document.extend_from_slice(&piece),
            }
        }
    }

    async fn preflight(&self, bucket: Option<&str>, head: &Parts) -> Result<Answer, AwsError> {
        let bucket = bucket.and_then(|name| self.buckets.get(name));
        let Some(bucket) = bucket else { return Err(cors::no_bucket(&head.headers)) };
        let rules: Option<Vec<cors::Rule>> = bucket.get(CORS).await?;
        let added = cors::preflight(rules.as_deref(), &head.headers, "OBJECT")?;
        Ok(added_to(Answer::empty(StatusCode::OK), &added))
    }

    /// Lets a page of another site in where the bucket's rules name it: browsers send some requests unasked.
    async fn let_page_in(&self, head: &Parts) -> Result<(), AwsError> {
        let bucket = route(head, &self.hosts)?.bucket.and_then(|name| self.buckets.get(&name));
        let rules: Vec<cors::Rule> = match bucket {
            Some(bucket) => bucket.get(CORS).await?.unwrap_or_default(),
            None => Vec::new(),
        };
        if head.method == Method::OPTIONS || !cors::simple(&rules, &head.method, &head.headers).is_empty() {
            return Ok(());
        }
        let message = "CORSResponse: This CORS request is not allowed. No rule of the bucket names this origin and method.";
        Err(errors::access_forbidden(message, head.method.as_str(), "OBJECT"))
    }

    /// What the bucket's rules add to the answer of what a page asks, be it good or bad: without it scripts see neither.
    async fn cors_of(&self, head: &Parts) -> Result<cors::Added, AwsError> {
        if !head.headers.contains_key("origin") || head.method == Method::OPTIONS {
            return Ok(Vec::new());
        }
        let named = route(head, &self.hosts).ok().and_then(|route| route.bucket);
        let Some(bucket) = named.and_then(|name| self.buckets.get(&name)) else { return Ok(Vec::new()) };
        let rules: Vec<cors::Rule> = bucket.get(CORS).await?.unwrap_or_default();
        Ok(cors::simple(&rules, &head.method, &head.headers))
    }

    /// A failure if the caller expects another account to own the bucket.
    fn check_owner(&self, headers: &HeaderMap, name: &str) -> Result<(), AwsError> {
        match headers.get(name) {
            Some(account) if account.as_bytes() != self.place.account.as_bytes() => {
                Err(errors::access_denied())
            }
            _ => Ok(()),
        }
    }

    fn owner(&self) -> Owner {
        Owner::of(&self.place.account)
    }
}

/// The answer with these headers more.
fn added_to<N: AsRef<str>, V: AsRef<str>>(mut answer: Answer, added: &[(N, V)]) -> Answer {
    for (name, value) in added {
        let name = http::HeaderName::from_bytes(name.as_ref().as_bytes());
        let value = http::HeaderValue::from_str(value.as_ref());
        if let (Ok(name), Ok(value)) = (name, value) {
            answer.headers.insert(name, value);
        }
    }
    answer
}

/// An answer that is a document.
fn document(text: String) -> Answer {
    let mut answer = Answer { body: Body::Whole(text.into()), ..Answer::empty(StatusCode::OK) };
    answer.headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/xml"));
    answer
}

/// The answer with the version that was written, read or removed.
fn with_version(answer: Answer, version: Option<&str>) -> Answer {
    match version {
        Some(version) => answer.with("x-amz-version-id", version),
        None => answer,
    }
}

/// A number of the query, between 0 and `most`.
fn number(ask: &Ask<'_>, name: &'static str, most: u32) -> Result<u32, AwsError> {
    let Some(text) = ask.query(name).filter(|text| !text.is_empty()) else { return Ok(most) };
    let number: Option<i64> = text.parse().ok();
    match number {
        Some(number) if number < 0 => {
            let message = format!("Argument {name} must be an integer between 0 and 2147483647");
            Err(errors::invalid_argument(message, name, text))
        }
        Some(number) => Ok(u32::try_from(number).unwrap_or(u32::MAX).min(most)),
        None => Err(errors::invalid_argument(
            format!("Provided {name} not an integer or within integer range"),
            name,
            text,
        )),
    }
}
