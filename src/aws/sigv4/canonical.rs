//! What a signature signs, and how: the canonical request, the text to sign, the keyed hashes. Pure.

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use http::request::Parts;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::signer::{ALGORITHM, Claim};
use crate::aws::decoded_bytes;

/// SHA-256 of nothing, in hex.
pub(super) const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// How many bytes the hashes that we use take at a time.
const BLOCK: usize = 64;

/// The request as its signer saw it, for this claim; `payload` is the hash, or the word in its place.
pub(super) fn request(head: &Parts, claim: &Claim, payload: &str) -> String {
    let path = match claim.signer.service.as_str() {
        // S3 signs the path as it is sent.
        "s3" if head.uri.path().is_empty() => "/".to_owned(),
        "s3" => head.uri.path().to_owned(),
        _ => encoded(normal(head.uri.path()).as_bytes(), b"/"),
    };
    let mut text = format!("{}\n{path}\n{}\n", head.method, query(head.uri.query().unwrap_or_default()));
    for name in &claim.headers {
        text.push_str(name);
        text.push(':');
        text.push_str(&header(head, name));
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&claim.headers.join(";"));
    text.push('\n');
    text.push_str(payload);
    text
}

/// What is signed of a canonical request; `date` is `20261125T140000Z`.
pub(super) fn text_to_sign(date: &str, scope: &str, request: &str) -> String {
    format!("{ALGORITHM}\n{date}\n{scope}\n{}", hex::encode(Sha256::digest(request)))
}

/// The key that signs for one day, region and service.
pub(super) fn key(secret: &str, claim: &Claim) -> [u8; 32] {
    let day = hmac(format!("AWS4{secret}").as_bytes(), &claim.day);
    let region = hmac(&day, &claim.signer.region);
    hmac(&hmac(&region, &claim.signer.service), "aws4_request")
}

/// The keyed hash of a text.
pub(super) fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new(&block(key, |key| Sha256::digest(key).to_vec()).into());
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

/// The keyed hash of version 2.
pub(super) fn hmac_sha1(key: &[u8], text: &str) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new(&block(key, |key| Sha1::digest(key).to_vec()).into());
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

/// A key as keyed hashes take it: filled with zeros, or hashed first if it is too long.
fn block(key: &[u8], hashed: impl Fn(&[u8]) -> Vec<u8>) -> [u8; BLOCK] {
    let shorter = if key.len() > BLOCK { hashed(key) } else { key.to_vec() };
    let mut block = [0; BLOCK];
    for (to, from) in block.iter_mut().zip(shorter) {
        *to = from;
    }
    block
}

/// Whether two texts are the same, in a time that does not depend on where they differ.
pub(super) fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// Percent-encoding of everything but letters, digits, `-._~` and what is in `kept`.
pub(super) fn encoded(bytes: &[u8], kept: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || kept.contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// The path without empty parts, `.` and `..`.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let open = if path.ends_with('/') && !parts.is_empty() { "/" } else { "" };
    format!("/{}{open}", parts.join("/"))
}

/// The query in the order of its encoded names and values, without the signature itself.
fn query(raw: &str) -> String {
    let again = |text: &str| encoded(&decoded_bytes(&text.replace('+', " ")), b"");
    let pairs = raw.split('&').filter(|part| !part.is_empty()).map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (again(name), again(value))
    });
    let mut pairs: Vec<_> = pairs.filter(|(name, _)| name != "X-Amz-Signature").collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// The values of a header, each without needless blanks.
fn header(head: &Parts, name: &str) -> String {
    let values = values(&head.headers, name);
    match head.uri.authority() {
        Some(authority) if name == "host" && values.is_empty() => authority.to_string(),
        _ => values,
    }
}

/// The values of a header, with commas between, each without needless blanks.
pub(super) fn values(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).into_iter().map(|value| {
        let text = String::from_utf8_lossy(value.as_bytes());
        text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    });
    values.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normal_and_queries_in_order() {
        let check = |path: &str, expected: &str| assert_eq!(normal(path), expected, "{path}");
        check("", "/");
        check("/", "/");
        check("//a//b/", "/a/b/");
        check("/a/./b/../c", "/a/c");
        check("/../..", "/");
        let check = |raw: &str, expected: &str| assert_eq!(query(raw), expected, "{raw}");
        check("b=2&a=1&&a=0&acl", "a=0&a=1&acl=&b=2");
        check("a=%2f+~%zz&X-Amz-Signature=0", "a=%2F%20~%25zz");
        check("%e2%82=%ff", "%E2%82=%FF");
    }

    #[test]
    fn long_keys_are_hashed_first() {
        // RFC 4231, test case 6, and RFC 2202, test case 6.
        let text = "Test Using Larger Than Block-Size Key - Hash Key First";
        let found = hex::encode(hmac(&[0xaa; 131], text));
        assert_eq!(found, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
        let found = hex::encode(hmac_sha1(&[0xaa; 80], text));
        assert_eq!(found, "aa4ae5e15272d00e95705637ce8a3b55ed402112");
    }
}
