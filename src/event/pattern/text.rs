//! The ways to compare text: any case, wildcards, IP addresses and their blocks. Pure.

use std::net::IpAddr;

/// Text to compare without regard to case, character by character.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AnyCase(String);

impl AnyCase {
    pub fn new(text: &str) -> AnyCase {
        AnyCase(text.chars().flat_map(char::to_lowercase).collect())
    }

    pub fn equals(&self, text: &str) -> bool {
        text.chars().flat_map(char::to_lowercase).eq(self.0.chars())
    }

    pub fn starts(&self, text: &str) -> bool {
        let mut low = text.chars().flat_map(char::to_lowercase);
        self.0.chars().all(|c| low.next() == Some(c))
    }

    pub fn ends(&self, text: &str) -> bool {
        let mut low = text.chars().rev().flat_map(|c| c.to_lowercase().rev());
        self.0.chars().rev().all(|c| low.next() == Some(c))
    }
}

/// Text in which `*` stands for any run of characters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wildcard(Vec<Glob>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Glob {
    Run,
    Byte(u8),
}

/// AWS refuses wildcards that are "too complex" by a rule it does not publish; six runs are on record as too many.
const MAX_RUNS: usize = 5;

impl Wildcard {
    /// Reads it; `\*` and `\\` are the characters themselves. The error is AWS's text, which counts bytes from 1.
    pub fn read(text: &str) -> Result<Wildcard, String> {
        let mut globs = Vec::with_capacity(text.len());
        let mut bytes = text.bytes().enumerate();
        while let Some((i, byte)) = bytes.next() {
            globs.push(match byte {
                b'*' if text[i + 1..].starts_with('*') => {
                    return Err(format!("Consecutive wildcard characters at pos {}", i + 1));
                }
                b'*' => Glob::Run,
                b'\\' => match bytes.next() {
                    Some((_, escaped @ (b'*' | b'\\'))) => Glob::Byte(escaped),
                    _ => return Err(format!("Invalid escape character at pos {}", i + 1)),
                },
                byte => Glob::Byte(byte),
            });
        }
        if globs.iter().filter(|g| **g == Glob::Run).count() > MAX_RUNS {
            return Err("Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a wildcard character".to_owned());
        }
        Ok(Wildcard(globs))
    }

    /// Whether all of the text fits. Only the last run ever grows again, so the work is at most the product of the lengths.
    pub fn fits(&self, text: &str) -> bool {
        let (globs, bytes) = (&self.0, text.as_bytes());
        let (mut g, mut b) = (0, 0);
        let mut last_run: Option<(usize, usize)> = None;
        while b < bytes.len() {
            match (globs.get(g), last_run) {
                (Some(Glob::Run), _) => {
                    last_run = Some((g, b));
                    g += 1;
                }
                (Some(Glob::Byte(byte)), _) if *byte == bytes[b] => {
                    g += 1;
                    b += 1;
                }
                (_, Some((run, taken))) => {
                    last_run = Some((run, taken + 1));
                    g = run + 1;
                    b = taken + 1;
                }
                (_, None) => return false,
            }
        }
        globs[g..].iter().all(|glob| *glob == Glob::Run)
    }
}

/// Reads an IP address; quick to refuse what cannot be one.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let first = *text.as_bytes().first()?;
    if text.len() > 45 || !(first.is_ascii_hexdigit() || first == b':') {
        return None;
    }
    text.parse().ok()
}

/// A block of IP addresses such as `10.0.0.0/24`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Block {
    base: IpAddr,
    bits: u32,
}

impl Block {
    /// Reads it; the error is AWS's text.
    pub fn read(text: &str) -> Result<Block, String> {
        let mut parts = text.split('/');
        let (Some(base), Some(bits), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err("Malformed CIDR, one '/' required".to_owned());
        };
        let Ok(bits) = bits.parse::<i32>() else {
            return Err("Malformed CIDR, mask bits must be an integer".to_owned());
        };
        let Ok(bits) = u32::try_from(bits) else {
            return Err("Malformed CIDR, mask bits must not be negative".to_owned());
        };
        let Some(base) = address(base) else {
            return Err(format!("Nonstandard IP address: {base}"));
        };
        match base {
            IpAddr::V4(_) if bits > 32 => Err("IPv4 mask bits must be < 33".to_owned()),
            IpAddr::V6(_) if bits > 128 => Err("IPv6 mask bits must be < 129".to_owned()),
            _ => Ok(Block { base, bits }),
        }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (a.to_bits() ^ b.to_bits()).checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                (a.to_bits() ^ b.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}
