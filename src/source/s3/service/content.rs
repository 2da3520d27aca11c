//! Contents on their way: a body into a draft, a file into an answer.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::Body as HttpBody;
use tokio::sync::mpsc;

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
/// What is read or written at once, in bytes.
const BLOCK: usize = 256 << 10;
/// Contents up to this size, in bytes, are read where they are asked for.
const SMALL: u64 = 64 << 10;

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
    let mut draft = bucket.draft()?;
    let mut block = Vec::with_capacity(BLOCK.min(usize::try_from(length).unwrap_or(BLOCK)));
    loop {
        match upload.next().await? {
            Piece::Bytes(piece) if piece.len() >= BLOCK && block.is_empty() => {
                write(&mut draft.file, &piece)?
            }
            Piece::Bytes(piece) => {
                block.extend_from_slice(&piece);
                if block.len() >= BLOCK {
                    write(&mut draft.file, &block)?;
                    block.clear();
                }
            }
            Piece::End(received) => {
                write(&mut draft.file, &block)?;
                return Ok(Drafted { draft, received });
            }
        }
    }
}

fn write(file: &mut File, bytes: &[u8]) -> Result<(), AwsError> {
    file.write_all(bytes).map_err(|error| broken(&error))
}

/// These bytes of a file as the body of an answer: the small at once, the large as fast as they are taken.
pub fn body_of(mut file: File, range: Range<u64>) -> Result<Body, AwsError> {
    let length = range.end.saturating_sub(range.start);
    if length <= SMALL {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        file.read_exact_at(&mut bytes, range.start).map_err(|error| broken(&error))?;
        return Ok(Body::Whole(bytes.into()));
    }
    let (pieces, taken) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        let mut left = length;
        if file.seek(SeekFrom::Start(range.start)).is_err() {
            return;
        }
        while left > 0 {
            let mut piece = vec![0; BLOCK.min(usize::try_from(left).unwrap_or(BLOCK))];
            // A file that has become shorter ends the answer before its time, which its reader notices.
            if file.read_exact(&mut piece).is_err() || pieces.blocking_send(piece.into()).is_err() {
                return;
            }
            left = left.saturating_sub(BLOCK as u64);
        }
    });
    Ok(Body::Stream(taken))
}
