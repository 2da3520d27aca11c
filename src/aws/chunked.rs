//! Bodies in `aws-chunked`: bytes in, the payload's own slices out. Pure: it reads nothing itself.
//!
//! ```text
//! Size ──size──▶ Bytes ──all of them──▶ End of chunk ──▶ Size …
//!   └──0──▶ Trailers ──an empty line──▶ Over
//! ```
//! What is given out before a chunk is at its end is not vouched for yet: only what [`Decoder::finish`] has said yes
//! to was signed, and was all.

use bytes::{Buf, Bytes};
use sha2::{Digest, Sha256};

use super::AwsError;
use super::sigv4::ChunkSigner;

/// How long the line before a chunk, or a header after the last one, may be, in bytes.
const LINE_MAX: usize = 1024;
/// How many headers may come after the last chunk.
const TRAILERS_MAX: usize = 16;
/// How small a chunk that is signed may be that is not the last, in bytes.
const CHUNK_MIN: u64 = 8192;
/// The header whose value signs those before it.
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// Decodes one body.
#[derive(Debug)]
pub struct Decoder {
    signatures: Option<ChunkSigner>,
    has_trailer: bool,
    /// How much of the payload is still to come, in bytes.
    left: u64,
    state: State,
    /// What came of a line so far.
    line: Vec<u8>,
    /// The chunk that is read: its place, size, signature, and the hash of what came of it.
    chunk: Chunk,
    trailers: Vec<(String, String)>,
    trailer_signature: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    /// How many bytes are still to come.
    Bytes(u64),
    EndOfChunk,
    Trailers,
    Over,
}

#[derive(Debug, Default)]
struct Chunk {
    number: u64,
    size: u64,
    signature: Option<String>,
    sha256: Sha256,
}

impl Decoder {
    /// For a payload of `length` bytes, with signatures if they are checked.
    pub fn new(signatures: Option<ChunkSigner>, has_trailer: bool, length: u64) -> Decoder {
        Decoder {
            signatures,
            has_trailer,
            left: length,
            state: State::Size,
            line: Vec::new(),
            chunk: Chunk::default(),
            trailers: Vec::new(),
            trailer_signature: None,
        }
    }

    /// The next piece of the payload, taken from the front of `input`; None when more input is needed. After an error
    /// the body is of no use.
    pub fn decode(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, AwsError> {
        while !input.is_empty() {
            if let State::Bytes(left) = self.state {
                let size = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                let piece = input.split_to(size);
                if self.signatures.is_some() {
                    self.chunk.sha256.update(&piece);
                }
                let left = left - size as u64;
                self.state = if left == 0 { State::EndOfChunk } else { State::Bytes(left) };
                return Ok(Some(piece));
            }
            if self.state == State::Over {
                return Err(incomplete());
            }
            let is_whole = self.take_line(input)?;
            if is_whole {
                let line = std::mem::take(&mut self.line);
                self.read_line(&line)?;
                // Its room is used again.
                self.line = line;
                self.line.clear();
            }
        }
        Ok(None)
    }

    /// The headers after the last chunk, in small letters, if this is the end of the body and all is well.
    pub fn finish(self) -> Result<Vec<(String, String)>, AwsError> {
        if self.state == State::Over && self.left == 0 { Ok(self.trailers) } else { Err(incomplete()) }
    }

    /// Adds to the line what is there of it; whether it is whole now.
    fn take_line(&mut self, input: &mut Bytes) -> Result<bool, AwsError> {
        let room = LINE_MAX - self.line.len();
        let seen = &input[..input.len().min(room)];
        // Only a line feed after a carriage return ends a line.
        let end = seen.iter().enumerate().position(|(at, byte)| {
            let before = if at == 0 { self.line.last() } else { seen.get(at - 1) };
            *byte == b'\n' && before == Some(&b'\r')
        });
        let taken = end.map_or(seen.len(), |end| end + 1);
        self.line.extend_from_slice(&seen[..taken]);
        input.advance(taken);
        match end {
            Some(_) => {
                self.line.truncate(self.line.len() - 2);
                Ok(true)
            }
            None if self.line.len() >= LINE_MAX => Err(self.malformed()),
            None => Ok(false),
        }
    }

    fn read_line(&mut self, line: &[u8]) -> Result<(), AwsError> {
        match self.state {
            State::Size => self.read_size(line),
            State::EndOfChunk if line.is_empty() => {
                self.verify_chunk()?;
                self.state = State::Size;
                Ok(())
            }
            State::Trailers if line.is_empty() => {
                self.verify_trailers()?;
                self.state = State::Over;
                Ok(())
            }
            State::Trailers => self.read_trailer(line),
            State::EndOfChunk | State::Bytes(_) | State::Over => Err(self.malformed()),
        }
    }

    /// `1f40;chunk-signature=…`
    fn read_size(&mut self, line: &[u8]) -> Result<(), AwsError> {
        let text = std::str::from_utf8(line).map_err(|_| incomplete())?;
        let (digits, extension) = text.split_once(';').unwrap_or((text, ""));
        let is_hex = (1..=16).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let size = u64::from_str_radix(digits, 16).ok().filter(|_| is_hex).ok_or_else(incomplete)?;
        if self.signatures.is_some() && self.chunk.number > 0 && self.chunk.size < CHUNK_MIN && size > 0 {
            let why = "Only the last chunk is allowed to have a size less than 8192 bytes";
            let error = AwsError::new(403, "InvalidChunkSizeError", why);
            return Err(error.member("Chunk", self.chunk.number).member("BadChunkSize", self.chunk.size));
        }
        self.left = self.left.checked_sub(size).ok_or_else(incomplete)?;
        let signature = extension.strip_prefix("chunk-signature=").map(str::to_owned);
        self.chunk = Chunk { number: self.chunk.number + 1, size, signature, sha256: Sha256::new() };
        if size > 0 {
            self.state = State::Bytes(size);
            return Ok(());
        }
        if self.left > 0 {
            return Err(incomplete());
        }
        self.state = State::Trailers;
        self.verify_chunk()
    }

    fn read_trailer(&mut self, line: &[u8]) -> Result<(), AwsError> {
        let text = std::str::from_utf8(line).map_err(|_| malformed_trailer())?;
        let (name, value) = text.split_once(':').ok_or_else(malformed_trailer)?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
        let is_late = self.trailer_signature.is_some() || self.trailers.len() == TRAILERS_MAX;
        if !self.has_trailer || name.is_empty() || is_late {
            return Err(malformed_trailer());
        }
        if name == TRAILER_SIGNATURE {
            self.trailer_signature = Some(value);
        } else {
            self.trailers.push((name, value));
        }
        Ok(())
    }

    fn verify_chunk(&mut self) -> Result<(), AwsError> {
        let Some(signatures) = &mut self.signatures else { return Ok(()) };
        let sha256 = std::mem::take(&mut self.chunk.sha256);
        match &self.chunk.signature {
            Some(signature) if signatures.signs_chunk(sha256, signature) => Ok(()),
            _ => Err(wrong_signature()),
        }
    }

    fn verify_trailers(&mut self) -> Result<(), AwsError> {
        let (Some(signatures), true) = (&mut self.signatures, self.has_trailer) else { return Ok(()) };
        let lines: String = self.trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        match &self.trailer_signature {
            Some(signature) if signatures.signs_trailer(&lines, signature) => Ok(()),
            _ => Err(wrong_signature()),
        }
    }

    fn malformed(&self) -> AwsError {
        if self.state == State::Trailers { malformed_trailer() } else { incomplete() }
    }
}

/// The body is not as long as it said, or not chunked as it should be.
pub(super) fn incomplete() -> AwsError {
    AwsError::new(400, "IncompleteBody", "The request body terminated unexpectedly")
}

/// What comes after the last chunk is not as it should be.
pub(super) fn malformed_trailer() -> AwsError {
    AwsError::new(
        400,
        "MalformedTrailerError",
        "The request contained trailing data that was not well-formed or did not conform to our published schema.",
    )
}

fn wrong_signature() -> AwsError {
    AwsError::new(
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your key and signing \
         method.",
    )
}

#[cfg(test)]
#[path = "chunked_tests.rs"]
mod tests;
