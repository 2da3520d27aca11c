//! A bucket as somebody's destination: what is sent to it becomes an object like any other.

use async_trait::async_trait;
use serde_json::json;

use super::{Bucket, Content};
use crate::delivery::destination::PutObject;
use crate::delivery::{Failure, Outcome, Parcel, Reply, Report, Target};
use std::sync::Arc;

/// How many objects are written at once.
const PUTS: usize = 4;

/// The target that writes into a bucket. The key follows from what is sent, so that a second attempt after a crash
/// writes the same object again.
pub struct Writer(pub Arc<Bucket>);

#[async_trait]
impl Target for Writer {
    async fn attempt(&self, parcel: &Parcel) -> Outcome {
        let Some(PutObject { key, body }) = PutObject::of(&parcel.first().event) else {
            let summary = "this is no object".to_owned();
            let payload = json!({"errorType": "InvalidRequest", "errorMessage": summary}).to_string().into();
            return Outcome::Failed(Failure { summary, payload, report: Report::default() });
        };
        match self.0.put(&key, Content::Bytes(body.into_bytes())).await {
            Ok(()) => {
                let payload = json!({"Key": key}).to_string().into();
                Outcome::Done(Reply { payload, report: Report::default() })
            }
            // A folder that cannot be written to now may be put right.
            Err(error) => Outcome::Unavailable(error.to_string()),
        }
    }

    fn concurrency(&self) -> usize {
        PUTS
    }
}
