//! The checksums that S3 knows: of bytes as they come, and of an object out of those of its parts. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest as Crc, checksum_combine};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// How a checksum is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// As in zip.
    Crc32,
    /// Castagnoli's, as in iSCSI.
    Crc32c,
    /// As in NVMe.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 5] =
        [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme, Algorithm::Sha1, Algorithm::Sha256];

    /// As requests name it: `CRC32C`.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "CRC32",
            Algorithm::Crc32c => "CRC32C",
            Algorithm::Crc64Nvme => "CRC64NVME",
            Algorithm::Sha1 => "SHA1",
            Algorithm::Sha256 => "SHA256",
        }
    }
    /// The member that holds its value in XML: `ChecksumCRC32C`.
    pub fn member(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "ChecksumCRC32",
            Algorithm::Crc32c => "ChecksumCRC32C",
            Algorithm::Crc64Nvme => "ChecksumCRC64NVME",
            Algorithm::Sha1 => "ChecksumSHA1",
            Algorithm::Sha256 => "ChecksumSHA256",
        }
    }
    /// The header that holds its value: `x-amz-checksum-crc32c`.
    pub fn header(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "x-amz-checksum-crc32",
            Algorithm::Crc32c => "x-amz-checksum-crc32c",
            Algorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Algorithm::Sha1 => "x-amz-checksum-sha1",
            Algorithm::Sha256 => "x-amz-checksum-sha256",
        }
    }
    /// The one with this name, whatever its case.
    pub fn named(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|one| one.name().eq_ignore_ascii_case(name))
    }
    /// The one whose value this header holds, whatever its case.
    pub fn of_header(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|one| one.header().eq_ignore_ascii_case(name))
    }
    /// How long its values are, in bytes.
    pub fn size(self) -> usize {
        match self {
            Algorithm::Crc32 | Algorithm::Crc32c => 4,
            Algorithm::Crc64Nvme => 8,
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
        }
    }
    /// The bytes of a value in base64. None if it is no value of this algorithm.
    pub fn read(self, value: &str) -> Option<Vec<u8>> {
        STANDARD.decode(value).ok().filter(|bytes| bytes.len() == self.size())
    }
    /// The checksum of these bytes, in base64.
    pub fn of(self, bytes: &[u8]) -> String {
        let mut hasher = Hasher::new(self);
        hasher.update(bytes);
        hasher.finish()
    }
    /// Of an object in parts: the checksum of their checksums, and how many there are (`COMPOSITE`). None if a value
    /// is none of this algorithm.
    pub fn composite(self, parts: &[String]) -> Option<String> {
        let mut hasher = Hasher::new(self);
        for part in parts {
            hasher.update(&self.read(part)?);
        }
        Some(format!("{}-{}", hasher.finish(), parts.len()))
    }
    /// Of an object in parts: the checksum that it has as a whole (`FULL_OBJECT`), from those of its parts and how
    /// long they are, in bytes. None if a value is none of this algorithm, or if it has no way to do that.
    pub fn full_object(self, parts: &[(String, u64)]) -> Option<String> {
        let crc = self.crc()?;
        let mut whole = Crc::new(crc).finalize();
        for (part, length) in parts {
            let bytes = self.read(part)?;
            let part = bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
            whole = if *length == 0 { whole } else { checksum_combine(crc, whole, part, *length) };
        }
        Some(encoded(whole, self.size()))
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Algorithm::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Algorithm::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Algorithm::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Algorithm::Sha1 | Algorithm::Sha256 => None,
        }
    }
}

/// The last `size` bytes of a CRC, in base64.
fn encoded(crc: u64, size: usize) -> String {
    STANDARD.encode(&crc.to_be_bytes()[8 - size..])
}

/// Computes a checksum of bytes as they come.
pub struct Hasher(Algorithm, Inner);

enum Inner {
    Crc(Crc),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    /// Of nothing yet.
    pub fn new(algorithm: Algorithm) -> Hasher {
        let inner = match algorithm.crc() {
            Some(crc) => Inner::Crc(Crc::new(crc)),
            None if algorithm == Algorithm::Sha1 => Inner::Sha1(Sha1::new()),
            None => Inner::Sha256(Sha256::new()),
        };
        Hasher(algorithm, inner)
    }
    /// What it computes.
    pub fn algorithm(&self) -> Algorithm {
        self.0
    }
    /// More bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.1 {
            Inner::Crc(crc) => crc.update(bytes),
            Inner::Sha1(sha1) => sha1.update(bytes),
            Inner::Sha256(sha256) => sha256.update(bytes),
        }
    }
    /// The checksum, in base64.
    pub fn finish(self) -> String {
        match self.1 {
            Inner::Crc(crc) => encoded(crc.finalize(), self.0.size()),
            Inner::Sha1(sha1) => STANDARD.encode(sha1.finalize()),
            Inner::Sha256(sha256) => STANDARD.encode(sha256.finalize()),
        }
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hasher({})", self.0.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_everybody() {
        let check = |algorithm: Algorithm, expected: &str| {
            let value = algorithm.read(&algorithm.of(b"123456789")).expect("a value");
            assert_eq!(hex::encode(value), expected, "{algorithm:?}");
        };
        // The check values of the catalogue of CRCs.
        check(Algorithm::Crc32, "cbf43926");
        check(Algorithm::Crc32c, "e3069283");
        check(Algorithm::Crc64Nvme, "ae8b14860a799888");
        check(Algorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441");
        check(Algorithm::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225");
        assert_eq!(Algorithm::Crc32.of(b""), "AAAAAA==");
    }

    #[test]
    fn an_algorithm_is_known_by_its_names() {
        for one in Algorithm::ALL {
            assert_eq!(Algorithm::named(&one.name().to_lowercase()), Some(one));
            assert_eq!(Algorithm::of_header(&one.header().to_uppercase()), Some(one));
            assert_eq!(one.member(), format!("Checksum{}", one.name()));
            assert_eq!(one.header(), format!("x-amz-checksum-{}", one.name().to_lowercase()));
            assert_eq!(one.read(&one.of(b"a")).map(|value| value.len()), Some(one.size()));
            assert_eq!(one.read("!"), None);
            assert_eq!(one.read("AAA="), None);
        }
        assert_eq!(Algorithm::named("MD5"), None);
        assert_eq!(Algorithm::of_header("x-amz-checksum-type"), None);
    }

    #[test]
    fn an_object_in_parts_has_the_checksum_of_the_whole() {
        let whole: Vec<u8> = (0..100_000u32).map(|at| (at * 7 % 251) as u8).collect();
        for cuts in [&[][..], &[1], &[0, 0, 99_999], &[40_000, 40_000, 70_001], &[100_000]] {
            let ends = cuts.iter().copied().chain([whole.len()]);
            let begins = [0].into_iter().chain(cuts.iter().copied());
            let pieces: Vec<&[u8]> = begins.zip(ends).map(|(from, to)| &whole[from..to]).collect();
            for crc in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
                let parts: Vec<_> = pieces.iter().map(|piece| (crc.of(piece), piece.len() as u64)).collect();
                assert_eq!(crc.full_object(&parts), Some(crc.of(&whole)), "{crc:?} {cuts:?}");
            }
        }
        assert_eq!(Algorithm::Crc32.full_object(&[]), Some(Algorithm::Crc32.of(b"")));
        assert_eq!(Algorithm::Sha1.full_object(&[(Algorithm::Sha1.of(b"a"), 1)]), None);
        assert_eq!(Algorithm::Crc32.full_object(&[("AAA=".into(), 1)]), None);
    }

    #[test]
    fn a_composite_is_the_checksum_of_checksums() {
        let one = Algorithm::Sha256;
        let parts = ["a", "b"].map(|part| one.of(part.as_bytes()));
        let bytes: Vec<u8> = parts.iter().flat_map(|part| one.read(part).expect("a value")).collect();
        assert_eq!(one.composite(&parts), Some(format!("{}-2", one.of(&bytes))));
        assert_eq!(one.composite(&["?".to_owned()]), None);
    }
}
