//! The lifecycle of a bucket's objects: at each midnight of the simulated clock, and when the rules change, what is due
//! is removed, as S3 would remove it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::Bucket;
use super::api::errors;
use super::api::lifecycle::{Candidate, Due, Rule, Standing, due, is_upload_due};
use super::api::meta::Meta;
use super::event::{Caller, Sequencer};
use super::list::Asked;
use super::object::Object;
use super::order::{Act, Check, Delete, shown_version};
use crate::aws::AwsError;
use crate::clock::{Timestamp, real};

/// How many objects are looked at at once, and how many ends are ordered together.
const PAGE: usize = 1000;
/// Seconds in a day.
const DAY: i64 = 86_400;
/// What records have as the address of what nobody called.
const ADDRESS: &str = "s3.amazonaws.com";
/// How long after a failure it is tried again, in real time; twice that after the next one, and so on.
const RETRY: Duration = Duration::from_secs(1);
/// And at most.
const RETRY_MAX: Duration = Duration::from_secs(300);

/// Lives by the bucket's rules, for ever.
pub async fn run(bucket: Arc<Bucket>) {
    let (mut retry, mut occupied) = (None, None);
    loop {
        let changed = bucket.rules_changed.notified();
        let rules = bucket.lifecycle();
        if rules.is_empty() {
            drop(occupied.take());
            changed.await;
            continue;
        }
        let clock = &bucket.ground.clock;
        let now = clock.now();
        retry = match sweep(&bucket, &rules, now).await {
            Ok(()) => None,
            Err(error) => {
                let wait = retry.map_or(RETRY, |before: Duration| RETRY_MAX.min(2 * before));
                bucket.notice(
                    "error",
                    format!(
                        "what its lifecycle says could not be done: {error}; it is tried again in {wait:?}"
                    ),
                );
                Some(wait)
            }
        };
        drop(occupied.take());
        // The clock may have been moved past it meanwhile.
        let midnight = Timestamp::from_millis((now.as_seconds().div_euclid(DAY) + 1) * DAY * 1000);
        tokio::select! {
            begun = clock.sleep_until_then(midnight, || bucket.ground.outlet.occupy()) => occupied = Some(begun),
            () = real::sleep(retry.unwrap_or_default()), if retry.is_some() => {}
            () = changed => {}
        }
    }
}

/// Removes what is due now. What fails does not keep the rest; it is the result.
async fn sweep(bucket: &Arc<Bucket>, rules: &[Rule], now: Timestamp) -> Result<(), AwsError> {
    let (mut asked, mut after) = (Asked { max: PAGE, ..Asked::default() }, None);
    let (mut before, mut held, mut failed) = (None, None, Ok(()));
    loop {
        let page = bucket.list_versions(&asked, after).await?;
        let is_last = page.next.is_none();
        let mut objects = held.take().into_iter().chain(page.objects).peekable();
        let mut doomed = Vec::new();
        while let Some(object) = objects.next() {
            if objects.peek().is_none() && !is_last {
                // What it is depends on what follows.
                held = Some(object);
                break;
            }
            let more = objects.peek().is_some_and(|next| next.key == object.key);
            let standing = standing(&object, before.as_ref(), more);
            before = Some(Newer::after(&object, before));
            match due_of(rules, &object, standing, now) {
                Ok(Some(due)) => doomed.push((object, due)),
                Ok(None) => {}
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        failed = failed.and(end(bucket, doomed).await);
        let Some(next) = page.next else { break };
        (asked.after, after) = (next.key, next.sequencer);
    }
    for upload in bucket.uploads().await? {
        if rules.iter().any(|rule| is_upload_due(rule, &upload.key, upload.created, now)) {
            failed = failed.and(bucket.abort_upload((&upload.key, &upload.id)).await);
        }
    }
    failed
}

/// Ends these, all together, but for those that are others by now. The first failure, if any.
pub async fn end(bucket: &Arc<Bucket>, doomed: Vec<(Object, Due)>) -> Result<(), AwsError> {
    let ends = doomed.into_iter().map(|(object, due)| async move {
        let version = object.version.clone().filter(|_| due == Due::Delete);
        let check = Some(match &version {
            Some(version) => is_still_this(version.clone(), object.sequencer),
            None => is_still_current(object.sequencer),
        });
        let caller = Caller::of(&[&bucket.ground.random.bytes()], ADDRESS);
        match bucket.order(&object.key, Act::Delete(Delete { version, check, expired: true }), caller).await {
            Err(error) if error.code != errors::precondition_failed("").code => Err(error),
            _ => Ok(()),
        }
    });
    join_all(ends).await.into_iter().collect()
}

/// The object is still the one that was judged.
fn is_still_current(judged: Sequencer) -> Check {
    Box::new(move |known| match known {
        Some(known) if known.sequencer == judged => Ok(()),
        _ => Err(errors::precondition_failed("If-Match")),
    })
}

/// The version was not written anew since: there can be more than one null version, one after the other.
fn is_still_this(version: String, judged: Sequencer) -> Check {
    Box::new(move |known| match known {
        Some(known) if shown_version(&known.extra.version) == version && known.sequencer != judged => {
            Err(errors::precondition_failed("If-Match"))
        }
        _ => Ok(()),
    })
}

/// The version of a key that is newer than the one looked at.
struct Newer {
    key: String,
    written: Timestamp,
    /// How many of the key's versions so far are not the latest.
    count: u32,
}

impl Newer {
    fn after(object: &Object, before: Option<Newer>) -> Newer {
        let count = before.filter(|newer| newer.key == object.key).map_or(0, |newer| newer.count);
        let count = if object.latest { count } else { count + 1 };
        Newer { key: object.key.clone(), written: object.modified, count }
    }
}

/// What a version is among those of its key; `more` says whether an older one follows.
fn standing(object: &Object, newer: Option<&Newer>, more: bool) -> Standing {
    match newer.filter(|newer| newer.key == object.key) {
        Some(newer) => Standing::Noncurrent { since: newer.written, newer: newer.count },
        None if object.marker => Standing::Marker { is_alone: !more },
        None => Standing::Current,
    }
}

fn due_of(
    rules: &[Rule],
    object: &Object,
    standing: Standing,
    now: Timestamp,
) -> Result<Option<Due>, AwsError> {
    let meta: Meta = super::service::meta_of(object.meta.as_deref())?;
    let (key, size, modified) = (object.key.as_str(), object.size, object.modified);
    let candidate = Candidate { key, size, tags: &meta.tags, modified, standing };
    Ok(rules.iter().find_map(|rule| due(rule, &candidate, now)))
}
