//! Where the live view gets its moments: from our own timeline, or from another process's over its API.

use std::sync::Arc;

use crate::timeline::Told;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::client::Lines;

/// Moments, as they happen.
pub enum Feed {
    /// Of the dropwire in this process.
    Here(Receiver<Arc<Told>>),
    /// Of another one.
    There(Elsewhere),
}

/// Another dropwire's moments, and how far we have read.
pub struct Elsewhere {
    lines: Lines,
    last: Option<u64>,
    /// The moment after a gap, while the gap is being told.
    held: Option<Arc<Told>>,
}

/// What a feed gives.
pub enum Fed {
    /// A moment.
    Told(Arc<Told>),
    /// So many moments came faster than they were read.
    Missed(u64),
    /// Nothing more will come.
    Over,
}

impl Feed {
    /// Another dropwire's moments.
    pub fn elsewhere(lines: Lines) -> Feed {
        Feed::There(Elsewhere { lines, last: None, held: None })
    }

    /// The next thing. May be dropped and called again without loss.
    pub async fn next(&mut self) -> Fed {
        match self {
            Feed::Here(receiver) => match receiver.recv().await {
                Ok(told) => Fed::Told(told),
                Err(RecvError::Lagged(missed)) => Fed::Missed(missed),
                Err(RecvError::Closed) => Fed::Over,
            },
            Feed::There(elsewhere) => elsewhere.next().await,
        }
    }
}

impl Elsewhere {
    async fn next(&mut self) -> Fed {
        let told = match self.held.take() {
            Some(held) => held,
            None => match self.lines.next().await {
                Some(told) => told,
                None => return Fed::Over,
            },
        };
        let missed = self.last.map_or(0, |last| told.seq.saturating_sub(last + 1));
        if missed > 0 {
            self.last = Some(told.seq - 1);
            self.held = Some(told);
            return Fed::Missed(missed);
        }
        self.last = Some(told.seq);
        Fed::Told(told)
    }
}
