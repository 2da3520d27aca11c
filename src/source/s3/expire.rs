//! The lifecycle of a bucket's objects: at each midnight of the simulated clock, and when the rules change, what is due
//! is removed, as S3 would remove it.

use std::sync::Arc;

use super::Bucket;
use super::api::lifecycle::{Candidate, Due, Rule, Standing, due, is_upload_due};
use super::api::meta::Meta;
use super::event::Caller;
use super::list::Asked;
use super::object::Object;
use super::order::{Act, Delete};
use crate::aws::AwsError;
use crate::clock::Timestamp;

/// How many objects are looked at at once.
const PAGE: usize = 1000;
/// Seconds in a day.
const DAY: i64 = 86_400;
/// What records have as the address of what nobody called.
const ADDRESS: &str = "s3.amazonaws.com";

/// Lives by the bucket's rules, for ever.
pub async fn run(bucket: Arc<Bucket>) {
    loop {
        let changed = bucket.rules_changed.notified();
        let rules = bucket.lifecycle();
        if rules.is_empty() {
            changed.await;
            continue;
        }
        let clock = &bucket.ground.clock;
        let now = clock.now();
        if let Err(error) = sweep(&bucket, &rules, now).await {
            bucket.notice(
                "error",
                format!("what its lifecycle says could not be done: {error}; it is tried again"),
            );
        }
        // The clock may have been moved past it meanwhile.
        let midnight = Timestamp::from_millis((now.as_seconds().div_euclid(DAY) + 1) * DAY * 1000);
        tokio::select! {
            () = clock.sleep_until(midnight) => {}
            () = changed => {}
        }
    }
}

/// Removes what is due now.
async fn sweep(bucket: &Arc<Bucket>, rules: &[Rule], now: Timestamp) -> Result<(), AwsError> {
    let (mut asked, mut after) = (Asked { max: PAGE, ..Asked::default() }, None);
    let mut before: Option<Newer> = None;
    loop {
        let page = bucket.list_versions(&asked, after).await?;
        let mut objects = page.objects.into_iter().peekable();
        while let Some(object) = objects.next() {
            let next = objects.peek().is_some_and(|next| next.key == object.key);
            let standing = standing(&object, before.as_ref(), next);
            before = Some(Newer::after(&object, before));
            let Some(due) = due_of(rules, &object, standing, now)? else { continue };
            let version = object.version.clone().filter(|_| due == Due::Delete);
            let caller = Caller::of(&[&bucket.ground.random.bytes()], ADDRESS);
            bucket
                .order(&object.key, Act::Delete(Delete { version, check: None, expired: true }), caller)
                .await?;
        }
        let Some(next) = page.next else { break };
        (asked.after, after) = (next.key, next.sequencer);
    }
    for upload in bucket.uploads().await? {
        if rules.iter().any(|rule| is_upload_due(rule, &upload.key, upload.created, now)) {
            bucket.abort_upload((&upload.key, &upload.id)).await?;
        }
    }
    Ok(())
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
