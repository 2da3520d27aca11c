//! Sources: what things happen in. A source knows how AWS would tell it, and nobody who listens.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::delivery::queue::{Occupied, Own, Queue, Sent, StoreError};
use crate::event::{Event, EventNo};

pub mod dynamodb;
pub mod s3;
pub mod sns;

/// Something in which things happen.
#[async_trait]
pub trait EventSource: Send + Sync {
    /// Watches until `stop`. What it notices goes to its [`Outlet`].
    async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), SourceError>;
    /// It does not run any more and will not: whoever waits for it hears so.
    async fn end(&self) {}
}

/// Why a source cannot go on: what was tried, on what, why not, and the way out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

impl From<StoreError> for SourceError {
    fn from(error: StoreError) -> SourceError {
        SourceError(error.to_string())
    }
}

/// Where a source puts its events.
#[derive(Clone)]
pub struct Outlet {
    queue: Arc<Queue>,
}

impl Outlet {
    /// The outlet into this queue.
    pub fn into(queue: Arc<Queue>) -> Outlet {
        Outlet { queue }
    }
    /// Nobody who moves the time moves it on while what is returned lives: what fell due is being done.
    pub fn occupy(&self) -> Occupied {
        self.queue.occupy()
    }
    /// Stores the event for everyone who wants it. Durable when it returns; an event whose id is known is not stored twice.
    pub async fn emit(&self, event: Event) -> Result<(), StoreError> {
        self.emit_with(vec![event], Vec::new()).await
    }
    /// Stores the event, and says under which number.
    pub async fn emit_numbered(&self, event: Event) -> Result<EventNo, StoreError> {
        let numbers = self.queue.emit(vec![event], Vec::new()).await?;
        numbers.first().copied().ok_or(StoreError::Stopping)
    }
    /// Stores events in this order together with the source's own rows, all or nothing; returns as soon as `own` says.
    pub async fn emit_with(&self, events: Vec<Event>, own: impl Into<Own>) -> Result<(), StoreError> {
        self.queue.emit(events, own).await.map(|_| ())
    }
    /// The same, but returns as soon as it is on its way.
    pub async fn send_with(&self, events: Vec<Event>, own: impl Into<Own>) -> Result<Sent, StoreError> {
        self.queue.send(events, own).await
    }
}
