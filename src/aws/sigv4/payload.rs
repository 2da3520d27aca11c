//! How a request says that its body is sent. Pure.

use http::HeaderMap;
use sha2::{Digest, Sha256};

use super::canonical::{EMPTY, hmac, same};
use super::refusal::Voice;
use crate::aws::AwsError;

/// How a body is sent.
#[derive(Clone, Debug)]
pub enum Payload {
    /// As it is.
    Plain {
        /// Its hash, if the request says it.
        sha256: Option<[u8; 32]>,
    },
    /// In chunks that say how long they are (`aws-chunked`).
    Chunked {
        /// Checks the signatures of the chunks, where they are checked.
        signatures: Option<ChunkSigner>,
        /// Whether headers come after the last chunk.
        trailer: bool,
        /// How long it is without what chunks it.
        length: u64,
    },
}

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const SIGNED_CHUNKS: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_CHUNKS_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const CHUNKS_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// How this request's body is sent. Only S3 has more than one way.
pub(super) fn of(
    headers: &HeaderMap,
    voice: Voice,
    signatures: Option<ChunkSigner>,
) -> Result<Payload, AwsError> {
    let word = headers.get("x-amz-content-sha256").map(|word| word.to_str().unwrap_or("?"));
    if voice == Voice::Other {
        return Ok(Payload::Plain { sha256: word.and_then(sha256) });
    }
    let chunked =
        |signatures, trailer| Ok(Payload::Chunked { signatures, trailer, length: decoded_length(headers)? });
    match word {
        Some(SIGNED_CHUNKS) => chunked(signatures, false),
        Some(SIGNED_CHUNKS_TRAILER) => chunked(signatures, true),
        Some(CHUNKS_TRAILER) => chunked(None, true),
        None | Some(UNSIGNED) if is_aws_chunked(headers) => {
            chunked(None, headers.contains_key("x-amz-trailer"))
        }
        None | Some(UNSIGNED) => Ok(Payload::Plain { sha256: None }),
        Some(word) => match sha256(word) {
            Some(sha256) => Ok(Payload::Plain { sha256: Some(sha256) }),
            None => Err(unknown(word)),
        },
    }
}

/// 64 hex digits.
fn sha256(word: &str) -> Option<[u8; 32]> {
    hex::decode(word).ok()?.try_into().ok()
}

fn unknown(word: &str) -> AwsError {
    if word.starts_with("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD") {
        let why = "A header you provided implies functionality that is not implemented";
        return AwsError::new(501, "NotImplemented", why).member("Header", "x-amz-content-sha256");
    }
    AwsError::new(
        400,
        "InvalidArgument",
        format!(
            "x-amz-content-sha256 must be {UNSIGNED}, {CHUNKS_TRAILER}, {SIGNED_CHUNKS}, {SIGNED_CHUNKS_TRAILER}, \
             STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid \
             sha256 value."
        ),
    )
    .member("ArgumentName", "x-amz-content-sha256")
    .member("ArgumentValue", word)
}

fn is_aws_chunked(headers: &HeaderMap) -> bool {
    let encodings = headers.get_all("content-encoding").into_iter().filter_map(|value| value.to_str().ok());
    encodings.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case("aws-chunked"))
}

fn decoded_length(headers: &HeaderMap) -> Result<u64, AwsError> {
    let text = headers.get("x-amz-decoded-content-length").and_then(|value| value.to_str().ok());
    let digits = text.filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    digits.and_then(|text| text.parse().ok()).ok_or_else(|| {
        AwsError::new(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
    })
}

/// Checks the signatures of chunks: each signs the one before it, and the first that of the request.
#[derive(Clone)]
pub struct ChunkSigner {
    key: [u8; 32],
    /// Date and scope, each on a line.
    about: String,
    before: String,
}

impl ChunkSigner {
    /// For chunks after a request with this signature.
    pub(super) fn new(key: [u8; 32], date: &str, scope: &str, before: String) -> ChunkSigner {
        ChunkSigner { key, about: format!("{date}\n{scope}"), before }
    }

    /// Whether this is the signature of the next chunk, whose bytes have this hash.
    pub fn signs_chunk(&mut self, sha256: Sha256, signature: &str) -> bool {
        let hash = hex::encode(sha256.finalize());
        let text = format!("AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{EMPTY}\n{hash}", self.about, self.before);
        self.signs(&text, signature)
    }

    /// Whether this is the signature of what comes after the last chunk: a line for each header.
    pub fn signs_trailer(&mut self, lines: &str, signature: &str) -> bool {
        let hash = hex::encode(Sha256::digest(lines));
        let text = format!("AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{hash}", self.about, self.before);
        self.signs(&text, signature)
    }

    /// The right signature of what was checked last.
    #[cfg(test)]
    pub fn before(&self) -> &str {
        &self.before
    }

    fn signs(&mut self, text: &str, signature: &str) -> bool {
        self.before = hex::encode(hmac(&self.key, text));
        same(&self.before, signature)
    }
}

impl std::fmt::Debug for ChunkSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key stays secret.
        write!(f, "ChunkSigner({:?})", self.about)
    }
}
