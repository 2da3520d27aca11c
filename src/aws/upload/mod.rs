//! The body of a request as it comes: taken out of its chunks, measured, and checked against all that was said of it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::Body;
use md5::Md5;
use sha2::{Digest, Sha256};

use super::AwsError;
use super::checksum::{Algorithm, Hasher};
use super::chunked::{Decoder, incomplete, malformed_trailer};
use super::sigv4::Payload;
use claims::Claims;
pub use claims::sent_checksum;
use hashing::{Hashes, Hashing};

mod claims;
mod hashing;

/// What is wanted of a body besides its bytes. What the client says of it is checked in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Its MD5, of which ETags are made.
    pub md5: bool,
    /// This checksum, if the client sends or names none.
    pub checksum: Option<Algorithm>,
}

/// What was received, all of it and as it was announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// How many bytes.
    pub size: u64,
    /// Their MD5, if it was wanted or the client sent one.
    pub md5: Option<[u8; 16]>,
    /// Their checksum in base64: the client's, or the one that was wanted.
    pub checksum: Option<(Algorithm, String)>,
}

/// What comes next of a body.
#[derive(Debug)]
pub enum Piece {
    /// Bytes, of which nobody knows yet whether they are the right ones.
    Bytes(Bytes),
    /// The end: everything before it is right.
    End(Received),
}

/// A body that is read.
#[derive(Debug)]
pub struct Upload<B> {
    body: B,
    /// What came of the body and is not decoded yet.
    input: Bytes,
    decoder: Option<Decoder>,
    claims: Claims,
    hashing: Hashing,
    size: u64,
}

impl<B> Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: fmt::Display,
{
    /// Reads `body`, which is sent as `payload` says and is what `headers` say.
    pub fn new(
        body: B,
        payload: Payload,
        headers: &HeaderMap,
        wanted: Wanted,
    ) -> Result<Upload<B>, AwsError> {
        let claims = Claims::of(&payload, headers)?;
        // The hash that a checksum by SHA-256 asks for is computed twice; nobody sends both.
        let hashes = Hashes {
            md5: (wanted.md5 || claims.md5.is_some()).then(Md5::new),
            sha256: claims.sha256.is_some().then(Sha256::new),
            checksum: claims.algorithm.or(wanted.checksum).map(Hasher::new),
        };
        let decoder = match payload {
            Payload::Plain { .. } => None,
            Payload::Chunked { signatures, trailer, length } => {
                Some(Decoder::new(signatures, trailer, length))
            }
        };
        let hashing = Hashing::new(hashes);
        Ok(Upload { body, input: Bytes::new(), decoder, claims, hashing, size: 0 })
    }

    /// How long it is to be, in bytes, if that was said: without what chunks it.
    pub fn length(&self) -> Option<u64> {
        self.claims.length
    }

    /// The next piece. After an error or the end there is none.
    pub async fn next(&mut self) -> Result<Piece, AwsError> {
        loop {
            if let Some(piece) = self.decoded()? {
                self.measure(&piece)?;
                self.hashing.push(piece.clone()).await?;
                return Ok(Piece::Bytes(piece));
            }
            match self.body.frame().await {
                None => return self.end().await.map(Piece::End),
                Some(Ok(frame)) => self.input = frame.into_data().unwrap_or_default(),
                Some(Err(_)) => return Err(incomplete()),
            }
        }
    }

    /// The next piece of what is there.
    fn decoded(&mut self) -> Result<Option<Bytes>, AwsError> {
        match &mut self.decoder {
            Some(decoder) => decoder.decode(&mut self.input),
            None => Ok(Some(std::mem::take(&mut self.input)).filter(|input| !input.is_empty())),
        }
    }

    fn measure(&mut self, piece: &[u8]) -> Result<(), AwsError> {
        self.size += piece.len() as u64;
        let is_too_long = self.claims.length.is_some_and(|length| self.size > length);
        if is_too_long { Err(incomplete()) } else { Ok(()) }
    }

    /// Checks all that was said.
    async fn end(&mut self) -> Result<Received, AwsError> {
        if self.claims.length.is_some_and(|length| self.size != length) {
            return Err(incomplete());
        }
        if let Some(decoder) = self.decoder.take() {
            self.claims.take_trailers(&decoder.finish()?)?;
        }
        let Hashes { md5, sha256, checksum } = self.hashing.finish().await?;
        let md5 = md5.map(|md5| md5.finalize().into());
        let sha256 = sha256.map(|sha256| sha256.finalize().into());
        let checksum = checksum.map(|hasher| (hasher.algorithm(), hasher.finish()));
        self.claims.check_sha256(sha256)?;
        self.claims.check_md5(md5)?;
        self.claims.check_value(checksum.as_ref())?;
        Ok(Received { size: self.size, md5, checksum })
    }
}

#[cfg(test)]
mod tests;
