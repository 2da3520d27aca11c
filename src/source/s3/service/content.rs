//! Contents on their way: a body into a draft, a file into an answer.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::HeaderMap;
use hyper::body::Body as HttpBody;
use tokio::task::JoinHandle;

use super::super::Bucket;
use super::super::api::errors;
use super::super::api::meta::Checksum;
use super::super::vault::Draft;
use super::{Unread, broken};
use crate::aws::checksum::Algorithm;
use crate::aws::upload::{Piece, Received, Upload, Wanted};
use crate::aws::{AwsError, Body};

/// The largest object in one piece, in bytes.
pub const PIECE_MAX: u64 = 5 << 30;
/// What is written at once, in bytes.
const WRITTEN: usize = 256 << 10;
/// What is read at once, in bytes.
const READ: u64 = 512 << 10;
/// Contents up to this size, in bytes, are read where they are asked for,
const SMALL: u64 = 64 << 10;
/// and written where they arrive.
const SMALL_WRITE: usize = 64 << 10;

/// A body that has become a draft.
pub struct Drafted {
    /// The draft.
    pub draft: Draft,
    /// What was received.
    pub received: Received,
}

impl Drafted {
    /// The MD5 of the content in hex.
    pub fn etag(&self) -> String {
        hex::encode(self.received.md5.unwrap_or_default())
    }
    /// Its checksum.
    pub fn checksum(&self, kind: &str) -> Option<Checksum> {
        let (algorithm, value) = self.received.checksum.clone()?;
        Some(Checksum { algorithm: algorithm.name().to_owned(), value, kind: kind.to_owned() })
    }
}

/// Receives a body into a draft of this bucket.
pub async fn receive<B>(
    bucket: &Bucket,
    headers: &HeaderMap,
    body: Unread<B>,
    size_max: u64,
) -> Result<Drafted, AwsError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let wanted = Wanted { md5: true, checksum: Some(Algorithm::Crc64Nvme) };
    let mut upload = Upload::new(body.0, body.1, headers, wanted)?;
    let length = upload.length().ok_or_else(errors::missing_content_length)?;
    if length > size_max {
        return Err(errors::entity_too_large(length, size_max));
    }
    let mut writing = Writing::new(bucket.draft()?, length);
    loop {
        match upload.next().await? {
            Piece::Bytes(piece) => writing.push(&piece).await?,
            Piece::End(received) => return Ok(Drafted { draft: writing.finish().await?, received }),
        }
    }
}

/// A draft that is being written: what comes is collected, and large blocks of it are written where nobody waits for
/// the disk. One that stays small is written at its end, at once.
pub struct Writing {
    block: Vec<u8>,
    state: State,
}

/// What is ready to be written to, with a block that can be filled again; or what is being written.
enum State {
    Idle(Draft, Vec<u8>),
    Busy(JoinHandle<io::Result<(Draft, Vec<u8>)>>),
    Broken,
}

impl Writing {
    /// Writes into this draft, as it is told about so many bytes.
    pub fn new(draft: Draft, length: u64) -> Writing {
        let room = WRITTEN.min(usize::try_from(length).unwrap_or(WRITTEN));
        Writing { block: Vec::with_capacity(room), state: State::Idle(draft, Vec::new()) }
    }

    /// Takes these bytes.
    pub async fn push(&mut self, mut piece: &[u8]) -> Result<(), AwsError> {
        while self.block.len() + piece.len() >= WRITTEN {
            let (now, later) = piece.split_at(WRITTEN - self.block.len());
            self.block.extend_from_slice(now);
            piece = later;
            let (draft, empty) = self.idle().await?;
            let full = std::mem::replace(&mut self.block, empty);
            self.state = State::Busy(tokio::task::spawn_blocking(move || write(draft, full)));
        }
        self.block.extend_from_slice(piece);
        Ok(())
    }

    /// The draft, when everything is in it.
    pub async fn finish(mut self) -> Result<Draft, AwsError> {
        let (draft, _) = self.idle().await?;
        let block = std::mem::take(&mut self.block);
        let written = match block.len() <= SMALL_WRITE {
            true => write(draft, block),
            false => tokio::task::spawn_blocking(move || write(draft, block))
                .await
                .map_err(|error| broken(&error))?,
        };
        written.map(|(draft, _)| draft).map_err(|error| broken(&error))
    }

    /// Waits for what is being written.
    async fn idle(&mut self) -> Result<(Draft, Vec<u8>), AwsError> {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Idle(draft, block) => Ok((draft, block)),
            State::Busy(writing) => {
                let written = writing.await.map_err(|error| broken(&error))?;
                written.map_err(|error| broken(&error))
            }
            State::Broken => Err(broken(&"its draft could not be written")),
        }
    }
}

/// Writes a block, and gives it back empty.
fn write(mut draft: Draft, mut block: Vec<u8>) -> io::Result<(Draft, Vec<u8>)> {
    draft.file.write_all(&block)?;
    block.clear();
    Ok((draft, block))
}

/// These bytes of a file as the body of an answer: the small at once, the large piece by piece as they are taken, one
/// ahead. No thread waits for a client that does not read.
pub fn body_of(file: File, range: Range<u64>) -> Result<Body, AwsError> {
    let length = range.end.saturating_sub(range.start);
    if length <= SMALL {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        file.read_exact_at(&mut bytes, range.start).map_err(|error| broken(&error))?;
        return Ok(Body::Whole(bytes.into()));
    }
    let reading = Reading { file: Arc::new(file), left: range, ahead: None };
    Ok(Body::Taken(stream::unfold(reading, Reading::step).boxed()))
}

/// A file that is read piece by piece.
struct Reading {
    file: Arc<File>,
    left: Range<u64>,
    ahead: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Reading {
    /// The next piece; the one after it is begun. A file that has become shorter ends before its time, which whoever
    /// reads the answer notices.
    async fn step(mut self) -> Option<(Bytes, Reading)> {
        let piece = self.ahead.take().or_else(|| self.begin())?;
        let piece = piece.await.ok()?.ok()?;
        self.ahead = self.begin();
        Some((piece, self))
    }

    /// Begins to read the next piece, if there is one.
    fn begin(&mut self) -> Option<JoinHandle<io::Result<Bytes>>> {
        let (start, file) = (self.left.start, self.file.clone());
        let size = READ.min(self.left.end.saturating_sub(start));
        self.left.start += size;
        (size > 0).then(|| {
            tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; usize::try_from(size).unwrap_or_default()];
                file.read_exact_at(&mut piece, start)?;
                Ok(piece.into())
            })
        })
    }
}
