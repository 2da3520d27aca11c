//! The one source of chance: a seeded stream of bits, and ids that follow from what they name.
//!
//! With the same seed a run makes the same ids. The stream is SHA-256 over seed and counter, which is
//! plenty for ids and not meant for secrets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

/// A seeded source of random ids. Clones share one stream.
#[derive(Clone)]
pub struct Random(Arc<Stream>);

struct Stream {
    seed: u64,
    next: AtomicU64,
}

impl Random {
    /// The stream of this seed, from its beginning.
    pub fn seeded(seed: u64) -> Random {
        Random(Arc::new(Stream { seed, next: AtomicU64::new(0) }))
    }

    /// A stream whose seed the operating system chose.
    pub fn from_entropy() -> Random {
        let mut seed = [0; 8];
        // Without entropy the process id still tells two runs apart, and ids need no more than that.
        if getrandom::fill(&mut seed).is_err() {
            seed = u64::from(std::process::id()).to_le_bytes();
        }
        Random::seeded(u64::from_le_bytes(seed))
    }

    /// The next 32 random bytes.
    pub fn bytes(&self) -> [u8; 32] {
        let position = self.0.next.fetch_add(1, Ordering::Relaxed);
        digest(&[b"stream", &self.0.seed.to_le_bytes(), &position.to_le_bytes()])
    }
    /// A random number.
    pub fn number(&self) -> u64 {
        let bytes = self.bytes();
        u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]])
    }
    /// A random UUID with this version nibble (AWS: 4 for most ids, 5 for SNS message ids).
    pub fn uuid(&self, version: u8) -> String {
        uuid_from(&self.bytes(), version)
    }
    /// `count` random characters out of `alphabet`.
    pub fn text(&self, alphabet: &str, count: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        let mut text = String::with_capacity(count);
        while text.len() < count && !letters.is_empty() {
            let bytes = self.bytes();
            text.extend(
                bytes.iter().take(count - text.len()).map(|b| letters[usize::from(*b) % letters.len()]),
            );
        }
        text
    }
}

/// 32 bytes that follow from `parts` alone.
pub fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// A UUID that follows from `parts` alone: the same parts, the same id.
pub fn uuid_of(parts: &[&[u8]], version: u8) -> String {
    uuid_from(&digest(parts), version)
}

fn uuid_from(bytes: &[u8; 32], version: u8) -> String {
    let mut id = [0; 16];
    id.copy_from_slice(&bytes[..16]);
    id[6] = (id[6] & 0x0f) | (version << 4);
    id[8] = (id[8] & 0x3f) | 0x80;
    let hex = hex::encode(id);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_makes_one_run() {
        let (a, b) = (Random::seeded(42), Random::seeded(42));
        assert_eq!((a.uuid(4), a.number(), a.text("ABC", 40)), (b.uuid(4), b.number(), b.text("ABC", 40)));
        assert_ne!(a.uuid(4), a.uuid(4));
        assert_ne!(Random::seeded(1).number(), Random::seeded(2).number());
    }

    #[test]
    fn uuids_carry_their_version() {
        let id = Random::seeded(7).uuid(5);
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'5');
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
    }

    #[test]
    fn what_is_cut_elsewhere_is_another_id() {
        assert_ne!(uuid_of(&[b"ab", b"c"], 4), uuid_of(&[b"a", b"bc"], 4));
    }
}
