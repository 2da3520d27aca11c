//! placeholder
use super::{EventSource, Outlet, SourceError};
use crate::{
    arn::{Arn, Place},
    clock::Clock,
    config::TableSpec,
    random::Random,
    store::Store,
    timeline::Timeline,
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
#[allow(missing_docs)]
pub struct Table {
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
}
#[allow(missing_docs)]
impl Table {
    pub async fn open(spec: TableSpec, ground: Ground) -> Result<Arc<Table>, SourceError> {
        Ok(Arc::new(Table { arn: Arn::table(&ground.place, &spec.name) }))
    }
    pub async fn ready(&self) {}
    pub fn arn(&self) -> &Arn {
        &self.arn
    }
    pub async fn put(&self, _item: &serde_json::Value) -> Result<(), SourceError> {
        Ok(())
    }
    pub async fn delete(&self, _key: &serde_json::Value) -> Result<(), SourceError> {
        Ok(())
    }
}
#[async_trait::async_trait]
impl EventSource for Table {
    async fn run(self: Arc<Self>, _stop: CancellationToken) -> Result<(), SourceError> {
        Ok(())
    }
}
