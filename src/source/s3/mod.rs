//! placeholder
use super::{EventSource, Outlet, SourceError};
use crate::{
    arn::{Arn, Place},
    clock::Clock,
    config::BucketSpec,
    random::Random,
    store::Store,
    timeline::Timeline,
};
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
#[allow(missing_docs)]
pub struct Bucket {
    arn: Arn,
}
#[allow(missing_docs)]
#[derive(Clone)]
pub struct Ground {
    pub place: Place,
    pub clock: Clock,
    pub random: Random,
    pub timeline: Timeline,
    pub outlet: Outlet,
    pub store: Store,
    pub event_version: String,
}
#[allow(missing_docs)]
impl Bucket {
    pub fn open(spec: BucketSpec, _ground: Ground) -> Result<Arc<Bucket>, SourceError> {
        Ok(Arc::new(Bucket { arn: Arn::bucket(&spec.name) }))
    }
    pub async fn ready(&self) {}
    pub fn arn(&self) -> &Arn {
        &self.arn
    }
    pub async fn put(&self, _key: &str, _content: &[u8]) -> Result<(), SourceError> {
        Ok(())
    }
    pub async fn put_file(&self, _key: &str, _file: &Path) -> Result<(), SourceError> {
        Ok(())
    }
    pub async fn delete(&self, _key: &str) -> Result<(), SourceError> {
        Ok(())
    }
}
#[async_trait::async_trait]
impl EventSource for Bucket {
    async fn run(self: Arc<Self>, _stop: CancellationToken) -> Result<(), SourceError> {
        Ok(())
    }
}
