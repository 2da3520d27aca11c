//! What is computed of a body's bytes: of a small one where it arrives, of a large one beside receiving and writing it.

use bytes::Bytes;
use md5::Md5;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use crate::aws::AwsError;
use crate::aws::checksum::Hasher;

/// What is handed over at once, in bytes.
const BATCH: usize = 512 << 10;
/// And in how many pieces at most, however small they are.
const PIECES: usize = 1024;

/// The hashes that somebody asked for.
#[derive(Debug, Default)]
pub struct Hashes {
    pub md5: Option<Md5>,
    pub sha256: Option<Sha256>,
    pub checksum: Option<Hasher>,
}

impl Hashes {
    fn take(&mut self, piece: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(piece);
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(piece);
        }
        if let Some(checksum) = &mut self.checksum {
            checksum.update(piece);
        }
    }

    fn are_none(&self) -> bool {
        self.md5.is_none() && self.sha256.is_none() && self.checksum.is_none()
    }

    fn take_all(&mut self, pieces: &[Bytes]) {
        pieces.iter().for_each(|piece| self.take(piece));
    }
}

/// Hashes that are being computed.
#[derive(Debug)]
pub struct Hashing {
    state: State,
    /// What nobody has begun to look at.
    waiting: Vec<Bytes>,
    /// Its bytes.
    size: usize,
}

#[derive(Debug)]
enum State {
    Idle(Box<Hashes>),
    Busy(JoinHandle<Box<Hashes>>),
    Broken,
}

impl Hashing {
    /// Computes these.
    pub fn new(hashes: Hashes) -> Hashing {
        Hashing { state: State::Idle(Box::new(hashes)), waiting: Vec::new(), size: 0 }
    }

    /// Takes these bytes. Waits only if they come faster than they can be hashed.
    pub async fn push(&mut self, piece: Bytes) -> Result<(), AwsError> {
        if matches!(&self.state, State::Idle(hashes) if hashes.are_none()) {
            return Ok(());
        }
        self.size += piece.len();
        self.waiting.push(piece);
        if self.size >= BATCH || self.waiting.len() >= PIECES {
            let (mut hashes, pieces) = (self.idle().await?, self.taken());
            self.state = State::Busy(tokio::task::spawn_blocking(move || {
                hashes.take_all(&pieces);
                hashes
            }));
        }
        Ok(())
    }

    /// The hashes of all of it.
    pub async fn finish(&mut self) -> Result<Hashes, AwsError> {
        let (mut hashes, pieces) = (self.idle().await?, self.taken());
        hashes.take_all(&pieces);
        Ok(*hashes)
    }

    fn taken(&mut self) -> Vec<Bytes> {
        self.size = 0;
        std::mem::take(&mut self.waiting)
    }

    /// Waits for what is being hashed.
    async fn idle(&mut self) -> Result<Box<Hashes>, AwsError> {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Idle(hashes) => Ok(hashes),
            State::Busy(hashing) => hashing.await.map_err(|error| broken(&error.to_string())),
            State::Broken => Err(broken("its hashes were not computed to the end")),
        }
    }
}

fn broken(why: &str) -> AwsError {
    AwsError::new(500, "InternalError", format!("We encountered an internal error: {why}. Please try again."))
}
